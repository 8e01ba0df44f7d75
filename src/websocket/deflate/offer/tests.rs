use super::*;

fn headers(lines: &[&str]) -> HeaderMap {
    let lines = lines.iter().map(|line| HeaderValue::from_str(line).unwrap());
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(SEC_WEBSOCKET_EXTENSIONS, line);
    }
    headers
}

/// What follows `permessage-deflate; client_no_context_takeover` in a server's answer, and the
/// window that it then compresses with.
fn agreed(lines: &[&str]) -> Option<(String, u8)> {
    let agreed = agree(&headers(lines))?;
    let answer = agreed.answer.to_str().unwrap();
    let rest = answer.strip_prefix("permessage-deflate; client_no_context_takeover").unwrap();
    Some((rest.to_owned(), agreed.window.bits()))
}

#[test]
fn offers_and_answers() {
    let all = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
               server_max_window_bits=12; client_max_window_bits=11";
    let all_answered =
        "; server_no_context_takeover; server_max_window_bits=12; client_max_window_bits=11";
    let table: [(&[&str], &str, u8); 20] = [
        (&["permessage-deflate"], "", 15),
        // Chromium's, and ws's.
        (&["permessage-deflate; client_max_window_bits"], "; client_max_window_bits=15", 15),
        (&["permessage-deflate; client_no_context_takeover"], "", 15),
        (&["permessage-deflate;server_no_context_takeover"], "; server_no_context_takeover", 15),
        (&["permessage-deflate; server_max_window_bits=8"], "; server_max_window_bits=8", 9),
        (&["permessage-deflate; server_max_window_bits=9"], "; server_max_window_bits=9", 9),
        (&["permessage-deflate; server_max_window_bits=10"], "; server_max_window_bits=10", 10),
        (&["permessage-deflate; server_max_window_bits=15"], "; server_max_window_bits=15", 15),
        (&["permessage-deflate; client_max_window_bits=8"], "; client_max_window_bits=8", 15),
        (&[all], all_answered, 12),
        (&["PerMessage-Deflate; SERVER_max_window_bits=9"], "; server_max_window_bits=9", 9),
        (
            &[" permessage-deflate ;\tserver_max_window_bits = \"10\" "],
            "; server_max_window_bits=10",
            10,
        ),
        (
            &["permessage-deflate; server_max_window_bits=\"1\\2\""],
            "; server_max_window_bits=12",
            12,
        ),
        // Others before, behind and around it.
        (&["x-webkit-deflate-frame, permessage-deflate"], "", 15),
        (&["foo; bar=\"permessage-deflate, ; \\\" x\", permessage-deflate"], "", 15),
        (&["mux; max=4", "", "permessage-deflate", "permessage-bzip2"], "", 15),
        (&[",, permessage-deflate,"], "", 15),
        // The first one that will do.
        (
            &["permessage-deflate; server_max_window_bits=10, permessage-deflate"],
            "; server_max_window_bits=10",
            10,
        ),
        (&["permessage-deflate; server_max_window_bits=16, permessage-deflate"], "", 15),
        (
            &["permessage-deflate; x", "permessage-deflate; server_max_window_bits=11"],
            "; server_max_window_bits=11",
            11,
        ),
    ];
    for (lines, answer, window) in table {
        assert_eq!(agreed(lines), Some((answer.to_owned(), window)), "{lines:?}");
    }
}

#[test]
fn offers_that_are_declined() {
    let whole = [
        "",
        ",",
        "deflate-frame",
        "permessage-deflate2",
        "permessage deflate",
        "\"permessage-deflate\"",
        "permessage-deflate=1",
        "foo=\"permessage-deflate",
        "foo; a=\"x, permessage-deflate",
    ];
    for line in whole {
        assert_eq!(agreed(&[line]), None, "{line}");
    }
    let params = [
        "",
        "x",
        "server_no_context_takeover=true",
        "server_no_context_takeover=",
        "client_no_context_takeover=\"\"",
        "client_no_context_takeover=1",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; Client_No_Context_Takeover",
        "server_max_window_bits",
        "server_max_window_bits=9; server_max_window_bits=9",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
        "server_max_window_bits=10 11",
        "server_max_window_bits=\"10",
        "server_max_window_bits=\"10\"1",
        "server_max_window_bits=\"10\\",
        "server_max_window_bits=10\"",
    ];
    let values =
        ["", "0", "7", "16", "08", "015", "+9", "-9", "9.0", "1e1", "x", "256", "\"\"", "٩"];
    let names = [SERVER_MAX_WINDOW_BITS, CLIENT_MAX_WINDOW_BITS];
    let numbers = names.iter().flat_map(|name| values.map(|value| format!("{name}={value}")));
    for params in numbers.chain(params.map(str::to_owned)) {
        let line = format!("permessage-deflate; {params}");
        assert_eq!(agreed(&[&line]), None, "{line}");
        let and_another = "permessage-deflate; server_max_window_bits=13";
        assert_eq!(agreed(&[&line, and_another]).map(|(_, bits)| bits), Some(13), "{line}");
    }
}

#[test]
fn answers_to_our_client() {
    assert_eq!(check_answer(&HeaderMap::new()), Ok(false));
    assert_eq!(check_answer(&headers(&[""])), Ok(false));
    let served = agree(&headers(&[OFFER])).unwrap().answer;
    let good = [
        served.to_str().unwrap(),
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
    ];
    for line in good {
        assert_eq!(check_answer(&headers(&[line])), Ok(true), "{line}");
    }
    let bad = [
        "permessage-deflate",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; x",
        "permessage-deflate; server_no_context_takeover, x",
        "permessage-deflate; server_no_context_takeover, permessage-deflate",
        "permessage-bzip2",
    ];
    for line in bad {
        let error = check_answer(&headers(&[line])).unwrap_err().to_string();
        assert!(error.contains(line), "{error}");
    }
    let twice = headers(&[good[1], good[1]]);
    assert!(check_answer(&twice).is_err());
}
