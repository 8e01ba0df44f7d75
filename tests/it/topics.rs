//! Topics and filters: who gets which message, and what is known of a topic.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::peer::Peer;

/// Subscribes to each filter and publishes to each topic; who got what, as a table of marks.
async fn matches(filters: &[&str], topics: &[&str]) -> Vec<String> {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = (broker.peer().await, broker.peer().await);
    let mut ids = Vec::new();
    for filter in filters {
        let topics = json!([filter, "the.end"]);
        ids.push(subscriber.follow(&format!("topics: {topics}")).await);
    }
    subscriber.settle().await;
    for topic in topics.iter().chain(&["the.end"]) {
        publisher.publish(topic, 0).await;
    }
    let mut rows = Vec::new();
    for (id, filter) in ids.iter().zip(filters) {
        let mut got = Vec::new();
        loop {
            let topic = subscriber.next_message(id).await["topic"].as_str().unwrap().to_owned();
            if topic == "the.end" {
                break;
            }
            got.push(topic);
        }
        let marks: String = topics
            .iter()
            .map(|topic| if got.iter().any(|got| got == topic) { 'x' } else { '.' })
            .collect();
        assert_eq!(marks.matches('x').count(), got.len(), "{filter}: {got:?}");
        rows.push(format!("{filter} {marks}"));
    }
    rows
}

#[tokio::test]
async fn wildcards_stand_for_whole_tokens() {
    let filters = [
        "a", "a.b", "a.b.c", "*", "a.*", "*.b", "*.*", "a.*.c", "*.b.*", "a.>", "*.>", "a.*.>",
        "a.b.>", "b.>",
    ];
    let topics = ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "a.x.c", "a.b.c.d"];
    let expected = [
        "a x.......",
        "a.b ..x.....",
        "a.b.c .....x..",
        "* xx......",
        "a.* ..xx....",
        "*.b ..x.x...",
        "*.* ..xxx...",
        "a.*.c .....xx.",
        "*.b.* .....x..",
        "a.> ..xx.xxx",
        "*.> ..xxxxxx",
        "a.*.> .....xxx",
        "a.b.> .....x.x",
        "b.> ....x...",
    ];
    assert_eq!(matches(&filters, &topics).await, expected);
}

#[tokio::test]
async fn tokens_are_compared_by_their_very_bytes() {
    let filters = ["Quotes.*", "quotes.*", "emoji.😀", "é", "e\u{301}", "a-b_c/d:e%2E"];
    let topics = ["Quotes.A", "quotes.A", "emoji.😀", "é", "e\u{301}", "a-b_c/d:e%2E"];
    let expected = [
        "Quotes.* x.....",
        "quotes.* .x....",
        "emoji.😀 ..x...",
        "é ...x..",
        "e\u{301} ....x.",
        "a-b_c/d:e%2E .....x",
    ];
    assert_eq!(matches(&filters, &topics).await, expected);
}

#[tokio::test]
async fn topics_of_every_allowed_size_work() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let long = ["t"; 32].join(".");
    let wide = "x".repeat(255);
    let id = peer.follow("topics: \">\"").await;
    for topic in [&long, &wide] {
        let exact = peer.follow(&format!("topics: {topic:?}")).await;
        peer.settle().await;
        peer.publish(topic, 1).await;
        for id in [&id, &exact] {
            assert_eq!(peer.next_message(id).await["topic"], **topic);
        }
    }
}

#[tokio::test]
async fn several_filters_deliver_a_message_once() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow(r#"topics: ["f.a", "f.*", "f.>", ">", "f.a", "*.a"]"#).await;
    for number in 0..10 {
        peer.publish("f.a", number).await;
    }
    for number in 0..10 {
        assert_eq!(peer.next_message(&id).await["payload"], number);
    }
    peer.publish("g", 10).await;
    assert_eq!(peer.next_message(&id).await["payload"], 10);
}

#[tokio::test]
async fn all_subscribers_see_one_order() {
    let broker = Broker::start();
    let mut subscribers = Vec::new();
    for filter in ["o.>", "o.*", ">", "o.>"] {
        let mut peer = broker.peer().await;
        let id = peer.follow(&format!("topics: {filter:?}")).await;
        peer.settle().await;
        subscribers.push((peer, id));
    }
    let publishers = (0..4).map(|writer| {
        let address = broker.address;
        tokio::spawn(async move {
            let mut peer = Peer::connect(address).await;
            for number in 0..50 {
                peer.publish(&format!("o.{}", number % 3), json!([writer, number])).await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    let mut orders = Vec::new();
    for (peer, id) in &mut subscribers {
        let mut order = Vec::new();
        for _ in 0..200 {
            order.push(peer.next_message(id).await["payload"].clone());
        }
        orders.push(order);
    }
    for writer in 0..4 {
        let own = orders[0].iter().filter(|payload| payload[0] == writer);
        assert!(own.map(|payload| payload[1].as_u64().unwrap()).eq(0..50));
    }
    assert!(orders.iter().all(|order| *order == orders[0]));
}

#[tokio::test]
async fn what_is_known_of_a_topic() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let query = r#"{ topic(name: "known") { name messages bytes first last lastPublishedAt
        subscribers type } }"#;
    assert_eq!(peer.ask(query, json!({})).await["topic"], Value::Null);
    let first = peer.publish("known", 1).await;
    let last = peer.publish("known", 2).await;
    let id = peer.follow("topics: \"known\"").await;
    peer.settle().await;
    let topic = peer.ask(query, json!({})).await["topic"].take();
    assert!(topic["bytes"].as_u64().unwrap() > 0);
    let expected = json!({"name": "known", "messages": 2, "bytes": topic["bytes"],
        "first": first["cursor"], "last": last["cursor"],
        "lastPublishedAt": last["publishedAt"], "subscribers": 1, "type": null});
    assert_eq!(topic, expected);
    peer.send(&json!({"id": id, "type": "complete"})).await;
    let purged = peer.ask("mutation { purge(topic: \"known\") }", json!({})).await;
    assert_eq!(purged["purge"], 2);
}

#[tokio::test]
async fn topics_are_listed_in_pages() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    for name in ["l.c", "l.a", "m.x", "l.b", "l.b.deep", "l.d"] {
        peer.publish(name, 0).await;
    }
    let query =
        "query ($m: String, $f: Int, $a: String) { topics(match: $m, first: $f, after: $a) {
        nodes { name } edges { cursor } pageInfo { hasNextPage hasPreviousPage endCursor } } }";
    let mut names = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = peer.ask(query, json!({"m": "l.*", "f": 3, "a": after})).await["topics"].take();
        let nodes = page["nodes"].as_array().unwrap();
        assert!(nodes.len() <= 3 && page["edges"].as_array().unwrap().len() == nodes.len());
        assert_eq!(page["pageInfo"]["hasPreviousPage"], !after.is_null());
        names.extend(nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()));
        after = page["pageInfo"]["endCursor"].clone();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(names, ["l.a", "l.b", "l.c", "l.d"]);
    let all = peer.ask("{ topics { nodes { name } } }", json!({})).await;
    assert_eq!(all["topics"]["nodes"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn last_has_the_newest_of_every_matching_topic() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    for (topic, payload) in [("n.a", 1), ("n.b", 2), ("n.a", 3), ("other", 4)] {
        peer.publish(topic, payload).await;
    }
    let data = peer.ask(r#"{ last(topics: ["n.*", "n.a"]) { topic payload } }"#, json!({})).await;
    let expected = json!([{"topic": "n.b", "payload": 2}, {"topic": "n.a", "payload": 3}]);
    assert_eq!(data["last"], expected);
    let none = peer.ask(r#"{ last(topics: "nobody") { topic } }"#, json!({})).await;
    assert_eq!(none["last"], json!([]));
}

#[tokio::test]
async fn history_is_read_in_pages_both_ways() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let mut cursors = Vec::new();
    for number in 0..10 {
        let receipt = peer.publish(if number % 2 == 0 { "h.even" } else { "h.odd" }, number).await;
        cursors.push(receipt["cursor"].clone());
    }
    let query =
        "query ($first: Int, $last: Int, $after: Cursor, $before: Cursor, $where: [Condition!]) {
        history(topics: \"h.*\", first: $first, last: $last, after: $after, before: $before,
            where: $where) { nodes { payload } pageInfo { hasNextPage hasPreviousPage startCursor
            endCursor } edges { cursor node { cursor } } } }";
    let table = [
        (json!({"first": 3}), json!([0, 1, 2]), true, false),
        (json!({"last": 3}), json!([7, 8, 9]), false, true),
        (json!({"first": 2, "after": cursors[4]}), json!([5, 6]), true, true),
        (json!({"last": 2, "before": cursors[4]}), json!([2, 3]), true, true),
        (json!({"after": cursors[7]}), json!([8, 9]), false, true),
        (json!({"after": "earliest", "first": 1}), json!([0]), true, false),
        (json!({"after": cursors[2], "before": cursors[5]}), json!([3, 4]), true, true),
        (json!({"first": 0}), json!([]), true, false),
        (json!({"where": [{"path": "", "gte": 8}]}), json!([8, 9]), false, false),
        (json!({"last": 1, "where": [{"path": "", "lt": 5}]}), json!([4]), false, true),
    ];
    for (variables, expected, next, previous) in table {
        let page = peer.ask(query, variables.clone()).await["history"].take();
        let nodes = page["nodes"].as_array().unwrap();
        let found: Vec<&Value> = nodes.iter().map(|node| &node["payload"]).collect();
        assert_eq!(json!(found), expected, "{variables}");
        let info = &page["pageInfo"];
        let has =
            (info["hasNextPage"].as_bool().unwrap(), info["hasPreviousPage"].as_bool().unwrap());
        assert_eq!(has, (next, previous), "{variables}");
        let edges = page["edges"].as_array().unwrap();
        assert!(edges.iter().all(|edge| edge["cursor"] == edge["node"]["cursor"]));
        let ends = (edges.first(), edges.last());
        let ends = (
            ends.0.map_or(&Value::Null, |e| &e["cursor"]),
            ends.1.map_or(&Value::Null, |e| &e["cursor"]),
        );
        assert_eq!((&info["startCursor"], &info["endCursor"]), ends, "{variables}");
    }
}
