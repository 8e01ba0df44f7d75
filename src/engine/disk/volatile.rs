//! Topics that are never written to disk. They live in maps in memory beside those on disk, and all
//! that the disk learns of them is which places of the log they may have taken.

use super::record::{LogRecord, TopicId};
use crate::message::filter::Filters;

/// Which places were never on disk, so that no start gives one of them out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reserved {
    /// None of them is beyond this.
    pub(super) upto: u64,
    /// What [`fingerprint`] says of the filters that their topics have matched.
    pub(super) rules: u64,
}

/// Numbers of volatile topics have this bit.
const VOLATILE: TopicId = 1 << 63;

/// Places that are reserved at once: one write for so many messages. Tests reach their end.
pub(in crate::engine) const PLACES_AHEAD: u64 = if cfg!(test) { 5 } else { 1 << 16 };

/// Is this the number of a topic that is never written to disk?
pub(super) fn is_volatile(topic: TopicId) -> bool {
    topic & VOLATILE != 0
}

/// The number of a topic.
pub(super) fn numbered(number: u64, is_durable: bool) -> TopicId {
    if is_durable { number } else { number | VOLATILE }
}

/// A number that tells sets of filters apart: the disk need not know more of them. (FNV-1a.)
pub(super) fn fingerprint(filters: Option<&Filters>) -> u64 {
    let texts = filters.into_iter().flatten().flat_map(|filter| filter.as_str().bytes().chain([0]));
    texts.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Reserved {
    /// Makes sure of a place; true when the disk has to know first.
    pub(super) fn reserve(&mut self, place: u64) -> bool {
        let is_new = place > self.upto;
        if is_new {
            self.upto = place + PLACES_AHEAD;
        }
        is_new
    }
}

impl LogRecord {
    /// The log as a start goes on with it, where topics of these filters are volatile.
    pub(super) fn resumed(mut self, filters: Option<&Filters>) -> Self {
        let Reserved { upto, rules } = self.reserved;
        let now = fingerprint(filters);
        if upto > 0 && rules != now {
            // Which topics were lost cannot be told by the filters of today.
            self.floor = self.floor.max(upto);
            self.reserved.rules = now;
        }
        self.head = self.head.max(upto);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::cursor::Epoch;
    use crate::message::filter::Filter;

    fn filters(texts: &[&str]) -> Option<Filters> {
        Filters::new(texts.iter().map(|text| Filter::parse(text).unwrap()))
    }

    #[test]
    fn sets_of_filters_are_told_apart() {
        let sets: [&[&str]; 6] = [&[], &["a"], &["a", "b"], &["a.b"], &["a.*"], &["a.>"]];
        for (at, one) in sets.iter().enumerate() {
            for (other_at, other) in sets.iter().enumerate() {
                let [one, other] = [one, other].map(|set| fingerprint(filters(set).as_ref()));
                assert_eq!(one == other, at == other_at);
            }
        }
        let [one, other] = [["b", "a"], ["a", "b"]].map(|set| fingerprint(filters(&set).as_ref()));
        assert_eq!(one, other, "their order says nothing");
    }

    #[test]
    fn a_start_goes_on_after_all_places_that_may_have_been_given() {
        let filters = filters(&["typing.*"]);
        let rules = fingerprint(filters.as_ref());
        let log = |head, upto, rules, floor| LogRecord {
            head,
            floor,
            reserved: Reserved { upto, rules },
            ..LogRecord::new(Epoch::new(1))
        };
        let table = [
            (log(7, 0, 0, 3), log(7, 0, 0, 3)),
            (log(7, 9, rules, 3), log(9, 9, rules, 3)),
            (log(12, 9, rules, 3), log(12, 9, rules, 3)),
            (log(7, 9, 1, 3), log(9, 9, rules, 9)),
            (log(12, 9, 1, 10), log(12, 9, rules, 10)),
        ];
        for (found, expected) in table {
            assert_eq!(found.resumed(filters.as_ref()), expected);
        }
    }

    #[test]
    fn places_are_reserved_in_large_steps() {
        let mut reserved = Reserved::default();
        assert_eq!((1..=2 * PLACES_AHEAD + 2).filter(|&place| reserved.reserve(place)).count(), 2);
        assert!(!reserved.reserve(reserved.upto) && reserved.reserve(reserved.upto + 1));
    }
}
