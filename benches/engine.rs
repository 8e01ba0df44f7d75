//! What the memory engine costs: appends by kind of topic, and reads near the head and far back.
//!
//! `cargo bench --bench engine` prints nanoseconds for each; compare runs of one machine only.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints or ends")]

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tidings::engine::memory::{Memory, Options};
use tidings::engine::retention::{Keep, Retention, Rule};
use tidings::engine::{Bounds, Engine, Limit, Publish, ReadFrom, Reply, Sink};
use tidings::message::cursor::{Epoch, Sequence};
use tidings::message::filter::{Filter, Filters};
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const APPENDS: usize = 2_000_000;
const READS: usize = 500;
const PAYLOAD_BYTES: usize = 128;

fn main() {
    for topics in [1, 1_000, 100_000] {
        let name = format!("append, keep 10 of each of {topics} topics");
        append(&name, &keep(10, false), topics);
    }
    append("append, keep 1000 of each of 1000 topics", &keep(1000, false), 1000);
    append("append, conflate 1000 topics", &keep(1, true), 1000);
    append("append, keep all that the memory bound lets", &keep(u64::MAX, false), 1000);
    append_by_threads(2);
    holes();
    reads();
}

struct Nobody;

impl Sink for Nobody {
    fn accepted(&self, messages: &[Arc<Message>]) {
        black_box(messages);
    }
}

fn keep(last: u64, conflate: bool) -> Retention {
    let keep = Keep { last: Some(last), age: Some(Duration::from_mins(10)), bytes: None };
    let filter = Filter::parse(">").unwrap();
    Retention { rules: vec![Rule { filter, keep, conflate, durable: true }], default: keep }
}

fn engine(retention: &Retention) -> Arc<Memory> {
    let now = || {
        let since_epoch = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    };
    let options = Options {
        epoch: Epoch::new(1),
        retention: retention.clone(),
        bounds: Bounds {
            memory_bytes: 512 << 20,
            volatile_bytes: 512 << 20,
            idempotency_window: Duration::from_mins(2),
            idempotency_ids_max: 100_000,
        },
        clock: Arc::new(now),
    };
    Memory::new(options, Arc::new(Nobody))
}

fn names(count: usize) -> Vec<Topic> {
    (0..count).map(|number| Topic::parse(&format!("quotes.{number}")).unwrap()).collect()
}

fn publishes(names: &[Topic], count: usize) -> impl Iterator<Item = Publish> {
    let payload = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2));
    // Each message has its own payload, as each parsed publish has; topics come in no order.
    (0..count).map(move |number| {
        let topic = names[number.wrapping_mul(7919) % names.len()].clone();
        let payload = Json::parse(&payload).unwrap();
        Publish {
            draft: Draft { topic, payload, key: None, headers: None },
            id: None,
            if_last: None,
        }
    })
}

fn append(name: &str, retention: &Retention, topics: usize) {
    let (engine, names) = (engine(retention), names(topics));
    let all: Vec<Publish> = publishes(&names, APPENDS).collect();
    let start = Instant::now();
    for publish in all {
        black_box(engine.append(publish));
    }
    report(name, start.elapsed(), APPENDS);
    println!("{:>18} bytes kept", engine.kept_bytes());
}

fn append_by_threads(count: usize) {
    let (engine, names) = (engine(&keep(10, false)), names(1000));
    let lots: Vec<Vec<Publish>> =
        (0..count).map(|_| publishes(&names, APPENDS / count).collect()).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for lot in lots {
            let engine = &engine;
            scope.spawn(move || lot.into_iter().for_each(|one| drop(engine.append(one))));
        }
    });
    report(&format!("append, {count} threads, 1000 topics"), start.elapsed(), APPENDS);
}

/// One old message, and after it topics that keep only their newest.
fn holes() {
    let retention = keep(1, false);
    let (engine, names) = (engine(&retention), names(1000));
    let mut all = publishes(&names, APPENDS).collect::<Vec<_>>().into_iter();
    let mut first = all.next().unwrap();
    first.draft.topic = Topic::parse("old").unwrap();
    drop(engine.append(first));
    let start = Instant::now();
    all.for_each(|publish| drop(engine.append(publish)));
    report("append, keep 1 beside an old message", start.elapsed(), APPENDS);
    let filters = filters("quotes.*");
    measure("read all that is kept past the holes", || {
        page(&engine, &filters, ReadFrom::Earliest, 1000)
    });
}

fn filters(name: &str) -> Filters {
    Filters::new([Filter::parse(name).unwrap()]).unwrap()
}

fn reads() {
    let engine = engine(&keep(1000, false));
    for topics in [names(1000), names(20_000)] {
        publishes(&topics, APPENDS / 2).for_each(|publish| drop(engine.append(publish)));
    }
    let head = engine.head().0;
    println!("{:>18} bytes kept, {} topics", engine.kept_bytes(), engine.kept_topics());
    let table = [
        ("quotes.7", 0, 100),
        ("quotes.7", 100_000, 100),
        ("quotes.*", 0, 100),
        ("quotes.*", 100, 100),
        ("quotes.*", 100_000, 100),
        (">", 100_000, 1000),
        ("*.none", 100_000, 1000),
        ("nothing.>", 100_000, 1000),
    ];
    for (filter, back, count) in table {
        let filters = filters(filter);
        let from = ReadFrom::After(Sequence(head - back));
        measure(&format!("read up to {count} of {filter} from {back} back"), || {
            page(&engine, &filters, from, count)
        });
    }
    let all = filters("quotes.*");
    let accept: tidings::engine::Accept = Arc::new(|_| true);
    measure("last 1 of each topic", || match engine.last(&all, 1, Arc::clone(&accept)) {
        Reply::Now(Some(Ok(batch))) => black_box(batch).messages.len(),
        other => panic!("a batch was expected: {other:?}"),
    });
}

/// Reads one page and says how many messages it had.
fn page(engine: &Memory, filters: &Filters, from: ReadFrom, messages: usize) -> usize {
    match engine.read(filters, from, Limit { messages, bytes: usize::MAX }) {
        Reply::Now(Some(Ok(batch))) => black_box(batch).messages.len(),
        other => panic!("a page was expected: {other:?}"),
    }
}

fn measure(name: &str, mut read: impl FnMut() -> usize) {
    let start = Instant::now();
    let mut count = 0;
    for _ in 0..READS {
        count = read();
    }
    report(&format!("{name}: {count} messages"), start.elapsed(), READS);
}

fn report(name: &str, elapsed: Duration, count: usize) {
    let nanos = elapsed.as_nanos() / count as u128;
    println!("{nanos:>9} ns each  {name}");
}
