//! How the log forgets: the oldest messages of a topic first, and all that a purge names.

use std::collections::{BTreeMap, HashMap};

use super::super::record::{Remains, Stub, TopicId, index_key, key, number};
use super::super::store::Space;
use super::super::view::{Effect, replaced_max};
use super::super::volatile::is_volatile;
use super::shelf::FRONT_MAX;
use super::{Book, Stored};
use crate::message::topic::Topic;

impl Book {
    /// Forgets what is over the limits of the topic and over the limit of all.
    pub(super) fn trim(&mut self, topic: TopicId) -> Stored<()> {
        let mut budget = usize::MAX;
        self.trim_topic(topic, &mut budget)?;
        self.trim_all(&mut budget)?;
        Ok(())
    }

    /// Forgets what is over the topic's limits; false when the budget, in messages, did not
    /// suffice.
    pub(super) fn trim_topic(&mut self, topic: TopicId, budget: &mut usize) -> Stored<bool> {
        loop {
            let shelf = self.shelf(topic);
            match shelf.held() {
                Some(held) if shelf.terms.keep.forgets_oldest(held, self.log.now) => {}
                _ => return Ok(true),
            }
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            self.forget_oldest(topic)?;
        }
    }

    /// Forgets what is over the limit of all topics; false when the budget, in messages, did not
    /// suffice.
    pub(super) fn trim_all(&mut self, budget: &mut usize) -> Stored<bool> {
        while let Some(topic) = self.stock.over(self.bounds) {
            if *budget == 0 {
                return Ok(false);
            }
            *budget -= 1;
            if self.is_due() {
                self.expire(1)?;
            } else {
                self.forget_oldest(topic)?;
            }
        }
        Ok(true)
    }

    /// Forgets the oldest message that is not a snapshot with messages after it.
    pub(super) fn forget_oldest(&mut self, topic: TopicId) -> Stored<()> {
        self.know_newest(topic)?;
        self.know_oldest(topic)?;
        let shelf = self.shelf_mut(topic);
        let before = shelf.first();
        let Some((sequence, cost, is_replaced)) = shelf.pop() else { return Ok(()) };
        self.stock.take(topic, cost);
        self.round.touched.insert(topic);
        self.clear_one(topic, sequence);
        self.know_oldest(topic)?;
        self.know_first(topic, before);
        if is_replaced {
            self.replace(topic, sequence);
        } else {
            self.lose(topic, sequence);
            self.round.effects.push(Effect::Lost(topic, sequence));
        }
        let shelf = self.shelf(topic);
        if shelf.span.is_none() && shelf.standing.is_some() {
            // The snapshot is older than what it had to outlive.
            self.note_due(topic);
        }
        self.list_if_idle(topic);
        Ok(())
    }

    /// Notes which is the oldest message now, where that may have changed.
    pub(super) fn know_first(&mut self, topic: TopicId, before: Option<u64>) {
        let shelf = self.shelf_mut(topic);
        if let (Some(span), Some(oldest)) = (shelf.span.as_mut(), shelf.front.front()) {
            (span.first, span.first_at) = (oldest.sequence, oldest.published_at);
        }
        let first = shelf.first();
        if first != before {
            self.stock.begin_with(topic, before, first);
        }
    }

    /// Reads the oldest stubs of a topic, if none is known.
    pub(super) fn know_oldest(&mut self, topic: TopicId) -> Stored<()> {
        let shelf = self.shelf(topic);
        let Some(span) = shelf.span.filter(|_| shelf.front.is_empty()) else { return Ok(()) };
        let front = self.stubs(topic, (span.first, span.last), FRONT_MAX)?;
        if front.is_empty() {
            return Err(super::StoreError(format!("the index of {} has a gap", shelf.topic)));
        }
        self.shelf_mut(topic).front = front.into_values().collect();
        Ok(())
    }

    /// Finds the newest message of each key, in a topic that conflates.
    fn know_newest(&mut self, topic: TopicId) -> Stored<()> {
        let shelf = self.shelf(topic);
        if !shelf.terms.conflate || shelf.newest.is_some() {
            return Ok(());
        }
        let mut newest = HashMap::new();
        if let Some(span) = shelf.span {
            for (sequence, stub) in self.stubs(topic, (span.first, span.last), usize::MAX)? {
                let key = stub.key.unwrap_or_else(|| shelf.topic.as_str().into());
                newest.insert(key, sequence);
            }
        }
        self.shelf_mut(topic).newest = Some(newest);
        Ok(())
    }

    /// The oldest messages of a topic from a place on, those of this round among them.
    pub(super) fn stubs(
        &self,
        topic: TopicId,
        (from, upto): (u64, u64),
        most: usize,
    ) -> Stored<BTreeMap<u64, Stub>> {
        let index = Space::index(topic);
        let (from, upto) = (index_key(topic, from), index_key(topic, upto));
        let mut found = BTreeMap::new();
        for entry in self.store.snapshot().between(index, &from, &upto).take(most) {
            let (key, value) = entry?;
            let stub = Stub::decode(&key, &value)?;
            found.insert(stub.sequence, stub);
        }
        for (key, value) in self.round.changes.between(index, from, upto) {
            let Some(value) = value else {
                found.remove(&number(key)?);
                continue;
            };
            if found.len() >= most {
                break;
            }
            let stub = Stub::decode(key, value)?;
            found.insert(stub.sequence, stub);
        }
        Ok(found)
    }

    /// A message is lost; replaced ones before it need no longer be told apart from lost ones.
    pub(super) fn lose(&mut self, topic: TopicId, sequence: u64) {
        let shelf = self.shelf_mut(topic);
        shelf.lost = shelf.lost.max(sequence);
        let count = shelf.replaced.partition_point(|&replaced| replaced <= sequence);
        let gone: Vec<u64> = shelf.replaced.drain(..count).collect();
        for replaced in gone {
            self.replaced.remove(&replaced);
            self.erase(topic, Space::Replaced, replaced);
        }
        self.round.touched.insert(topic);
    }

    fn replace(&mut self, topic: TopicId, sequence: u64) {
        let (most, _) = replaced_max(self.bounds);
        self.shelf_mut(topic).replaced.push_back(sequence);
        self.replaced.insert(sequence, topic);
        if !is_volatile(topic) {
            self.round.changes.put(Space::Replaced, key(sequence), topic.to_be_bytes().to_vec());
        }
        self.round.effects.push(Effect::Replaced(topic, sequence));
        while self.shelf(topic).replaced.len() as u64 > most {
            self.fade(topic);
        }
        let mut budget = usize::MAX;
        self.bound_all_replaced(&mut budget);
    }

    /// Forgets replaced messages of which there are too many; false when the budget did not
    /// suffice.
    pub(super) fn bound_all_replaced(&mut self, budget: &mut usize) -> bool {
        let (_, most) = replaced_max(self.bounds);
        while self.replaced.len() as u64 > most
            && let Some((_, &topic)) = self.replaced.first_key_value()
        {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            self.fade(topic);
        }
        true
    }

    /// The oldest replaced message of a topic counts as lost.
    fn fade(&mut self, topic: TopicId) {
        if let Some(&oldest) = self.shelf(topic).replaced.front() {
            self.lose(topic, oldest);
            self.round.effects.push(Effect::Faded(topic, oldest));
        }
    }

    /// Forgets messages past their age; false when the budget, in messages, did not suffice.
    pub(in crate::engine::disk) fn expire(&mut self, budget: usize) -> Stored<bool> {
        let now = self.log.now;
        for _ in 0..budget {
            let Some(&(time, topic)) = self.due.first().filter(|&&(time, _)| time <= now) else {
                return Ok(true);
            };
            if self.shelf(topic).is_expired(now) {
                self.forget_oldest(topic)?;
            } else {
                let next = self.shelf(topic).deadline();
                self.due.remove(&(time, topic));
                self.due.extend(next.map(|deadline| (deadline, topic)));
                self.shelf_mut(topic).due = next;
            }
        }
        Ok(!self.is_due())
    }

    /// Is a message past its age?
    pub(in crate::engine::disk) fn is_due(&self) -> bool {
        self.due.first().is_some_and(|&(time, _)| time <= self.log.now)
    }

    /// Forgets ids past their window; false when the budget did not suffice.
    pub(in crate::engine::disk) fn expire_ids(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(entry) = self.ids.pop(self.log.now) else { return true };
            self.erase(entry.topic, Space::Ids, entry.used.cursor.sequence.0);
            let Some(shelf) = self.shelves.get_mut(&entry.topic) else { continue };
            // An id that was used again after its window has another publish.
            if shelf.ids.get(&entry.id).is_some_and(|used| used.cursor == entry.used.cursor) {
                shelf.ids.remove(&entry.id);
            }
            self.list_if_idle(entry.topic);
        }
        false
    }

    /// Drops topics that keep nothing; false when the budget did not suffice.
    pub(in crate::engine::disk) fn drop_idle(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            let Some(topic) = self.emptied.pop() else { return true };
            let Some(shelf) = self.shelves.get_mut(&topic) else { continue };
            shelf.is_listed = false;
            if shelf.is_idle() {
                self.drop_topic(topic);
            }
        }
        false
    }

    /// Remembers nothing of a topic that keeps nothing.
    pub(super) fn drop_topic(&mut self, topic: TopicId) {
        let Some(shelf) = self.shelves.remove(&topic) else { return };
        shelf.due.map(|time| self.due.remove(&(time, topic)));
        if !is_volatile(topic) {
            self.log.floor = self.log.floor.max(shelf.lost);
        }
        self.names.remove(&shelf.topic);
        self.round.touched.remove(&topic);
        self.erase(topic, Space::Topics, topic);
        self.round.effects.push(Effect::Span(topic, None, false));
        self.round.effects.push(Effect::Gone(topic));
    }

    /// Takes away what the disk has of a topic, which is nothing of a volatile one.
    fn erase(&mut self, topic: TopicId, space: Space, number: u64) {
        if !is_volatile(topic) {
            self.round.changes.remove(space, key(number));
        }
    }

    pub(super) fn list_if_idle(&mut self, topic: TopicId) {
        let shelf = self.shelf_mut(topic);
        if shelf.is_idle() && !shelf.is_listed {
            shelf.is_listed = true;
            self.emptied.push(topic);
        }
    }

    /// Forgets all messages of a topic at once, however many; says how many.
    pub(in crate::engine::disk) fn purge(&mut self, topic: &Topic) -> u64 {
        self.names.get(topic).copied().map_or(0, |topic| self.forget_all(topic))
    }

    /// The same.
    pub(super) fn forget_all(&mut self, topic: TopicId) -> u64 {
        let shelf = self.shelf_mut(topic);
        let Some(span) = shelf.shown() else { return 0 };
        (shelf.standing, shelf.span, shelf.newest) = (None, None, None);
        shelf.front.clear();
        self.stock.begin_with(topic, Some(span.first), None);
        self.stock.take(topic, span.bytes);
        self.round.remains.push(Remains { topic, from: span.first, upto: span.last });
        self.lose(topic, span.last);
        self.round.effects.push(Effect::Lost(topic, span.last));
        self.list_if_idle(topic);
        span.messages
    }

    /// Takes from the disk what earlier rounds have forgotten; false when the budget did not
    /// suffice.
    pub(in crate::engine::disk) fn clear(&mut self, mut budget: usize) -> Stored<bool> {
        while let Some(remains) = self.remains.front().copied() {
            if budget == 0 {
                return Ok(false);
            }
            let Remains { topic, from, upto } = remains;
            self.round.is_cleared |= !is_volatile(topic);
            let mut next = None;
            if from == upto {
                budget -= 1;
                self.clear_one(topic, from);
            } else {
                let (first, last) = (index_key(topic, from), index_key(topic, upto));
                let snapshot = self.store.snapshot();
                for entry in snapshot.between(Space::index(topic), &first, &last) {
                    let sequence = number(&entry?.0)?;
                    if budget == 0 {
                        next = Some(sequence);
                        break;
                    }
                    budget -= 1;
                    self.clear_one(topic, sequence);
                }
            }
            match (next, self.remains.front_mut()) {
                (Some(from), Some(front)) => front.from = from,
                _ => drop(self.remains.pop_front()),
            }
        }
        Ok(true)
    }

    /// Is anything forgotten still on disk, or has a topic yet to follow other rules?
    pub(in crate::engine::disk) fn has_chores(&self) -> bool {
        !self.remains.is_empty() || !self.following.is_empty()
    }

    pub(super) fn clear_one(&mut self, topic: TopicId, sequence: u64) {
        self.round.changes.remove(Space::log(topic), key(sequence));
        self.round.changes.remove(Space::index(topic), index_key(topic, sequence));
    }
}
