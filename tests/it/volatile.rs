//! Topics with `durable: false`, beside others on disk: nothing of them is written, and nobody
//! takes what a restart cost them for a log without a gap.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tidings::engine::disk::{Disk, Options, Sync};
use tidings::engine::retention::{Keep, Retention, Rule};
use tidings::engine::{Batch, Bounds, Engine, Error, Limit, Publish, ReadFrom, Reply, Sink};
use tidings::message::cursor::{Cursor, Epoch, Sequence};
use tidings::message::filter::{Filter, Filters};
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message};

use crate::harness::broker::Broker;
use crate::harness::peer::{PUBLISH, Peer, code};
use crate::typed::typed;

struct Nobody;

impl Sink for Nobody {
    fn accepted(&self, _: &[Arc<Message>]) {}
}

/// A log in which topics of these filters are volatile.
fn open(folder: &Path, volatile: &[&str]) -> Arc<Disk> {
    open_with(folder, volatile, 0)
}

fn open_with(folder: &Path, volatile: &[&str], free_bytes_min: u64) -> Arc<Disk> {
    let options = Options {
        folder: folder.to_owned(),
        epoch: Epoch::new(42),
        retention: rules(volatile),
        bounds: Bounds {
            memory_bytes: 1 << 40,
            volatile_bytes: 1 << 40,
            idempotency_window: Duration::from_mins(1),
            idempotency_ids_max: 100,
        },
        clock: Arc::new(|| Timestamp::from_micros(1)),
        sync: Sync::Always,
        free_bytes_min,
        accept_loss: false,
    };
    Disk::open(options, Arc::new(Nobody)).unwrap()
}

fn rules(volatile: &[&str]) -> Retention {
    let rule = |filter: &&str| Rule {
        filter: Filter::parse(filter).unwrap(),
        keep: Keep::EVERYTHING,
        conflate: false,
        durable: false,
    };
    Retention { rules: volatile.iter().map(rule).collect(), default: Keep::EVERYTHING }
}

fn wait<T: Unpin>(reply: Reply<T>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reply)
}

fn publish(disk: &Disk, topic: &str) -> u64 {
    try_publish(disk, topic).unwrap()
}

fn try_publish(disk: &Disk, topic: &str) -> Result<u64, Error> {
    let (topic, payload) = (Topic::parse(topic).unwrap(), Json::parse("0").unwrap());
    let draft = Draft { topic, payload, key: None, headers: None };
    let receipt = wait(disk.append(Publish { draft, id: None, if_last: None }))?;
    Ok(receipt.cursor.sequence.0)
}

fn read(disk: &Disk, filter: &str, from: ReadFrom) -> Result<Batch, Error> {
    let filters = Filters::new([Filter::parse(filter).unwrap()]).unwrap();
    wait(disk.read(&filters, from, Limit { messages: 1000, bytes: 1 << 20 }))
}

/// The places of what a filter gets after a place; `Err` with the place that is said to work.
fn after(disk: &Disk, filter: &str, place: u64) -> Result<Vec<u64>, u64> {
    match read(disk, filter, ReadFrom::After(Sequence(place))) {
        Ok(batch) => Ok(batch.messages.iter().map(|message| message.cursor.sequence.0).collect()),
        Err(Error::Expired { earliest }) => {
            let earliest = earliest.unwrap().sequence;
            assert!(read(disk, filter, ReadFrom::After(earliest)).is_ok());
            Err(earliest.0)
        }
        Err(error) => panic!("{error}"),
    }
}

/// The folder as a process that is killed now would leave it.
fn killed(folder: &TempDir) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    let mut copying = Command::new("cp");
    copying.args(["-a", "--sparse=always"]).arg(folder.path().join(".")).arg(left.path());
    assert!(copying.status().unwrap().success());
    left
}

#[test]
fn places_are_reserved_in_few_writes_and_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(folder.path(), &["v.*"]);
    let commits = || disk.commit_seconds().buckets.iter().map(|bucket| bucket.1).sum::<u64>();
    assert_eq!((publish(&disk, "d"), publish(&disk, "v.a")), (1, 2));
    let before = commits();
    assert_eq!((0..500).map(|_| publish(&disk, "v.a")).max(), Some(502));
    assert_eq!(commits(), before, "nothing is written for them");
    let left = killed(&folder);
    drop(disk);
    // After a clean end, exactly what was taken.
    let disk = open(folder.path(), &["v.*"]);
    assert_eq!(disk.head(), Sequence(502));
    let expected = [("v.a", Err(502)), (">", Err(502)), ("v.never", Err(502)), ("d", Ok(vec![]))];
    for (filter, found) in expected {
        assert_eq!(after(&disk, filter, 1), found, "{filter}");
    }
    assert_eq!(after(&disk, "v.a", 502), Ok(vec![]));
    assert_eq!(after(&disk, "d", 0), Ok(vec![1]));
    assert_eq!(publish(&disk, "v.a"), 503);
    // After a death, all that may have been taken.
    let disk = open(left.path(), &["v.*"]);
    let head = disk.head().0;
    assert!(head > 502, "{head}");
    assert_eq!((after(&disk, "v.a", 502), after(&disk, "d", 0)), (Err(head), Ok(vec![1])));
    assert_eq!(publish(&disk, "d"), head + 1);
    let all = read(&disk, ">", ReadFrom::Earliest).unwrap();
    assert_eq!(all.messages.len(), 2);
}

#[test]
fn without_a_volatile_message_nothing_is_other_than_before() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open(folder.path(), &["v.*"]);
    assert_eq!(publish(&disk, "d"), 1);
    for folder in [killed(&folder), killed(&folder)] {
        let disk = open(folder.path(), &["v.*", "w"]);
        assert_eq!(disk.head(), Sequence(1));
        assert_eq!((after(&disk, ">", 0), after(&disk, "v.a", 0)), (Ok(vec![1]), Ok(vec![])));
    }
}

#[test]
fn a_full_disk_is_full_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let disk = open_with(folder.path(), &["v.*"], u64::MAX);
    assert!(matches!(try_publish(&disk, "d"), Err(Error::Unavailable { unknown: false, .. })));
    assert_eq!(try_publish(&disk, "v.a"), Ok(1));
}

/// While it runs, or between two lives.
#[test]
fn a_topic_begins_anew_when_it_comes_to_disk_or_leaves_it() {
    for is_live in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = open(folder.path(), &["a"]);
        assert_eq!(["c", "a", "b", "a"].map(|topic| publish(&disk, topic)), [1, 2, 3, 4]);
        if is_live {
            disk.set_retention(rules(&["b"]));
        } else {
            drop(disk);
            disk = open(folder.path(), &["b"]);
        }
        // Whoever publishes first is under the new rules.
        assert_eq!(["b", "a"].map(|topic| publish(&disk, topic)), [5, 6]);
        for (filter, found) in [("a", Ok(vec![6])), ("b", Ok(vec![5])), (">", Ok(vec![5, 6]))] {
            assert_eq!(after(&disk, filter, 4), found, "{filter}, live: {is_live}");
            assert!(after(&disk, filter, 2).is_err(), "{filter}, live: {is_live}");
        }
        assert_eq!(after(&disk, "c", 0), Ok(vec![1]));
        assert_eq!(disk.kept_topics(), 3);
        let newest = read(&disk, ">", ReadFrom::After(Sequence(4))).unwrap().messages;
        assert!(newest.iter().all(|message| message.previous.is_none()));
        let left = killed(&folder);
        let disk = open(left.path(), &["b"]);
        assert_eq!((after(&disk, "a", 5), after(&disk, "c", 0)), (Ok(vec![6]), Ok(vec![1])));
        assert_eq!(after(&disk, "b", 4), Err(disk.head().0));
        let all = read(&disk, ">", ReadFrom::Earliest).unwrap().messages;
        assert_eq!(all.len(), 2, "what was on disk is gone from it");
    }
}

const SCHEMA: &str = r#"
type Text @topic(name: "chat.{room}.text", keep: {last: 1000}, key: "who") {
  room: ID!
  who: String!
  number: Int!
}
type Typing @topic(name: "chat.{room}.typing", durable: false, keep: {last: 5}, key: "who") {
  room: ID!
  who: String!
  number: Int!
}
"#;

fn serve(folder: &TempDir) -> (Broker, TempDir) {
    let data = format!("data.dir={}", folder.path().display());
    typed(SCHEMA, &[&data])
}

/// A message of each kind, with everything that it can have, and then some.
async fn say_all(peer: &mut Peer, kind: &str, secret: &str) {
    let topic = format!("chat.room-{secret}.{kind}");
    let (room, who) = (format!("room-{secret}"), format!("who-{secret}"));
    let payload = |number| json!({"room": room, "who": who, "number": number});
    let mut last = Value::Null;
    for number in 0..20 {
        let item = json!({
            "topic": topic,
            "payload": payload(number),
            "key": who,
            "headers": {"header": format!("header-{secret}")},
            "id": format!("id-{secret}-{number}"),
        });
        last = peer.publish_item(item).await["cursor"].take();
    }
    let compact = "mutation($topic: String!, $payload: JSON!, $upTo: Cursor!) {
        compact(topic: $topic, snapshot: $payload, upTo: $upTo) { cursor } }";
    let arguments = json!({"topic": topic, "payload": payload(99), "upTo": last});
    peer.ask(compact, arguments).await;
    peer.publish_item(json!({"topic": topic, "payload": payload(100)})).await;
    let kept = peer.ask("query($t: String!) { topic(name: $t) { messages } }", json!({"t": topic}));
    assert_eq!(kept.await["topic"]["messages"], 2);
}

/// Does a text stand in a file of a folder?
fn is_in(folder: &Path, text: &str) -> bool {
    let search = Command::new("grep").args(["-raFq", text]).arg(folder).status().unwrap();
    match search.code() {
        Some(0) => true,
        Some(1) => false,
        other => panic!("grep: {other:?}"),
    }
}

#[tokio::test]
async fn nothing_of_a_volatile_topic_is_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let ends = [("KILL", "xq7vwk2p", "hc3mgy5r"), ("TERM", "zj9bnd4t", "fw8slt6k")];
    for (end, secret, plain) in ends {
        let (mut broker, _schema) = serve(&folder);
        let mut peer = broker.peer().await;
        say_all(&mut peer, "typing", secret).await;
        say_all(&mut peer, "text", plain).await;
        assert!(!is_in(folder.path(), secret));
        for part in ["room", "who", "header", "id"] {
            let text = format!("{part}-{plain}");
            assert!(is_in(folder.path(), &text), "{text}: the search finds what is there");
        }
        drop(peer);
        broker.signal(end);
        broker.exit().await;
        assert!(!is_in(folder.path(), secret), "{end}");
    }
}

/// Publishes to both kinds in turn; the cursors.
async fn talk(
    peer: &mut Peer,
    numbers: std::ops::Range<i32>,
) -> BTreeMap<&'static str, Vec<String>> {
    let mut cursors: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for number in numbers {
        for kind in ["text", "typing"] {
            let payload = json!({"room": "a", "who": "me", "number": number});
            let receipt = peer.publish(&format!("chat.a.{kind}"), payload).await;
            let cursor = receipt["cursor"].as_str().unwrap().to_owned();
            cursors.entry(kind).or_default().push(cursor);
        }
    }
    cursors
}

fn place(cursor: &str) -> u64 {
    Cursor::parse(cursor).unwrap().sequence.0
}

/// The numbers that a replay brings, in one order.
async fn replay(peer: &mut Peer, filter: &str, after: &str, count: usize) -> Vec<(String, Value)> {
    let id = peer.follow(&format!("topics: {filter:?}, after: {after:?}")).await;
    let (mut found, mut last) = (Vec::new(), 0);
    for _ in 0..count {
        let mut message = peer.next_message(&id).await;
        let place = place(message["cursor"].as_str().unwrap());
        assert!(place > last, "{place} after {last}");
        last = place;
        let topic = message["topic"].as_str().unwrap().to_owned();
        found.push((topic, message["payload"]["number"].take()));
    }
    found
}

#[tokio::test]
async fn a_killed_process_costs_volatile_topics_all_and_the_others_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut broker, _schema) = serve(&folder);
    let mut peer = broker.peer().await;
    let cursors = talk(&mut peer, 0..20).await;
    let both = replay(&mut peer, "chat.>", "earliest", 25).await;
    let mut expected: Vec<_> =
        (0..15).map(|number| ("chat.a.text".to_owned(), json!(number))).collect();
    for number in 15..20 {
        for kind in ["text", "typing"] {
            expected.push((format!("chat.a.{kind}"), json!(number)));
        }
    }
    assert_eq!(both, expected, "one order of both kinds");
    // One is under way while it dies.
    let payload = json!({"room": "a", "who": "me", "number": 20});
    peer.start(PUBLISH, json!({"topic": "chat.a.typing", "payload": payload})).await;
    broker.signal("KILL");
    broker.exit().await;

    let (broker, _schema) = serve(&folder);
    let mut peer = broker.peer().await;
    let query = "{ text: topic(name: \"chat.a.text\") { messages }
        typing: topic(name: \"chat.a.typing\") { messages } }";
    let kept = peer.ask(query, json!({})).await;
    assert_eq!(kept, json!({"text": {"messages": 20}, "typing": null}));
    for (kind, filter) in [("typing", "chat.a.typing"), ("text", "chat.>"), ("text", "*.a.*")] {
        let after = &cursors[kind][5];
        let id = peer.follow(&format!("topics: {filter:?}, after: {after:?}")).await;
        assert_eq!(code(&peer.error(&id).await), "CURSOR_EXPIRED", "{filter}");
    }
    let newer = talk(&mut peer, 20..22).await;
    let newest = place(&cursors["typing"][19]);
    assert!(newer.values().flatten().all(|cursor| place(cursor) > newest + 1));
    let texts: Vec<_> = (6..22).map(|number| ("chat.a.text".to_owned(), json!(number))).collect();
    for filter in ["chat.a.text", "chat.*.text"] {
        let found = replay(&mut peer, filter, &cursors["text"][5], 16).await;
        assert_eq!(found, texts, "{filter}");
    }
    // Positions of after the restart are as good as ever.
    let found = replay(&mut peer, "chat.>", &newer["text"][0], 3).await;
    let expected = [("typing", 20), ("text", 21), ("typing", 21)];
    let expected = expected.map(|(kind, number)| (format!("chat.a.{kind}"), json!(number)));
    assert_eq!(found, expected);
}
