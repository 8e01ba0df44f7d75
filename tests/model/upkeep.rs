//! Publishing, upkeep and reports at once: none may wait for another that waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidings::broker::{Base, Broker, Options};
use tidings::engine::memory::{self, Memory};
use tidings::engine::retention::{Keep, Retention};
use tidings::engine::{Bounds, Publish};
use tidings::message::Draft;
use tidings::message::cursor::Epoch;
use tidings::message::filter::Filter;
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;

use super::late::now_or_never;

/// Long enough for a loaded machine; without a deadlock it takes a second or two.
const PATIENCE: Duration = Duration::from_mins(1);
const PUBLISHES: usize = 60_000;

fn broker() -> Arc<Broker> {
    let options = Options {
        shards: 1,
        payload_bytes_max: 1024,
        publishes_per_second_max: 0,
        encodings_bytes: 4096,
        topic_rules: Vec::new(),
        node: "model".into(),
    };
    let base = Base::new(&options, Instant::now());
    let memory = memory::Options {
        epoch: Epoch::new(7),
        retention: Retention {
            rules: Vec::new(),
            default: Keep { last: Some(2), age: None, bytes: None },
        },
        bounds: Bounds {
            memory_bytes: 1 << 20,
            volatile_bytes: 1 << 20,
            idempotency_window: Duration::from_secs(1),
            idempotency_ids_max: 10,
        },
        clock: Arc::new(|| Timestamp::from_micros(1)),
    };
    let log = Memory::new(memory, base.feeds.clone());
    Arc::new(Broker::new(log, base, options, Timestamp::from_micros(0)))
}

fn publish(broker: &Broker, number: usize) {
    let draft = Draft {
        topic: Topic::parse(&format!("load.{}", number % 5_000)).unwrap(),
        payload: Json::parse("1").unwrap(),
        key: None,
        headers: None,
    };
    now_or_never(broker.publish(Publish { draft, id: None, if_last: None })).unwrap();
}

#[test]
fn upkeep_and_reports_never_lock_out_publishers() {
    let broker = broker();
    let (done, is_done) = mpsc::sync_channel(1);
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let (broker, done) = (broker.clone(), done.clone());
        std::thread::spawn(move || {
            (0..PUBLISHES).for_each(|number| publish(&broker, number));
            done.send(()).unwrap();
        });
    }
    let (upkeep, is_over) = (broker.clone(), stop.clone());
    std::thread::spawn(move || {
        let everything = Filter::parse(">").unwrap();
        while !is_over.load(Ordering::Relaxed) {
            // A second later each time: topics without traffic are looked at and forgotten.
            upkeep.sweep(Instant::now() + Duration::from_secs(5));
            upkeep.topics(&everything, 100, None);
            upkeep.stats(Instant::now());
        }
    });
    for _ in 0..2 {
        assert_eq!(is_done.recv_timeout(PATIENCE), Ok(()), "a publisher is locked out");
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(broker.head().sequence.0, 2 * PUBLISHES as u64);
}
