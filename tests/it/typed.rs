//! Typed topics over real sockets: contract, section 3.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::broker::Broker;
use crate::harness::http::fetch;
use crate::harness::peer::{LEGACY_WS, Peer, code};
use crate::harness::stream::Stream;

const SCHEMA: &str = r#"
"A quote of one instrument."
type Quote @key(fields: "symbol")
  @topic(name: "quotes.{symbol}", keep: {last: 3}, overflow: CONFLATE) {
  symbol: ID!
  bid: Float!
  at: DateTime
  side: Side
  legs: [Leg!]
}
enum Side { BUY SELL }
type Leg { px: Float! note: String }
type Reading @topic(name: "sensors.{house}.{room}", key: "sensor", presence: false) {
  house: String!
  room: Int!
  sensor: ID!
  celsius: Float
}
"#;

/// A broker with this schema; its folder goes with it.
pub(crate) fn typed(schema: &str, settings: &[&str]) -> (Broker, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schema.graphql"), schema).unwrap();
    let dir = format!("schema.dir={}", folder.path().display());
    let settings: Vec<&str> = settings.iter().copied().chain([dir.as_str()]).collect();
    (Broker::with(&settings), folder)
}

const PUBLISH: &str = "mutation($q: QuoteInput!) { publishQuote(quote: $q) { topic cursor } }";

async fn publish(peer: &mut Peer, quote: Value) -> Value {
    peer.ask(PUBLISH, json!({ "q": quote })).await["publishQuote"].take()
}

#[tokio::test]
async fn a_subscription_gets_the_topics_it_names_and_what_its_filter_lets_pass() {
    let (broker, _folder) = typed(SCHEMA, &[]);
    let mut peer = broker.peer().await;
    let all = peer.start("subscription { quote { symbol bid } }", json!({})).await;
    let some = "subscription($s: [ID!]) { q: quote(symbol: $s) { b: bid _message { topic } } }";
    let some = peer.start(some, json!({"s": ["A", "BRK.B"]})).await;
    let filter = json!({"w": {"bid": {"gte": 2}, "not": {"side": {"eq": "SELL"}}}});
    let passing = "subscription($w: QuoteFilter) { quote(where: $w) { symbol } }";
    let passing = peer.start(passing, filter).await;
    let generic = peer.follow("topics: \"quotes.>\"").await;
    peer.settle().await;
    let quotes = [
        json!({"symbol": "A", "bid": 1}),
        json!({"symbol": "BRK.B", "bid": 2.50, "side": "BUY"}),
        json!({"symbol": "C", "bid": 3, "side": "SELL"}),
        json!({"symbol": 7, "bid": 4}),
    ];
    for quote in quotes {
        publish(&mut peer, quote).await;
    }
    for (symbol, bid) in [("A", json!(1)), ("BRK.B", json!(2.5)), ("C", json!(3)), ("7", json!(4))]
    {
        let quote = json!({"symbol": symbol, "bid": bid});
        assert_eq!(peer.next(&all).await, json!({"data": {"quote": quote}}));
    }
    for (topic, bid) in [("quotes.A", json!(1)), ("quotes.BRK%2EB", json!(2.5))] {
        let quote = json!({"b": bid, "_message": {"topic": topic}});
        assert_eq!(peer.next(&some).await, json!({"data": {"q": quote}}));
    }
    for symbol in ["BRK.B", "7"] {
        assert_eq!(peer.next(&passing).await, json!({"data": {"quote": {"symbol": symbol}}}));
    }
    let sent = [
        json!({"symbol": "A", "bid": 1}),
        json!({"symbol": "BRK.B", "bid": 2.5, "side": "BUY"}),
        json!({"symbol": "C", "bid": 3, "side": "SELL"}),
        json!({"symbol": "7", "bid": 4}),
    ];
    for payload in sent {
        assert_eq!(peer.next_message(&generic).await["payload"], payload);
    }
}

#[tokio::test]
async fn it_resumes_without_a_gap_by_its_arguments_and_by_the_extension() {
    let (broker, _folder) = typed(&SCHEMA.replace("last: 3", "last: 1000"), &[]);
    let mut peer = Peer::open(broker.address, "graphql-transport-ws").await;
    peer = peer.acknowledged(&json!({"resume": true})).await;
    for bid in 0..50 {
        publish(&mut peer, json!({"symbol": if bid % 2 == 0 { "A" } else { "B" }, "bid": bid}))
            .await;
    }
    let query = "subscription { quote(last: 1) { bid } }";
    let id = peer.start(query, json!({})).await;
    let mut cursor = Value::Null;
    for bid in [48, 49] {
        let result = peer.next(&id).await;
        assert_eq!(result["data"]["quote"]["bid"], bid);
        cursor = result["extensions"]["cursor"].clone();
    }
    for bid in 50..60 {
        publish(&mut peer, json!({"symbol": "A", "bid": bid})).await;
    }
    let payload = json!({"query": query, "extensions": {"after": cursor}});
    let resumed = peer.start_with(payload).await;
    let last = format!("subscription {{ quote(symbol: \"A\", after: {cursor}) {{ bid }} }}");
    let argument = peer.start(&last, json!({})).await;
    publish(&mut peer, json!({"symbol": "A", "bid": 60})).await;
    for bid in 50..61 {
        assert_eq!(peer.next(&resumed).await["data"]["quote"]["bid"], bid);
        assert_eq!(peer.next(&argument).await["data"]["quote"]["bid"], bid);
    }
}

#[tokio::test]
async fn every_way_in_is_checked_by_the_type() {
    let (broker, _folder) = typed(SCHEMA, &[]);
    let mut peer = broker.peer().await;
    let wrong = json!({"symbol": "A", "bid": "1", "legs": [{"px": 1}, {"note": 2}]});
    let expected = json!([["bid"], ["legs", 1, "px"], ["legs", 1, "note"]]);
    let paths = |error: &Value| {
        assert_eq!(error["extensions"]["code"], "BAD_PAYLOAD", "{error}");
        let faults = error["extensions"]["faults"].as_array().unwrap();
        Value::from(faults.iter().map(|fault| fault["path"].clone()).collect::<Vec<_>>())
    };
    let id = peer.start(PUBLISH, json!({ "q": wrong })).await;
    assert_eq!(paths(&peer.error(&id).await[0]), expected);
    let generic = "mutation($p: JSON!) { publish(topic: \"quotes.A\", payload: $p) { topic } }";
    let result = peer.run(generic, json!({ "p": wrong })).await;
    assert_eq!(paths(&result["errors"][0]), expected);
    let headers = [("Content-Type", "application/json")];
    let answer =
        fetch(broker.address, "POST", "/topics/quotes.A", &headers, &wrong.to_string()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(paths(&answer.json()["errors"][0]), expected);
    let many = "mutation($m: [PublishInput!]!) { publishMany(messages: $m) { topic } }";
    let messages = json!([
        {"topic": "quotes.A", "payload": {"symbol": "B", "bid": 1}},
        {"topic": "quotes.A", "payload": {"symbol": "A", "bid": 1}},
        {"topic": "anything", "payload": {"symbol": 5}},
    ]);
    let result = peer.run(many, json!({ "m": messages })).await;
    let receipts = json!([null, {"topic": "quotes.A"}, {"topic": "anything"}]);
    assert_eq!(result["data"]["publishMany"], receipts);
    assert_eq!(result["errors"][0]["path"], json!(["publishMany", 0]));
    assert_eq!(paths(&result["errors"][0]), json!([["symbol"]]));
    let kept = peer.ask("{ last(topics: \">\") { topic } }", json!({})).await;
    assert_eq!(kept["last"].as_array().unwrap().len(), 2, "{kept}");
}

#[tokio::test]
async fn the_type_says_what_is_kept_and_who_may_join() {
    let (broker, _folder) = typed(SCHEMA, &[]);
    let mut peer = broker.peer().await;
    for bid in 0..5 {
        publish(&mut peer, json!({"symbol": "A", "bid": bid})).await;
    }
    let history = "{ quoteHistory(symbol: \"A\") { nodes { bid } pageInfo { hasNextPage } } }";
    let kept = peer.ask(history, json!({})).await;
    let bids = json!([{"bid": 2}, {"bid": 3}, {"bid": 4}]);
    assert_eq!(kept["quoteHistory"]["nodes"], bids);
    let joined =
        peer.run("subscription { join(topic: \"sensors.a.1\") { kind } }", json!({})).await;
    assert_eq!(code(&joined), "FORBIDDEN", "{joined}");
    let reading = "mutation($r: [ReadingInput!]!) { publishManyReading(readings: $r) { topic } }";
    let one = json!({"house": "a b", "room": 1, "sensor": "s1", "celsius": 20.5});
    let result =
        peer.ask(reading, json!({"r": [one, {"house": "a b", "room": 1, "sensor": "s2"}]})).await;
    let receipt = json!({"topic": "sensors.a%20b.1"});
    assert_eq!(result["publishManyReading"], json!([receipt, receipt]));
    let newest = "{ reading(house: \"a b\", room: 1) { sensor _message { key } }
                    topic(name: \"sensors.a%20b.1\") { type } }";
    let newest = peer.ask(newest, json!({})).await;
    let message = json!({"sensor": "s2", "_message": {"key": "s2"}});
    assert_eq!(newest, json!({"reading": message, "topic": {"type": "Reading"}}));
}

#[tokio::test]
async fn every_transport_has_typed_topics() {
    let (broker, _folder) = typed(SCHEMA, &[]);
    let mut peer = broker.peer().await;
    let query = "subscription { quote(after: \"earliest\") { symbol bid } }";
    let mut older = Peer::open(broker.address, LEGACY_WS).await.acknowledged(&json!({})).await;
    older.send(&json!({"id": "1", "type": "start", "payload": {"query": query}})).await;
    let body = json!({ "query": query }).to_string();
    let headers = [("Content-Type", "application/json"), ("Accept", "text/event-stream")];
    let mut events = Stream::open(broker.address, "POST", "/graphql", &headers, &body).await;
    let plain = [("Accept", "text/event-stream")];
    let path = "/topics/quotes.*?after=earliest";
    let mut topics = Stream::open(broker.address, "GET", path, &plain, "").await;
    publish(&mut peer, json!({"symbol": "A", "bid": 1.5})).await;
    let expected = json!({"data": {"quote": {"symbol": "A", "bid": 1.5}}});
    assert_eq!(older.message_for("1").await["payload"], expected);
    assert_eq!(events.message().await.json(), expected);
    assert_eq!(topics.message().await.json()["payload"], json!({"symbol": "A", "bid": 1.5}));
    let answer = broker.post(&json!({"query": "{ quote(symbol: \"A\") { bid } }"})).await;
    assert_eq!(answer.json(), json!({"data": {"quote": {"bid": 1.5}}}));
}

#[tokio::test]
async fn a_wrong_schema_is_refused_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let dir = format!("schema.dir={}", folder.path().display());
    let (status, complaint) = Broker::refuse(&[&dir], None);
    assert_eq!(status, Some(1), "{complaint}");
    assert!(complaint.contains("no file in it ends with .graphql"), "{complaint}");
    let text = "type Quote @topic(name: \"quotes.{symbl}\") {\n  symbol: ID!\n  bid: Flaot!\n}\n";
    std::fs::write(folder.path().join("a.graphql"), text).unwrap();
    let (status, complaint) = Broker::refuse(&[&dir], None);
    assert_eq!(status, Some(1), "{complaint}");
    for part in ["a.graphql:1:", "a.graphql:3:8", "`symbol`", "`Float`", "  bid: Flaot!"] {
        assert!(complaint.contains(part), "{part}\n{complaint}");
    }
}
