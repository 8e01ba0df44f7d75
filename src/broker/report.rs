//! The node's figures at one moment, as the console and the exporters show them.

use std::time::Instant;

use super::Broker;
use crate::engine::histogram::HistogramSnapshot;

/// Figures of this node.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Open connections.
    pub connections: u64,
    /// Open subscriptions.
    pub subscriptions: u64,
    /// Feeds with members.
    pub feeds: u64,
    /// Projections in use.
    pub projections: u64,
    /// Topics that keep messages.
    pub topics: u64,
    /// Publishes in the last full second.
    pub published_per_second: u64,
    /// Deliveries in the last full second.
    pub delivered_per_second: u64,
    /// Drops in the last full second.
    pub dropped_per_second: u64,
    /// Bytes that wait in outboxes.
    pub outbox_bytes: u64,
    /// Events that wait for each shard.
    pub inbox_events: Vec<u64>,
    /// Bytes of messages kept.
    pub kept_bytes: u64,
    /// How long writes to the disk took, where there is one.
    pub commit_seconds: HistogramSnapshot,
    /// All delivery times so far: two reports give the quantiles of the time between them.
    pub delivery_seconds: HistogramSnapshot,
}

impl Broker {
    /// The figures now.
    pub fn stats(&self, now: Instant) -> Stats {
        let gauge = |value: i64| u64::try_from(value).unwrap_or_default();
        let counters = &self.counters;
        Stats {
            connections: gauge(counters.connections.get()),
            subscriptions: gauge(counters.subscriptions.get()),
            feeds: self.feeds.count() as u64,
            projections: self.feeds.projections() as u64,
            topics: self.engine.kept_topics(),
            published_per_second: counters.publish_rate.per_second(now),
            delivered_per_second: counters.delivery_rate.per_second(now),
            dropped_per_second: counters.drop_rate.per_second(now),
            outbox_bytes: gauge(counters.outbox_bytes.get()),
            inbox_events: self.feeds.inboxes().iter().map(|i| i.waiting() as u64).collect(),
            kept_bytes: self.engine.kept_bytes(),
            commit_seconds: self.engine.commit_seconds(),
            delivery_seconds: counters.delivery_seconds.snapshot(),
        }
    }
}
