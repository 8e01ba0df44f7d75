//! The embedded store: six ordered maps, written together or not at all.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use fjall::{
    Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot as At,
};

use super::manifest;
use super::record::{Garbled, Key, LogRecord, key};

/// The maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Space {
    /// Sequence → message.
    Log,
    /// Topic and sequence → [`Stub`](super::record::Stub).
    Index,
    /// Topic → [`TopicRecord`](super::record::TopicRecord).
    Topics,
    /// Sequence → [`IdRecord`](super::record::IdRecord).
    Ids,
    /// Sequence → topic, of messages that newer ones stand for.
    Replaced,
    /// What holds for the log as a whole.
    State,
}

const SPACES: [(Space, &str); 6] = [
    (Space::Log, "log"),
    (Space::Index, "index"),
    (Space::Topics, "topics"),
    (Space::Ids, "ids"),
    (Space::Replaced, "replaced"),
    (Space::State, "state"),
];

/// Keys of [`Space::State`].
pub(super) const STATE: u64 = 0;
pub(super) const REMAINS: u64 = 1;

/// Blocks of files that stay in memory.
const CACHE_BYTES: u64 = 64 << 20;
/// The store's own journals; a start reads them, so they bound how long it takes.
const JOURNAL_BYTES: u64 = 64 << 20;
const MEMTABLE_BYTES: u64 = 16 << 20;

/// The store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(pub(super) String);

/// The open store.
pub(super) struct Store {
    database: Database,
    spaces: [Keyspace; 6],
}

/// What a round changes, the last word on each key; nothing is on disk yet.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(Space, Key), Option<Vec<u8>>>);

/// The store as it was at one moment, whatever is written meanwhile.
pub(super) struct Snapshot {
    at: At,
    spaces: [Keyspace; 6],
}

pub(super) type Entry = Result<(fjall::UserKey, fjall::UserValue), StoreError>;

impl Store {
    /// Opens or makes a store; a damaged one may make the library panic, which is an error here.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        manifest::check(path)?;
        let open = || -> Result<Self, StoreError> {
            let database = Database::builder(path)
                .cache_size(CACHE_BYTES)
                .max_journaling_size(JOURNAL_BYTES)
                .manual_journal_persist(true)
                .open()?;
            let open = |(_, name)| {
                let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
                database.keyspace(name, options)
            };
            let [log, index, topics, ids, replaced, state] = SPACES.map(open);
            let spaces = [log?, index?, topics?, ids?, replaced?, state?];
            Ok(Self { database, spaces })
        };
        std::panic::catch_unwind(AssertUnwindSafe(open))
            .unwrap_or_else(|panic| Err(StoreError(said(&*panic))))
    }

    /// Writes all changes at once; the operating system has them then, and with `sync` the disk.
    pub(super) fn commit(&self, changes: Changes, sync: bool) -> Result<(), StoreError> {
        let mut batch = self.database.batch();
        for ((space, key), value) in changes.0 {
            let space = &self.spaces[space as usize];
            match value {
                Some(value) => batch.insert(space, key.as_slice(), value),
                None => batch.remove(space, key.as_slice()),
            }
        }
        let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
        Ok(batch.durability(Some(mode)).commit()?)
    }

    /// Writes what holds for a log that begins or goes on anew.
    pub(super) fn begin(&self, log: LogRecord) -> Result<(), StoreError> {
        let mut changes = Changes::default();
        changes.put(Space::State, key(STATE), log.encode());
        self.commit(changes, true)
    }

    /// What was written before is on disk then.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    /// True when no map has anything but the state of the log.
    #[cfg(test)]
    pub(super) fn is_blank(&self) -> bool {
        let snapshot = self.snapshot();
        let spaces = SPACES.map(|(space, _)| snapshot.all(space).count());
        let remains = snapshot.get(Space::State, &key(REMAINS)).unwrap();
        spaces[..5] == [0; 5] && remains.is_none_or(|remains| remains.is_empty())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { at: self.database.snapshot(), spaces: self.spaces.clone() }
    }

    /// What the log as a whole is; `None` in a store that is new.
    pub(super) fn state(&self) -> Result<Option<LogRecord>, StoreError> {
        let bytes = self.snapshot().get(Space::State, &key(STATE))?;
        Ok(bytes.map(|bytes| LogRecord::decode(&bytes)).transpose()?)
    }
}

impl Changes {
    pub(super) fn put(&mut self, space: Space, key: Key, value: Vec<u8>) {
        self.0.insert((space, key), Some(value));
    }

    pub(super) fn remove(&mut self, space: Space, key: Key) {
        self.0.insert((space, key), None);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Changes of keys from one to another.
    pub(super) fn between(
        &self,
        space: Space,
        from: Key,
        upto: Key,
    ) -> impl Iterator<Item = (&Key, Option<&[u8]>)> {
        let range = self.0.range((space, from)..=(space, upto));
        range.map(|((_, key), value)| (key, value.as_deref()))
    }
}

impl Snapshot {
    pub(super) fn get(
        &self,
        space: Space,
        key: &Key,
    ) -> Result<Option<fjall::UserValue>, StoreError> {
        Ok(self.at.get(&self.spaces[space as usize], key.as_slice())?)
    }

    /// Entries whose keys are from one to another.
    pub(super) fn between(
        &self,
        space: Space,
        from: &Key,
        upto: &Key,
    ) -> impl DoubleEndedIterator<Item = Entry> + use<> {
        let range = from.as_slice()..=upto.as_slice();
        // The library's iterators panic on a range that is the wrong way round.
        let is_empty = from > upto;
        let entries = (!is_empty).then(|| self.at.range(&self.spaces[space as usize], range));
        entries.into_iter().flatten().map(entry)
    }

    pub(super) fn all(&self, space: Space) -> impl DoubleEndedIterator<Item = Entry> + use<> {
        self.at.iter(&self.spaces[space as usize]).map(entry)
    }
}

fn entry(guard: Guard) -> Entry {
    Ok(guard.into_inner()?)
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the store cannot be read: {}", text.unwrap_or("it gave up"))
}

impl From<fjall::Error> for StoreError {
    fn from(error: fjall::Error) -> Self {
        Self(match error {
            fjall::Error::Io(error) => error.to_string(),
            fjall::Error::Poisoned => "an earlier write failed".into(),
            other => other.to_string(),
        })
    }
}

impl From<Garbled> for StoreError {
    fn from(garbled: Garbled) -> Self {
        Self(garbled.to_string())
    }
}

/// The store as all threads share it.
pub(super) type Shared = Arc<Store>;
