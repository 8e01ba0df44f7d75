//! What must never happen: a message lost, doubled or out of order, whoever comes and goes.
//!
//! `TIDINGS_FULL=1` runs the storm of reconnects in its full size (meant for a release build).

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::harness::broker::Broker;
use crate::harness::peer::{Heard, Peer};
use crate::harness::random::Random;
use crate::harness::raw::{Raw, subscribe};
use crate::harness::wait;

/// One delivery, as far as these tests look at it.
#[derive(Deserialize)]
struct Delivery {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    data: Data,
    extensions: Option<Extensions>,
}

#[derive(Deserialize)]
struct Data {
    messages: Message,
}

#[derive(Deserialize)]
struct Message {
    payload: Numbers,
}

/// The place among all messages and the place in the topic.
#[derive(Deserialize, Clone, Copy)]
struct Numbers(u64, u64);

#[derive(Deserialize)]
struct Extensions {
    cursor: String,
}

async fn delivery(peer: &mut Peer) -> (Numbers, Option<String>) {
    let heard = peer.hear().await;
    let Heard::Text(text) = &heard else { panic!("no delivery, but {heard:?}") };
    let parsed = serde_json::from_str::<Delivery>(text);
    let Ok(Delivery { payload }) = parsed else { panic!("no delivery, but {text}") };
    (payload.data.messages.payload, payload.extensions.map(|extensions| extensions.cursor))
}

/// Many open sockets need many file descriptors, here and in the broker, which inherits the limit.
fn allow_sockets(count: u64) {
    let allowed = rlimit::increase_nofile_limit(count + 200).unwrap();
    assert!(allowed >= count + 200, "needs {count} sockets; raise the limit: ulimit -Hn");
}

const PUBLISH_MANY: &str =
    "mutation ($m: [PublishInput!]!) { publishMany(messages: $m) { duplicate } }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_get_every_message_once_and_in_order() {
    const SUBSCRIBERS: u64 = 1_000;
    const TOPICS: u64 = 50;
    const MESSAGES: u64 = 10_000;
    allow_sockets(SUBSCRIBERS);
    let broker = Broker::start();
    let started = Instant::now();
    let mut subscribers = JoinSet::new();
    let (ready, mut is_ready) = tokio::sync::mpsc::channel::<()>(1);
    for number in 0..SUBSCRIBERS {
        let (address, ready) = (broker.address, ready.clone());
        subscribers.spawn(async move {
            // One, two or three topics each.
            let own: Vec<u64> = (0..=number % 3).map(|n| (number + 17 * n) % TOPICS).collect();
            let topics: Vec<String> = own.iter().map(|topic| format!("must.{topic}")).collect();
            let mut peer = Peer::connect(address).await;
            let query = format!("subscription {{ messages(topics: {topics:?}) {{ payload }} }}");
            peer.start(&query, json!({})).await;
            peer.settle().await;
            drop(ready);
            // The last one of each topic is followed by one message that ends the test.
            for expected in (0..MESSAGES).filter(|number| own.contains(&(number % TOPICS))) {
                let (Numbers(number, _), _) = delivery(&mut peer).await;
                assert_eq!(number, expected, "topics {own:?}");
            }
            for _ in &own {
                assert!(delivery(&mut peer).await.0.0 >= MESSAGES, "a message came twice");
            }
            own.len() as u64 * MESSAGES / TOPICS
        });
    }
    drop(ready);
    wait::within("all subscribers", is_ready.recv()).await;
    let subscribed = started.elapsed();
    let mut publisher = broker.peer().await;
    let feeding = Instant::now();
    let item = |number: u64| {
        let topic = format!("must.{}", number % TOPICS);
        json!({"topic": topic, "payload": [number, number / TOPICS]})
    };
    for batch in 0..MESSAGES / 100 {
        let items: Vec<Value> = (batch * 100..batch * 100 + 100).map(item).collect();
        publisher.ask(PUBLISH_MANY, json!({"m": items})).await;
    }
    let items: Vec<Value> = (MESSAGES..MESSAGES + TOPICS).map(item).collect();
    publisher.ask(PUBLISH_MANY, json!({"m": items})).await;
    let mut deliveries = 0;
    while let Some(delivered) = subscribers.join_next().await {
        deliveries += delivered.unwrap();
    }
    let elapsed = feeding.elapsed();
    println!(
        "{SUBSCRIBERS} subscribers in {subscribed:.1?}; {MESSAGES} messages, {deliveries} \
         deliveries in {elapsed:.1?}"
    );
}

/// How big a storm is.
struct Storm {
    subscribers: u64,
    rounds: u64,
    messages: u64,
}

const STORM: Storm = Storm { subscribers: 300, rounds: 5, messages: 5_000 };
const FULL_STORM: Storm = Storm { subscribers: 2_000, rounds: 20, messages: 30_000 };
const FEEDS: u64 = 100;

/// What one subscriber has seen.
#[derive(Default)]
struct Seen {
    deliveries: u64,
    reconnects: u64,
}

/// Follows one topic, or all, and comes back where it was after every way to go.
struct Follower {
    random: Random,
    /// `None`: all topics.
    topic: Option<u64>,
    after: Option<String>,
    next: u64,
    seen: Seen,
}

impl Follower {
    async fn connect(&mut self, broker: &Broker) -> Peer {
        let mut peer = Peer::connect_with(broker.address, &json!({"resume": true})).await;
        self.subscribe(&mut peer).await;
        peer
    }

    async fn subscribe(&mut self, peer: &mut Peer) {
        let topics = self.topic.map_or("storm.>".to_owned(), |topic| format!("storm.{topic}"));
        let query = format!("subscription {{ messages(topics: {topics:?}) {{ payload }} }}");
        let after = self.after.as_deref().unwrap_or("earliest");
        peer.start_with(json!({"query": query, "extensions": {"after": after}})).await;
    }

    /// Takes the next delivery, which has to be the next message.
    async fn take(&mut self, peer: &mut Peer) {
        let (Numbers(all, own), cursor) = delivery(peer).await;
        let number = if self.topic.is_none() { all } else { own };
        assert_eq!(number, self.next, "topic {:?}, after {:?}", self.topic, self.after);
        self.next += 1;
        self.seen.deliveries += 1;
        self.after = cursor;
    }

    /// Leaves in one of the ways in which clients leave, some of them in the middle of a frame.
    async fn leave(&mut self, peer: Peer, broker: &Broker) -> Peer {
        self.seen.reconnects += 1;
        match self.random.below(4) {
            0 => drop(peer),
            1 => {
                let stream = peer.socket.into_inner().into_std().unwrap();
                let socket = socket2::SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            2 => {
                let mut peer = peer;
                let _ = peer.socket.close(None).await;
            }
            _ => {
                let stream: TcpStream = peer.socket.into_inner();
                // Half of a frame's header.
                let _ = stream.try_write(&[0x81]);
            }
        }
        self.connect(broker).await
    }

    async fn run(mut self, broker: &Broker, storm: &Storm) -> Seen {
        let total = if self.topic.is_none() { storm.messages } else { storm.messages / FEEDS };
        let mut peer = self.connect(broker).await;
        for round in 0..storm.rounds {
            // Spread over the feed: each round ends somewhere in its part of it.
            let upto = (total * round + self.random.below(total)) / storm.rounds;
            while self.next < upto {
                self.take(&mut peer).await;
            }
            peer = self.leave(peer, broker).await;
        }
        while self.next < total {
            self.take(&mut peer).await;
        }
        self.seen
    }
}

/// 1,000 messages a second.
async fn feed(mut publisher: Peer, messages: u64) -> Duration {
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for batch in 0..messages / 20 {
        tick.tick().await;
        let item = |number: u64| {
            let topic = format!("storm.{}", number % FEEDS);
            json!({"topic": topic, "payload": [number, number / FEEDS]})
        };
        let items: Vec<Value> = (batch * 20..batch * 20 + 20).map(item).collect();
        publisher.ask(PUBLISH_MANY, json!({"m": items})).await;
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_a_storm_of_reconnects() {
    let is_full = std::env::var_os("TIDINGS_FULL").is_some();
    let storm = if is_full { FULL_STORM } else { STORM };
    allow_sockets(2 * storm.subscribers);
    let keep = ["keep.last=1000000", "keep.bytes=1GiB", "limits.memory_bytes=1GiB"];
    let broker = std::sync::Arc::new(Broker::with(&keep));
    let storm = std::sync::Arc::new(storm);
    let mut random = Random::from_environment();
    let mut followers = JoinSet::new();
    for number in 0..storm.subscribers {
        let topic = (number % 100 != 99).then_some(number % FEEDS);
        let random = random.split();
        let follower = Follower { random, topic, after: None, next: 0, seen: Seen::default() };
        let (broker, storm) = (broker.clone(), storm.clone());
        followers.spawn(async move { follower.run(&broker, &storm).await });
    }
    let publisher = broker.peer().await;
    let fed = tokio::spawn(feed(publisher, storm.messages));
    let mut all = Seen::default();
    while let Some(seen) = followers.join_next().await {
        let seen = seen.unwrap();
        all.deliveries += seen.deliveries;
        all.reconnects += seen.reconnects;
    }
    let fed = fed.await.unwrap();
    assert_eq!(all.reconnects, storm.subscribers * storm.rounds);
    println!(
        "{} subscribers, {} reconnects, {} deliveries, {} messages in {fed:.1?}",
        storm.subscribers, all.reconnects, all.deliveries, storm.messages
    );
}

/// One operation of a pipeline: its document, and how many messages it publishes from `first` on.
fn pipelined(number: usize, first: u64) -> (String, u64) {
    let publish = |alias: &str, n: u64| {
        format!(r#"{alias}: publish(topic: "pipe", payload: [{n},0]) {{ cursor }}"#)
    };
    let item = |n: u64| format!(r#"{{topic: "pipe", payload: [{n},0]}}"#);
    match number % 7 {
        0 | 1 => (format!("mutation {{ {} }}", publish("a", first)), 1),
        2 => {
            let items = [item(first), item(first + 1), item(first + 2)].join(",");
            (format!("mutation {{ a: publishMany(messages: [{items}]) {{ cursor }} }}"), 3)
        }
        3 => {
            let other = r#"updatePresence(topic: "nobody", state: 1)"#;
            (format!("mutation {{ {other} {} }}", publish("a", first)), 1)
        }
        4 => {
            let both = [publish("a", first), publish("b", first + 1)];
            let purge = r#"purge(topic: "elsewhere")"#;
            (format!("mutation {{ {} {purge} {} }}", both[0], both[1]), 2)
        }
        5 => ("{ broker { node } }".to_owned(), 0),
        _ => (format!("mutation {{ {} {} }}", publish("a", first), publish("b", first + 1)), 2),
    }
}

#[tokio::test]
async fn what_one_connection_publishes_stays_in_order_however_it_is_sent() {
    const OPERATIONS: usize = 5_000;
    let keep = ["keep.last=1000000", "keep.bytes=1GiB"];
    let broker = Broker::with(&keep);
    let mut subscriber = broker.peer().await;
    subscriber.start("subscription { messages(topics: \"pipe\") { payload } }", json!({})).await;
    subscriber.settle().await;

    let mut bytes = Vec::new();
    let mut published = 0;
    for number in 0..OPERATIONS {
        let (query, count) = pipelined(number, published);
        bytes.extend(subscribe(&number.to_string(), &query, "{}"));
        published += count;
    }
    let raw = Raw::connect(broker.address).await.acknowledged().await;
    let (mut reader, mut writer) = raw.split();
    let started = Instant::now();
    let writing = tokio::spawn(async move { writer.write(&bytes).await });
    let mut order: Vec<Option<usize>> = Vec::new();
    let mut completed = 0;
    while completed < OPERATIONS {
        let message: Value = serde_json::from_str(&reader.text().await).unwrap();
        match message["type"].as_str().unwrap() {
            "next" => {
                assert!(message["payload"].get("errors").is_none(), "{message}");
                let number: usize = message["id"].as_str().unwrap().parse().unwrap();
                // Queries may overtake.
                order.push((number % 7 != 5).then_some(number));
            }
            kind => {
                assert_eq!(kind, "complete", "{message}");
                completed += 1;
            }
        }
    }
    writing.await.unwrap();
    let answered: Vec<usize> = order.into_iter().flatten().collect();
    assert!(answered.is_sorted(), "receipts came out of order");
    for expected in 0..published {
        assert_eq!(delivery(&mut subscriber).await.0.0, expected);
    }
    println!("{OPERATIONS} operations, {published} messages in {:.1?}", started.elapsed());
}
