//! What operators see: health, readiness and every metric that the contract names.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::http;
use crate::harness::metrics::Metrics;
use crate::harness::peer::Peer;
use crate::harness::raw::{Raw, TEXT, frame};
use crate::harness::wait;

const NAMES: [&str; 14] = [
    "tidings_connections",
    "tidings_connections_total",
    "tidings_subscriptions",
    "tidings_feeds",
    "tidings_projections",
    "tidings_published_total",
    "tidings_delivered_total",
    "tidings_dropped_total",
    "tidings_closed_total",
    "tidings_subscription_ends_total",
    "tidings_outbox_bytes",
    "tidings_kept_bytes",
    "tidings_publish_seconds",
    "tidings_delivery_seconds",
];

#[tokio::test]
async fn probes_have_their_own_listener() {
    let broker = Broker::start();
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/graphql", 404)]
    {
        let answer = http::fetch(broker.admin, "GET", path, &[], "").await;
        assert_eq!(answer.status, status, "{path}");
    }
    let post = http::fetch(broker.admin, "POST", "/metrics", &[], "").await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn every_metric_is_explained_and_typed_and_said_once() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"m\"").await;
    peer.publish("m", 1).await;
    peer.next_message(&id).await;
    let answer = http::fetch(broker.admin, "GET", "/metrics", &[], "").await;
    let kind = answer.header("content-type");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(answer.body.ends_with("# EOF\n"));
    let metrics = Metrics::of(&broker).await;
    for name in NAMES {
        let lines =
            |start: String| metrics.text.lines().filter(move |line| line.starts_with(&start));
        // OpenMetrics names a counter's family without the `_total` of its samples. One counter
        // would then be called like a gauge; it is a family of its own, of no type.
        let (family, kind) = match name.strip_suffix("_total") {
            Some("tidings_connections") => (name, "unknown"),
            Some(family) => (family, "counter"),
            None if name.ends_with("_seconds") => (name, "histogram"),
            None => (name, "gauge"),
        };
        assert_eq!(lines(format!("# HELP {family} ")).count(), 1, "{family}");
        let types: Vec<&str> = lines(format!("# TYPE {family} ")).collect();
        assert_eq!(types, [format!("# TYPE {family} {kind}")]);
    }
    let mut series: Vec<&str> = metrics.series().collect();
    let count = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), count, "a series appears twice:\n{}", metrics.text);
}

/// Waits until the broker's books say so; counters follow within a moment.
async fn becomes(broker: &Broker, expected: &[(&str, u64)]) {
    wait::until(&format!("metrics are {expected:?}"), async || {
        let metrics = Metrics::of(broker).await;
        let holds = |(series, count): &(&str, u64)| metrics.count(series) == *count;
        expected.iter().all(holds).then_some(())
    })
    .await;
}

#[tokio::test]
async fn counters_count_what_happened() {
    let broker = Broker::start();
    let (mut one, mut two) = (broker.peer().await, broker.peer().await);
    let query = "subscription { messages(topics: \"c\") { payload } }";
    let ids = [one.start(query, json!({})).await, one.start(query, json!({})).await];
    let other = two.follow("topics: \"c\"").await;
    for peer in [&mut one, &mut two] {
        peer.settle().await;
    }
    for number in 0..10 {
        two.publish("c", number).await;
    }
    for _ in 0..10 {
        one.next_message(&ids[0]).await;
        one.next_message(&ids[1]).await;
        two.next_message(&other).await;
    }
    becomes(
        &broker,
        &[
            ("tidings_connections", 2),
            ("tidings_connections_total", 2),
            ("tidings_subscriptions", 3),
            // Two of them are alike.
            ("tidings_feeds", 2),
            ("tidings_projections", 2),
            ("tidings_published_total", 10),
            // Once for each selection.
            ("tidings_encoded_total", 20),
            ("tidings_delivered_total", 30),
            ("tidings_outbox_bytes", 0),
            ("tidings_publish_seconds_count", 10),
            ("tidings_delivery_seconds_count", 30),
        ],
    )
    .await;
    assert!(Metrics::of(&broker).await.count("tidings_kept_bytes") > 0);

    one.ask("mutation { purge(topic: \"c\") }", json!({})).await;
    drop((one, two));
    let nothing = [
        ("tidings_connections", 0),
        ("tidings_subscriptions", 0),
        ("tidings_feeds", 0),
        ("tidings_projections", 0),
        ("tidings_kept_bytes", 0),
        ("tidings_outbox_bytes", 0),
    ];
    becomes(&broker, &nothing).await;
}

#[tokio::test]
async fn ends_are_counted_by_their_reason() {
    let broker = Broker::start();
    let (mut one, mut two) = (broker.peer().await, broker.peer().await);
    let stopped = one.follow("topics: \"c\"").await;
    one.follow("topics: \"c\"").await;
    two.follow("topics: \"c\"").await;
    // A duplicate and a refused one are no further messages.
    let item = json!({"topic": "c", "payload": 1, "id": "x"});
    two.publish_item(item.clone()).await;
    two.publish_item(item).await;
    two.run("mutation { publish(topic: \"c..d\", payload: 1) { topic } }", json!({})).await;
    one.send(&json!({"id": stopped, "type": "complete"})).await;
    let refused = one.follow("topics: \"c\", after: \"earliest\", last: 1").await;
    one.error(&refused).await;
    drop(two);
    let mut raw = Raw::connect(broker.address).await.acknowledged().await;
    raw.write(&frame(TEXT, b"nonsense")).await;
    assert_eq!(raw.closed().await.0, 4400);
    drop(raw);
    becomes(
        &broker,
        &[
            ("tidings_published_total", 1),
            ("tidings_connections", 1),
            ("tidings_connections_total", 3),
            ("tidings_subscriptions", 1),
            ("tidings_closed_total{code=\"1006\"}", 1),
            ("tidings_closed_total{code=\"4400\"}", 1),
            ("tidings_subscription_ends_total{reason=\"stopped\"}", 1),
            ("tidings_subscription_ends_total{reason=\"disconnected\"}", 1),
        ],
    )
    .await;
}

#[tokio::test]
async fn conflated_messages_are_counted_by_policy() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"p\", maxPerSecond: 0.001").await;
    for number in 0..10 {
        peer.publish("p", number).await;
    }
    assert_eq!(peer.next_message(&id).await["payload"], 0);
    // The first is sent, the last one waits, the eight between them are gone.
    becomes(&broker, &[("tidings_dropped_total{policy=\"rate\"}", 8)]).await;
}

#[tokio::test]
async fn histograms_add_up() {
    let broker = Broker::start();
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"h\"").await;
    for number in 0..50 {
        peer.publish("h", number).await;
        peer.next_message(&id).await;
    }
    becomes(&broker, &[("tidings_delivery_seconds_count", 50)]).await;
    let metrics = Metrics::of(&broker).await;
    for name in ["tidings_publish_seconds", "tidings_delivery_seconds"] {
        let bucket = format!("{name}_bucket{{le=\"");
        let buckets: Vec<&str> =
            metrics.series().filter(|series| series.starts_with(&bucket)).collect();
        assert!(buckets.len() > 5, "{name}");
        let values: Vec<u64> = buckets.iter().map(|series| metrics.count(series)).collect();
        assert!(values.is_sorted(), "{name}: {values:?}");
        assert_eq!(*buckets.last().unwrap(), format!("{bucket}+Inf\"}}"));
        assert_eq!(values.last(), Some(&50), "{name}");
        assert_eq!(metrics.count(&format!("{name}_count")), 50);
        let sum = metrics.seconds(&format!("{name}_sum"));
        assert!(sum > 0.0 && sum < 50.0 * 30.0, "{name}: {sum}");
    }
}

#[tokio::test]
async fn live_figures_come_as_a_subscription() {
    let broker = Broker::start();
    let (mut admin, mut peer) = (broker.peer().await, broker.peer().await);
    let query = "subscription { stats(every: 0.1) { at connections subscriptions feeds projections
        topics publishedPerSecond deliveredPerSecond droppedPerSecond outboxBytes keptBytes
        deliveryP50Ms deliveryP99Ms } }";
    let stats = admin.start(query, json!({})).await;
    let first = admin.next(&stats).await;
    let second = admin.next(&stats).await;
    assert_ne!(first["data"]["stats"]["at"], second["data"]["stats"]["at"]);
    let id = peer.follow("topics: \"live\"").await;
    for number in 0..20 {
        peer.publish("live", number).await;
        peer.next_message(&id).await;
    }
    let figures = wait::until("the figures show it", async || {
        let figures = admin.next(&stats).await["data"]["stats"].take();
        (figures["publishedPerSecond"].as_f64().unwrap() > 0.0).then_some(figures)
    })
    .await;
    assert_eq!(figures["connections"], 2);
    assert_eq!(figures["subscriptions"], 2);
    assert_eq!(figures["topics"], 1);
    assert!(figures["keptBytes"].as_f64().unwrap() > 0.0);
    assert!(figures["deliveryP99Ms"].as_f64() >= figures["deliveryP50Ms"].as_f64());
    for every in ["0", "-1", "0.01", "1e9"] {
        let id = admin
            .start(&format!("subscription {{ stats(every: {every}) {{ at }} }}"), json!({}))
            .await;
        let errors = admin.error(&id).await;
        assert_eq!(errors[0]["extensions"]["code"], "BAD_ARGUMENT", "{every}");
    }
    drop::<Peer>(peer);
    let zero = wait::until("the other one is gone", async || {
        let figures: Value = admin.next(&stats).await["data"]["stats"].take();
        (figures["connections"] == 1).then_some(figures)
    })
    .await;
    assert_eq!(zero["subscriptions"], 1);
}
