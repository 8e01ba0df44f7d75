//! Publishing: receipts, idempotent ids, conditions, lists, and what a message carries.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::{PUBLISH, Peer, TRANSPORT_WS, code};
use crate::harness::raw::{Raw, TEXT, frame, subscribe};
use crate::harness::wait;

const PUBLISH_MANY: &str = "mutation ($m: [PublishInput!]!) {
    publishMany(messages: $m) { topic cursor duplicate }
}";

async fn history(peer: &mut Peer, topic: &str) -> Vec<Value> {
    let query = "query ($t: [String!]!) { history(topics: $t, last: 1000) {
        nodes { topic cursor previous key headers payload } } }";
    let mut data = peer.ask(query, json!({"t": topic})).await;
    data["history"]["nodes"].as_array_mut().unwrap().drain(..).collect()
}

fn payloads(messages: &[Value]) -> Vec<Value> {
    messages.iter().map(|message| message["payload"].clone()).collect()
}

#[tokio::test]
async fn a_receipt_names_the_message() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let first = peer.publish("r.a", 1).await;
    let second = peer.publish("r.b", 2).await;
    assert_eq!(first["topic"], "r.a");
    assert_eq!(first["duplicate"], false);
    assert_ne!(first["cursor"], second["cursor"]);
    let time = first["publishedAt"].as_str().unwrap();
    // RFC 3339, UTC, microseconds.
    assert_eq!(
        (time.len(), time.find('T'), time.find('.'), time.find('Z')),
        (27, Some(10), Some(19), Some(26))
    );
    let messages = history(&mut peer, "r.a").await;
    assert_eq!(messages[0]["cursor"], first["cursor"]);
    assert_eq!(messages[0]["previous"], Value::Null);
    assert_eq!(messages[0]["key"], "r.a");
    assert_eq!(messages[0]["headers"], Value::Null);
}

#[tokio::test]
async fn payloads_come_back_as_they_were_sent() {
    let broker = Broker::start();
    let mut raw = Raw::connect(broker.address).await.acknowledged().await;
    let texts = [
        "9007199254740993",
        "-9223372036854775808",
        "18446744073709551615",
        "123456789012345678901234567890",
        "0.1000",
        "1E400",
        "-0",
        r#"{"b":1,"a":{"z":[],"y":{}}}"#,
        r#"{"a":1,"a":2}"#,
        r#""\u0000\ud83d\ude00 \/""#,
        r#""\ud800 alone""#,
        "[[[[[[[[]]]]]]]]",
        "true",
        r#""""#,
        "0",
    ];
    let publish = "mutation ($p: JSON!) { publish(topic: \"exact\", payload: $p) { topic } }";
    for (number, text) in texts.into_iter().enumerate() {
        let id = format!("s{number}");
        let follow = "subscription { messages(topics: \"exact\") { payload } }";
        raw.write(&subscribe(&id, follow, "{}")).await;
        raw.write(&subscribe("p", publish, &format!(r#"{{"p":{text}}}"#))).await;
        let receipt = raw.text().await;
        assert!(receipt.contains(r#""topic":"exact""#), "{text}: {receipt}");
        raw.text().await;
        let expected = format!(r#"{{"data":{{"messages":{{"payload":{text}}}}}}}"#);
        let delivered = raw.text().await;
        assert!(delivered.contains(&expected), "{text}: {delivered}");
        let stop = format!(r#"{{"id":"{id}","type":"complete"}}"#);
        raw.write(&frame(TEXT, stop.as_bytes())).await;
    }
    let query = "{ history(topics: \"exact\") { nodes { payload } } }";
    raw.write(&subscribe("h", query, "{}")).await;
    let page = raw.text().await;
    for text in texts {
        assert!(page.contains(&format!(r#"{{"payload":{text}}}"#)), "{text}: {page}");
    }
}

#[tokio::test]
async fn a_surrogate_that_stands_alone_stops_nobody() {
    let broker = Broker::start();
    let mut raw = Raw::connect(broker.address).await.acknowledged().await;
    let condition = r#"where: [{path: "/s", contains: "alone"}]"#;
    let query = format!("subscription {{ messages(topics: \"lone\", {condition}) {{ payload }} }}");
    raw.write(&subscribe("s", &query, "{}")).await;
    let publish = "mutation ($p: JSON!) { publish(topic: \"lone\", payload: $p) { topic } }";
    for payload in [r#"{"s":"\ud800 alone"}"#, r#"{"s":"alone","\udfff":1}"#, r#"{"s":"alone"}"#] {
        raw.write(&subscribe("p", publish, &format!(r#"{{"p":{payload}}}"#))).await;
        let mut texts = Vec::new();
        for _ in 0..3 {
            texts.push(raw.text().await);
        }
        let message = format!(r#"{{"data":{{"messages":{{"payload":{payload}}}}}}}"#);
        let next = format!(r#"{{"id":"s","type":"next","payload":{message}}}"#);
        assert!(texts.contains(&next), "{texts:?}");
    }
}

#[tokio::test]
async fn literals_of_the_document_are_payloads_too() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let query = r#"mutation ($x: JSON!) { publish(topic: "lit",
        payload: {list: [1, 9007199254740993, 1.5, "é", true, null], enum: RED, inner: {x: $x}})
        { topic } }"#;
    peer.ask(query, json!({"x": {"deep": [1]}})).await;
    let expected = json!({"list": [1, 9_007_199_254_740_993_i64, 1.5, "é", true, null],
        "enum": "RED", "inner": {"x": {"deep": [1]}}});
    assert_eq!(payloads(&history(&mut peer, "lit").await), [expected]);
}

#[tokio::test]
async fn key_and_headers_travel_with_the_message() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"kh\"").await;
    let headers = json!({"content-type": "text/plain", "trace": "é"});
    let item = json!({"topic": "kh", "payload": 1, "key": "k/1", "headers": headers});
    let receipt = peer.publish_item(item).await;
    let message = peer.next_message(&id).await;
    assert_eq!(message["key"], "k/1");
    assert_eq!(message["headers"], headers);
    assert_eq!(message["cursor"], receipt["cursor"]);
    assert_eq!(message["publishedAt"], receipt["publishedAt"]);
    assert_eq!(message["snapshot"], false);
    let item = json!({"topic": "kh", "payload": 2, "headers": null, "key": null});
    peer.publish_item(item).await;
    let message = peer.next_message(&id).await;
    assert_eq!((&message["key"], &message["headers"]), (&json!("kh"), &Value::Null));
}

#[tokio::test]
async fn an_id_used_again_gets_the_first_receipt() {
    let broker = Broker::start();
    let (mut peer, mut other) = (broker.peer().await, broker.peer().await);
    let item =
        |topic: &str, payload: i32, id: &str| json!({"topic": topic, "payload": payload, "id": id});
    let first = peer.publish_item(item("once", 1, "a")).await;
    assert_eq!(first["duplicate"], false);
    // From another connection, with another payload, after other messages.
    peer.publish("once", 2).await;
    let again = other.publish_item(item("once", 3, "a")).await;
    assert_eq!(again["duplicate"], true);
    assert_eq!(again["cursor"], first["cursor"]);
    assert_eq!(again["publishedAt"], first["publishedAt"]);
    // Ids are by topic.
    assert_eq!(other.publish_item(item("twice", 4, "a")).await["duplicate"], false);
    assert_eq!(payloads(&history(&mut peer, "once").await), [1, 2]);
    // Inside of one list, too.
    let list = json!({"m": [item("list", 1, "x"), item("list", 2, "x"), item("list", 3, "y")]});
    let receipts = peer.ask(PUBLISH_MANY, list).await["publishMany"].take();
    assert_eq!(receipts[0]["cursor"], receipts[1]["cursor"]);
    assert_eq!(receipts[1]["duplicate"], true);
    assert_eq!(payloads(&history(&mut peer, "list").await), [1, 3]);
}

#[tokio::test]
async fn a_refused_publish_does_not_use_its_id_up() {
    let broker = Broker::with(&["limits.payload_bytes=64"]);
    let mut peer = broker.peer().await;
    let long = json!({"topic": "t", "payload": "x".repeat(100), "id": "a"});
    let refused = peer.run(PUBLISH, long).await;
    assert_eq!(code(&refused), "PAYLOAD_TOO_LARGE");
    peer.publish("t", 0).await;
    let conflict = json!({"topic": "t", "payload": 1, "id": "a", "ifLast": ""});
    let refused = peer.run(PUBLISH, conflict).await;
    assert_eq!(code(&refused), "CONFLICT");
    let receipt = peer.publish_item(json!({"topic": "t", "payload": 2, "id": "a"})).await;
    assert_eq!(receipt["duplicate"], false);
    assert_eq!(payloads(&history(&mut peer, "t").await), [0, 2]);
}

#[tokio::test]
async fn an_id_is_forgotten_after_its_window() {
    let broker = Broker::with(&["limits.idempotency_window=100ms"]);
    let mut peer = broker.peer().await;
    let item = json!({"topic": "w", "payload": 1, "id": "a"});
    let first = peer.publish_item(item.clone()).await;
    let later = wait::until("the id is forgotten", async || {
        let again = peer.publish_item(item.clone()).await;
        (again["duplicate"] == false).then_some(again)
    })
    .await;
    assert_ne!(first["cursor"], later["cursor"]);
    assert_eq!(history(&mut peer, "w").await.len(), 2);
}

#[tokio::test]
async fn if_last_lets_one_of_many_writers_win() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let item =
        |payload: i32, last: &Value| json!({"topic": "c", "payload": payload, "ifLast": last});
    let first = peer.publish_item(item(1, &json!(""))).await;
    let refused = peer.run(PUBLISH, item(2, &json!(""))).await;
    let error = &refused["errors"][0];
    assert_eq!(error["extensions"]["code"], "CONFLICT");
    assert_eq!(error["extensions"]["last"], first["cursor"]);
    assert_eq!(error["path"], json!(["publish"]));
    assert_eq!(refused["data"], Value::Null);
    let second = peer.publish_item(item(3, &first["cursor"])).await;
    let refused = peer.run(PUBLISH, item(4, &first["cursor"])).await;
    assert_eq!(refused["errors"][0]["extensions"]["last"], second["cursor"]);

    // Ten writers at once, each with what it has seen: one of them is right.
    let mut writers = Vec::new();
    for number in 10..20 {
        let (address, last) = (broker.address, second["cursor"].clone());
        writers.push(tokio::spawn(async move {
            let mut peer = Peer::connect(address).await;
            peer.run(PUBLISH, json!({"topic": "c", "payload": number, "ifLast": last})).await
        }));
    }
    let mut winners = 0;
    for writer in writers {
        winners += usize::from(writer.await.unwrap().get("errors").is_none());
    }
    assert_eq!(winners, 1);
    assert_eq!(history(&mut peer, "c").await.len(), 3);

    // A topic that keeps nothing is empty again, and has no last message to name.
    peer.ask("mutation { purge(topic: \"c\") }", json!({})).await;
    let refused = peer.run(PUBLISH, item(5, &second["cursor"])).await;
    assert_eq!(code(&refused), "CONFLICT");
    assert_eq!(refused["errors"][0]["extensions"]["last"], Value::Null);
    peer.publish_item(item(6, &json!(""))).await;
}

#[tokio::test]
async fn a_list_is_published_in_order_and_refused_by_item() {
    let broker = Broker::with(&["limits.payload_bytes=64"]);
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"m.>\"").await;
    let messages = json!({"m": [
        {"topic": "m.a", "payload": 0},
        {"topic": "m..b", "payload": 1},
        {"topic": "m.b", "payload": 2},
        {"topic": "m.c", "payload": "x".repeat(100)},
        {"topic": "m.a", "payload": 4, "ifLast": ""},
        {"topic": "m.a", "payload": 5, "headers": {"n": 1}},
        {"topic": "m.a", "payload": 6, "ifLast": "nonsense"},
        {"topic": "m.a", "payload": 7},
    ]});
    let result = peer.run(PUBLISH_MANY, messages).await;
    let receipts = result["data"]["publishMany"].as_array().unwrap();
    let topics: Vec<&Value> = receipts.iter().map(|receipt| &receipt["topic"]).collect();
    assert_eq!(json!(topics), json!(["m.a", null, "m.b", null, null, null, null, "m.a"]));
    let errors = result["errors"].as_array().unwrap();
    let found: Vec<Value> =
        errors.iter().map(|error| json!([error["path"], error["extensions"]["code"]])).collect();
    let expected = json!([
        [["publishMany", 1], "BAD_TOPIC"],
        [["publishMany", 3], "PAYLOAD_TOO_LARGE"],
        [["publishMany", 4], "CONFLICT"],
        [["publishMany", 5], "BAD_ARGUMENT"],
        [["publishMany", 6], "BAD_CURSOR"],
    ]);
    assert_eq!(Value::from(found), expected);
    for expected in [0, 2, 7] {
        assert_eq!(peer.next_message(&id).await["payload"], expected);
    }
    assert_eq!(peer.ask(PUBLISH_MANY, json!({"m": []})).await["publishMany"], json!([]));
}

#[tokio::test]
async fn several_publishes_of_one_mutation_run_in_order() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"order.>\"").await;
    let query = r#"mutation {
        b: publish(topic: "order.b", payload: 1) { topic }
        bad: publish(topic: "order.*", payload: 2) { topic }
        a: publish(topic: "order.a", payload: 3) { topic }
        many: publishMany(messages: [{topic: "order.c", payload: 4}]) { topic }
        again: publish(topic: "order.b", payload: 5) { topic }
    }"#;
    let result = peer.run(query, json!({})).await;
    // The failed field may not be null, so all of data is.
    assert_eq!(result["data"], Value::Null);
    assert_eq!(result["errors"][0]["path"], json!(["bad"]));
    for expected in [1, 3, 4, 5] {
        assert_eq!(peer.next_message(&id).await["payload"], expected);
    }
}

#[tokio::test]
async fn messages_of_a_topic_are_a_chain() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"chain.*\"").await;
    let mut last = json!({"chain.a": null, "chain.b": null});
    for number in 0..20 {
        let topic = if number % 3 == 0 { "chain.a" } else { "chain.b" };
        let receipt = peer.publish(topic, number).await;
        let message = peer.next_message(&id).await;
        assert_eq!(message["previous"], last[topic], "{number}");
        last[topic] = receipt["cursor"].clone();
    }
}

#[tokio::test]
async fn the_older_subprotocol_publishes_as_well() {
    let broker = Broker::start();
    let mut old = Peer::open(broker.address, "graphql-ws").await;
    let mut new = Peer::open(broker.address, TRANSPORT_WS).await;
    for peer in [&mut old, &mut new] {
        peer.send(&json!({"type": "connection_init"})).await;
        assert_eq!(peer.message().await["type"], "connection_ack");
    }
    assert_eq!(old.message().await["type"], "ka");
    let id = new.follow("topics: \"both\"").await;
    new.settle().await;
    let publish = json!({"query": "mutation { publish(topic: \"both\", payload: 1) { topic } }"});
    old.send(&json!({"id": "1", "type": "start", "payload": publish})).await;
    assert_eq!(old.message().await["type"], "data");
    assert_eq!(new.next_message(&id).await["payload"], 1);
}
