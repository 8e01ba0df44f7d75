//! What the disk engine costs beside the store that it is built on, and how long a start takes.
//!
//! `cargo bench --bench disk` measures in the folder of `TIDINGS_BENCH_DIR`, or where temporary
//! files are; compare runs of one machine and one disk only.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints or ends")]
#![expect(clippy::disallowed_methods, reason = "variables choose what is measured")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use futures_util::future::join_all;
use tidings::engine::disk::{Disk, Options, Sync};
use tidings::engine::retention::{Keep, Retention};
use tidings::engine::{Bounds, Engine, Publish, Sink};
use tidings::message::cursor::Epoch;
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PUBLISHERS: usize = 64;
const PAYLOAD_BYTES: usize = 128;
const MEASURED: Duration = Duration::from_secs(5);

fn main() {
    let number = |name, default| {
        let given = std::env::var(name).ok().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    for _ in 0..number("TIDINGS_BENCH_ROUNDS", 3) {
        let (ours, batch) = appends();
        let theirs = store_alone(batch);
        println!("{PUBLISHERS} publishers, {batch} messages a commit on average:");
        println!(
            "  disk engine {ours:.0}/s, store alone {theirs:.0}/s, ratio {:.2}",
            ours / theirs
        );
    }
    start_up(number("TIDINGS_BENCH_MESSAGES", 1_000_000));
}

struct Nobody;

impl Sink for Nobody {
    fn accepted(&self, _: &[Arc<Message>]) {}
}

fn folder() -> tempfile::TempDir {
    match std::env::var_os("TIDINGS_BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

fn open(folder: &Path, sync: Sync) -> Arc<Disk> {
    let options = Options {
        folder: folder.to_owned(),
        epoch: Epoch::new(1),
        retention: Retention { rules: Vec::new(), default: Keep::EVERYTHING },
        bounds: Bounds {
            memory_bytes: u64::MAX,
            volatile_bytes: u64::MAX,
            idempotency_window: Duration::from_mins(2),
            idempotency_ids_max: 1_000_000,
        },
        clock: Arc::new(|| Timestamp::from_micros(1_800_000_000_000_000)),
        sync,
        free_bytes_min: 0,
        accept_loss: false,
    };
    Disk::open(options, Arc::new(Nobody)).unwrap()
}

fn publish(topic: usize) -> Publish {
    let payload = Json::from_made(format!("\"{}\"", "x".repeat(PAYLOAD_BYTES - 2)));
    let topic = Topic::parse(&format!("bench.{topic}")).unwrap();
    Publish { draft: Draft { topic, payload, key: None, headers: None }, id: None, if_last: None }
}

/// Each publisher waits for its receipt before it goes on: messages a second, and by commit.
fn appends() -> (f64, usize) {
    let folder = folder();
    let disk = open(folder.path(), Sync::Always);
    let began = Instant::now();
    let publisher = async |topic| {
        let mut count = 0_u32;
        while began.elapsed() < MEASURED {
            disk.append(publish(topic)).await.unwrap();
            count += 1;
        }
        count
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let counts: Vec<u32> = runtime.block_on(join_all((0..PUBLISHERS).map(publisher)));
    let rate = f64::from(counts.iter().sum::<u32>()) / began.elapsed().as_secs_f64();
    let commits = disk.commit_seconds();
    let count: u64 = commits.buckets.iter().map(|(_, count)| count).sum();
    println!("  of {:.1?} the store took {:.1} s in {count} commits", began.elapsed(), commits.sum);
    (rate, usize::try_from(disk.head().0.div_ceil(count)).unwrap())
}

/// The same bytes in the same batches, straight into the store: messages a second.
fn store_alone(batch_len: usize) -> f64 {
    let folder = folder();
    let database = Database::builder(folder.path()).open().unwrap();
    let space = |name| database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
    let (log, index, topics) = (space("log"), space("index"), space("topics"));
    let message = vec![b'x'; PAYLOAD_BYTES + 40];
    let (mut sequence, began) = (0_u64, Instant::now());
    while began.elapsed() < MEASURED {
        let mut batch = database.batch().durability(Some(PersistMode::SyncData));
        for topic in 0..batch_len as u64 {
            sequence += 1;
            let place = sequence.to_be_bytes();
            let of_topic = [topic.to_be_bytes(), place].concat();
            batch.insert(&log, place, message.as_slice());
            batch.insert(&index, of_topic, [0; 16]);
            batch.insert(&topics, topic.to_be_bytes(), [0; 90]);
        }
        batch.commit().unwrap();
    }
    let count = u32::try_from(sequence).unwrap();
    f64::from(count) / began.elapsed().as_secs_f64()
}

/// How long a start takes when so many messages are kept, in a thousand topics.
fn start_up(messages: usize) {
    let folder = folder();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut kept = 0;
    for total in [messages / 100, messages / 10, messages] {
        let disk = open(folder.path(), Sync::Never);
        let began = Instant::now();
        while kept < total {
            let many = (kept..(kept + 1000).min(total)).map(|number| publish(number % 1000));
            kept = (kept + 1000).min(total);
            runtime.block_on(disk.append_many(many.collect())).unwrap();
        }
        let filled = began.elapsed();
        drop(disk);
        let began = Instant::now();
        let disk = open(folder.path(), Sync::Never);
        let took = began.elapsed();
        assert_eq!(disk.head().0, total as u64);
        println!("{total} messages (filled in {filled:.1?}): a start takes {took:.0?}");
    }
}
