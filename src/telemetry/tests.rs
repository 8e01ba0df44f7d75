//! The exposition, read as a scraper reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::broker::misfits::Misfits;
use crate::broker::rules::TopicType;
use crate::broker::{Base, Options};
use crate::engine::Bounds;
use crate::engine::memory::{self, Memory};
use crate::engine::retention::{Keep, Retention};
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Place};
use crate::plan::shape::Shape;

/// Samples of a family: name, labels as written, value.
type Samples = Vec<(String, String, f64)>;

/// Families by name: type and samples. Panics where a line is not as `OpenMetrics` 1.0 has it.
fn parse(text: &str) -> BTreeMap<String, (String, Samples)> {
    let lines = text.strip_suffix("# EOF\n").expect("ends with # EOF").lines();
    let mut families: BTreeMap<String, (String, Samples)> = BTreeMap::new();
    let (mut family, mut names) = (String::new(), BTreeSet::new());
    for line in lines {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.ends_with('.'), "{line}");
            name.clone_into(&mut family);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, family);
            let taken = suffixes(kind).into_iter().chain([""]).collect::<BTreeSet<_>>();
            for taken in taken.into_iter().map(|suffix| format!("{name}{suffix}")) {
                assert!(names.insert(taken.clone()), "two families share {taken}");
            }
            assert!(families.insert(family.clone(), (kind.to_owned(), Vec::new())).is_none());
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let (kind, samples) = families.get_mut(&family).unwrap();
            let suffix = name.strip_prefix(&*family).unwrap();
            assert!(suffixes(kind).contains(&suffix), "{line}");
            let labels = labels.strip_suffix('}').unwrap().to_owned();
            samples.push((name.to_owned(), labels, value.parse().unwrap()));
        }
    }
    families
}

/// What the samples of a type are called behind the name of their family.
fn suffixes(kind: &str) -> Vec<&'static str> {
    match kind {
        "counter" => vec!["_total"],
        "info" => vec!["_info"],
        "histogram" => vec!["_bucket", "_count", "_sum"],
        "gauge" | "unknown" => vec![""],
        other => panic!("{other} is no type of ours"),
    }
}

fn broker() -> Arc<Broker> {
    let options = Options {
        shards: 2,
        payload_bytes_max: 1000,
        publishes_per_second_max: 0,
        encodings_bytes: 1000,
        topic_rules: Vec::new(),
        node: "a\"b\\".into(),
    };
    let base = Base::new(&options, Instant::now());
    let memory = memory::Options {
        epoch: Epoch::new(1),
        retention: Retention {
            rules: Vec::new(),
            default: Keep { last: None, age: None, bytes: None },
        },
        bounds: Bounds {
            memory_bytes: 1000,
            volatile_bytes: 1000,
            idempotency_window: Duration::from_secs(1),
            idempotency_ids_max: 10,
        },
        clock: Arc::new(|| Timestamp::from_micros(0)),
    };
    let engine = Memory::new(memory, base.feeds.clone());
    Arc::new(Broker::new(engine, base, options, Timestamp::from_micros(0)))
}

/// Of a type with the object that is at no place, nothing fits.
fn skip_one(misfits: &Misfits) {
    let ty = TopicType { name: "Quote".into(), shape: Shape::new(Vec::new(), 0) };
    let payload = Json::parse("{}").unwrap();
    let draft = Draft { topic: Topic::parse("a").unwrap(), payload, key: None, headers: None };
    let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(1) };
    let published_at = Timestamp::from_micros(0);
    let message = Message::new(draft, Place { cursor, previous: None, published_at });
    assert!(!misfits.fits(Some(&ty), &message));
}

#[test]
fn every_metric_that_users_rely_on_is_there() {
    let broker = broker();
    let counters = broker.counters();
    counters.count_dropped("rate", 3, Instant::now());
    counters.count_closed(1013);
    counters.count_end("stopped");
    skip_one(&counters.misfits);
    let text = exposition(broker)();
    let families = parse(&text);
    let samples: Vec<_> = families.values().flat_map(|(_, samples)| samples).collect();
    let value = |name: &str, labels: &str| {
        let is_it = |sample: &&&(String, String, f64)| sample.0 == name && sample.1 == labels;
        let found = samples.iter().find(is_it);
        found.unwrap_or_else(|| panic!("no {name}{{{labels}}} in\n{text}")).2
    };
    let names = "tidings_connections tidings_connections_total tidings_subscriptions tidings_feeds \
                 tidings_projections tidings_topics tidings_published_total \
                 tidings_encoded_total tidings_delivered_total tidings_outbox_bytes \
                 tidings_kept_bytes \
                 tidings_publish_seconds_count tidings_delivery_seconds_sum";
    for name in names.split_whitespace() {
        assert!(value(name, "").abs() < f64::EPSILON, "{name}");
    }
    let is_one = |value: f64| (value - 1.0).abs() < f64::EPSILON;
    assert!((value("tidings_dropped_total", "policy=\"rate\"") - 3.0).abs() < f64::EPSILON);
    assert!(is_one(value("tidings_skipped_total", "type=\"Quote\"")));
    assert!(is_one(value("tidings_closed_total", "code=\"1013\"")));
    assert!(is_one(value("tidings_subscription_ends_total", "reason=\"stopped\"")));
    assert!(value("tidings_inbox_events", "shard=\"1\"").abs() < f64::EPSILON);
    let version = env!("CARGO_PKG_VERSION");
    let labels = format!(r#"version="{version}",node="a\"b\\",engine="memory""#);
    assert!(is_one(value("tidings_info", &labels)));
}

#[test]
fn buckets_add_up() {
    let broker = broker();
    let took = [20_u64, 20, 1_000, u64::MAX];
    for micros in took {
        broker.counters().publish_seconds.observe(Duration::from_micros(micros), 1);
    }
    let families = parse(&exposition(broker)());
    let (kind, samples) = &families["tidings_publish_seconds"];
    assert_eq!(kind, "histogram");
    let is_bucket = |sample: &&(String, String, f64)| sample.0.ends_with("_bucket");
    let buckets: Vec<_> = samples.iter().filter(is_bucket).collect();
    assert!(buckets.is_sorted_by_key(|(_, _, count)| *count), "{buckets:?}");
    let within = |bound: &str| {
        let label = format!("le=\"{bound}\"");
        buckets.iter().find(|(_, labels, _)| *labels == label).map(|(_, _, count)| *count)
    };
    assert_eq!(within("0.000016"), Some(0.0));
    assert_eq!(within("0.000032"), Some(2.0));
    assert_eq!(within("0.001024"), Some(3.0));
    assert_eq!(within("+Inf"), Some(4.0));
    assert_eq!(buckets.last().map(|bucket| &*bucket.1), Some("le=\"+Inf\""));
}

#[test]
fn the_table_names_what_is_exposed() {
    let families = parse(&exposition(broker())());
    let types: BTreeMap<&str, &str> =
        families.iter().map(|(name, (kind, _))| (&**name, &**kind)).collect();
    for Metric { name, .. } in &METRICS {
        let family = name.trim_end_matches("_total").trim_end_matches("_info");
        assert!(types.contains_key(name) || types.contains_key(family), "{name}");
    }
    assert_eq!(types.len(), METRICS.len());
    assert_eq!(types["tidings_connections"], "gauge");
    assert_eq!(types["tidings_connections_total"], "unknown");
}
