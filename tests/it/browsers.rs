//! What a page in a browser of this machine must not be able to do, and what other programs may.

use serde_json::json;

use crate::harness::broker::Broker;
use crate::harness::http::{Answer, exchange, query_string};

/// A GET with these lines of head.
async fn get(broker: &Broker, path: &str, lines: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n\r\n");
    exchange(broker.address, request.as_bytes()).await
}

/// A page may read what its own host answers to a GET, and the browser sends no `Origin` with that.
/// Its host may be any name that was made to resolve to this machine.
#[tokio::test]
async fn a_name_that_is_made_to_lead_here_reads_nothing() {
    let broker = Broker::with(&["server.origins=https://app.example:8443"]);
    let answer = broker
        .post(&json!({"query": "mutation { publish(topic: \"secret\", payload: 1) { topic } }"}))
        .await;
    assert_eq!(answer.status, 200);
    let query = query_string(&[("query", "{ last(topics: \"secret\") { payload } }")]);
    let graphql = format!("/graphql{query}");
    let subscribe = query_string(&[("query", "subscription { messages(topics: \"s\") { key } }")]);
    let stream = format!("/graphql{subscribe}");
    let events = "\r\nAccept: text/event-stream";
    let table = [
        (graphql.as_str(), "evil.example:4000", "", 403),
        (graphql.as_str(), "127.0.0.1.evil.example", "", 403),
        (&stream, "evil.example:4000", events, 403),
        ("/topics/secret", "evil.example:4000", events, 403),
        (&graphql, "localhost:4000", "", 200),
        (&graphql, "LOCALHOST", "", 200),
        (&graphql, "127.0.0.1:4000", "", 200),
        (&graphql, "[::1]:4000", "", 200),
        // Names that the operator knows, and what a proxy brings, are none of an intruder's.
        (&graphql, "app.example:8443", "", 200),
        (&graphql, "broker.example", "\r\nX-Forwarded-For: 192.0.2.1", 200),
    ];
    for (path, host, more, status) in table {
        let answer = get(&broker, path, &format!("Host: {host}{more}")).await;
        assert_eq!(answer.status, status, "{path} {host}: {answer:?}");
    }
}

/// As Java's `HttpClient` and `curl --http2` do with every first request over cleartext.
#[tokio::test]
async fn who_would_rather_speak_http2_is_answered_by_http1() {
    let broker = Broker::start();
    let wish = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n";
    let body = r#"{"query":"{ a: __typename }"}"#;
    let length = body.len();
    let post = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\n{wish}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let query = query_string(&[("query", "{ a: __typename }")]);
    let get = format!("GET /graphql{query} HTTP/1.1\r\nHost: localhost\r\n{wish}\r\n");
    for request in [post, get] {
        let close = request.replacen("Connection: Upgrade", "Connection: close, Upgrade", 1);
        let answer = exchange(broker.address, close.as_bytes()).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"data":{"a":"Query"}}"#));
    }
}

/// A page may send a GET anywhere without asking, as for an image: it sees no answer, but a stream
/// would join a room, and take the place of another client.
#[tokio::test]
async fn a_foreign_page_opens_no_stream_by_the_way() {
    let broker = Broker::start();
    let join = "subscription { join(topic: \"room\") { kind } }";
    let path = format!("/graphql{}", query_string(&[("query", join)]));
    let head = "Host: localhost\r\nAccept: text/event-stream\r\nSec-Fetch-Mode: no-cors";
    for path in [path.as_str(), "/topics/room"] {
        for site in ["cross-site", "same-site"] {
            let answer = get(&broker, path, &format!("{head}\r\nSec-Fetch-Site: {site}")).await;
            assert_eq!(answer.status, 403, "{path} {site}: {answer:?}");
        }
    }
    // Links may lead here, and the page of the broker itself may do all.
    let path = format!("/graphql{}", query_string(&[("query", "{ a: __typename }")]));
    for fetch in [
        "Mode: navigate\r\nSec-Fetch-Site: cross-site",
        "Mode: no-cors\r\nSec-Fetch-Site: same-origin",
    ] {
        let answer = get(&broker, &path, &format!("Host: localhost\r\nSec-Fetch-{fetch}")).await;
        assert_eq!(answer.status, 200, "{fetch}: {answer:?}");
    }
}
