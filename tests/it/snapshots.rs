//! `compact` and `snapshot: true` over real sockets: contract, sections 2 and 9.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::http::fetch;
use crate::harness::peer::{Peer, code};
use crate::harness::stream::Stream;
use crate::typed::typed;

const COMPACT: &str = "mutation($topic: String!, $upTo: Cursor!, $snapshot: JSON!) {
    compact(topic: $topic, upTo: $upTo, snapshot: $snapshot) { topic cursor publishedAt duplicate }
}";

async fn compact(peer: &mut Peer, topic: &str, up_to: &str, snapshot: Value) -> Value {
    let variables = json!({"topic": topic, "upTo": up_to, "snapshot": snapshot});
    peer.run(COMPACT, variables).await
}

async fn compacted(peer: &mut Peer, topic: &str, up_to: &str, snapshot: Value) -> Value {
    let mut result = compact(peer, topic, up_to, snapshot).await;
    assert_eq!(result.get("errors"), None, "{result}");
    result["data"]["compact"].take()
}

#[tokio::test]
async fn a_subscription_begins_with_the_snapshot_and_what_followed_it() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let live = peer.follow("topics: \"doc\"").await;
    let cursors = peer.publish_numbers("doc", 0..5).await;
    peer.expect_numbers(&live, 0..5).await;
    // Whoever reads it as it was does not leave it to others as it was.
    let before = peer.follow("topics: \"doc\", after: \"earliest\"").await;
    peer.expect_numbers(&before, 0..5).await;
    let receipt = compacted(&mut peer, "doc", &cursors[2], json!({"sum": 3})).await;
    assert_eq!((&receipt["topic"], &receipt["duplicate"]), (&json!("doc"), &json!(false)));
    assert_eq!(receipt["cursor"], *cursors[2]);
    for topics in ["\"doc\"", "[\"*\", \"doc\"]"] {
        let arguments = format!("topics: {topics}, snapshot: true");
        let id = peer.follow(&arguments).await;
        let expected = json!({"topic": "doc", "cursor": cursors[2], "previous": null,
            "publishedAt": receipt["publishedAt"], "key": "doc", "headers": null,
            "payload": {"sum": 3}, "snapshot": true});
        assert_eq!(peer.next_message(&id).await, expected);
        let next = peer.next_message(&id).await;
        let found = (&next["payload"], &next["previous"], &next["snapshot"]);
        assert_eq!(found, (&json!(3), &json!(cursors[2]), &json!(false)));
        peer.expect_numbers(&id, 4..5).await;
    }
    peer.publish("doc", 5).await;
    peer.expect_numbers(&live, 5..6).await;
    peer.settle().await;
    let id = peer.follow("topics: \"doc\", snapshot: true").await;
    assert_eq!(peer.next_message(&id).await["snapshot"], true);
    peer.expect_numbers(&id, 3..6).await;
}

#[tokio::test]
async fn without_a_snapshot_it_begins_with_all_that_is_kept() {
    let broker = Broker::with(&["keep.last=3"]);
    let mut peer = broker.peer().await;
    peer.publish_numbers("doc", 0..5).await;
    let id = peer.follow("topics: \"doc\", snapshot: true").await;
    peer.expect_numbers(&id, 2..5).await;
    peer.publish("doc", 5).await;
    peer.expect_numbers(&id, 5..6).await;
    let id = peer.follow("topics: \"never\", snapshot: true").await;
    peer.publish("never", 6).await;
    peer.expect_numbers(&id, 6..7).await;
}

#[tokio::test]
async fn positions_before_up_to_are_expired_and_up_to_is_one() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let start = peer.ack["cursor"].as_str().unwrap().to_owned();
    let cursors = peer.publish_numbers("doc", 0..5).await;
    compacted(&mut peer, "doc", &cursors[2], json!("whole")).await;
    for cursor in [&start, &cursors[0], &cursors[1]] {
        for filter in ["doc", ">"] {
            let id = peer.follow(&format!("topics: {filter:?}, after: {cursor:?}")).await;
            let errors = peer.error(&id).await;
            assert_eq!(code(&errors), "CURSOR_EXPIRED", "{cursor} {filter}");
            assert_eq!(errors[0]["extensions"]["earliest"], *cursors[2]);
        }
        let id = peer.follow(&format!("topics: \"other\", after: {cursor:?}")).await;
        peer.send(&json!({"id": id, "type": "complete"})).await;
    }
    let id = peer.follow(&format!("topics: \"doc\", after: {:?}", cursors[2])).await;
    peer.expect_numbers(&id, 3..5).await;
    let query = "{ topic(name: \"doc\") { messages first last } last(topics: \"doc\") { cursor }
        history(topics: \"doc\", first: 9) { nodes { payload snapshot } } }";
    let data = peer.ask(query, json!({})).await;
    let topic = json!({"messages": 3, "first": cursors[2], "last": cursors[4]});
    assert_eq!(data["topic"], topic);
    assert_eq!(data["history"]["nodes"][0], json!({"payload": "whole", "snapshot": true}));
    assert_eq!(data["history"]["nodes"].as_array().unwrap().len(), 3);
    // All of it compacted, the snapshot is the last message, which `ifLast` still names.
    compacted(&mut peer, "doc", &cursors[4], json!("all")).await;
    let data = peer.ask("{ last(topics: \"doc\") { cursor payload } }", json!({})).await;
    assert_eq!(data["last"], json!([{"cursor": cursors[4], "payload": "all"}]));
    let item = json!({"topic": "doc", "payload": 5, "ifLast": cursors[4]});
    assert_eq!(peer.publish_item(item).await["duplicate"], false);
}

#[tokio::test]
async fn what_no_snapshot_can_stand_for_is_refused() {
    let broker = Broker::with(&["keep.last=4", "limits.payload_bytes=40B"]);
    let mut peer = broker.peer().await;
    let cursors = peer.publish_numbers("doc", 0..6).await;
    let other = peer.publish("other", 6).await["cursor"].as_str().unwrap().to_owned();
    let expired = compact(&mut peer, "doc", &cursors[0], json!(1)).await;
    assert_eq!(code(&expired), "CURSOR_EXPIRED", "{expired}");
    compacted(&mut peer, "doc", &cursors[3], json!("first")).await;
    let again = compacted(&mut peer, "doc", &cursors[3], json!("first")).await;
    assert_eq!((&again["duplicate"], &again["cursor"]), (&json!(true), &json!(cursors[3])));
    let long = "x".repeat(40);
    let beyond = format!("{}9", &cursors[5]);
    let table = [
        ("doc", &*cursors[3], json!("second"), "CONFLICT"),
        ("doc", &cursors[2], json!("second"), "CONFLICT"),
        ("doc", &other, json!(1), "BAD_CURSOR"),
        ("never", &other, json!(1), "BAD_CURSOR"),
        ("doc", &beyond, json!(1), "BAD_CURSOR"),
        ("doc", "", json!(1), "BAD_CURSOR"),
        ("doc", "earliest", json!(1), "BAD_CURSOR"),
        ("doc", "abc-1", json!(1), "CURSOR_EXPIRED"),
        ("doc", &cursors[5], json!(null), "BAD_PAYLOAD"),
        ("doc", &cursors[5], json!(long), "PAYLOAD_TOO_LARGE"),
        ("do*", &cursors[5], json!(1), "BAD_TOPIC"),
        ("$doc", &cursors[5], json!(1), "BAD_TOPIC"),
    ];
    for (topic, up_to, snapshot, expected) in table {
        let result = compact(&mut peer, topic, up_to, snapshot).await;
        assert_eq!(code(&result), expected, "{topic} {up_to}: {result}");
        if expected != "BAD_PAYLOAD" {
            assert_eq!(result["errors"][0]["path"], json!(["compact"]), "{result}");
        }
        if expected == "CONFLICT" {
            let extensions = &result["errors"][0]["extensions"];
            assert_eq!(extensions["snapshot"], *cursors[3]);
            assert_eq!(extensions["last"], *cursors[5]);
        }
    }
    let id = peer.follow("topics: \"doc\", snapshot: true").await;
    assert_eq!(peer.next_message(&id).await["payload"], "first");
    peer.expect_numbers(&id, 4..6).await;
}

#[tokio::test]
async fn a_snapshot_with_a_gap_after_it_is_not_served_as_the_whole() {
    let broker = Broker::with(&["keep.last=3"]);
    let mut peer = broker.peer().await;
    let cursors = peer.publish_numbers("doc", 0..2).await;
    compacted(&mut peer, "doc", &cursors[1], json!("whole")).await;
    peer.publish_numbers("doc", 2..5).await;
    let id = peer.follow("topics: \"doc\", snapshot: true").await;
    assert_eq!(peer.next_message(&id).await["payload"], "whole");
    peer.expect_numbers(&id, 2..5).await;
    let newest = peer.publish_numbers("doc", 5..6).await;
    peer.expect_numbers(&id, 5..6).await;
    let id = peer.follow("topics: \">\", snapshot: true").await;
    let errors = peer.error(&id).await;
    assert_eq!(code(&errors), "CURSOR_EXPIRED");
    // Who wants what is left gets it, and sees the gap.
    let id = peer.follow("topics: \"doc\", after: \"earliest\"").await;
    assert_eq!(peer.next_message(&id).await["payload"], "whole");
    let after_gap = peer.next_message(&id).await;
    assert_eq!(after_gap["payload"], 3);
    assert_ne!(after_gap["previous"], *cursors[1]);
    // Who has been there all the time mends it.
    compacted(&mut peer, "doc", &newest[0], json!("mended")).await;
    let id = peer.follow("topics: \"doc\", snapshot: true").await;
    assert_eq!(peer.next_message(&id).await["payload"], "mended");
}

#[tokio::test]
async fn compactions_and_publishes_of_one_connection_keep_their_order() {
    let broker = Broker::with(&["limits.publish_per_second=3"]);
    let mut peer = broker.peer().await;
    let cursors = peer.publish_numbers("doc", 0..1).await;
    let text = "mutation($c: Cursor!) {
        a: publish(topic: \"doc\", payload: 1, ifLast: $c) { cursor }
        b: compact(topic: \"doc\", upTo: $c, snapshot: \"zero\") { cursor }
        c: publish(topic: \"doc\", payload: 2) { cursor } }";
    let result = peer.run(text, json!({"c": cursors[0]})).await;
    // A compaction is one of the publishes that a client has in a second.
    assert_eq!(code(&result), "RATE_LIMITED", "{result}");
    assert_eq!(result["errors"][0]["path"], json!(["c"]), "{result}");
    let id = peer.follow("topics: \"doc\", snapshot: true").await;
    assert_eq!(peer.next_message(&id).await["payload"], "zero");
    peer.expect_numbers(&id, 1..2).await;
}

const SCHEMA: &str = r#"
type Document @topic(name: "docs.{id}", keep: {last: 100}) { id: ID! text: String! words: Int }
"#;

#[tokio::test]
async fn the_snapshot_of_a_typed_topic_is_one_of_its_type() {
    let (broker, _folder) = typed(SCHEMA, &[]);
    let mut peer = broker.peer().await;
    let publish = "mutation($t: String!) {
        publishDocument(document: {id: 7, text: $t}) { cursor } }";
    let mut cursors = Vec::new();
    for text in ["a", "ab", "abc"] {
        let data = peer.ask(publish, json!({"t": text})).await;
        cursors.push(data["publishDocument"]["cursor"].as_str().unwrap().to_owned());
    }
    let wrong = [
        (json!({"id": 7}), "docs.7", "text"),
        (json!({"id": 7, "text": "ab", "words": "two"}), "docs.7", "words"),
        (json!({"id": 8, "text": "ab"}), "docs.7", "id"),
    ];
    for (snapshot, topic, field) in wrong {
        let result = compact(&mut peer, topic, &cursors[1], snapshot).await;
        assert_eq!(code(&result), "BAD_PAYLOAD", "{result}");
        assert_eq!(result["errors"][0]["extensions"]["path"], json!([field]), "{result}");
    }
    let right = json!({"words": 1, "text": "ab", "id": 7});
    compacted(&mut peer, "docs.7", &cursors[1], right).await;
    let query = "subscription { document(snapshot: true) {
        id text words _message { snapshot cursor } } }";
    let id = peer.start(query, json!({})).await;
    let document = json!({"id": "7", "text": "ab", "words": 1,
        "_message": {"snapshot": true, "cursor": cursors[1]}});
    assert_eq!(peer.next(&id).await["data"]["document"], document);
    assert_eq!(peer.next(&id).await["data"]["document"]["text"], "abc");
    let generic = peer.follow("topics: \"docs.7\", snapshot: true").await;
    let message = peer.next_message(&generic).await;
    assert_eq!(message["payload"].to_string(), r#"{"id":"7","text":"ab","words":1}"#);
    let whole = json!({"id": 7, "text": "abc!"});
    compacted(&mut peer, "docs.7", &cursors[2], whole).await;
    let data = peer.ask("{ document(id: 7) { text words } }", json!({})).await;
    assert_eq!(data["document"], json!({"text": "abc!", "words": null}));
}

#[tokio::test]
async fn plain_streams_begin_with_snapshots_too() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let cursors = peer.publish_numbers("doc", 0..3).await;
    compacted(&mut peer, "doc", &cursors[1], json!("whole")).await;
    let headers = [("Accept", "text/event-stream")];
    let path = "/topics/doc?snapshot=true";
    let mut stream = Stream::open(broker.address, "GET", path, &headers, "").await;
    let event = stream.message().await;
    assert_eq!(event.id.as_deref(), Some(&*cursors[1]));
    assert_eq!(event.json()["payload"], "whole");
    assert_eq!(event.json()["snapshot"], true);
    assert_eq!(stream.message().await.json()["payload"], 2);
    // The browser comes back with the id of the snapshot.
    let headers = [("Accept", "text/event-stream"), ("Last-Event-ID", &*cursors[1])];
    let mut stream = Stream::open(broker.address, "GET", path, &headers, "").await;
    assert_eq!(stream.message().await.json()["payload"], 2);
    let headers = [("Accept", "text/event-stream"), ("Last-Event-ID", &*cursors[0])];
    let answer = fetch(broker.address, "GET", path, &headers, "").await;
    assert_eq!(answer.status, 410);
}
