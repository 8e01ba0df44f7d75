//! WebSocket over HTTP/2 (RFC 8441): streams of one connection that are WebSockets each.

use bytes::Bytes;
use h2::RecvStream;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::broker::Broker;
use crate::harness::http2::Http2;
use crate::harness::metrics::Metrics;
use crate::harness::peer::{Heard, LEGACY_WS, TRANSPORT_WS};
use crate::harness::raw::{CLOSE, PING, Raw, TEXT, frame, subscribe};
use crate::harness::tls::{Authority, greet};
use crate::harness::wait;

#[tokio::test]
async fn the_answer_is_200_without_an_accept() {
    let broker = Broker::start();
    let http2 = Http2::connect(&broker).await;
    let table =
        [(TRANSPORT_WS, TRANSPORT_WS), (LEGACY_WS, LEGACY_WS), ("mqtt, graphql-ws", LEGACY_WS)];
    for (offered, chosen) in table {
        let headers = [("sec-websocket-version", "13"), ("sec-websocket-protocol", offered)];
        let (response, _sending) = http2.ask("websocket", &headers).await;
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["sec-websocket-protocol"], chosen, "{offered}");
        for name in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
            assert!(!headers.contains_key(name), "{headers:?}");
        }
    }
}

type Headers = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn what_is_wrong_is_refused_and_named() {
    const VERSION: (&str, &str) = ("sec-websocket-version", "13");
    let broker = Broker::start();
    let http2 = Http2::connect(&broker).await;
    let table: [(&str, Headers, u16, &str); 5] = [
        ("connect-udp", &[VERSION], 501, ":protocol here is websocket"),
        ("websocket", &[], 426, "Sec-WebSocket-Version: 13"),
        ("websocket", &[("sec-websocket-version", "8")], 426, "Sec-WebSocket-Version: 13"),
        ("websocket", &[VERSION, ("origin", "http://evil.example")], 403, "--origin"),
        ("websocket", &[VERSION, ("origin", "http://localhost:4000")], 200, ""),
    ];
    for (protocol, headers, status, words) in table {
        let (response, _sending) = http2.ask(protocol, headers).await;
        assert_eq!(response.status(), status, "{protocol} {headers:?}");
        if status != 200 {
            let body = wait::within("a body", body(response.into_body())).await;
            assert!(body.contains(words), "{body}");
        }
    }
}

async fn body(mut receiving: RecvStream) -> String {
    let mut body = Vec::new();
    while let Some(bytes) = receiving.data().await {
        body.extend(bytes.unwrap());
    }
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn websockets_of_one_connection_do_not_know_each_other() {
    let broker = Broker::start();
    let http2 = Http2::connect(&broker).await;
    let mut peers = Vec::new();
    for _ in 0..20 {
        let mut peer = http2.peer().await;
        let id = peer.follow("topics: \"feed\"").await;
        peer.settle().await;
        peers.push((peer, id));
    }
    let mut publisher = http2.peer().await;
    publisher.publish_numbers("feed", 0..100).await;
    for (peer, id) in &mut peers {
        peer.expect_numbers(id, 0..100).await;
    }
    // Over HTTP/1.1 the same messages come.
    let mut other = broker.peer().await;
    let id = other.follow("topics: \"feed\", last: 100").await;
    other.expect_numbers(&id, 0..100).await;
    // One ends, the others go on.
    peers.pop().unwrap().0.socket.close(None).await.unwrap();
    publisher.publish("feed", 100).await;
    for (peer, id) in &mut peers {
        peer.expect_numbers(id, [100]).await;
    }
}

#[tokio::test]
async fn large_messages_go_both_ways_over_cleartext_and_tls() {
    let settings = ["limits.payload_bytes=900KiB", "limits.outbox_bytes=4MiB"];
    let authority = Authority::new();
    let (clear, secure) = (Broker::with(&settings), authority.broker(&settings));
    let stream = TcpStream::connect(secure.address).await.unwrap();
    let stream = greet(stream, authority.client(&["h2"])).await.unwrap();
    for http2 in [Http2::connect(&clear).await, Http2::on(stream).await] {
        let mut peer = http2.peer().await;
        let id = peer.follow("topics: \"large\"").await;
        for length in [1, 16_384, 65_535, 800_000] {
            peer.publish("large", "x".repeat(length)).await;
            let message = peer.next_message(&id).await;
            assert_eq!(message["payload"].as_str().unwrap().len(), length);
        }
        for number in 0..500 {
            let item = json!({"topic": "large", "payload": number});
            peer.start(crate::harness::peer::PUBLISH, item).await;
        }
        peer.expect_numbers(&id, 0..500).await;
    }
}

#[tokio::test]
async fn frames_may_come_in_any_pieces() {
    let broker = Broker::start();
    let http2 = Http2::connect(&broker).await;
    let mut raw = Raw::on(http2.open().await);
    let mut bytes = frame(TEXT, br#"{"type":"connection_init"}"#);
    bytes.extend(frame(PING, b"piece"));
    bytes.extend(frame(TEXT, br#"{"type":"ping","payload":{"n":1}}"#));
    for length in [1, 0, 2, 3, 5, 7].into_iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let rest = bytes.split_off(bytes.len().min(length));
        let piece = Bytes::from(std::mem::replace(&mut bytes, rest));
        raw.stream.sending.send_data(piece, false).unwrap();
        tokio::task::yield_now().await;
    }
    assert!(raw.text().await.contains("connection_ack"));
    assert_eq!(raw.frame().await.unwrap(), (0x8a, b"piece".to_vec()));
    assert_eq!(raw.text().await, r#"{"type":"pong","payload":{"n":1}}"#);

    // The closing handshake ends the stream on both sides.
    raw.write(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
    assert_eq!(raw.frame().await.unwrap(), (0x88, 1000_u16.to_be_bytes().to_vec()));
    assert_eq!(raw.frame().await, None);
}

#[tokio::test]
async fn a_stream_that_ends_or_is_reset_is_a_connection_that_is_gone() {
    let broker = Broker::start();
    let http2 = Http2::connect(&broker).await;
    let (mut ended, mut reset) = (http2.open().await, http2.open().await);
    let mut stays = http2.peer().await;
    wait::until("all are connected", async || {
        (Metrics::of(&broker).await.count("tidings_connections") == 3).then_some(())
    })
    .await;
    ended.sending.send_data(Bytes::new(), true).unwrap();
    reset.sending.send_reset(h2::Reason::CANCEL);
    wait::until("they are forgotten", async || {
        (Metrics::of(&broker).await.count("tidings_connections") == 1).then_some(())
    })
    .await;
    stays.publish("a", 1).await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_slow_and_stops_nobody() {
    const OUTBOX_BYTES: usize = 256 << 10;
    const PAYLOAD_BYTES: usize = 8 << 10;
    let broker = Broker::with(&["limits.outbox_bytes=256KiB"]);
    let http2 = Http2::connect(&broker).await;
    let mut raw = Raw::on(http2.open().await);
    raw.write(&frame(TEXT, br#"{"type":"connection_init"}"#)).await;
    assert!(raw.text().await.contains("connection_ack"));
    let query = "subscription { messages(topics: \"feed\") { payload } }";
    raw.write(&subscribe("1", query, "{}")).await;
    raw.write(&frame(TEXT, br#"{"type":"ping"}"#)).await;
    assert_eq!(raw.text().await, r#"{"type":"pong"}"#);

    // One on the same connection, one on another.
    let mut beside = http2.peer().await;
    let mut elsewhere = broker.peer().await;
    let there = beside.follow("topics: \"feed\"").await;
    beside.settle().await;
    let mut publisher = broker.peer().await;
    let id = elsewhere.follow("topics: \"feed\"").await;
    elsewhere.settle().await;
    let mut sent = 0;
    wait::until("it is closed", async || {
        publisher.publish("feed", json!([sent, "x".repeat(PAYLOAD_BYTES)])).await;
        assert_eq!(elsewhere.next_message(&id).await["payload"][0], sent);
        assert_eq!(beside.next_message(&there).await["payload"][0], sent);
        sent += 1;
        let closed = Metrics::of(&broker).await.count("tidings_closed_total{code=\"1013\"}");
        (closed == 1).then_some(())
    })
    .await;
    let bytes = sent * PAYLOAD_BYTES;
    println!("closed after {} KiB", bytes >> 10);
    // Its outbox, its window, and what HTTP/2 holds for a stream.
    assert!(bytes < OUTBOX_BYTES + (64 << 10) + (128 << 10), "{bytes} bytes were taken for it");

    let mut next = 0;
    loop {
        let (first, payload) = raw.frame().await.expect("a close frame before the end");
        if first == 0x88 {
            assert_eq!(payload[..2], 1013_u16.to_be_bytes());
            break;
        }
        let message: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(message["payload"]["data"]["messages"]["payload"][0], next);
        next += 1;
    }
    assert!(next > 0 && next <= sent, "{next} of {sent}");
}

#[tokio::test]
async fn a_drain_closes_streams_and_then_the_connection() {
    let mut broker = Broker::with(&["limits.drain_timeout=500ms"]);
    let http2 = Http2::connect(&broker).await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        peers.push(http2.peer().await);
    }
    broker.signal("TERM");
    for peer in &mut peers {
        assert!(matches!(peer.hear().await, Heard::Closed(1012, _)));
    }
    assert!(broker.exit().await.success());
}
