//! What an engine tells of its topics, and how it forgets one.

use tidings::engine::ReadFrom;
use tidings::message::cursor::Sequence;
use tidings::message::filter::Filter;

use super::{ALL, Subject, payloads, topic, wait};

pub(super) fn topics_are_listed_by_name(subject: &Subject) {
    for name in ["b", "a.y", "a", "a.x", "a-b", "a.x.deep", "few.z"] {
        subject.publish(name, 0);
    }
    wait(subject.engine.purge(&topic("few.z"))).unwrap();
    let list = |matching: &str, after, count| {
        let listed = subject.engine.topics(&Filter::parse(matching).unwrap(), after, count);
        listed.iter().map(|kept| kept.topic.to_string()).collect::<Vec<_>>()
    };
    let table: [(&str, Option<&str>, usize, &[&str]); 8] = [
        (">", None, 100, &["a", "a-b", "a.x", "a.x.deep", "a.y", "b"]),
        (">", Some("a.x"), 2, &["a.x.deep", "a.y"]),
        (">", Some("a.m"), 1, &["a.x"]),
        ("a.*", None, 100, &["a.x", "a.y"]),
        ("a.*", Some("0"), 1, &["a.x"]),
        ("a.*", Some("z"), 9, &[]),
        ("a", None, 9, &["a"]),
        ("*.x.>", None, 9, &["a.x.deep"]),
    ];
    for (matching, after, count, expected) in table {
        assert_eq!(list(matching, after, count), expected, "{matching} after {after:?}");
    }
    assert_eq!(subject.engine.kept_topics(), 6);
}

pub(super) fn a_topic_tells_what_it_keeps(subject: &Subject) {
    assert!(subject.engine.topic(&topic("few.a")).is_none());
    let places = subject.fill("few.a", 0..5);
    let newest = subject.publish("few.a", 5);
    let kept = subject.engine.topic(&topic("few.a")).unwrap();
    let bytes: usize = subject.sink.0.lock()[3..].iter().map(|message| message.cost()).sum();
    assert_eq!((kept.messages, kept.bytes), (3, bytes as u64));
    assert_eq!((kept.first, kept.last), (subject.cursor(places[3]), newest.cursor));
    assert_eq!(kept.last_published_at, newest.published_at);
}

pub(super) fn purging_forgets_a_topic(subject: &Subject) {
    let places = subject.fill("a", 0..5);
    subject.publish("b", 5);
    assert_eq!(wait(subject.engine.purge(&topic("a"))), Ok(5));
    assert_eq!(wait(subject.engine.purge(&topic("a"))), Ok(0));
    assert_eq!(wait(subject.engine.purge(&topic("never"))), Ok(0));
    assert!(subject.engine.topic(&topic("a")).is_none());
    assert_eq!(subject.earliest(&["a"], ReadFrom::After(places[3])), places[4]);
    subject.publish("a", 6);
    let all = subject.read(&[">"], ReadFrom::Earliest, ALL).unwrap();
    assert_eq!(payloads(&all), [5, 6]);
    let other = subject.read(&["b"], ReadFrom::After(Sequence::ZERO), ALL).unwrap();
    assert_eq!(payloads(&other), [5]);
}

pub(super) fn bytes_are_counted_as_they_come_and_go(subject: &Subject) {
    assert_eq!(subject.engine.kept_bytes(), 0);
    subject.fill("few.a", 0..5);
    subject.fill("short.a", 0..2);
    let cost = |range: std::ops::Range<usize>| {
        let seen = subject.sink.0.lock();
        seen[range].iter().map(|message| message.cost() as u64).sum::<u64>()
    };
    assert_eq!(subject.engine.kept_bytes(), cost(2..7));
    (subject.pass)(super::SHORT);
    subject.sweep();
    assert_eq!(subject.engine.kept_bytes(), cost(2..5));
    wait(subject.engine.purge(&topic("few.a"))).unwrap();
    assert_eq!(subject.engine.kept_bytes(), 0);
}
