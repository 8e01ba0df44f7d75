use super::*;

fn headers(lines: &[&'static str]) -> HeaderMap {
    let lines = lines.iter().map(|line| HeaderValue::from_static(line));
    lines.map(|line| (SEC_WEBSOCKET_EXTENSIONS, line)).collect()
}

/// What a server answers to these header lines.
fn answer(lines: &[&'static str]) -> Option<String> {
    Some(agree(&headers(lines))?.answer.to_str().unwrap().to_owned())
}

#[test]
fn our_own_offer_is_taken_up() {
    let answer = answer(&[OFFER]).unwrap();
    assert_eq!(
        answer,
        "permessage-deflate; client_no_context_takeover; server_no_context_takeover"
    );
    let headers = [(SEC_WEBSOCKET_EXTENSIONS, answer.parse().unwrap())].into_iter().collect();
    assert_eq!(check_answer(&headers), Ok(true));
}
