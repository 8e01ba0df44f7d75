//! Numbers from a seed, so that a failing run can be repeated with the same choices.

use std::time::{SystemTime, UNIX_EPOCH};

/// The generator `SplitMix64`.
pub(crate) struct Random(u64);

impl Random {
    /// From `TIDINGS_SEED`, or from the time; the seed is printed.
    pub(crate) fn from_environment() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let given = std::env::var("TIDINGS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(u64::from(now.subsec_nanos()));
        println!("TIDINGS_SEED={seed}");
        Self(seed)
    }

    /// A generator of its own, for one of many tasks.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
