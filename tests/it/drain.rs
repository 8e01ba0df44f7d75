//! Ending: signals, draining, and connections that an administrator ends.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::broker::Broker;
use crate::harness::http;
use crate::harness::peer::{Heard, LEGACY_WS, Peer};
use crate::harness::raw::{CLOSE, Raw, TEXT, frame, handshake, subscribe};
use crate::harness::wait;

async fn ready(broker: &Broker) -> u16 {
    http::fetch(broker.admin, "GET", "/readyz", &[], "").await.status
}

/// Waits until the broker says that it drains.
async fn draining(broker: &Broker) {
    wait::until("it drains", async || (ready(broker).await == 503).then_some(())).await;
}

#[tokio::test]
async fn a_drain_closes_everybody_in_time_and_not_at_once() {
    const CLIENTS: usize = 20;
    const WITHIN: Duration = Duration::from_secs(2);
    let mut broker = Broker::with(&["limits.drain_timeout=2s"]);
    assert_eq!(ready(&broker).await, 200);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut peer = broker.peer().await;
        peer.follow("topics: \"d\"").await;
        peer.settle().await;
        clients.spawn(async move {
            let closed = peer.closed().await;
            (closed, Instant::now())
        });
    }
    let mut publisher = broker.peer().await;
    publisher.publish("d", 1).await;
    let started = Instant::now();
    broker.signal("TERM");
    draining(&broker).await;
    // New ones are sent away while it drains.
    let refused = Raw::connect(broker.address).await.ask(&handshake()).await;
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    mutations_are_refused(&broker).await;
    let mut ends = Vec::new();
    while let Some(client) = clients.join_next().await {
        let ((code, reason), end) = client.unwrap();
        assert_eq!(code, 1012);
        assert!(reason.contains("restart"), "{reason}");
        ends.push(end - started);
    }
    drop(publisher);
    let status = broker.exit().await;
    let took = started.elapsed();
    ends.sort();
    println!("closed from {:.1?} to {:.1?}, gone after {took:.1?}", ends[0], ends[CLIENTS - 1]);
    assert_eq!(status.code(), Some(0));
    // Spread over the time: no stampede.
    let spread = ends[CLIENTS - 1].abs_diff(ends[0]);
    assert!(spread > WITHIN / 4, "all of them within {spread:?}");
    assert!(ends[CLIENTS - 1] < WITHIN + Duration::from_secs(2), "{:?}", ends[CLIENTS - 1]);
}

/// Over HTTP, where nobody is told that the broker goes; queries are answered still.
async fn mutations_are_refused(broker: &Broker) {
    let ask = async |query: &str| {
        let body = json!({ "query": query }).to_string();
        let headers = [("content-type", "application/json")];
        http::fetch(broker.address, "POST", "/graphql", &headers, &body).await
    };
    let refused = ask("mutation { publish(topic: \"d\", payload: 2) { topic } }").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"));
    let answer: Value = serde_json::from_str(&refused.body).unwrap();
    let extensions = &answer["errors"][0]["extensions"];
    assert_eq!(*extensions, json!({"code": "UNAVAILABLE", "outcome": "refused"}));
    let known = ask("{ topic(name: \"d\") { messages } }").await;
    assert_eq!(known.status, 200);
    assert!(known.body.contains("\"messages\":1"), "{}", known.body);
}

#[tokio::test]
async fn without_clients_it_is_gone_at_once() {
    for signal in ["TERM", "INT"] {
        let mut broker = Broker::with(&["limits.drain_timeout=1h"]);
        broker.signal(signal);
        assert_eq!(broker.exit().await.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "TERM"), ("TERM", "INT")] {
        let mut broker = Broker::with(&["limits.drain_timeout=1h"]);
        let mut peers = Vec::new();
        for _ in 0..20 {
            peers.push(broker.peer().await);
        }
        broker.signal(first);
        draining(&broker).await;
        assert!(!broker.is_gone(), "it did not wait for anybody");
        broker.signal(second);
        assert_eq!(broker.exit().await.code(), Some(0), "{first} {second}");
        let mut last = peers.pop().unwrap();
        assert!(matches!(last.hear().await, Heard::Gone | Heard::Closed(1012, _)));
    }
}

#[tokio::test]
async fn clients_that_do_not_answer_do_not_hold_it_up() {
    let mut broker = Broker::with(&["limits.drain_timeout=1s"]);
    // One that never reads, one in the middle of a frame, one without a subscription to its name.
    let deaf = Raw::connect_narrow(broker.address).await.acknowledged().await;
    let mut half = Raw::connect(broker.address).await.acknowledged().await;
    half.write(&frame(TEXT, b"{\"type\":\"ping\"}")[..4]).await;
    let open = Raw::connect(broker.address).await;
    let started = Instant::now();
    broker.signal("TERM");
    assert_eq!(broker.exit().await.code(), Some(0));
    println!("gone after {:.1?}", started.elapsed());
    assert_eq!(half.closed().await.0, 1012);
    drop((deaf, open));
}

#[tokio::test]
async fn what_is_acknowledged_before_the_end_was_delivered() {
    let mut broker = Broker::with(&["limits.drain_timeout=1s"]);
    let (mut subscriber, mut publisher) = (broker.peer().await, broker.peer().await);
    let id = subscriber.follow("topics: \"end\"").await;
    subscriber.settle().await;
    for number in 0..200 {
        publisher.publish("end", number).await;
    }
    broker.signal("TERM");
    for number in 0..200 {
        assert_eq!(subscriber.next_message(&id).await["payload"], number);
    }
    assert_eq!(subscriber.closed().await.0, 1012);
    drop(publisher);
    assert_eq!(broker.exit().await.code(), Some(0));
}

const DISCONNECT: &str = "mutation ($c: String, $s: String, $r: String) {
    disconnect(connection: $c, subject: $s, reason: $r)
}";

#[tokio::test]
async fn an_administrator_ends_one_connection() {
    let broker = Broker::start();
    let (mut admin, mut one, mut other) =
        (broker.peer().await, broker.peer().await, broker.peer().await);
    let listed = admin
        .ask("{ connections { totalCount nodes { id remote protocol since subject } } }", json!({}))
        .await;
    let connections = &listed["connections"];
    assert_eq!(connections["totalCount"], 3);
    let found: Vec<_> = connections["nodes"].as_array().unwrap().iter().collect();
    assert!(found.iter().any(|node| node["id"] == one.id()));
    assert!(found.iter().all(|node| node["remote"] == "127.0.0.1"));
    assert!(found.iter().all(|node| node["protocol"] == "graphql-transport-ws"));

    let ended = admin.ask(DISCONNECT, json!({"c": one.id(), "r": "abuse of the café"})).await;
    assert_eq!(ended["disconnect"], 1);
    assert_eq!(one.closed().await, (1008, "abuse of the café".to_owned()));
    assert_eq!(one.hear().await, Heard::Gone);
    let again = admin.ask(DISCONNECT, json!({"c": one.id()})).await;
    assert_eq!(again["disconnect"], 0);
    other.settle().await;
    for nobody in [json!({"c": "no such id"}), json!({"s": "nobody"})] {
        assert_eq!(admin.ask(DISCONNECT, nobody).await["disconnect"], 0);
    }
    let result = admin.run(DISCONNECT, json!({})).await;
    assert_eq!(result["errors"][0]["extensions"]["code"], "BAD_ARGUMENT");

    // A reason has to fit into a close frame.
    let long = "é".repeat(200);
    admin.ask(DISCONNECT, json!({"c": other.id(), "r": long})).await;
    let (code, reason) = other.closed().await;
    assert_eq!(code, 1008);
    assert!((100..=123).contains(&reason.len()) && long.starts_with(&reason), "{reason}");

    // Itself, after its answer or before.
    let id = admin.id().to_owned();
    admin.start(DISCONNECT, json!({"c": id})).await;
    let (code, reason) = admin.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "disconnected by an administrator"));
}

#[tokio::test]
async fn connections_are_listed_in_pages() {
    let broker = Broker::start();
    let mut peers = Vec::new();
    for _ in 0..7 {
        peers.push(broker.peer().await);
    }
    let mut old = Peer::open(broker.address, LEGACY_WS).await;
    old.send(&json!({"type": "connection_init"})).await;
    assert_eq!(old.message().await["type"], "connection_ack");
    let query = "query ($a: String) { connections(first: 3, after: $a) { totalCount
        nodes { id protocol subscriptions } pageInfo { hasNextPage endCursor } } }";
    let (mut found, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = peers[0].ask(query, json!({"a": after})).await["connections"].take();
        assert_eq!(page["totalCount"], 8);
        found.extend(page["nodes"].as_array().unwrap().iter().cloned());
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(found.len(), 8);
    for peer in &peers {
        assert_eq!(found.iter().filter(|node| node["id"] == peer.id()).count(), 1);
    }
    assert_eq!(found.iter().filter(|node| node["protocol"] == LEGACY_WS).count(), 1);
    drop(old);
}

#[tokio::test]
async fn the_close_handshake_is_completed_both_ways() {
    let broker = Broker::start();
    // The client begins: its own code comes back, then the end of the stream.
    for code in [1000_u16, 1001, 3000, 4999] {
        let mut raw = Raw::connect(broker.address).await.acknowledged().await;
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend(b"bye");
        raw.write(&frame(CLOSE, &payload)).await;
        assert_eq!(raw.closed().await.0, code);
        assert_eq!(raw.end().await, []);
    }
    // Without a code.
    let mut raw = Raw::connect(broker.address).await.acknowledged().await;
    raw.write(&frame(CLOSE, b"")).await;
    let (first, payload) = raw.frame().await.unwrap();
    assert_eq!(first, 0x88);
    assert!(payload.is_empty() || payload[..2] == 1000_u16.to_be_bytes(), "{payload:?}");
    assert_eq!(raw.end().await, []);

    // The broker begins: it waits for the answer, and nothing sent after its close is done.
    let mut admin = broker.peer().await;
    let mut watched = broker.peer().await;
    let id = watched.follow("topics: \"late\"").await;
    watched.settle().await;
    let mut raw = Raw::connect(broker.address).await.upgrade().await;
    raw.write(&frame(TEXT, br#"{"type":"connection_init"}"#)).await;
    let ack: Value = serde_json::from_str(&raw.text().await).unwrap();
    admin.ask(DISCONNECT, json!({"c": ack["payload"]["connection"]})).await;
    assert_eq!(raw.closed().await.0, 1008);
    let publish = "mutation { publish(topic: \"late\", payload: 1) { topic } }";
    raw.write(&subscribe("1", publish, "{}")).await;
    raw.write(&frame(CLOSE, &1008_u16.to_be_bytes())).await;
    assert_eq!(raw.end().await, []);
    admin.publish("late", 2).await;
    assert_eq!(watched.next_message(&id).await["payload"], 2);
}

#[tokio::test]
async fn a_peer_that_never_answers_the_close_is_cut_off() {
    let broker = Broker::start();
    let mut admin = broker.peer().await;
    let mut raw = Raw::connect(broker.address).await.upgrade().await;
    raw.write(&frame(TEXT, br#"{"type":"connection_init"}"#)).await;
    let ack: Value = serde_json::from_str(&raw.text().await).unwrap();
    admin.ask(DISCONNECT, json!({"c": ack["payload"]["connection"]})).await;
    assert_eq!(raw.closed().await.0, 1008);
    // It says nothing; the broker waits for some seconds and then ends the stream itself.
    assert_eq!(raw.end().await, []);
    let peers: Vec<Peer> = vec![broker.peer().await];
    let listed = admin.ask("{ connections { totalCount } }", json!({})).await;
    assert_eq!(listed["connections"]["totalCount"], 1 + peers.len());
}
