//! Subscriptions that want less: so often a second, or only what is different.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::Peer;

const BURST: u64 = 60;

/// Publishes to three keys in turn.
async fn burst(peer: &mut Peer, topic: &str) {
    for number in 0..BURST {
        let key = ["a", "b", "c"][usize::try_from(number % 3).unwrap()];
        peer.publish_item(json!({"topic": topic, "payload": number, "key": key})).await;
    }
}

/// Reads until each of the three keys has shown its newest; every arrival with its time.
async fn read_to_the_newest(peer: &mut Peer, id: &str) -> Vec<(Value, Instant)> {
    let mut results = Vec::new();
    let mut left: Vec<u64> = vec![BURST - 3, BURST - 2, BURST - 1];
    while !left.is_empty() {
        let result = peer.next(id).await;
        let number = result["data"]["messages"]["payload"].as_u64().unwrap();
        left.retain(|newest| *newest != number);
        results.push((result, Instant::now()));
    }
    results
}

#[tokio::test]
async fn a_key_comes_at_most_so_often_and_ends_on_its_newest() {
    const INTERVAL: Duration = Duration::from_millis(500);
    let broker = Broker::start();
    let (mut peer, mut publisher) = (broker.peer().await, broker.peer().await);
    let id = peer.follow("topics: \"pace\", maxPerSecond: 2").await;
    peer.settle().await;
    burst(&mut publisher, "pace").await;
    let results = read_to_the_newest(&mut peer, &id).await;
    let dropped: u64 = results
        .iter()
        .map(|(result, _)| result["extensions"]["dropped"].as_u64().unwrap_or(0))
        .sum();
    assert_eq!(dropped + results.len() as u64, BURST, "what did not come was not counted");
    for key in ["a", "b", "c"] {
        let own = results.iter().filter(|(result, _)| result["data"]["messages"]["key"] == key);
        let own: Vec<&(Value, Instant)> = own.collect();
        let number = |at: usize| own[at].0["data"]["messages"]["payload"].as_u64().unwrap();
        assert!(number(0) < 3, "the first one of {key} need not wait");
        for (at, pair) in own.windows(2).enumerate() {
            assert!(number(at) < number(at + 1), "{key} went back");
            // The clocks of both sides stand between the two.
            let apart = pair[1].1 - pair[0].1;
            assert!(apart > INTERVAL / 2, "{key} after {apart:?}");
        }
    }
    // After a rest the next one comes at once and has nothing to report.
    publisher.publish_item(json!({"topic": "pace", "payload": 1000, "key": "new"})).await;
    let result = peer.next(&id).await;
    assert_eq!(result["data"]["messages"]["payload"], 1000);
    assert_eq!(result.get("extensions"), None, "{result}");
}

#[tokio::test]
async fn a_fraction_is_a_rate_and_an_end_stops_what_waits() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let slow = peer.follow("topics: \"frac\", maxPerSecond: 0.01").await;
    let fast = peer.follow("topics: \"frac\", maxPerSecond: 1000000").await;
    for number in 0..5 {
        peer.publish("frac", number).await;
    }
    assert_eq!(peer.next_message(&slow).await["payload"], 0);
    let mut newest = peer.next_message(&fast).await["payload"].clone();
    while newest != 4 {
        newest = peer.next_message(&fast).await["payload"].clone();
    }
    peer.send(&json!({"id": slow, "type": "complete"})).await;
    peer.settle().await;
    assert_eq!(peer.unheard(), 0);
}

#[tokio::test]
async fn without_keys_the_topic_is_the_key() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"t.*\", maxPerSecond: 0.01").await;
    for number in 0..9 {
        peer.publish(&format!("t.{}", number % 3), number).await;
    }
    for number in 0..3 {
        assert_eq!(peer.next_message(&id).await["payload"], number);
    }
    peer.settle().await;
    assert_eq!(peer.unheard(), 0);
}

#[tokio::test]
async fn resuming_goes_through_the_pace_as_well() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    burst(&mut peer, "replay").await;
    let id = peer.follow("topics: \"replay\", after: \"earliest\", maxPerSecond: 5").await;
    let results = read_to_the_newest(&mut peer, &id).await;
    let dropped: u64 = results
        .iter()
        .map(|(result, _)| result["extensions"]["dropped"].as_u64().unwrap_or(0))
        .sum();
    assert_eq!(dropped + results.len() as u64, BURST);
    assert!(results.len() < 20, "{} came", results.len());
}

#[tokio::test]
async fn distinct_passes_over_what_looks_the_same() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let query = |fields: &str| {
        format!("subscription {{ messages(topics: \"d\", distinct: true) {{ {fields} }} }}")
    };
    let payload = peer.start(&query("payload"), json!({})).await;
    let both = peer.start(&query("payload headers"), json!({})).await;
    let cursor = peer.start(&query("payload cursor"), json!({})).await;
    peer.settle().await;
    let item = |payload: Value, key: &str, header: &str| {
        let headers = json!({"h": header});
        json!({"topic": "d", "payload": payload, "key": key, "headers": headers})
    };
    let items = [
        (item(json!(1), "a", "x"), true, true),
        (item(json!(1), "a", "x"), false, false),
        (item(json!(1), "a", "y"), false, true),
        (item(json!(1), "b", "y"), true, true),
        (item(json!(2), "a", "y"), true, true),
        (item(json!(1), "b", "y"), false, false),
        (item(json!(1), "a", "y"), true, true),
        (item(json!({"n": 1}), "a", "y"), true, true),
        (item(json!({"n": 1}), "a", "y"), false, false),
    ];
    for (item, new, new_with_headers) in &items {
        peer.publish_item(item.clone()).await;
        let seen = peer.next_message(&cursor).await;
        assert_eq!(seen["payload"], item["payload"], "a cursor is never the same");
        if *new {
            assert_eq!(peer.next_message(&payload).await["payload"], item["payload"], "{item}");
        }
        if *new_with_headers {
            assert_eq!(peer.next_message(&both).await["headers"], item["headers"], "{item}");
        }
        peer.settle().await;
        assert_eq!(peer.unheard(), 0, "after {item}");
    }
}

#[tokio::test]
async fn distinct_is_by_subscription_and_counts_no_loss() {
    let broker = Broker::start();
    let mut peer = Peer::connect_with(broker.address, &json!({"resume": true})).await;
    let query = "subscription { messages(topics: \"u\", distinct: true) { payload } }";
    let early = peer.start(query, json!({})).await;
    peer.publish("u", "same").await;
    assert_eq!(peer.next_message(&early).await["payload"], "same");
    let late = peer.start(query, json!({})).await;
    peer.publish("u", "same").await;
    assert_eq!(peer.next_message(&late).await["payload"], "same");
    peer.publish("u", "other").await;
    for id in [&early, &late] {
        let result = peer.next(id).await;
        assert_eq!(result["data"]["messages"]["payload"], "other");
        // It has the cursor that a client resumes with, and reports nothing as dropped.
        assert_eq!(result["extensions"].as_object().unwrap().len(), 1, "{result}");
    }
}

#[tokio::test]
async fn a_resume_gets_what_was_held_back_when_the_connection_broke() {
    let broker = Broker::start();
    let resuming = json!({"resume": true});
    let mut publisher = broker.peer().await;
    let mut peer = Peer::connect_with(broker.address, &resuming).await;
    let id = peer.follow("topics: \"held.*\", maxPerSecond: 0.01").await;
    peer.settle().await;
    // The second value of a is held back, and b comes before it.
    let mut cursors = Vec::new();
    for (key, number) in [("a", 1), ("a", 2), ("b", 3)] {
        let topic = format!("held.{key}");
        cursors.push(publisher.publish(&topic, number).await["cursor"].clone());
    }
    let mut position = Value::Null;
    for expected in [1, 3] {
        let result = peer.next(&id).await;
        assert_eq!(result["data"]["messages"]["payload"], expected);
        position = result["extensions"]["cursor"].clone();
    }
    assert_eq!(position, cursors[0], "what is held back lies behind the position");
    drop(peer);
    let mut peer = Peer::connect_with(broker.address, &resuming).await;
    let query = "subscription { messages(topics: \"held.*\") { payload } }";
    let id = peer.start_with(json!({"query": query, "extensions": {"after": position}})).await;
    for expected in [2, 3] {
        assert_eq!(peer.next(&id).await["data"]["messages"]["payload"], expected);
    }
}
