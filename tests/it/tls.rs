//! TLS: what works without it works with it, and its files can be exchanged while it serves.

use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::broker::{Broker, program};
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
    other.settle().await;
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

/// The certificate that a new client is shown.
async fn shown(authority: &Authority, broker: &Broker) -> CertificateDer<'static> {
    let stream = authority.connect(broker.address).await;
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn a_signal_exchanges_the_certificate_and_drops_nobody() {
    let authority = Authority::new();
    let first = authority.issue(&["localhost"]);
    let (log, settings) = (authority.file("log"), authority.settings());
    let broker = Broker::with_log(&settings.each_ref().map(String::as_str), &log);
    let mut peer = authority.peer(&broker).await;
    let id = peer.follow("topics: \"feed\"").await;
    assert_eq!(shown(&authority, &broker).await, first);

    // A key that does not fit, and no key at all: the old certificate stays.
    let good = std::fs::read(authority.file("key.pem")).unwrap();
    let second = authority.issue(&["localhost"]);
    let newer = std::fs::read(authority.file("key.pem")).unwrap();
    for (bad, reason) in
        [(good.as_slice(), "the key does not belong"), (b"nonsense", "no private key in it")]
    {
        std::fs::write(authority.file("key.pem"), bad).unwrap();
        broker.signal("HUP");
        wait::until("it complains", async || {
            let log = std::fs::read_to_string(&log).unwrap();
            log.lines().any(|line| line.contains("ERROR") && line.contains(reason)).then_some(())
        })
        .await;
        peer.publish("feed", "still").await;
        assert_eq!(peer.next_message(&id).await["payload"], "still");
        assert_eq!(shown(&authority, &broker).await, first);
    }
    std::fs::write(authority.file("key.pem"), newer).unwrap();
    broker.signal("HUP");
    wait::until("the new certificate is shown", async || {
        (shown(&authority, &broker).await == second).then_some(())
    })
    .await;
    peer.publish("feed", "later").await;
    assert_eq!(peer.next_message(&id).await["payload"], "later");
}

#[test]
fn files_that_are_wrong_are_named_by_serve_and_check() {
    let authority = Authority::new();
    let foreign = Authority::new();
    let path = |name: &str| authority.file(name).display().to_string();
    std::fs::write(authority.file("empty.pem"), "").unwrap();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let other = foreign.file("key.pem").display().to_string();
    let table = [
        (path("none.pem"), key.clone(), format!("server.tls_cert = {}: ", path("none.pem"))),
        (path("empty.pem"), key.clone(), "no certificate in it; a PEM file with".to_owned()),
        (key.clone(), key.clone(), "no certificate in it".to_owned()),
        (cert.clone(), path("none.pem"), format!("server.tls_key = {}: ", path("none.pem"))),
        (cert.clone(), cert.clone(), "no private key in it; a PEM file with".to_owned()),
        (cert.clone(), other, "the key does not belong to the first certificate".to_owned()),
        (cert, String::new(), "server.tls_cert is set and server.tls_key is not".to_owned()),
        (String::new(), key, "server.tls_key is set and server.tls_cert is not".to_owned()),
    ];
    for (cert, key, words) in table {
        let settings = [format!("server.tls_cert={cert}"), format!("server.tls_key={key}")];
        let (code, complaint) = Broker::refuse(&[&settings[0], &settings[1]], None);
        assert_eq!(code, Some(1), "{settings:?}: {complaint}");
        assert!(complaint.contains(&words), "{settings:?}: {complaint}");
        let flags = ["check", "--tls-cert", &cert, "--tls-key", &key];
        let output = program().args(flags).output().unwrap();
        let checked = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{flags:?}: {checked}");
        assert_eq!(checked, complaint, "{flags:?}");
    }
}

#[tokio::test]
async fn who_says_nothing_in_time_is_let_go() {
    let authority = Authority::new();
    let short = "limits.init_timeout=300ms";
    let (secure, clear) = (authority.broker(&[short]), Broker::with(&[short]));
    let part: &[u8] = b"GET /graphql HTTP/1.1\r\nHost: a";
    let hello: &[u8] = b"\x16\x03\x01";
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for (broker, said) in
        [(&clear, &b""[..]), (&clear, part), (&clear, preface), (&secure, b""), (&secure, hello)]
    {
        let mut stream = TcpStream::connect(broker.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        wait::within("the end", stream.read_to_end(&mut rest)).await.unwrap();
        let is_settings = said == preface && rest.get(3) == Some(&4);
        assert!(rest.is_empty() || is_settings, "{said:?}: {rest:?}");
    }
    // After the handshake of TLS the head of a request may not take its time either.
    let mut stream = authority.connect(secure.address).await;
    stream.write_all(part).await.unwrap();
    let mut rest = Vec::new();
    let _ = wait::within("the end", stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "{rest:?}");
    // Who is slow but in time is served.
    authority.peer(&secure).await.publish("a", 1).await;
}

/// Runs the program as a client: exit code, output, complaints.
fn client(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program().args(arguments).env_remove("TIDINGS_URL").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn our_own_client_trusts_whom_it_is_told_to() {
    let authority = Authority::new();
    let broker = authority.broker(&[]);
    let port = broker.address.port();
    let (ca, other) = (authority.file("ca.pem"), Authority::new());
    let ca = ca.to_str().unwrap();
    for url in [format!("https://localhost:{port}"), format!("wss://127.0.0.1:{port}/graphql")] {
        let (code, receipt, errors) = client(&["pub", "a", "1", "--url", &url, "--tls-ca", ca]);
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{url}: {receipt}");
        let sub = ["sub", "a", "--last", "1", "--count", "1", "--url", &url, "--tls-ca", ca];
        let (code, messages, errors) = client(&sub);
        assert_eq!(code, Some(0), "{url}: {errors}");
        assert_eq!(messages.trim_end(), "a  1", "{url}");
        let (code, topics, errors) = client(&["topics", "--once", "--url", &url, "--tls-ca", ca]);
        assert_eq!(code, Some(0), "{url}: {errors}");
        assert!(topics.contains('a'), "{topics}");
    }
    let url = format!("https://localhost:{port}");
    authority.issue(&["elsewhere.example"]);
    let (clear, elsewhere) = (Broker::start(), authority.broker(&[]));
    let (key, other) = (authority.file("key.pem"), other.file("ca.pem"));
    let (key, other) = (key.to_str().unwrap(), other.to_str().unwrap());
    let [renamed, spoken] =
        [&elsewhere, &clear].map(|broker| format!("https://localhost:{}", broker.address.port()));
    let table = [
        (&url, other, "an authority that is not trusted here; name"),
        (&url, "none.pem", "--tls-ca = none.pem: cannot be read"),
        (&url, key, "no certificate in it"),
        (&renamed, ca, "not valid for name"),
        (&spoken, ca, "it does not speak TLS; try http://"),
    ];
    for (url, ca, words) in table {
        let (code, _, errors) = client(&["pub", "a", "1", "--url", url, "--tls-ca", ca]);
        assert_eq!(code, Some(1), "{url} {ca}: {errors}");
        assert!(errors.contains(words), "{url} {ca}: {errors}");
    }
    let (code, _, errors) =
        client(&["pub", "a", "1", "--url", &format!("http://localhost:{port}")]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("this port speaks TLS: use https://"), "{errors}");
    let (code, _, errors) = client(&["pub", "a", "1", "--url", &url]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("--tls-ca"), "{errors}");
}
