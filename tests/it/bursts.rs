//! Much at once, by clients that do read: nobody who keeps up is taken for slow.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::Peer;
use crate::harness::raw::{Raw, subscribe};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_reads_survives_a_burst_beyond_its_outbox() {
    // More than an outbox takes, and no more than it and the kernel take for a reader that has not
    // had its turn yet: 300 times 240 bytes.
    const MESSAGES: usize = 2_300;
    let broker = Broker::with(&["limits.outbox_messages=2000", "keep.last=100000"]);
    let address = broker.address;
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut peer = broker.peer().await;
        let id = peer.follow("topics: \"burst\"").await;
        peer.settle().await;
        readers.push(tokio::spawn(async move {
            for number in 0..MESSAGES {
                assert_eq!(peer.next_message(&id).await["payload"], number);
            }
        }));
    }
    let items: Vec<Value> =
        (0..MESSAGES).map(|n| json!({"topic": "burst", "payload": n})).collect();
    let mut publisher = Peer::connect(address).await;
    let query = "mutation ($m: [PublishInput!]!) { publishMany(messages: $m) { cursor } }";
    let data = publisher.ask(query, json!({"m": items})).await;
    assert_eq!(data["publishMany"].as_array().unwrap().len(), MESSAGES);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// Events that come together are delivered together where their feeds are the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_at_once_reaches_each_subscription_in_its_order() {
    const MESSAGES: u64 = 200;
    /// Arguments of a subscription, and which messages it wants.
    type Wish = (&'static str, fn(u64) -> bool);
    const WISHES: [Wish; 6] = [
        ("topics: \"at.once.>\"", |_| true),
        ("topics: \"at.once.b\"", |n| n % 10 == 9),
        ("topics: \"at.once.*\", where: {path: \"/n\", gt: 50}", |n| n > 50),
        ("topics: [\"at.once.a\", \"other\"], where: {path: \"/even\", eq: true}", |n| {
            n % 10 != 9 && n % 2 == 0
        }),
        ("topics: \"at.once.*\", maxPerSecond: 1000000", |_| true),
        ("topics: \"at.once.*\", after: \"earliest\"", |_| true),
    ];
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let mut ids = Vec::new();
    for (wish, _) in WISHES {
        ids.push(peer.follow(wish).await);
    }
    peer.settle().await;
    let item = |n: u64| {
        let topic = if n % 10 == 9 { "at.once.b" } else { "at.once.a" };
        // Of keys that come once, pace holds nothing back.
        let payload = json!({"n": n, "even": n.is_multiple_of(2)});
        json!({"topic": topic, "key": n.to_string(), "payload": payload})
    };
    let items: Vec<Value> = (0..MESSAGES).map(item).collect();
    let query = "mutation ($m: [PublishInput!]!) { publishMany(messages: $m) { cursor } }";
    broker.peer().await.ask(query, json!({"m": items})).await;
    for (id, (wish, is_wanted)) in ids.iter().zip(WISHES) {
        for n in (0..MESSAGES).filter(|n| is_wanted(*n)) {
            assert_eq!(peer.next_message(id).await["payload"]["n"], n, "{wish}");
        }
    }
    assert_eq!(peer.unheard(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_resumes_far_behind_is_served_at_its_own_pace() {
    const MESSAGES: usize = 3_000;
    let keep = ["keep.last=100000", "keep.bytes=256MiB", "limits.outbox_bytes=128KiB"];
    let broker = Broker::with(&keep);
    let mut publisher = broker.peer().await;
    let payload = |number: usize| json!([number, "x".repeat(8 << 10)]);
    for number in 0..MESSAGES {
        publisher.publish("far", payload(number)).await;
    }
    let before = broker.resident_bytes();
    let mut raw = Raw::connect_narrow(broker.address).await.acknowledged().await;
    let query = "subscription { messages(topics: \"far\", after: \"earliest\") { payload } }";
    raw.write(&subscribe("1", query, "{}")).await;
    let mut most = 0;
    for number in 0..MESSAGES + 500 {
        // While it catches up, more is published.
        if number < 500 {
            publisher.publish("far", payload(MESSAGES + number)).await;
        }
        let expected = format!(r#""payload":[{number},"#);
        let text = raw.text().await;
        assert!(text.contains(&expected), "{number}: {}", &text[..100]);
        if number % 100 == 0 {
            most = most.max(broker.resident_bytes().saturating_sub(before));
        }
    }
    println!("24 MiB caught up with; resident memory grew by {} KiB", most >> 10);
    // Not what lies before the client: the encodings that are shared (32 MiB), the 500 that are
    // kept as well, an outbox, and some air.
    assert!(most < (32 << 20) + ((500 * 9) << 10) + (16 << 20), "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_publishers_with_the_same_id_is_the_first() {
    let broker = Broker::start();
    let mut publishers = Vec::new();
    for number in 0..50 {
        let mut peer = broker.peer().await;
        publishers.push(tokio::spawn(async move {
            peer.publish_item(json!({"topic": "one", "payload": number, "id": "same"})).await
        }));
    }
    let mut receipts = Vec::new();
    for publisher in publishers {
        receipts.push(publisher.await.unwrap());
    }
    let firsts = receipts.iter().filter(|receipt| receipt["duplicate"] == false).count();
    assert_eq!(firsts, 1);
    assert!(receipts.iter().all(|receipt| receipt["cursor"] == receipts[0]["cursor"]));
    let mut peer = broker.peer().await;
    let data = peer.ask("{ topic(name: \"one\") { messages } }", json!({})).await;
    assert_eq!(data["topic"]["messages"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_pipeline_queries_whose_answers_are_large() {
    const QUERIES: usize = 500;
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    for number in 0..50 {
        peer.publish("page", json!([number, "x".repeat(2000)])).await;
    }
    let raw = Raw::connect(broker.address).await.acknowledged().await;
    let (mut reader, mut writer) = raw.split();
    let query = "{ history(topics: \"page\", last: 50) { nodes { payload } } }";
    let bytes: Vec<u8> =
        (0..QUERIES).flat_map(|number| subscribe(&number.to_string(), query, "{}")).collect();
    let started = Instant::now();
    let writing = tokio::spawn(async move { writer.write(&bytes).await });
    let (mut results, mut bytes) = (0, 0);
    while results < QUERIES {
        let text = reader.text().await;
        bytes += text.len();
        results += usize::from(text.contains(r#""type":"complete""#));
    }
    writing.await.unwrap();
    println!("{} MiB of answers in {:.1?}", bytes >> 20, started.elapsed());
}
