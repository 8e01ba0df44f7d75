//! The members that a shard has of each feed, and what queues a result for one of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::compress::Compression;
use super::flush::WRITE_BYTES;
use super::operation::{Member, Operation, Slot};
use super::outbox::{Full, Limits, Outbox, Run, Shared};
use super::results::Results;
use super::rings::Rings;
use super::runs::Runs;
use super::shard::Shard;
use super::splice::frame_bytes;
use super::state::{Connection, Key, State};
use super::timer::Timers;
use crate::broker::conflate::Offer;
use crate::broker::feed::{Feed, FeedId};
use crate::broker::rules::Overflow;
use crate::message::cursor::Sequence;
use crate::protocol::NEXT_TAIL;
use crate::websocket::deflate::Deflater;

/// The members of one feed on this shard.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) feed: Rc<Feed>,
    pub(super) list: Vec<Place>,
}

/// The feeds that a shard has members of, by their numbers: those are used again, so that the
/// table is as long as there were feeds at once.
#[derive(Debug, Default)]
pub(super) struct Feeds(Vec<Option<Members>>);

impl Feeds {
    pub(super) fn get(&self, id: FeedId) -> Option<&Members> {
        self.0.get(id.index())?.as_ref()
    }

    fn get_mut(&mut self, id: FeedId) -> Option<&mut Members> {
        self.0.get_mut(id.index())?.as_mut()
    }

    fn get_or_insert(&mut self, id: FeedId, feed: &Rc<Feed>) -> &mut Members {
        if self.0.len() <= id.index() {
            self.0.resize_with(id.index() + 1, || None);
        }
        self.0[id.index()].get_or_insert_with(|| Members { feed: feed.clone(), list: Vec::new() })
    }

    fn remove(&mut self, id: FeedId) {
        if let Some(place) = self.0.get_mut(id.index()) {
            *place = None;
        }
    }
}

/// One member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) connection: usize,
    pub(super) operation: u32,
    /// It has seen everything up to here.
    pub(super) from: Sequence,
}

impl State {
    /// Adds a live member that has seen everything up to `from`; one that has ended meanwhile
    /// leaves its feed again.
    pub(super) fn enter(
        &mut self,
        shard: &Shard,
        key: Key,
        slot: Slot,
        feed: &Rc<Feed>,
        live: (FeedId, Sequence),
    ) {
        let (id, from) = live;
        let connection = self.connections.get_mut(key.index).filter(|c| c.serial == key.serial);
        let Some(operation) = connection.and_then(|c| c.operation(slot)) else {
            return shard.broker.leave(id, shard.id);
        };
        let list = &mut self.feeds.get_or_insert(id, feed).list;
        operation.member = Some(Member { feed: id, place: list.len() });
        operation.is_catching_up = false;
        list.push(Place { connection: key.index, operation: slot.index, from });
    }

    /// Takes a member away.
    pub(super) fn leave(&mut self, shard: &Shard, member: Member) {
        let Some(members) = self.feeds.get_mut(member.feed) else { return };
        if member.place < members.list.len() {
            members.list.swap_remove(member.place);
        }
        if let Some(moved) = members.list.get(member.place).copied() {
            let connection = self.connections.get_mut(moved.connection);
            let operation = connection.and_then(|c| c.operations.get_mut(moved.operation as usize));
            if let Some(moved) = operation.and_then(|operation| operation.member.as_mut()) {
                moved.place = member.place;
            }
        } else if members.list.is_empty() {
            self.feeds.remove(member.feed);
        }
        shard.broker.leave(member.feed, shard.id);
    }
}

/// The parts of a shard's state that a push needs beside its connection.
pub(super) struct Push<'a> {
    pub(super) shard: &'a Shard,
    pub(super) rings: &'a mut Rings,
    pub(super) results: &'a mut Results,
    pub(super) runs: &'a mut Runs,
    pub(super) timers: &'a mut Timers,
    pub(super) dirty: &'a mut Vec<usize>,
    pub(super) slow: &'a mut Vec<usize>,
    pub(super) bytes: &'a mut i64,
}

impl Push<'_> {
    /// Queues a result for one subscription when its pace allows it.
    pub(super) fn offer(
        &mut self,
        connection: &mut Connection,
        index: usize,
        operation_index: u32,
        shared: &Rc<Shared>,
        now: Instant,
    ) -> bool {
        let operation = connection.operations.get_mut(operation_index as usize);
        let Some(operation) = operation else { return false };
        if let Some(pace) = &mut operation.pace {
            match pace.conflater.offer(&shared.message, now) {
                Offer::Send => {}
                Offer::Wait { conflated } => {
                    if conflated {
                        operation.dropped += 1;
                        connection.entry.dropped.fetch_add(1, Ordering::Relaxed);
                        self.shard.broker.counters().count_dropped("rate", 1, now);
                    }
                    let slot = Slot { index: operation_index, serial: operation.serial };
                    let key = Key { index, serial: connection.serial };
                    self.timers.schedule_pace(pace, key, slot);
                    return false;
                }
            }
        }
        self.push(connection, index, operation_index, shared, now)
    }

    /// Queues a result for one subscription, unless it repeats the last one.
    pub(super) fn push(
        &mut self,
        connection: &mut Connection,
        index: usize,
        operation_index: u32,
        shared: &Rc<Shared>,
        now: Instant,
    ) -> bool {
        let operation = connection.operations.get_mut(operation_index as usize);
        let Some(Operation { head, serial, pace, .. }) = operation else { return false };
        if let Some(pace) = pace
            && pace.conflater.repeats(&shared.message, shared.encoded.data(), now)
        {
            return false;
        }
        let own = shared.message.cursor.sequence;
        let held = pace.as_ref().filter(|_| shared.encoded.has_cursor());
        let position = held.and_then(|pace| pace.conflater.position()).unwrap_or(own);
        // What is one subscriber's own goes out as it is.
        let compression = connection.compression.filter(|_| position == own);
        let bytes = bytes_of(head, shared, compression, &self.shard.deflater);
        let slot = Slot { index: operation_index, serial: *serial };
        let before = self.prepare(&mut connection.outbox);
        let (operations, entry) = (&mut connection.operations, &connection.entry);
        let mut lost = |slot: Slot, overflow: Overflow| {
            entry.dropped.fetch_add(1, Ordering::Relaxed);
            if let Some(operation) = operations.get_mut(slot.index as usize)
                && operation.serial == slot.serial
            {
                operation.dropped += 1;
            }
            self.shard.broker.counters().count_dropped(policy(overflow), 1, now);
        };
        let limits = self.shard.outbox_limits(connection.unsent.len());
        let place = (slot, position);
        let pushed = connection.outbox.push_result(place, shared, bytes, limits, &mut lost);
        self.queued(connection, index, before);
        if pushed == Err(Full) {
            self.slow.push(index);
        }
        pushed.is_ok()
    }

    /// Queues a run for a subscription that takes all as they come, if the outbox is not more than
    /// half full with it.
    pub(super) fn push_run(
        &mut self,
        connection: &mut Connection,
        index: usize,
        operation_index: u32,
        run: &Run,
    ) -> Result<(), Full> {
        let Limits { bytes_max, messages_max } = self.shard.outbox_limits(connection.unsent.len());
        let limits = Limits { bytes_max: bytes_max / 2, messages_max: messages_max / 2 };
        let compression = connection.compression;
        let operation = connection.operations.get(operation_index as usize);
        let operation = operation.filter(|operation| operation.pace.is_none()).ok_or(Full)?;
        let slot = Slot { index: operation_index, serial: operation.serial };
        let size = |shared: &Rc<Shared>| {
            bytes_of(&operation.head, shared, compression, &self.shard.deflater)
        };
        let bytes = run.iter().map(size).fold(0, u32::saturating_add);
        let before = self.prepare(&mut connection.outbox);
        connection.outbox.push_run(slot, run, bytes, limits)?;
        self.queued(connection, index, before);
        Ok(())
    }

    /// Gives an empty outbox a ring that is at hand, and says how many bytes it has.
    fn prepare(&mut self, outbox: &mut Outbox) -> usize {
        if outbox.has_no_ring()
            && let Some(ring) = self.rings.take()
        {
            outbox.take_ring(ring);
        }
        outbox.bytes()
    }

    /// Counts what a push has changed, and notes that there is something to write.
    fn queued(&mut self, connection: &mut Connection, index: usize, before: usize) {
        *self.bytes += bytes_change(before, connection.outbox.bytes());
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }
}

/// Bytes on the wire of a result behind this head.
fn bytes_of(
    head: &[u8],
    shared: &Shared,
    compression: Option<Compression>,
    deflater: &RefCell<Deflater>,
) -> u32 {
    let deflated = compression.and_then(|compression| {
        Some(compression.payload_bytes(head, compression.deflated(shared, deflater)?))
    });
    let plain = || head.len() + shared.encoded.bytes().len() + NEXT_TAIL.len();
    u32::try_from(frame_bytes(deflated.unwrap_or_else(plain))).unwrap_or(u32::MAX)
}

/// The difference as the gauge takes it.
pub(super) fn bytes_change(before: usize, after: usize) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX)
}

/// The label of a policy in metrics.
fn policy(overflow: Overflow) -> &'static str {
    match overflow {
        Overflow::Disconnect => "disconnect",
        Overflow::DropOldest => "drop_oldest",
        Overflow::Conflate => "conflate",
    }
}

impl Shard {
    /// Bounds of an outbox, less what has left it but not reached the socket.
    pub(super) fn outbox_limits(&self, unsent: usize) -> Limits {
        Limits {
            // One write gathers so much; a too large answer in it is not the subscriptions' fault.
            bytes_max: self.options().outbox_bytes_max.saturating_sub(unsent.min(WRITE_BYTES)),
            messages_max: self.options().outbox_messages_max,
        }
    }
}
