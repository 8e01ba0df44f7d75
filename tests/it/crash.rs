//! The process is killed under load, again and again: nothing that was acknowledged is lost,
//! nothing is there twice, and subscribers who resume see neither gap nor duplicate.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tidings::message::cursor::Cursor;

use crate::harness::broker::Broker;
use crate::harness::peer::{Heard, PUBLISH, Peer};
use crate::harness::random::Random;

const PUBLISHERS: usize = 16;
/// Messages of each topic, where it forgets.
const KEPT: usize = 20;
/// A round is killed when at most so many messages of it were acknowledged.
const ACKNOWLEDGED_MAX: u64 = 800;

/// Publishes numbers one after the other, each until it is acknowledged.
struct Publisher {
    topic: String,
    /// Cursors of the numbers that were acknowledged.
    acknowledged: Vec<String>,
}

/// Follows all topics, over every restart.
#[derive(Default)]
struct Reader {
    /// Numbers and cursors by topic.
    seen: HashMap<String, Vec<(u64, String)>>,
    after: Option<String>,
    count: usize,
}

/// When the broker is killed.
struct Death<'a> {
    broker: &'a Broker,
    acknowledged: AtomicU64,
    at: u64,
}

fn serve(folder: &Path, last: usize) -> Broker {
    let data = format!("data.dir={}", folder.display());
    let last = format!("keep.last={last}");
    Broker::with(&[&data, &last, "keep.bytes=1GiB", "keep.age=1h"])
}

fn rounds() -> usize {
    if std::env::var_os("TIDINGS_FULL").is_some() { 100 } else { 10 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let rounds = rounds();
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::from_environment();
    let mut publishers: Vec<Publisher> = (0..PUBLISHERS).map(Publisher::new).collect();
    let mut reader = Reader::default();
    for _ in 0..rounds {
        let mut broker = serve(folder.path(), 1_000_000);
        let at = 1 + random.below(ACKNOWLEDGED_MAX);
        let death = Death { broker: &broker, acknowledged: AtomicU64::new(0), at };
        let publishing = join_all(publishers.iter_mut().map(|publisher| publisher.run(&death)));
        tokio::join!(publishing, reader.read(&broker, usize::MAX));
        broker.exit().await;
    }
    let broker = serve(folder.path(), 1_000_000);
    for publisher in &mut publishers {
        let mut peer = broker.peer().await;
        publisher.retry_newest(&mut peer).await;
        // What was under way when the process died is there by now, and once.
        assert!(publisher.publish(&mut peer).await.is_some());
    }
    let total = publishers.iter().map(|publisher| publisher.acknowledged.len()).sum();
    reader.read(&broker, total).await;
    for publisher in &publishers {
        let expected = publisher.acknowledged.iter().cloned();
        let expected: Vec<(u64, String)> = (0..).zip(expected).collect();
        assert_eq!(reader.seen[&publisher.topic], expected, "{}", publisher.topic);
    }
    println!("{rounds} rounds, {total} messages");
}

/// What a topic forgets goes with the very publish that makes it go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_keeps_its_newest_messages_over_every_death() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::from_environment();
    let mut publishers: Vec<Publisher> = (0..PUBLISHERS).map(Publisher::new).collect();
    for _ in 0..rounds() {
        let mut broker = serve(folder.path(), KEPT);
        let at = 1 + random.below(ACKNOWLEDGED_MAX);
        let death = Death { broker: &broker, acknowledged: AtomicU64::new(0), at };
        join_all(publishers.iter_mut().map(|publisher| publisher.run(&death))).await;
        broker.exit().await;
        let broker = serve(folder.path(), KEPT);
        let mut peer = broker.peer().await;
        for publisher in &mut publishers {
            assert!(publisher.publish(&mut peer).await.is_some());
            let query = format!(
                "{{ history(topics: {0:?}, first: 1000) {{ nodes {{ payload cursor }} }}
                    topic(name: {0:?}) {{ messages }} }}",
                publisher.topic
            );
            let data = peer.ask(&query, json!({})).await;
            let newest = publisher.acknowledged.iter().enumerate().rev().take(KEPT).rev();
            let expected: Vec<Value> =
                newest.map(|(at, cursor)| json!({"payload": at, "cursor": cursor})).collect();
            assert_eq!(data["history"]["nodes"], json!(expected), "{}", publisher.topic);
            assert_eq!(data["topic"]["messages"], json!(expected.len()));
        }
    }
}

impl Publisher {
    fn new(number: usize) -> Self {
        Self { topic: format!("crash.{number}"), acknowledged: Vec::new() }
    }

    async fn run(&mut self, death: &Death<'_>) {
        let Some(mut peer) = connect(death.broker).await else { return };
        if !self.retry_newest(&mut peer).await {
            return;
        }
        while self.publish(&mut peer).await.is_some() {
            if death.acknowledged.fetch_add(1, Ordering::Relaxed) + 1 == death.at {
                death.broker.signal("KILL");
            }
        }
    }

    /// The newest acknowledged message, once more: its first receipt has to come. False when the
    /// broker is gone.
    async fn retry_newest(&mut self, peer: &mut Peer) -> bool {
        let Some(cursor) = self.acknowledged.pop() else { return true };
        let again = self.publish(peer).await;
        if let Some(receipt) = &again {
            assert_eq!((&receipt["cursor"], &receipt["duplicate"]), (&json!(cursor), &json!(true)));
        } else {
            self.acknowledged.push(cursor);
        }
        again.is_some()
    }

    /// Publishes the next number; its receipt, unless the broker is gone.
    async fn publish(&mut self, peer: &mut Peer) -> Option<Value> {
        let number = self.acknowledged.len();
        // Not as the peer names its own.
        let id = format!("publish{number}");
        let variables = json!({
            "topic": self.topic,
            "payload": number,
            "id": format!("{}-{number}", self.topic),
        });
        let payload = json!({"query": PUBLISH, "variables": variables});
        peer.try_send(&json!({"id": id, "type": "subscribe", "payload": payload})).await;
        loop {
            let Heard::Text(text) = peer.hear().await else { return None };
            let mut message: Value = serde_json::from_str(&text).unwrap();
            if message["id"] == *id && message["type"] == "next" {
                let receipt = message["payload"]["data"]["publish"].take();
                assert!(receipt.is_object(), "{message}");
                self.acknowledged.push(receipt["cursor"].as_str().unwrap().to_owned());
                return Some(receipt);
            }
        }
    }
}

impl Reader {
    /// Reads on until there are so many messages in all, or the broker is gone.
    async fn read(&mut self, broker: &Broker, total: usize) {
        let Some(mut peer) = connect(broker).await else { return };
        let after = self.after.as_deref().unwrap_or("earliest");
        let query = format!(
            "subscription {{ messages(topics: \"crash.>\", after: {after:?})
                {{ topic cursor payload }} }}"
        );
        let payload = json!({"query": query});
        peer.try_send(&json!({"id": "read", "type": "subscribe", "payload": payload})).await;
        while self.count < total {
            let Heard::Text(text) = peer.hear().await else { return };
            let message: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(message["type"], "next", "{message}");
            self.take(&message["payload"]["data"]["messages"]);
        }
    }

    fn take(&mut self, message: &Value) {
        let text = |name: &str| message[name].as_str().unwrap().to_owned();
        let place = |cursor: &str| Cursor::parse(cursor).unwrap().sequence;
        let (topic, cursor) = (text("topic"), text("cursor"));
        if let Some(after) = &self.after {
            assert!(place(&cursor) > place(after), "{cursor} after {after}");
        }
        let number = message["payload"].as_u64().unwrap();
        self.seen.entry(topic).or_default().push((number, cursor.clone()));
        self.after = Some(cursor);
        self.count += 1;
    }
}

/// A connection, unless the broker was killed before it was there.
async fn connect(broker: &Broker) -> Option<Peer> {
    let stream = tokio::net::TcpStream::connect(broker.address).await.ok()?;
    let peer = Peer::try_open_on(stream).await?;
    Some(peer)
}
