//! Every limit holds for open connections, or for those that come, as soon as it was reloaded.

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::Reloading;
use crate::harness::http;
use crate::harness::metrics::Metrics;
use crate::harness::peer::{PUBLISH, Peer, TRANSPORT_WS, code};
use crate::harness::raw::{Raw, TEXT, frame, handshake, subscribe};
use crate::harness::wait;

impl Reloading {
    /// Reloads with these keys of `[limits]`.
    async fn limit(&mut self, limits: &str) {
        let outcome = self.reload(&format!("[limits]\n{limits}\n")).await;
        assert!(outcome.contains("limits."), "{outcome}");
    }
}

#[tokio::test]
async fn all_are_shown_as_they_are_now() {
    let mut reloading = Reloading::start("");
    let mut peer = reloading.broker.peer().await;
    let numbers = [
        "connections",
        "connections_per_address",
        "subscriptions_per_connection",
        "message_bytes",
        "payload_bytes",
        "outbox_bytes",
        "outbox_messages",
        "query_depth",
        "query_complexity",
        "query_aliases",
        "publish_per_second",
        "memory_bytes",
    ];
    let times = ["init_timeout", "idle_timeout", "drain_timeout", "idempotency_window"];
    let set = (100_001..).zip(numbers).map(|(value, name)| format!("{name} = {value}"));
    let set = set.chain((21..).zip(times).map(|(value, name)| format!("{name} = \"{value}s\"")));
    let set: Vec<String> = set.collect();
    let outcome = reloading.reload(&format!("[limits]\n{}", set.join("\n"))).await;
    assert_eq!(outcome.split(", ").count(), numbers.len() + times.len(), "{outcome}");
    let mut shown = reloading.limits(&mut peer).await;
    for (value, name) in (100_001..).zip(numbers) {
        assert_eq!(shown[name].take(), value, "{name}");
    }
    for (value, name) in (21..).zip(times) {
        assert_eq!(shown[name].take(), f64::from(value), "{name}");
    }
    assert!(shown.as_object().unwrap().values().all(Value::is_null), "{shown}");
}

#[tokio::test]
async fn publishers_are_held_to_them() {
    let mut reloading = Reloading::start("");
    let mut peer = reloading.broker.peer().await;
    let large = json!({"topic": "a", "payload": "x".repeat(500)});
    peer.publish_item(large.clone()).await;
    reloading.limit("payload_bytes = 100").await;
    assert_eq!(code(&peer.run(PUBLISH, large.clone()).await), "PAYLOAD_TOO_LARGE");
    reloading.limit("publish_per_second = 1").await;
    peer.publish_item(large.clone()).await;
    assert_eq!(code(&peer.run(PUBLISH, large.clone()).await), "RATE_LIMITED");
    let body = json!({"query": PUBLISH, "variables": large});
    let codes = [reloading.broker.post(&body).await, reloading.broker.post(&body).await];
    assert!(codes[0].json().get("errors").is_none(), "{codes:?}");
    assert_eq!(code(&codes[1].json()), "RATE_LIMITED");
    reloading.limit("payload_bytes = \"3MiB\"\nmessage_bytes = \"4MiB\"").await;
    for _ in 0..20 {
        peer.publish_item(large.clone()).await;
    }
    // The bound of messages follows on a connection that was open before.
    peer.publish("a", "x".repeat(2 << 20)).await;
    reloading.limit("message_bytes = \"1KiB\"").await;
    assert_eq!(reloading.broker.post(&json!({"query": "#".repeat(2000)})).await.status, 413);
    peer.start("{ __typename }", json!({"a": "x".repeat(2000)})).await;
    assert_eq!(peer.closed().await.0, 1009);
}

#[tokio::test]
async fn documents_are_held_to_them() {
    let mut reloading = Reloading::start("");
    let mut peer = reloading.broker.peer().await;
    let document = "{ broker { a: version b: node } }";
    for limit in ["query_depth = 1", "query_complexity = 2", "query_aliases = 1"] {
        peer.ask(document, json!({})).await;
        reloading.limit(limit).await;
        let refused = peer.run(document, json!({})).await;
        assert_eq!(code(&refused), "LIMIT_EXCEEDED", "{limit}");
        assert_eq!(reloading.broker.post(&json!({"query": document})).await.json(), refused);
        reloading.reload("").await;
    }
}

#[tokio::test]
async fn one_subscription_more_or_less() {
    let mut reloading = Reloading::start("[limits]\nsubscriptions_per_connection = 1");
    let mut peer = reloading.broker.peer().await;
    let first = peer.follow("topics: \"a\"").await;
    let second = peer.follow("topics: \"a\"").await;
    assert_eq!(code(&peer.error(&second).await), "LIMIT_EXCEEDED");
    reloading.limit("subscriptions_per_connection = 3").await;
    let (second, third) = (peer.follow("topics: \"a\"").await, peer.follow("topics: \"a\"").await);
    reloading.limit("subscriptions_per_connection = 2").await;
    // Those that run go on.
    peer.publish("a", 1).await;
    for id in [&first, &second, &third] {
        peer.expect_numbers(id, [1]).await;
    }
    let fourth = peer.follow("topics: \"a\"").await;
    assert_eq!(code(&peer.error(&fourth).await), "LIMIT_EXCEEDED");
}

#[tokio::test]
async fn one_connection_more_or_less() {
    let mut reloading = Reloading::start("");
    let address = reloading.broker.address;
    let knock = async || Raw::connect(address).await.ask(&handshake()).await.status;
    let mut peer = reloading.broker.peer().await;
    for limit in ["connections = 1", "connections_per_address = 1"] {
        reloading.limit(limit).await;
        assert_eq!(knock().await, 503, "{limit}");
        peer.settle().await;
        reloading.reload("").await;
        wait::until("there is room", async || (knock().await == 101).then_some(())).await;
        wait::until("it is gone", async || {
            let open = Metrics::of(&reloading.broker).await.count("tidings_connections");
            (open == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_held_to_the_bound_of_now() {
    let mut reloading = Reloading::start("[limits]\noutbox_bytes = \"64MiB\"");
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let stream = socket.connect(reloading.broker.address).await.unwrap();
    let mut raw = Raw::on(stream).acknowledged().await;
    raw.write(&subscribe("1", "subscription { messages(topics: \"a\") { payload } }", "{}")).await;
    raw.write(&frame(TEXT, br#"{"type":"ping"}"#)).await;
    assert_eq!(raw.text().await, r#"{"type":"pong"}"#);
    let mut publisher = reloading.broker.peer().await;
    for _ in 0..40 {
        publisher.publish("a", "x".repeat(100 << 10)).await;
    }
    let closed = "tidings_closed_total{code=\"1013\"}";
    assert_eq!(Metrics::of(&reloading.broker).await.count(closed), 0);
    reloading.limit("outbox_bytes = \"64KiB\"").await;
    wait::until("it is closed", async || {
        publisher.publish("a", 1).await;
        (Metrics::of(&reloading.broker).await.count(closed) == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn silence_is_borne_for_as_long_as_they_say_now() {
    let mut reloading = Reloading::start("[limits]\ninit_timeout = \"1h\"\nidle_timeout = \"1h\"");
    let address = reloading.broker.address;
    let mut silent = Raw::connect(address).await.acknowledged().await;
    let mut talker = Peer::connect(address).await;
    reloading.limit("idle_timeout = \"500ms\"\ninit_timeout = \"1h\"").await;
    assert_eq!(silent.end().await, []);
    reloading.limit("init_timeout = \"200ms\"").await;
    let mut peer = Peer::open(address, TRANSPORT_WS).await;
    assert_eq!(peer.closed().await.0, 4408);
    let mut http = Raw::connect(address).await;
    assert_eq!(http.end().await, []);
    talker.try_send(&json!({"type": "ping"})).await;
}

#[tokio::test]
async fn what_is_kept_is_held_to_them() {
    let mut reloading = Reloading::start("");
    let mut peer = reloading.broker.peer().await;
    for number in 0..10 {
        peer.publish("a", number).await;
        peer.publish_item(json!({"topic": "b", "payload": "x".repeat(10 << 10)})).await;
    }
    let kept = async |peer: &mut Peer, topic: &str| {
        let query = "query ($t: [String!]!) { history(topics: $t) { nodes { topic } } }";
        let data = peer.ask(query, json!({"t": [topic]})).await;
        data["history"]["nodes"].as_array().unwrap().len()
    };
    assert_eq!((kept(&mut peer, "a").await, kept(&mut peer, "b").await), (10, 10));
    reloading.reload("[[topics]]\nmatch = \"a\"\nkeep = {last = 3}\npresence = false").await;
    assert_eq!((kept(&mut peer, "a").await, kept(&mut peer, "b").await), (3, 10));
    let id = peer.start("subscription { join(topic: \"a\") { kind } }", json!({})).await;
    assert_eq!(code(&peer.error(&id).await), "FORBIDDEN");
    reloading.reload("[keep]\nlast = 5").await;
    assert_eq!((kept(&mut peer, "a").await, kept(&mut peer, "b").await), (3, 5));
    reloading.limit("memory_bytes = \"32KiB\"").await;
    assert_eq!(kept(&mut peer, "b").await, 3);

    let once = json!({"topic": "c", "payload": 1, "id": "once"});
    peer.publish_item(once.clone()).await;
    assert_eq!(peer.publish_item(once.clone()).await["duplicate"], true);
    reloading.limit("idempotency_window = \"1ms\"").await;
    wait::until("its id is forgotten", async || {
        (peer.publish_item(once.clone()).await["duplicate"] == false).then_some(())
    })
    .await;
}

#[tokio::test]
async fn pages_and_compression_follow() {
    let mut reloading = Reloading::start("");
    let address = reloading.broker.address;
    let ask = async || {
        let mut lines = handshake();
        lines.push(("Origin", "https://app.example.com".to_owned()));
        lines.push(("Sec-WebSocket-Extensions", "permessage-deflate".to_owned()));
        let answer = Raw::connect(address).await.ask(&lines).await;
        (answer.status, answer.header("sec-websocket-extensions").to_owned())
    };
    let page = [("Origin", "https://app.example.com"), ("Content-Type", "application/json")];
    let post = async || {
        http::fetch(address, "POST", "/graphql", &page, r#"{"query":"{__typename}"}"#).await.status
    };
    assert_eq!((ask().await.0, post().await), (403, 403));
    reloading.reload("[server]\norigins = [\"https://app.example.com\"]").await;
    assert_eq!(post().await, 200);
    assert!(ask().await.1.starts_with("permessage-deflate"));
    reloading.reload("[server]\norigins = [\"*\"]\ncompression = false").await;
    assert_eq!(ask().await, (101, String::new()));
}

#[tokio::test]
async fn the_log_and_the_drain_follow() {
    let mut reloading = Reloading::start("[limits]\ndrain_timeout = \"1h\"");
    let mut peer = reloading.broker.peer().await;
    reloading.reload("[log]\nlevel = \"debug\"").await;
    Raw::connect(reloading.broker.address).await.write(b"nonsense\r\n\r\n").await;
    wait::until("details are logged", async || reloading.log().contains("DEBUG").then_some(()))
        .await;
    reloading.write("[log]\nlevel = \"off\"\n[limits]\nquery_depth = 7");
    reloading.broker.signal("HUP");
    wait::until("it was taken over", async || {
        (reloading.limits(&mut peer).await["query_depth"] == 7).then_some(())
    })
    .await;
    assert!(!reloading.log().contains("limits.query_depth"));
    reloading.reload("[limits]\ndrain_timeout = \"1s\"").await;
    reloading.broker.signal("TERM");
    assert!(reloading.broker.exit().await.success());
}
