//! Each engine beside a naive one: whatever is done to both, both say the same.

mod compact;
mod naive;
mod publish;
mod reading;
mod steps;
mod subject;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;

use self::naive::{Entry, Expected, Naive};
use self::steps::{BOUNDS, Draw, Guess, Step, TOPICS, filters, steps, topic};
use self::subject::{Kind, Subject};
use crate::engine::{Bounds, Error, Limit, ReadFrom, Reply, Sink};
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::message::filter::Filters;
use crate::message::time::Timestamp;

#[derive(Default)]
struct Recorder(Mutex<Vec<Arc<Message>>>);

impl Sink for Recorder {
    fn accepted(&self, messages: &[Arc<Message>]) {
        self.0.lock().extend_from_slice(messages);
    }
}

/// Both engines, and readers that page.
struct Pair {
    engine: Subject,
    sink: Arc<Recorder>,
    naive: Naive,
    clock: Arc<AtomicI64>,
    readers: Vec<Reader>,
    entries_max: usize,
    kind: Kind,
}

struct Reader {
    filters: Filters,
    from: ReadFrom,
    /// The naive engine's own: after which place, and from which moment on.
    start: (u64, u64),
    limit: Limit,
}

fn now<T: Unpin>(reply: Reply<T>) -> Result<T, Error> {
    match reply {
        Reply::Now(result) => result.unwrap(),
        Reply::Later(answer) => answer.blocking_recv().unwrap(),
    }
}

fn sequences(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.cursor.sequence.0).collect()
}

impl Pair {
    fn new(kind: Kind, memory_bytes: u64, looks: (usize, usize)) -> Self {
        let clock = Arc::new(AtomicI64::new(1_000_000));
        let sink = Arc::new(Recorder::default());
        let bounds = bounds(memory_bytes);
        let seen = Arc::clone(&sink) as Arc<dyn Sink>;
        let engine = Subject::new(kind, bounds, looks, Arc::clone(&clock), seen);
        let naive = Naive::new(kind.rules(0), bounds);
        Self { engine, sink, naive, clock, readers: Vec::new(), entries_max: looks.1, kind }
    }

    fn restart(&mut self, is_killed: bool) {
        self.check_totals();
        if self.engine.restart(self.naive.retention.clone(), self.naive.bounds, is_killed) {
            // Readers of a process that is gone come again from where they stand.
            self.readers.retain(|reader| matches!(reader.from, ReadFrom::After(_)));
            // A start begins with a sweep.
            self.engine.settle();
            self.naive.restart(if is_killed { self.engine.head().0 } else { 0 });
            self.naive.sweep(self.time());
            self.check_totals();
        }
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
                self.engine.sweep();
                self.engine.settle();
                self.naive.sweep(self.time());
            }
            Step::Purge(index) => {
                let purged = now(self.engine.purge(&topic(index))).unwrap();
                assert_eq!(purged, self.naive.purge(&topic(index)));
            }
            Step::Compact { topic: index, at, padding } => self.compact(&topic(index), at, padding),
            Step::Rules(number) => {
                let rules = self.kind.rules(number);
                self.engine.set_retention(rules.clone());
                self.engine.settle();
                self.naive.set_retention(rules, self.time());
            }
            Step::Bound(memory_bytes) => {
                self.engine.set_bounds(bounds(memory_bytes));
                self.engine.settle();
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
            Step::Restart => self.restart(false),
            Step::Crash => self.restart(true),
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
        let result = now(self.engine.read(&reader.filters, reader.from, reader.limit));
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
                let doubtful = self.naive.doubtful(&reader.filters);
                let is_due = lost > after || after > head || after < doubtful || may_be_stale;
                let is_exact = lost <= place && place <= lost.max(doubtful).max(head);
                assert!(is_due && is_exact, "{after} {place} {lost} {doubtful}");
                reader.from = ReadFrom::After(earliest.sequence);
                reader.start = (place, 0);
                let again = self.engine.read(&reader.filters, reader.from, reader.limit);
                assert!(now(again).is_ok(), "the earliest position has to work");
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    fn check_totals(&mut self) {
        self.naive.expire(self.time());
        self.engine.settle();
        assert_eq!(self.engine.kept_bytes(), self.naive.bytes());
        let mut filled = 0;
        for index in 0..TOPICS.len() {
            let topic = topic(index);
            let expected: Vec<&Entry> = self.naive.kept_of(&topic).collect();
            filled += u64::from(!expected.is_empty());
            let found = self.engine.topic(&topic).map(|kept| {
                (kept.messages, kept.bytes, kept.first, kept.last, kept.last_published_at)
            });
            let expected = expected.first().zip(expected.last()).map(|(first, last)| {
                let bytes = expected.iter().map(|entry| entry.cost).sum::<u64>();
                let (first, newest) = (self.cursor(first.sequence), self.cursor(last.sequence));
                (expected.len() as u64, bytes, first, newest, last.at)
            });
            assert_eq!(found, expected, "{topic}");
        }
        assert_eq!(self.engine.kept_topics(), filled);
        assert_eq!(self.engine.head().0, self.naive.head());
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
    let volatile_bytes = memory_bytes / 4 * 3;
    Bounds { memory_bytes, volatile_bytes, idempotency_window, idempotency_ids_max: 12 }
}

fn publish(topic: usize, padding: usize, count: usize) -> Step {
    let draw = Draw { topic, key: None, padding, id: None, if_last: None };
    Step::Publish(vec![draw; count])
}

const LOOKS: (usize, usize) = (512, 2048);

fn what_is_past_its_age_makes_room_before_what_is_not(kind: Kind) {
    let mut pair = Pair::new(kind, 9_000, LOOKS);
    let (count, age) = (0, 1);
    let fill = [publish(count, 0, 1), publish(age, 100, 24), Step::Pass(100)];
    let over = [publish(count, 5000, 1), Step::Totals];
    for step in fill.into_iter().chain(over) {
        pair.step(step);
    }
    assert_eq!(pair.naive.kept().count(), 2);
}

fn a_message_does_not_stand_for_one_that_was_past_its_age(kind: Kind) {
    let mut pair = Pair::new(kind, 1 << 20, LOOKS);
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
fn a_snapshot_past_its_age_goes_with_what_followed_it(kind: Kind) {
    let mut pair = Pair::new(kind, 9_000, LOOKS);
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

fn it_does_what_the_naive_engine_does(
    kind: Kind,
    memory_bytes: u64,
    looks: (usize, usize),
    steps: Vec<Step>,
) {
    let mut pair = Pair::new(kind, memory_bytes, looks);
    for step in steps {
        pair.step(step);
    }
    pair.step(Step::Totals);
    for index in 0..pair.readers.len() {
        let end = pair.naive.head();
        for _ in 0..2 * end + 2 {
            if pair.readers[index].start.0 != end {
                pair.read(index);
            }
        }
        assert_eq!(pair.readers[index].start.0, end, "the reader comes to the end");
    }
    (0..TOPICS.len()).for_each(|index| pair.step(Step::Purge(index)));
    pair.step(Step::Pass(1000));
    pair.engine.sweep();
    assert!(pair.engine.is_blank(), "nothing is left of what is gone");
}

/// The same of every engine, with so many random cases.
macro_rules! beside_the_naive_one {
    ($engine:ident, $kind:expr, $cases:expr) => {
        mod $engine {
            use super::*;

            #[test]
            fn what_is_past_its_age_makes_room_before_what_is_not() {
                super::what_is_past_its_age_makes_room_before_what_is_not($kind);
            }

            #[test]
            fn a_message_does_not_stand_for_one_that_was_past_its_age() {
                super::a_message_does_not_stand_for_one_that_was_past_its_age($kind);
            }

            #[test]
            fn a_snapshot_past_its_age_goes_with_what_followed_it() {
                super::a_snapshot_past_its_age_goes_with_what_followed_it($kind);
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases($cases))]
                #[test]
                fn it_does_what_the_naive_engine_does(
                    memory_bytes in prop::sample::select(BOUNDS.to_vec()),
                    looks in (0..12_usize, 1..6_usize),
                    steps in prop::collection::vec(steps(), 1..80),
                ) {
                    super::it_does_what_the_naive_engine_does($kind, memory_bytes, looks, steps);
                }
            }
        }
    };
}

beside_the_naive_one!(memory, Kind::Memory, 256);
// A case opens several logs, and each of them makes some dozens of files.
beside_the_naive_one!(disk, Kind::Disk, 64);
beside_the_naive_one!(disk_and_memory, Kind::Mixed, 64);
