//! What operators see: log lines on standard error, and all metrics in one table.

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry as Spans, reload};

use crate::broker::Broker;
use crate::broker::report::Stats;
use crate::broker::stats::Counters;
use crate::config::{Log, LogFormat};
use crate::engine::histogram::HistogramSnapshot;
use crate::server::Exposition;

/// How severe a log line has to be; it can change while lines are written.
#[derive(Debug, Clone)]
pub struct LogLevel(reload::Handle<Targets, Spans>);

/// A metric and where its values come from.
struct Metric {
    /// As a query names it: with `_total` or `_info`, which the text format adds by itself.
    name: &'static str,
    help: &'static str,
    read: fn(&View<'_>) -> Values,
}

/// What metrics are read from.
struct View<'a> {
    broker: &'a Broker,
    stats: &'a Stats,
    counters: &'a Counters,
}

/// The values of one metric now.
enum Values {
    Gauge(u64),
    /// One for each value of a label.
    Gauges(&'static str, Vec<(String, u64)>),
    Counter(u64),
    /// One for each value of a label.
    Counters(&'static str, Vec<(String, u64)>),
    /// A counter whose name without `_total` is that of a gauge: `OpenMetrics` takes them for one
    /// and refuses it, so this one goes without its type.
    Total(u64),
    /// A fact in labels.
    Info(Vec<(&'static str, String)>),
    Histogram(HistogramSnapshot),
}

/// The metrics of a broker, read anew for each exposition.
struct Metrics(Arc<Broker>);

/// Every metric there is.
const METRICS: [Metric; 20] = [
    Metric {
        name: "tidings_info",
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
        help: "Open connections.",
        read: |view| Values::Gauge(view.stats.connections),
    },
    Metric {
        name: "tidings_connections_total",
        help: "Connections ever opened.",
        read: |view| Values::Total(view.counters.connections_total.get()),
    },
    Metric {
        name: "tidings_subscriptions",
        help: "Open subscriptions.",
        read: |view| Values::Gauge(view.stats.subscriptions),
    },
    Metric {
        name: "tidings_feeds",
        help: "Distinct combinations of filter and selection with subscribers.",
        read: |view| Values::Gauge(view.stats.feeds),
    },
    Metric {
        name: "tidings_projections",
        help: "Distinct selections with subscribers: a message is encoded once for each.",
        read: |view| Values::Gauge(view.stats.projections),
    },
    Metric {
        name: "tidings_topics",
        help: "Topics that keep messages.",
        read: |view| Values::Gauge(view.stats.topics),
    },
    Metric {
        name: "tidings_published_total",
        help: "Accepted publishes.",
        read: |view| Values::Counter(view.counters.published.get()),
    },
    Metric {
        name: "tidings_encoded_total",
        help: "Messages encoded for subscribers, once for each selection.",
        read: |view| Values::Counter(view.counters.encoded.get()),
    },
    Metric {
        name: "tidings_delivered_total",
        help: "Results handed to sockets and streams.",
        read: |view| Values::Counter(view.counters.delivered.get()),
    },
    Metric {
        name: "tidings_dropped_total",
        help: "Messages kept from one subscriber, by the policy that did so.",
        read: |view| Values::Counters("policy", collect(&view.counters.dropped)),
    },
    Metric {
        name: "tidings_skipped_total",
        help: "Messages that typed subscriptions and queries skipped: they do not fit their type.",
        read: |view| Values::Counters("type", view.counters.misfits.counts()),
    },
    Metric {
        name: "tidings_closed_total",
        help: "Connections closed, by close code; 1006 is a peer that went without one.",
        read: |view| Values::Counters("code", collect(&view.counters.closed)),
    },
    Metric {
        name: "tidings_subscription_ends_total",
        help: "Subscriptions ended, by reason.",
        read: |view| Values::Counters("reason", collect(&view.counters.subscription_ends)),
    },
    Metric {
        name: "tidings_outbox_bytes",
        help: "Bytes that wait for subscribers to read.",
        read: |view| Values::Gauge(view.stats.outbox_bytes),
    },
    Metric {
        name: "tidings_inbox_events",
        help: "Accepted messages that a shard has not delivered yet; publishers wait at 4,096.",
        read: |view| {
            let shards = view.stats.inbox_events.iter().enumerate();
            let waiting = shards.map(|(shard, events)| (shard.to_string(), *events));
            Values::Gauges("shard", waiting.collect())
        },
    },
    Metric {
        name: "tidings_kept_bytes",
        help: "Bytes of messages kept.",
        read: |view| Values::Gauge(view.stats.kept_bytes),
    },
    Metric {
        name: "tidings_disk_commit_seconds",
        help: "Writes to the disk: many publishes share one.",
        read: |view| Values::Histogram(view.stats.commit_seconds.clone()),
    },
    Metric {
        name: "tidings_publish_seconds",
        help: "Publishes, from request to receipt.",
        read: |view| Values::Histogram(view.counters.publish_seconds.snapshot()),
    },
    Metric {
        name: "tidings_delivery_seconds",
        help: "Deliveries, from accepted to written.",
        read: |view| Values::Histogram(view.counters.delivery_seconds.snapshot()),
    },
];

/// Sends log lines to standard error from now on; the level can be changed.
pub fn start_log(log: &Log) -> LogLevel {
    let (filter, level) = reload::Layer::new(targets(log.level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process keeps the first one's settings: tests do that.
    let _ = match log.format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    LogLevel(level)
}

impl LogLevel {
    /// Logs what is as severe as this from now on.
    pub fn set(&self, level: LevelFilter) {
        // Fails only where another start in this process had set up the log.
        let _ = self.0.reload(targets(level));
    }
}

/// What is logged: of the watch over files only what is an error, for it complains of folders that
/// are gone, which is why they are watched.
fn targets(level: LevelFilter) -> Targets {
    let store = level.min(LevelFilter::WARN);
    Targets::new()
        .with_default(level)
        .with_target("notify", level.min(LevelFilter::ERROR))
        .with_target("fjall", store)
        .with_target("lsm_tree", store)
}

/// All metrics in the text format of `OpenMetrics` 1.0, each time it is called.
pub fn exposition(broker: Arc<Broker>) -> Exposition {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(broker)));
    Arc::new(move || {
        let mut text = String::with_capacity(16 << 10);
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    })
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats(Instant::now());
        let view = View { broker: &self.0, stats: &stats, counters: self.0.counters() };
        METRICS.iter().try_for_each(|metric| metric.encode((metric.read)(&view), &mut encoder))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metric {
    fn encode(&self, values: Values, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = values.kind();
        let suffix = match kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            MetricType::Gauge | MetricType::Histogram | MetricType::Unknown => "",
        };
        let family = self.name.strip_suffix(suffix).unwrap_or(self.name);
        values.encode(encoder.encode_descriptor(family, self.help, None, kind)?)
    }
}

impl Values {
    fn kind(&self) -> MetricType {
        match self {
            Self::Gauge(_) | Self::Gauges(..) => MetricType::Gauge,
            Self::Counter(_) | Self::Counters(..) => MetricType::Counter,
            Self::Total(_) => MetricType::Unknown,
            Self::Info(_) => MetricType::Info,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }

    fn encode(self, mut to: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(value) | Self::Total(value) => ConstGauge::new(value).encode(to),
            Self::Gauges(label, values) => values.into_iter().try_for_each(|(of, value)| {
                ConstGauge::new(value).encode(to.encode_family(&[(label, of)])?)
            }),
            Self::Counter(value) => ConstCounter::new(value).encode(to),
            Self::Counters(label, values) => values.into_iter().try_for_each(|(of, value)| {
                ConstCounter::new(value).encode(to.encode_family(&[(label, of)])?)
            }),
            Self::Info(labels) => to.encode_info(&labels),
            Self::Histogram(HistogramSnapshot { buckets, sum }) => {
                let count = buckets.iter().map(|(_, count)| count).sum();
                to.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
            }
        }
    }
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

#[cfg(test)]
mod tests;
