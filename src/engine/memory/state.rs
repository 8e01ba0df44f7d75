//! What the log's lock guards, and everything that changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use super::Options;
use super::ring::Ring;
use crate::engine::ids::{Ids, Used};
use crate::engine::retention::Retention;
use crate::engine::times::Times;
use crate::engine::topics::Looks;
use crate::engine::topics::{Slot, Topics};
use crate::engine::tree::Loss;
use crate::engine::{Error, IfLast, Publish};
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Message, Place, Receipt};

/// The log: one order of all messages, and a ring for each topic.
#[derive(Debug)]
pub(super) struct State {
    pub(super) epoch: Epoch,
    pub(super) head: u64,
    /// How many messages have been forgotten.
    pub(super) moment: u64,
    pub(super) topics: Topics<Ring>,
    /// All messages kept. A map, and not a queue with holes: its size is that of what is kept.
    pub(super) kept: BTreeMap<u64, Kept>,
    /// All messages that newer ones of their key stand for.
    pub(super) replaced: BTreeMap<u64, Replaced>,
    pub(super) times: Times,
    pub(super) bytes: u64,
    /// Topics that keep messages.
    pub(super) filled: u64,
    pub(super) looks: Looks,
    pub(super) retention: Retention,
    pub(super) memory_bytes: u64,
    /// The newest time that the clock has given.
    now: Timestamp,
    /// For each topic whose messages age, a time before which none of them is past its age.
    pub(super) due: BTreeSet<(Timestamp, Slot)>,
    /// Topics that have lost messages after the snapshot that they keep.
    pub(super) stale: BTreeSet<Slot>,
    /// Topics that may have become idle.
    emptied: Vec<Slot>,
    pub(super) ids: Ids<Slot>,
}

/// A kept message and its topic.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) slot: Slot,
    pub(super) message: Arc<Message>,
}

/// The topic of a replaced message, and when it went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replaced {
    pub(super) slot: Slot,
    pub(super) moment: u64,
}

/// What became of a publish.
#[derive(Debug)]
pub(super) enum Accepted {
    /// It is in the log.
    New(Arc<Message>),
    /// Its id had been used.
    Before(Receipt),
}

/// A replaced message is remembered in about 64 bytes; all of them together may cost an eighth of
/// what messages may, and those of one topic an eighth of that.
const MEMORY_PER_REPLACED: u64 = 8 * 64;
const REPLACED_SHARES: u64 = 8;

impl State {
    pub(super) fn new(options: Options) -> Self {
        let bounds = options.bounds;
        Self {
            epoch: options.epoch,
            head: 0,
            moment: 0,
            topics: Topics::new(),
            kept: BTreeMap::new(),
            replaced: BTreeMap::new(),
            times: Times::default(),
            bytes: 0,
            filled: 0,
            looks: Looks::default(),
            retention: options.retention,
            memory_bytes: bounds.memory_bytes,
            now: Timestamp::from_micros(i64::MIN),
            due: BTreeSet::new(),
            stale: BTreeSet::new(),
            emptied: Vec::new(),
            ids: Ids::new(bounds.idempotency_window, bounds.idempotency_ids_max),
        }
    }

    /// The time, which never goes back.
    pub(super) fn tick(&mut self, clock: Timestamp) -> Timestamp {
        self.now = self.now.max(clock);
        self.now
    }

    pub(super) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor { epoch: self.epoch, sequence: Sequence(sequence) }
    }

    /// Takes a publish in, or says why not; a refused one leaves nothing behind.
    pub(super) fn append(&mut self, publish: Publish, now: Timestamp) -> Result<Accepted, Error> {
        let Publish { draft, id, if_last } = publish;
        let known = self.topics.slot(&draft.topic);
        if let (Some(slot), Some(id)) = (known, &id)
            && let Some(used) = self.topics[slot].ids.get(&**id)
            && !self.ids.is_over(used.published_at, now)
        {
            return Ok(Accepted::Before(receipt(draft.topic, *used)));
        }
        if let Some(expected) = if_last {
            self.check_last(known, expected, now)?;
        }
        let slot = known.unwrap_or_else(|| {
            let terms = self.retention.terms(&draft.topic);
            let ring = |topic, leaf| Ring::new(topic, leaf, terms);
            self.topics.insert(&draft.topic, self.head, ring)
        });
        // What is past its age goes first: a message that comes later does not stand for it.
        while self.topics[slot].is_expired(now) {
            self.forget_oldest(slot);
        }
        let cursor = self.cursor(self.head + 1);
        let previous = self.topics[slot].previous;
        let place = Place { cursor, previous, published_at: now };
        let message = Arc::new(Message::new(draft, place));
        if let Some(id) = id {
            let used = Used { cursor, published_at: now };
            let id: Arc<str> = id.into();
            self.topics[slot].ids.insert(Arc::clone(&id), used);
            self.ids.push(slot, id, used);
            self.expire_ids(now, 1);
        }
        self.keep(slot, Arc::clone(&message));
        self.trim(slot, now);
        Ok(Accepted::New(message))
    }

    fn check_last(
        &self,
        slot: Option<Slot>,
        expected: IfLast,
        now: Timestamp,
    ) -> Result<(), Error> {
        let newest = slot.map(|slot| &self.topics[slot]).and_then(|ring| {
            let newest = ring.newest()?;
            // Age takes the older ones first: where the newest is past it, nothing is kept.
            (!ring.terms.keep.expires(newest.published_at, now)).then_some(newest.cursor)
        });
        let wanted = match expected {
            IfLast::Empty => None,
            IfLast::Cursor(cursor) => Some(cursor),
        };
        if newest == wanted { Ok(()) } else { Err(Error::Conflict { last: newest }) }
    }

    fn keep(&mut self, slot: Slot, message: Arc<Message>) {
        self.head = message.cursor.sequence.0;
        self.times.note(message.published_at, self.head);
        self.bytes += message.cost() as u64;
        let ring = &mut self.topics[slot];
        self.filled += u64::from(ring.is_empty());
        if ring.due.is_none()
            && let Some(deadline) = ring.terms.keep.deadline(message.published_at)
        {
            ring.due = Some(deadline);
            self.due.insert((deadline, slot));
        }
        ring.push(Arc::clone(&message));
        self.kept.insert(self.head, Kept { slot, message });
    }

    /// Forgets what is over the limits of the topic and over the limit of all.
    fn trim(&mut self, slot: Slot, now: Timestamp) {
        let mut budget = usize::MAX;
        self.trim_topic(slot, now, &mut budget);
        self.trim_all(now, &mut budget);
    }

    /// Forgets what is over the topic's limits; false when the budget, in messages, did not
    /// suffice.
    pub(super) fn trim_topic(&mut self, slot: Slot, now: Timestamp, budget: &mut usize) -> bool {
        loop {
            let ring = &self.topics[slot];
            match ring.held() {
                Some(held) if ring.terms.keep.forgets_oldest(held, now) => {}
                _ => return true,
            }
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            self.forget_oldest(slot);
        }
    }

    /// Forgets what is over the limit of all topics; false when the budget, in messages, did not
    /// suffice.
    pub(super) fn trim_all(&mut self, now: Timestamp, budget: &mut usize) -> bool {
        while self.bytes > self.memory_bytes
            && let Some((_, oldest)) = self.kept.first_key_value()
        {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            let slot = oldest.slot;
            if self.is_due(now) {
                self.expire(now, 1);
            } else {
                self.forget_oldest(slot);
            }
        }
        true
    }

    pub(super) fn forget_oldest(&mut self, slot: Slot) {
        let ring = &mut self.topics[slot];
        let Some(forgotten) = ring.forget_oldest() else { return };
        let sequence = forgotten.message.cursor.sequence.0;
        self.moment += 1;
        self.kept.remove(&sequence);
        self.bytes -= forgotten.message.cost() as u64;
        if forgotten.message.snapshot {
            self.stale.remove(&slot);
        }
        let loss = Loss { sequence, moment: self.moment };
        if forgotten.is_replaced {
            ring.replace(loss);
            self.replaced.insert(sequence, Replaced { slot, moment: self.moment });
            self.bound_replaced(slot);
        } else {
            self.lose(slot, loss);
        }
        if self.topics[slot].is_empty() {
            self.filled -= 1;
            self.list_if_idle(slot);
        } else if self.topics[slot].is_snapshot_alone() {
            // It is older than what it had to outlive.
            self.note_due(slot);
        }
    }

    /// Puts the topic where it belongs in the timetable.
    pub(super) fn note_due(&mut self, slot: Slot) {
        let ring = &mut self.topics[slot];
        let due = ring.deadline();
        let before = mem::replace(&mut ring.due, due);
        if before != due {
            before.map(|time| self.due.remove(&(time, slot)));
            self.due.extend(due.map(|time| (time, slot)));
        }
    }

    /// A message is lost; replaced ones before it need no longer be told apart from lost ones.
    pub(super) fn lose(&mut self, slot: Slot, loss: Loss) {
        let leaf = self.topics[slot].leaf;
        self.topics.tree.lose(leaf, loss);
        let ring = &mut self.topics[slot];
        if ring.snapshot().is_some_and(|snapshot| snapshot.cursor.sequence.0 < loss.sequence) {
            self.stale.insert(slot);
        }
        while ring.oldest_replaced().is_some_and(|oldest| oldest.sequence <= loss.sequence) {
            if let Some(oldest) = ring.drop_oldest_replaced() {
                self.replaced.remove(&oldest.sequence);
            }
        }
    }

    fn bound_replaced(&mut self, slot: Slot) {
        let most = self.memory_bytes / MEMORY_PER_REPLACED / REPLACED_SHARES;
        while self.topics[slot].replaced_count() as u64 > most {
            self.lose_oldest_replaced(slot);
        }
        let mut budget = usize::MAX;
        self.bound_all_replaced(&mut budget);
    }

    /// Forgets replaced messages of which there are too many; false when the budget did not
    /// suffice.
    pub(super) fn bound_all_replaced(&mut self, budget: &mut usize) -> bool {
        let most = self.memory_bytes / MEMORY_PER_REPLACED;
        while self.replaced.len() as u64 > most
            && let Some((_, oldest)) = self.replaced.first_key_value()
        {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            self.lose_oldest_replaced(oldest.slot);
        }
        true
    }

    fn lose_oldest_replaced(&mut self, slot: Slot) {
        if let Some(oldest) = self.topics[slot].oldest_replaced() {
            self.lose(slot, oldest);
        }
    }

    /// Forgets messages past their age; false when the budget, in messages, did not suffice.
    pub(super) fn expire(&mut self, now: Timestamp, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(&(time, slot)) = self.due.first().filter(|&&(time, _)| time <= now) else {
                return true;
            };
            if self.topics[slot].is_expired(now) {
                self.forget_oldest(slot);
            } else {
                let next = self.topics[slot].deadline();
                self.due.remove(&(time, slot));
                self.due.extend(next.map(|deadline| (deadline, slot)));
                self.topics[slot].due = next;
            }
        }
        !self.is_due(now)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due.first().is_some_and(|&(time, _)| time <= now)
    }

    /// Forgets ids past their window; false when the budget did not suffice.
    pub(super) fn expire_ids(&mut self, now: Timestamp, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(entry) = self.ids.pop(now) else { return true };
            let ids = &mut self.topics[entry.topic].ids;
            // An id that was used again after its window has another publish.
            if ids.get(&entry.id).is_some_and(|used| used.cursor == entry.used.cursor) {
                ids.remove(&entry.id);
            }
            self.list_if_idle(entry.topic);
        }
        false
    }

    /// Drops topics that keep nothing; false when the budget did not suffice.
    pub(super) fn drop_idle(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(slot) = self.emptied.pop() else { return true };
            let ring = &mut self.topics[slot];
            ring.is_listed = false;
            if ring.is_idle() {
                if let Some(time) = ring.due {
                    self.due.remove(&(time, slot));
                }
                self.topics.remove(slot);
            }
        }
        false
    }

    fn list_if_idle(&mut self, slot: Slot) {
        let ring = &mut self.topics[slot];
        if ring.is_idle() && !ring.is_listed {
            ring.is_listed = true;
            self.emptied.push(slot);
        }
    }

    pub(super) fn purge(&mut self, topic: &Topic) -> u64 {
        let Some(slot) = self.topics.slot(topic) else { return 0 };
        let count = self.topics[slot].len();
        for _ in 0..count {
            self.forget_oldest(slot);
        }
        count as u64
    }
}

#[cfg(test)]
impl State {
    /// True when no topic, message or id is remembered in any index.
    pub(super) fn is_blank(&self) -> bool {
        let no_messages = self.kept.is_empty() && self.replaced.is_empty() && self.bytes == 0;
        let no_lists = self.due.is_empty() && self.emptied.is_empty() && self.ids.is_empty();
        let no_lists = no_lists && self.stale.is_empty();
        no_messages && no_lists && self.topics.is_empty()
    }
}

fn receipt(topic: Topic, used: Used) -> Receipt {
    let Used { cursor, published_at } = used;
    Receipt { topic, cursor, published_at, duplicate: true }
}
