//! The embedded store: six ordered maps on disk, written together or not at all, and two in memory
//! for what is never written.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use fjall::{
    Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot as At,
    UserKey, UserValue,
};
use parking_lot::Mutex;
use rpds::RedBlackTreeMapSync;

use super::manifest;
use super::record::{Garbled, Key, LogRecord, TopicId, key};
use super::volatile::is_volatile;

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
    /// As [`Space::Log`] and [`Space::Index`], in memory.
    VolatileLog,
    VolatileIndex,
}

/// Those on disk. The others follow them.
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
    /// Guards the maps in memory: only the writer's thread and starts ask for them.
    memory: Mutex<Memory>,
}

/// Maps that share what is equal in them, so that a copy costs nothing.
type Memory = [RedBlackTreeMapSync<Key, UserValue>; 2];

/// What a round changes, the last word on each key; nothing is on disk yet.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(Space, Key), Option<Vec<u8>>>);

/// The store as it was at one moment, whatever is written meanwhile.
pub(super) struct Snapshot {
    at: At,
    spaces: [Keyspace; 6],
    memory: Memory,
}

pub(super) type Entry = Result<(UserKey, UserValue), StoreError>;

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
            Ok(Self { database, spaces, memory: Mutex::default() })
        };
        std::panic::catch_unwind(AssertUnwindSafe(open))
            .unwrap_or_else(|panic| Err(StoreError(said(&*panic))))
    }

    /// Makes all changes at once. The operating system then has those for the disk, and with `sync`
    /// the disk; when there are none, nothing is written.
    pub(super) fn commit(&self, mut changes: Changes, sync: bool) -> Result<(), StoreError> {
        let volatile = changes.0.split_off(&(Space::VolatileLog, Key::new()));
        if !changes.0.is_empty() {
            let mut batch = self.database.batch();
            for ((space, key), value) in changes.0 {
                let space = &self.spaces[space as usize];
                match value {
                    Some(value) => batch.insert(space, key.as_slice(), value),
                    None => batch.remove(space, key.as_slice()),
                }
            }
            let mode = if sync { PersistMode::SyncData } else { PersistMode::Buffer };
            batch.durability(Some(mode)).commit()?;
        }
        let mut memory = self.memory.lock();
        for ((space, key), value) in volatile {
            let Some(map) = space.in_memory().and_then(|at| memory.get_mut(at)) else { continue };
            match value {
                Some(value) => map.insert_mut(key, value.into()),
                None => drop(map.remove_mut(&key)),
            }
        }
        Ok(())
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
        let is_empty = snapshot.memory.iter().all(RedBlackTreeMapSync::is_empty);
        is_empty && spaces[..5] == [0; 5] && remains.is_none_or(|remains| remains.is_empty())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let memory = self.memory.lock().clone();
        Snapshot { at: self.database.snapshot(), spaces: self.spaces.clone(), memory }
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

    /// Is there anything to be written to disk?
    pub(super) fn are_for_disk(&self) -> bool {
        // Maps on disk come first.
        self.0.first_key_value().is_some_and(|((space, _), _)| space.in_memory().is_none())
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
    pub(super) fn get(&self, space: Space, key: &Key) -> Result<Option<UserValue>, StoreError> {
        if let Some(at) = space.in_memory() {
            return Ok(self.memory[at].get(key).cloned());
        }
        Ok(self.at.get(&self.spaces[space as usize], key.as_slice())?)
    }

    /// Entries whose keys are from one to another.
    pub(super) fn between(
        &self,
        space: Space,
        from: &Key,
        upto: &Key,
    ) -> impl DoubleEndedIterator<Item = Entry> + use<'_> {
        // The libraries' iterators panic on a range that is the wrong way round.
        let at = (from <= upto).then(|| space.in_memory().ok_or(space as usize));
        let stored = at.and_then(Result::err).map(|at| {
            let range = from.as_slice()..=upto.as_slice();
            self.at.range(&self.spaces[at], range).map(entry)
        });
        let held = at.and_then(Result::ok).map(|at| {
            let entries = self.memory[at].range(from.clone()..=upto.clone());
            entries.map(|(key, value)| Ok((key.as_slice().into(), value.clone())))
        });
        stored.into_iter().flatten().chain(held.into_iter().flatten())
    }

    pub(super) fn all(&self, space: Space) -> impl DoubleEndedIterator<Item = Entry> + use<> {
        self.at.iter(&self.spaces[space as usize]).map(entry)
    }
}

impl Space {
    /// Where a topic's messages are.
    pub(super) fn log(topic: TopicId) -> Self {
        if is_volatile(topic) { Self::VolatileLog } else { Self::Log }
    }

    /// Where their index is.
    pub(super) fn index(topic: TopicId) -> Self {
        if is_volatile(topic) { Self::VolatileIndex } else { Self::Index }
    }

    /// Which of the maps in memory it is; `None` for one on disk.
    fn in_memory(self) -> Option<usize> {
        (self as usize).checked_sub(SPACES.len())
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
