//! The places of messages that are held back: they come in the order of the log and go in any.

use std::collections::VecDeque;

use crate::message::cursor::Sequence;

/// A sorted ring in which what has gone keeps its place until the ring is half empty: it needs new
/// memory only when more is held back than ever before.
#[derive(Debug, Default)]
pub(super) struct Held {
    places: VecDeque<Place>,
    gone: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    sequence: Sequence,
    is_gone: bool,
}

impl Held {
    /// Adds one that is newer than all others.
    pub(super) fn insert(&mut self, sequence: Sequence) {
        debug_assert!(self.places.back().is_none_or(|newest| newest.sequence < sequence));
        self.places.push_back(Place { sequence, is_gone: false });
    }

    /// Takes one away, if it is there.
    pub(super) fn remove(&mut self, sequence: Sequence) {
        let found = self.places.binary_search_by_key(&sequence, |place| place.sequence);
        let place = found.ok().and_then(|at| self.places.get_mut(at)).filter(|p| !p.is_gone);
        let Some(place) = place else { return };
        place.is_gone = true;
        self.gone += 1;
        while self.places.front().is_some_and(|oldest| oldest.is_gone) {
            self.places.pop_front();
            self.gone -= 1;
        }
        if 2 * self.gone > self.places.len() {
            self.places.retain(|place| !place.is_gone);
            self.gone = 0;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn oldest(&self) -> Option<Sequence> {
        self.places.front().map(|oldest| oldest.sequence)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_set(
            steps in proptest::collection::vec((any::<bool>(), 0..40_u64), 1..200),
        ) {
            let (mut held, mut model) = (Held::default(), BTreeSet::new());
            for (number, (inserts, back)) in (1..).zip(steps) {
                if inserts {
                    held.insert(Sequence(number));
                    model.insert(Sequence(number));
                } else {
                    let sequence = Sequence(number.saturating_sub(back));
                    held.remove(sequence);
                    model.remove(&sequence);
                }
                prop_assert_eq!(held.oldest(), model.first().copied());
                prop_assert_eq!(held.is_empty(), model.is_empty());
                prop_assert!(held.places.len() <= 2 * model.len());
            }
        }
    }
}
