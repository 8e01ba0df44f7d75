//! The engine beside a naive one: whatever is done to both, both say the same.

mod compact;
mod naive;
mod publish;
mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;

use self::naive::{Entry, Expected, Naive};
use self::steps::{BOUNDS, Draw, FILTERS, Guess, Step, TOPICS, filters, retention, steps, topic};
use super::read::Looks;
use super::{Memory, Options};
use crate::engine::{Accept, Bounds, Engine, Error, Limit, ReadFrom, Reply, Sink};
use crate::message::Message;
use crate::message::cursor::{Epoch, Sequence};
use crate::message::filter::{Filter, Filters};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

#[derive(Default)]
struct Recorder(Mutex<Vec<Arc<Message>>>);

impl Sink for Recorder {
    fn accepted(&self, messages: &[Arc<Message>]) {
        self.0.lock().extend_from_slice(messages);
    }
}

/// Both engines, and readers that page.
struct Pair {
    memory: Arc<Memory>,
    sink: Arc<Recorder>,
    naive: Naive,
    clock: Arc<AtomicI64>,
    readers: Vec<Reader>,
    entries_max: usize,
}

struct Reader {
    filters: Filters,
    from: ReadFrom,
    /// The naive engine's own: after which place, and from which moment on.
    start: (u64, u64),
    limit: Limit,
}

fn now<T>(reply: Reply<T>) -> Result<T, Error> {
    match reply {
        Reply::Now(Some(result)) => result,
        _ => panic!("the memory engine answers at once"),
    }
}

fn sequences(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.cursor.sequence.0).collect()
}

impl Pair {
    fn new(memory_bytes: u64, looks: Looks) -> Self {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let sink = Arc::new(Recorder::default());
        let bounds = bounds(memory_bytes);
        let time = Arc::clone(&clock);
        let clock_of_both = move || Timestamp::from_micros(time.load(Ordering::Relaxed));
        let (epoch, retention) = (Epoch::new(7), retention(0));
        let rules = retention.clone();
        let options = Options { epoch, retention, bounds, clock: Arc::new(clock_of_both) };
        let memory = Memory::new(options, Arc::clone(&sink) as Arc<dyn Sink>);
        memory.state.lock().looks = looks;
        let naive = Naive::new(rules, bounds);
        Self { memory, sink, naive, clock, readers: Vec::new(), entries_max: looks.entries_max }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.load(Ordering::Relaxed))
    }

    fn step(&mut self, step: Step) {
        self.naive.expire(self.time());
        match step {
            Step::Publish(draws) => self.publish(&draws),
            Step::Pass(ms) => {
                self.clock.fetch_add(i64::from(ms) * 1000, Ordering::Relaxed);
            }
            Step::Sweep => {
                self.memory.sweep();
                self.naive.sweep(self.time());
            }
            Step::Purge(index) => {
                let purged = now(self.memory.purge(&topic(index))).unwrap();
                assert_eq!(purged, self.naive.purge(&topic(index)));
            }
            Step::Compact { topic: index, at, padding } => self.compact(&topic(index), at, padding),
            Step::Rules(number) => {
                self.memory.set_retention(retention(number));
                self.naive.set_retention(retention(number), self.time());
            }
            Step::Bound(memory_bytes) => {
                self.memory.set_bounds(bounds(memory_bytes));
                self.naive.set_bounds(bounds(memory_bytes));
            }
            Step::Open { filters: indices, back, snapshot, messages, bytes } => {
                let head = self.naive.head();
                let after = back.map(|back| (head + 1).saturating_sub(u64::from(back) / 4));
                let start = if snapshot { ReadFrom::Snapshot } else { ReadFrom::Earliest };
                let from = after.map_or(start, |after| ReadFrom::After(Sequence(after)));
                let start = (after.unwrap_or_default(), 0);
                let limit = Limit { messages, bytes };
                let filters = filters(&indices);
                self.readers.push(Reader { filters, from, start, limit });
            }
            Step::Read(index) => self.read(index),
            Step::ReadBack { filters: indices, back, messages } => {
                self.read_back(&filters(&indices), back, messages);
            }
            Step::Last { filters: indices, count, odd } => {
                self.last(&filters(&indices), count, odd);
            }
            Step::Since(ms) => self.since(ms),
            Step::List { filter, after, count } => self.list(filter, after, count),
            Step::Totals => self.check_totals(),
        }
    }

    fn read(&mut self, index: usize) {
        let Some(reader) = self.readers.get_mut(index) else { return };
        let is_snapshot = reader.from == ReadFrom::Snapshot;
        if reader.from == ReadFrom::Earliest || is_snapshot {
            reader.start = (0, self.naive.moment);
        }
        let stale = self.naive.stale();
        let is_stale = is_snapshot && stale.iter().any(|topic| reader.filters.matches(topic));
        let may_be_stale = is_snapshot && (is_stale || stale.len() > self.entries_max);
        let head = self.naive.head();
        let result = now(self.memory.read(&reader.filters, reader.from, reader.limit));
        let (after, moment) = reader.start;
        match result {
            Ok(batch) => {
                assert!(!is_stale, "nothing is missing after a snapshot");
                let upto = batch.upto.0;
                let messages = sequences(&batch.messages);
                for message in &batch.messages {
                    let entry = self.naive.entry(message.cursor.sequence.0);
                    assert_eq!(message.snapshot, entry.compacted.is_some());
                    assert_eq!(
                        (message.cost() as u64, message.published_at),
                        (entry.cost, entry.at)
                    );
                }
                let conflated = batch.conflated;
                let expected = self.naive.read(&reader.filters, reader.start, upto);
                assert_eq!(Expected::Upto { messages, conflated }, expected, "up to {upto}");
                assert!(upto == head || (upto > after && upto < head), "{after} {upto} {head}");
                let bytes: usize = batch.messages.iter().map(|message| message.cost()).sum();
                let is_within = batch.messages.len() <= 1 || bytes <= reader.limit.bytes;
                assert!(is_within && batch.messages.len() <= reader.limit.messages);
                reader.from = reader.from.onward(&batch);
                reader.start = (upto, moment);
            }
            Err(Error::Expired { earliest: Some(earliest) }) => {
                let lost = match self.naive.read(&reader.filters, reader.start, head) {
                    Expected::Expired { lost } => lost,
                    Expected::Upto { .. } => 0,
                };
                let place = earliest.sequence.0;
                let is_due =
                    lost > after || after > head || after < self.naive.floor || may_be_stale;
                let is_exact = lost <= place && place <= lost.max(self.naive.floor).max(head);
                assert!(is_due && is_exact, "{after} {place} {lost} {}", self.naive.floor);
                reader.from = ReadFrom::After(earliest.sequence);
                reader.start = (place, 0);
                let again = self.memory.read(&reader.filters, reader.from, reader.limit);
                assert!(now(again).is_ok(), "the earliest position has to work");
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn read_back(&self, filters: &Filters, back: Option<u8>, messages: usize) {
        let limit = Limit { messages, bytes: 2000 };
        let head = self.naive.head();
        let mut before = back.map(|back| Sequence(head.saturating_sub(u64::from(back) / 4)));
        let end = before.map_or(head + 1, |before| before.0);
        let mut found = Vec::new();
        while before != Some(Sequence::ZERO) {
            let batch = now(self.memory.read_back(filters, before, limit)).unwrap();
            assert!(batch.messages.len() <= messages && batch.upto.0 < before.map_or(end, |b| b.0));
            found.extend(sequences(&batch.messages));
            before = Some(batch.upto);
        }
        let matching = |e: &&Entry| e.sequence < end && filters.matches(&e.topic);
        let expected: Vec<u64> =
            self.naive.kept().rev().filter(matching).map(|e| e.sequence).collect();
        assert_eq!(found, expected);
    }

    fn last(&self, filters: &Filters, count: usize, odd: bool) {
        let passes = move |sequence: u64| !odd || sequence % 2 == 1;
        let accept: Accept = Arc::new(move |message| passes(message.cursor.sequence.0));
        let batch = now(self.memory.last(filters, count, accept)).unwrap();
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

    fn since(&self, ms: u16) {
        let micros = self.time().as_micros() - i64::from(ms) * 1000 + 2000;
        let time = Timestamp::from_micros(micros);
        let place = now(self.memory.before_time(time)).unwrap().0;
        let older = |entry: &&Entry| entry.at < time;
        let exact = self.naive.entries.iter().filter(older).count() as u64;
        let kept = self.naive.kept().rfind(older).map_or(0, |entry| entry.sequence);
        assert!(kept <= place && place <= exact, "{kept} {place} {exact}");
    }

    fn list(&self, filter: usize, after: Option<usize>, count: usize) {
        let filter = Filter::parse(FILTERS[filter]).unwrap();
        let after = after.map(|index| TOPICS[index]);
        let listed: Vec<String> = self
            .memory
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

    fn check_totals(&mut self) {
        self.naive.expire(self.time());
        assert_eq!(self.memory.kept_bytes(), self.naive.bytes());
        let mut filled = 0;
        for index in 0..TOPICS.len() {
            let topic = topic(index);
            let expected: Vec<&Entry> = self.naive.kept_of(&topic).collect();
            filled += u64::from(!expected.is_empty());
            let found = self.memory.topic(&topic).map(|kept| {
                (kept.messages, kept.bytes, kept.first, kept.last, kept.last_published_at)
            });
            let expected = expected.first().zip(expected.last()).map(|(first, last)| {
                let bytes = expected.iter().map(|entry| entry.cost).sum::<u64>();
                let (first, newest) = (self.cursor(first.sequence), self.cursor(last.sequence));
                (expected.len() as u64, bytes, first, newest, last.at)
            });
            assert_eq!(found, expected, "{topic}");
        }
        assert_eq!(self.memory.kept_topics(), filled);
        assert_eq!(self.memory.head().0, self.naive.head());
        let seen = std::mem::take(&mut *self.sink.0.lock());
        let first = self.naive.head() - seen.len() as u64;
        for (message, entry) in
            seen.iter().zip(&self.naive.entries[usize::try_from(first).unwrap()..])
        {
            let previous = message.previous.map(|cursor| cursor.sequence.0);
            let found = (message.cursor.sequence.0, &message.topic, previous, message.published_at);
            assert_eq!(found, (entry.sequence, &entry.topic, entry.previous, entry.at));
        }
    }
}

fn bounds(memory_bytes: u64) -> Bounds {
    let idempotency_window = Duration::from_millis(70);
    Bounds { memory_bytes, idempotency_window, idempotency_ids_max: 12 }
}

fn publish(topic: usize, padding: usize, count: usize) -> Step {
    let draw = Draw { topic, key: None, padding, id: None, if_last: None };
    Step::Publish(vec![draw; count])
}

#[test]
fn what_is_past_its_age_makes_room_before_what_is_not() {
    let mut pair = Pair::new(9_000, Looks::default());
    let (count, age) = (0, 1);
    let fill = [publish(count, 0, 1), publish(age, 100, 24), Step::Pass(100)];
    let over = [publish(count, 5000, 1), Step::Totals];
    for step in fill.into_iter().chain(over) {
        pair.step(step);
    }
    assert_eq!(pair.naive.kept().count(), 2);
}

#[test]
fn a_message_does_not_stand_for_one_that_was_past_its_age() {
    let mut pair = Pair::new(1 << 20, Looks::default());
    let old = 5;
    let open = Step::Open {
        filters: vec![3],
        back: Some(u8::MAX),
        snapshot: false,
        messages: 9,
        bytes: 9000,
    };
    let steps = [open, publish(old, 0, 6), Step::Pass(100), publish(old, 0, 1), Step::Read(0)];
    for step in steps {
        pair.step(step);
    }
    assert_eq!(pair.readers[0].start, (6, 0), "the reader was told of a loss");
}

/// It outlived its time only for what followed it.
#[test]
fn a_snapshot_past_its_age_goes_with_what_followed_it() {
    let mut pair = Pair::new(9_000, Looks::default());
    let old = 5;
    let compact = Step::Compact { topic: old, at: Guess::Newest, padding: 0 };
    let fill = [publish(old, 0, 1), compact, Step::Pass(20), publish(old, 5000, 1), Step::Pass(15)];
    let draw = |topic, padding| Draw { topic, key: None, padding, id: None, if_last: None };
    let over = Step::Publish(vec![draw(0, 4000), draw(old, 0)]);
    for step in fill.into_iter().chain([Step::Totals, over, Step::Totals]) {
        pair.step(step);
    }
    assert_eq!(pair.naive.kept().count(), 2, "what came later does not keep it");
}

proptest! {
    #[test]
    fn it_does_what_the_naive_engine_does(
        memory_bytes in prop::sample::select(BOUNDS.to_vec()),
        topics_max in 0..12_usize,
        entries_max in 1..6_usize,
        steps in prop::collection::vec(steps(), 1..80),
    ) {
        let mut pair = Pair::new(memory_bytes, Looks { topics_max, entries_max });
        for step in steps {
            pair.step(step);
        }
        pair.step(Step::Totals);
        for index in 0..pair.readers.len() {
            let end = pair.naive.head();
            for _ in 0..2 * end + 2 {
                pair.read(index);
            }
            assert_eq!(pair.readers[index].start.0, end, "the reader comes to the end");
        }
        (0..TOPICS.len()).for_each(|index| pair.step(Step::Purge(index)));
        pair.step(Step::Pass(1000));
        pair.memory.sweep();
        prop_assert!(pair.memory.state.lock().is_blank(), "nothing is left of what is gone");
    }
}
