//! Every limit of `[limits]`: up to it all is well, beyond it the right thing is refused.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::http::{self, Answer};
use crate::harness::peer::{Heard, LEGACY_WS, PUBLISH, Peer, TRANSPORT_WS, code};
use crate::harness::raw::{CONTINUATION, Raw, TEXT, frame, frame_with, handshake};
use crate::harness::wait;

async fn knock(broker: &Broker) -> (Raw, Answer) {
    let mut raw = Raw::connect(broker.address).await;
    let answer = raw.ask(&handshake()).await;
    (raw, answer)
}

#[tokio::test]
async fn too_many_connections_are_told_when_to_come_back() {
    for limit in ["limits.connections=2", "limits.connections_per_address=2"] {
        let broker = Broker::with(&[limit]);
        let (first, _) = knock(&broker).await;
        let (_second, answer) = knock(&broker).await;
        assert_eq!(answer.status, 101);
        let (_, refused) = knock(&broker).await;
        assert_eq!(refused.status, 503, "{limit}");
        let seconds: u32 = refused.header("retry-after").parse().unwrap();
        assert!(seconds > 0);
        let name = limit.split('=').next().unwrap();
        assert!(refused.body.contains(&format!("({name})")), "{refused:?}");
        // HTTP is not a connection that stays.
        assert_eq!(broker.post(&json!({"query": "{ a: __typename }"})).await.status, 200);
        drop(first);
        wait::until("the place is free again", async || {
            (knock(&broker).await.1.status == 101).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn one_subscription_too_many_is_refused_alone() {
    let broker = Broker::with(&["limits.subscriptions_per_connection=3"]);
    let (mut peer, mut publisher) = (broker.peer().await, broker.peer().await);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(peer.follow("topics: \"s\"").await);
    }
    for query in
        ["messages(topics: \"s\") { topic }", "join(topic: \"s\") { kind }", "stats { at }"]
    {
        let id = peer.start(&format!("subscription {{ {query} }}"), json!({})).await;
        let errors = peer.error(&id).await;
        assert_eq!(code(&errors), "LIMIT_EXCEEDED", "{query}");
        let message = errors[0]["message"].as_str().unwrap();
        assert!(message.contains("limits.subscriptions_per_connection"), "{message}");
    }
    // Queries and mutations are not counted, nor are other connections.
    peer.publish("s", 1).await;
    for id in &ids {
        assert_eq!(peer.next_message(id).await["payload"], 1);
    }
    let other = publisher.follow("topics: \"s\"").await;
    // A place that is given back is taken again.
    peer.send(&json!({"id": ids[1], "type": "complete"})).await;
    let late = peer.follow("topics: \"s\"").await;
    peer.settle().await;
    publisher.publish("s", 2).await;
    for id in [&ids[0], &ids[2], &late] {
        assert_eq!(peer.next_message(id).await["payload"], 2);
    }
    assert_eq!(publisher.next_message(&other).await["payload"], 2);
}

#[tokio::test]
async fn a_refused_subscription_gives_its_place_back() {
    let broker = Broker::with(&["limits.subscriptions_per_connection=2"]);
    let mut peer = broker.peer().await;
    let gone = "topics: \"s\", after: \"abc-1\"";
    for _ in 0..10 {
        for arguments in [gone, "topics: \"a..b\"", "topics: [], last: 1"] {
            let id = peer.follow(arguments).await;
            peer.error(&id).await;
        }
    }
    peer.follow("topics: \"s\"").await;
    let id = peer.follow("topics: \"s\"").await;
    peer.publish("s", 1).await;
    assert_eq!(peer.next_message(&id).await["payload"], 1);
}

#[tokio::test]
async fn who_says_no_init_is_closed_in_time() {
    let broker = Broker::with(&["limits.init_timeout=300ms"]);
    for subprotocol in [TRANSPORT_WS, LEGACY_WS] {
        let started = Instant::now();
        let mut silent = Peer::open(broker.address, subprotocol).await;
        let (code, reason) = silent.closed().await;
        assert_eq!((code, reason.as_str()), (4408, "Connection initialisation timeout"));
        assert!(started.elapsed().as_millis() >= 290, "after {:?}", started.elapsed());
        assert_eq!(silent.hear().await, Heard::Gone);
    }
    // Pings are no init.
    let mut pinging = Peer::open(broker.address, TRANSPORT_WS).await;
    let closed = loop {
        pinging.try_send(&json!({"type": "ping"})).await;
        match pinging.hear().await {
            Heard::Text(_) => {}
            Heard::Closed(code, reason) => break (code, reason),
            Heard::Gone => panic!("gone without a word"),
        }
    };
    assert_eq!(closed.0, 4408);
    // Who has been acknowledged stays, however long it is silent then.
    let mut peer = broker.peer().await;
    let mut silent = Peer::open(broker.address, TRANSPORT_WS).await;
    assert_eq!(silent.closed().await.0, 4408);
    peer.settle().await;
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let broker = Broker::with(&["limits.message_bytes=1KiB"]);
    let ping = |bytes: usize| {
        let frame = r#"{"type":"ping","payload":{"x":""}}"#;
        let text =
            format!(r#"{{"type":"ping","payload":{{"x":"{}"}}}}"#, "x".repeat(bytes - frame.len()));
        assert_eq!(text.len(), bytes);
        text.into_bytes()
    };
    let mut raw = Raw::connect(broker.address).await.upgrade().await;
    raw.write(&frame(TEXT, &ping(1024))).await;
    assert!(raw.text().await.contains("pong"));
    raw.write(&frame(TEXT, &ping(1025))).await;
    let (code, reason) = raw.closed().await;
    assert_eq!(code, 1009);
    assert!(reason.contains("1024"), "{reason}");

    // In fragments none of which is too big.
    let mut raw = Raw::connect(broker.address).await.upgrade().await;
    let text = ping(1025);
    raw.write(&frame_with(TEXT, &text[..600])).await;
    raw.write(&frame_with(0x80 | CONTINUATION, &text[600..])).await;
    assert_eq!(raw.closed().await.0, 1009);

    // Before any of it has arrived: the length alone says so.
    let mut raw = Raw::connect(broker.address).await.upgrade().await;
    raw.write(&[0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(raw.closed().await.0, 1009);
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_alone() {
    let broker = Broker::with(&["limits.payload_bytes=1KiB"]);
    let mut peer = broker.peer().await;
    // With its quotes it has as many bytes as are allowed.
    let fits = json!({"topic": "p", "payload": "x".repeat(1022)});
    peer.publish_item(fits).await;
    let result = peer.run(PUBLISH, json!({"topic": "p", "payload": "x".repeat(1023)})).await;
    assert_eq!(code(&result), "PAYLOAD_TOO_LARGE");
    let message = result["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("1025") && message.contains("1024"), "{message}");
    let list = json!([{"a": "x".repeat(500)}, {"b": "y".repeat(600)}]);
    let result = peer.run(PUBLISH, json!({"topic": "p", "payload": list})).await;
    assert_eq!(code(&result), "PAYLOAD_TOO_LARGE");
    peer.publish("p", 1).await;
}

#[tokio::test]
async fn documents_that_ask_for_too_much_are_refused() {
    let limits = ["limits.query_depth=4", "limits.query_complexity=20", "limits.query_aliases=5"];
    let broker = Broker::with(&limits);
    let mut peer = broker.peer().await;
    let aliases = |count: usize| {
        let fields: Vec<String> = (0..count).map(|n| format!("a{n}: __typename")).collect();
        format!("{{ {} }}", fields.join(" "))
    };
    let wide = |count: usize| format!("{{ {} }}", vec!["__typename"; count].join(" "));
    let spread = "{ ...A ...A ...A } fragment A on Query { b1: __typename ...B ...B }
        fragment B on Query { __typename __typename __typename }";
    let table = [
        ("{ topics { nodes { name } } }".to_owned(), ""),
        ("{ topics { edges { node { name } } } }".to_owned(), ""),
        ("{ history(topics: \"a\") { edges { node { topic } } } }".to_owned(), ""),
        (
            "{ a: topics { edges { node { name } } ... on TopicConnection { edges { cursor } } } }"
                .to_owned(),
            "",
        ),
        (aliases(5), ""),
        (aliases(6), "limits.query_aliases"),
        (wide(20), ""),
        (wide(21), "limits.query_complexity"),
        (spread.to_owned(), "limits.query_complexity"),
    ];
    for (document, limit) in table {
        let result = peer.run(&document, json!({})).await;
        if limit.is_empty() {
            assert!(result.get("errors").is_none(), "{document}: {result}");
        } else {
            assert_eq!(code(&result), "LIMIT_EXCEEDED", "{document}");
            let message = result["errors"][0]["message"].as_str().unwrap();
            assert!(message.contains(limit), "{document}: {message}");
        }
    }
    let shallow = Broker::with(&["limits.query_depth=3"]);
    let mut peer = shallow.peer().await;
    let deep = peer.run("{ topics { edges { node { name } } } }", json!({})).await;
    assert_eq!(code(&deep), "LIMIT_EXCEEDED");
    // Introspection is apart: tools ask deep.
    let introspection = "{ __schema { types { fields { type { ofType { ofType { name } } } } } } }";
    assert!(peer.run(introspection, json!({})).await.get("errors").is_none());
}

#[tokio::test]
async fn a_silent_peer_is_dropped_and_one_that_speaks_is_not() {
    let broker = Broker::with(&["limits.idle_timeout=500ms"]);
    let mut speaking = broker.peer().await;
    let started = Instant::now();
    let mut silent = Raw::connect(broker.address).await.acknowledged().await;
    let dropped = tokio::spawn(async move {
        // The library would answer pings by itself; this peer answers nothing.
        silent.end().await;
    });
    while !dropped.is_finished() {
        assert!(started.elapsed() < wait::DEADLINE, "the silent one is still there");
        speaking.settle().await;
    }
    assert!(started.elapsed().as_millis() >= 490, "after {:?}", started.elapsed());
    speaking.settle().await;
}

#[tokio::test]
async fn who_publishes_too_fast_is_slowed_down_alone() {
    let broker = Broker::with(&["limits.publish_per_second=5"]);
    let (mut hasty, mut other) = (broker.peer().await, broker.peer().await);
    let mut refused = Value::Null;
    for number in 0..100 {
        let result = hasty.run(PUBLISH, json!({"topic": "r", "payload": number})).await;
        if !code(&result).is_empty() {
            assert!(number >= 5, "refused number {number}");
            refused = result;
            break;
        }
    }
    assert_eq!(code(&refused), "RATE_LIMITED");
    let message = refused["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("limits.publish_per_second"), "{message}");
    other.publish("r", 1).await;
    // The rest of a list is refused item by item.
    let items: Vec<Value> = (0..50).map(|n| json!({"topic": "m", "payload": n})).collect();
    let many = "mutation ($m: [PublishInput!]!) { publishMany(messages: $m) { topic } }";
    let result = other.run(many, json!({"m": items})).await;
    let receipts = result["data"]["publishMany"].as_array().unwrap();
    let taken = receipts.iter().filter(|receipt| !receipt.is_null()).count();
    assert!((1..=10).contains(&taken), "{taken} of 50 were taken");
    assert_eq!(result["errors"].as_array().unwrap().len(), 50 - taken);
    assert_eq!(code(&result), "RATE_LIMITED");
    wait::until("it may publish again", async || {
        let result = hasty.run(PUBLISH, json!({"topic": "r", "payload": "later"})).await;
        code(&result).is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn all_messages_kept_are_bounded_together_and_by_topic() {
    let settings = ["limits.memory_bytes=256KiB", "keep.bytes=64KiB"];
    let broker = Broker::with(&settings);
    let mut peer = broker.peer().await;
    for number in 0..400 {
        let payload = json!([number, "x".repeat(4096)]);
        peer.publish(&format!("mem.{}", number % 10), payload).await;
    }
    let topics = "{ topics(first: 100) { nodes { name messages bytes } } }";
    let data = peer.ask(topics, json!({})).await;
    let nodes = data["topics"]["nodes"].as_array().unwrap();
    let bytes = |node: &Value| node["bytes"].as_u64().unwrap();
    assert!(nodes.iter().all(|node| bytes(node) <= 64 << 10), "{data}");
    let all: u64 = nodes.iter().map(bytes).sum();
    assert!((128 << 10..=256 << 10).contains(&all), "{all}");
    // The newest are there.
    let last = peer.ask("{ last(topics: \"mem.9\") { payload } }", json!({})).await;
    assert_eq!(last["last"][0]["payload"][0], 399);
}

#[tokio::test]
async fn the_limits_in_force_are_shown() {
    let broker = Broker::with(&["limits.query_depth=7", "limits.init_timeout=1500ms"]);
    let query = json!({"query": "{ broker { limits } }"});
    let headers = [("Content-Type", "application/json")];
    let answer =
        http::fetch(broker.address, "POST", "/graphql", &headers, &query.to_string()).await;
    let limits = &answer.json()["data"]["broker"]["limits"];
    assert_eq!(limits["query_depth"], 7);
    assert_eq!(limits["init_timeout"], 1.5);
    assert_eq!(limits["payload_bytes"], 256 << 10);
}

#[tokio::test]
async fn a_batch_is_one_response() {
    let broker = Broker::start();
    let payload = "x".repeat(200 << 10);
    for topic in 0..16 {
        let query =
            "mutation ($t: String!, $p: JSON!) { publish(topic: $t, payload: $p) { topic } }";
        for _ in 0..4 {
            let variables = json!({"t": format!("large.{topic}"), "p": payload});
            broker.post(&json!({"query": query, "variables": variables})).await;
        }
    }
    let query = "{ history(topics: \"large.*\", first: 10000) { nodes { payload } } }";
    let batch = Value::from(vec![json!({ "query": query }); 10]);
    let answer = broker.post(&batch).await;
    // A response has 32 MiB; the last that found room may have as much.
    assert!(answer.body.len() < 64 << 20, "{}", answer.body.len());
    let items = answer.json();
    assert!(items[0]["data"]["history"]["nodes"][63]["payload"].is_string());
    assert_eq!(items[9]["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
}
