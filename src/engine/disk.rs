//! The log on disk: an embedded store under one order of all messages, written by one thread in
//! groups. A restart goes on with the same log.
//!
//! Comes in: publishes and reads. Goes out: receipts and messages, and each accepted one to the
//! sink once it is on disk. Knows nothing of: other nodes.

mod book;
mod boot;
mod folder;
mod ground;
mod inbox;
mod manifest;
mod mark;
mod merge;
mod read;
mod readers;
mod record;
mod store;
mod survey;
mod view;
mod volatile;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use self::book::Book;
use self::boot::Boot;
use self::folder::Folder;
pub use self::folder::FolderError;
use self::ground::Ground;
use self::inbox::{Answer, Inbox, Request};
use self::mark::Mark;
use self::readers::Readers;
use self::record::LogRecord;
use self::store::{Store, StoreError};
#[cfg(test)]
pub(in crate::engine) use self::volatile::PLACES_AHEAD;
use self::writer::{Chores, Writer, unavailable};
use super::histogram::{Histogram, HistogramSnapshot};
use super::retention::Retention;
use super::topics::Looks;
use super::{Accept, Batch, Bounds, Engine, Error, Kept, Limit, Publish, ReadFrom, Reply, Sink};
use crate::message::cursor::{Epoch, Sequence};
use crate::message::filter::{Filter, Filters};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Receipt};

/// Gives the time; the engine takes care that its own never goes back.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + std::marker::Sync>;

/// What the engine is made of; every value is a valid one.
pub struct Options {
    /// Where the log is; made if it does not exist.
    pub folder: PathBuf,
    /// For a log that begins: a number that no earlier log had.
    pub epoch: Epoch,
    /// How much of each topic is kept.
    pub retention: Retention,
    /// How much of all topics together.
    pub bounds: Bounds,
    /// The time.
    pub clock: Clock,
    /// When an acknowledged message is on disk.
    pub sync: Sync,
    /// Publishes are refused when the file system has less free.
    pub free_bytes_min: u64,
    /// Go on where acknowledged messages are missing, as a log of another epoch.
    pub accept_loss: bool,
}

/// When an acknowledged message is on disk. Whatever it is, a process that is killed loses
/// nothing: the operating system has every acknowledged message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// At once: a power loss takes nothing that was acknowledged.
    Always,
    /// So much later: a power loss takes the last messages of that time.
    Interval(Duration),
    /// When the operating system finds the time.
    Never,
}

/// The engine `disk`.
pub struct Disk {
    ground: Arc<Ground>,
    inbox: Arc<Inbox>,
    readers: Readers,
    writer: Option<JoinHandle<()>>,
    boot: Boot,
    clock: Clock,
}

/// Threads that read.
const READERS: usize = 4;
/// Topics that a listing looks at before the writer is let in.
const LISTED_AT_ONCE: usize = 1024;

impl Disk {
    /// Opens the log of a folder, or begins one there.
    pub fn open(options: Options, sink: Arc<dyn Sink>) -> Result<Arc<Self>, FolderError> {
        Self::open_with(options, sink, Looks::default())
    }

    fn open_with(
        options: Options,
        sink: Arc<dyn Sink>,
        looks: Looks,
    ) -> Result<Arc<Self>, FolderError> {
        let folder = Folder::open(&options.folder)?;
        let path = folder.mark();
        let (mut mark, acknowledged) =
            Mark::open(&path).map_err(|error| folder::system(&path, &error))?;
        let damaged = |error: StoreError| damaged(&options.folder, error);
        let store = Arc::new(Store::open(&folder.store()).map_err(damaged)?);
        let found = store.state().map_err(damaged)?;
        let log = found.unwrap_or_else(|| LogRecord::new(options.epoch));
        let boot = Boot::new(folder.boot());
        let of_boot = |error: io::Error| folder::system(&folder.boot(), &error);
        let may_have_lost = boot.may_have_lost().map_err(of_boot)?;
        let volatile = options.retention.volatile();
        let log = whole(log, acknowledged, may_have_lost, &options)?.resumed(volatile.as_ref());
        if found != Some(log) {
            store.begin(log).map_err(damaged)?;
        }
        boot.begin(options.sync).map_err(of_boot)?;
        let (book, view) = Book::load(Arc::clone(&store), log, options.retention, options.bounds)
            .map_err(damaged)?;
        mark.note(log.head);
        let ground = Arc::new(Ground {
            view: Mutex::new(view),
            store,
            folder,
            epoch: log.epoch,
            looks,
            free_bytes_min: options.free_bytes_min,
            failure: OnceLock::new(),
            is_crowded: AtomicBool::new(false),
            commits: Histogram::default(),
        });
        ground.look_for_room();
        let inbox = Arc::new(Inbox::new());
        let writer = Writer {
            ground: Arc::clone(&ground),
            inbox: Arc::clone(&inbox),
            book,
            mark,
            committed: log.head,
            sink,
            clock: Arc::clone(&options.clock),
            sync: options.sync,
            chores: Chores::default(),
        };
        let system = |error| folder::system(&options.folder, &error);
        let readers = Readers::start(READERS).map_err(system)?;
        let thread = std::thread::Builder::new().name("disk-write".into());
        let writer = thread.spawn(move || writer.run()).map_err(system)?;
        let (writer, clock) = (Some(writer), options.clock);
        Ok(Arc::new(Self { ground, inbox, readers, writer, boot, clock }))
    }

    /// The same, looking at so many topics and entries in one read.
    #[cfg(test)]
    pub(super) fn open_looking(
        options: Options,
        sink: Arc<dyn Sink>,
        (topics_max, entries_max): (usize, usize),
    ) -> Result<Arc<Self>, FolderError> {
        Self::open_with(options, sink, Looks { topics_max, entries_max })
    }

    /// True when nothing but the state of the log is on disk.
    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        self.ground.store.is_blank()
    }

    /// Could a folder be used? Nothing is changed.
    pub fn check(folder: &Path) -> Result<(), FolderError> {
        folder::check(folder)
    }

    fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Reply<T> {
        let (answer, later) = oneshot::channel();
        let request = request(answer);
        if let Some(failure) = self.ground.failure() {
            return Reply::now(Err(unavailable(failure, request.may_be_known())));
        }
        if let Err(inbox::Full) = self.inbox.push(request) {
            let reason = "the disk is slower than the publishers".into();
            return Reply::now(Err(unavailable(reason, false)));
        }
        Reply::Later(later)
    }

    /// Has a read done by another thread, once nothing is past its age.
    fn read_later<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Ground) -> Result<T, Error> + Send + 'static,
    ) -> Reply<T> {
        let ground = Arc::clone(&self.ground);
        let (inbox, clock) = (Arc::clone(&self.inbox), Arc::clone(&self.clock));
        self.readers.read(move || {
            ground.freshen(&inbox, clock());
            read(&ground)
        })
    }
}

/// The log, if all that was acknowledged is in it; otherwise another one that goes on after it.
fn whole(
    log: LogRecord,
    acknowledged: u64,
    may_have_lost: bool,
    options: &Options,
) -> Result<LogRecord, FolderError> {
    let path = options.folder.display().to_string();
    if log.head >= acknowledged {
        if !may_have_lost {
            return Ok(log);
        }
        tracing::warn!(
            "{path}: the machine went down while data.sync was not \"always\": acknowledged \
             messages may be missing at the end of the log; it goes on after message {}, and \
             cursors from before are expired",
            log.head
        );
        return Ok(LogRecord { epoch: options.epoch, ..log });
    }
    if !options.accept_loss {
        return Err(FolderError::Short { path, found: log.head, acknowledged });
    }
    tracing::error!(
        "{path}: messages {} to {acknowledged} had been acknowledged and are lost; the log goes \
         on without them, and cursors from before are expired",
        log.head + 1
    );
    Ok(LogRecord { epoch: options.epoch, head: acknowledged, ..log })
}

fn damaged(folder: &Path, error: StoreError) -> FolderError {
    FolderError::Damaged { path: folder.display().to_string(), reason: error.0 }
}

impl Engine for Disk {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn epoch(&self) -> Epoch {
        self.ground.epoch
    }

    fn head(&self) -> Sequence {
        Sequence(self.ground.view.lock().head)
    }

    fn append(&self, publish: Publish) -> Reply<Receipt> {
        self.ask(|answer| Request::Append(publish, answer))
    }

    fn append_many(&self, publishes: Vec<Publish>) -> Reply<Vec<Result<Receipt, Error>>> {
        self.ask(|answer| Request::AppendMany(publishes, answer))
    }

    fn compact(&self, snapshot: Draft, upto: Sequence) -> Reply<Receipt> {
        self.ask(|answer| Request::Compact(snapshot, upto, answer))
    }

    fn read(&self, filters: &Filters, from: ReadFrom, limit: Limit) -> Reply<Batch> {
        let filters = filters.clone();
        self.read_later(move |ground| {
            let reading = ground.survey(|view| view.survey(&filters, from, ground.looks))?;
            Ok(reading.forward(&filters, limit)?)
        })
    }

    fn read_back(&self, filters: &Filters, before: Option<Sequence>, limit: Limit) -> Reply<Batch> {
        let filters = filters.clone();
        self.read_later(move |ground| {
            let reading =
                ground.survey(|view| Ok(view.survey_back(&filters, before, ground.looks)))?;
            Ok(reading.back(&filters, limit)?)
        })
    }

    fn before_time(&self, time: Timestamp) -> Reply<Sequence> {
        self.read_later(move |ground| {
            let marked = ground.view.lock().times.before(time);
            let reading = ground.survey(|view| Ok(view.survey_all()))?;
            Ok(Sequence(reading.before_time(time)?.max(marked)))
        })
    }

    fn last(&self, filters: &Filters, count: usize, accept: Accept) -> Reply<Batch> {
        let filters = filters.clone();
        self.read_later(move |ground| {
            let reading = ground.survey(|view| Ok(view.survey_last(&filters)))?;
            Ok(reading.last(count, &accept)?)
        })
    }

    fn topics(&self, matching: &Filter, after: Option<&str>, count: usize) -> Vec<Kept> {
        let mut view = self.ground.view.lock();
        let mut found = Vec::new();
        let mut after: Option<Box<str>> = after.map(Into::into);
        loop {
            let mut looked = 0;
            let mut last = None;
            for shown in view.topics.named(matching, after.as_deref()).take(LISTED_AT_ONCE) {
                if found.len() == count {
                    return found;
                }
                if matching.matches(&shown.topic) {
                    found.extend(view.kept(shown));
                }
                last = Some(shown.topic.as_str().into());
                looked += 1;
            }
            if looked < LISTED_AT_ONCE {
                return found;
            }
            after = last;
            MutexGuard::bump(&mut view);
        }
    }

    fn topic(&self, topic: &Topic) -> Option<Kept> {
        let view = self.ground.view.lock();
        view.topics.get(topic).and_then(|shown| view.kept(shown))
    }

    fn purge(&self, topic: &Topic) -> Reply<u64> {
        self.ask(|answer| Request::Purge(topic.clone(), answer))
    }

    fn sweep(&self) {
        self.inbox.note(|waiting| waiting.is_swept = true);
    }

    fn set_retention(&self, retention: Retention) {
        self.inbox.note(|waiting| waiting.retention = Some(retention));
    }

    fn set_bounds(&self, bounds: Bounds) {
        self.inbox.note(|waiting| waiting.bounds = Some(bounds));
    }

    fn is_full(&self) -> bool {
        self.inbox.is_filling()
    }

    fn trouble(&self) -> Option<String> {
        let crowded = || "the disk is nearly full".to_owned();
        self.ground.failure().or_else(|| self.ground.is_crowded().then(crowded))
    }

    fn commit_seconds(&self) -> HistogramSnapshot {
        self.ground.commits.snapshot()
    }

    fn kept_bytes(&self) -> u64 {
        self.ground.view.lock().bytes
    }

    fn kept_topics(&self) -> u64 {
        self.ground.view.lock().filled
    }
}

impl Drop for Disk {
    /// What was asked before is done, and the folder is free for another process.
    fn drop(&mut self) {
        self.inbox.note(|waiting| waiting.is_closed = true);
        if let Some(writer) = self.writer.take() {
            // It says itself what went wrong.
            let is_whole = writer.join().is_ok() && self.ground.failure().is_none();
            // What is left of the file costs an epoch at the next boot, and no message.
            let _ = if is_whole { self.boot.end() } else { Ok(()) };
        }
    }
}
