//! Frames at the socket: sizes, fragments, control frames in between, and bytes in any portion.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::harness::broker::Broker;
use crate::harness::metrics::Metrics;
use crate::harness::raw::{
    CLOSE, CONTINUATION, PING, PONG, Raw, TEXT, frame, frame_with, subscribe,
};
use crate::harness::wait;

async fn upgraded(broker: &Broker) -> Raw {
    Raw::connect(broker.address).await.upgrade().await
}

/// A protocol ping of so many bytes; its pong has as many.
fn ping_of(bytes: usize) -> (String, String) {
    let text = |kind: &str| {
        let empty = format!(r#"{{"type":"{kind}","payload":{{"x":""}}}}"#);
        let filler = "x".repeat(bytes - empty.len());
        format!(r#"{{"type":"{kind}","payload":{{"x":"{filler}"}}}}"#)
    };
    (text("ping"), text("pong"))
}

#[tokio::test]
async fn lengths_of_every_form_go_both_ways() {
    let broker = Broker::start();
    let mut raw = upgraded(&broker).await;
    for bytes in [40, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537, 1 << 20] {
        let (ping, pong) = ping_of(bytes);
        raw.write(&frame(TEXT, ping.as_bytes())).await;
        assert_eq!(raw.text().await, pong, "{bytes}");
    }
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_pings_between_them() {
    let broker = Broker::start();
    let mut raw = upgraded(&broker).await;
    let text = r#"{"type":"ping","payload":{"é":"😀"}}"#;
    for size in [1, 2, 3, 7, 100] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let mut bytes = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let opcode = if number == 0 { TEXT } else { CONTINUATION };
            let end = if number + 1 == chunks.len() { 0x80 } else { 0 };
            bytes.extend(frame_with(end | opcode, chunk));
            if end == 0 {
                bytes.extend(frame(PING, &[u8::try_from(number).unwrap()]));
                bytes.extend(frame(PONG, b"unsolicited"));
            }
        }
        raw.write(&bytes).await;
        for number in 0..chunks.len() - 1 {
            let expected = (0x80 | PONG, vec![u8::try_from(number).unwrap()]);
            assert_eq!(raw.frame().await, Some(expected), "{size}");
        }
        assert_eq!(raw.text().await, text.replace("ping", "pong"), "{size}");
    }
    // An empty fragment at either end.
    for frames in [
        [frame_with(TEXT, b""), frame(CONTINUATION, text.as_bytes())],
        [frame_with(TEXT, text.as_bytes()), frame(CONTINUATION, b"")],
    ] {
        raw.write(&frames.concat()).await;
        assert_eq!(raw.text().await, text.replace("ping", "pong"));
    }
}

#[tokio::test]
async fn frames_may_come_in_any_portion() {
    let broker = Broker::start();
    let mut raw = upgraded(&broker).await;
    raw.stream.set_nodelay(true).unwrap();
    let (ping, pong) = ping_of(300);
    let one = frame(TEXT, ping.as_bytes());
    for portion in [1, 2, 5, 13, 299, 10_000] {
        let bytes = [one.as_slice(); 3].concat();
        for part in bytes.chunks(portion) {
            raw.write(part).await;
        }
        for _ in 0..3 {
            assert_eq!(raw.text().await, pong, "{portion}");
        }
    }
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let broker = Broker::start();
    let mut raw = upgraded(&broker).await;
    for payload in [&b""[..], b"x", &[0, 255, 7], &[b'y'; 125]] {
        raw.write(&frame(PING, payload)).await;
        assert_eq!(raw.frame().await, Some((0x80 | PONG, payload.to_vec())));
    }
    // Many at once, in order, and text among them.
    let mut bytes = Vec::new();
    for number in 0..100 {
        bytes.extend(frame(PING, &[number]));
    }
    bytes.extend(frame(TEXT, br#"{"type":"ping"}"#));
    raw.write(&bytes).await;
    for number in 0..100 {
        assert_eq!(raw.frame().await, Some((0x80 | PONG, vec![number])));
    }
    assert_eq!(raw.text().await, r#"{"type":"pong"}"#);
}

#[tokio::test]
async fn nothing_is_done_after_a_close_frame() {
    let broker = Broker::start();
    let mut watcher = broker.peer().await;
    let id = watcher.follow("topics: \"after\"").await;
    watcher.settle().await;
    let mut raw = Raw::connect(broker.address).await.acknowledged().await;
    let publish = |n: u32| {
        let query = format!("mutation {{ publish(topic: \"after\", payload: {n}) {{ topic }} }}");
        subscribe(&n.to_string(), &query, "{}")
    };
    let bytes = [publish(1), frame(CLOSE, &1000_u16.to_be_bytes()), publish(2)].concat();
    raw.write(&bytes).await;
    assert_eq!(raw.closed().await.0, 1000);
    assert_eq!(raw.end().await, []);
    watcher.publish("after", 3).await;
    assert_eq!(watcher.next_message(&id).await["payload"], 1);
    assert_eq!(watcher.next_message(&id).await["payload"], 3);
}

#[tokio::test]
async fn large_results_arrive_whole() {
    let broker = Broker::with(&["limits.payload_bytes=900KiB", "keep.bytes=64MiB"]);
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"large\"").await;
    for kibibytes in [1, 60, 64, 66, 255, 600, 899] {
        let text = "é".repeat(kibibytes << 9);
        peer.publish("large", text.as_str()).await;
        let message = peer.next_message(&id).await;
        assert_eq!(message["payload"].as_str().unwrap().len(), kibibytes << 10);
        assert_eq!(message["payload"], text);
    }
    let all = peer.ask("{ history(topics: \"large\") { nodes { payload } } }", json!({})).await;
    assert_eq!(all["history"]["nodes"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn who_closes_and_sends_no_more_still_gets_the_answer() {
    let broker = Broker::start();
    let mut raw = upgraded(&broker).await;
    raw.write(&frame(CLOSE, &1000_u16.to_be_bytes())).await;
    raw.stream.shutdown().await.unwrap();
    assert_eq!(raw.closed().await.0, 1000);
    assert_eq!(raw.frame().await, None, "the server ends the connection, not the client");
}

#[tokio::test]
async fn who_sends_no_more_without_a_close_frame_is_gone() {
    let broker = Broker::start();
    let mut raw = upgraded(&broker).await;
    raw.stream.shutdown().await.unwrap();
    assert_eq!(raw.frame().await, None, "there is nobody to say goodbye to");
    wait::until("it is counted", async || {
        let metrics = Metrics::of(&broker).await;
        let is_over = metrics.count("tidings_connections") == 0;
        is_over.then(|| assert_eq!(metrics.count("tidings_closed_total{code=\"1006\"}"), 1))
    })
    .await;
}
