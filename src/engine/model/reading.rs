//! Reads that do not page: back, the newest, since a time, and listings.

use std::sync::Arc;

use super::naive::Entry;
use super::steps::{FILTERS, TOPICS};
use super::{Pair, now, sequences};
use crate::engine::{Accept, Limit};
use crate::message::cursor::Sequence;
use crate::message::filter::{Filter, Filters};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

impl Pair {
    pub(super) fn read_back(&self, filters: &Filters, back: Option<u8>, messages: usize) {
        let limit = Limit { messages, bytes: 2000 };
        let head = self.naive.head();
        let mut before = back.map(|back| Sequence(head.saturating_sub(u64::from(back) / 4)));
        let end = before.map_or(head + 1, |before| before.0);
        let mut found = Vec::new();
        while before != Some(Sequence::ZERO) {
            let batch = now(self.engine.read_back(filters, before, limit)).unwrap();
            assert!(batch.messages.len() <= messages && batch.upto.0 < before.map_or(end, |b| b.0));
            found.extend(sequences(&batch.messages));
            before = Some(batch.upto);
        }
        let matching = |e: &&Entry| e.sequence < end && filters.matches(&e.topic);
        let expected: Vec<u64> =
            self.naive.kept().rev().filter(matching).map(|e| e.sequence).collect();
        assert_eq!(found, expected);
    }

    pub(super) fn last(&self, filters: &Filters, count: usize, odd: bool) {
        let passes = move |sequence: u64| !odd || sequence % 2 == 1;
        let accept: Accept = Arc::new(move |message| passes(message.cursor.sequence.0));
        let batch = now(self.engine.last(filters, count, accept)).unwrap();
        assert_eq!(batch.upto.0, self.naive.head());
        let newer = |entry: &Entry| {
            let newer = |e: &&Entry| e.sequence > entry.sequence && passes(e.sequence);
            self.naive.kept_of(&entry.topic).filter(newer).count()
        };
        let expected: Vec<u64> = self
            .naive
            .kept()
            .filter(|e| filters.matches(&e.topic) && passes(e.sequence) && newer(e) < count)
            .map(|entry| entry.sequence)
            .collect();
        assert_eq!(sequences(&batch.messages), expected);
    }

    pub(super) fn since(&self, ms: u16) {
        let micros = self.time().as_micros() - i64::from(ms) * 1000 + 2000;
        let time = Timestamp::from_micros(micros);
        let place = now(self.engine.before_time(time)).unwrap().0;
        let older = |entry: &&Entry| entry.at < time;
        let exact = self.naive.entries.iter().filter(older).count() as u64;
        let kept = self.naive.kept().rfind(older).map_or(0, |entry| entry.sequence);
        // Where a killed process was, nothing tells of the times of what was lost.
        let exact = exact.max(self.naive.nameless);
        assert!(kept <= place && place <= exact, "{kept} {place} {exact}");
    }

    pub(super) fn list(&self, filter: usize, after: Option<usize>, count: usize) {
        self.engine.settle();
        let filter = Filter::parse(FILTERS[filter]).unwrap();
        let after = after.map(|index| TOPICS[index]);
        let listed: Vec<String> = self
            .engine
            .topics(&filter, after, count)
            .iter()
            .map(|kept| kept.topic.to_string())
            .collect();
        let mut names: Vec<&str> = TOPICS
            .into_iter()
            .filter(|name| after.is_none_or(|after| *name > after))
            .filter(|name| filter.matches(&Topic::parse(name).unwrap()))
            .filter(|name| self.naive.kept_of(&Topic::parse(name).unwrap()).next().is_some())
            .collect();
        names.sort_unstable();
        names.truncate(count);
        assert_eq!(listed, names);
    }
}
