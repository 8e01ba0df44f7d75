//! The memory of outboxes that are empty, for those that fill next.

use std::collections::VecDeque;

use super::outbox::Entry;

/// A ring that grew beyond this many entries under load is given back.
const RING_ENTRIES_MAX: usize = 256;

/// Places in all rings that are kept: every connection of a shard may have a small one, or some
/// thousands may have the largest.
const ENTRIES_MAX: usize = 1 << 20;

/// Rings without an owner.
#[derive(Debug, Default)]
pub(super) struct Rings {
    free: Vec<VecDeque<Entry>>,
    /// Places in all of them.
    entries: usize,
}

impl Rings {
    /// Keeps an empty ring, or gives its memory back.
    pub(super) fn give(&mut self, ring: VecDeque<Entry>) {
        let entries = ring.capacity();
        let is_small = (1..=RING_ENTRIES_MAX).contains(&entries);
        if is_small && self.entries + entries <= ENTRIES_MAX {
            self.entries += entries;
            self.free.push(ring);
        }
    }

    /// A ring to use, if there is one.
    pub(super) fn take(&mut self) -> Option<VecDeque<Entry>> {
        let ring = self.free.pop()?;
        self.entries -= ring.capacity();
        Some(ring)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_used_again() {
        let mut rings = Rings::default();
        rings.give(VecDeque::new());
        rings.give(VecDeque::with_capacity(RING_ENTRIES_MAX + 1));
        assert!(rings.take().is_none());
        for _ in 0..2 * ENTRIES_MAX / RING_ENTRIES_MAX {
            rings.give(VecDeque::with_capacity(RING_ENTRIES_MAX));
        }
        let kept = std::iter::from_fn(|| rings.take()).map(|ring| ring.capacity()).sum::<usize>();
        assert!((ENTRIES_MAX / 2..=ENTRIES_MAX).contains(&kept), "{kept}");
        assert_eq!(rings.entries, 0);
    }
}
