//! What operators see: log lines on standard error, and all metrics in one table.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

use crate::broker::Broker;
use crate::broker::report::Stats;
use crate::broker::stats::{Counters, HistogramSnapshot};
use crate::config::{Log, LogFormat};
use crate::server::Exposition;

/// A metric and where its values come from.
struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    read: fn(&View<'_>) -> Values,
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// What metrics are read from.
struct View<'a> {
    broker: &'a Broker,
    stats: &'a Stats,
    counters: &'a Counters,
}

/// The values of one metric now.
enum Values {
    One(u64),
    /// One for each value of a label.
    Labelled(&'static str, Vec<(String, u64)>),
    /// A fact in labels.
    Info(Vec<(&'static str, String)>),
    Histogram(HistogramSnapshot),
}

/// Every metric there is.
const METRICS: [Metric; 16] = [
    Metric {
        name: "tidings_info",
        kind: Kind::Gauge,
        help: "Version, node and engine, as labels.",
        read: |view| {
            Values::Info(vec![
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("node", view.broker.node().to_string()),
                ("engine", view.broker.engine_name().to_owned()),
            ])
        },
    },
    Metric {
        name: "tidings_connections",
        kind: Kind::Gauge,
        help: "Open connections.",
        read: |view| Values::One(view.stats.connections),
    },
    Metric {
        name: "tidings_connections_total",
        kind: Kind::Counter,
        help: "Connections ever opened.",
        read: |view| Values::One(view.counters.connections_total.get()),
    },
    Metric {
        name: "tidings_subscriptions",
        kind: Kind::Gauge,
        help: "Open subscriptions.",
        read: |view| Values::One(view.stats.subscriptions),
    },
    Metric {
        name: "tidings_feeds",
        kind: Kind::Gauge,
        help: "Distinct combinations of filter and selection with subscribers.",
        read: |view| Values::One(view.stats.feeds),
    },
    Metric {
        name: "tidings_projections",
        kind: Kind::Gauge,
        help: "Distinct selections with subscribers: a message is encoded once for each.",
        read: |view| Values::One(view.stats.projections),
    },
    Metric {
        name: "tidings_topics",
        kind: Kind::Gauge,
        help: "Topics that keep messages.",
        read: |view| Values::One(view.stats.topics),
    },
    Metric {
        name: "tidings_published_total",
        kind: Kind::Counter,
        help: "Accepted publishes.",
        read: |view| Values::One(view.counters.published.get()),
    },
    Metric {
        name: "tidings_delivered_total",
        kind: Kind::Counter,
        help: "Results handed to sockets and streams.",
        read: |view| Values::One(view.counters.delivered.get()),
    },
    Metric {
        name: "tidings_dropped_total",
        kind: Kind::Counter,
        help: "Messages kept from one subscriber, by the policy that did so.",
        read: |view| Values::Labelled("policy", collect(&view.counters.dropped)),
    },
    Metric {
        name: "tidings_closed_total",
        kind: Kind::Counter,
        help: "Connections closed, by close code; 1006 is a peer that went without one.",
        read: |view| Values::Labelled("code", collect(&view.counters.closed)),
    },
    Metric {
        name: "tidings_subscription_ends_total",
        kind: Kind::Counter,
        help: "Subscriptions ended, by reason.",
        read: |view| Values::Labelled("reason", collect(&view.counters.subscription_ends)),
    },
    Metric {
        name: "tidings_outbox_bytes",
        kind: Kind::Gauge,
        help: "Bytes that wait for subscribers to read.",
        read: |view| Values::One(view.stats.outbox_bytes),
    },
    Metric {
        name: "tidings_kept_bytes",
        kind: Kind::Gauge,
        help: "Bytes of messages kept.",
        read: |view| Values::One(view.stats.kept_bytes),
    },
    Metric {
        name: "tidings_publish_seconds",
        kind: Kind::Histogram,
        help: "Publishes, from request to receipt.",
        read: |view| Values::Histogram(view.counters.publish_seconds.snapshot()),
    },
    Metric {
        name: "tidings_delivery_seconds",
        kind: Kind::Histogram,
        help: "Deliveries, from accepted to written.",
        read: |view| Values::Histogram(view.counters.delivery_seconds.snapshot()),
    },
];

/// Sends log lines to standard error from now on.
pub fn start_log(log: &Log) {
    let lines = tracing_subscriber::fmt()
        .with_max_level(log.level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process keeps the first one's settings: tests do that.
    let _ = match log.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// All metrics in Prometheus' text format 0.0.4, each time it is called.
pub fn exposition(broker: Arc<Broker>) -> Exposition {
    Arc::new(move || {
        let stats = broker.stats(Instant::now());
        let view = View { broker: &broker, stats: &stats, counters: broker.counters() };
        let mut text = String::with_capacity(8 << 10);
        for metric in &METRICS {
            // Writing to a String cannot fail.
            let _ = write_metric(&mut text, metric, &(metric.read)(&view));
        }
        text
    })
}

/// Pairs of a concurrent map, in the order of their labels.
fn collect<K: ToString + Eq + std::hash::Hash>(
    map: &dashmap::DashMap<K, u64>,
) -> Vec<(String, u64)> {
    let mut pairs: Vec<_> =
        map.iter().map(|pair| (pair.key().to_string(), *pair.value())).collect();
    pairs.sort();
    pairs
}

fn write_metric(text: &mut String, metric: &Metric, values: &Values) -> std::fmt::Result {
    let Metric { name, kind, help, .. } = metric;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
    match values {
        Values::One(value) => writeln!(text, "{name} {value}"),
        Values::Labelled(label, values) => values
            .iter()
            .try_for_each(|(of, value)| writeln!(text, "{name}{{{label}={}}} {value}", quoted(of))),
        Values::Info(labels) => {
            let label = |(label, value): &(_, String)| format!("{label}={}", quoted(value));
            let labels: Vec<String> = labels.iter().map(label).collect();
            writeln!(text, "{name}{{{}}} 1", labels.join(","))
        }
        Values::Histogram(histogram) => write_histogram(text, name, histogram),
    }
}

fn write_histogram(
    text: &mut String,
    name: &str,
    histogram: &HistogramSnapshot,
) -> std::fmt::Result {
    let mut count = 0;
    for (bound, in_bucket) in &histogram.buckets {
        count += in_bucket;
        let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
        writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}")?;
    }
    writeln!(text, "{name}_sum {}\n{name}_count {count}", histogram.sum)
}

/// A label's value, escaped as the format asks.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: Kind, values: &Values) -> String {
        let metric = Metric { name: "m", kind, help: "H.", read: |_| Values::One(0) };
        let mut text = String::new();
        write_metric(&mut text, &metric, values).unwrap();
        text
    }

    #[test]
    fn values_in_the_text_format() {
        let head = "# HELP m H.\n# TYPE m counter\n";
        assert_eq!(written(Kind::Counter, &Values::One(7)), format!("{head}m 7\n"));
        let labelled = Values::Labelled("code", vec![("1000".into(), 2), ("a\"\\\n".into(), 3)]);
        let lines = "m{code=\"1000\"} 2\nm{code=\"a\\\"\\\\\\n\"} 3\n";
        assert_eq!(written(Kind::Counter, &labelled), format!("{head}{lines}"));
        let info = Values::Info(vec![("a", "x".into()), ("b", "y".into())]);
        assert!(written(Kind::Gauge, &info).ends_with("gauge\nm{a=\"x\",b=\"y\"} 1\n"));
    }

    #[test]
    fn buckets_add_up() {
        let buckets = vec![(0.5, 1), (2.0, 3), (f64::INFINITY, 1)];
        let text =
            written(Kind::Histogram, &Values::Histogram(HistogramSnapshot { buckets, sum: 9.5 }));
        let lines = "m_bucket{le=\"0.5\"} 1\nm_bucket{le=\"2\"} 4\nm_bucket{le=\"+Inf\"} 5\n\
                     m_sum 9.5\nm_count 5\n";
        assert!(text.ends_with(lines), "{text}");
    }

    #[test]
    fn names_are_ours_and_counters_end_in_total() {
        for Metric { name, kind, help, .. } in &METRICS {
            assert!(name.starts_with("tidings_") && help.ends_with('.'), "{name}");
            assert_eq!(matches!(kind, Kind::Counter), name.ends_with("_total"), "{name}");
        }
        for name in ["tidings_dropped_total", "tidings_closed_total", "tidings_publish_seconds"] {
            assert!(METRICS.iter().any(|metric| metric.name == name));
        }
    }
}
