//! Ending a connection: the closing handshake both ways, with a time limit (RFC 6455, section 7).

use std::time::Instant;

use super::operation::Operation;
use super::outbox::Full;
use super::shard::Shard;
use super::splice::frame;
use super::state::{Key, Phase, State};
use crate::protocol::close::CloseCode;
use crate::websocket::close::payload;
use crate::websocket::frame::Opcode;

/// For the counters only: the peer went without a close frame (RFC 6455, section 7.1.5).
pub(super) const ABNORMAL: u16 = 1006;

impl Shard {
    /// Ends all operations and begins the closing handshake, after what waits in the outbox.
    pub(super) fn close(&self, state: &mut State, key: Key, code: u16, reason: &str) {
        let until = Instant::now() + self.options().close_timeout;
        self.send_close(state, key, code, reason, Phase::Closing { until });
    }

    /// Ends a connection whose peer broke the protocol (RFC 6455, section 7.1.7).
    pub(super) fn fail(&self, state: &mut State, key: Key, code: u16, reason: &str) {
        let until = Instant::now() + self.options().close_timeout;
        self.send_close(state, key, code, reason, Phase::Failed { until });
    }

    /// The peer's close frame came: answers it, or completes our own.
    pub(super) fn peer_closes(&self, state: &mut State, key: Key, code: Option<u16>) {
        let Some(connection) = state.connection(key) else { return };
        match connection.phase {
            Phase::Open => {
                let code = code.unwrap_or(CloseCode::Normal.number());
                let until = Instant::now() + self.options().close_timeout;
                self.send_close(state, key, code, "", Phase::Closed { until });
            }
            Phase::Closing { until } => {
                connection.phase = Phase::Closed { until };
                state.mark_dirty(key.index);
            }
            Phase::Closed { .. } | Phase::Failed { .. } => {}
        }
    }

    fn send_close(&self, state: &mut State, key: Key, code: u16, reason: &str, phase: Phase) {
        self.end_operations(state, key);
        let Some(connection) = state.connection(key).filter(|c| c.phase == Phase::Open) else {
            return;
        };
        tracing::debug!(connection = %connection.entry.id, code, reason, "closing");
        connection.phase = phase;
        let close = frame(Opcode::Close, &payload(code, reason));
        let before = connection.outbox.bytes();
        let limits = self.outbox_limits(connection.unsent.len());
        if connection.outbox.push_frame(close.clone(), None, limits) == Err(Full) {
            // Full, whatever the reason to close: what waits is given up for the close frame.
            connection.outbox.clear();
            let _ = connection.outbox.push_frame(close, None, limits);
        }
        let after = connection.outbox.bytes();
        self.count_closed(code);
        self.schedule(state, key);
        state.outbox_bytes_change += super::member::bytes_change(before, after);
        state.mark_dirty(key.index);
    }

    /// Closes the connections whose outbox was full.
    pub(super) fn close_slow(&self, state: &mut State) {
        while let Some(index) = state.slow.pop() {
            let Some(connection) = state.connections.get(index) else { continue };
            let key = connection.key(index);
            let reason = "slow consumer: too much waits for you; reconnect and resume";
            self.close(state, key, CloseCode::TryAgainLater.number(), reason);
        }
    }

    /// The peer sends no more. One that has said goodbye may read our answer still.
    pub(super) fn peer_ends(&self, state: &mut State, key: Key) {
        let Some(connection) = state.connection(key) else { return };
        match connection.phase {
            // Ends with the write of what waits.
            Phase::Closed { .. } => {}
            Phase::Failed { until } if connection.waiting_bytes() > 0 => {
                connection.phase = Phase::Closed { until };
            }
            Phase::Open | Phase::Closing { .. } | Phase::Failed { .. } => self.lost(state, key),
        }
    }

    /// The socket is broken or at its end.
    pub(super) fn lost(&self, state: &mut State, key: Key) {
        if state.connection(key).is_some_and(|connection| connection.phase == Phase::Open) {
            self.count_closed(ABNORMAL);
        }
        self.finish(state, key);
    }

    /// Drops the connection and all that belongs to it.
    pub(super) fn finish(&self, state: &mut State, key: Key) {
        self.end_operations(state, key);
        if state.connection(key).is_none() {
            return;
        }
        let connection = state.connections.remove(key.index);
        state.outbox_bytes_change += super::member::bytes_change(connection.waiting_bytes(), 0);
        let change = std::mem::take(&mut state.outbox_bytes_change);
        let counters = self.broker.counters();
        counters.outbox_bytes.add(change);
        counters.connections.add(-1);
        self.registry.leave(&connection.entry.id);
        connection.tell_room();
        // Its reading task holds the socket too; this wakes it.
        connection.socket.end();
    }

    /// Ends all operations of a connection: their tasks, memberships and presence.
    fn end_operations(&self, state: &mut State, key: Key) {
        let Some(connection) = state.connection(key) else { return };
        connection.lane = None;
        let indices: Vec<usize> = connection.operations.iter().map(|(index, _)| index).collect();
        for index in indices {
            let connection = state.connection(key);
            let operation = connection.and_then(|c| c.operations.get_mut(index));
            if let Some(operation) = operation.filter(|operation| !operation.is_over) {
                let ended = operation.end();
                self.ended(state, key, &ended, "disconnected");
            }
        }
    }

    /// Counts the end of an operation, and takes its membership away.
    pub(super) fn ended(&self, state: &mut State, key: Key, ended: &Ended, reason: &'static str) {
        if let Some(member) = ended.member {
            state.leave(self, member);
        }
        if ended.is_subscription {
            let counters = self.broker.counters();
            counters.subscriptions.add(-1);
            counters.count_end(reason);
            if let Some(connection) = state.connection(key) {
                let count = &connection.entry.subscriptions;
                count.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    /// Counts a closed connection.
    pub(super) fn count_closed(&self, code: u16) {
        self.broker.counters().count_closed(code);
    }
}

/// What an operation leaves behind when it ends.
pub(super) struct Ended {
    member: Option<super::operation::Member>,
    is_subscription: bool,
}

impl Operation {
    /// Ends it: its task stops, nothing new comes of it.
    pub(super) fn end(&mut self) -> Ended {
        self.is_over = true;
        self.task = None;
        self.pace = None;
        Ended { member: self.member.take(), is_subscription: self.is_subscription }
    }
}
