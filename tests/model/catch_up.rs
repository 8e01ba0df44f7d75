//! Replay, then live: whatever the schedule, a subscriber sees each matching message after its
//! position once and in order, or is told that some are gone.
//!
//! The engine answers reads late, with what the log was when it was asked; publishes, events of
//! the shard and the steps of several subscribers come in between in any order.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tidings::broker::feed::{Feed, FeedId, ShardId};
use tidings::broker::{Base, Broker, Caught, Error, Next, Options};
use tidings::engine::memory::{self, Memory};
use tidings::engine::retention::{Keep, Retention};
use tidings::engine::{Bounds, Error as EngineError, Publish};
use tidings::message::Draft;
use tidings::message::cursor::{Cursor, Epoch, Sequence};
use tidings::message::filter::{Filter, Filters};
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::plan::projection::{Piece, Projection};
use tidings::plan::{Position, Select};

use super::late::{Late, now_or_never};

/// Messages kept per topic: few, so that positions expire.
const KEEP: u64 = 6;
const TOPICS: [&str; 4] = ["a.x", "a.y", "b.x", "b.y"];
const FILTERS: [&[&str]; 5] = [&["a.x"], &["a.*"], &[">"], &["*.x", "a.y"], &["b.y", "b.*"]];
const SHARD: ShardId = ShardId(0);

#[derive(Debug, Clone)]
enum Op {
    /// Publish to a topic.
    Publish(usize),
    /// Subscribe with a filter, from so many messages back or live.
    Subscribe { filter: usize, back: u64, kind: Kind },
    /// The engine answers one read.
    Answer(usize),
    /// A subscriber's task runs.
    Step(usize),
    /// The shard delivers what is in its inbox.
    Deliver,
    /// A subscriber goes.
    Leave(usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    After,
    Last,
    Earliest,
    Live,
}

fn op() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        4 => Just(Kind::After),
        1 => Just(Kind::Last),
        1 => Just(Kind::Earliest),
        1 => Just(Kind::Live)
    ];
    prop_oneof![
        10 => (0..TOPICS.len()).prop_map(Op::Publish),
        2 => (0..FILTERS.len(), 0..12_u64, kind)
            .prop_map(|(filter, back, kind)| Op::Subscribe { filter, back, kind }),
        6 => any::<usize>().prop_map(Op::Answer),
        8 => any::<usize>().prop_map(Op::Step),
        3 => Just(Op::Deliver),
        1 => any::<usize>().prop_map(Op::Leave),
    ]
}

type Catching = Pin<Box<dyn Future<Output = Result<Caught, Error>>>>;

enum State {
    Catching(Catching),
    Live(FeedId, Sequence),
    Expired,
    Gone,
}

struct Subscriber {
    feed: Arc<Feed>,
    state: State,
    /// What it has to see, from the moment of subscribing; `None` for everything kept, whose
    /// beginning depends on when it is read.
    after: Option<u64>,
    first: Vec<u64>,
    seen: Vec<u64>,
}

struct World {
    broker: Arc<Broker>,
    engine: Arc<Late>,
    published: Vec<usize>,
    subscribers: Vec<Subscriber>,
}

impl World {
    fn new() -> Self {
        let options = Options {
            shards: 1,
            payload_bytes_max: 1024,
            publishes_per_second_max: 0,
            encodings_bytes: 4096,
            topic_rules: Vec::new(),
            node: "model".into(),
        };
        let base = Base::new(&options, Instant::now());
        let memory = memory::Options {
            epoch: Epoch::new(7),
            retention: Retention {
                rules: Vec::new(),
                default: Keep { last: Some(KEEP), age: None, bytes: None },
            },
            bounds: Bounds {
                memory_bytes: 1 << 30,
                volatile_bytes: 1 << 30,
                idempotency_window: Duration::from_secs(1),
                idempotency_ids_max: 10,
            },
            clock: Arc::new(|| Timestamp::from_micros(1)),
        };
        let log = Memory::new(memory, base.feeds.clone());
        let engine = Arc::new(Late { log, answers: Arc::default() });
        let now = Timestamp::from_micros(0);
        let broker = Arc::new(Broker::new(engine.clone(), base, options, now));
        Self { broker, engine, published: Vec::new(), subscribers: Vec::new() }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Publish(topic) => self.publish(*topic),
            Op::Subscribe { filter, back, kind } => self.subscribe(*filter, *back, *kind),
            Op::Answer(pick) => {
                let mut answers = self.engine.answers.lock().unwrap();
                if !answers.is_empty() {
                    let index = pick % answers.len();
                    let (sender, result) = answers.remove(index);
                    // A subscriber that has gone does not listen any more.
                    let _ = sender.send(result);
                }
            }
            Op::Step(pick) => {
                if !self.subscribers.is_empty() {
                    self.step(pick % self.subscribers.len());
                }
            }
            Op::Deliver => self.deliver(),
            Op::Leave(pick) => {
                if !self.subscribers.is_empty() {
                    let index = pick % self.subscribers.len();
                    let state = std::mem::replace(&mut self.subscribers[index].state, State::Gone);
                    if let State::Live(feed, _) = state {
                        self.broker.leave(feed, SHARD);
                    }
                }
            }
        }
    }

    fn publish(&mut self, topic: usize) {
        let draft = Draft {
            topic: Topic::parse(TOPICS[topic]).unwrap(),
            payload: Json::parse("1").unwrap(),
            key: None,
            headers: None,
        };
        let publish = Publish { draft, id: None, if_last: None };
        let receipt = now_or_never(self.broker.publish(publish)).unwrap();
        self.published.push(topic);
        assert_eq!(receipt.cursor.sequence.0, self.published.len() as u64);
    }

    fn subscribe(&mut self, filter: usize, back: u64, kind: Kind) {
        let filters = FILTERS[filter].iter().map(|text| Filter::parse(text).unwrap());
        let select =
            Select { filters: Filters::new(filters).unwrap(), condition: None, typed: false };
        let projection = Projection::new([Piece::Text("{\"data\":{}".into())], false);
        let feed = Arc::new(self.broker.feed(select, &projection));
        let head = self.published.len() as u64;
        let after = head.saturating_sub(back);
        let cursor = Cursor { epoch: Epoch::new(7), sequence: Sequence(after) };
        let count = u32::try_from(back).unwrap() % 4;
        let (position, after, first) = match kind {
            Kind::After => (Position::After(cursor), Some(after), Vec::new()),
            Kind::Earliest => (Position::Earliest, None, Vec::new()),
            Kind::Last => {
                (Position::Last(count), Some(head), self.last(&feed.select, count as usize))
            }
            Kind::Live => (Position::Live, Some(head), Vec::new()),
        };
        let state = if kind == Kind::Live {
            let (id, from) = self.broker.join_live(&feed, SHARD).unwrap();
            State::Live(id, from)
        } else {
            let (broker, select) = (self.broker.clone(), feed.select.clone());
            let mut begin: Catching =
                Box::pin(async move { broker.begin(position, &select).await });
            match poll(&mut begin) {
                Some(Ok(caught)) => return self.begun(feed, caught, after, first),
                Some(Err(error)) => panic!("{error}"),
                None => State::Catching(begin),
            }
        };
        self.subscribers.push(Subscriber { feed, state, after, first, seen: Vec::new() });
    }

    fn begun(&mut self, feed: Arc<Feed>, caught: Caught, after: Option<u64>, first: Vec<u64>) {
        let state = State::Gone;
        self.subscribers.push(Subscriber { feed, state, after, first, seen: Vec::new() });
        self.caught(self.subscribers.len() - 1, caught);
    }

    /// The newest `count` kept of every matching topic.
    fn last(&self, select: &Select, count: usize) -> Vec<u64> {
        let mut left = HashMap::new();
        let keep = usize::try_from(KEEP).unwrap().min(count);
        let mut found = Vec::new();
        for (index, topic) in self.published.iter().enumerate().rev() {
            let topic = TOPICS[*topic];
            let left = left.entry(topic).or_insert(keep);
            if *left > 0 && select.filters.matches(&Topic::parse(topic).unwrap()) {
                *left -= 1;
                found.push(index as u64 + 1);
            }
        }
        found.reverse();
        found
    }

    fn step(&mut self, index: usize) {
        let State::Catching(future) = &mut self.subscribers[index].state else { return };
        match poll(future) {
            None => {}
            Some(Ok(caught)) => self.caught(index, caught),
            Some(Err(Error::Engine(EngineError::Expired { .. }))) => {
                self.subscribers[index].state = State::Expired;
            }
            Some(Err(error)) => panic!("{error}"),
        }
    }

    /// As a shard does it: what was read, and then without a pause what comes next.
    fn caught(&mut self, index: usize, caught: Caught) {
        let subscriber = &mut self.subscribers[index];
        subscriber.seen.extend(caught.messages.iter().map(|m| m.cursor.sequence.0));
        subscriber.state = match caught.next {
            Next::Live { feed, from } => State::Live(feed, from),
            Next::Read(catch_up) => {
                let (broker, feed) = (self.broker.clone(), subscriber.feed.clone());
                State::Catching(Box::pin(
                    async move { broker.catch_up(catch_up, &feed, SHARD).await },
                ))
            }
        };
    }

    fn deliver(&mut self) {
        let mut events = Vec::new();
        self.broker.inbox(SHARD).take(&mut events);
        for event in &events {
            let sequence = event.message.cursor.sequence;
            for subscriber in &mut self.subscribers {
                if let State::Live(feed, from) = subscriber.state
                    && event.feeds.contains(&feed)
                    && from < sequence
                {
                    subscriber.seen.push(sequence.0);
                }
            }
        }
        self.broker.delivered(SHARD, events.len());
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        for _ in 0..1000 {
            self.run(&Op::Answer(0));
            for index in 0..self.subscribers.len() {
                self.step(index);
            }
            self.deliver();
        }
    }

    fn topic_of(&self, number: u64) -> usize {
        self.published[usize::try_from(number).unwrap() - 1]
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for subscriber in &self.subscribers {
            let filters = &subscriber.feed.select.filters;
            let matching: Vec<u64> = (1..)
                .zip(&self.published)
                .filter(|(_, topic)| filters.matches(&Topic::parse(TOPICS[**topic]).unwrap()))
                .map(|(number, _)| number)
                .collect();
            let after = |place: u64| matching.iter().copied().filter(move |n| *n > place);
            match (&subscriber.state, subscriber.after) {
                (State::Gone, _) => {}
                (State::Catching(_), _) => prop_assert!(false, "a catch-up never ended"),
                (State::Live(..), Some(place)) => {
                    let mut expected = subscriber.first.clone();
                    expected.extend(after(place));
                    prop_assert_eq!(&subscriber.seen, &expected);
                }
                (State::Live(..), None) => {
                    // Where it begins depends on when it was read; what is missing may only be
                    // what had been forgotten by then.
                    let seen = &subscriber.seen;
                    prop_assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
                    for (number, topic) in TOPICS.iter().enumerate() {
                        let of_topic = |n: &u64| self.topic_of(*n) == number;
                        let all: Vec<u64> = matching.iter().copied().filter(of_topic).collect();
                        let seen: Vec<u64> = seen.iter().copied().filter(of_topic).collect();
                        prop_assert!(all.ends_with(&seen), "{topic}: {seen:?} of {all:?}");
                        prop_assert!(seen.len() as u64 >= KEEP.min(all.len() as u64), "{topic}");
                    }
                }
                (State::Expired, place) => {
                    let place = place.unwrap_or(0);
                    let seen = subscriber.seen.last().copied().unwrap_or(place).max(place);
                    let lost = TOPICS.iter().enumerate().any(|(number, topic)| {
                        let topic = Topic::parse(topic).unwrap();
                        let after = &self.published[usize::try_from(place).unwrap()..];
                        let of_it = after.iter().filter(|published| **published == number);
                        filters.matches(&topic) && of_it.count() as u64 > KEEP
                    });
                    prop_assert!(lost, "nothing after {seen} was lost, and yet it expired");
                }
            }
        }
        Ok(())
    }
}

fn poll<T>(future: &mut Pin<Box<dyn Future<Output = T>>>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn no_gap_no_duplicate_no_reordering(ops in proptest::collection::vec(op(), 1..120)) {
        let mut world = World::new();
        for op in &ops {
            world.run(op);
        }
        world.settle();
        world.check()?;
    }
}
