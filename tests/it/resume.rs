//! Resuming: from a cursor on without gap or duplicate, or told that it cannot be done.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::{PUBLISH, Peer, code};
use crate::harness::wait;

#[tokio::test]
async fn an_extension_takes_the_place_of_the_fields_position() {
    let broker = Broker::start();
    let mut peer = Peer::connect_with(broker.address, &json!({"resume": true})).await;
    let cursors = peer.publish_numbers("e", 0..5).await;
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
    peer.expect_numbers(&id, [1]).await;
}

#[tokio::test]
async fn a_cursor_whose_successors_were_trimmed_has_expired() {
    let broker = Broker::with(&["keep.last=3"]);
    let mut peer = broker.peer().await;
    let before = peer.ack["cursor"].as_str().unwrap().to_owned();
    let cursors = peer.publish_numbers("trim.a", 0..10).await;
    let lost: Vec<&String> = [&before].into_iter().chain(&cursors[..6]).collect();
    for cursor in lost {
        for filter in ["trim.a", "trim.*", ">"] {
            let id = peer.follow(&format!("topics: {filter:?}, after: {cursor:?}")).await;
            let errors = peer.error(&id).await;
            assert_eq!(code(&errors), "CURSOR_EXPIRED", "{cursor} {filter}");
            assert_eq!(errors[0]["path"], json!(["messages"]), "{cursor} {filter}");
            // From where on nothing is lost.
            let earliest = &errors[0]["extensions"]["earliest"];
            let id = peer.follow(&format!("topics: {filter:?}, after: {earliest}")).await;
            peer.expect_numbers(&id, 7..10).await;
        }
        // Of this topic nothing was lost.
        let id = peer.follow(&format!("topics: \"trim.b\", after: {cursor:?}")).await;
        peer.send(&json!({"id": id, "type": "complete"})).await;
    }
    for (kept, rest) in [(6, 7..10), (7, 8..10), (9, 10..10)] {
        let id = peer.follow(&format!("topics: \"trim.a\", after: {:?}", cursors[kept])).await;
        peer.expect_numbers(&id, rest).await;
    }
    let id = peer.follow("topics: \"trim.>\", after: \"earliest\"").await;
    peer.expect_numbers(&id, 7..10).await;
    let query = format!(
        "{{ history(topics: \"trim.a\", after: {:?}) {{ nodes {{ topic }} }} }}",
        cursors[2]
    );
    let result = peer.run(&query, json!({})).await;
    assert_eq!(code(&result), "CURSOR_EXPIRED");
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
    let result = peer.run(PUBLISH, if_last).await;
    assert_eq!(code(&result), "CONFLICT");
}

#[tokio::test]
async fn what_was_purged_is_not_replayed_partially() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let cursors = peer.publish_numbers("p.a", 0..4).await;
    peer.publish("p.b", 4).await;
    peer.ask("mutation { purge(topic: \"p.a\") }", json!({})).await;
    let id = peer.follow(&format!("topics: \"p.*\", after: {:?}", cursors[1])).await;
    assert_eq!(code(&peer.error(&id).await), "CURSOR_EXPIRED");
    let id = peer.follow(&format!("topics: \"p.*\", after: {:?}", cursors[3])).await;
    peer.expect_numbers(&id, [4]).await;
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
    peer.expect_numbers(&id, [1]).await;
}

#[tokio::test]
async fn replay_and_live_meet_without_gap_or_duplicate() {
    let broker = Broker::with(&["keep.last=100000", "keep.bytes=64MiB"]);
    let address = broker.address;
    let writer = tokio::spawn(async move {
        let mut peer = Peer::connect(address).await;
        peer.publish_numbers("meet", 0..1500).await;
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
                peer.expect_numbers(&id, 0..upto).await;
                peer.send(&json!({"id": id, "type": "complete"})).await;
            }
        }));
    }
    writer.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
}
