//! What every engine promises, asked of each of them.

mod change;
mod order;
mod reading;
mod snapshots;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tempfile::TempDir;
use tidings::engine::disk::{Clock, Disk, Options as DiskOptions, Sync as DiskSync};
use tidings::engine::memory::{Memory, Options as MemoryOptions};
use tidings::engine::retention::{Keep, Retention, Rule, Terms};
use tidings::engine::{
    Batch, Bounds, Engine, Error, IfLast, Limit, Publish, ReadFrom, Reply, Sink,
};
use tidings::message::cursor::{Cursor, Epoch, Sequence};
use tidings::message::filter::{Filter, Filters};
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message, Receipt};

/// An engine to be asked.
struct Subject {
    engine: Arc<dyn Engine>,
    sink: Arc<Recorder>,
    /// Lets time pass for the engine.
    pass: Box<dyn Fn(Duration)>,
    /// Topics that are not for the disk.
    volatile: &'static [&'static str],
    /// What lives as long as the engine.
    _folder: Option<TempDir>,
}

/// Ids are known for so long, and [`rules`] forget messages of `short` topics so soon.
const WINDOW: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_secs(1);

/// Every promise is a function that is asked of every engine: `promised_by!(name, constructor)`.
macro_rules! promised_by {
    ($engine:ident, $make:path) => {
        mod $engine {
            promised_by! { $make, order:
                calls_are_served_in_their_order
                threads_keep_their_order_and_the_sink_sees_all
                many_at_once_have_their_own_results
                each_message_names_the_one_before_it
                an_id_is_used_once_within_its_window
                a_refused_publish_leaves_its_id_unused
                if_last_is_the_newest_message_kept
                if_last_empty_is_a_topic_that_keeps_nothing
            }
            promised_by! { $make, reading:
                pages_make_up_the_whole
                a_page_has_at_least_one_message
                what_was_lost_is_told
                what_is_lost_between_two_pages_is_told
                the_earliest_read_misses_only_what_goes_meanwhile
                replaced_messages_are_counted
                a_place_beyond_the_head_is_of_no_log
                old_messages_are_not_served
                reading_back_mirrors_reading
                the_last_of_each_topic_that_pass
                a_time_is_a_place
            }
            promised_by! { $make, topics:
                topics_are_listed_by_name
                a_topic_tells_what_it_keeps
                purging_forgets_a_topic
                bytes_are_counted_as_they_come_and_go
            }
            promised_by! { $make, snapshots:
                a_snapshot_takes_the_place_of_what_it_covers
                positions_before_a_snapshot_are_expired
                a_snapshot_is_the_last_message_in_its_place
                a_snapshot_has_to_be_of_a_kept_message
                ids_outlive_what_a_snapshot_replaced
                limits_forget_what_follows_before_the_snapshot
                a_snapshot_alone_is_kept_as_long_as_its_message
                a_snapshot_outlives_its_age_only_for_what_follows_it
                bounds_of_all_topics_hold_with_snapshots
                snapshots_of_conflating_topics
                readers_in_the_middle_lose_nothing
            }
            promised_by! { $make, change:
                other_rules_hold_for_what_is_kept
                another_age_holds_for_what_is_kept
                a_topic_begins_and_ends_to_conflate
                other_bounds_hold_for_all_topics_together
            }
        }
    };
    ($make:path, $part:ident: $($promise:ident)+) => {
        $(
            #[test]
            fn $promise() {
                super::$part::$promise(&$make(super::rules()));
            }
        )+
    };
}

promised_by!(memory, super::make_memory);
promised_by!(disk, super::make_disk);
promised_by!(disk_and_memory, super::make_mixed);

fn make_memory(retention: Retention) -> Subject {
    let (sink, time) = (Arc::new(Recorder::default()), Time::default());
    let (epoch, bounds, clock) = (Epoch::new(42), BOUNDS, time.clock());
    let options = MemoryOptions { epoch, retention, bounds, clock };
    let engine = Memory::new(options, Arc::clone(&sink) as Arc<dyn Sink>);
    Subject { engine, sink, pass: time.passing(), volatile: &[], _folder: None }
}

fn make_disk(retention: Retention) -> Subject {
    make_disk_without(&[], retention)
}

/// Some topics are on disk and some are not.
fn make_mixed(retention: Retention) -> Subject {
    make_disk_without(&["a", "a.x", "few.a", "now.a"], retention)
}

fn make_disk_without(volatile: &'static [&'static str], retention: Retention) -> Subject {
    let (sink, time) = (Arc::new(Recorder::default()), Time::default());
    let folder = tempfile::tempdir().unwrap();
    let options = DiskOptions {
        folder: folder.path().to_owned(),
        epoch: Epoch::new(42),
        retention: apart(volatile, retention),
        bounds: BOUNDS,
        clock: time.clock(),
        sync: DiskSync::Always,
        free_bytes_min: 0,
        accept_loss: false,
    };
    let engine = Disk::open(options, Arc::clone(&sink) as Arc<dyn Sink>).unwrap();
    Subject { engine, sink, pass: time.passing(), volatile, _folder: Some(folder) }
}

const BOUNDS: Bounds = Bounds {
    memory_bytes: 1 << 20,
    volatile_bytes: 1 << 20,
    idempotency_window: WINDOW,
    idempotency_ids_max: 1000,
};

/// Time that passes when a test says so.
struct Time(Arc<AtomicI64>);

impl Default for Time {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(1_800_000_000_000_000)))
    }
}

impl Time {
    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Arc::new(move || Timestamp::from_micros(time.load(Ordering::Relaxed)))
    }

    fn passing(self) -> Box<dyn Fn(Duration)> {
        Box::new(move |by: Duration| {
            self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::Relaxed);
        })
    }
}

/// What is kept: little of `few.*`, `short.*` for a second, one of `now.*`, which conflate.
fn rules() -> Retention {
    let everything = Keep::EVERYTHING;
    let rule = |filter, keep, conflate| {
        let filter = Filter::parse(filter).unwrap();
        Rule { filter, keep, conflate, durable: true }
    };
    let rules = vec![
        rule("few.*", Keep { last: Some(3), ..everything }, false),
        rule("short.*", Keep { age: Some(SHORT), ..everything }, false),
        rule("now.*", Keep { last: Some(2), ..everything }, true),
    ];
    Retention { rules, default: everything }
}

/// The same rules, but these topics are volatile.
fn apart(volatile: &[&str], rules: Retention) -> Retention {
    let own = |name: &&str| {
        let Terms { keep, conflate, .. } = rules.terms(&topic(name));
        Rule { filter: Filter::from(&topic(name)), keep, conflate, durable: false }
    };
    let own: Vec<Rule> = volatile.iter().map(own).collect();
    Retention { rules: [own, rules.rules].concat(), default: rules.default }
}

/// Everything that the sink was given.
#[derive(Default)]
struct Recorder(Mutex<Vec<Arc<Message>>>);

impl Sink for Recorder {
    fn accepted(&self, messages: &[Arc<Message>]) {
        self.0.lock().extend_from_slice(messages);
    }
}

const ALL: Limit = Limit { messages: usize::MAX, bytes: usize::MAX };

fn limit(messages: usize) -> Limit {
    Limit { messages, bytes: usize::MAX }
}

fn wait<T: Unpin>(reply: Reply<T>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(reply)
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

fn filters(names: &[&str]) -> Filters {
    Filters::new(names.iter().map(|name| Filter::parse(name).unwrap())).unwrap()
}

fn draft(name: &str, payload: usize) -> Draft {
    let payload = Json::parse(&payload.to_string()).unwrap();
    Draft { topic: topic(name), payload, key: None, headers: None }
}

fn plain(name: &str, payload: usize) -> Publish {
    Publish { draft: draft(name, payload), id: None, if_last: None }
}

fn payload(message: &Message) -> usize {
    message.payload.as_str().parse().unwrap()
}

fn payloads(batch: &Batch) -> Vec<usize> {
    batch.messages.iter().map(|message| payload(message)).collect()
}

impl Subject {
    /// Sweeps; a change that is asked for later is made later, so that one shows when it is done.
    fn sweep(&self) {
        self.engine.sweep();
        assert_eq!(wait(self.engine.purge(&topic("never.used"))), Ok(0));
    }

    /// Other rules; which topics are volatile stays as it is.
    fn set_rules(&self, rules: Retention) {
        self.engine.set_retention(apart(self.volatile, rules));
    }

    fn publish(&self, name: &str, payload: usize) -> Receipt {
        self.try_publish(plain(name, payload)).unwrap()
    }

    fn try_publish(&self, publish: Publish) -> Result<Receipt, Error> {
        wait(self.engine.append(publish))
    }

    /// Publishes numbers to a topic; returns their places.
    fn fill(&self, name: &str, payloads: std::ops::Range<usize>) -> Vec<Sequence> {
        payloads.map(|payload| self.publish(name, payload).cursor.sequence).collect()
    }

    fn read(&self, names: &[&str], from: ReadFrom, limit: Limit) -> Result<Batch, Error> {
        wait(self.engine.read(&filters(names), from, limit))
    }

    /// Reads to the end, however many batches that takes.
    fn read_all(
        &self,
        names: &[&str],
        mut from: ReadFrom,
        limit: Limit,
    ) -> Result<Vec<usize>, Error> {
        let mut found = Vec::new();
        loop {
            let batch = self.read(names, from, limit)?;
            found.extend(payloads(&batch));
            if batch.upto >= self.engine.head() {
                return Ok(found);
            }
            from = from.onward(&batch);
        }
    }

    /// The place from which a read that was refused may go on.
    fn earliest(&self, names: &[&str], from: ReadFrom) -> Sequence {
        match self.read(names, from, ALL) {
            Err(Error::Expired { earliest: Some(cursor) }) => cursor.sequence,
            other => panic!("expired was expected of {names:?} from {from:?}: {other:?}"),
        }
    }

    fn cursor(&self, sequence: Sequence) -> Cursor {
        Cursor { epoch: self.engine.epoch(), sequence }
    }

    fn if_last(&self, name: &str, if_last: IfLast) -> Result<Receipt, Error> {
        self.try_publish(Publish { if_last: Some(if_last), ..plain(name, 0) })
    }

    fn with_id(&self, name: &str, id: &str) -> Receipt {
        self.try_publish(Publish { id: Some(id.into()), ..plain(name, 0) }).unwrap()
    }
}
