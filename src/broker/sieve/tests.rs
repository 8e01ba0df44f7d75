//! Typed selections get what fits, and only that, whichever way messages come to them.

use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::*;
use crate::broker::delivery::Event;
use crate::broker::feed::ShardId;
use crate::broker::history::{PageSize, Request};
use crate::broker::rules::{Overflow, TopicRule, TopicType};
use crate::broker::{Base, Broker, Next, Options};
use crate::engine::Bounds;
use crate::engine::Publish;
use crate::engine::memory::{self, Memory};
use crate::engine::retention::{Keep, Retention};
use crate::message::Draft;
use crate::message::cursor::{Cursor, Epoch};
use crate::message::filter::{Filter, Filters};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::plan::Position;
use crate::plan::condition::{Comparison, Condition, Test};
use crate::plan::pointer::Pointer;
use crate::plan::projection::{Piece, Projection};
use crate::plan::shape::{FieldShape, Kind, Leaf, ObjectShape, Shape, ValueShape};

const SHARD: ShardId = ShardId(0);

/// Topics under `quotes.` are of a type whose only field is this one, required.
fn rule(field: &str, leaf: Leaf) -> TopicRule {
    let value = ValueShape { required: true, kind: Kind::Leaf(leaf) };
    let fields = vec![FieldShape { name: field.into(), value }];
    let shape = Shape::new(vec![ObjectShape { fields, is_one_of: false }], 0);
    TopicRule {
        filter: Filter::parse("quotes.>").unwrap(),
        overflow: Overflow::Conflate,
        presence: false,
        ty: Some(Arc::new(TopicType { name: "Quote".into(), shape })),
    }
}

fn options(topic_rules: Vec<TopicRule>) -> Options {
    Options {
        shards: 1,
        payload_bytes_max: 1000,
        publishes_per_second_max: 0,
        encodings_bytes: 1000,
        topic_rules,
        node: "n1".into(),
    }
}

fn broker(topic_rules: Vec<TopicRule>) -> Broker {
    let options = options(topic_rules);
    let base = Base::new(&options, Instant::now());
    let memory = memory::Options {
        epoch: Epoch::new(1),
        retention: Retention { rules: Vec::new(), default: Keep::EVERYTHING },
        bounds: Bounds {
            memory_bytes: 1 << 20,
            idempotency_window: Duration::from_secs(1),
            idempotency_ids_max: 10,
        },
        clock: Arc::new(|| Timestamp::from_micros(0)),
    };
    let engine = Memory::new(memory, base.feeds.clone());
    Broker::new(engine, base, options, Timestamp::from_micros(0))
}

fn publish(broker: &Broker, topic: &str, payload: &str) {
    let draft = Draft {
        topic: Topic::parse(topic).unwrap(),
        payload: Json::parse(payload).unwrap(),
        key: None,
        headers: None,
    };
    let publish = Publish { draft, id: None, if_last: None };
    broker.publish(publish).now_or_never().unwrap().unwrap();
}

/// Two that fit, one that does not, and one of a topic without a type.
fn publish_some(broker: &Broker) {
    publish(broker, "quotes.A", r#"{"bid":1}"#);
    publish(broker, "quotes.A", r#"{"bid":"1"}"#);
    publish(broker, "other.A", r#"{"bid":2}"#);
    publish(broker, "quotes.B", r#"{"bid":3}"#);
}

fn select(typed: bool, condition: Option<Condition>) -> Select {
    let filters = Filters::new([Filter::parse(">").unwrap()]).unwrap();
    Select { filters, condition: condition.map(Arc::new), typed }
}

fn places<'a>(messages: impl IntoIterator<Item = &'a Arc<Message>>) -> Vec<u64> {
    messages.into_iter().map(|message| message.cursor.sequence.0).collect()
}

fn history(broker: &Broker, select: &Select, page: PageSize) -> Vec<u64> {
    let request = Request { select: select.clone(), after: None, before: None, since: None, page };
    places(&broker.history(&request).now_or_never().unwrap().unwrap().messages)
}

fn last(broker: &Broker, select: &Select) -> Vec<u64> {
    places(&broker.last(select, 1).now_or_never().unwrap().unwrap())
}

fn replay(broker: &Broker, select: &Select) -> Vec<u64> {
    let feed = broker.feed(select.clone(), &Projection::new([Piece::Text("{".into())], false));
    let begun = broker.begin(Position::Earliest, select).now_or_never().unwrap().unwrap();
    let (mut next, mut seen) = (begun.next, Vec::new());
    while let Next::Read(catch_up) = next {
        let caught = broker.catch_up(catch_up, &feed, SHARD).now_or_never().unwrap().unwrap();
        seen.extend(places(&caught.messages));
        next = caught.next;
    }
    seen
}

fn live(broker: &Broker, selects: &[&Select], publish: impl FnOnce()) -> Vec<Vec<u64>> {
    let projection = Projection::new([Piece::Text("{".into())], false);
    for select in selects {
        broker.join_live(&broker.feed((*select).clone(), &projection), SHARD).unwrap();
    }
    let mut events: Vec<Arc<Event>> = Vec::new();
    broker.inbox(SHARD).take(&mut events);
    publish();
    broker.inbox(SHARD).take(&mut events);
    let misfits = &broker.counters().misfits;
    let seen = |select: &&Select| {
        let passing = events.iter().filter(|event| event.passes(select, misfits, &mut None));
        places(passing.map(|event| &event.message))
    };
    selects.iter().map(seen).collect()
}

fn skipped(broker: &Broker) -> u64 {
    broker.counters().misfits.counts().iter().map(|(_, count)| count).sum()
}

#[test]
fn what_is_kept_is_read_by_its_type() {
    let broker = broker(vec![rule("bid", Leaf::Float)]);
    publish_some(&broker);
    let (typed, generic) = (select(true, None), select(false, None));
    for page in [PageSize::First(10), PageSize::Last(10)] {
        assert_eq!(history(&broker, &generic, page), [1, 2, 3, 4]);
        assert_eq!(history(&broker, &typed, page), [1, 4]);
    }
    assert_eq!(skipped(&broker), 2);
    // Two and no more fit: the misfit between them does not count.
    assert_eq!(history(&broker, &typed, PageSize::First(2)), [1, 4]);
    assert_eq!(last(&broker, &generic), [2, 3, 4]);
    assert_eq!(last(&broker, &typed), [1, 4]);
    assert_eq!(replay(&broker, &generic), [1, 2, 3, 4]);
    assert_eq!(replay(&broker, &typed), [1, 4]);
}

#[test]
fn live_messages_are_checked_once_and_only_for_typed_selections() {
    let broker = broker(vec![rule("bid", Leaf::Float)]);
    let pointer = Pointer::of(["bid"]);
    let condition =
        Condition::all(vec![Test { pointer, comparison: Comparison::Ne(1.into()) }]).unwrap();
    let generic = [&select(false, None), &select(false, Some(condition.clone()))];
    let seen = live(&broker, &generic, || publish_some(&broker));
    assert_eq!(seen, [vec![1, 2, 3, 4], vec![2, 3, 4]]);
    assert_eq!(skipped(&broker), 0);
    let typed = [&select(true, None), &select(true, Some(condition))];
    let seen = live(&broker, &typed, || publish_some(&broker));
    assert_eq!(seen, [vec![5, 8], vec![8]]);
    assert_eq!(skipped(&broker), 1);
}

#[test]
fn new_rules_hold_at_once_for_topics_in_use() {
    let broker = broker(Vec::new());
    let typed = select(true, None);
    let publish_one = || publish(&broker, "quotes.A", r#"{"bid":1}"#);
    publish_one();
    assert!(replay(&broker, &typed).is_empty());
    assert_eq!(live(&broker, &[&typed], publish_one), [vec![0_u64; 0]]);
    let topic = Topic::parse("quotes.A").unwrap();
    assert_eq!(broker.topic(&topic).unwrap().ty, None);
    assert_eq!(broker.overflow(&topic), Overflow::Disconnect);
    assert!(broker.presence(&topic).is_ok());

    broker.set_options(options(vec![rule("bid", Leaf::Float)]));
    assert_eq!(replay(&broker, &typed), [1, 2]);
    assert_eq!(live(&broker, &[&typed], publish_one), [[3]]);
    assert_eq!(&*broker.topic(&topic).unwrap().ty.unwrap().name, "Quote");
    assert_eq!(broker.overflow(&topic), Overflow::Conflate);
    assert!(broker.presence(&topic).is_err());

    broker.set_options(options(vec![rule("ask", Leaf::Float), rule("bid", Leaf::Float)]));
    assert!(replay(&broker, &typed).is_empty());
    assert_eq!(live(&broker, &[&typed], publish_one), [vec![0_u64; 0]]);
    broker.set_options(options(Vec::new()));
    assert_eq!(broker.topic(&topic).unwrap().ty, None);
    assert!(history(&broker, &typed, PageSize::First(9)).is_empty());
}

#[test]
fn many_who_read_the_same_messages_parse_them_once() {
    let broker = broker(Vec::new());
    publish_some(&broker);
    let test = |number: i32| {
        let comparison = Comparison::Ne(number.into());
        select(false, Condition::all(vec![Test { pointer: Pointer::of(["bid"]), comparison }]))
    };
    assert_eq!(broker.sieve.trees.len(), 0);
    assert_eq!(replay(&broker, &test(1)), [2, 3, 4]);
    let parsed = |place| broker.sieve.trees.get(&(Sequence(place), false)).unwrap();
    let first: Vec<_> = (1..=4).map(parsed).collect();
    assert_eq!(history(&broker, &test(2), PageSize::First(9)), [1, 2, 4]);
    assert_eq!(last(&broker, &test(3)), [2, 3]);
    assert!(first.iter().zip(1..).all(|(first, place)| Arc::ptr_eq(first, &parsed(place))));
}

#[test]
fn a_snapshot_is_not_taken_for_the_message_that_it_replaced() {
    let broker = broker(Vec::new());
    publish(&broker, "a", r#"{"bid":1}"#);
    let (pointer, comparison) = (Pointer::of(["bid"]), Comparison::Ne(9.into()));
    let select = select(false, Condition::all(vec![Test { pointer, comparison }]));
    assert_eq!(replay(&broker, &select), [1]);
    let snapshot = Draft {
        topic: Topic::parse("a").unwrap(),
        payload: Json::parse(r#"{"bid":9}"#).unwrap(),
        key: None,
        headers: None,
    };
    let upto = Cursor { epoch: Epoch::new(1), sequence: Sequence(1) };
    broker.compact(snapshot, upto).unwrap().now_or_never().unwrap().unwrap();
    assert!(replay(&broker, &select).is_empty());
}

#[test]
fn parsed_payloads_stay_within_their_bytes() {
    let broker = broker(Vec::new());
    let (pointer, comparison) = (Pointer::of([""; 0]), Comparison::Exists(true));
    let select = select(false, Condition::all(vec![Test { pointer, comparison }]));
    // As trees they are 36 times as large.
    let payload = format!("[{}1]", "1,".repeat(5_000));
    for _ in 0..80 {
        publish(&broker, "a", &payload);
    }
    assert_eq!(replay(&broker, &select).len(), 80);
    let trees = &broker.sieve.trees;
    assert!(trees.weight() <= TREES_BYTES, "{}", trees.weight());
    assert!((1..80).contains(&trees.len()), "{}", trees.len());
}
