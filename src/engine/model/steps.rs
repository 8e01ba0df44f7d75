//! What may be done to an engine, drawn at random.

use std::time::Duration;

use proptest::prelude::*;

use crate::engine::retention::{Keep, Retention, Rule, Terms};
use crate::message::filter::{Filter, Filters};
use crate::message::topic::Topic;

pub(super) const TOPICS: [&str; 8] =
    ["count", "age", "bytes", "q.a", "q.b", "q.c.old", "deep.a.x", "none"];
pub(super) const FILTERS: [&str; 10] =
    ["count", "q.a", "q.*", "q.>", ">", "*", "deep.*.x", "*.*", "none", "nowhere"];

#[derive(Debug, Clone)]
pub(super) enum Step {
    Publish(Vec<Draw>),
    Pass(u16),
    Sweep,
    /// Where the log outlives its process: another one goes on with it.
    Restart,
    /// The same after a process that was killed.
    Crash,
    /// Totals are compared, which also takes away what is past its age.
    Totals,
    Purge(usize),
    /// A snapshot takes the place of a topic's messages up to one of them, or to a place so far
    /// back in the log.
    Compact {
        topic: usize,
        at: Guess,
        padding: usize,
    },
    /// Other rules: [`retention`] has some.
    Rules(usize),
    /// Another bound of all that is kept.
    Bound(u64),
    Open {
        filters: Vec<usize>,
        back: Option<u8>,
        snapshot: bool,
        messages: usize,
        bytes: usize,
    },
    Read(usize),
    ReadBack {
        filters: Vec<usize>,
        back: Option<u8>,
        messages: usize,
    },
    Last {
        filters: Vec<usize>,
        count: usize,
        odd: bool,
    },
    Since(u16),
    List {
        filter: usize,
        after: Option<usize>,
        count: usize,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Draw {
    pub(super) topic: usize,
    pub(super) key: Option<u8>,
    pub(super) padding: usize,
    pub(super) id: Option<u8>,
    pub(super) if_last: Option<Guess>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Guess {
    Empty,
    Newest,
    /// One of those kept.
    Kept(u8),
    Back(u8),
    OtherLog,
}

fn draws() -> impl Strategy<Value = Draw> {
    let guess = prop_oneof![
        Just(Guess::Empty),
        Just(Guess::Newest),
        (0..9_u8).prop_map(Guess::Back),
        Just(Guess::OtherLog)
    ];
    let key = prop::option::of(0..3_u8);
    let padding = prop_oneof![9 => 0..300_usize, 1 => 1500..2000_usize];
    (0..TOPICS.len(), key, padding, prop::option::of(0..5_u8), prop::option::weighted(0.2, guess))
        .prop_map(|(topic, key, padding, id, if_last)| Draw { topic, key, padding, id, if_last })
}

fn places() -> impl Strategy<Value = Guess> {
    prop_oneof![
        2 => Just(Guess::Newest),
        4 => (0..4_u8).prop_map(Guess::Kept),
        2 => (0..20_u8).prop_map(Guess::Back),
    ]
}

pub(super) fn steps() -> impl Strategy<Value = Step> {
    let filters = || prop::collection::vec(0..FILTERS.len(), 1..3);
    let back = || prop::option::weighted(0.8, any::<u8>());
    prop_oneof![
        12 => prop::collection::vec(draws(), 1..7).prop_map(Step::Publish),
        3 => (0..40_u16).prop_map(Step::Pass),
        2 => Just(Step::Sweep),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
        2 => Just(Step::Totals),
        2 => (0..TOPICS.len()).prop_map(Step::Purge),
        1 => (0..RULES).prop_map(Step::Rules),
        1 => prop::sample::select(BOUNDS.to_vec()).prop_map(Step::Bound),
        4 => (0..TOPICS.len(), places(), 0..400_usize)
            .prop_map(|(topic, at, padding)| Step::Compact { topic, at, padding }),
        4 => (filters(), back(), any::<bool>(), 1..6_usize, 1..3000_usize).prop_map(
            |(filters, back, snapshot, messages, bytes)| {
                Step::Open { filters, back, snapshot, messages, bytes }
            }
        ),
        9 => (0..8_usize).prop_map(Step::Read),
        1 => (filters(), back(), 1..6_usize)
            .prop_map(|(filters, back, messages)| Step::ReadBack { filters, back, messages }),
        1 => (filters(), 0..4_usize, any::<bool>())
            .prop_map(|(filters, count, odd)| Step::Last { filters, count, odd }),
        1 => (0..200_u16).prop_map(Step::Since),
        1 => (0..FILTERS.len(), prop::option::of(0..TOPICS.len()), 0..6_usize)
            .prop_map(|(filter, after, count)| Step::List { filter, after, count }),
    ]
}

/// Bounds of all that is kept, in bytes.
pub(super) const BOUNDS: [u64; 3] = [2_000, 9_000, 1 << 20];
/// How many [`retention`]s there are.
const RULES: usize = 4;

/// The rules that hold at first are 0.
pub(super) fn retention(number: usize) -> Retention {
    let rule = |filter, last, age_ms: Option<u64>, bytes, conflate| Rule {
        filter: Filter::parse(filter).unwrap(),
        keep: Keep { last, age: age_ms.map(Duration::from_millis), bytes },
        conflate,
        durable: true,
    };
    let first = || {
        vec![
            rule("count", Some(3), None, None, false),
            rule("age", None, Some(20), None, false),
            rule("bytes", None, None, Some(1200), false),
            rule("q.c.old", Some(8), Some(30), None, true),
            rule("q.a", Some(1), None, None, true),
            rule("q.*", Some(2), None, Some(1000), true),
            rule("none", Some(0), None, None, false),
        ]
    };
    let other = || {
        vec![
            rule("count", None, Some(25), None, true),
            rule("age", Some(4), None, None, true),
            rule("q.a", Some(5), Some(50), None, false),
            rule("q.>", Some(3), None, None, true),
            rule("none", None, None, Some(1500), true),
        ]
    };
    let default = Keep { last: Some(6), age: Some(Duration::from_millis(90)), bytes: None };
    let little = Keep { last: Some(1), age: None, bytes: None };
    let (rules, default) = match number {
        0 => (first(), default),
        1 => (other(), default),
        2 => (Vec::new(), Keep::EVERYTHING),
        _ => (other(), little),
    };
    Retention { rules, default }
}

/// The same, but some topics are volatile.
pub(super) fn mixed(number: usize) -> Retention {
    let Retention { rules, default } = retention(number);
    let volatile: &[&str] = match number {
        0 | 1 => &["count", "q.a", "q.c.old", "deep.a.x"],
        2 => &[],
        _ => &["age", "q.a"],
    };
    let all = Retention { rules: rules.clone(), default };
    let own = volatile.iter().map(|name| {
        let topic = Topic::parse(name).unwrap();
        let Terms { keep, conflate, .. } = all.terms(&topic);
        Rule { filter: Filter::from(&topic), keep, conflate, durable: false }
    });
    Retention { rules: own.chain(rules).collect(), default }
}

pub(super) fn topic(index: usize) -> Topic {
    Topic::parse(TOPICS[index]).unwrap()
}

pub(super) fn filters(indices: &[usize]) -> Filters {
    Filters::new(indices.iter().map(|&index| Filter::parse(FILTERS[index]).unwrap())).unwrap()
}
