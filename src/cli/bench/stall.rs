//! Notices that nothing arrives any more.

use std::time::{Duration, Instant};

/// When something arrived last.
pub(super) struct Stall {
    arrived: u64,
    changed: Instant,
}

/// Nothing arrived for so long: what is missing is lost.
const STALLED: Duration = Duration::from_secs(5);

impl Stall {
    pub(super) fn new() -> Self {
        Self { arrived: 0, changed: Instant::now() }
    }

    /// So many have arrived by now; when nothing is under way, nothing has to.
    pub(super) fn see(&mut self, arrived: u64, is_idle: bool) {
        if arrived != self.arrived || is_idle {
            *self = Self { arrived, changed: Instant::now() };
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.changed.elapsed() > STALLED
    }
}
