//! Other rules and bounds while messages are kept.

use std::time::Duration;

use tidings::engine::retention::{Keep, Retention, Rule};
use tidings::engine::{Bounds, Publish, ReadFrom};
use tidings::message::cursor::Sequence;
use tidings::message::filter::Filter;

use super::{ALL, SHORT, Subject, WINDOW, payloads, plain, topic};

const START: ReadFrom = ReadFrom::After(Sequence::ZERO);

/// Other rules, in force: engines have until the next sweep.
fn set_rules(subject: &Subject, rules: &[(&str, Keep, bool)], default: Keep) {
    let rule = |&(filter, keep, conflate): &(&str, Keep, bool)| {
        let filter = Filter::parse(filter).unwrap();
        Rule { filter, keep, conflate, durable: true }
    };
    let rules = Retention { rules: rules.iter().map(rule).collect(), default };
    subject.set_rules(rules);
    subject.sweep();
}

fn last(count: u64) -> Keep {
    Keep { last: Some(count), ..Keep::EVERYTHING }
}

pub(super) fn other_rules_hold_for_what_is_kept(subject: &Subject) {
    let places = subject.fill("a", 0..6);
    subject.fill("few.a", 6..10);
    subject.fill("b", 10..12);
    set_rules(subject, &[("a", last(2), false), ("few.a", last(9), false)], Keep::EVERYTHING);
    let kept = subject.read_all(&["a", "few.a", "b"], ReadFrom::Earliest, ALL);
    assert_eq!(kept, Ok(vec![4, 5, 7, 8, 9, 10, 11]), "what is gone does not come back");
    assert_eq!(subject.earliest(&["a"], START), places[3]);
    subject.fill("few.a", 12..18);
    assert_eq!(subject.engine.topic(&topic("few.a")).unwrap().messages, 9);
    // The last of several calls holds, for what has no rule as well.
    set_rules(subject, &[], last(9));
    set_rules(subject, &[], last(1));
    assert_eq!(subject.read_all(&[">"], ReadFrom::Earliest, ALL), Ok(vec![5, 11, 17]));
    assert_eq!(subject.engine.kept_topics(), 3);
}

pub(super) fn another_age_holds_for_what_is_kept(subject: &Subject) {
    let aged = |age| Keep { age: Some(age), ..Keep::EVERYTHING };
    subject.fill("short.a", 0..2);
    subject.fill("a", 2..4);
    set_rules(subject, &[("short.a", aged(2 * SHORT), false)], aged(SHORT));
    (subject.pass)(SHORT);
    subject.sweep();
    assert_eq!(subject.read_all(&[">"], ReadFrom::Earliest, ALL), Ok(vec![0, 1]));
    (subject.pass)(SHORT);
    subject.sweep();
    assert_eq!(subject.engine.kept_topics(), 0);
    // Without an age nothing is ever too old.
    subject.fill("short.a", 4..5);
    set_rules(subject, &[], Keep::EVERYTHING);
    (subject.pass)(100 * SHORT);
    subject.sweep();
    assert_eq!(subject.read_all(&[">"], ReadFrom::Earliest, ALL), Ok(vec![4]));
}

pub(super) fn a_topic_begins_and_ends_to_conflate(subject: &Subject) {
    let keyed = |key: &str, number| {
        let mut publish = plain("a", number);
        publish.draft.key = Some(key.into());
        Publish { ..publish }
    };
    for (number, key) in ["x", "y", "x", "x"].into_iter().enumerate() {
        subject.try_publish(keyed(key, number)).unwrap();
    }
    // For 0 there is a newer one of its key, which was there before the rule.
    set_rules(subject, &[("a", last(3), true)], Keep::EVERYTHING);
    let batch = subject.read(&["a"], START, ALL).unwrap();
    assert_eq!((batch.conflated, payloads(&batch)), (1, vec![1, 2, 3]));
    // What was conflated stays so; what goes from now on is lost.
    set_rules(subject, &[("a", last(3), false)], Keep::EVERYTHING);
    let batch = subject.read(&["a"], START, ALL).unwrap();
    assert_eq!((batch.conflated, payloads(&batch)), (1, vec![1, 2, 3]));
    let newest = subject.try_publish(keyed("y", 4)).unwrap().cursor.sequence;
    let lost = subject.earliest(&["a"], START);
    let batch = subject.read(&["a"], ReadFrom::After(lost), ALL).unwrap();
    assert_eq!((batch.conflated, payloads(&batch), batch.upto), (0, vec![2, 3, 4], newest));
}

pub(super) fn other_bounds_hold_for_all_topics_together(subject: &Subject) {
    subject.fill("a", 0..20);
    subject.fill("b", 20..22);
    let cost = subject.engine.kept_bytes() / 22;
    let bounds = |memory_bytes, idempotency_window| Bounds {
        memory_bytes,
        volatile_bytes: memory_bytes,
        idempotency_window,
        idempotency_ids_max: 1000,
    };
    subject.with_id("b", "x");
    subject.engine.set_bounds(bounds(5 * cost + cost / 2, WINDOW));
    subject.sweep();
    let kept = subject.read_all(&[">"], ReadFrom::Earliest, ALL).unwrap();
    assert_eq!(kept, [18, 19, 20, 21, 0], "the oldest of all go first");
    assert!(subject.with_id("b", "x").duplicate);
    (subject.pass)(Duration::from_millis(10));
    subject.engine.set_bounds(bounds(1 << 20, Duration::from_millis(10)));
    subject.sweep();
    assert!(!subject.with_id("b", "x").duplicate);
    subject.fill("a", 22..40);
    assert_eq!(subject.engine.topic(&topic("a")).unwrap().messages, 20);
}
