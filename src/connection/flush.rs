//! Writing: everything that waits for a socket goes out in as few writes as it can.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::operation::Slot;
use super::outbox::{Entry, Shared};
use super::shard::Shard;
use super::socket::Socket;
use super::splice::{write_deflated, write_result};
use super::state::{Connection, Key, Phase, State};
use crate::message::cursor::Sequence;
use crate::protocol::NEXT_TAIL;

/// A write gathers until it has so many bytes: the kernel copies them while they are in the cache.
pub(super) const WRITE_BYTES: usize = 64 << 10;

/// With so many bytes a write is worth while by itself.
const WELL_FILLED_BYTES: usize = 8 << 10;

/// A scratch buffer that one large result has grown beyond this is given back.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

/// How a flush ended.
#[derive(Debug, PartialEq, Eq)]
enum Flushed {
    /// Nothing waits any more.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The socket is broken.
    Broken,
}

impl Shard {
    /// Flushes every connection that has something.
    pub(super) fn flush(&self, state: &mut State) {
        let mut dirty = std::mem::take(&mut state.dirty);
        for index in dirty.drain(..) {
            let Some(connection) = state.connections.get_mut(index) else { continue };
            connection.is_dirty = false;
            if connection.is_blocked {
                connection.publish_figures();
            } else {
                self.flush_one(state, index);
            }
        }
        // What flushing made dirty meanwhile stays for the next round.
        if state.dirty.is_empty() {
            state.dirty = dirty;
        }
        let change = std::mem::take(&mut state.outbox_bytes_change);
        self.broker.counters().outbox_bytes.add(change);
    }

    /// Flushes a connection that has enough for a write of its own: there is little to gather any
    /// more, and what is to be written is in the cache still.
    pub(super) fn flush_well_filled(&self, state: &mut State, key: Key) {
        let Some(connection) = state.connection(key) else { return };
        if connection.is_blocked || connection.outbox.bytes() < WELL_FILLED_BYTES {
            return;
        }
        if connection.is_dirty && state.dirty.last() == Some(&key.index) {
            state.dirty.pop();
            // The borrow of before has ended.
            if let Some(connection) = state.connection(key) {
                connection.is_dirty = false;
            }
        }
        self.flush_one(state, key.index);
    }

    /// Runs for as long as the shard: flushes what tasks other than the deliverer have queued,
    /// after those that were ready before it have had their turn.
    pub(super) async fn run_flusher(self: Rc<Self>) {
        loop {
            self.dirty.notified().await;
            self.attempt(|| self.flush(&mut self.state.borrow_mut()));
        }
    }

    fn flush_one(&self, state: &mut State, index: usize) {
        let Some(connection) = state.connections.get_mut(index) else { return };
        let key = connection.key(index);
        let before = connection.waiting_bytes();
        let flushed = self.write(connection);
        let after = connection.waiting_bytes();
        state.outbox_bytes_change += super::member::bytes_change(before, after);
        connection.publish_figures();
        match flushed {
            Flushed::Broken => self.lost(state, key),
            Flushed::Blocked => {
                connection.is_blocked = true;
                let socket = connection.socket.clone();
                self.spawn(key, |this| this.unblock(key, socket));
            }
            Flushed::All => {
                connection.tell_room();
                state.rings.give(connection.outbox.give_ring());
                self.written(state, key);
            }
        }
    }

    /// Everything is written: a connection that only waited for that ends.
    fn written(&self, state: &mut State, key: Key) {
        let Some(connection) = state.connection(key) else { return };
        match connection.phase {
            Phase::Closed { .. } => self.finish(state, key),
            Phase::Failed { .. } => {
                // The peer learns that we send no more; our close frame tells it why.
                connection.socket.end_writing();
            }
            Phase::Open | Phase::Closing { .. } => {}
        }
    }

    /// Waits until a full socket takes more, until it has taken all.
    async fn unblock(self: Rc<Self>, key: Key, socket: Rc<Socket>) {
        loop {
            let writable = socket.writable().await;
            let mut state = self.state.borrow_mut();
            let Some(connection) = state.connection(key) else { return };
            connection.is_blocked = false;
            if writable.is_err() {
                return self.lost(&mut state, key);
            }
            // It takes what we send, and may be too busy with that to send anything itself.
            connection.heard_at = Instant::now();
            let before = connection.waiting_bytes();
            let flushed = self.write(connection);
            let after = connection.waiting_bytes();
            connection.publish_figures();
            state.outbox_bytes_change += super::member::bytes_change(before, after);
            match flushed {
                Flushed::Broken => return self.lost(&mut state, key),
                Flushed::Blocked => {
                    let Some(connection) = state.connection(key) else { return };
                    connection.is_blocked = true;
                    if connection.has_room(self.options()) {
                        connection.tell_room();
                    }
                }
                Flushed::All => {
                    if let Some(connection) = state.connection(key) {
                        connection.tell_room();
                    }
                    return self.written(&mut state, key);
                }
            }
        }
    }

    fn write(&self, connection: &mut Connection) -> Flushed {
        let mut scratch = self.write_scratch.borrow_mut();
        loop {
            scratch.clear();
            scratch.append(&mut connection.unsent);
            while scratch.len() < WRITE_BYTES
                && let Some(entry) = connection.outbox.pop()
            {
                self.gather(connection, entry, &mut scratch);
            }
            if scratch.is_empty() {
                connection.unsent = Vec::new();
                return match connection.socket.try_flush() {
                    Ok(true) => Flushed::All,
                    Ok(false) => Flushed::Blocked,
                    Err(_) => Flushed::Broken,
                };
            }
            let written = match connection.socket.try_write(&scratch) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return Flushed::Broken,
            };
            if written < scratch.len() {
                connection.unsent = scratch[written..].to_vec();
                return Flushed::Blocked;
            }
            if scratch.capacity() > SCRATCH_BYTES_MAX {
                *scratch = Vec::with_capacity(WRITE_BYTES * 2);
            }
        }
    }

    fn gather(&self, connection: &mut Connection, entry: Entry, out: &mut Vec<u8>) {
        match entry {
            Entry::Result { slot, shared, position, .. } => {
                self.gather_result(connection, slot, &shared, position, out);
            }
            Entry::Run { slot, run, .. } => {
                for shared in &*run {
                    let position = shared.message.cursor.sequence;
                    self.gather_result(connection, slot, shared, position, out);
                }
            }
            Entry::Frame { bytes, ends } => {
                out.extend_from_slice(&bytes);
                if let Some(slot) = ends {
                    free(connection, slot);
                }
            }
            Entry::Gone => {}
        }
    }

    fn gather_result(
        &self,
        connection: &mut Connection,
        slot: Slot,
        shared: &Shared,
        position: Sequence,
        out: &mut Vec<u8>,
    ) {
        // Of one that is over, what waits is written still; one that was stopped is gone.
        let operation = connection.operations.get_mut(slot.index as usize);
        let operation = operation.filter(|operation| operation.serial == slot.serial);
        let Some(operation) = operation else { return };
        let head = &operation.head;
        let dropped = std::mem::take(&mut operation.dropped);
        if dropped > 0 || position != shared.message.cursor.sequence {
            let mut end = self.end_scratch.borrow_mut();
            end.clear();
            shared.encoded.end_for_one(dropped, position, &mut end);
            end.extend_from_slice(NEXT_TAIL);
            write_result(head, shared.encoded.data(), &end, out);
        } else if let Some(compression) = connection.compression
            && let Some(deflated) = compression.deflated(shared, &self.deflater)
        {
            write_deflated(compression.own(head), deflated, out);
        } else {
            write_result(head, shared.encoded.bytes(), NEXT_TAIL, out);
        }
    }
}

/// Gives back the place of an operation whose last frame has been gathered.
fn free(connection: &mut Connection, slot: Slot) {
    let operation = connection.operations.get(slot.index as usize);
    if operation.is_some_and(|operation| operation.serial == slot.serial) {
        connection.operations.remove(slot.index as usize);
    }
}
