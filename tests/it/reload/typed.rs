//! Types that come, go and change while subscriptions rely on them.

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::Reloading;
use crate::harness::broker::program;
use crate::harness::http;
use crate::harness::metrics::Metrics;
use crate::harness::peer::{LEGACY_WS, Peer, code};
use crate::harness::raw::{Raw, TEXT, frame, subscribe};
use crate::harness::stream::Stream;
use crate::harness::wait;

const QUOTE: &str =
    "type Quote @topic(name: \"quotes.{symbol}\") { symbol: ID! bid: Float! ask: Float }\n";
const TRADE: &str =
    "type Trade @topic(name: \"trades.{symbol}\") { symbol: ID! price: Float! note: String }\n";
const OF_QUOTE: &str = "subscription { quote(symbol: \"A\") { bid } }";
const OF_TRADE: &str = "subscription { trade(symbol: \"A\") { price } }";
const OF_ALL: &str = "subscription { messages(topics: \">\") { topic } }";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");
const PARTS: (&str, &str) = ("Accept", "multipart/mixed;subscriptionSpec=1.0");

/// A broker with a folder of types, and a configuration that keeps much.
fn typed(sdl: &str, flags: &[&str]) -> Reloading {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("schema");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("types.graphql"), sdl).unwrap();
    let folder = folder.to_str().unwrap().to_owned();
    let flags: Vec<&str> = ["--schema", &folder].iter().chain(flags).copied().collect();
    Reloading::in_folder(root, "[keep]\nlast = 100000\nbytes = \"100MiB\"", &flags)
}

impl Reloading {
    fn write_types(&self, sdl: &str) {
        std::fs::write(self.path("schema/types.graphql"), sdl).unwrap();
    }

    /// Reloads with these types, and says what the log says of it.
    async fn serve(&mut self, sdl: &str) -> String {
        self.write_types(sdl);
        self.broker.signal("HUP");
        self.outcome().await
    }

    async fn stream(&self, accept: (&str, &str), query: &str) -> Stream {
        let body = json!({ "query": query }).to_string();
        let address = self.broker.address;
        Stream::open(address, "POST", "/graphql", &[accept, JSON], &body).await
    }

    async fn ended(&self) -> u64 {
        let ended = "tidings_subscription_ends_total{reason=\"type_changed\"}";
        Metrics::of(&self.broker).await.count(ended)
    }
}

async fn quote(peer: &mut Peer, bid: i32) {
    let quote = json!({"symbol": "A", "bid": bid});
    let query = "mutation ($q: QuoteInput!) { publishQuote(quote: $q) { cursor } }";
    peer.ask(query, json!({ "q": quote })).await;
}

fn is_about_trade(errors: &Value) {
    assert_eq!(code(errors), "GRAPHQL_VALIDATION_FAILED");
    assert!(errors[0]["message"].as_str().unwrap().contains("`Trade`"), "{errors}");
}

#[tokio::test]
async fn a_type_that_goes_ends_just_its_subscriptions_and_no_connection() {
    let mut reloading = typed(&format!("{QUOTE}{TRADE}"), &[]);
    let (mut publisher, mut peer) = (reloading.broker.peer().await, reloading.broker.peer().await);
    let [quotes, trades, all] = [
        peer.start(OF_QUOTE, json!({})).await,
        peer.start(OF_TRADE, json!({})).await,
        peer.start(OF_ALL, json!({})).await,
    ];
    let paced = "subscription { trade(maxPerSecond: 1, distinct: true) { note } }";
    let paced = peer.start(paced, json!({})).await;
    peer.settle().await;
    for number in 0..50 {
        quote(&mut publisher, number).await;
    }
    assert_eq!(reloading.serve(QUOTE).await, "schema (-Trade)");
    for number in 50..100 {
        quote(&mut publisher, number).await;
    }
    for id in [&trades, &paced] {
        is_about_trade(&peer.error(id).await);
    }
    for number in 0..100 {
        assert_eq!(peer.next(&quotes).await["data"]["quote"], json!({"bid": number}));
    }
    publisher.publish("trades.A", json!({"symbol": "A", "price": 1})).await;
    for topic in [&["quotes.A"; 100][..], &["trades.A"]].concat() {
        assert_eq!(peer.next(&all).await["data"]["messages"]["topic"], topic);
    }
    let gone = peer.run(OF_TRADE, json!({})).await;
    assert_eq!(code(&gone), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(reloading.ended().await, 2);
    let open = peer.ask("{ connections { nodes { id subscriptions } } }", json!({})).await;
    let open = open["connections"]["nodes"].as_array().unwrap().clone();
    let own = open.iter().find(|node| node["id"] == peer.id()).unwrap();
    assert_eq!((open.len(), &own["subscriptions"]), (2, &json!(2)));
    // It comes back: its topics have kept what was published meanwhile.
    assert_eq!(reloading.serve(&format!("{QUOTE}{TRADE}")).await, "schema (+Trade)");
    let query = "subscription { trade(symbol: \"A\", after: \"earliest\") { price } }";
    let id = peer.start(query, json!({})).await;
    assert_eq!(peer.next(&id).await["data"]["trade"], json!({"price": 1}));
    assert_eq!(peer.unheard(), 0);
}

#[tokio::test]
async fn every_transport_tells_that_a_type_has_gone() {
    let mut reloading = typed(&format!("{QUOTE}{TRADE}"), &[]);
    let address = reloading.broker.address;
    let mut publisher = reloading.broker.peer().await;
    let mut older = Peer::open(address, LEGACY_WS).await.acknowledged(&json!({})).await;
    for (id, query) in [("q", OF_QUOTE), ("t", OF_TRADE)] {
        older.send(&json!({"id": id, "type": "start", "payload": {"query": query}})).await;
    }
    let token = http::fetch(address, "PUT", "/graphql", &[], "").await.body;
    let token = ("X-GraphQL-Event-Stream-Token", token.as_str());
    let mut shared = Stream::open(address, "GET", "/graphql", &[EVENTS, token], "").await;
    for (id, query) in [("q", OF_QUOTE), ("t", OF_TRADE)] {
        let body = json!({"query": query, "extensions": {"operationId": id}}).to_string();
        let started = http::fetch(address, "POST", "/graphql", &[JSON, token], &body).await;
        assert_eq!(started.status, 202);
    }
    let mut quotes =
        [reloading.stream(EVENTS, OF_QUOTE).await, reloading.stream(PARTS, OF_QUOTE).await];
    let mut trades =
        [reloading.stream(EVENTS, OF_TRADE).await, reloading.stream(PARTS, OF_TRADE).await];
    wait::until("all are there", async || {
        let open = Metrics::of(&reloading.broker).await.count("tidings_subscriptions");
        (open == 8).then_some(())
    })
    .await;
    assert_eq!(reloading.serve(QUOTE).await, "schema (-Trade)");
    // Those end with the error, and say nothing else.
    for stream in &mut trades {
        let said = stream.rest().await;
        assert!(said.contains("the type `Trade` is no longer in the schema"), "{said}");
    }
    is_about_trade(&json!([older.message_for("t").await["payload"]]));
    let ended = shared.message().await.json();
    assert_eq!(ended["id"], "t");
    is_about_trade(&ended["payload"]["errors"]);
    assert_eq!(shared.event().await.unwrap().kind, "complete");
    quote(&mut publisher, 7).await;
    assert_eq!(older.message_for("q").await["payload"]["data"]["quote"]["bid"], 7);
    assert_eq!(shared.message().await.json()["payload"]["data"]["quote"]["bid"], 7);
    let [events, parts] = &mut quotes;
    assert_eq!(events.message().await.json()["data"]["quote"]["bid"], 7);
    wait::within("a part", parts.block("\"bid\":7")).await.unwrap();
    assert_eq!(reloading.ended().await, 4);
}

#[tokio::test]
async fn one_that_catches_up_still_is_told_as_well() {
    let mut reloading = typed(&format!("{QUOTE}{TRADE}"), &[]);
    let mut publisher = reloading.broker.peer().await;
    let trade = json!({"symbol": "A", "price": 1, "note": "x".repeat(10 << 10)});
    for _ in 0..1000 {
        publisher.publish("trades.A", trade.clone()).await;
    }
    // Far more than kernel and outbox take of a client that does not read.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let stream = socket.connect(reloading.broker.address).await.unwrap();
    let mut raw = Raw::on(stream).acknowledged().await;
    let query = "subscription { trade(after: \"earliest\") { note } }";
    raw.write(&subscribe("1", query, "{}")).await;
    raw.write(&frame(TEXT, br#"{"type":"ping"}"#)).await;
    wait::until("it is there", async || {
        let open = Metrics::of(&reloading.broker).await.count("tidings_subscriptions");
        (open == 1).then_some(())
    })
    .await;
    assert_eq!(reloading.serve(QUOTE).await, "schema (-Trade)");
    let mut results = 0;
    loop {
        let message: Value = serde_json::from_str(&raw.text().await).unwrap();
        match message["type"].as_str().unwrap() {
            "next" => results += 1,
            "error" => break is_about_trade(&message["payload"]),
            other => assert_eq!(other, "pong"),
        }
    }
    assert!(results < 1000, "it was not behind");
    assert_eq!(reloading.ended().await, 1);
}

#[tokio::test]
async fn only_those_end_that_rely_on_what_has_changed() {
    let mut reloading = typed(&format!("{QUOTE}{TRADE}"), &[]);
    let mut peer = reloading.broker.peer().await;
    let mut start = async |query: &str| peer.start(query, json!({})).await;
    let bids = start(OF_QUOTE).await;
    let asks = start("subscription { quote { symbol ask } }").await;
    let filtered = start("subscription { quote(where: {bid: {gt: 1}}) { ask } }").await;
    let trades = start(OF_TRADE).await;
    wait::until("all are there", async || {
        let open = Metrics::of(&reloading.broker).await.count("tidings_subscriptions");
        (open == 4).then_some(())
    })
    .await;
    let changed = QUOTE.replace("bid: Float!", "bid: String!") + &TRADE.replace("trades.", "t.");
    assert_eq!(reloading.serve(&changed).await, "schema (~Quote, ~Trade)");
    for (id, words) in [(&bids, "`Quote.bid`"), (&filtered, "`Quote.bid`"), (&trades, "topics")] {
        let errors = peer.error(id).await;
        assert!(errors[0]["message"].as_str().unwrap().contains(words), "{errors}");
    }
    let new = peer.start(OF_QUOTE, json!({})).await;
    let quote = json!({"symbol": "A", "bid": "1.5", "ask": 2});
    let query = "mutation ($q: QuoteInput!) { publishQuote(quote: $q) { cursor } }";
    peer.ask(query, json!({ "q": quote })).await;
    assert_eq!(peer.next(&new).await["data"]["quote"], json!({"bid": "1.5"}));
    assert_eq!(peer.next(&asks).await["data"]["quote"], json!({"symbol": "A", "ask": 2}));
    assert_eq!((peer.unheard(), reloading.ended().await), (0, 3));
}

#[tokio::test]
async fn a_wrong_schema_changes_nothing_and_is_told_as_check_tells_it() {
    let mut reloading = typed(QUOTE, &[]);
    let mut peer = reloading.broker.peer().await;
    let id = peer.start(OF_QUOTE, json!({})).await;
    let wrong =
        "type Quote @topic(name: \"quotes.{symbol}\") { symbol: ID! bid: Flaot! }\ntype T {";
    // What is right beside it is not taken over either.
    reloading.write("[limits]\nquery_depth = 3");
    let outcome = reloading.serve(wrong).await;
    let folder = reloading.path("schema");
    let output = program().args(["check", "--schema"]).arg(folder).output().unwrap();
    let checked = String::from_utf8(output.stderr).unwrap();
    let checked: Vec<&str> =
        checked.lines().map(|line| line.strip_prefix("tidings: ").unwrap_or(line)).collect();
    let told: Vec<&str> = outcome.lines().filter(|line| !line.is_empty()).collect();
    let checked: Vec<&str> = checked.into_iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(told, checked);
    assert!(told[0].starts_with("error: ") && told.len() > 4, "{told:?}");
    assert_ne!(reloading.limits(&mut peer).await["query_depth"], 3);
    quote(&mut peer, 1).await;
    assert_eq!(peer.next(&id).await["data"]["quote"]["bid"], 1);
    assert_eq!(reloading.serve(QUOTE).await, "limits.query_depth, keep.last, keep.bytes");
    std::fs::remove_dir_all(reloading.path("schema")).unwrap();
    reloading.broker.signal("HUP");
    assert!(reloading.outcome().await.contains("cannot be read"));
    quote(&mut peer, 2).await;
    assert_eq!(peer.next(&id).await["data"]["quote"]["bid"], 2);
}

#[tokio::test]
async fn files_of_the_folder_are_watched_and_rules_of_a_type_follow() {
    let mut reloading = typed(QUOTE, &["--watch"]);
    let mut peer = reloading.broker.peer().await;
    for number in 0..5 {
        quote(&mut peer, number).await;
    }
    let kept = QUOTE.replace("}\")", "}\", keep: {last: 2})");
    std::fs::write(reloading.path("new"), kept).unwrap();
    std::fs::rename(reloading.path("new"), reloading.path("schema/types.graphql")).unwrap();
    assert_eq!(reloading.outcome().await, "schema (~Quote)");
    let data = peer.ask("{ quoteHistory(symbol: [\"A\"]) { nodes { bid } } }", json!({})).await;
    assert_eq!(data["quoteHistory"]["nodes"], json!([{"bid": 3}, {"bid": 4}]));
    // A folder inside is part of it.
    let id = peer.start(OF_QUOTE, json!({})).await;
    std::fs::create_dir(reloading.path("schema/more")).unwrap();
    std::fs::write(reloading.path("schema/more/trade.graphql"), TRADE).unwrap();
    assert_eq!(reloading.outcome().await, "schema (+Trade)");
    let started = peer.start(OF_TRADE, json!({})).await;
    std::fs::remove_dir_all(reloading.path("schema/more")).unwrap();
    assert_eq!(reloading.outcome().await, "schema (-Trade)");
    is_about_trade(&peer.error(&started).await);
    quote(&mut peer, 9).await;
    assert_eq!(peer.next(&id).await["data"]["quote"]["bid"], 9);
}
