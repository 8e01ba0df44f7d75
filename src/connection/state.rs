//! Everything that one shard owns: its connections, its members of feeds, its work lists.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use slab::Slab;
use tokio::sync::Notify;

use super::answer::Lane;
use super::compress::Compression;
use super::member::{Feeds, Push};
use super::operation::{Operation, Slot};
use super::outbox::Outbox;
use super::registry::{self, Permit};
use super::replay::Beginning;
use super::results::Results;
use super::rings::Rings;
use super::runs::Runs;
use super::shard::Shard;
use super::socket::Socket;
use super::timer::Timers;
use crate::graphql::Caller;
use crate::protocol::session::Session;
use crate::websocket::assemble::Assembler;

/// Names a connection of a shard; a used one is never valid again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) index: usize,
    pub(super) serial: u32,
}

/// The state of one shard.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Boxed: a table that doubles would hold as much again.
    pub(super) connections: Slab<Box<Connection>>,
    pub(super) feeds: Feeds,
    /// Connections that have something to write.
    pub(super) dirty: Vec<usize>,
    /// Rings of outboxes that are empty.
    pub(super) rings: Rings,
    /// Results that several members may want.
    pub(super) results: Results,
    /// Results that many members want after each other.
    pub(super) runs: Runs,
    pub(super) timers: Timers,
    /// Catch-ups that what is being read has asked for.
    pub(super) beginning: VecDeque<Beginning>,
    /// Connections whose outbox overflowed while an event was delivered.
    pub(super) slow: Vec<usize>,
    pub(super) next_serial: u32,
    /// Bytes in all outboxes that the counters do not show yet.
    pub(super) outbox_bytes_change: i64,
    pub(super) is_draining: bool,
}

/// A shard's state in parts that can be borrowed side by side.
type Parts<'a> = (&'a Feeds, &'a mut Slab<Box<Connection>>, Push<'a>);

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) serial: u32,
    pub(super) socket: Rc<Socket>,
    pub(super) session: Box<Session>,
    pub(super) assembler: Assembler,
    pub(super) compression: Option<Compression>,
    pub(super) outbox: Outbox,
    /// The rest of a write that the socket did not take.
    pub(super) unsent: Vec<u8>,
    /// A task waits until the socket is writable.
    pub(super) is_blocked: bool,
    pub(super) is_dirty: bool,
    pub(super) operations: Slab<Operation>,
    pub(super) next_operation: u32,
    pub(super) lane: Option<Box<Lane>>,
    pub(super) phase: Phase,
    pub(super) heard_at: Instant,
    pub(super) ping_at: Instant,
    /// When a drain closes it.
    pub(super) drain_at: Option<Instant>,
    /// When the shard's timer looks at it next.
    pub(super) scheduled: Option<Instant>,
    /// Tasks that wait for room in the outbox or the lane.
    pub(super) room: Option<Rc<Notify>>,
    pub(super) caller: Arc<Caller>,
    pub(super) entry: Arc<registry::Entry>,
    pub(super) _permit: Permit,
}

/// Where a connection stands in its closing handshake (RFC 6455, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Messages go both ways.
    Open,
    /// Our close frame is on its way; the peer's is awaited.
    Closing {
        /// The socket is dropped at this time at the latest.
        until: Instant,
    },
    /// Both close frames are on their way: once ours is written the socket is dropped.
    Closed {
        /// The socket is dropped at this time at the latest.
        until: Instant,
    },
    /// The peer broke the protocol: once our close frame is written no more is sent, and what
    /// comes is passed over until the peer ends or the time is up.
    Failed {
        /// The socket is dropped at this time at the latest.
        until: Instant,
    },
}

impl State {
    /// The connection, if it is still there.
    pub(super) fn connection(&mut self, key: Key) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(key.index)?;
        (connection.serial == key.serial).then_some(&mut **connection)
    }

    /// The feeds, the connections, and what a push to one of them needs beside it.
    pub(super) fn split<'a>(&'a mut self, shard: &'a Shard) -> Parts<'a> {
        let push = Push {
            shard,
            rings: &mut self.rings,
            results: &mut self.results,
            runs: &mut self.runs,
            timers: &mut self.timers,
            dirty: &mut self.dirty,
            slow: &mut self.slow,
            bytes: &mut self.outbox_bytes_change,
        };
        (&self.feeds, &mut self.connections, push)
    }

    /// Notes that a connection has something to write.
    pub(super) fn mark_dirty(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index)
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }
}

impl Connection {
    /// Its name within the shard.
    pub(super) fn key(&self, index: usize) -> Key {
        Key { index, serial: self.serial }
    }

    /// The operation, if it still runs.
    pub(super) fn operation(&mut self, slot: Slot) -> Option<&mut Operation> {
        let operation = self.operations.get_mut(slot.index as usize);
        operation.filter(|operation| operation.serial == slot.serial && !operation.is_over)
    }

    /// Open subscriptions.
    pub(super) fn subscriptions(&self) -> usize {
        let count = self.entry.subscriptions.load(Ordering::Relaxed);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Bytes that wait for the socket.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.outbox.bytes() + self.unsent.len()
    }

    /// Tells the directory what administrators see.
    pub(super) fn publish_figures(&self) {
        self.entry.outbox_bytes.store(self.waiting_bytes() as u64, Ordering::Relaxed);
    }

    /// Tells those who wait that there is room again.
    pub(super) fn tell_room(&self) {
        if let Some(room) = &self.room {
            room.notify_waiters();
        }
    }
}
