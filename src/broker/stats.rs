//! What the broker counts: totals, rates, and histograms of atomics that any thread may read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::misfits::Misfits;

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

/// Durations in buckets of powers of two: 16 us, 32 us, … 134 s, and beyond.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

const BUCKETS: usize = 25;
const FIRST_BUCKET_MICROS: u64 = 16;

/// What a histogram held at one moment.
#[derive(Debug, Clone)]
pub struct HistogramSnapshot {
    /// Upper bound in seconds and count of each bucket; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of all durations in seconds.
    pub sum: f64,
}

impl Counters {
    /// All zero, with rates that begin at `now`.
    pub fn new(now: Instant) -> Self {
        Self {
            connections: Gauge::default(),
            connections_total: Counter::default(),
            subscriptions: Gauge::default(),
            published: Counter::default(),
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

impl Histogram {
    /// Counts `count` events that took this long.
    pub fn observe(&self, took: Duration, count: u64) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let steps = micros.div_ceil(FIRST_BUCKET_MICROS).max(1).next_power_of_two().ilog2();
        let bucket = usize::try_from(steps).unwrap_or(BUCKETS).min(BUCKETS - 1);
        self.buckets[bucket].fetch_add(count, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros.saturating_mul(count), Ordering::Relaxed);
    }

    /// The counts now.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn snapshot(&self) -> HistogramSnapshot {
        let bound = |step: usize| {
            let last = step == BUCKETS - 1;
            if last { f64::INFINITY } else { (FIRST_BUCKET_MICROS << step) as f64 / 1e6 }
        };
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        HistogramSnapshot {
            buckets: counts.enumerate().map(|(step, count)| (bound(step), count)).collect(),
            sum: self.sum_micros.load(Ordering::Relaxed) as f64 / 1e6,
        }
    }
}

impl HistogramSnapshot {
    /// Upper bound in seconds of the bucket that holds this share (0 to 1) of what came after
    /// `before`; 0 when nothing did.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn quantile_since(&self, before: &Self, share: f64) -> f64 {
        let new = |(now, then): (&(f64, u64), &(f64, u64))| (now.0, now.1.saturating_sub(then.1));
        let counts: Vec<_> = self.buckets.iter().zip(&before.buckets).map(new).collect();
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let mut seen = 0;
        for (bound, count) in counts {
            seen += count;
            if total > 0 && seen as f64 >= total as f64 * share {
                return bound;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn quantiles_are_upper_bounds_of_what_is_new() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_secs(1), 100);
        let before = histogram.snapshot();
        assert!(histogram.snapshot().quantile_since(&before, 0.5).abs() < f64::EPSILON);
        histogram.observe(Duration::from_micros(16), 98);
        histogram.observe(Duration::from_micros(17), 1);
        histogram.observe(Duration::from_hours(1), 1);
        let after = histogram.snapshot();
        let quantile = |share| after.quantile_since(&before, share);
        assert!((quantile(0.5) - 16e-6).abs() < 1e-12);
        assert!((quantile(0.99) - 32e-6).abs() < 1e-12);
        assert!(quantile(1.0).is_infinite());
    }
}
