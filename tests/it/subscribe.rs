//! Subscribing: positions, conditions, and the selection over the wire.

use serde_json::json;

use crate::harness::broker::Broker;
use crate::harness::peer::Peer;
use crate::harness::wait;

/// Waits until so many subscriptions to the topic are live.
async fn subscribers(peer: &mut Peer, topic: &str, count: u64) {
    let query = "query ($t: String!) { topic(name: $t) { subscribers } }";
    wait::until("all subscriptions are live", async || {
        let data = peer.ask(query, json!({"t": topic})).await;
        (data["topic"]["subscribers"] == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_position_it_is_live_only() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    peer.publish_numbers("live", 0..3).await;
    let id = peer.follow("topics: \"live\"").await;
    peer.publish_numbers("live", 3..6).await;
    peer.expect_numbers(&id, 3..6).await;
}

#[tokio::test]
async fn after_a_cursor_comes_what_followed_it_and_then_what_is_new() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let start = peer.ack["cursor"].as_str().unwrap().to_owned();
    let cursors = peer.publish_numbers("a.x", 0..10).await;
    let middle = peer.follow(&format!("topics: \"a.x\", after: {:?}", cursors[4])).await;
    let end = peer.follow(&format!("topics: \"a.*\", after: {:?}", cursors[9])).await;
    let ack = peer.follow(&format!("topics: \"a.>\", after: {start:?}")).await;
    let earliest = peer.follow("topics: \"a.x\", after: \"earliest\"").await;
    // A cursor of one topic is a position in all of them.
    let other = peer.follow(&format!("topics: [\"a.y\", \"a.x\"], after: {:?}", cursors[8])).await;
    peer.publish("a.y", 10).await;
    peer.publish_numbers("a.x", 11..14).await;
    peer.expect_numbers(&middle, (5..10).chain(11..14)).await;
    peer.expect_numbers(&end, 10..14).await;
    peer.expect_numbers(&ack, 0..14).await;
    peer.expect_numbers(&earliest, (0..10).chain(11..14)).await;
    peer.expect_numbers(&other, 9..14).await;
}

#[tokio::test]
async fn last_gives_current_values_first() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    for (topic, number) in [("v.a", 0), ("v.b", 1), ("v.a", 2), ("v.c", 3), ("v.a", 4)] {
        peer.publish(topic, number).await;
    }
    let one = peer.follow("topics: \"v.*\", last: 1").await;
    let two = peer.follow("topics: \"v.*\", last: 2").await;
    let none = peer.follow("topics: \"v.*\", last: 0").await;
    let passing = peer.follow("topics: \"v.*\", last: 1, where: [{path: \"\", lt: 4}]").await;
    peer.expect_numbers(&one, [1, 3, 4]).await;
    peer.expect_numbers(&two, [1, 2, 3, 4]).await;
    // The last that passes, of every topic.
    peer.expect_numbers(&passing, [1, 2, 3]).await;
    subscribers(&mut peer, "v.b", 4).await;
    peer.publish("v.b", 5).await;
    peer.publish("v.b", -1).await;
    for id in [&one, &two, &none] {
        peer.expect_numbers(id, [5, -1]).await;
    }
    peer.expect_numbers(&passing, [-1]).await;
}

#[tokio::test]
async fn since_a_time_and_then_live() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let mut times = Vec::new();
    for number in 0..5 {
        times.push(peer.publish("time", number).await["publishedAt"].as_str().unwrap().to_owned());
    }
    let from = times.iter().position(|time| *time == times[2]).unwrap();
    let id = peer.follow(&format!("topics: \"time\", since: {:?}", times[2])).await;
    let long_ago = peer.follow("topics: \"time\", since: \"2001-02-03T04:05:06+07:00\"").await;
    let future = peer.follow("topics: \"time\", since: \"2999-01-01T00:00:00Z\"").await;
    peer.publish("time", 5).await;
    peer.expect_numbers(&id, i32::try_from(from).unwrap()..6).await;
    peer.expect_numbers(&long_ago, 0..6).await;
    // From a time to come on: nothing before it, so the ping is answered first.
    peer.settle().await;
    peer.send(&json!({"id": future, "type": "complete"})).await;
    peer.settle().await;
}

#[tokio::test]
async fn a_snapshot_where_there_is_none_is_everything_kept() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    peer.publish_numbers("snap", 0..3).await;
    let id = peer.follow("topics: \"snap\", snapshot: true").await;
    let live = peer.follow("topics: \"snap\", snapshot: false").await;
    peer.publish_numbers("snap", 3..5).await;
    peer.expect_numbers(&id, 0..5).await;
    peer.expect_numbers(&live, 3..5).await;
}

#[tokio::test]
async fn where_is_tested_on_live_and_kept_messages_alike() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let payloads = [
        json!({"n": 1, "s": "alpha", "deep": {"list": [10, {"x": true}]}}),
        json!({"n": 2.0, "s": "beta", "a/b": 1, "m~n": 2}),
        json!({"n": "2", "s": null}),
        json!({"n": 9_007_199_254_740_993_i64, "s": "älpha"}),
        json!({"s": "alphabet"}),
        json!([1, 2]),
        json!("alpha"),
    ];
    let table: [(&str, &[usize]); 20] = [
        (r#"{path: "/n", eq: 2}"#, &[1]),
        (r#"{path: "/n", ne: 2}"#, &[0, 2, 3, 4, 5, 6]),
        (r#"{path: "/n", gt: 1}"#, &[1, 3]),
        (r#"{path: "/n", gt: 9007199254740992}"#, &[3]),
        (r#"{path: "/n", eq: 9007199254740992}"#, &[]),
        (r#"{path: "/n", gte: 1, lt: 2}"#, &[0]),
        (r#"{path: "/n", lte: "3"}"#, &[2]),
        (r#"{path: "/n", in: [1, "2"]}"#, &[0, 2]),
        (r#"{path: "/s", startsWith: "alpha"}"#, &[0, 4]),
        (r#"{path: "/s", contains: "lph"}"#, &[0, 3, 4]),
        (r#"{path: "/s", gt: "b"}"#, &[1, 3]),
        (r#"{path: "/s", eq: null}"#, &[2]),
        (r#"{path: "/s", exists: true}"#, &[0, 1, 2, 3, 4]),
        (r#"{path: "/n", exists: false}"#, &[4, 5, 6]),
        (r#"{path: "/deep/list/1/x", eq: true}"#, &[0]),
        (r#"{path: "/a~1b", exists: true}, {path: "/m~0n", eq: 2}"#, &[1]),
        (r#"{path: "/1", eq: 2}"#, &[5]),
        (r#"{path: "/-", exists: true}"#, &[]),
        (r#"{path: "", eq: "alpha"}"#, &[6]),
        (r#"{path: "/deep", eq: {list: [10.0, {x: true}]}}"#, &[0]),
    ];
    let mut ids = Vec::new();
    for (condition, _) in table {
        ids.push(peer.follow(&format!("topics: \"w\", where: [{condition}]")).await);
    }
    let all = peer.follow("topics: \"w\", where: []").await;
    let mut cursors = Vec::new();
    for payload in &payloads {
        cursors.push(peer.publish("w", payload.clone()).await["cursor"].clone());
        assert_eq!(peer.next_message(&all).await["payload"], *payload);
    }
    for (id, (condition, expected)) in ids.iter().zip(table) {
        // The second time from the log, with an end that passes nowhere.
        let again =
            peer.follow(&format!("topics: \"w\", after: \"earliest\", where: [{condition}]")).await;
        let history =
            format!("{{ history(topics: \"w\", where: [{condition}]) {{ nodes {{ cursor }} }} }}");
        let mut data = peer.ask(&history, json!({})).await;
        let nodes = data["history"]["nodes"].take();
        assert_eq!(nodes.as_array().unwrap().len(), expected.len(), "{condition}: {nodes}");
        for (at, index) in expected.iter().enumerate() {
            assert_eq!(nodes[at]["cursor"], cursors[*index], "{condition}");
            assert_eq!(peer.next_message(id).await["cursor"], cursors[*index], "{condition}");
            assert_eq!(peer.next_message(&again).await["cursor"], cursors[*index], "{condition}");
        }
        // Nothing more for either.
        for id in [id, &again] {
            peer.send(&json!({"id": id, "type": "complete"})).await;
        }
    }
    peer.settle().await;
    assert_eq!(peer.unheard(), 0);
}

#[tokio::test]
async fn the_selection_is_answered_as_written() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let query = r#"
        subscription Everything($yes: Boolean!, $no: Boolean! = false, $topic: [String!]!) {
            m: messages(topics: $topic, where: [{path: "/n", exists: true}]) {
                __typename
                second: payload
                ...Place @include(if: $yes)
                ... on Message @skip(if: $no) { name: topic }
                ... @include(if: $no) { headers }
                previous @skip(if: $yes)
                topic
                topic
                ... { snap: snapshot }
                key @include(if: true) @skip(if: false)
            }
        }
        fragment Place on Message { at: cursor ...Deep }
        fragment Deep on Message { __typename kind: __typename }"#;
    let id = peer.start(query, json!({"yes": true, "topic": "sel"})).await;
    let receipt = peer.publish_item(json!({"topic": "sel", "payload": {"n": 1}, "key": "k"})).await;
    let result = peer.next(&id).await;
    let expected = json!({"data": {"m": {
        "__typename": "Message", "second": {"n": 1}, "at": receipt["cursor"], "kind": "Message",
        "name": "sel", "topic": "sel", "snap": false, "key": "k",
    }}});
    assert_eq!(result, expected);
    // In the order of the document, too.
    assert_eq!(result.to_string(), expected.to_string());
}

#[tokio::test]
async fn one_filter_may_be_given_without_a_list() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let literal = peer.follow("topics: \"one\"").await;
    let query = "subscription ($t: [String!]!) { messages(topics: $t) { payload } }";
    let variable = peer.start(query, json!({"t": "one"})).await;
    let list = peer.start(query, json!({"t": ["one", "two"]})).await;
    peer.publish("one", 1).await;
    for id in [&literal, &variable, &list] {
        peer.expect_numbers(id, [1]).await;
    }
}
