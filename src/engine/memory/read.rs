//! Reading the log: along the rings of few topics, or along the log itself for many.
//!
//! One read looks at a bounded number of entries, because publishers wait for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::ring::Ring;
use super::state::{Kept, State};
use crate::engine::topics::{Looks, Slot, Topics};
use crate::engine::tree::Start;
use crate::engine::{Batch, Error, Limit, ReadFrom};
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::message::filter::Filters;
use crate::message::time::Timestamp;

/// The messages of a read, up to its limit.
#[derive(Debug)]
struct Page {
    messages: Vec<Arc<Message>>,
    bytes: usize,
    limit: Limit,
}

/// Which topics match, asked once for each of them.
struct Verdicts<'a> {
    topics: &'a Topics<Ring>,
    filters: &'a Filters,
    known: FxHashMap<Slot, bool>,
}

impl State {
    /// As [`Engine::read`](crate::engine::Engine::read) says.
    pub(super) fn read(
        &self,
        filters: &Filters,
        from: ReadFrom,
        limit: Limit,
    ) -> Result<Batch, Error> {
        let is_stale =
            || self.topics.any(filters, &self.stale, self.looks.topics_max, self.looks.entries_max);
        let start = self.topics.tree.start(filters, from, self.head, self.moment, is_stale);
        let start = start.map_err(|earliest| Error::Expired {
            earliest: earliest.map(|earliest| self.cursor(earliest)),
        })?;
        // It is not worth while to look at more topics than there are entries to come.
        let entries = usize::try_from(self.head - start.after).unwrap_or(usize::MAX);
        let looks = self.looks.topics_max.min(entries);
        let page = Page::new(limit, self.looks);
        Ok(match self.topics.matching(filters, looks) {
            Some(slots) => self.merge(&slots, start, page),
            None => self.scan(filters, start, page),
        })
    }

    fn merge(&self, slots: &[Slot], start: Start, mut page: Page) -> Batch {
        let mut upto = self.head;
        let mut heads: BinaryHeap<_> = slots
            .iter()
            .filter_map(|&slot| {
                let index = self.topics[slot].count_upto(Sequence(start.after));
                self.place(slot, index).map(Reverse)
            })
            .collect();
        while let Some(Reverse((sequence, slot, index))) = heads.pop() {
            let Some(message) = self.topics[slot].get(index) else { continue };
            if !page.take(message) {
                upto = sequence - 1;
                break;
            }
            heads.extend(self.place(slot, index + 1).map(Reverse));
        }
        let conflated = slots.iter().map(|&slot| self.topics[slot].conflated(start, upto)).sum();
        page.batch(upto, conflated, self.moment)
    }

    fn place(&self, slot: Slot, index: usize) -> Option<(u64, Slot, usize)> {
        self.topics[slot].get(index).map(|message| (message.cursor.sequence.0, slot, index))
    }

    fn scan(&self, filters: &Filters, start: Start, mut page: Page) -> Batch {
        let mut upto = self.head;
        let mut verdicts = Verdicts::new(&self.topics, filters);
        for (looks, (&sequence, kept)) in self.kept_after(start.after).enumerate() {
            let is_over = looks == self.looks.entries_max
                || (verdicts.matches(kept.slot) && !page.take(&kept.message));
            if is_over {
                upto = sequence - 1;
                break;
            }
        }
        let range = (Bound::Excluded(start.after), Bound::Included(upto));
        let mut conflated = 0;
        for (looks, (&sequence, replaced)) in self.replaced.range(range).enumerate() {
            if looks == self.looks.entries_max {
                upto = sequence - 1;
                page.cut(upto);
                break;
            }
            let is_missed = replaced.moment > start.moment && verdicts.matches(replaced.slot);
            conflated += u64::from(is_missed);
        }
        page.batch(upto, conflated, self.moment)
    }

    fn kept_after(&self, place: u64) -> Range<'_, u64, Kept> {
        self.kept.range((Bound::Excluded(place), Bound::Unbounded))
    }

    /// As [`Engine::read_back`](crate::engine::Engine::read_back) says.
    pub(super) fn read_back(
        &self,
        filters: &Filters,
        before: Option<Sequence>,
        limit: Limit,
    ) -> Batch {
        let before = before.map_or(self.head + 1, |before| before.0);
        let entries = usize::try_from(before).unwrap_or(usize::MAX);
        let looks = self.looks.topics_max.min(entries);
        let page = Page::new(limit, self.looks);
        match self.topics.matching(filters, looks) {
            Some(slots) => self.merge_back(&slots, before, page),
            None => self.scan_back(filters, before, page),
        }
    }

    fn merge_back(&self, slots: &[Slot], before: u64, mut page: Page) -> Batch {
        let below = |slot, count: usize| count.checked_sub(1).and_then(|at| self.place(slot, at));
        let last = Sequence(before.saturating_sub(1));
        let mut tails: BinaryHeap<_> = slots
            .iter()
            .filter_map(|&slot| below(slot, self.topics[slot].count_upto(last)))
            .collect();
        let mut upto = 0;
        while let Some((sequence, slot, index)) = tails.pop() {
            let Some(message) = self.topics[slot].get(index) else { continue };
            if !page.take(message) {
                upto = sequence + 1;
                break;
            }
            tails.extend(below(slot, index));
        }
        page.batch(upto, 0, self.moment)
    }

    fn scan_back(&self, filters: &Filters, before: u64, mut page: Page) -> Batch {
        let mut upto = 0;
        let mut verdicts = Verdicts::new(&self.topics, filters);
        for (looks, (&sequence, kept)) in self.kept.range(..before).rev().enumerate() {
            let is_over = looks == self.looks.entries_max
                || (verdicts.matches(kept.slot) && !page.take(&kept.message));
            if is_over {
                upto = sequence + 1;
                break;
            }
        }
        page.batch(upto, 0, self.moment)
    }

    /// The place before the first message that was accepted at a time or later. Between two kept
    /// messages it may be too low, by what was lost within the time between two marks.
    pub(super) fn before_time(&self, time: Timestamp) -> u64 {
        let (mut low, mut high) = (0, self.head);
        // All messages kept up to `low` are older; the first kept one after `high` is not.
        while low < high {
            let middle = low + (high - low) / 2;
            match self.kept_after(middle).next() {
                Some((&sequence, kept)) if kept.message.published_at < time => low = sequence,
                _ => high = middle,
            }
        }
        low.max(self.times.before(time))
    }
}

impl Page {
    fn new(limit: Limit, looks: Looks) -> Self {
        let messages = limit.messages.clamp(1, looks.entries_max);
        Self { messages: Vec::new(), bytes: 0, limit: Limit { messages, ..limit } }
    }

    /// Takes a message, if there is room for it; there always is for the first one.
    fn take(&mut self, message: &Arc<Message>) -> bool {
        let bytes = self.bytes + message.cost();
        let has_room = self.messages.len() < self.limit.messages && bytes <= self.limit.bytes;
        if !has_room && !self.messages.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.messages.push(Arc::clone(message));
        true
    }

    fn cut(&mut self, upto: u64) {
        let count = self.messages.partition_point(|message| message.cursor.sequence.0 <= upto);
        self.messages.truncate(count);
    }

    fn batch(self, upto: u64, conflated: u64, moment: u64) -> Batch {
        Batch { messages: self.messages, upto: Sequence(upto), conflated, moment }
    }
}

impl<'a> Verdicts<'a> {
    fn new(topics: &'a Topics<Ring>, filters: &'a Filters) -> Self {
        Self { topics, filters, known: FxHashMap::default() }
    }

    fn matches(&mut self, slot: Slot) -> bool {
        let Self { topics, filters, known } = self;
        *known.entry(slot).or_insert_with(|| filters.matches(&topics[slot].topic))
    }
}
