//! Subscribing: positions, resuming, conditions, and the selection over the wire.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::Peer;
use crate::harness::wait;

async fn publish_all(peer: &mut Peer, topic: &str, numbers: std::ops::Range<i32>) -> Vec<String> {
    let mut cursors = Vec::new();
    for number in numbers {
        let receipt = peer.publish(topic, number).await;
        cursors.push(receipt["cursor"].as_str().unwrap().to_owned());
    }
    cursors
}

async fn expect(peer: &mut Peer, id: &str, payloads: impl IntoIterator<Item = i32>) {
    for payload in payloads {
        let message = peer.next_message(id).await;
        assert_eq!(message["payload"], payload, "of {id}: {message}");
    }
}

/// Waits until so many subscriptions to the topic are live.
async fn subscribers(peer: &mut Peer, topic: &str, count: u64) {
    let query = "query ($t: String!) { topic(name: $t) { subscribers } }";
    wait::until("all subscriptions are live", async || {
        let data = peer.ask(query, json!({"t": topic})).await;
        (data["topic"]["subscribers"] == count).then_some(())
    })
    .await;
}

fn code(errors: &Value) -> &str {
    errors[0]["extensions"]["code"].as_str().unwrap()
}

#[tokio::test]
async fn without_a_position_it_is_live_only() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    publish_all(&mut peer, "live", 0..3).await;
    let id = peer.follow("topics: \"live\"").await;
    publish_all(&mut peer, "live", 3..6).await;
    expect(&mut peer, &id, 3..6).await;
}

#[tokio::test]
async fn after_a_cursor_comes_what_followed_it_and_then_what_is_new() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let start = peer.ack["cursor"].as_str().unwrap().to_owned();
    let cursors = publish_all(&mut peer, "a.x", 0..10).await;
    let middle = peer.follow(&format!("topics: \"a.x\", after: {:?}", cursors[4])).await;
    let end = peer.follow(&format!("topics: \"a.*\", after: {:?}", cursors[9])).await;
    let ack = peer.follow(&format!("topics: \"a.>\", after: {start:?}")).await;
    let earliest = peer.follow("topics: \"a.x\", after: \"earliest\"").await;
    // A cursor of one topic is a position in all of them.
    let other = peer.follow(&format!("topics: [\"a.y\", \"a.x\"], after: {:?}", cursors[8])).await;
    peer.publish("a.y", 10).await;
    publish_all(&mut peer, "a.x", 11..14).await;
    expect(&mut peer, &middle, (5..10).chain(11..14)).await;
    expect(&mut peer, &end, 10..14).await;
    expect(&mut peer, &ack, 0..14).await;
    expect(&mut peer, &earliest, (0..10).chain(11..14)).await;
    expect(&mut peer, &other, 9..14).await;
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
    expect(&mut peer, &one, [1, 3, 4]).await;
    expect(&mut peer, &two, [1, 2, 3, 4]).await;
    // The last that passes, of every topic.
    expect(&mut peer, &passing, [1, 2, 3]).await;
    subscribers(&mut peer, "v.b", 4).await;
    peer.publish("v.b", 5).await;
    peer.publish("v.b", -1).await;
    for id in [&one, &two, &none] {
        expect(&mut peer, id, [5, -1]).await;
    }
    expect(&mut peer, &passing, [-1]).await;
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
    expect(&mut peer, &id, i32::try_from(from).unwrap()..6).await;
    expect(&mut peer, &long_ago, 0..6).await;
    // From a time to come on: nothing before it, so the ping is answered first.
    peer.settle().await;
    peer.send(&json!({"id": future, "type": "complete"})).await;
    peer.settle().await;
}

#[tokio::test]
async fn a_snapshot_where_there_is_none_is_everything_kept() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    publish_all(&mut peer, "snap", 0..3).await;
    let id = peer.follow("topics: \"snap\", snapshot: true").await;
    let live = peer.follow("topics: \"snap\", snapshot: false").await;
    publish_all(&mut peer, "snap", 3..5).await;
    expect(&mut peer, &id, 0..5).await;
    expect(&mut peer, &live, 3..5).await;
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
async fn an_extension_takes_the_place_of_the_fields_position() {
    let broker = Broker::start();
    let mut peer = Peer::connect_with(broker.address, &json!({"resume": true})).await;
    let cursors = publish_all(&mut peer, "e", 0..5).await;
    for arguments in ["", ", last: 1", ", after: \"earliest\"", ", since: \"2001-01-01T00:00:00Z\""]
    {
        let query = format!("subscription {{ messages(topics: \"e\"{arguments}) {{ payload }} }}");
        let payload = json!({"query": query, "extensions": {"after": cursors[2]}});
        let id = peer.start_with(payload).await;
        for number in 3..5 {
            let result = peer.next(&id).await;
            assert_eq!(result["data"]["messages"], json!({"payload": number}), "{arguments}");
            let cursor = &cursors[usize::try_from(number).unwrap()];
            assert_eq!(result["extensions"], json!({"cursor": cursor}), "{arguments}");
        }
    }
    // A client that did not ask for cursors may send one all the same.
    let mut plain = broker.peer().await;
    let query = "subscription { messages(topics: \"e\") { payload } }";
    let id = plain.start_with(json!({"query": query, "extensions": {"after": cursors[3]}})).await;
    assert_eq!(plain.next(&id).await, json!({"data": {"messages": {"payload": 4}}}));
    // Null is no position.
    let id = plain.start_with(json!({"query": query, "extensions": {"after": null}})).await;
    plain.publish("e", 5).await;
    assert_eq!(plain.next(&id).await["data"]["messages"]["payload"], 5);
}

#[tokio::test]
async fn a_client_resumes_where_its_connection_broke() {
    let broker = Broker::start();
    let mut publisher = broker.peer().await;
    let query = "subscription { messages(topics: [\"re.>\"]) { payload } }";
    let mut after = Value::Null;
    let mut expected = 0;
    for round in 0..5 {
        let mut peer = Peer::connect_with(broker.address, &json!({"resume": true})).await;
        let extensions = if after.is_null() { json!({}) } else { json!({"after": after}) };
        let id = peer.start_with(json!({"query": query, "extensions": extensions})).await;
        peer.settle().await;
        for number in 0..4 {
            publisher.publish(&format!("re.{number}"), round * 8 + number).await;
        }
        for _ in 0..if round == 0 { 4 } else { 8 } {
            let result = peer.next(&id).await;
            assert_eq!(result["data"]["messages"]["payload"], expected);
            after = result["extensions"]["cursor"].clone();
            expected += 1;
        }
        drop(peer);
        for number in 4..8 {
            publisher.publish(&format!("re.{number}"), round * 8 + number).await;
        }
    }
}

#[tokio::test]
async fn the_acks_cursor_is_a_position_for_quiet_subscriptions() {
    let broker = Broker::start();
    let mut publisher = broker.peer().await;
    publisher.publish("quiet", 0).await;
    let peer = broker.peer().await;
    let cursor = peer.ack["cursor"].as_str().unwrap().to_owned();
    drop(peer);
    publisher.publish("quiet", 1).await;
    let mut peer = broker.peer().await;
    let id = peer.follow(&format!("topics: \"quiet\", after: {cursor:?}")).await;
    expect(&mut peer, &id, [1]).await;
}

#[tokio::test]
async fn a_cursor_whose_successors_were_trimmed_has_expired() {
    let broker = Broker::with(&["keep.last=3"]);
    let mut peer = broker.peer().await;
    let before = peer.ack["cursor"].as_str().unwrap().to_owned();
    let cursors = publish_all(&mut peer, "trim.a", 0..10).await;
    let lost: Vec<&String> = [&before].into_iter().chain(&cursors[..6]).collect();
    for cursor in lost {
        for filter in ["trim.a", "trim.*", ">"] {
            let id = peer.follow(&format!("topics: {filter:?}, after: {cursor:?}")).await;
            let errors = peer.error(&id).await;
            assert_eq!(code(&errors), "CURSOR_EXPIRED", "{cursor} {filter}");
            // From where on nothing is lost.
            let earliest = &errors[0]["extensions"]["earliest"];
            let id = peer.follow(&format!("topics: {filter:?}, after: {earliest}")).await;
            expect(&mut peer, &id, 7..10).await;
        }
        // Of this topic nothing was lost.
        let id = peer.follow(&format!("topics: \"trim.b\", after: {cursor:?}")).await;
        peer.send(&json!({"id": id, "type": "complete"})).await;
    }
    for (kept, rest) in [(6, 7..10), (7, 8..10), (9, 10..10)] {
        let id = peer.follow(&format!("topics: \"trim.a\", after: {:?}", cursors[kept])).await;
        expect(&mut peer, &id, rest).await;
    }
    let id = peer.follow("topics: \"trim.>\", after: \"earliest\"").await;
    expect(&mut peer, &id, 7..10).await;
    let query = format!(
        "{{ history(topics: \"trim.a\", after: {:?}) {{ nodes {{ topic }} }} }}",
        cursors[2]
    );
    let result = peer.run(&query, json!({})).await;
    assert_eq!(code(&result["errors"]), "CURSOR_EXPIRED");
    peer.settle().await;
    assert_eq!(peer.unheard(), 0);
}

#[tokio::test]
async fn a_cursor_of_a_log_that_is_gone_has_expired() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let old = peer.publish("epoch", 0).await["cursor"].as_str().unwrap().to_owned();
    let epoch = peer.ask("{ broker { epoch } }", json!({})).await["broker"]["epoch"].take();
    assert!(old.starts_with(epoch.as_str().unwrap()));
    drop((peer, broker));

    let broker = Broker::start();
    let mut peer = broker.peer().await;
    assert_ne!(peer.ask("{ broker { epoch } }", json!({})).await["broker"]["epoch"], epoch);
    for published in [None, Some("epoch"), Some("elsewhere")] {
        if let Some(topic) = published {
            peer.publish(topic, 1).await;
        }
        let id = peer.follow(&format!("topics: \"epoch\", after: {old:?}")).await;
        let errors = peer.error(&id).await;
        assert_eq!(code(&errors), "CURSOR_EXPIRED", "{published:?}");
        assert!(errors[0]["extensions"].get("earliest").is_some(), "{errors}");
        let query = json!({"query": "subscription { messages(topics: \">\") { topic } }",
            "extensions": {"after": old}});
        let id = peer.start_with(query).await;
        assert_eq!(code(&peer.error(&id).await), "CURSOR_EXPIRED");
    }
    let if_last = json!({"topic": "epoch", "payload": 2, "ifLast": old});
    let result = peer.run(crate::harness::peer::PUBLISH, if_last).await;
    assert_eq!(code(&result["errors"]), "CONFLICT");
}

#[tokio::test]
async fn what_was_purged_is_not_replayed_partially() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let cursors = publish_all(&mut peer, "p.a", 0..4).await;
    peer.publish("p.b", 4).await;
    peer.ask("mutation { purge(topic: \"p.a\") }", json!({})).await;
    let id = peer.follow(&format!("topics: \"p.*\", after: {:?}", cursors[1])).await;
    assert_eq!(code(&peer.error(&id).await), "CURSOR_EXPIRED");
    let id = peer.follow(&format!("topics: \"p.*\", after: {:?}", cursors[3])).await;
    expect(&mut peer, &id, [4]).await;
    let next = peer.publish("p.a", 5).await;
    let message = peer.next_message(&id).await;
    assert_eq!(message["cursor"], next["cursor"]);
    // A client that has seen the message before it sees that nothing is missing.
    assert_eq!(message["previous"], cursors[3]);
}

#[tokio::test]
async fn messages_past_their_age_are_gone() {
    let broker = Broker::with(&["keep.age=200ms"]);
    let mut peer = broker.peer().await;
    let receipt = peer.publish("old", 0).await;
    let before = peer.ack["cursor"].clone();
    wait::until("the message is forgotten", async || {
        let data = peer.ask("{ last(topics: \"old\") { topic } }", json!({})).await;
        (data["last"] == json!([])).then_some(())
    })
    .await;
    let id = peer.follow(&format!("topics: \"old\", after: {before}")).await;
    assert_eq!(code(&peer.error(&id).await), "CURSOR_EXPIRED");
    let id = peer.follow(&format!("topics: \"old\", after: {}", receipt["cursor"])).await;
    peer.publish("old", 1).await;
    expect(&mut peer, &id, [1]).await;
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
        expect(&mut peer, id, [1]).await;
    }
}

#[tokio::test]
async fn replay_and_live_meet_without_gap_or_duplicate() {
    let broker = Broker::with(&["keep.last=100000", "keep.bytes=64MiB"]);
    let address = broker.address;
    let writer = tokio::spawn(async move {
        let mut peer = Peer::connect(address).await;
        publish_all(&mut peer, "meet", 0..1500).await;
    });
    // While it writes, subscriptions begin at the beginning and meet the live end.
    let mut readers = Vec::new();
    for reader in 0..8 {
        readers.push(tokio::spawn(async move {
            let mut peer = Peer::connect(address).await;
            let topic = ["meet", "meet.>", "*", ">"][reader % 4];
            let topics = format!("topics: [{topic:?}, \"meet\"], after: \"earliest\"");
            for upto in [100, 500, 1500] {
                let id = peer.follow(&topics).await;
                expect(&mut peer, &id, 0..upto).await;
                peer.send(&json!({"id": id, "type": "complete"})).await;
            }
        }));
    }
    writer.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
}
