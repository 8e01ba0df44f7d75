//! Subscribers slower than their feed: they alone pay for it, and what they miss is counted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::harness::broker::Broker;
use crate::harness::metrics::Metrics;
use crate::harness::peer::Peer;
use crate::harness::raw::{Raw, TEXT, frame, subscribe};
use crate::harness::wait;

const OUTBOX_BYTES: u64 = 256 << 10;
const PAYLOAD_BYTES: usize = 8 << 10;

/// Subscribes and then reads nothing more. The kernel takes little for it.
async fn stalled(broker: &Broker, topics: &str) -> (Raw, String) {
    let mut raw = Raw::connect_narrow(broker.address).await.upgrade().await;
    raw.write(&frame(TEXT, br#"{"type":"connection_init","payload":{"resume":true}}"#)).await;
    let ack: Value = serde_json::from_str(&raw.text().await).unwrap();
    let id = ack["payload"]["connection"].as_str().unwrap().to_owned();
    let query = format!("subscription {{ messages(topics: \"{topics}\") {{ key payload }} }}");
    raw.write(&subscribe("1", &query, "{}")).await;
    raw.write(&frame(TEXT, br#"{"type":"ping"}"#)).await;
    assert_eq!(raw.text().await, r#"{"type":"pong"}"#);
    (raw, id)
}

/// How many subscriptions each connection has.
async fn subscriptions(admin: &mut Peer) -> HashMap<String, u64> {
    let query = "{ connections(first: 1000) { nodes { id subscriptions } } }";
    let data = admin.ask(query, json!({})).await;
    let nodes = data["connections"]["nodes"].as_array().unwrap();
    let id = |node: &Value| node["id"].as_str().unwrap().to_owned();
    nodes.iter().map(|node| (id(node), node["subscriptions"].as_u64().unwrap())).collect()
}

fn payload(number: u64, started: Instant) -> Value {
    let sent = u64::try_from(started.elapsed().as_micros()).unwrap();
    json!([number, sent, "x".repeat(PAYLOAD_BYTES)])
}

/// Healthy subscribers, whose times from publish to receipt are measured.
struct Healthy(JoinSet<Vec<u64>>);

impl Healthy {
    async fn subscribe(broker: &Broker, count: usize, messages: u64, started: Instant) -> Self {
        let mut set = JoinSet::new();
        for _ in 0..count {
            let mut peer = broker.peer().await;
            let id = peer.follow("topics: \"feed\"").await;
            peer.settle().await;
            set.spawn(async move {
                let mut times = Vec::new();
                for _ in 0..messages {
                    let message = peer.next_message(&id).await;
                    let now = u64::try_from(started.elapsed().as_micros()).unwrap();
                    times.push(now - message["payload"][1].as_u64().unwrap());
                }
                times
            });
        }
        Self(set)
    }

    /// The time within which 99 of 100 messages came.
    async fn p99(mut self) -> Duration {
        let mut times = Vec::new();
        while let Some(subscriber) = self.0.join_next().await {
            times.extend(subscriber.unwrap());
        }
        times.sort_unstable();
        Duration::from_micros(times[times.len() * 99 / 100])
    }
}

/// Reads everything up to the close frame, when told to: the numbers that came, the newest cursor.
fn read_when_told(mut raw: Raw, told: oneshot::Receiver<()>) -> JoinHandle<(Vec<u64>, String)> {
    tokio::spawn(async move {
        told.await.unwrap();
        let (mut numbers, mut cursor) = (Vec::new(), String::new());
        loop {
            let (first, bytes) = raw.frame().await.expect("a close frame before the end");
            if first == 0x88 {
                let reason = String::from_utf8(bytes[2..].to_vec()).unwrap();
                assert_eq!(u16::from_be_bytes([bytes[0], bytes[1]]), 1013, "{reason}");
                assert!(reason.contains("slow") && reason.contains("resume"), "{reason}");
                return (numbers, cursor);
            }
            let message: Value = serde_json::from_slice(&bytes).unwrap();
            let payload = &message["payload"];
            numbers.push(payload["data"]["messages"]["payload"][0].as_u64().unwrap());
            payload["extensions"]["cursor"].as_str().unwrap().clone_into(&mut cursor);
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_costs_only_itself() {
    const STALLED: usize = 10;
    const HEALTHY: usize = 20;
    const MEASURED: u64 = 300;
    let outbox = format!("limits.outbox_bytes={OUTBOX_BYTES}");
    let broker = Broker::with(&[&outbox, "keep.bytes=64MiB", "keep.last=100000"]);
    let (mut publisher, mut admin) = (broker.peer().await, broker.peer().await);
    let started = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(4));

    let healthy = Healthy::subscribe(&broker, HEALTHY, MEASURED, started).await;
    for number in 0..MEASURED {
        pace.tick().await;
        publisher.publish("feed", payload(number, started)).await;
    }
    let alone = healthy.p99().await;

    let mut stalled_ones = HashMap::new();
    let mut readers = Vec::new();
    for _ in 0..STALLED {
        let (raw, id) = stalled(&broker, "feed").await;
        let (tell, told) = oneshot::channel();
        readers.push(read_when_told(raw, told));
        stalled_ones.insert(id, tell);
    }
    let before = broker.resident_bytes();
    let healthy = Healthy::subscribe(&broker, HEALTHY, MEASURED, started).await;
    let (mut count, mut outbox_bytes, mut resident) = (0, 0, 0);
    while count < MEASURED || !stalled_ones.is_empty() {
        assert!(count < 20_000, "still not closed after {count} messages");
        pace.tick().await;
        publisher.publish("feed", payload(MEASURED + count, started)).await;
        count += 1;
        if count % 10 == 0 {
            resident = resident.max(broker.resident_bytes());
            let metrics = Metrics::of(&broker).await;
            outbox_bytes = outbox_bytes.max(metrics.count("tidings_outbox_bytes"));
            let open = subscriptions(&mut admin).await;
            let is_over = |id: &String| open.get(id).is_none_or(|count| *count == 0);
            let over: Vec<String> = stalled_ones.keys().filter(|id| is_over(id)).cloned().collect();
            for tell in over.iter().filter_map(|id| stalled_ones.remove(id)) {
                tell.send(()).unwrap();
            }
        }
    }
    let beside = healthy.p99().await;
    let grown = resident.saturating_sub(before);
    println!(
        "p99 alone {alone:.1?}, beside {STALLED} that do not read {beside:.1?}; {count} \
         messages; most in outboxes {outbox_bytes} B; resident memory grew by {} KiB",
        grown >> 10
    );
    let entry = PAYLOAD_BYTES as u64 + 1024;
    // At most an outbox for each, what is kept of the topic, and some air.
    let outboxes = (STALLED + HEALTHY) as u64 * (OUTBOX_BYTES + entry);
    assert!(outbox_bytes > OUTBOX_BYTES / 2, "nobody was slow: {outbox_bytes}");
    assert!(outbox_bytes < outboxes, "{outbox_bytes}, over {outboxes}");
    let bound = outboxes + count * entry + (16 << 20);
    assert!(grown < bound, "{grown} bytes more, over {bound}");
    let metrics = Metrics::of(&broker).await;
    assert_eq!(metrics.count("tidings_closed_total{code=\"1013\"}"), STALLED as u64);
    assert!(beside < Duration::from_secs(5), "{beside:?}");

    for reader in readers {
        let (numbers, cursor) = reader.await.unwrap();
        let read = numbers.len() as u64;
        assert!(numbers.into_iter().eq(MEASURED..MEASURED + read));
        follows(&mut admin, &cursor, MEASURED + read..MEASURED + count).await;
    }
}

/// Who resumes from the cursor gets these numbers and misses none.
async fn follows(peer: &mut Peer, cursor: &str, numbers: std::ops::Range<u64>) {
    let id = peer.follow(&format!("topics: \"feed\", after: {cursor:?}")).await;
    for number in numbers {
        assert_eq!(peer.next_message(&id).await["payload"][0], number);
    }
    peer.send(&json!({"id": id, "type": "complete"})).await;
}

/// Reads everything that waits, up to the message that says it is the last. Returns how many came,
/// how many were said to be dropped, and the last number of each key.
async fn read_all(raw: &mut Raw) -> (u64, u64, HashMap<String, u64>) {
    let (mut count, mut dropped, mut last) = (0, 0, HashMap::new());
    loop {
        let message: Value = serde_json::from_str(&raw.text().await).unwrap();
        let payload = &message["payload"];
        count += 1;
        dropped += payload["extensions"]["dropped"].as_u64().unwrap_or(0);
        let found = &payload["data"]["messages"];
        let number = found["payload"][0].as_u64().unwrap();
        let key = found["key"].as_str().unwrap();
        if key == "end" {
            return (count, dropped, last);
        }
        let before = last.insert(key.to_owned(), number);
        assert!(before.is_none_or(|before| before < number), "{key} went back: {message}");
    }
}

/// Feeds a client that does not read until it has lost messages and some more; then it reads.
async fn lossy(overflow: &str) -> (u64, u64, u64, HashMap<String, u64>) {
    const KEYS: u64 = 10;
    let rule = format!("topics=[{{match = \"lossy.>\", overflow = \"{overflow}\"}}]");
    let outbox = format!("limits.outbox_bytes={OUTBOX_BYTES}");
    let broker = Broker::with(&[&outbox, &rule]);
    let (mut publisher, mut admin) = (broker.peer().await, broker.peer().await);
    let (mut raw, id) = stalled(&broker, "lossy.>").await;
    let started = Instant::now();
    let mut sent = 0;
    let dropped = format!("tidings_dropped_total{{policy=\"{}\"}}", overflow.to_lowercase());
    wait::until("messages are dropped", async || {
        for _ in 0..100 {
            let key = format!("k{}", sent % KEYS);
            let payload = payload(sent, started);
            publisher
                .publish_item(json!({"topic": "lossy.a", "payload": payload, "key": key}))
                .await;
            sent += 1;
        }
        assert_eq!(subscriptions(&mut admin).await[&id], 1, "it was disconnected");
        (Metrics::of(&broker).await.count(&dropped) >= 300).then_some(())
    })
    .await;
    let end = json!({"topic": "lossy.a", "payload": payload(sent, started), "key": "end"});
    publisher.publish_item(end).await;
    let (came, told, last) = read_all(&mut raw).await;
    println!("{overflow}: of {sent} came {came}, {told} were dropped");
    for key in 0..KEYS {
        // The newest of each key was sent among the last ten.
        let newest = last[&format!("k{key}")];
        assert!(overflow != "CONFLATE" || newest >= sent - KEYS, "k{key}: {newest}");
    }
    (sent + 1, came, told, last)
}

#[tokio::test]
async fn drop_oldest_counts_what_is_missing() {
    let (published, count, told, last) = lossy("DROP_OLDEST").await;
    assert_eq!(published, count + told);
    assert_eq!(last.values().max(), Some(&(published - 2)), "the newest is not the last");
}

#[tokio::test]
async fn conflate_counts_what_newer_ones_have_replaced() {
    let (published, count, told, _) = lossy("CONFLATE").await;
    assert_eq!(published, count + told);
}

#[tokio::test]
async fn resuming_on_a_conflated_topic_counts_what_was_replaced_meanwhile() {
    let rule = "topics=[{match = \"now.*\", overflow = \"CONFLATE\", keep = {last = 1}}]";
    let broker = Broker::with(&[rule]);
    let mut peer = Peer::connect_with(broker.address, &json!({"resume": true})).await;
    let mut cursors = Vec::new();
    for number in 0..10 {
        cursors.push(peer.publish("now.a", number).await["cursor"].clone());
    }
    let query = "subscription { messages(topics: \"now.*\") { payload } }";
    let payload = json!({"query": query, "extensions": {"after": cursors[2]}});
    let id = peer.start_with(payload).await;
    let expected = json!({"data": {"messages": {"payload": 9}},
        "extensions": {"cursor": cursors[9], "dropped": 6}});
    assert_eq!(peer.next(&id).await, expected);
    peer.publish("now.a", 10).await;
    let next = peer.next(&id).await;
    assert_eq!(next["data"]["messages"]["payload"], 10);
    assert_eq!(next["extensions"].get("dropped"), None, "{next}");
}
