//! What a run counts.

use hdrhistogram::Histogram;

use super::checker::Verdict;

/// Counts of a run; those of the measurement begin anew with [`Tally::begin`].
#[derive(Debug)]
pub(super) struct Tally {
    /// Messages seen by a subscriber, once each.
    pub(super) arrived: u64,
    pub(super) late: u64,
    pub(super) duplicates: u64,
    pub(super) strangers: u64,
    /// Messages that newer ones stood for, as seen, and as the server told.
    pub(super) conflated: u64,
    pub(super) told: u64,
    /// In the measurement: deliveries, what they took on the wire, reads that brought them.
    pub(super) deliveries: u64,
    pub(super) wire_bytes: u64,
    pub(super) reads: u64,
    /// In the measurement: from due to read, in nanoseconds.
    pub(super) latency: Histogram<u64>,
}

/// A minute: what takes longer counts as so long.
const LATENCY_NANOS_MAX: u64 = 60_000_000_000;

impl Tally {
    pub(super) fn new() -> Result<Self, String> {
        let latency = Histogram::new_with_bounds(1_000, LATENCY_NANOS_MAX, 3);
        Ok(Self {
            arrived: 0,
            late: 0,
            duplicates: 0,
            strangers: 0,
            conflated: 0,
            told: 0,
            deliveries: 0,
            wire_bytes: 0,
            reads: 0,
            latency: latency.map_err(|error| error.to_string())?,
        })
    }

    /// The measurement begins here.
    pub(super) fn begin(&mut self) {
        (self.deliveries, self.wire_bytes, self.reads) = (0, 0, 0);
        self.latency.reset();
    }

    /// Deliveries that nobody waits for any more.
    pub(super) fn settled(&self) -> u64 {
        self.arrived + self.conflated
    }

    /// A message came; true when it counts as delivered.
    pub(super) fn count(&mut self, verdict: Verdict, latency_nanos: u64) -> bool {
        match verdict {
            Verdict::InOrder => {}
            Verdict::Newest(skipped) => self.conflated += skipped,
            Verdict::Late => self.late += 1,
            Verdict::Duplicate => self.duplicates += 1,
            Verdict::Stranger => self.strangers += 1,
        }
        let first = matches!(verdict, Verdict::InOrder | Verdict::Newest(_) | Verdict::Late);
        if first {
            self.arrived += 1;
            self.deliveries += 1;
            self.latency.saturating_record(latency_nanos);
        }
        first
    }
}
