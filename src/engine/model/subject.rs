//! The engines that are set beside the naive one.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use super::now;
use super::steps::{filters, mixed, retention};
use crate::engine::disk::{self, Disk};
use crate::engine::memory::{self, Memory};
use crate::engine::retention::Retention;
use crate::engine::{Bounds, Engine, Limit, Sink};
use crate::message::cursor::{Epoch, Sequence};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Memory,
    Disk,
    /// The disk, where some topics are not for it.
    Mixed,
}

impl Kind {
    /// Some rules of what is kept.
    pub(super) fn rules(self, number: usize) -> Retention {
        if self == Self::Mixed { mixed(number) } else { retention(number) }
    }
}

/// The engine, and what it takes to make it once more.
pub(super) struct Subject {
    engine: Made,
    looks: (usize, usize),
    clock: Arc<AtomicI64>,
    sink: Arc<dyn Sink>,
    folder: TempDir,
}

enum Made {
    Memory(Arc<Memory>),
    Disk(Arc<Disk>),
    /// Between two lives.
    Stopped,
}

impl Subject {
    pub(super) fn new(
        kind: Kind,
        bounds: Bounds,
        looks: (usize, usize),
        clock: Arc<AtomicI64>,
        sink: Arc<dyn Sink>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut subject = Self { engine: Made::Stopped, looks, clock, sink, folder };
        subject.engine = match kind {
            Kind::Memory => {
                let (epoch, retention, clock) = (Epoch::new(7), retention(0), subject.clock());
                let options = memory::Options { epoch, retention, bounds, clock };
                let memory = Memory::new(options, Arc::clone(&subject.sink));
                memory.look(looks.0, looks.1);
                Made::Memory(memory)
            }
            Kind::Disk | Kind::Mixed => Made::Disk(subject.open(kind.rules(0), bounds)),
        };
        // A start begins with a sweep.
        subject.settle();
        subject
    }

    fn open(&self, retention: Retention, bounds: Bounds) -> Arc<Disk> {
        let options = disk::Options {
            folder: self.folder.path().to_owned(),
            epoch: Epoch::new(7),
            retention,
            bounds,
            clock: self.clock(),
            // A process that ends on its own terms needs no more.
            sync: disk::Sync::Never,
            free_bytes_min: 0,
            accept_loss: false,
        };
        Disk::open_looking(options, Arc::clone(&self.sink), self.looks).unwrap()
    }

    fn clock(&self) -> memory::Clock {
        let time = Arc::clone(&self.clock);
        Arc::new(move || Timestamp::from_micros(time.load(Ordering::Relaxed)))
    }

    /// Waits until the engine has done what it does later, and has forgotten what is too old.
    pub(super) fn settle(&self) {
        if let Made::Disk(disk) = &self.engine {
            let nowhere = Topic::parse("is.never.used").unwrap();
            assert_eq!(now(disk.purge(&nowhere)), Ok(0));
            let limit = Limit { messages: 1, bytes: 1 };
            now(disk.read_back(&filters(&[0]), Some(Sequence(0)), limit)).unwrap();
        }
    }

    /// Stops the engine and starts another one over what it kept; false where nothing is kept.
    pub(super) fn restart(&mut self, retention: Retention, bounds: Bounds, kill: bool) -> bool {
        if !matches!(self.engine, Made::Disk(_)) {
            return false;
        }
        if kill {
            // What the operating system has by now; a clean end would add to it.
            let left = tempfile::tempdir().unwrap();
            copy(self.folder.path(), left.path());
            self.engine = Made::Stopped;
            self.folder = left;
        }
        self.engine = Made::Stopped;
        self.engine = Made::Disk(self.open(retention, bounds));
        true
    }

    /// True when no topic, message or id is remembered anywhere.
    pub(super) fn is_blank(&self) -> bool {
        match &self.engine {
            Made::Memory(memory) => memory.is_blank(),
            Made::Disk(disk) => {
                // What is forgotten leaves the disk with the next round.
                (0..3).for_each(|_| self.settle());
                disk.is_blank()
            }
            Made::Stopped => true,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

impl Deref for Subject {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        match &self.engine {
            Made::Memory(memory) => &**memory,
            Made::Disk(disk) => &**disk,
            Made::Stopped => unreachable!("nothing is asked between two lives"),
        }
    }
}
