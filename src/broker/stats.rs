//! What the broker counts: totals, rates, and histograms of atomics that any thread may read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;

use super::misfits::Misfits;
use crate::engine::histogram::Histogram;

/// Totals and gauges of the whole node. Writers add; readers may see a moment's skew.
#[derive(Debug)]
pub struct Counters {
    /// Open connections.
    pub connections: Gauge,
    /// Connections ever opened.
    pub connections_total: Counter,
    /// Open subscriptions.
    pub subscriptions: Gauge,
    /// Accepted publishes.
    pub published: Counter,
    /// Messages encoded for subscribers, once for each selection.
    pub encoded: Counter,
    /// Results handed to sockets or streams.
    pub delivered: Counter,
    /// Messages kept from one subscriber, by what did so: `rate` is `maxPerSecond`, `replaced` are
    /// those that newer ones stood for while it resumed, the others are overflow policies.
    pub dropped: DashMap<&'static str, u64>,
    /// Messages that typed subscribers did not get because they do not fit.
    pub misfits: Arc<Misfits>,
    /// Connections closed, by close code; 1006 where the peer went without one.
    pub closed: DashMap<u16, u64>,
    /// Subscriptions ended, by reason.
    pub subscription_ends: DashMap<&'static str, u64>,
    /// Bytes that wait in outboxes.
    pub outbox_bytes: Gauge,
    /// Publish: from the request to the receipt, for each receipt.
    pub publish_seconds: Histogram,
    /// Delivery: from accepted to written.
    pub delivery_seconds: Histogram,
    /// Accepted publishes per second.
    pub publish_rate: Rate,
    /// Deliveries per second.
    pub delivery_rate: Rate,
    /// Drops per second.
    pub drop_rate: Rate,
}

/// Only ever grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// Events in the last full second.
#[derive(Debug)]
pub struct Rate {
    started: Instant,
    /// Seconds since `started` that `current` counts.
    second: AtomicU64,
    current: AtomicU64,
    previous: AtomicU64,
}

impl Counters {
    /// All zero, with rates that begin at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            connections: Gauge::default(),
            connections_total: Counter::default(),
            subscriptions: Gauge::default(),
            published: Counter::default(),
            encoded: Counter::default(),
            delivered: Counter::default(),
            dropped: DashMap::new(),
            misfits: Arc::default(),
            closed: DashMap::new(),
            subscription_ends: DashMap::new(),
            outbox_bytes: Gauge::default(),
            publish_seconds: Histogram::default(),
            delivery_seconds: Histogram::default(),
            publish_rate: Rate::new(now),
            delivery_rate: Rate::new(now),
            drop_rate: Rate::new(now),
        }
    }

    /// One publish was accepted.
    pub fn count_published(&self, now: Instant) {
        self.published.add(1);
        self.publish_rate.add(1, now);
    }

    /// So many results went out.
    pub fn count_delivered(&self, count: u64, now: Instant) {
        self.delivered.add(count);
        self.delivery_rate.add(count, now);
    }

    /// So many messages were kept from one subscriber.
    pub fn count_dropped(&self, policy: &'static str, count: u64, now: Instant) {
        *self.dropped.entry(policy).or_default() += count;
        self.drop_rate.add(count, now);
    }

    /// A connection was closed with this code.
    pub fn count_closed(&self, code: u16) {
        *self.closed.entry(code).or_default() += 1;
    }

    /// A subscription ended.
    pub fn count_end(&self, reason: &'static str) {
        *self.subscription_ends.entry(reason).or_default() += 1;
    }
}

impl Counter {
    /// Adds.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Adds, or takes away.
    pub fn add(&self, count: i64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Rate {
    /// No events yet.
    pub fn new(now: Instant) -> Self {
        Self {
            started: now,
            second: AtomicU64::new(0),
            current: AtomicU64::new(0),
            previous: AtomicU64::new(0),
        }
    }

    /// Counts events.
    pub fn add(&self, count: u64, now: Instant) {
        self.turn(now);
        self.current.fetch_add(count, Ordering::Relaxed);
    }

    /// Events in the last full second.
    pub fn per_second(&self, now: Instant) -> u64 {
        self.turn(now);
        self.previous.load(Ordering::Relaxed)
    }

    /// Two threads that turn at once may misplace a few events by a second; none is counted twice.
    fn turn(&self, now: Instant) {
        let second = now.saturating_duration_since(self.started).as_secs();
        let before = self.second.load(Ordering::Relaxed);
        let swap = |to| {
            self.second.compare_exchange(before, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if second > before && swap(second) {
            let counted = self.current.swap(0, Ordering::Relaxed);
            self.previous.store(if second == before + 1 { counted } else { 0 }, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_full_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let rate = Rate::new(start);
        rate.add(3, at(100));
        rate.add(4, at(900));
        assert_eq!(rate.per_second(at(999)), 0);
        assert_eq!(rate.per_second(at(1000)), 7);
        rate.add(1, at(1500));
        assert_eq!(rate.per_second(at(2000)), 1);
        assert_eq!(rate.per_second(at(5000)), 0);
    }
}
