//! The opening handshake: every answer that the contract names, byte by byte.

use crate::harness::broker::Broker;
use crate::harness::http::{self, Answer};
use crate::harness::raw::{ACCEPT, CLOSE, KEY, Raw, TEXT, frame, handshake, request};

type Lines = Vec<(&'static str, String)>;

/// The usual handshake with one header replaced by these values, each on a line of its own.
fn with(name: &'static str, values: &[&str]) -> Lines {
    let mut lines = handshake();
    lines.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    lines.extend(values.iter().map(|value| (name, (*value).to_owned())));
    lines
}

async fn ask(broker: &Broker, lines: &[(&str, String)]) -> Answer {
    Raw::connect(broker.address).await.ask(lines).await
}

#[tokio::test]
async fn the_example_of_the_rfc_is_accepted() {
    let broker = Broker::start();
    let answer = ask(&broker, &handshake()).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-accept"), ACCEPT);
    assert!(answer.header("upgrade").eq_ignore_ascii_case("websocket"));
    assert!(answer.header("connection").eq_ignore_ascii_case("upgrade"));
    assert_eq!(answer.header("sec-websocket-protocol"), "graphql-transport-ws");
    assert_eq!(answer.header("sec-websocket-extensions"), "");
    assert_eq!(answer.header("content-length"), "");
}

#[tokio::test]
async fn letter_case_spaces_and_lists_do_not_matter() {
    let broker = Broker::start();
    let table = [
        with("Upgrade", &["WebSocket"]),
        with("UPGRADE", &["WEBSOCKET"]),
        with("Upgrade", &["h2c, websocket"]),
        with("Upgrade", &["h2c", "websocket"]),
        with("Connection", &["upgrade"]),
        with("connection", &["keep-alive, UPGRADE"]),
        with("Connection", &["keep-alive", "Upgrade"]),
        with("sec-websocket-key", &["  dGhlIHNhbXBsZSBub25jZQ==  "]),
        with("SEC-WEBSOCKET-VERSION", &[" 13 "]),
        with("Sec-WebSocket-Extensions", &["x-webkit-deflate-frame", "bbf-usp-protocol; eid=1"]),
    ];
    for lines in table {
        let answer = ask(&broker, &lines).await;
        assert_eq!(answer.status, 101, "{lines:?}\n{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), ACCEPT, "{lines:?}");
        assert_eq!(answer.header("sec-websocket-extensions"), "", "{lines:?}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_named() {
    let broker = Broker::start();
    let (upgrade, connection) = ("Upgrade: websocket", "Connection: Upgrade");
    let (version, key) = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key");
    let table: Vec<(Lines, u16, &str)> = vec![
        (with("Upgrade", &[]), 400, upgrade),
        (with("Upgrade", &["h2c"]), 400, upgrade),
        (with("Upgrade", &["websockets"]), 400, upgrade),
        (with("Connection", &[]), 400, connection),
        (with("Connection", &["keep-alive"]), 400, connection),
        (with("Sec-WebSocket-Version", &[]), 426, version),
        (with("Sec-WebSocket-Version", &["8"]), 426, version),
        (with("Sec-WebSocket-Version", &["0"]), 426, version),
        (with("Sec-WebSocket-Version", &["13.0"]), 426, version),
        (with("Sec-WebSocket-Version", &["13", "8"]), 426, version),
        (with("Sec-WebSocket-Key", &[]), 400, key),
        (with("Sec-WebSocket-Key", &[""]), 400, key),
        (with("Sec-WebSocket-Key", &["dGhlIHNhbXBsZQ=="]), 400, key),
        (with("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZSE="]), 400, key),
        (with("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ"]), 400, key),
        (with("Sec-WebSocket-Key", &["dGhl!HNhbXBsZSBub25jZQ=="]), 400, key),
        (with("Sec-WebSocket-Key", &[KEY; 2]), 400, key),
    ];
    for (lines, status, words) in table {
        let answer = ask(&broker, &lines).await;
        assert_eq!(answer.status, status, "{lines:?}\n{answer:?}");
        assert!(answer.body.contains(words), "{lines:?}\n{answer:?}");
        let told = answer.header("sec-websocket-version");
        assert_eq!(told, if status == 426 { "13" } else { "" }, "{lines:?}");
        // RFC 9110, section 15.5.22: whoever asks for an upgrade says to what.
        let asked = (answer.header("upgrade"), answer.header("connection"));
        assert_eq!(asked, if status == 426 { ("websocket", "Upgrade") } else { ("", "") });
        assert_eq!(answer.header("sec-websocket-accept"), "", "{lines:?}");
    }
}

#[tokio::test]
async fn method_and_version_of_http_must_fit() {
    let broker = Broker::start();
    let post = request("POST /graphql HTTP/1.1", &with("Content-Length", &["0"]));
    let mut raw = Raw::connect(broker.address).await;
    raw.write(post.as_bytes()).await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET"));

    let old = request("GET /graphql HTTP/1.0", &handshake());
    let answer = http::exchange(broker.address, old.as_bytes()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("HTTP/1.1"), "{answer:?}");

    // No mark of a handshake: GraphQL over HTTP answers.
    let answer = http::fetch(broker.address, "GET", "/graphql", &[], "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("query"), "{answer:?}");
}

#[tokio::test]
async fn the_clients_order_of_subprotocols_decides() {
    let broker = Broker::start();
    let (new, old) = ("graphql-transport-ws", "graphql-ws");
    let table: [(&[&str], &str); 10] = [
        (&["graphql-transport-ws"], new),
        (&["graphql-ws"], old),
        (&["graphql-transport-ws, graphql-ws"], new),
        (&["graphql-ws, graphql-transport-ws"], old),
        (&["graphql-ws,graphql-transport-ws"], old),
        (&["graphql-transport-ws", "graphql-ws"], new),
        (&["graphql-ws", "graphql-transport-ws"], old),
        (&["mqtt, wamp.2.json", "soap", "json, graphql-transport-ws"], new),
        (&["mqtt", "graphql-ws, soap"], old),
        (&["", " , ,graphql-transport-ws,"], new),
    ];
    for (offered, chosen) in table {
        let answer = ask(&broker, &with("Sec-WebSocket-Protocol", offered)).await;
        assert_eq!(answer.status, 101, "{offered:?}");
        assert_eq!(answer.header("sec-websocket-protocol"), chosen, "{offered:?}");
    }
}

#[tokio::test]
async fn without_a_subprotocol_of_ours_the_socket_is_closed_with_4406() {
    let broker = Broker::start();
    let table: [&[&str]; 6] =
        [&[], &[""], &["mqtt"], &["wamp.2.json, soap", "json"], &["GraphQL-WS"], &["graphql"]];
    for offered in table {
        let mut raw = Raw::connect(broker.address).await;
        let answer = raw.ask(&with("Sec-WebSocket-Protocol", offered)).await;
        assert_eq!(answer.status, 101, "{offered:?}");
        assert_eq!(answer.header("sec-websocket-protocol"), "", "{offered:?}");
        let (code, reason) = raw.closed().await;
        assert_eq!(code, 4406, "{offered:?}");
        assert!(reason.contains("graphql-transport-ws"), "{reason}");
        raw.write(&frame(CLOSE, &4406_u16.to_be_bytes())).await;
        assert_eq!(raw.end().await, []);
    }
}

/// Host, origin, and what a page of that origin is answered.
async fn check_origins(broker: &Broker, table: &[(&str, &str, u16)]) {
    for (host, origin, status) in table {
        let mut lines = with("Host", &[host]);
        lines.push(("Origin", (*origin).to_owned()));
        let answer = ask(broker, &lines).await;
        assert_eq!(answer.status, *status, "{host} {origin}");
        assert!(*status != 403 || answer.body.contains("--origin"), "{answer:?}");
    }
}

#[tokio::test]
async fn pages_of_the_brokers_own_host_may_connect() {
    let table = [
        ("127.0.0.1:4000", "http://127.0.0.1:4000", 101),
        ("localhost:4000", "HTTP://LocalHost:4000", 101),
        ("127.0.0.1:4000", "http://127.0.0.1:4001", 403),
        ("127.0.0.1:4000", "http://localhost:4000", 403),
        ("127.0.0.1:4000", "http://127.0.0.1:4000.evil.example", 403),
        ("127.0.0.1:4000", "http://elsewhere.example", 403),
        ("127.0.0.1:4000", "null", 403),
        // A foreign name that its owner has made to lead here.
        ("evil.example:4000", "http://evil.example:4000", 403),
    ];
    check_origins(&Broker::start(), &table).await;
}

#[tokio::test]
async fn pages_of_the_allow_list_may_connect() {
    let broker = Broker::with(&["server.origins=https://app.example.com,http://localhost:5173"]);
    let table = [
        ("127.0.0.1:4000", "https://app.example.com", 101),
        ("127.0.0.1:4000", "http://localhost:5173", 101),
        ("127.0.0.1:4000", "http://127.0.0.1:4000", 101),
        ("127.0.0.1:4000", "http://app.example.com", 403),
        ("127.0.0.1:4000", "http://localhost:5174", 403),
    ];
    check_origins(&broker, &table).await;
    let open = Broker::with(&["server.origins=*"]);
    check_origins(&open, &[("127.0.0.1:4000", "http://anything.example", 101)]).await;
}

#[tokio::test]
async fn frames_behind_the_handshake_are_not_lost() {
    let broker = Broker::start();
    let mut bytes = request("GET /graphql HTTP/1.1", &handshake()).into_bytes();
    bytes.extend(frame(TEXT, br#"{"type":"connection_init"}"#));
    bytes.extend(frame(TEXT, br#"{"type":"ping","payload":{"n":1}}"#));
    let mut raw = Raw::connect(broker.address).await;
    raw.write(&bytes).await;
    assert_eq!(raw.answer().await.status, 101);
    assert!(raw.text().await.contains("connection_ack"));
    assert_eq!(raw.text().await, r#"{"type":"pong","payload":{"n":1}}"#);
}

#[tokio::test]
async fn a_handshake_may_come_byte_by_byte() {
    let broker = Broker::start();
    let mut raw = Raw::connect(broker.address).await;
    raw.stream.set_nodelay(true).unwrap();
    for byte in request("GET /graphql HTTP/1.1", &handshake()).bytes() {
        raw.write(&[byte]).await;
    }
    for byte in frame(TEXT, br#"{"type":"ping"}"#) {
        raw.write(&[byte]).await;
    }
    assert_eq!(raw.answer().await.status, 101);
    assert_eq!(raw.text().await, r#"{"type":"pong"}"#);
}

#[tokio::test]
async fn the_path_decides() {
    let broker = Broker::start();
    for path in ["/subscriptions", "/graphql/", "/graphql/x"] {
        let mut raw = Raw::connect(broker.address).await;
        raw.write(request(&format!("GET {path} HTTP/1.1"), &handshake()).as_bytes()).await;
        assert_eq!(raw.answer().await.status, 404, "{path}");
    }
    let mut raw = Raw::connect(broker.address).await;
    raw.write(request("GET /graphql?token=x HTTP/1.1", &handshake()).as_bytes()).await;
    assert_eq!(raw.answer().await.status, 101);
}
