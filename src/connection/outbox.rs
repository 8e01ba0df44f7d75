//! What waits for one socket: bounded, in order, with a policy for subscribers that are slow.
//!
//! The fast path is a push to a ring. Only when a push would exceed a bound does the outbox look
//! at policies: it then indexes what waits once and keeps the index until it is empty again, so
//! that a slow subscriber costs no more per message than a quick one.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::operation::Slot;
use crate::broker::rules::Overflow;
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::plan::projection::Encoded;

/// The bounds of an outbox, for the results of subscriptions; a single one may be larger when no
/// other waits. Answers that the client asked for are not counted against them: no more is read
/// from a client while much waits for it, so that there is one too large answer at the most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes on the wire.
    pub(super) bytes_max: usize,
    /// Results and frames.
    pub(super) messages_max: usize,
}

/// Dropped entries whose places may stand empty before the ring is compacted.
const GONE_MAX: usize = 64;

/// A result for all members of a feed.
#[derive(Debug)]
pub(super) struct Shared {
    /// Its bytes.
    pub(super) encoded: Arc<Encoded>,
    /// The message that it shows.
    pub(super) message: Arc<Message>,
    /// What may happen to it when the subscriber is slow.
    pub(super) overflow: Overflow,
}

/// Results for one subscription after each other, shared by all who catch up from one place.
pub(super) type Run = Rc<[Rc<Shared>]>;

/// One thing to write.
#[derive(Debug)]
pub(super) enum Entry {
    /// A result of a subscription: the operation's head goes in front of the shared bytes.
    Result {
        /// Whose.
        slot: Slot,
        /// What.
        shared: Rc<Shared>,
        /// Where the subscriber goes on with it: at its message, unless others are held back.
        position: Sequence,
        /// Bytes on the wire.
        bytes: u32,
    },
    /// Results of a subscription that no policy may drop.
    Run {
        /// Whose.
        slot: Slot,
        /// What.
        run: Run,
        /// Bytes on the wire.
        bytes: u32,
    },
    /// A whole frame for this connection alone; the operation, if named, ends with it.
    Frame {
        /// The frame.
        bytes: Box<[u8]>,
        /// The operation that is over once this is written.
        ends: Option<Slot>,
    },
    /// Was dropped.
    Gone,
}

/// The push would exceed a bound, and no policy allows to make room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The entries of one connection.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Of these, bytes of results.
    result_bytes: usize,
    /// Results and frames in entries that are not [`Entry::Gone`].
    waiting: usize,
    /// Entries popped since the ring was last empty: turns a position into an index.
    popped: u64,
    index: Option<Box<Index>>,
}

/// Where the entries are that may go.
#[derive(Debug, Default)]
struct Index {
    drop_oldest: VecDeque<u64>,
    conflate: FxHashMap<(Slot, Box<str>), u64>,
}

impl Outbox {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Results and frames that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Adds a result. `dropped` is told whose results had to go for it.
    pub(super) fn push_result(
        &mut self,
        (slot, position): (Slot, Sequence),
        shared: &Rc<Shared>,
        bytes: u32,
        limits: Limits,
        dropped: &mut impl FnMut(Slot, Overflow),
    ) -> Result<(), Full> {
        if self.index.is_some() || !self.fits(bytes as usize, limits) {
            self.make_room(slot, shared, bytes as usize, limits, dropped)?;
        }
        let shared = shared.clone();
        self.add(Entry::Result { slot, shared, position, bytes }, bytes as usize);
        Ok(())
    }

    /// Adds the results of a run, if there is room for all of them.
    pub(super) fn push_run(
        &mut self,
        slot: Slot,
        run: &Run,
        bytes: u32,
        limits: Limits,
    ) -> Result<(), Full> {
        let has_places = self.waiting + run.len() <= limits.messages_max;
        if !has_places || self.result_bytes + bytes as usize > limits.bytes_max {
            return Err(Full);
        }
        self.add(Entry::Run { slot, run: run.clone(), bytes }, bytes as usize);
        Ok(())
    }

    /// Adds a frame, after the results that wait.
    pub(super) fn push_frame(
        &mut self,
        bytes: Box<[u8]>,
        ends: Option<Slot>,
        limits: Limits,
    ) -> Result<(), Full> {
        let size = bytes.len();
        if self.waiting >= limits.messages_max {
            return Err(Full);
        }
        self.add(Entry::Frame { bytes, ends }, size);
        Ok(())
    }

    /// The next entry to write.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        while let Some(entry) = self.entries.pop_front() {
            self.popped += 1;
            let size = entry.size();
            if let Some(size) = size {
                self.bytes -= size;
                self.waiting -= entry.count();
                if entry.has_results() {
                    self.result_bytes -= size;
                }
            }
            if self.entries.is_empty() {
                self.index = None;
                self.popped = 0;
            }
            if size.is_some() {
                return Some(entry);
            }
        }
        None
    }

    /// Drops everything: the connection is about to close.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The ring of an empty outbox, so that others can use its memory.
    pub(super) fn give_ring(&mut self) -> VecDeque<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Takes a ring to use; this outbox has to be empty.
    pub(super) fn take_ring(&mut self, ring: VecDeque<Entry>) {
        self.entries = ring;
    }

    /// True when the next push would have to allocate a ring.
    pub(super) fn has_no_ring(&self) -> bool {
        self.entries.capacity() == 0
    }

    fn fits(&self, size: usize, limits: Limits) -> bool {
        self.waiting < limits.messages_max
            && (self.result_bytes == 0 || self.result_bytes + size <= limits.bytes_max)
    }

    fn add(&mut self, entry: Entry, size: usize) {
        if let Some(index) = &mut self.index {
            index.add(&entry, self.popped + self.entries.len() as u64);
        }
        if entry.has_results() {
            self.result_bytes += size;
        }
        self.waiting += entry.count();
        self.bytes += size;
        self.entries.push_back(entry);
    }

    /// Drops what the policies allow until the new result fits.
    fn make_room(
        &mut self,
        slot: Slot,
        shared: &Shared,
        size: usize,
        limits: Limits,
        dropped: &mut impl FnMut(Slot, Overflow),
    ) -> Result<(), Full> {
        let mut index = match self.index.take() {
            Some(index) => index,
            None => Box::new(self.build_index(dropped)),
        };
        if index.conflate.len() > 2 * limits.messages_max {
            // What has been written since still has its entry; new keys must not pile up.
            index.conflate.retain(|_, position| *position >= self.popped);
        }
        if shared.overflow == Overflow::Conflate {
            let key = (slot, shared.message.conflation_key().into());
            if let Some(position) = index.conflate.remove(&key) {
                self.drop_at(position, dropped);
            }
        }
        while !self.fits(size, limits) {
            let Some(position) = index.drop_oldest.pop_front() else { return Err(Full) };
            self.drop_at(position, dropped);
        }
        self.index = Some(index);
        if self.entries.len() > 2 * self.waiting + GONE_MAX {
            self.compact();
        }
        Ok(())
    }

    /// Takes the places of dropped entries out: a socket that takes nothing would keep them.
    fn compact(&mut self) {
        self.entries.retain(|entry| !matches!(entry, Entry::Gone));
        self.popped = 0;
        // Nothing is replaced by this: of entries that conflate, only the newest were left.
        self.index = Some(Box::new(self.build_index(&mut |_, _| {})));
    }

    /// Indexes what waits; of several that may be conflated, only the newest stays.
    fn build_index(&mut self, dropped: &mut impl FnMut(Slot, Overflow)) -> Index {
        let mut index = Index::default();
        let mut replaced = Vec::new();
        for (offset, entry) in self.entries.iter().enumerate() {
            replaced.extend(index.add(entry, self.popped + offset as u64));
        }
        for position in replaced {
            self.drop_at(position, dropped);
        }
        index
    }

    fn drop_at(&mut self, position: u64, dropped: &mut impl FnMut(Slot, Overflow)) {
        // A position before `popped` has been written already.
        let offset = position.checked_sub(self.popped).and_then(|at| usize::try_from(at).ok());
        let Some(entry) = offset.and_then(|at| self.entries.get_mut(at)) else { return };
        if let Entry::Result { slot, shared, bytes, .. } = std::mem::replace(entry, Entry::Gone) {
            self.bytes -= bytes as usize;
            self.result_bytes -= bytes as usize;
            self.waiting -= 1;
            dropped(slot, shared.overflow);
        }
    }
}

impl Index {
    /// Returns the position that the entry replaces.
    fn add(&mut self, entry: &Entry, position: u64) -> Option<u64> {
        let Entry::Result { slot, shared, .. } = entry else { return None };
        match shared.overflow {
            Overflow::Disconnect => None,
            Overflow::DropOldest => {
                self.drop_oldest.push_back(position);
                None
            }
            Overflow::Conflate => {
                let key = (*slot, shared.message.conflation_key().into());
                self.conflate.insert(key, position)
            }
        }
    }
}

impl Entry {
    fn size(&self) -> Option<usize> {
        match self {
            Self::Result { bytes, .. } | Self::Run { bytes, .. } => Some(*bytes as usize),
            Self::Frame { bytes, .. } => Some(bytes.len()),
            Self::Gone => None,
        }
    }

    /// Results and frames in it.
    fn count(&self) -> usize {
        match self {
            Self::Result { .. } | Self::Frame { .. } => 1,
            Self::Run { run, .. } => run.len(),
            Self::Gone => 0,
        }
    }

    fn has_results(&self) -> bool {
        matches!(self, Self::Result { .. } | Self::Run { .. })
    }
}

#[cfg(test)]
mod model;
