//! One topic: the messages it keeps, oldest first, and what it remembers of others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::engine::Kept;
use crate::engine::ids::Used;
use crate::engine::retention::{Held, Terms};
use crate::engine::topics::Known;
use crate::engine::tree::{Leaf, Loss, Start};
use crate::message::Message;
use crate::message::cursor::{Cursor, Sequence};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// What the log knows of one topic.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) topic: Topic,
    pub(super) leaf: Leaf,
    pub(super) terms: Terms,
    /// The newest message ever, kept or not.
    pub(super) previous: Option<Cursor>,
    /// Idempotency ids within their window.
    pub(super) ids: HashMap<Arc<str>, Used>,
    /// When the oldest message may be past its age, as noted in the log's timetable.
    pub(super) due: Option<Timestamp>,
    /// True while the log's list of empty topics has it.
    pub(super) is_listed: bool,
    messages: VecDeque<Arc<Message>>,
    bytes: u64,
    conflation: Option<Box<Conflation>>,
}

/// Messages of one topic, newest first; mostly just the newest is asked for.
pub(super) type Tail = SmallVec<[Arc<Message>; 1]>;

/// What a conflating topic remembers besides.
#[derive(Debug, Default)]
struct Conflation {
    /// False when the topic conflates no more, but did when messages were replaced.
    is_on: bool,
    /// So many of the oldest messages are not in `newest` yet.
    unnoted: usize,
    /// The newest message of each key that is kept.
    newest: HashMap<Box<str>, u64>,
    /// Forgotten messages that newer ones stand for, oldest first. All of them come after the
    /// topic's newest loss and its snapshot, and before all else that it keeps.
    replaced: VecDeque<Loss>,
}

/// What became of the oldest message.
#[derive(Debug)]
pub(super) struct Forgotten {
    pub(super) message: Arc<Message>,
    /// True when a newer message of its key is kept in a conflating topic.
    pub(super) is_replaced: bool,
}

impl Ring {
    pub(super) fn new(topic: Topic, leaf: Leaf, terms: Terms) -> Self {
        Self {
            topic,
            leaf,
            terms,
            previous: None,
            ids: HashMap::new(),
            due: None,
            is_listed: false,
            messages: VecDeque::new(),
            bytes: 0,
            conflation: terms.conflate.then(|| Box::new(Conflation::on(0))),
        }
    }

    /// Begins to conflate, or ends it. False when the budget, in messages, did not suffice to note
    /// those that are kept: until that is done, some that newer ones stand for may count as lost.
    pub(super) fn set_conflation(&mut self, is_on: bool, budget: &mut usize) -> bool {
        let conflation = match &mut self.conflation {
            Some(conflation) => conflation,
            None if is_on => self.conflation.insert(Box::new(Conflation::on(self.messages.len()))),
            None => return true,
        };
        if is_on {
            return conflation.note(&self.messages, budget);
        }
        if conflation.replaced.is_empty() {
            self.conflation = None;
        } else {
            let replaced = std::mem::take(&mut conflation.replaced);
            **conflation = Conflation { replaced, ..Conflation::default() };
        }
        true
    }

    pub(super) fn push(&mut self, message: Arc<Message>) {
        if let Some(conflation) = self.conflation.as_mut().filter(|conflation| conflation.is_on) {
            let (key, sequence) = (message.conflation_key(), message.cursor.sequence.0);
            match conflation.newest.get_mut(key) {
                Some(newest) => *newest = sequence,
                None => drop(conflation.newest.insert(key.into(), sequence)),
            }
        }
        self.previous = Some(message.cursor);
        self.bytes += message.cost() as u64;
        self.messages.push_back(message);
    }

    /// A snapshot stays for as long as there are messages after it.
    fn next_to_go(&self) -> usize {
        usize::from(self.snapshot().is_some() && self.messages.len() > 1)
    }

    /// Forgets the oldest message that is not a snapshot with messages after it.
    pub(super) fn forget_oldest(&mut self) -> Option<Forgotten> {
        let message = self.messages.remove(self.next_to_go())?;
        self.bytes -= message.cost() as u64;
        let mut is_replaced = false;
        if let Some(conflation) = self.conflation.as_mut().filter(|conflation| conflation.is_on) {
            conflation.unnoted = conflation.unnoted.saturating_sub(1);
            let key = message.conflation_key();
            let newest = conflation.newest.get(key).copied().unwrap_or_default();
            is_replaced = newest > message.cursor.sequence.0;
            if !is_replaced {
                conflation.newest.remove(key);
            }
        }
        Some(Forgotten { message, is_replaced })
    }

    /// Puts a snapshot in the place of everything up to it, which is returned.
    pub(super) fn compact(&mut self, snapshot: Arc<Message>) -> Vec<Arc<Message>> {
        let count = self.count_upto(snapshot.cursor.sequence);
        let covered: Vec<_> = self.messages.drain(..count).collect();
        if let Some(conflation) = &mut self.conflation {
            conflation.forget(&covered);
        }
        self.bytes -= covered.iter().map(|message| message.cost() as u64).sum::<u64>();
        self.bytes += snapshot.cost() as u64;
        self.messages.push_front(snapshot);
        covered
    }

    /// Remembers a forgotten message that a newer one stands for.
    pub(super) fn replace(&mut self, loss: Loss) {
        if let Some(conflation) = &mut self.conflation {
            conflation.replaced.push_back(loss);
        }
    }

    pub(super) fn oldest_replaced(&self) -> Option<Loss> {
        self.conflation.as_ref()?.replaced.front().copied()
    }

    pub(super) fn drop_oldest_replaced(&mut self) -> Option<Loss> {
        self.conflation.as_mut()?.replaced.pop_front()
    }

    /// This place, if the message there was replaced.
    pub(super) fn replaced_at(&self, place: Sequence) -> Option<u64> {
        let replaced = &self.conflation.as_ref()?.replaced;
        let found = replaced.binary_search_by_key(&place.0, |loss| loss.sequence);
        found.is_ok().then_some(place.0)
    }

    pub(super) fn replaced_count(&self) -> usize {
        self.conflation.as_ref().map_or(0, |conflation| conflation.replaced.len())
    }

    /// How many messages a reader misses up to a place because newer ones stand for them.
    pub(super) fn conflated(&self, start: Start, upto: u64) -> u64 {
        let Some(conflation) = &self.conflation else { return 0 };
        // Messages go in log order: where `misses` has become true it stays true.
        let first = conflation.replaced.partition_point(|&loss| !start.misses(loss));
        let end = conflation.replaced.partition_point(|loss| loss.sequence <= upto);
        end.saturating_sub(first) as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(super) fn oldest(&self) -> Option<&Arc<Message>> {
        self.messages.front()
    }

    pub(super) fn snapshot(&self) -> Option<&Arc<Message>> {
        self.oldest().filter(|oldest| oldest.snapshot)
    }

    pub(super) fn is_snapshot_alone(&self) -> bool {
        self.messages.len() == 1 && self.snapshot().is_some()
    }

    pub(super) fn newest(&self) -> Option<&Arc<Message>> {
        self.messages.back()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Arc<Message>> {
        self.messages.get(index)
    }

    /// How many of the kept messages stand at or before a place.
    pub(super) fn count_upto(&self, place: Sequence) -> usize {
        self.messages.partition_point(|message| message.cursor.sequence <= place)
    }

    /// What the topic's limits are held against: what follows the snapshot, or the snapshot alone,
    /// whose bytes no limit of the topic counts.
    pub(super) fn held(&self) -> Option<Held> {
        let next = self.next_to_go();
        let oldest = self.messages.get(next)?.published_at;
        let messages = (self.messages.len() - next) as u64;
        let bytes = self.bytes - self.snapshot().map_or(0, |snapshot| snapshot.cost() as u64);
        Some(Held { messages, bytes, oldest })
    }

    /// When the next message to go is past its age.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let next = self.messages.get(self.next_to_go());
        next.and_then(|next| self.terms.keep.deadline(next.published_at))
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// What is told of the topic; `None` when it keeps nothing.
    pub(super) fn kept(&self) -> Option<Kept> {
        let (oldest, newest) = (self.oldest()?, self.newest()?);
        Some(Kept {
            topic: self.topic.clone(),
            messages: self.messages.len() as u64,
            bytes: self.bytes,
            first: oldest.cursor,
            last: newest.cursor,
            last_published_at: newest.published_at,
        })
    }

    /// The newest messages, newest first.
    pub(super) fn tail(&self, count: usize) -> Tail {
        self.messages.iter().rev().take(count).map(Arc::clone).collect()
    }

    /// The newest messages before a place, newest first.
    pub(super) fn tail_before(&self, before: Sequence, count: usize) -> Tail {
        let end = self.messages.partition_point(|message| message.cursor.sequence < before);
        self.messages.range(..end).rev().take(count).map(Arc::clone).collect()
    }

    /// True when nothing speaks for remembering the topic.
    pub(super) fn is_idle(&self) -> bool {
        self.messages.is_empty() && self.ids.is_empty()
    }
}

impl Known for Ring {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn leaf(&self) -> Leaf {
        self.leaf
    }
}

impl Conflation {
    fn on(unnoted: usize) -> Self {
        Self { is_on: true, unnoted, ..Self::default() }
    }

    /// A snapshot takes the place of these, the oldest: nothing stands for them by its key.
    fn forget(&mut self, covered: &[Arc<Message>]) {
        for message in covered {
            let key = message.conflation_key();
            if self.newest.get(key) == Some(&message.cursor.sequence.0) {
                self.newest.remove(key);
            }
        }
        // The snapshot is before those that are left to be noted, so it will be noted with them.
        let left = self.unnoted.saturating_sub(covered.len());
        self.unnoted = if left == 0 { 0 } else { left + 1 };
    }

    /// Notes messages that came before the topic conflated, the newest first, so that the first of
    /// each key stays; false when the budget did not suffice.
    fn note(&mut self, messages: &VecDeque<Arc<Message>>, budget: &mut usize) -> bool {
        if !std::mem::replace(&mut self.is_on, true) {
            self.unnoted = messages.len();
        }
        while let Some(message) = self.unnoted.checked_sub(1).and_then(|at| messages.get(at)) {
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
            self.unnoted -= 1;
            let key = message.conflation_key();
            if !self.newest.contains_key(key) {
                self.newest.insert(key.into(), message.cursor.sequence.0);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::retention::Keep;
    use crate::engine::topics::Topics;
    use crate::message::cursor::Epoch;
    use crate::message::json::Json;
    use crate::message::{Draft, Place};

    fn message(number: u64, key: u64) -> Arc<Message> {
        let (topic, payload) = (Topic::parse("a").unwrap(), Json::parse("0").unwrap());
        let draft = Draft { topic, payload, key: Some(key.to_string().into()), headers: None };
        let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(number) };
        let place = Place { cursor, previous: None, published_at: Timestamp::from_micros(0) };
        Arc::new(Message::new(draft, place))
    }

    #[test]
    fn keys_are_forgotten_with_their_messages() {
        let (topic, mut topics) = (Topic::parse("a").unwrap(), Topics::new());
        let terms = Terms { keep: Keep::EVERYTHING, conflate: true, durable: true };
        let slot = topics.insert(&topic, 0, |topic, leaf| Ring::new(topic, leaf, terms));
        let ring = &mut topics[slot];
        for number in 1..=100 {
            ring.push(message(number, number));
            if number > 3 {
                assert!(!ring.forget_oldest().unwrap().is_replaced);
            }
        }
        assert_eq!(ring.conflation.as_ref().map(|conflation| conflation.newest.len()), Some(3));
    }

    #[test]
    fn keys_are_noted_in_steps_while_messages_come_and_go() {
        let (topic, mut topics) = (Topic::parse("a").unwrap(), Topics::new());
        let terms = Terms { keep: Keep::EVERYTHING, conflate: false, durable: true };
        let slot = topics.insert(&topic, 0, |topic, leaf| Ring::new(topic, leaf, terms));
        let ring = &mut topics[slot];
        (1..=40).for_each(|number| ring.push(message(number, number % 7)));
        for number in 41..=60 {
            let mut budget = 2;
            assert_eq!(ring.set_conflation(true, &mut budget), number >= 54, "{number}");
            ring.push(message(number, number % 5));
            ring.forget_oldest().unwrap();
        }
        let noted = &ring.conflation.as_ref().unwrap().newest;
        let mut newest = HashMap::new();
        for kept in &ring.messages {
            newest.insert(Box::from(kept.conflation_key()), kept.cursor.sequence.0);
        }
        assert_eq!(*noted, newest);
    }
}
