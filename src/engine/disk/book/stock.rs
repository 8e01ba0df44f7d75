//! How much is kept of all topics, and which message is the oldest: on disk and in memory.

use std::collections::BTreeSet;

use super::super::record::TopicId;
use super::super::volatile::is_volatile;
use crate::engine::Bounds;

/// All that is kept.
#[derive(Debug, Default)]
pub(super) struct Stock {
    durable: Part,
    volatile: Part,
}

#[derive(Debug, Default)]
struct Part {
    bytes: u64,
    /// The oldest message of each topic that keeps any: the first is the oldest of all.
    firsts: BTreeSet<(u64, TopicId)>,
}

impl Stock {
    pub(super) fn bytes(&self) -> u64 {
        self.durable.bytes + self.volatile.bytes
    }

    /// The oldest message of all, and its topic.
    pub(super) fn oldest(&self) -> Option<(u64, TopicId)> {
        let parts = [&self.durable, &self.volatile];
        parts.into_iter().filter_map(|part| part.firsts.first().copied()).min()
    }

    /// The topic whose oldest message has to go, where more is kept than may be.
    pub(super) fn over(&self, bounds: Bounds) -> Option<TopicId> {
        let next = if self.bytes() > bounds.memory_bytes {
            self.oldest()
        } else if self.volatile.bytes > bounds.volatile_bytes {
            self.volatile.firsts.first().copied()
        } else {
            None
        };
        next.map(|(_, topic)| topic)
    }

    pub(super) fn add(&mut self, topic: TopicId, bytes: u64) {
        self.part(topic).bytes += bytes;
    }

    pub(super) fn take(&mut self, topic: TopicId, bytes: u64) {
        let part = self.part(topic);
        part.bytes = part.bytes.saturating_sub(bytes);
    }

    /// Notes which message of a topic is the oldest now, and which one was.
    pub(super) fn begin_with(&mut self, topic: TopicId, before: Option<u64>, now: Option<u64>) {
        let part = self.part(topic);
        before.map(|before| part.firsts.remove(&(before, topic)));
        part.firsts.extend(now.map(|now| (now, topic)));
    }

    fn part(&mut self, topic: TopicId) -> &mut Part {
        if is_volatile(topic) { &mut self.volatile } else { &mut self.durable }
    }
}
