//! Durations, counted by atomics that any thread may add to and read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
