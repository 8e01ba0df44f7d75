//! Reading the disk by a survey: along the index of few topics, or along the log itself for many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::merge::Merge;
use super::record::{Logged, TopicId, index_key, key, number};
use super::store::{Entry, Snapshot, Space, StoreError};
use super::survey::{Course, Survey};
use crate::engine::topics::Looks;
use crate::engine::{Accept, Batch, Limit};
use crate::message::Message;
use crate::message::cursor::{Cursor, Sequence};
use crate::message::filter::Filters;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// A survey with the disk as it was at that moment.
pub(super) struct Reading {
    pub(super) survey: Survey,
    pub(super) disk: Arc<Snapshot>,
    pub(super) looks: Looks,
}

/// The messages of a read, up to its limit.
struct Page {
    messages: Vec<Arc<Message>>,
    bytes: usize,
    limit: Limit,
}

/// Which topics match, and their names, asked once for each of them.
struct Verdicts<'a> {
    filters: &'a Filters,
    known: FxHashMap<TopicId, Option<Topic>>,
}

/// Bytes of the log that one read goes along at most.
const SCANNED_BYTES_MAX: usize = 8 << 20;

type Read<T> = Result<T, StoreError>;

impl Reading {
    /// As [`Engine::read`](crate::engine::Engine::read) says.
    pub(super) fn forward(self, filters: &Filters, limit: Limit) -> Read<Batch> {
        let mut page = Page::new(limit, self.looks);
        let upto = match &self.survey.courses {
            Some(courses) => self.merge(courses, &mut page)?,
            None => self.scan(filters, &mut page)?,
        };
        let conflated = self.survey.replaced.partition_point(|&place| place <= upto) as u64;
        Ok(self.batch(page.messages, upto, conflated))
    }

    /// As [`Engine::read_back`](crate::engine::Engine::read_back) says.
    pub(super) fn back(self, filters: &Filters, limit: Limit) -> Read<Batch> {
        let mut page = Page::new(limit, self.looks);
        let upto = match &self.survey.courses {
            Some(courses) => self.merge_back(courses, &mut page)?,
            None => self.scan_back(filters, &mut page)?,
        };
        Ok(self.batch(page.messages, upto, 0))
    }

    /// As [`Engine::last`](crate::engine::Engine::last) says.
    pub(super) fn last(self, count: usize, accept: &Accept) -> Read<Batch> {
        let mut messages = Vec::new();
        for course in self.survey.courses.iter().flatten() {
            let mut left = count;
            for entry in self.index(course).rev() {
                if left == 0 {
                    break;
                }
                let message = self.message(course, number(&entry?.0)?)?;
                if accept(&message) {
                    messages.push(message);
                    left -= 1;
                }
            }
        }
        messages.sort_unstable_by_key(|message| message.cursor.sequence);
        let upto = self.survey.end;
        Ok(self.batch(messages, upto, 0))
    }

    /// As [`Engine::before_time`](crate::engine::Engine::before_time) says, from what is kept.
    pub(super) fn before_time(&self, time: Timestamp) -> Read<u64> {
        let (mut low, mut high) = (0, self.survey.end);
        // All messages kept up to `low` are older; the first kept one after `high` is not.
        while low < high {
            let middle = low + (high - low) / 2;
            match self.log((middle + 1).max(self.survey.lowest), high).next().transpose()? {
                Some((key, value)) if Logged::decode(&value)?.published_at < time => {
                    low = number(&key)?;
                }
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn merge(&self, courses: &[Course], page: &mut Page) -> Read<u64> {
        let mut streams: Vec<_> = courses.iter().map(|course| self.index(course)).collect();
        let mut heads = BinaryHeap::new();
        for (at, stream) in streams.iter_mut().enumerate() {
            heads.extend(place(stream.next())?.map(|sequence| Reverse((sequence, at))));
        }
        while let Some(mut head) = heads.peek_mut() {
            let Reverse((sequence, at)) = *head;
            if !page.take(self.message(&courses[at], sequence)?) {
                return Ok(sequence - 1);
            }
            match place(streams[at].next())? {
                Some(next) => *head = Reverse((next, at)),
                None => drop(PeekMut::pop(head)),
            }
        }
        Ok(self.survey.end)
    }

    fn merge_back(&self, courses: &[Course], page: &mut Page) -> Read<u64> {
        let mut streams: Vec<_> = courses.iter().map(|course| self.index(course).rev()).collect();
        let mut heads = BinaryHeap::new();
        for (at, stream) in streams.iter_mut().enumerate() {
            heads.extend(place(stream.next())?.map(|sequence| (sequence, at)));
        }
        while let Some(mut head) = heads.peek_mut() {
            let (sequence, at) = *head;
            if !page.take(self.message(&courses[at], sequence)?) {
                return Ok(sequence + 1);
            }
            match place(streams[at].next())? {
                Some(next) => *head = (next, at),
                None => drop(PeekMut::pop(head)),
            }
        }
        Ok(0)
    }

    fn scan(&self, filters: &Filters, page: &mut Page) -> Read<u64> {
        let from = (self.survey.after + 1).max(self.survey.lowest);
        let (upto, is_over) = self.walk(self.log(from, self.survey.end), filters, page)?;
        Ok(if is_over { upto - 1 } else { self.survey.end })
    }

    fn scan_back(&self, filters: &Filters, page: &mut Page) -> Read<u64> {
        let entries = self.log_back(self.survey.lowest, self.survey.end);
        let (upto, is_over) = self.walk(entries, filters, page)?;
        Ok(if is_over { upto + 1 } else { 0 })
    }

    /// Goes along the log; gives the first place that was not looked at, if any.
    fn walk(
        &self,
        entries: impl Iterator<Item = Entry>,
        filters: &Filters,
        page: &mut Page,
    ) -> Read<(u64, bool)> {
        let mut verdicts = Verdicts { filters, known: FxHashMap::default() };
        let (mut looks, mut bytes) = (0, 0);
        for entry in entries {
            let (key, value) = entry?;
            let sequence = number(&key)?;
            let logged = Logged::decode(&value)?;
            // What is forgotten but still on disk is no entry of the log any more.
            if self.survey.remains.get(&logged.topic).is_some_and(|&gone| gone >= sequence) {
                continue;
            }
            if looks == self.looks.entries_max || bytes >= SCANNED_BYTES_MAX {
                return Ok((sequence, true));
            }
            looks += 1;
            bytes += value.len();
            if let Some(topic) = verdicts.topic(logged.topic, logged.name)? {
                let message = logged.message(topic, self.cursor(sequence))?;
                if !page.take(Arc::new(message)) {
                    return Ok((sequence, true));
                }
            }
        }
        Ok((0, false))
    }

    /// The index of a topic, within the survey.
    fn index(&self, course: &Course) -> impl DoubleEndedIterator<Item = Entry> + use<'_> {
        let from = course.span.first.max(self.survey.after + 1);
        let upto = course.span.last.min(self.survey.end);
        let (from, upto) = (index_key(course.id, from), index_key(course.id, upto));
        self.disk.between(Space::index(course.id), &from, &upto)
    }

    fn log(&self, from: u64, upto: u64) -> impl Iterator<Item = Entry> + use<'_> {
        let [stored, held] = self.logs(from, upto);
        Merge::new(stored, held, false)
    }

    fn log_back(&self, from: u64, upto: u64) -> impl Iterator<Item = Entry> + use<'_> {
        let [stored, held] = self.logs(from, upto);
        Merge::new(stored.rev(), held.rev(), true)
    }

    /// The log on disk, and the one in memory.
    fn logs(&self, from: u64, upto: u64) -> [impl DoubleEndedIterator<Item = Entry> + use<'_>; 2] {
        let (from, upto) = (key(from), key(upto));
        [Space::Log, Space::VolatileLog].map(|log| self.disk.between(log, &from, &upto))
    }

    fn message(&self, course: &Course, sequence: u64) -> Read<Arc<Message>> {
        let bytes = self.disk.get(Space::log(course.id), &key(sequence))?;
        let bytes = bytes.ok_or_else(|| {
            StoreError(format!("message {sequence} is in the index but not in the log"))
        })?;
        let logged = Logged::decode(&bytes)?;
        Ok(Arc::new(logged.message(course.topic.clone(), self.cursor(sequence))?))
    }

    fn cursor(&self, sequence: u64) -> Cursor {
        Cursor { epoch: self.survey.epoch, sequence: Sequence(sequence) }
    }

    fn batch(&self, messages: Vec<Arc<Message>>, upto: u64, conflated: u64) -> Batch {
        Batch { messages, upto: Sequence(upto), conflated, moment: self.survey.moment }
    }
}

/// The place that an entry of the index names.
fn place(entry: Option<Entry>) -> Read<Option<u64>> {
    match entry {
        Some(entry) => Ok(Some(number(&entry?.0)?)),
        None => Ok(None),
    }
}

impl Page {
    fn new(limit: Limit, looks: Looks) -> Self {
        let messages = limit.messages.clamp(1, looks.entries_max);
        Self { messages: Vec::new(), bytes: 0, limit: Limit { messages, ..limit } }
    }

    /// Takes a message, if there is room for it; there always is for the first one.
    fn take(&mut self, message: Arc<Message>) -> bool {
        let bytes = self.bytes + message.cost();
        let has_room = self.messages.len() < self.limit.messages && bytes <= self.limit.bytes;
        if !has_room && !self.messages.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.messages.push(message);
        true
    }
}

impl Verdicts<'_> {
    /// The topic, if it matches.
    fn topic(&mut self, id: TopicId, name: &str) -> Read<Option<Topic>> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let parsed = Topic::parse(name);
        let topic = parsed.map_err(|_| StoreError(format!("{name:?} in the log is no topic")))?;
        let verdict = self.filters.matches(&topic).then_some(topic);
        self.known.insert(id, verdict.clone());
        Ok(verdict)
    }
}
