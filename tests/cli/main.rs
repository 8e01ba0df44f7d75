//! The program as people run it: arguments in, output and exit code out.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod broker;
mod transfer;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use broker::Broker;

/// The program with arguments, and without variables of ours.
fn tidings(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.args(arguments).env_remove("TIDINGS_URL").env_remove("TIDINGS_CONFIG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    tidings(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs with something on standard input.
fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let mut child = tidings(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn wrong_usage_is_2_and_a_wrong_configuration_is_1() {
    let nowhere = "http://127.0.0.1:9";
    let table: [(&[&str], i32, &str); 16] = [
        (&["--version"], 0, ""),
        (&["--help"], 0, ""),
        (&["nonsense"], 2, "unrecognized subcommand 'nonsense'"),
        (&["serve", "--lisen", "x"], 2, "--listen"),
        (&["--listen", "x"], 2, "--listen: server.listen = x: expected an address and a port"),
        (&["serve", "--set", "a"], 2, "write SECTION.KEY=VALUE"),
        (
            &["serve", "--set", "limits.conections=1"],
            1,
            "nearest known one is `limits.connections`",
        ),
        (&["serve", "--set", "limits.init_timeout=1"], 1, "a number with its unit"),
        (&["serve", "--config", "no/such.toml"], 1, "no/such.toml: cannot be read"),
        (&["serve", "--listen", "0.0.0.0:0"], 1, "pass --insecure"),
        (&["pub", "greetings", "hello"], 2, r#"tidings pub greetings '"hello"'"#),
        (&["pub", "greetings", "{'a': 1}"], 2, "is not JSON: key must be a string"),
        (&["pub", "greetings"], 2, "required"),
        (&["pub", "a", "1", "--url", nowhere], 1, "start a broker with `tidings serve`"),
        (&["sub", "a", "--url", "ftp://example.com"], 2, "use https:// or http://"),
        (&["sub", "a", "--url", nowhere, "--tls-ca", "ca.pem"], 2, "--tls-ca is for https://"),
    ];
    for (arguments, code, message) in table {
        let output = run(arguments);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
        assert_eq!(errors.is_empty(), code == 0, "{arguments:?}: {errors}");
    }
}

#[test]
fn the_defaults_check_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tidings.toml");
    std::fs::write(&path, run(&["check", "--defaults"]).stdout).unwrap();
    let path = path.to_str().unwrap();
    let output = run(&["check", "--config", path]);
    assert_eq!(text(&output.stdout), format!("{path}: ok\n"));
    std::fs::write(path, "[limits]\n\nconnections = 'many'\n").unwrap();
    let output = run(&["check", "--config", path]);
    let message = format!(
        "tidings: {path}:3:15: limits.connections = \"many\": expected a whole number, at least 1\n"
    );
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), message));
}

#[test]
fn the_schema_is_checked() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("schema");
    std::fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let name = folder.to_str().unwrap();
    write("quotes.graphql", "type Quote @topic(name: \"quotes.{symbol}\") {\n  symbol: ID!\n}\n");
    let output = run(&["check", "--schema", name]);
    let expected = format!("defaults and variables: ok\n{name}: ok, 1 typed topic\n");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), expected));

    write("trades.graphql", "type Trade {\n  price: Flaot!\n}\n");
    let message = format!(
        "error: cannot find the type `Flaot`\n --> {name}/trades.graphql:2:10\n  |\n\
         2 |   price: Flaot!\n  |          ^^^^^ not declared in this folder\n  |\n  \
         = help: a type with a similar name exists: `Float`\n"
    );
    for command in ["check", "schema", "serve"] {
        let output = run(&[command, "--schema", name]);
        let told = (output.status.code(), text(&output.stderr));
        assert_eq!(told, (Some(1), message.clone()), "{command}");
    }
    let output = run(&["check", "--schema", "no/such"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.starts_with("tidings: no/such: cannot be read: "), "{told}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--listen", &address, "--admin-listen", "off"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(errors.contains(&format!("cannot listen on {address}")), "{errors}");
}

#[test]
fn what_is_published_is_printed() {
    let broker = Broker::start();
    let publish = |arguments: &[&str]| {
        let all: Vec<&str> =
            ["pub", "--url", &broker.url].iter().chain(arguments).copied().collect();
        run(&all)
    };
    let first = publish(&["quotes.AAPL", r#"{"bid": 1.10, "big": 9007199254740993}"#]);
    assert!(text(&first.stdout).starts_with("quotes.AAPL  "), "{}", text(&first.stderr));
    let with_id = ["quotes.AAPL", "\"hi\"", "--id", "1", "--json"];
    assert!(text(&publish(&with_id).stdout).ends_with("\"duplicate\":false}\n"));
    assert!(text(&publish(&with_id).stdout).ends_with("\"duplicate\":true}\n"));
    assert_eq!(publish(&["a", "-5"]).status.code(), Some(0));
    let refused = publish(&["a..b", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).starts_with("tidings: BAD_TOPIC: "));

    let seen =
        run(&["sub", "quotes.*", "--after", "earliest", "--count", "2", "--url", &broker.url]);
    let lines = "quotes.AAPL  {\"bid\":1.10,\"big\":9007199254740993}\nquotes.AAPL  \"hi\"\n";
    assert_eq!((seen.status.code(), text(&seen.stdout).as_str()), (Some(0), lines));
    let seen = run(&["sub", "a", "--last", "1", "--count", "1", "--json", "--url", &broker.url]);
    let message: serde_json::Value = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!((&message["topic"], &message["payload"]), (&"a".into(), &(-5).into()));
    let table = text(&run(&["topics", "--url", &broker.url]).stdout);
    assert!(table.starts_with("TOPIC") && table.contains("\nquotes.AAPL "), "{table}");
    let schema = text(&run(&["schema"]).stdout);
    assert!(schema.contains("type Subscription"), "{schema}");
}

#[test]
fn typed_topics_are_published_and_subscribed() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/examples");
    let broker = Broker::start_typed(samples);
    let publish = |payload| run(&["pub", "--url", &broker.url, "chat.lobby", payload]);
    let refused = publish(r#"{"room": "lobby", "text": 7, "mentions": ["lin", {}]}"#);
    assert_eq!(refused.status.code(), Some(1));
    let errors = text(&refused.stderr);
    let lines: Vec<&str> = errors.lines().collect();
    assert!(lines[0].starts_with("tidings: BAD_PAYLOAD: the payload is no `ChatLine`: "));
    for (line, path) in lines[1..].iter().zip(["author", "text", "mentions.1"]) {
        assert!(line.contains(&format!("  {path}: ")), "{errors}");
    }
    assert_eq!(lines.len(), 4, "{errors}");

    let right =
        publish(r#"{"room": "lobby", "author": "ada", "text": "Hello", "mentions": "lin"}"#);
    assert_eq!(right.status.code(), Some(0), "{}", text(&right.stderr));
    let query = "subscription { chat(last: 1) { author mentions _message { topic } } }";
    let arguments = ["sub", "--query", "-", "--count", "1", "--url", &broker.url];
    let seen = text(&run_with_input(&arguments, query).stdout);
    let line = r#"{"author":"ada","mentions":["lin"],"_message":{"topic":"chat.lobby"}}"#;
    assert_eq!(seen, format!("{{\"chat\":{line}}}\n"));
    let schema = text(&run(&["schema", "--schema", samples]).stdout);
    assert!(schema.contains("\n  publishChat("), "{schema}");
}

#[test]
fn lines_are_published_in_order_and_a_wrong_one_is_named() {
    let broker = Broker::start();
    let lines = |head: &str| {
        let lines: Vec<String> = (0..1000).map(|number| format!("{head}{number}\n")).collect();
        lines.concat()
    };
    let output = run_with_input(&["pub", "n", "--ndjson", "--url", &broker.url], &lines(""));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let arguments = ["sub", "n", "--after", "earliest", "--count", "1000", "--url", &broker.url];
    assert_eq!(text(&run(&arguments).stdout), lines("n  "));

    let arguments = ["pub", "n", "--ndjson", "--json", "--url", &broker.url];
    let output = run_with_input(&arguments, "1\n{bad\n\n2\n");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    let errors = text(&output.stderr);
    assert!(errors.contains("tidings: line 2: not JSON: "), "{errors}");
    assert!(errors.contains("1 lines were not published"), "{errors}");
}

#[test]
fn a_subscription_of_ones_own() {
    let broker = Broker::start();
    run(&["pub", "a", "1", "--url", &broker.url]);
    let query = "subscription { messages(topics: \"a\") { topic } }";
    let arguments =
        ["sub", "--query", "-", "--after", "earliest", "--count", "1", "--url", &broker.url];
    let output = run_with_input(&arguments, query);
    assert_eq!(
        text(&output.stdout),
        "{\"messages\":{\"topic\":\"a\"}}\n",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_lost_connection_is_resumed_and_a_lost_log_is_told() {
    let mut broker = Broker::start();
    let mut arguments = vec!["sub", "a", "--after", "earliest", "--url"];
    let url = broker.url.clone();
    arguments.push(&url);
    let mut child = tidings(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    run(&["pub", "a", "1", "--url", &url]);
    assert_eq!(lines.next().unwrap().unwrap(), "a  1");
    assert_eq!(broker.stop(), Some(0));
    let _second = Broker::start_at(broker.address());
    assert!(lines.next().is_none());
    let output = child.wait_with_output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for part in ["1012", "reconnecting", "going on from ", "CURSOR_EXPIRED", "--after earliest"] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

#[test]
fn who_closes_our_output_has_seen_enough() {
    let broker = Broker::start();
    let mut child = tidings(&["sub", "a", "--url", &broker.url]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

#[test]
fn the_admin_listener_answers_probes_and_metrics() {
    let broker = Broker::start();
    run(&["pub", "a", "1", "--url", &broker.url]);
    assert!(broker.admin("/healthz").starts_with("HTTP/1.1 200"));
    assert!(broker.admin("/readyz").starts_with("HTTP/1.1 200"));
    let metrics = broker.admin("/metrics");
    for line in [
        "# TYPE tidings_published counter\ntidings_published_total 1\n",
        "# TYPE tidings_subscriptions gauge\ntidings_subscriptions 0\n",
        "tidings_publish_seconds_bucket{le=\"+Inf\"} 1\n",
        "tidings_publish_seconds_count 1\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// Answers one handshake with this head, whatever it says.
fn impostor(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        assert!(request[..length].ends_with(b"\r\n\r\n"));
        stream.write_all(answer.as_bytes()).unwrap();
    });
    url
}

#[test]
fn the_client_turns_away_from_what_is_no_websocket() {
    let table = [
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
        ("HTTP/1.1 403 Forbidden\r\n\r\nthis origin is not allowed", "answered 403 Forbidden"),
        ("220 mail.example ESMTP\r\n", "is no HTTP"),
    ];
    for (answer, message) in table {
        let output = run(&["pub", "a", "1", "--url", &impostor(answer)]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(message), "{errors}");
    }
}
