//! Other rules and bounds for a log that is in use: it follows them topic by topic, so that
//! publishers are let in between.

use super::super::record::TopicId;
use super::super::view::Effect;
use super::super::volatile::{fingerprint, is_volatile};
use super::{Book, Stored};
use crate::engine::Bounds;
use crate::engine::retention::Retention;
use crate::message::topic::Topic;

impl Book {
    /// For topics that come from now on; [`Self::follow`] brings the others under the rules.
    pub(in crate::engine::disk) fn set_retention(&mut self, retention: Retention) {
        let before = std::mem::replace(&mut self.retention, retention).volatile();
        let volatile = self.retention.volatile();
        self.log.reserved.rules = fingerprint(volatile.as_ref());
        if before != volatile && self.newest_volatile > 0 {
            // After a start nobody knows what those topics were called.
            self.log.floor = self.log.floor.max(self.newest_volatile);
            self.round.is_log_changed = true;
            self.round.effects.push(Effect::OtherFilters);
        }
        self.following = self.shelves.keys().copied().collect();
        let shelves = &self.shelves;
        let topic = |id: &TopicId| shelves.get(id).map(|shelf| &shelf.topic);
        self.following.sort_unstable_by(|a, b| topic(b).cmp(&topic(a)));
    }

    /// Brings topics under the rules; false when the budget, in topics and messages, did not
    /// suffice.
    pub(in crate::engine::disk) fn follow(&mut self, mut budget: usize) -> Stored<bool> {
        while let Some(&topic) = self.following.last() {
            if budget == 0 {
                return Ok(false);
            }
            budget -= 1;
            self.renew(topic);
            let Some(shelf) = self.shelves.get_mut(&topic) else {
                self.following.pop();
                continue;
            };
            shelf.terms = self.retention.terms(&shelf.topic);
            if !shelf.terms.conflate {
                shelf.newest = None;
            }
            self.note_due(topic);
            if !self.trim_topic(topic, &mut budget)? {
                return Ok(false);
            }
            self.following.pop();
        }
        Ok(true)
    }

    /// The topic of this name, as the rules of now have it.
    pub(super) fn known(&mut self, topic: &Topic) -> Option<TopicId> {
        let known = self.names.get(topic).copied()?;
        // What has come since other rules came must not be where they say that it must not be.
        let is_renewed = !self.following.is_empty() && self.renew(known);
        (!is_renewed).then_some(known)
    }

    /// A topic that is to be on disk from now on, or no more, begins anew; true if it is one.
    fn renew(&mut self, topic: TopicId) -> bool {
        let terms = self.shelves.get(&topic).map(|shelf| self.retention.terms(&shelf.topic));
        let is_other = terms.is_some_and(|terms| terms.durable == is_volatile(topic));
        if is_other {
            self.forget_all(topic);
            self.drop_topic(topic);
        }
        is_other
    }

    /// Puts the topic where it belongs in the timetable: another message may be the next to go.
    pub(super) fn note_due(&mut self, topic: TopicId) {
        let shelf = self.shelf_mut(topic);
        let due = shelf.deadline();
        let before = std::mem::replace(&mut shelf.due, due);
        if before != due {
            before.map(|time| self.due.remove(&(time, topic)));
            self.due.extend(due.map(|time| (time, topic)));
        }
    }

    /// For what comes from now on; [`Self::shrink`] brings what is kept under the bounds.
    pub(in crate::engine::disk) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.ids.set(bounds.idempotency_window, bounds.idempotency_ids_max);
    }

    /// Forgets what is over the bounds of all topics; false when the budget did not suffice.
    pub(in crate::engine::disk) fn shrink(&mut self, mut budget: usize) -> Stored<bool> {
        Ok(self.trim_all(&mut budget)?
            && self.bound_all_replaced(&mut budget)
            && self.expire_ids(budget))
    }
}
