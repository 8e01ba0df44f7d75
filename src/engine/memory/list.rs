//! What the log tells of topics: their names and their newest messages.

use super::ring::Tail;
use super::state::State;
use crate::engine::Kept;
use crate::message::Message;
use crate::message::filter::{Filter, Filters};

/// A list of topics as far as it has come.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) found: Vec<Kept>,
    pub(super) count: usize,
    /// The last name looked at.
    pub(super) after: Option<Box<str>>,
}

impl State {
    /// Goes on with a list; false when there is more to look at.
    pub(super) fn list(&self, matching: &Filter, listing: &mut Listing, looks_max: usize) -> bool {
        let after = listing.after.take();
        let mut rings = self.topics.named(matching, after.as_deref());
        let mut last = None;
        for _ in 0..looks_max {
            if listing.found.len() == listing.count {
                return true;
            }
            let Some(ring) = rings.next() else { return true };
            if matching.matches(&ring.topic) {
                listing.found.extend(ring.kept());
            }
            last = Some(&ring.topic);
        }
        listing.after = last.map(|topic| topic.as_str().into());
        false
    }

    /// The newest messages of every matching topic.
    pub(super) fn tails(&self, filters: &Filters, count: usize) -> Vec<Tail> {
        let slots = self.topics.matching(filters, usize::MAX).unwrap_or_default();
        slots.into_iter().map(|slot| self.topics[slot].tail(count)).collect()
    }

    /// The messages of its topic before a message.
    pub(super) fn tail_before(&self, before: &Message, count: usize) -> Tail {
        let ring = self.topics.get(&before.topic);
        ring.map(|ring| ring.tail_before(before.cursor.sequence, count)).unwrap_or_default()
    }
}
