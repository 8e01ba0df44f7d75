//! TLS: what works without it works with it, and its files can be exchanged while it serves.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::broker::Broker;
use crate::harness::http;
use crate::harness::metrics::Metrics;
use crate::harness::peer::{Peer, TRANSPORT_WS};
use crate::harness::raw::{Raw, TEXT, frame, subscribe};
use crate::harness::tls::{Authority, Secure, greet};
use crate::harness::wait;

#[tokio::test]
async fn thousands_of_messages_come_in_order() {
    const MESSAGES: i32 = 2_000;
    let authority = Authority::new();
    let broker = authority.broker(&["limits.outbox_bytes=16MiB"]);
    let (mut publisher, mut subscriber) =
        (authority.peer(&broker).await, authority.peer(&broker).await);
    let id = subscriber.follow("topics: \"feed\"").await;
    subscriber.settle().await;
    let publish = "mutation ($n: JSON!) { publish(topic: \"feed\", payload: $n) { cursor } }";
    let writing = async {
        for number in 0..MESSAGES {
            publisher.start(publish, json!({"n": number})).await;
        }
        publisher.settle().await;
    };
    tokio::join!(writing, subscriber.expect_numbers(&id, 0..MESSAGES));
}

#[tokio::test]
async fn large_messages_go_both_ways_in_every_version() {
    let authority = Authority::new();
    let broker = authority.broker(&["limits.payload_bytes=900KiB", "limits.outbox_bytes=4MiB"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = TcpStream::connect(broker.address).await.unwrap();
        let stream = greet(stream, authority.client_of(&[version], &[])).await.unwrap();
        let mut peer = Peer::open_on(stream, TRANSPORT_WS).await.acknowledged(&json!({})).await;
        let id = peer.follow("topics: \"large\"").await;
        for length in [1, 16_000, 16_384, 65_535, 65_536, 800_000] {
            peer.publish("large", "x".repeat(length)).await;
            let message = peer.next_message(&id).await;
            assert_eq!(message["payload"].as_str().unwrap().len(), length, "{version:?}");
        }
    }
}

#[tokio::test]
async fn keys_may_change_while_messages_go() {
    let authority = Authority::new();
    let broker = authority.broker(&[]);
    let mut peer = authority.peer(&broker).await;
    let id = peer.follow("topics: \"feed\"").await;
    for number in 0..20 {
        peer.socket.get_mut().get_mut().1.refresh_traffic_keys().unwrap();
        peer.publish("feed", number).await;
        peer.expect_numbers(&id, [number]).await;
    }
}

/// A client whose kernel takes little that is not read.
async fn narrow(authority: &Authority, broker: &Broker) -> Raw<Secure> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let stream = socket.connect(broker.address).await.unwrap();
    let stream = greet(stream, authority.client(&["http/1.1"])).await.unwrap();
    Raw::on(stream).acknowledged().await
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_holds_little() {
    const OUTBOX_BYTES: usize = 256 << 10;
    const PAYLOAD_BYTES: usize = 8 << 10;
    let authority = Authority::new();
    let broker = authority.broker(&["limits.outbox_bytes=256KiB"]);
    let mut raw = narrow(&authority, &broker).await;
    raw.write(&subscribe("1", "subscription { messages(topics: \"feed\") { payload } }", "{}"))
        .await;
    raw.write(&frame(TEXT, br#"{"type":"ping"}"#)).await;
    assert_eq!(raw.text().await, r#"{"type":"pong"}"#);

    let (mut publisher, mut other) = (authority.peer(&broker).await, authority.peer(&broker).await);
    let id = other.follow("topics: \"feed\"").await;
    let mut sent = 0;
    wait::until("it is closed", async || {
        publisher.publish("feed", json!([sent, "x".repeat(PAYLOAD_BYTES)])).await;
        // Others get theirs while it is stalled.
        assert_eq!(other.next_message(&id).await["payload"][0], sent);
        sent += 1;
        let closed = Metrics::of(&broker).await.count("tidings_closed_total{code=\"1013\"}");
        (closed == 1).then_some(())
    })
    .await;
    let bytes = sent * PAYLOAD_BYTES;
    println!("closed after {} KiB", bytes >> 10);
    // Its outbox, as much encrypted as rustls holds, the kernel's share and its narrow window.
    assert!(bytes < 2 * OUTBOX_BYTES + (64 << 10), "{bytes} bytes were taken for it");

    // It reads everything that was sent, in order and up to the reason.
    let mut next = 0;
    loop {
        let (first, payload) = raw.frame().await.expect("a close frame before the end");
        if first == 0x88 {
            assert_eq!(payload[..2], 1013_u16.to_be_bytes());
            break;
        }
        let message: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(message["payload"]["data"]["messages"]["payload"][0], next);
        next += 1;
    }
    assert!(next > 0 && next <= sent, "{next} of {sent}");
}

#[tokio::test]
async fn the_protocol_is_chosen_by_alpn() {
    let authority = Authority::new();
    let broker = authority.broker(&[]);
    let table: [(&[&str], Option<&str>); 5] = [
        (&[], None),
        (&["h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
    ];
    for (offered, chosen) in table {
        let stream = TcpStream::connect(broker.address).await.unwrap();
        let stream = greet(stream, authority.client(offered)).await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, chosen.map(str::as_bytes), "{offered:?}");
    }
    let stream = TcpStream::connect(broker.address).await.unwrap();
    let refused = greet(stream, authority.client(&["spdy/3"])).await.unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn plain_http_is_told_to_use_https() {
    let authority = Authority::new();
    let broker = authority.broker(&[]);
    let answer = http::fetch(broker.address, "GET", "/graphql?query={x}", &[], "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("use https://"), "{answer:?}");
    // What is neither ends, and the next client is served.
    let mut raw = Raw::connect(broker.address).await;
    raw.write(b"\x16\x03\x01\x00\x05hello").await;
    raw.stream.shutdown().await.unwrap();
    authority.peer(&broker).await.publish("a", 1).await;
}

#[tokio::test]
async fn an_end_without_a_farewell_is_an_end() {
    let authority = Authority::new();
    let broker = authority.broker(&[]);
    let peer = authority.peer(&broker).await;
    assert_eq!(Metrics::of(&broker).await.count("tidings_connections"), 1);
    // The TCP connection ends, TLS says nothing.
    let (mut socket, _) = peer.socket.into_inner().into_inner();
    socket.shutdown().await.unwrap();
    wait::until("it is forgotten", async || {
        (Metrics::of(&broker).await.count("tidings_connections") == 0).then_some(())
    })
    .await;
}
