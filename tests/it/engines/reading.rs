//! What is read: all of it in order, or word of what is gone.

use std::sync::Arc;
use std::time::Duration;

use tidings::engine::{Error, Limit, ReadFrom};
use tidings::message::Message;
use tidings::message::cursor::Sequence;
use tidings::message::time::Timestamp;

use super::{ALL, SHORT, Subject, filters, limit, payload, payloads, plain, wait};

const START: ReadFrom = ReadFrom::After(Sequence::ZERO);

pub(super) fn pages_make_up_the_whole(subject: &Subject) {
    let names = ["a.x", "a.y", "b.x.deep", "c"];
    for number in 0..40 {
        subject.publish(names[number % 4], number);
    }
    let table: [(&[&str], &[usize]); 6] = [
        (&["a.x"], &[0]),
        (&["a.*"], &[0, 1]),
        (&["a.x", "a.*", "c"], &[0, 1, 3]),
        (&["*.>"], &[0, 1, 2]),
        (&[">"], &[0, 1, 2, 3]),
        (&["nowhere", "a"], &[]),
    ];
    for (names, topics) in table {
        let expected: Vec<usize> =
            (0..40).filter(|number| topics.contains(&(number % 4))).collect();
        for size in [1, 3, 7, 100] {
            let found = subject.read_all(names, START, limit(size)).unwrap();
            assert_eq!(found, expected, "{names:?} by {size}");
        }
    }
}

pub(super) fn a_page_has_at_least_one_message(subject: &Subject) {
    subject.fill("a", 0..5);
    let bytes = subject.sink.0.lock()[0].cost();
    let read = |bytes| subject.read(&["a"], START, Limit { messages: 9, bytes }).unwrap();
    assert_eq!(payloads(&read(1)), [0]);
    assert_eq!(payloads(&read(3 * bytes)), [0, 1, 2]);
    assert_eq!(read(3 * bytes).upto, subject.sink.0.lock()[2].cursor.sequence);
}

pub(super) fn what_was_lost_is_told(subject: &Subject) {
    let places = subject.fill("few.a", 0..5);
    subject.publish("b", 5);
    for names in [["few.a"], ["few.*"], [">"]] {
        for lost in [ReadFrom::After(places[0]), START] {
            let earliest = subject.earliest(&names, lost);
            let kept = subject.read(&names, ReadFrom::After(earliest), ALL).unwrap();
            assert_eq!(payloads(&kept)[..3], [2, 3, 4]);
        }
        let kept = subject.read(&names, ReadFrom::After(places[1]), ALL).unwrap();
        assert_eq!(payloads(&kept)[..3], [2, 3, 4], "nothing after this place is gone");
    }
    assert_eq!(subject.read_all(&["b", "few.never"], START, ALL), Ok(vec![5]));
}

pub(super) fn what_is_lost_between_two_pages_is_told(subject: &Subject) {
    for from in [START, ReadFrom::Earliest] {
        let name = format!("few.{}", usize::from(from == START));
        subject.fill(&name, 0..3);
        let names = [name.as_str()];
        let first = subject.read(&names, from, limit(1)).unwrap();
        assert_eq!(payloads(&first), [0]);
        subject.fill(&name, 3..4);
        let second = subject.read(&names, from.onward(&first), limit(1)).unwrap();
        assert_eq!(payloads(&second), [1], "what was read already may go");
        subject.fill(&name, 4..7);
        subject.earliest(&names, from.onward(&second));
    }
}

pub(super) fn the_earliest_read_misses_only_what_goes_meanwhile(subject: &Subject) {
    subject.fill("b", 0..3);
    subject.fill("few.a", 3..13);
    let expected = [0, 1, 2, 10, 11, 12];
    for size in [1, 2, 100] {
        let found = subject.read_all(&["b", "few.a"], ReadFrom::Earliest, limit(size)).unwrap();
        assert_eq!(found, expected, "by {size}");
    }
    let first = subject.read(&[">"], ReadFrom::Earliest, limit(1)).unwrap();
    subject.fill("few.a", 13..14);
    let lost = subject.read(&[">"], ReadFrom::Earliest.onward(&first), limit(1));
    assert!(matches!(lost, Err(Error::Expired { .. })), "{lost:?}");
}

pub(super) fn replaced_messages_are_counted(subject: &Subject) {
    let places = subject.fill("now.a", 0..6);
    for size in [1, 100] {
        let batch = subject.read(&["now.*"], START, limit(size)).unwrap();
        assert_eq!((batch.conflated, payloads(&batch)[0]), (4, 4));
    }
    let late = subject.read(&["now.a"], ReadFrom::After(places[2]), ALL).unwrap();
    assert_eq!((late.conflated, payloads(&late)), (1, vec![4, 5]));
    let earliest = subject.read(&["now.a"], ReadFrom::Earliest, ALL).unwrap();
    assert_eq!((earliest.conflated, payloads(&earliest)), (0, vec![4, 5]));
    // Another key is no stand-in.
    for key in ["x", "y"] {
        let mut publish = plain("now.a", 6);
        publish.draft.key = Some(key.into());
        subject.try_publish(publish).unwrap();
    }
    assert_eq!(subject.earliest(&["now.a"], START), places[5]);
}

pub(super) fn a_place_beyond_the_head_is_of_no_log(subject: &Subject) {
    subject.fill("a", 0..3);
    let head = subject.engine.head();
    let at_head = subject.read(&["a"], ReadFrom::After(head), ALL).unwrap();
    assert!(at_head.messages.is_empty() && at_head.upto == head);
    assert_eq!(subject.earliest(&["a"], ReadFrom::After(head.next())), head);
}

pub(super) fn old_messages_are_not_served(subject: &Subject) {
    subject.fill("short.a", 0..2);
    (subject.pass)(SHORT / 2);
    let places = subject.fill("short.a", 2..4);
    (subject.pass)(SHORT / 2);
    let last = wait(subject.engine.last(&filters(&[">"]), 9, Arc::new(|_| true))).unwrap();
    assert_eq!(payloads(&last), [2, 3]);
    assert_eq!(subject.read_all(&["short.*"], ReadFrom::Earliest, limit(1)), Ok(vec![2, 3]));
    subject.earliest(&["short.a"], START);
    let kept = subject.engine.topic(&super::topic("short.a")).unwrap();
    assert_eq!((kept.messages, kept.first.sequence), (2, places[0]));
    (subject.pass)(SHORT / 2);
    assert_eq!(subject.read_all(&["short.*"], ReadFrom::Earliest, ALL), Ok(vec![]));
    assert!(subject.engine.topic(&super::topic("short.a")).is_none());
    subject.sweep();
    subject.earliest(&["short.a"], ReadFrom::After(places[0]));
    assert_eq!(subject.read_all(&["short.a"], ReadFrom::After(places[1]), ALL), Ok(vec![]));
}

pub(super) fn reading_back_mirrors_reading(subject: &Subject) {
    for number in 0..20 {
        subject.publish(["a.x", "a.y", "few.a"][number % 3], number);
    }
    let names = filters(&["a.*", "few.a"]);
    let mut expected = subject.read_all(&["a.*", "few.a"], ReadFrom::Earliest, ALL).unwrap();
    expected.reverse();
    for size in [1, 4, 100] {
        let (mut found, mut before) = (Vec::new(), None);
        while before != Some(Sequence::ZERO) {
            let batch = wait(subject.engine.read_back(&names, before, limit(size))).unwrap();
            found.extend(payloads(&batch));
            before = Some(batch.upto);
        }
        assert_eq!(found, expected, "by {size}");
    }
    let newest = subject.engine.head();
    let batch = wait(subject.engine.read_back(&names, Some(newest), limit(1))).unwrap();
    assert_eq!(payloads(&batch), [18], "the place itself is not before it");
}

pub(super) fn the_last_of_each_topic_that_pass(subject: &Subject) {
    for number in 0..300 {
        subject.publish(["a.x", "a.y"][number % 2], number);
    }
    subject.publish("b", 300);
    let rare = |wanted: usize| Arc::new(move |m: &Message| payload(m).is_multiple_of(wanted));
    let last = |names: &[&str], count, accept| {
        let batch = wait(subject.engine.last(&filters(names), count, accept)).unwrap();
        assert_eq!(batch.upto, subject.engine.head());
        payloads(&batch)
    };
    assert_eq!(last(&["a.*", "b"], 1, rare(1)), [298, 299, 300]);
    assert_eq!(last(&["a.*"], 2, rare(1)), [296, 297, 298, 299]);
    assert_eq!(last(&["a.x"], 2, rare(100)), [100, 200]);
    assert_eq!(last(&["a.*"], 9, rare(99)), [0, 99, 198, 297]);
    assert!(last(&["a.*"], 0, rare(1)).is_empty());
}

pub(super) fn a_time_is_a_place(subject: &Subject) {
    let mut receipts = Vec::new();
    for number in 0..5 {
        receipts.push(subject.publish("few.a", number));
        (subject.pass)(Duration::from_millis(200));
    }
    let before = |time| wait(subject.engine.before_time(time)).unwrap();
    for (earlier, receipt) in receipts.iter().zip(&receipts[1..]) {
        assert_eq!(before(receipt.published_at), earlier.cursor.sequence, "kept or not");
    }
    let (first, last) = (receipts[0].published_at, receipts[4].published_at);
    assert_eq!(before(first), Sequence::ZERO);
    let later = Timestamp::from_micros(last.as_micros() + 1);
    assert_eq!(before(later), subject.engine.head());
}
