//! Other rules and bounds for a log that is in use: it follows them topic by topic, so that
//! publishers are let in between.

use super::state::State;
use crate::engine::Bounds;
use crate::engine::retention::{Retention, Terms};
use crate::engine::topics::Slot;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// How far other rules have come: topics follow in the order of their names.
#[derive(Debug, Default)]
pub(super) struct Walk {
    after: Option<Topic>,
}

impl State {
    /// For topics that come from now on; [`Self::follow`] brings the others under the rules.
    pub(super) fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Brings topics under the rules; false when the budget did not suffice. It is in topics, and
    /// in messages that are looked at or forgotten.
    pub(super) fn follow(&mut self, walk: &mut Walk, now: Timestamp, mut budget: usize) -> bool {
        while budget > 0 {
            let Some(slot) = self.topics.next(walk.after.as_ref()) else { return true };
            budget -= 1;
            let ring = &mut self.topics[slot];
            let terms = self.retention.terms(&ring.topic);
            if !ring.set_conflation(terms.conflate, &mut budget) {
                return false;
            }
            self.set_terms(slot, terms);
            if !self.trim_topic(slot, now, &mut budget) {
                return false;
            }
            walk.after = Some(self.topics[slot].topic.clone());
        }
        false
    }

    fn set_terms(&mut self, slot: Slot, terms: Terms) {
        self.topics[slot].terms = terms;
        self.note_due(slot);
    }

    /// For what comes from now on; [`Self::shrink`] brings what is kept under the bounds.
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.memory_bytes = bounds.memory_bytes;
        self.ids.set(bounds.idempotency_window, bounds.idempotency_ids_max);
    }

    /// Forgets what is over the bounds of all topics; false when the budget did not suffice.
    pub(super) fn shrink(&mut self, now: Timestamp, mut budget: usize) -> bool {
        self.trim_all(now, &mut budget)
            && self.bound_all_replaced(&mut budget)
            && self.expire_ids(now, budget)
    }
}
