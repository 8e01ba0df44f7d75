//! A snapshot stands for everything up to its place.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tidings::engine::retention::{Keep, Retention};
use tidings::engine::{Bounds, Engine, Error, IfLast, Publish, ReadFrom};
use tidings::message::Message;
use tidings::message::cursor::Sequence;

use super::{ALL, BOUNDS, SHORT, Subject, draft, filters, limit, payloads, plain, topic, wait};

const START: ReadFrom = ReadFrom::After(Sequence::ZERO);

impl Subject {
    /// A snapshot, whose payload is a number, at a place.
    fn compact(&self, name: &str, payload: usize, upto: Sequence) -> Result<Sequence, Error> {
        let receipt = wait(self.engine.compact(draft(name, payload), upto))?;
        assert_eq!((receipt.topic, receipt.duplicate), (topic(name), false));
        Ok(receipt.cursor.sequence)
    }

    fn everything(&self, names: &[&str]) -> Vec<usize> {
        self.read_all(names, ReadFrom::Snapshot, limit(2)).unwrap()
    }
}

fn last(count: u64) -> Keep {
    Keep { last: Some(count), ..Keep::EVERYTHING }
}

pub(super) fn a_snapshot_takes_the_place_of_what_it_covers(subject: &Subject) {
    let places = subject.fill("a", 0..4);
    subject.fill("b", 10..12);
    subject.fill("a", 4..6);
    let (seen, head) = (subject.sink.0.lock().len(), subject.engine.head());
    assert_eq!(subject.compact("a", 100, places[2]), Ok(places[2]));
    assert_eq!(subject.everything(&["a"]), [100, 3, 4, 5]);
    assert_eq!(subject.read_all(&[">"], ReadFrom::Earliest, limit(3)).unwrap().len(), 6);
    let batch = subject.read(&["a"], ReadFrom::Snapshot, limit(1)).unwrap();
    let (snapshot, replaced) = (&batch.messages[0], subject.sink.0.lock()[2].clone());
    assert!(snapshot.snapshot && snapshot.previous.is_none());
    assert_eq!((snapshot.cursor, snapshot.published_at), (replaced.cursor, replaced.published_at));
    // It is not new: who is live has what it stands for.
    assert_eq!((subject.sink.0.lock().len(), subject.engine.head()), (seen, head));
    let kept = subject.engine.topic(&topic("a")).unwrap();
    assert_eq!((kept.messages, kept.first.sequence), (4, places[2]));
    let kept = subject.read(&[">"], ReadFrom::Earliest, ALL).unwrap().messages;
    let bytes: usize = kept.iter().map(|message| message.cost()).sum();
    assert_eq!(subject.engine.kept_bytes(), bytes as u64);
    // The next one covers the first.
    assert_eq!(subject.compact("a", 101, places[3]), Ok(places[3]));
    assert_eq!(subject.everything(&["a"]), [101, 4, 5]);
}

pub(super) fn positions_before_a_snapshot_are_expired(subject: &Subject) {
    let places = subject.fill("a", 0..5);
    subject.compact("a", 100, places[2]).unwrap();
    for from in [START, ReadFrom::After(places[0]), ReadFrom::After(places[1])] {
        assert_eq!(subject.earliest(&["a"], from), places[2]);
        assert_eq!(subject.earliest(&[">"], from), places[2]);
    }
    let upto = subject.read_all(&["a"], ReadFrom::After(places[2]), limit(1));
    assert_eq!(upto, Ok(vec![3, 4]));
    subject.publish("b", 5);
    assert_eq!(subject.read_all(&["b"], START, ALL), Ok(vec![5]));
}

pub(super) fn a_snapshot_is_the_last_message_in_its_place(subject: &Subject) {
    let newest = *subject.fill("a", 0..3).last().unwrap();
    subject.compact("a", 100, newest).unwrap();
    let all = Arc::new(|_: &Message| true);
    let batch = wait(subject.engine.last(&filters(&["a"]), 5, all)).unwrap();
    assert_eq!(payloads(&batch), [100]);
    let back = wait(subject.engine.read_back(&filters(&["a"]), None, ALL)).unwrap();
    assert_eq!(payloads(&back), [100]);
    let cursor = subject.cursor(newest);
    let expected = Err(Error::Conflict { last: Some(cursor) });
    assert_eq!(subject.if_last("a", IfLast::Empty), expected);
    let receipt = subject.if_last("a", IfLast::Cursor(cursor)).unwrap();
    let published = subject.sink.0.lock().last().cloned().unwrap();
    assert_eq!(published.previous, Some(cursor), "the topic goes on after the snapshot");
    assert_eq!(subject.read_all(&["a"], ReadFrom::After(newest), ALL), Ok(vec![0]));
    assert_eq!(subject.engine.topic(&topic("a")).unwrap().last, receipt.cursor);
    assert_eq!(wait(subject.engine.purge(&topic("a"))), Ok(2));
    assert!(subject.everything(&["a"]).is_empty());
    assert_eq!(subject.engine.kept_bytes(), 0);
}

pub(super) fn a_snapshot_has_to_be_of_a_kept_message(subject: &Subject) {
    let places = subject.fill("few.a", 0..5);
    let other = subject.publish("b", 5).cursor.sequence;
    let beyond = Sequence(subject.engine.head().0 + 1);
    let expired = subject.compact("few.a", 100, places[1]);
    assert!(matches!(expired, Err(Error::Expired { earliest: Some(_) })), "{expired:?}");
    for (name, upto) in [("few.a", other), ("few.a", beyond), ("b", beyond), ("never", other)] {
        assert_eq!(subject.compact(name, 100, upto), Err(Error::NotOfTopic), "{name} {upto:?}");
    }
    subject.compact("few.a", 100, places[3]).unwrap();
    let (snapshot, newest) = (subject.cursor(places[3]), subject.cursor(places[4]));
    let overtaken = Err(Error::Overtaken { snapshot, last: newest });
    assert_eq!(subject.compact("few.a", 101, places[2]), overtaken);
    assert_eq!(subject.compact("few.a", 101, places[3]), overtaken, "there is one already");
    // Whoever did not hear the answer asks again.
    let again = wait(subject.engine.compact(draft("few.a", 100), places[3])).unwrap();
    assert_eq!((again.cursor, again.duplicate), (snapshot, true));
    assert_eq!(subject.everything(&["few.a"]), [100, 4]);
}

pub(super) fn ids_outlive_what_a_snapshot_replaced(subject: &Subject) {
    let first = subject.with_id("a", "x");
    let newest = subject.publish("a", 1).cursor.sequence;
    subject.compact("a", 100, newest).unwrap();
    let again = subject.with_id("a", "x");
    assert_eq!((again.cursor, again.duplicate), (first.cursor, true));
    assert_eq!(subject.everything(&["a"]), [100]);
}

pub(super) fn limits_forget_what_follows_before_the_snapshot(subject: &Subject) {
    let places = subject.fill("few.a", 0..2);
    subject.compact("few.a", 100, places[1]).unwrap();
    // Three are kept besides.
    subject.fill("few.a", 2..5);
    assert_eq!(subject.everything(&["few.*"]), [100, 2, 3, 4]);
    let lost = subject.publish("few.a", 5);
    assert_eq!(subject.read_all(&["few.a"], ReadFrom::Earliest, ALL), Ok(vec![100, 3, 4, 5]));
    // What is left does not make up the whole, and nobody is told that it does:
    let place = subject.earliest(&["few.a"], ReadFrom::Snapshot);
    assert!(places[1] < place && place < lost.cursor.sequence);
    subject.earliest(&[">"], ReadFrom::Snapshot);
    subject.publish("b", 9);
    assert_eq!(subject.everything(&["b"]), [9]);
    // a newer snapshot mends it.
    subject.compact("few.a", 101, lost.cursor.sequence).unwrap();
    subject.fill("few.a", 6..9);
    assert_eq!(subject.everything(&["few.a"]), [101, 6, 7, 8]);
}

pub(super) fn a_snapshot_alone_is_kept_as_long_as_its_message(subject: &Subject) {
    let newest = *subject.fill("short.a", 0..3).last().unwrap();
    (subject.pass)(SHORT / 2);
    subject.compact("short.a", 100, newest).unwrap();
    subject.publish("short.a", 3);
    (subject.pass)(SHORT / 2);
    assert_eq!(subject.everything(&["short.a"]), [100, 3], "while something follows it, it stays");
    (subject.pass)(SHORT / 2);
    subject.sweep();
    assert!(subject.engine.topic(&topic("short.a")).is_none());
    assert!(subject.everything(&["short.a"]).is_empty());
    // Bytes are no reason to let go of it, but no messages at all are.
    let newest = *subject.fill("a", 4..6).last().unwrap();
    subject.compact("a", 100, newest).unwrap();
    let rules = |default| Retention { rules: Vec::new(), default };
    subject.set_rules(rules(Keep { bytes: Some(1), ..Keep::EVERYTHING }));
    subject.sweep();
    assert_eq!(subject.everything(&["a"]), [100]);
    subject.set_rules(rules(last(0)));
    subject.sweep();
    assert!(subject.engine.topic(&topic("a")).is_none());
}

pub(super) fn a_snapshot_outlives_its_age_only_for_what_follows_it(subject: &Subject) {
    let place = subject.publish("short.a", 0).cursor.sequence;
    subject.compact("short.a", 100, place).unwrap();
    (subject.pass)(3 * SHORT / 4);
    subject.publish("short.a", 1);
    (subject.pass)(SHORT / 2);
    subject.sweep();
    assert_eq!(subject.everything(&["short.a"]), [100, 1]);
    let default = Keep { age: Some(SHORT), bytes: Some(1), ..Keep::EVERYTHING };
    subject.set_rules(Retention { rules: Vec::new(), default });
    subject.sweep();
    assert!(subject.engine.topic(&topic("short.a")).is_none());
    assert_eq!(subject.engine.kept_bytes(), 0);
}

pub(super) fn bounds_of_all_topics_hold_with_snapshots(subject: &Subject) {
    for name in ["a", "b", "c"] {
        let newest = *subject.fill(name, 0..10).last().unwrap();
        subject.compact(name, 100, newest).unwrap();
        subject.fill(name, 10..20);
    }
    let most = subject.engine.kept_bytes() / 2;
    let bounds = Bounds { memory_bytes: most, idempotency_window: SHORT, ..BOUNDS };
    subject.engine.set_bounds(bounds);
    subject.sweep();
    assert!(subject.engine.kept_bytes() <= most);
    for name in ["a", "b", "c"] {
        let whole: Vec<usize> = [100].into_iter().chain(10..20).collect();
        match subject.read_all(&[name], ReadFrom::Snapshot, ALL) {
            Ok(found) => assert!(found.is_empty() || found == whole, "{name}: {found:?}"),
            Err(Error::Expired { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

pub(super) fn snapshots_of_conflating_topics(subject: &Subject) {
    let keyed = |key: &str, number| {
        let mut publish = plain("now.a", number);
        publish.draft.key = Some(key.into());
        subject.try_publish(Publish { ..publish }).unwrap().cursor.sequence
    };
    keyed("x", 0);
    let place = keyed("y", 1);
    subject.compact("now.a", 100, place).unwrap();
    assert_eq!(subject.earliest(&["now.a"], START), place, "covered is lost, not conflated");
    for number in 2..6 {
        keyed("x", number);
    }
    let batch = subject.read(&["now.a"], ReadFrom::After(place), ALL).unwrap();
    assert_eq!((batch.conflated, payloads(&batch)), (2, vec![4, 5]));
    assert_eq!(subject.everything(&["now.a"]), [100, 4, 5]);
}

/// One publishes numbers and another compacts them, while readers add up what they get.
pub(super) fn readers_in_the_middle_lose_nothing(subject: &Subject) {
    const NUMBERS: usize = 400;
    let (engine, done) = (&*subject.engine, &AtomicBool::new(false));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| sums_agree(engine, done))).collect();
        let mut sum = 0;
        for number in 1..=NUMBERS {
            sum += number;
            let place = subject.publish("sum", number).cursor.sequence;
            if number % 7 == 0 {
                subject.compact("sum", sum, place).unwrap();
            }
        }
        done.store(true, Ordering::Release);
        let whole: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(whole >= 2, "readers come to the end");
    });
    let found = subject.everything(&["sum"]);
    assert_eq!(found.len(), 1 + NUMBERS % 7);
    assert_eq!(found.iter().sum::<usize>(), NUMBERS * (NUMBERS + 1) / 2);
}

/// Reads again and again until all is published; says how often it had the whole.
fn sums_agree(engine: &dyn Engine, done: &AtomicBool) -> usize {
    let (names, mut whole) = (filters(&["sum"]), 0);
    let mut sums: HashMap<Sequence, usize> = HashMap::new();
    loop {
        let is_last = done.load(Ordering::Acquire);
        let (mut from, mut sum) = (ReadFrom::Snapshot, 0);
        loop {
            match wait(engine.read(&names, from, limit(2))) {
                Ok(batch) => {
                    for message in &batch.messages {
                        let payload = super::payload(message);
                        sum = if message.snapshot { payload } else { sum + payload };
                        let known = *sums.entry(message.cursor.sequence).or_insert(sum);
                        assert_eq!(known, sum, "at {:?}", message.cursor);
                    }
                    if batch.upto >= engine.head() {
                        whole += 1;
                        break;
                    }
                    from = from.onward(&batch);
                }
                Err(Error::Expired { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        if is_last {
            return whole;
        }
    }
}
