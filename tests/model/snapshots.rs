//! Documents that are edited, compacted and followed at once: whatever the schedule, a replica
//! ends with all that was written, or is told that it does not.
//!
//! A replica is what it was sent, applied in order: a snapshot is the whole, an update one more.
//! The engine answers reads late; see [`super::late`].

use std::collections::BTreeMap;
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
use tidings::message::cursor::{Cursor, Epoch, Sequence};
use tidings::message::filter::{Filter, Filters};
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message};
use tidings::plan::projection::{Field, Piece, Projection};
use tidings::plan::{Position, Select};

use super::late::{Late, now_or_never};

const TOPICS: [&str; 3] = ["doc.x", "doc.y", "other"];
const FILTERS: [&str; 4] = ["doc.x", "doc.*", ">", "other"];
const SHARD: ShardId = ShardId(0);

#[derive(Debug, Clone)]
enum Op {
    /// Somebody writes.
    Write(usize),
    /// Somebody who has seen all but so many updates of a document puts a snapshot in place.
    Compact(usize, usize),
    /// Somebody opens what matches, with nothing in hand.
    Open(usize),
    /// Somebody comes back, who had seen all up to so many places ago.
    Resume(usize, u64),
    /// The engine answers one read.
    Answer(usize),
    /// A replica's task runs.
    Step(usize),
    /// The shard delivers what is in its inbox.
    Deliver,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (0..TOPICS.len()).prop_map(Op::Write),
        4 => (0..TOPICS.len(), 0..6_usize).prop_map(|(topic, back)| Op::Compact(topic, back)),
        2 => (0..FILTERS.len()).prop_map(Op::Open),
        2 => (0..FILTERS.len(), 0..9_u64).prop_map(|(filter, back)| Op::Resume(filter, back)),
        6 => any::<usize>().prop_map(Op::Answer),
        8 => any::<usize>().prop_map(Op::Step),
        3 => Just(Op::Deliver),
    ]
}

/// What a document comes to: everything written to it, in order.
type Content = Vec<u64>;

enum State {
    Catching(Pin<Box<dyn Future<Output = Result<Caught, Error>>>>),
    Live(FeedId, Sequence),
    Told,
}

struct Replica {
    feed: Arc<Feed>,
    state: State,
    documents: BTreeMap<String, Content>,
}

struct World {
    broker: Arc<Broker>,
    engine: Arc<Late>,
    /// The topic of each place of the log.
    written: Vec<usize>,
    replicas: Vec<Replica>,
}

impl World {
    /// A log that keeps so many updates of each document, besides its snapshot.
    fn new(keep: Option<u64>) -> Self {
        let options = Options {
            shards: 1,
            payload_bytes_max: 1024,
            publishes_per_second_max: 0,
            encodings_bytes: 4096,
            topic_rules: Vec::new(),
            node: "model".into(),
        };
        let base = Base::new(&options, Instant::now());
        let default = Keep { last: keep, ..Keep::EVERYTHING };
        let memory = memory::Options {
            epoch: Epoch::new(7),
            retention: Retention { rules: Vec::new(), default },
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
        let broker = Broker::new(engine.clone(), base, options, Timestamp::from_micros(0));
        let (broker, written, replicas) = (Arc::new(broker), Vec::new(), Vec::new());
        let mut world = Self { broker, engine, written, replicas };
        // Every document begins with a snapshot: a log that never had one may begin anywhere.
        for topic in 0..TOPICS.len() {
            world.write(topic);
            world.compact(topic, 0);
        }
        world
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Write(topic) => self.write(topic),
            Op::Compact(topic, back) => self.compact(topic, back),
            Op::Open(filter) => self.follow(filter, Position::Snapshot, 0),
            Op::Resume(filter, back) => {
                let after = (self.written.len() as u64).saturating_sub(back);
                self.follow(filter, Position::After(cursor(after)), after);
            }
            Op::Answer(pick) => {
                let mut answers = self.engine.answers.lock().unwrap();
                if let Some(index) = pick.checked_rem(answers.len()) {
                    let (sender, result) = answers.remove(index);
                    assert!(sender.send(result).is_ok(), "every replica waits for its answers");
                }
            }
            Op::Step(pick) => {
                if let Some(index) = pick.checked_rem(self.replicas.len()) {
                    self.step(index);
                }
            }
            Op::Deliver => self.deliver(),
        }
    }

    fn write(&mut self, topic: usize) {
        let number = self.written.len() as u64 + 1;
        let publish = Publish { draft: draft(topic, &number.to_string()), id: None, if_last: None };
        let receipt = now_or_never(self.broker.publish(publish)).unwrap();
        assert_eq!(receipt.cursor, cursor(number));
        self.written.push(topic);
    }

    fn compact(&self, topic: usize, back: usize) {
        let Some(&upto) = self.content(topic, u64::MAX).iter().rev().nth(back) else { return };
        let snapshot = draft(topic, &format!("{:?}", self.content(topic, upto)));
        let reply = self.broker.compact(snapshot, cursor(upto)).unwrap();
        match now_or_never(reply) {
            Ok(receipt) => assert_eq!(receipt.cursor, cursor(upto)),
            // Somebody else's is there, or the update is gone.
            Err(EngineError::Overtaken { .. } | EngineError::Expired { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// A document as it was at a place.
    fn content(&self, topic: usize, upto: u64) -> Content {
        let places = (1..).zip(&self.written).filter(|(_, written)| **written == topic);
        places.map(|(place, _)| place).filter(|place| *place <= upto).collect()
    }

    fn follow(&mut self, filter: usize, position: Position, known: u64) {
        let filters = Filters::from(Filter::parse(FILTERS[filter]).unwrap());
        let select = Select { filters, condition: None, typed: false };
        let pieces = [Piece::Field(Field::Payload), Piece::Text(" ".into())];
        let feed = Arc::new(self.broker.feed(select, &Projection::new(pieces, false)));
        let documents =
            (0..TOPICS.len()).map(|topic| (TOPICS[topic].to_owned(), self.content(topic, known)));
        let (broker, select) = (self.broker.clone(), feed.select.clone());
        let begin = Box::pin(async move { broker.begin(position, &select).await });
        let documents = documents.collect();
        self.replicas.push(Replica { feed, state: State::Catching(begin), documents });
        self.step(self.replicas.len() - 1);
    }

    fn step(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        let State::Catching(future) = &mut replica.state else { return };
        let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        else {
            return;
        };
        replica.state = match result {
            Ok(caught) => {
                caught.messages.iter().for_each(|message| replica.apply(&self.broker, message));
                match caught.next {
                    Next::Live { feed, from } => State::Live(feed, from),
                    Next::Read(catch_up) => {
                        let (broker, feed) = (self.broker.clone(), replica.feed.clone());
                        State::Catching(Box::pin(async move {
                            broker.catch_up(catch_up, &feed, SHARD).await
                        }))
                    }
                }
            }
            Err(Error::Engine(EngineError::Expired { .. })) => State::Told,
            Err(error) => panic!("{error}"),
        };
    }

    fn deliver(&mut self) {
        let mut events = Vec::new();
        self.broker.inbox(SHARD).take(&mut events);
        for event in &events {
            assert!(!event.message.snapshot, "who is live gets no snapshot");
            for replica in &mut self.replicas {
                if let State::Live(feed, from) = replica.state
                    && event.feeds.contains(&feed)
                    && from < event.message.cursor.sequence
                {
                    replica.apply(&self.broker, &event.message);
                }
            }
        }
        self.broker.delivered(SHARD, events.len());
    }

    /// Lets everything come to its end; says how many replicas have all of it.
    fn settle(&mut self) -> usize {
        for _ in 0..300 {
            self.run(&Op::Answer(0));
            (0..self.replicas.len()).for_each(|index| self.step(index));
            self.deliver();
        }
        let mut whole = 0;
        for replica in &self.replicas {
            match replica.state {
                State::Catching(_) => panic!("a catch-up never ended"),
                State::Told => {}
                State::Live(..) => {
                    whole += 1;
                    for (index, name) in TOPICS.into_iter().enumerate() {
                        if replica.feed.select.filters.matches(&Topic::parse(name).unwrap()) {
                            let expected = self.content(index, u64::MAX);
                            assert_eq!(replica.documents[name], expected, "{name}");
                        }
                    }
                }
            }
        }
        whole
    }
}

impl Replica {
    /// Reads the result that a client gets, which may have been made for another client.
    fn apply(&mut self, broker: &Broker, message: &Message) {
        let encoded = broker.encode(&self.feed, message);
        let payload = encoded.data().strip_suffix(b" ").unwrap();
        let content = self.documents.get_mut(message.topic.as_str()).unwrap();
        if message.snapshot {
            *content = serde_json::from_slice(payload).unwrap();
        } else {
            content.push(serde_json::from_slice(payload).unwrap());
        }
    }
}

fn cursor(place: u64) -> Cursor {
    Cursor { epoch: Epoch::new(7), sequence: Sequence(place) }
}

fn draft(topic: usize, payload: &str) -> Draft {
    let (topic, payload) = (Topic::parse(TOPICS[topic]).unwrap(), Json::parse(payload).unwrap());
    Draft { topic, payload, key: None, headers: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_replica_is_whole_or_is_told(
        keep in prop::option::of(2..8_u64),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new(keep);
        for op in &ops {
            world.run(op);
        }
        world.settle();
    }

    #[test]
    fn nobody_is_told_without_a_reason(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new(None);
        for op in &ops {
            // Nothing is compacted, and everything kept.
            if !matches!(op, Op::Compact(..)) {
                world.run(op);
            }
        }
        let resumed_too_early = |op: &&Op| matches!(op, Op::Resume(..));
        let most = ops.iter().filter(resumed_too_early).count();
        prop_assert!(world.settle() + most >= world.replicas.len());
    }
}
