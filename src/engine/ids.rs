//! Idempotency ids in the order of their use, so that they can be forgotten in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::retention::later;
use crate::message::cursor::Cursor;
use crate::message::time::Timestamp;

/// The publish that used an id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used {
    pub(super) cursor: Cursor,
    pub(super) published_at: Timestamp,
}

/// The ids of all topics; each topic finds its own by name.
#[derive(Debug)]
pub(super) struct Ids<K> {
    window: Duration,
    count_max: usize,
    queue: VecDeque<Entry<K>>,
}

/// One use of an id.
#[derive(Debug)]
pub(super) struct Entry<K> {
    pub(super) topic: K,
    pub(super) id: Arc<str>,
    pub(super) used: Used,
}

impl<K> Ids<K> {
    pub(super) fn new(window: Duration, count_max: usize) -> Self {
        Self { window, count_max, queue: VecDeque::new() }
    }

    /// Holds ids to another window and number from now on.
    pub(super) fn set(&mut self, window: Duration, count_max: usize) {
        (self.window, self.count_max) = (window, count_max);
    }

    pub(super) fn push(&mut self, topic: K, id: Arc<str>, used: Used) {
        self.queue.push_back(Entry { topic, id, used });
    }

    /// The oldest use, if it is past the window or there are too many.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Entry<K>> {
        let oldest = self.queue.front()?;
        let is_due =
            self.queue.len() > self.count_max || self.is_over(oldest.used.published_at, now);
        if is_due { self.queue.pop_front() } else { None }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Is a use of that time past the window?
    pub(super) fn is_over(&self, used_at: Timestamp, now: Timestamp) -> bool {
        later(used_at, self.window) <= now
    }
}
