//! What a restart, or another rule, costs topics that are not for the disk.

use super::{Entry, Fate, Naive};
use crate::engine::disk::PLACES_AHEAD;
use crate::message::filter::Filters;
use crate::message::topic::Topic;

impl Naive {
    pub(super) fn begin_anew(&mut self, topic: &Topic) {
        if self.remembered.iter().any(|(known, _)| known == topic) {
            self.purge(topic);
            self.floor = self.floor.max(self.loss(topic).0);
            self.remembered.retain(|(known, _)| known != topic);
            let uses = self.uses.iter_mut().filter(|used| used.topic == *topic);
            uses.for_each(|used| used.is_over = true);
        }
    }

    /// Another process goes on with the log, which has no message of volatile topics. After a
    /// process that was killed it may begin at a later `head`, which is 0 after any other.
    pub(in crate::engine::model) fn restart(&mut self, head: u64) {
        assert!(self.newest_volatile > 0 || head <= self.head(), "places are given one by one");
        for sequence in self.head() + 1..=head {
            self.newest_volatile = sequence;
            self.entries.push(self.never(sequence));
        }
        self.moment += 1;
        let Self { retention, moment, .. } = self;
        let is_volatile = |topic: &Topic| !retention.terms(topic).durable;
        for entry in self.entries.iter_mut().filter(|entry| is_volatile(&entry.topic)) {
            if entry.fate != Fate::Lost {
                (entry.fate, entry.moment) = (Fate::Lost, *moment);
            }
        }
        self.uses.retain(|used| used.is_durable);
        self.remembered.retain(|(topic, _)| !is_volatile(topic));
        // Who was killed knows of volatile places only how many it had made sure of.
        self.nameless = match self.newest_volatile {
            newest if newest > 0 && head > 0 => head.min(newest + PLACES_AHEAD),
            newest => newest,
        };
    }

    /// A place that no message has.
    fn never(&self, sequence: u64) -> Entry {
        let (topic, key) = (Topic::parse("nobody.publishes.here").unwrap(), String::new());
        let (at, previous, fate) = (self.now, None, Fate::Lost);
        Entry { sequence, topic, key, cost: 0, at, previous, fate, moment: 0, compacted: None }
    }

    /// Up to which place the engine may take messages for lost that are not.
    pub(in crate::engine::model) fn doubtful(&self, filters: &Filters) -> u64 {
        let volatile = self.retention.volatile();
        let is_any = volatile.is_some_and(|volatile| volatile.intersect(filters));
        self.floor.max(if is_any { self.nameless } else { 0 })
    }
}
