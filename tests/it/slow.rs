//! Subscribers slower than their feed: they alone pay for it, and what they miss is counted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::harness::broker::Broker;
use crate::harness::metrics::Metrics;
use crate::harness::peer::Peer;
use crate::harness::raw::{Raw, TEXT, frame, request, subscribe};
use crate::harness::wait;

const JSON: &str = "application/json";
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

/// What the broker has on its books for a connection.
struct Book {
    subscriptions: u64,
    outbox_bytes: u64,
    dropped: u64,
}

async fn books(admin: &mut Peer) -> HashMap<String, Book> {
    let query = "{ connections(first: 1000) { nodes { id subscriptions outboxBytes dropped } } }";
    let data = admin.ask(query, json!({})).await;
    let nodes = data["connections"]["nodes"].as_array().unwrap();
    let book = |node: &Value| {
        let number = |name: &str| node[name].as_u64().unwrap();
        let (subscriptions, outbox_bytes) = (number("subscriptions"), number("outboxBytes"));
        Book { subscriptions, outbox_bytes, dropped: number("dropped") }
    };
    nodes.iter().map(|node| (node["id"].as_str().unwrap().to_owned(), book(node))).collect()
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

/// Clients that do not read until the broker has given them up.
#[derive(Default)]
struct Crowd {
    waiting: HashMap<String, oneshot::Sender<()>>,
    readers: Vec<JoinHandle<(Vec<u64>, String)>>,
}

impl Crowd {
    async fn gather(broker: &Broker, count: usize) -> Self {
        let mut crowd = Self::default();
        for _ in 0..count {
            let (raw, id) = stalled(broker, "feed").await;
            let (tell, told) = oneshot::channel();
            crowd.readers.push(read_when_told(raw, told));
            crowd.waiting.insert(id, tell);
        }
        crowd
    }

    /// Lets those read whose connection has ended.
    fn release(&mut self, books: &HashMap<String, Book>) {
        let is_over = |id: &String| books.get(id).is_none_or(|book| book.subscriptions == 0);
        let over: Vec<String> = self.waiting.keys().filter(|id| is_over(id)).cloned().collect();
        for tell in over.iter().filter_map(|id| self.waiting.remove(id)) {
            tell.send(()).unwrap();
        }
    }
}

/// What a crowd cost the broker.
#[derive(Debug, Default)]
struct Cost {
    messages: u64,
    /// The most that waited for one connection.
    outbox_bytes: u64,
    resident_bytes: u64,
}

/// Feeds everybody, with numbers from `first` on, until nobody of the crowd is connected any more.
async fn feed_until_closed(
    broker: &Broker,
    crowd: &mut Crowd,
    first: u64,
    started: Instant,
) -> Cost {
    let (mut publisher, mut admin) = (broker.peer().await, broker.peer().await);
    let mut pace = tokio::time::interval(PAUSE);
    let mut cost = Cost::default();
    while cost.messages < MEASURED || !crowd.waiting.is_empty() {
        assert!(cost.messages < 20_000, "still not closed: {cost:?}");
        pace.tick().await;
        publisher.publish("feed", payload(first + cost.messages, started)).await;
        cost.messages += 1;
        if cost.messages % 10 == 0 {
            let books = books(&mut admin).await;
            for book in books.values() {
                cost.outbox_bytes = cost.outbox_bytes.max(book.outbox_bytes);
            }
            cost.resident_bytes = cost.resident_bytes.max(broker.resident_bytes());
            crowd.release(&books);
        }
    }
    cost
}

const STALLED: usize = 10;
const HEALTHY: usize = 20;
const MEASURED: u64 = 300;
/// Between two messages: 2 MiB a second.
const PAUSE: Duration = Duration::from_millis(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_reading_costs_only_itself() {
    let outbox = format!("limits.outbox_bytes={OUTBOX_BYTES}");
    let broker = Broker::with(&[&outbox, "keep.bytes=64MiB", "keep.last=100000"]);
    let mut peer = broker.peer().await;
    let started = Instant::now();
    let healthy = Healthy::subscribe(&broker, HEALTHY, MEASURED, started).await;
    // Fed and looked at in the same way, so that only the crowd makes a difference.
    feed_until_closed(&broker, &mut Crowd::default(), 0, started).await;
    let alone = healthy.p99().await;

    let mut crowd = Crowd::gather(&broker, STALLED).await;
    let before = broker.resident_bytes();
    let healthy = Healthy::subscribe(&broker, HEALTHY, MEASURED, started).await;
    let cost = feed_until_closed(&broker, &mut crowd, MEASURED, started).await;
    let beside = healthy.p99().await;
    let grown = cost.resident_bytes.saturating_sub(before);
    println!(
        "p99 alone {alone:.1?}, beside {STALLED} that do not read {beside:.1?}; {} messages; most \
         in an outbox {} KiB; resident memory grew by {} KiB",
        cost.messages,
        cost.outbox_bytes >> 10,
        grown >> 10
    );
    let entry = PAYLOAD_BYTES as u64 + 1024;
    assert!(cost.outbox_bytes > OUTBOX_BYTES / 2, "nobody was slow: {cost:?}");
    assert!(cost.outbox_bytes <= OUTBOX_BYTES, "{cost:?}");
    // An outbox for each, what is kept of the topic, and some air.
    let outboxes = (STALLED + HEALTHY) as u64 * OUTBOX_BYTES;
    let bound = outboxes + cost.messages * entry + (16 << 20);
    assert!(grown < bound, "{grown} bytes more, over {bound}");
    assert!(beside < Duration::from_secs(5), "{beside:?}");
    let metrics = Metrics::of(&broker).await;
    assert_eq!(metrics.count("tidings_closed_total{code=\"1013\"}"), STALLED as u64);

    for reader in crowd.readers {
        let (numbers, cursor) = reader.await.unwrap();
        let read = numbers.len() as u64;
        assert!(numbers.into_iter().eq(MEASURED..MEASURED + read));
        // It resumes, and nothing is missing.
        let id = peer.follow(&format!("topics: \"feed\", after: {cursor:?}")).await;
        for number in MEASURED + read..MEASURED + cost.messages {
            assert_eq!(peer.next_message(&id).await["payload"][0], number);
        }
        peer.send(&json!({"id": id, "type": "complete"})).await;
    }
    wait::until("nothing waits", async || {
        (Metrics::of(&broker).await.count("tidings_outbox_bytes") == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_kernel_holds_little_for_a_client_that_does_not_read() {
    let outbox = format!("limits.outbox_bytes={OUTBOX_BYTES}");
    let broker = Broker::with(&[&outbox]);
    let (_raw, id) = stalled(&broker, "feed").await;
    let (mut publisher, mut admin) = (broker.peer().await, broker.peer().await);
    let started = Instant::now();
    let mut sent = 0;
    wait::until("it is closed", async || {
        publisher.publish("feed", payload(sent, started)).await;
        sent += 1;
        books(&mut admin).await.get(&id).is_none_or(|book| book.subscriptions == 0).then_some(())
    })
    .await;
    // Its outbox, as much in the kernel on our side, and the narrow window on its own.
    let bytes = sent * PAYLOAD_BYTES as u64;
    println!("closed after {} KiB", bytes >> 10);
    assert!(bytes < 2 * OUTBOX_BYTES, "{bytes} bytes were taken for it");
}

#[tokio::test]
async fn an_answer_over_http_that_nobody_reads_is_given_up() {
    let broker = Broker::with(&["limits.idle_timeout=1s", "keep.bytes=64MiB"]);
    let idle = broker.open_files();
    let mut publisher = broker.peer().await;
    for number in 0..500 {
        publisher.publish("long", payload(number, Instant::now())).await;
    }
    drop(publisher);
    wait::until("the publisher is gone", async || (broker.open_files() <= idle).then_some(()))
        .await;
    let mut raw = Raw::connect_narrow(broker.address).await;
    let body = r#"{"query":"{ history(topics: \">\", first: 500) { nodes { payload } } }"}"#;
    let length = ("Content-Length", body.len().to_string());
    let lines = [("Host", "localhost".to_owned()), length, ("Content-Type", JSON.to_owned())];
    raw.write(format!("{}{body}", request("POST /graphql HTTP/1.1", &lines)).as_bytes()).await;
    wait::until("it is accepted", async || (broker.open_files() > idle).then_some(())).await;
    wait::until("it is given up", async || (broker.open_files() <= idle).then_some(())).await;
    assert!(raw.stream.peek(&mut [0]).await.unwrap() > 0, "there was an answer");
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
    let dropped = wait::until("messages are dropped", async || {
        for _ in 0..100 {
            let key = format!("k{}", sent % KEYS);
            let payload = payload(sent, started);
            publisher
                .publish_item(json!({"topic": "lossy.a", "payload": payload, "key": key}))
                .await;
            sent += 1;
        }
        let book = &books(&mut admin).await[&id];
        assert_eq!(book.subscriptions, 1, "it was disconnected");
        assert!(book.outbox_bytes <= OUTBOX_BYTES, "{} wait", book.outbox_bytes);
        (book.dropped >= 300).then_some(book.dropped)
    })
    .await;
    let series = format!("tidings_dropped_total{{policy=\"{}\"}}", overflow.to_lowercase());
    assert_eq!(Metrics::of(&broker).await.count(&series), dropped);
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
