//! What the protocol asks for: the only place where its actions are matched.

use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::operation::{Operation, Slot};
use super::outbox::Full;
use super::shard::Shard;
use super::splice::frame;
use super::state::{Connection, Key, Phase, State};
use crate::graphql::request::Request;
use crate::graphql::{self, Caller, Started};
use crate::message::cursor::Cursor;
use crate::protocol::{Action, OperationId, Settled};
use crate::websocket::frame::Opcode;

impl Shard {
    /// Does what the session of a connection asks for, until it asks for nothing more.
    pub(super) fn act(&self, state: &mut State, key: Key, now: Instant) {
        while let Some(connection) = state.connection(key).filter(|c| c.phase == Phase::Open)
            && let Some(action) = connection.session.poll()
        {
            match action {
                Action::Authenticate { payload } => {
                    self.acknowledge(state, key, payload.as_deref(), now);
                }
                Action::Start { id, request } => self.start(state, key, id, &request, now),
                Action::Stop { id } => self.stop(state, key, &id),
                Action::Send(text) => self.send(state, key, text.as_bytes(), None),
                Action::KeepAlive => {
                    let payload = match self.quiet_position(connection) {
                        Some(cursor) => format!(r#"{{"cursor":"{cursor}"}}"#),
                        None => "{}".to_owned(),
                    };
                    connection.session.ping(&payload);
                }
                Action::Close { code, reason } => {
                    self.close(state, key, code.number(), &reason);
                }
            }
        }
    }

    /// Sends what the session has to say about the end of an operation, and gives back its place
    /// with the last of it.
    pub(super) fn send_last(&self, state: &mut State, key: Key, slot: Slot) {
        let mut last = None;
        while let Some(connection) = state.connection(key)
            && let Some(action) = connection.session.poll()
        {
            // An ending asks for nothing else: the session was polled empty before it.
            let Action::Send(text) = action else { continue };
            if let Some(before) = last.replace(text) {
                self.send(state, key, before.as_bytes(), None);
            }
        }
        match last {
            Some(text) => self.send(state, key, text.as_bytes(), Some(slot)),
            None => {
                if let Some(connection) = state.connection(key) {
                    connection.operations.try_remove(slot.index as usize);
                }
            }
        }
    }

    /// Queues one result for one operation of this connection alone.
    pub(super) fn push_next(&self, state: &mut State, key: Key, slot: Slot, result: &[u8]) {
        let Some(operation) = state.connection(key).and_then(|c| c.operation(slot)) else { return };
        let mut text = operation.head.to_vec();
        text.extend_from_slice(result);
        text.extend_from_slice(crate::protocol::NEXT_TAIL);
        self.send(state, key, &text, None);
    }

    fn send(&self, state: &mut State, key: Key, text: &[u8], ends: Option<Slot>) {
        self.send_as(state, key, Opcode::Text, text, ends);
    }

    /// Queues a message for this connection alone.
    pub(super) fn send_as(
        &self,
        state: &mut State,
        key: Key,
        opcode: Opcode,
        message: &[u8],
        ends: Option<Slot>,
    ) {
        let compression = state.connection(key).and_then(|connection| connection.compression);
        let bytes = self.message(opcode, message, compression);
        self.push_frame(state, key, bytes, ends);
    }

    /// Queues a ping or pong.
    pub(super) fn push_control(&self, state: &mut State, key: Key, opcode: Opcode, payload: &[u8]) {
        self.push_frame(state, key, frame(opcode, payload), None);
    }

    fn push_frame(&self, state: &mut State, key: Key, bytes: Box<[u8]>, ends: Option<Slot>) {
        let Some(connection) = state.connection(key) else { return };
        let limits = self.outbox_limits(connection.unsent.len());
        let before = connection.outbox.bytes();
        let pushed = connection.outbox.push_frame(bytes, ends, limits);
        let after = connection.outbox.bytes();
        state.outbox_bytes_change += super::member::bytes_change(before, after);
        if pushed == Err(Full) {
            state.slow.push(key.index);
            self.close_slow(state);
        } else {
            state.mark_dirty(key.index);
        }
    }

    fn acknowledge(&self, state: &mut State, key: Key, payload: Option<&RawValue>, now: Instant) {
        let Some(connection) = state.connection(key) else { return };
        let init = payload.and_then(|payload| serde_json::from_str::<Init>(payload.get()).ok());
        let resume = init.is_some_and(|init| init.resume == Some(true));
        let caller = Caller::clone(&connection.caller);
        connection.caller = Arc::new(Caller { resume, ..caller });
        let ack = serde_json::json!({
            "connection": &*connection.entry.id,
            "node": &**self.broker.node(),
            "version": self.options().version,
            "cursor": self.broker.head().to_string(),
        });
        connection.session.acknowledge(&ack.to_string(), resume, now);
    }

    /// A position up to which everything due to the connection was queued before now; `None` while
    /// a subscription of it is behind.
    fn quiet_position(&self, connection: &Connection) -> Option<Cursor> {
        // The head first: what it covers had been handed to the inbox by then.
        let head = self.broker.head();
        let is_behind = |(_, operation): (usize, &Operation)| {
            operation.is_catching_up
                || operation.pace.as_ref().is_some_and(|pace| pace.conflater.holds_back())
        };
        if connection.operations.iter().any(is_behind) {
            return None;
        }
        // While events wait, the newest that was delivered: they come in log order.
        let is_delivered = self.broker.inbox(self.id).waiting() == 0;
        if is_delivered { Some(head) } else { self.delivered_upto.get() }
    }

    fn start(
        &self,
        state: &mut State,
        key: Key,
        id: OperationId,
        request: &RawValue,
        now: Instant,
    ) {
        let Some(connection) = state.connection(key) else { return };
        let caller = connection.caller.clone();
        let mut head = Vec::new();
        connection.session.dialect().next_head(&id, &mut head);
        let serial = connection.next_operation;
        connection.next_operation = serial.wrapping_add(1);
        if connection.operations.capacity() == 0 {
            // Most have one for as long as they live; a slab would begin with room for four.
            connection.operations.reserve_exact(1);
        }
        let index = connection.operations.insert(Operation {
            id,
            head: head.into(),
            serial,
            dropped: 0,
            member: None,
            uses: None,
            pace: None,
            task: None,
            is_subscription: false,
            is_catching_up: false,
            is_over: false,
        });
        // Operations of one connection are bounded far below u32 by the session.
        let slot = Slot { index: u32::try_from(index).unwrap_or(u32::MAX), serial };
        let started = match Request::parse(request.get()) {
            Ok(request) => self.schema.start(&request, &caller, now),
            Err(error) => Started::Refused(graphql::error::to_json(&[error])),
        };
        let is_subscription = matches!(started, Started::Subscribe(..) | Started::Stream(_));
        let started = match is_subscription.then(|| self.subscription_limit(state, key)).flatten() {
            Some(errors) => Started::Refused(errors),
            None => started,
        };
        match started {
            Started::Refused(errors) => {
                self.settle(state, key, slot, Settled::Refused(&errors), "refused");
            }
            Started::Subscribe(plan, place) => self.subscribe(state, key, slot, plan, place),
            Started::Stream(stream) => self.forward(state, key, slot, stream),
            Started::Query(answer) => self.answer(state, key, slot, answer),
            Started::Mutation(mutation) => self.mutate(state, key, slot, mutation),
            Started::Publish(publishing) => self.publish(state, key, slot, publishing),
        }
    }

    /// The errors of one subscription too many.
    fn subscription_limit(&self, state: &mut State, key: Key) -> Option<String> {
        let most = self.options().subscriptions_max;
        let connection = state.connection(key)?;
        (connection.subscriptions() >= most).then(|| {
            let message = format!(
                "this connection has {most} subscriptions, as many as it may \
                 (limits.subscriptions_per_connection)"
            );
            let code = graphql::error::Code::LimitExceeded;
            graphql::error::to_json(&[graphql::error::Error::new(code, message)])
        })
    }

    fn stop(&self, state: &mut State, key: Key, id: &OperationId) {
        let Some(connection) = state.connection(key) else { return };
        // Clients stop seldom: a table by ids would cost those that only wait as much memory again.
        let found = connection.operations.iter_mut().find(|(_, operation)| operation.id == *id);
        let Some((index, operation)) = found else { return };
        let ended = operation.end();
        // Its place is free at once: results that still wait have its serial and are passed over.
        connection.operations.remove(index);
        self.ended(state, key, &ended, "stopped");
    }
}

/// What of `connection_init` concerns us; other members are the client's own.
#[derive(Deserialize)]
struct Init {
    resume: Option<bool>,
}
