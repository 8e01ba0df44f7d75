//! One order of all messages, and who may put one into it.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use tidings::engine::{Error, IfLast, Publish};
use tidings::message::cursor::{Cursor, Epoch};

use super::{Subject, WINDOW, plain, wait};

const THREADS: usize = 4;
const PER_THREAD: usize = 500;

pub(super) fn calls_are_served_in_their_order(subject: &Subject) {
    let replies: Vec<_> =
        (0..50).map(|number| subject.engine.append(plain("a.b", number))).collect();
    let mut receipts: Vec<_> =
        replies.into_iter().rev().map(|reply| wait(reply).unwrap()).collect();
    receipts.reverse();
    assert!(receipts.is_sorted_by(|a, b| a.cursor.sequence < b.cursor.sequence));
    assert!(receipts.is_sorted_by_key(|receipt| receipt.published_at));
    assert!(receipts.iter().all(|receipt| !receipt.duplicate));
    assert_eq!(subject.engine.head(), receipts[49].cursor.sequence);
}

pub(super) fn threads_keep_their_order_and_the_sink_sees_all(subject: &Subject) {
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (engine, sink) = (Arc::clone(&subject.engine), Arc::clone(&subject.sink));
            scope.spawn(move || {
                for number in 0..PER_THREAD {
                    let publish = plain(&format!("thread.{thread}"), number);
                    let receipt = wait(engine.append(publish)).unwrap();
                    let is_there =
                        sink.0.lock().iter().rev().any(|seen| seen.cursor == receipt.cursor);
                    assert!(is_there, "the sink has it before the publisher knows");
                }
            });
        }
    });
    let seen = subject.sink.0.lock();
    assert_eq!(seen.len(), THREADS * PER_THREAD);
    assert!(seen.is_sorted_by(|a, b| a.cursor.sequence < b.cursor.sequence));
    let mut next: HashMap<&str, usize> = HashMap::new();
    for message in seen.iter() {
        let expected = next.entry(message.topic.as_str()).or_default();
        assert_eq!(super::payload(message), *expected, "{}", message.topic);
        *expected += 1;
    }
}

pub(super) fn many_at_once_have_their_own_results(subject: &Subject) {
    let refused = Publish { if_last: Some(IfLast::Empty), ..plain("a", 2) };
    let again = |number| Publish { id: Some("once".into()), ..plain("b", number) };
    let publishes = vec![plain("a", 1), refused, again(3), again(4), plain("a", 5)];
    let results = wait(subject.engine.append_many(publishes)).unwrap();
    let last = results[0].as_ref().ok().map(|receipt| receipt.cursor);
    assert_eq!(results[1], Err(Error::Conflict { last }));
    let (first, second) = (results[2].clone().unwrap(), results[3].clone().unwrap());
    assert_eq!((first.duplicate, second.duplicate), (false, true));
    assert_eq!(first.cursor, second.cursor);
    let seen: Vec<usize> =
        subject.sink.0.lock().iter().map(|message| super::payload(message)).collect();
    assert_eq!(seen, [1, 3, 5]);
}

pub(super) fn each_message_names_the_one_before_it(subject: &Subject) {
    for (name, number) in [("few.a", 0), ("b", 1), ("few.a", 2), ("few.a", 3), ("b", 4)] {
        subject.publish(name, number);
    }
    let seen = subject.sink.0.lock();
    let previous: Vec<Option<Cursor>> = seen.iter().map(|message| message.previous).collect();
    let at = |index: usize| Some(seen[index].cursor);
    assert_eq!(previous, [None, None, at(0), at(2), at(1)]);
}

pub(super) fn an_id_is_used_once_within_its_window(subject: &Subject) {
    let first = subject.with_id("a", "x");
    let other_topic = subject.with_id("b", "x");
    assert!(!other_topic.duplicate);
    (subject.pass)(WINDOW / 2);
    let again = subject.with_id("a", "x");
    assert_eq!((again.cursor, again.published_at), (first.cursor, first.published_at));
    assert!(again.duplicate);
    (subject.pass)(WINDOW);
    subject.sweep();
    let later = subject.with_id("a", "x");
    assert!(!later.duplicate && later.cursor != first.cursor);
    assert_eq!(subject.sink.0.lock().len(), 3);
}

pub(super) fn a_refused_publish_leaves_its_id_unused(subject: &Subject) {
    subject.publish("a", 0);
    let publish = |if_last| Publish { id: Some("x".into()), if_last, ..plain("a", 1) };
    assert!(subject.try_publish(publish(Some(IfLast::Empty))).is_err());
    let taken = subject.try_publish(publish(None)).unwrap();
    assert!(!taken.duplicate);
    // A retry gets its receipt although the topic has moved on by the very publish it repeats.
    let retried = subject.try_publish(publish(Some(IfLast::Empty))).unwrap();
    assert!(retried.duplicate && retried.cursor == taken.cursor);
}

pub(super) fn if_last_is_the_newest_message_kept(subject: &Subject) {
    let first = subject.publish("a", 0).cursor;
    let second = subject.if_last("a", IfLast::Cursor(first)).unwrap().cursor;
    let conflict = Err(Error::Conflict { last: Some(second) });
    let other_log = Cursor { epoch: Epoch::new(1), ..second };
    let other_topic = subject.publish("b", 0).cursor;
    for wrong in [first, other_log, other_topic] {
        assert_eq!(subject.if_last("a", IfLast::Cursor(wrong)), conflict);
    }
    wait(subject.engine.purge(&super::topic("a"))).unwrap();
    let purged = subject.if_last("a", IfLast::Cursor(second));
    assert_eq!(purged, Err(Error::Conflict { last: None }));
}

pub(super) fn if_last_empty_is_a_topic_that_keeps_nothing(subject: &Subject) {
    let never_used = subject.if_last("short.a", IfLast::Empty).unwrap();
    let last = Some(never_used.cursor);
    assert_eq!(subject.if_last("short.a", IfLast::Empty), Err(Error::Conflict { last }));
    wait(subject.engine.purge(&super::topic("short.a"))).unwrap();
    subject.if_last("short.a", IfLast::Empty).unwrap();
    (subject.pass)(super::SHORT);
    subject.if_last("short.a", IfLast::Empty).unwrap();
}
