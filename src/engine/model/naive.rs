//! The engine once more, as plain as can be: a list of all messages ever, each with its fate.

mod restart;

use std::collections::BTreeSet;

use super::steps::TOPICS;
use crate::engine::Bounds;
use crate::engine::retention::{Held, Retention, later};
use crate::message::filter::Filters;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Kept,
    Lost,
    Replaced,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) topic: Topic,
    pub(super) key: String,
    pub(super) cost: u64,
    pub(super) at: Timestamp,
    pub(super) previous: Option<u64>,
    pub(super) fate: Fate,
    /// When it went.
    pub(super) moment: u64,
    /// When a snapshot took its place, which is then what is kept here.
    pub(super) compacted: Option<u64>,
}

#[derive(Debug, Clone)]
struct Use {
    topic: Topic,
    id: String,
    sequence: u64,
    at: Timestamp,
    /// Where it is remembered.
    is_durable: bool,
    /// The topic has begun anew since.
    is_over: bool,
}

#[derive(Debug)]
pub(super) struct Naive {
    pub(super) entries: Vec<Entry>,
    pub(super) moment: u64,
    /// No loss of a topic that was dropped is beyond this.
    pub(super) floor: u64,
    pub(super) retention: Retention,
    pub(super) bounds: Bounds,
    now: Timestamp,
    uses: Vec<Use>,
    remembered: Vec<(Topic, u64)>,
    newest_volatile: u64,
    /// A restart took volatile messages up to here.
    pub(super) nameless: u64,
}

/// What a reader is to get.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Expired { lost: u64 },
    Upto { messages: Vec<u64>, conflated: u64 },
}

impl Naive {
    pub(super) fn new(retention: Retention, bounds: Bounds) -> Self {
        Self {
            entries: Vec::new(),
            moment: 0,
            floor: 0,
            retention,
            bounds,
            now: Timestamp::from_micros(i64::MIN),
            uses: Vec::new(),
            remembered: Vec::new(),
            newest_volatile: 0,
            nameless: 0,
        }
    }

    pub(super) fn head(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn kept(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.fate == Fate::Kept)
    }

    pub(super) fn kept_of<'a>(
        &'a self,
        topic: &'a Topic,
    ) -> impl DoubleEndedIterator<Item = &'a Entry> {
        self.kept().filter(move |entry| entry.topic == *topic)
    }

    pub(super) fn known(&self, topic: &Topic, id: &str, now: Timestamp) -> Option<u64> {
        let used = |used: &&Use| {
            used.topic == *topic
                && used.id == id
                && !used.is_over
                && later(used.at, self.bounds.idempotency_window) > now
        };
        self.uses.iter().find(used).map(|used| used.sequence)
    }

    pub(super) fn append(&mut self, mut entry: Entry, id: Option<&str>) {
        let (topic, now, sequence) = (entry.topic.clone(), entry.at, entry.sequence);
        match self.remembered.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, last)) => entry.previous = Some(std::mem::replace(last, sequence)),
            None => self.remembered.push((topic.clone(), sequence)),
        }
        let is_durable = self.retention.terms(&topic).durable;
        if !is_durable {
            self.newest_volatile = sequence;
        }
        if let Some(id) = id {
            let (topic, id) = (topic.clone(), id.to_owned());
            self.uses.push(Use { topic, id, sequence, at: now, is_durable, is_over: false });
            let over = self.uses.len().saturating_sub(self.bounds.idempotency_ids_max);
            self.uses.drain(..over);
        }
        self.entries.push(entry);
        self.trim(&topic, now);
        self.trim_all();
    }

    pub(super) fn set_retention(&mut self, retention: Retention, now: Timestamp) {
        let before = std::mem::replace(&mut self.retention, retention);
        if before.volatile() != self.retention.volatile() {
            self.floor = self.floor.max(self.newest_volatile);
            self.nameless = 0;
        }
        for topic in TOPICS.map(|name| Topic::parse(name).unwrap()) {
            if before.terms(&topic).durable != self.retention.terms(&topic).durable {
                self.begin_anew(&topic);
            }
        }
        let topics: BTreeSet<Topic> = self.kept().map(|entry| entry.topic.clone()).collect();
        for topic in &topics {
            self.trim(topic, now);
        }
    }

    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.trim_all();
        self.bound_all_replaced();
    }

    fn trim(&mut self, topic: &Topic, now: Timestamp) {
        let keep = self.retention.terms(topic).keep;
        while let Some(held) = self.held(topic).filter(|&held| keep.forgets_oldest(held, now)) {
            assert!(held.messages > 0);
            self.forget_next(topic);
        }
    }

    fn trim_all(&mut self) {
        while self.over().is_some() {
            // A snapshot may be past its age once it is alone.
            self.expire(self.now);
            if let Some(topic) = self.over() {
                self.forget_next(&topic);
            }
        }
    }

    /// The topic whose oldest message has to go by the bounds.
    fn over(&self) -> Option<Topic> {
        let volatile = || self.kept().filter(|entry| !self.retention.terms(&entry.topic).durable);
        let next = if self.bytes() > self.bounds.memory_bytes {
            self.kept().next()
        } else if volatile().map(|entry| entry.cost).sum::<u64>() > self.bounds.volatile_bytes {
            volatile().next()
        } else {
            None
        };
        next.map(|entry| entry.topic.clone())
    }

    /// What follows a snapshot, or else all of a topic.
    fn rest_of<'a>(&'a self, topic: &'a Topic) -> impl Iterator<Item = &'a Entry> {
        let has_rest = self.kept_of(topic).count() > 1;
        self.kept_of(topic).filter(move |entry| !(has_rest && entry.compacted.is_some()))
    }

    fn forget_next(&mut self, topic: &Topic) {
        let next = self.rest_of(topic).next().unwrap().sequence;
        self.forget(next);
    }

    fn held(&self, topic: &Topic) -> Option<Held> {
        let oldest = self.rest_of(topic).next()?.at;
        let messages = self.rest_of(topic).count() as u64;
        let counts = |entry: &&Entry| entry.compacted.is_none();
        let bytes = self.rest_of(topic).filter(counts).map(|entry| entry.cost).sum();
        Some(Held { messages, bytes, oldest })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.kept().map(|entry| entry.cost).sum()
    }

    pub(super) fn expire(&mut self, now: Timestamp) {
        self.now = now;
        let topics: BTreeSet<Topic> = self.kept().map(|entry| entry.topic.clone()).collect();
        for topic in topics {
            let keep = self.retention.terms(&topic).keep;
            while self.rest_of(&topic).next().is_some_and(|entry| keep.expires(entry.at, now)) {
                self.forget_next(&topic);
            }
        }
    }

    /// Puts a snapshot in the place of a kept message and of all before it.
    pub(super) fn compact(&mut self, sequence: u64, cost: u64) {
        let topic = self.entry(sequence).topic.clone();
        self.moment += 1;
        let moment = self.moment;
        for entry in &mut self.entries {
            if entry.topic == topic && entry.sequence < sequence && entry.fate != Fate::Lost {
                (entry.fate, entry.moment) = (Fate::Lost, moment);
            }
        }
        let key = topic.as_str().to_owned();
        let entry = self.entry_mut(sequence);
        (entry.cost, entry.key, entry.compacted) = (cost, key, Some(moment));
        self.trim_all();
    }

    pub(super) fn snapshot(&self, topic: &Topic) -> Option<u64> {
        let first = self.kept_of(topic).next()?;
        first.compacted.is_some().then_some(first.sequence)
    }

    /// Topics that lost messages after their snapshots.
    pub(super) fn stale(&self) -> Vec<&Topic> {
        let snapshots = self.kept().filter(|entry| entry.compacted.is_some());
        let stale = snapshots.filter(|entry| self.loss(&entry.topic).0 > entry.sequence);
        stale.map(|entry| &entry.topic).collect()
    }

    pub(super) fn purge(&mut self, topic: &Topic) -> u64 {
        let count = self.kept_of(topic).count();
        (0..count).for_each(|_| self.forget_next(topic));
        count as u64
    }

    fn forget(&mut self, sequence: u64) {
        let gone = self.entry(sequence).clone();
        let conflates = self.retention.terms(&gone.topic).conflate;
        let stands = |entry: &Entry| entry.sequence > sequence && entry.key == gone.key;
        let is_replaced = conflates && self.kept_of(&gone.topic).any(stands);
        self.moment += 1;
        let moment = self.moment;
        let fate = if is_replaced { Fate::Replaced } else { Fate::Lost };
        let entry = self.entry_mut(sequence);
        (entry.fate, entry.moment) = (fate, moment);
        if is_replaced {
            let topic_max = self.replaced_max() / 8;
            while let of_topic = self.replaced(Some(&gone.topic))
                && of_topic.len() > topic_max
            {
                self.entry_mut(of_topic[0]).fate = Fate::Lost;
            }
        }
        self.bound_all_replaced();
    }

    fn bound_all_replaced(&mut self) {
        while let all = self.replaced(None)
            && all.len() > self.replaced_max()
        {
            self.entry_mut(all[0]).fate = Fate::Lost;
        }
    }

    fn replaced_max(&self) -> usize {
        usize::try_from(self.bounds.memory_bytes / 512).unwrap()
    }

    /// Replaced messages that a reader could still resume before.
    fn replaced(&self, topic: Option<&Topic>) -> Vec<u64> {
        let mut lost = Vec::new();
        let mut found = Vec::new();
        for entry in self.entries.iter().rev() {
            let is_asked = topic.is_none_or(|topic| entry.topic == *topic);
            match entry.fate {
                Fate::Lost if lost.contains(&&entry.topic) => {}
                Fate::Lost => lost.push(&entry.topic),
                Fate::Replaced if is_asked && !lost.contains(&&entry.topic) => {
                    found.push(entry.sequence);
                }
                Fate::Replaced | Fate::Kept => {}
            }
        }
        found.reverse();
        found
    }

    /// The newest place that a topic has lost, and when it lost anything for the last time.
    pub(super) fn loss(&self, topic: &Topic) -> (u64, u64) {
        let mut loss = (0, 0);
        for entry in self.entries.iter().filter(|entry| entry.topic == *topic) {
            let lost = (entry.fate == Fate::Lost).then_some(entry.moment);
            if let Some(moment) = lost.max(entry.compacted) {
                loss = (entry.sequence, moment.max(loss.1));
            }
        }
        loss
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.expire(now);
        let window = self.bounds.idempotency_window;
        self.uses.retain(|used| later(used.at, window) > now);
        let remembered = std::mem::take(&mut self.remembered);
        for (topic, last) in remembered {
            let is_used = self.uses.iter().any(|used| used.topic == topic && !used.is_over);
            if is_used || self.kept_of(&topic).next().is_some() {
                self.remembered.push((topic, last));
            } else {
                self.floor = self.floor.max(self.loss(&topic).0);
            }
        }
    }

    /// What a reader of these filters is to get from `after` up to `upto`.
    pub(super) fn read(&self, filters: &Filters, start: (u64, u64), upto: u64) -> Expected {
        let (after, moment) = start;
        let topics = TOPICS.map(|name| Topic::parse(name).unwrap());
        let losses = topics.iter().filter(|topic| filters.matches(topic)).map(|t| self.loss(t));
        let losses: Vec<_> = losses.filter(|loss| loss.0 > after).collect();
        if losses.iter().any(|loss| loss.1 > moment) {
            let lost = losses.iter().map(|loss| loss.0).max().unwrap_or_default();
            return Expected::Expired { lost };
        }
        let matching = || self.entries.iter().filter(|entry| filters.matches(&entry.topic));
        let ranged = || matching().filter(|e| e.sequence > after && e.sequence <= upto);
        let kept = |entry: &&Entry| entry.fate == Fate::Kept;
        let messages = ranged().filter(kept).map(|entry| entry.sequence).collect();
        let replaced = |entry: &&Entry| entry.fate == Fate::Replaced && entry.moment > moment;
        Expected::Upto { messages, conflated: ranged().filter(replaced).count() as u64 }
    }

    pub(super) fn entry(&self, sequence: u64) -> &Entry {
        &self.entries[usize::try_from(sequence).unwrap() - 1]
    }

    fn entry_mut(&mut self, sequence: u64) -> &mut Entry {
        &mut self.entries[usize::try_from(sequence).unwrap() - 1]
    }
}
