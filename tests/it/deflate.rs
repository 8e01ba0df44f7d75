//! permessage-deflate on real sockets (RFC 7692): what one client compresses the broker reads, and
//! what it compresses once, every client inflates, whatever window it keeps.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::raw::{CLOSE, Raw, TEXT, frame, frame_with, handshake, subscribe};
use crate::harness::wait;

const RSV1: u8 = 0x40;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// A client that keeps its window from message to message, as one may.
struct Inflating {
    raw: Raw,
    window: Decompress,
    compressed: usize,
}

impl Inflating {
    async fn connect(broker: &Broker, dialect: &str, offer: &str) -> (Self, Option<String>) {
        let mut lines = handshake();
        lines.retain(|(name, _)| *name != "Sec-WebSocket-Protocol");
        lines.push(("Sec-WebSocket-Protocol", dialect.to_owned()));
        if !offer.is_empty() {
            lines.push(("Sec-WebSocket-Extensions", offer.to_owned()));
        }
        let mut raw = Raw::connect(broker.address).await;
        let answer = raw.ask(&lines).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        let agreed = Some(answer.header("sec-websocket-extensions").to_owned());
        let agreed = agreed.filter(|agreed| !agreed.is_empty());
        let bits = agreed.as_deref().and_then(|agreed| {
            let (_, bits) = agreed.split_once("server_max_window_bits=")?;
            bits.split(';').next()?.trim().parse().ok()
        });
        // The library has no window of 8 bits; its one of 9 would take distances of 511.
        let window = Decompress::new_with_window_bits(false, bits.unwrap_or(15).max(9));
        (Self { raw, window, compressed: 0 }, agreed)
    }

    async fn init(&mut self) {
        self.raw.write(&frame(TEXT, br#"{"type":"connection_init"}"#)).await;
        let ack = self.text().await;
        assert!(ack.contains("connection_ack"), "{ack}");
    }

    /// The next message, inflated if it has to be; keep-alives of the older protocol are no news.
    async fn text(&mut self) -> String {
        loop {
            let text = self.any_text().await;
            if text != r#"{"type":"ka"}"# {
                return text;
            }
        }
    }

    async fn any_text(&mut self) -> String {
        let (first, bytes) = self.raw.frame().await.expect("a frame");
        assert_eq!(first & !RSV1, 0x80 | TEXT, "{bytes:?}");
        if first & RSV1 == 0 {
            return String::from_utf8(bytes).unwrap();
        }
        self.compressed += 1;
        assert!(!bytes.is_empty(), "an empty message breaks the next one");
        let mut text = Vec::with_capacity(1 << 20);
        for part in [&bytes[..], &TAIL[..]] {
            let before = self.window.total_in();
            let status = self.window.decompress_vec(part, &mut text, FlushDecompress::Sync);
            assert_ne!(status.unwrap(), Status::StreamEnd, "a block says that it is the last");
            assert_eq!(self.window.total_in() - before, part.len() as u64);
        }
        String::from_utf8(text).unwrap()
    }

    async fn send_deflated(&mut self, message: &[u8]) {
        self.raw.write(&frame_with(0x80 | RSV1 | TEXT, &deflate(message))).await;
    }
}

fn deflate(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 1024);
    let mut compress = Compress::new(Compression::new(6), false);
    compress.compress_vec(message, &mut out, FlushCompress::Sync).unwrap();
    assert!(out.ends_with(&TAIL));
    out.truncate(out.len() - TAIL.len());
    out
}

const OFFER: &str = "permessage-deflate";

#[tokio::test]
async fn an_offer_is_answered_and_the_switch_turns_it_off() {
    let broker = Broker::start();
    let takeover = "permessage-deflate; client_no_context_takeover";
    let cases: [(&str, Option<&str>); 5] = [
        ("", None),
        ("x-webkit-deflate-frame, foo; bar=1", None),
        (OFFER, Some(takeover)),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits=16, permessage-deflate", Some(takeover)),
    ];
    for (offer, expected) in cases {
        let (_, agreed) = Inflating::connect(&broker, "graphql-transport-ws", offer).await;
        assert_eq!(agreed.as_deref(), expected, "{offer}");
    }
    let broker = Broker::with(&["server.compression=false"]);
    let (mut client, agreed) = Inflating::connect(&broker, "graphql-transport-ws", OFFER).await;
    assert_eq!(agreed, None);
    client.init().await;
    assert_eq!(client.compressed, 0);
    client.send_deflated(br#"{"type":"ping"}"#).await;
    let (first, reason) = client.raw.frame().await.unwrap();
    assert_eq!((first, &reason[..2]), (0x80 | CLOSE, &1002_u16.to_be_bytes()[..]));
}

fn payload(number: usize) -> Value {
    let word = ["alpha", "β and γ", "\"quoted\"", "😀"][number % 4];
    let count = [0, 3, 40, 700, 9_000][number % 5];
    let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    json!({"n": number, "noise": format!("{noise:x}"), "text": word.repeat(count)})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_window_inflates_what_was_compressed_once() {
    const MESSAGES: usize = 100;
    let broker = Broker::start();
    let mut clients = Vec::new();
    for (dialect, start) in [("graphql-transport-ws", "subscribe"), ("graphql-ws", "start")] {
        for bits in 8..=15 {
            let offer = format!("{OFFER}; server_max_window_bits={bits}; client_max_window_bits");
            let (mut client, agreed) = Inflating::connect(&broker, dialect, &offer).await;
            let agreed = agreed.unwrap();
            assert!(agreed.contains(&format!("server_max_window_bits={bits}")), "{agreed}");
            client.init().await;
            let query = "subscription { messages(topics: \"d\") { payload } }";
            let text = json!({"id": "é1", "type": start, "payload": {"query": query}}).to_string();
            client.send_deflated(text.as_bytes()).await;
            clients.push(client);
        }
    }
    let mut publisher = broker.peer().await;
    wait::until("all have subscribed", async || {
        let data = publisher.ask("{ topic(name: \"d\") { subscribers } }", json!({})).await;
        (data["topic"]["subscribers"] == clients.len()).then_some(())
    })
    .await;
    for number in 0..MESSAGES {
        publisher.publish("d", payload(number)).await;
    }
    for mut client in clients {
        for number in 0..MESSAGES {
            let message: Value = serde_json::from_str(&client.text().await).unwrap();
            assert_eq!(message["id"], "é1");
            assert_eq!(message["payload"]["data"]["messages"]["payload"], payload(number));
        }
        assert!((MESSAGES / 2..MESSAGES).contains(&client.compressed), "{}", client.compressed);
    }
}

#[tokio::test]
async fn what_a_client_compresses_is_bounded_and_checked() {
    let broker = Broker::with(&["limits.message_bytes=64KiB"]);
    let fits = format!(r#"{{"type":"ping","payload":{{"x":"{}"}}}}"#, "x".repeat(60 << 10));
    let bomb = format!(r#"{{"type":"ping","payload":{{"x":"{}"}}}}"#, "x".repeat(8 << 20));
    let (mut client, _) = Inflating::connect(&broker, "graphql-transport-ws", OFFER).await;
    client.init().await;
    client.send_deflated(fits.as_bytes()).await;
    assert_eq!(client.text().await, fits.replace("ping", "pong"));

    let cut = deflate(fits.as_bytes());
    let not_utf8 = deflate(b"{\"type\":\"ping\xff\"}");
    let cases: [(&[u8], u16); 3] =
        [(&deflate(bomb.as_bytes()), 1009), (&[0x07; 40], 1007), (&not_utf8, 1007)];
    for (bytes, code) in cases {
        let (mut client, _) = Inflating::connect(&broker, "graphql-transport-ws", OFFER).await;
        client.init().await;
        client.raw.write(&frame_with(0x80 | RSV1 | TEXT, bytes)).await;
        let (first, close) = client.raw.frame().await.unwrap();
        let reason = String::from_utf8_lossy(&close[2..]).into_owned();
        assert_eq!((first, &close[..2]), (0x80 | CLOSE, &code.to_be_bytes()[..]), "{reason}");
    }
    // In pieces, with a ping between them; RSV1 stands in the first one only.
    let (front, back) = cut.split_at(cut.len() / 2);
    client.raw.write(&frame_with(RSV1 | TEXT, front)).await;
    client.raw.write(&frame_with(0x80, back)).await;
    assert_eq!(client.text().await, fits.replace("ping", "pong"));
}

#[tokio::test]
async fn answers_and_dropped_counts_go_compressed_and_plain() {
    let rule = "topics=[{match = \"now.*\", overflow = \"CONFLATE\", keep = {last = 1}}]";
    let broker = Broker::with(&[rule]);
    let (mut client, _) = Inflating::connect(&broker, "graphql-transport-ws", OFFER).await;
    client.init().await;
    let mut peer = broker.peer().await;
    let text = "lorem ipsum dolor ".repeat(100);
    let mut first = Value::Null;
    for number in 0..4 {
        let receipt = peer.publish("now.a", json!([number, text])).await;
        if number == 0 {
            first = receipt["cursor"].clone();
        }
    }
    let query = "query { last(topics: [\"now.a\"]) { payload } }";
    client.raw.write(&subscribe("q", query, "{}")).await;
    let answer: Value = serde_json::from_str(&client.text().await).unwrap();
    assert_eq!(answer["payload"]["data"]["last"][0]["payload"], json!([3, text]));
    assert_eq!(client.compressed, 1);
    assert!(client.text().await.contains("complete"));

    let query =
        format!("subscription {{ messages(topics: \"now.*\", after: {first}) {{ payload }} }}");
    client.raw.write(&subscribe("s", &query, "{}")).await;
    let next: Value = serde_json::from_str(&client.text().await).unwrap();
    assert_eq!(next["payload"]["extensions"]["dropped"], 2, "{next}");
    peer.publish("now.a", json!([4, text])).await;
    let next: Value = serde_json::from_str(&client.text().await).unwrap();
    assert_eq!(next["payload"]["data"]["messages"]["payload"], json!([4, text]));
    assert_eq!(client.compressed, 2);
}
