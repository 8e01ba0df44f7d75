//! Reading: one task per connection waits for its socket; bytes become messages of the protocol.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;

use super::compress::Compression;
use super::outbox::Outbox;
use super::registry::Entry;
use super::shard::Shard;
use super::socket::Socket;
use super::state::{Connection, Key, Phase, State};
use super::{Options, Upgraded};
use crate::graphql::Caller;
use crate::message::time::Timestamp;
use crate::protocol::close::CloseCode;
use crate::protocol::session::Session;
use crate::protocol::{self, Dialect};
use crate::websocket;
use crate::websocket::assemble::{Assembler, Event, Input, Role};
use crate::websocket::deflate::WindowBits;
use crate::websocket::frame::Opcode;

/// Answers that may be outstanding on a connection before more of it is read.
const ANSWERS_MAX: usize = 1024;

impl Shard {
    /// Takes over a socket.
    pub(super) fn open(self: Rc<Self>, upgraded: Upgraded) {
        let Ok(socket) = Socket::new(upgraded.stream) else { return };
        let socket = Rc::new(socket);
        let now = Instant::now();
        let key = {
            let mut state = self.state.borrow_mut();
            let opening = Opening {
                remote: upgraded.remote,
                admin: upgraded.admin,
                permit: upgraded.permit,
                dialect: upgraded.dialect,
                deflate: upgraded.deflate,
                protocol: upgraded.protocol,
            };
            let key = self.enter(&mut state, opening, socket.clone(), now);
            if upgraded.dialect.is_none() && !self.options().echo {
                let reason = "offer the subprotocol graphql-transport-ws or graphql-ws";
                self.close(&mut state, key, CloseCode::Subprotocol.number(), reason);
            }
            self.wake_flusher(&state);
            key
        };
        self.spawn(key, |this| this.read(key, socket, upgraded.early));
    }

    fn enter(&self, state: &mut State, opening: Opening, socket: Rc<Socket>, now: Instant) -> Key {
        let Opening { remote, admin, permit, dialect, deflate, protocol } = opening;
        let id = new_id();
        let since = now_timestamp();
        let dialect = dialect.unwrap_or(Dialect::TransportWs);
        let entry = self.registry.enter(Entry::new(id.clone(), remote, protocol, since, self.id.0));
        let caller = Caller {
            connection: id,
            subject: None,
            admin,
            resume: false,
            client: self.broker.admission().connection(),
        };
        let serial = state.next_serial;
        state.next_serial = serial.wrapping_add(1);
        let connection = Connection {
            serial,
            socket,
            session: Box::new(Session::new(dialect, session_options(self.options()), now)),
            assembler: Assembler::new(
                Role::Server,
                self.options().message_bytes_max,
                deflate.is_some(),
            ),
            compression: deflate.map(|window| Compression { window, dialect }),
            outbox: Outbox::default(),
            unsent: Vec::new(),
            is_blocked: false,
            is_dirty: false,
            operations: slab::Slab::new(),
            next_operation: 0,
            lane: None,
            phase: Phase::Open,
            heard_at: now,
            ping_at: now + self.options().ping_interval,
            drain_at: state.is_draining.then_some(now),
            scheduled: None,
            room: None,
            caller: Arc::new(caller),
            entry,
            _permit: permit,
        };
        let index = state.connections.insert(Box::new(connection));
        let key = Key { index, serial };
        self.schedule(state, key);
        let counters = self.broker.counters();
        counters.connections.add(1);
        counters.connections_total.add(1);
        key
    }

    /// Reads until the connection is gone.
    #[expect(clippy::manual_async_fn, reason = "an async fn holds its arguments twice")]
    fn read(
        self: Rc<Self>,
        key: Key,
        socket: Rc<Socket>,
        mut early: Vec<u8>,
    ) -> impl Future<Output = ()> {
        async move {
            loop {
                if self.must_wait(key) {
                    // Seldom, and large: boxed, so that those who wait for sockets stay small.
                    Box::pin(self.may_take(key)).await;
                }
                if !early.is_empty() {
                    let Some(used) = self.received(key, &mut early) else { return };
                    early.drain(..used);
                    continue;
                }
                // Nothing else runs between the end of this wait and the use of what was read.
                match socket.read(&self.read_scratch).await {
                    Ok(0) => return self.peer_ends(&mut self.state.borrow_mut(), key),
                    Err(_) => return self.lost(&mut self.state.borrow_mut(), key),
                    Ok(count) => {
                        let mut scratch = self.read_scratch.borrow_mut();
                        let Some(used) = self.received(key, &mut scratch[..count]) else { return };
                        early = scratch[used..count].to_vec();
                    }
                }
            }
        }
    }

    /// Must more input wait?
    fn must_wait(&self, key: Key) -> bool {
        let has_room = {
            let mut state = self.state.borrow_mut();
            state.connection(key).is_none_or(|connection| connection.has_room(self.options()))
        };
        !has_room || self.broker.is_full() || self.is_busy(key).is_some()
    }

    /// Who pipelines more than the engine answers waits: its socket fills, not our memory.
    fn is_busy(&self, key: Key) -> Option<Rc<Notify>> {
        let mut state = self.state.borrow_mut();
        let connection = state.connection(key)?;
        let answers = connection.operations.len().saturating_sub(connection.subscriptions());
        (answers >= ANSWERS_MAX).then(|| connection.room.get_or_insert_default().clone())
    }

    /// Waits until more input may be worked on. Publishers wait while subscribers are behind, and
    /// who asks for more than it reads waits for itself: their sockets fill, not our memory.
    async fn may_take(&self, key: Key) {
        loop {
            self.broker.room().await;
            self.room(key).await;
            match self.is_busy(key) {
                Some(room) => room.notified().await,
                None => return,
            }
        }
    }

    /// Takes what was read until the outbox is half full, and says how much of it; `None` when the
    /// connection is gone.
    fn received(&self, key: Key, bytes: &mut [u8]) -> Option<usize> {
        let count = bytes.len();
        let mut input = Input::new(bytes);
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        loop {
            let connection = state.connection(key)?;
            connection.heard_at = now;
            if connection.phase == Phase::Open && !connection.has_room(self.options()) {
                break;
            }
            let event = connection.assembler.receive(&mut input);
            match event.and_then(|event| event.map(|event| self.inflated(event)).transpose()) {
                Ok(None) => break,
                Ok(Some(event)) => self.event(&mut state, key, event, now),
                Err(error) => self.fail(&mut state, key, error.close_code(), &error.to_string()),
            }
        }
        drop(state);
        self.begin_catch_ups();
        self.wake_flusher(&self.state.borrow());
        Some(count - input.len())
    }

    fn inflated<'a>(&self, event: Event<'a>) -> Result<Event<'a>, websocket::error::Error> {
        event.inflated(&mut self.inflater.borrow_mut(), self.options().message_bytes_max)
    }

    fn event(&self, state: &mut State, key: Key, event: Event<'_>, now: Instant) {
        let Some(connection) = state.connection(key) else { return };
        match event {
            Event::Close { code, .. } => return self.peer_closes(state, key, code),
            _ if connection.phase != Phase::Open => {}
            Event::Text(text) if self.options().echo => {
                self.send_as(state, key, Opcode::Text, text.as_bytes(), None);
            }
            Event::Binary(bytes) if self.options().echo => {
                self.send_as(state, key, Opcode::Binary, &bytes, None);
            }
            Event::Text(text) => {
                connection.session.receive(&text);
                self.act(state, key, now);
            }
            Event::Binary(_) | Event::Deflated { .. } => {
                let reason = "messages must be text frames, this one is binary";
                self.close(state, key, CloseCode::NotText.number(), reason);
            }
            Event::Ping(payload) => self.push_control(state, key, Opcode::Pong, &payload),
            Event::Pong(_) => {}
        }
        self.schedule(state, key);
    }
}

/// What a connection is opened with, beside its socket.
struct Opening {
    remote: IpAddr,
    admin: bool,
    permit: super::registry::Permit,
    dialect: Option<Dialect>,
    deflate: Option<WindowBits>,
    protocol: &'static str,
}

fn session_options(options: Options) -> protocol::Options {
    protocol::Options {
        init_timeout: options.init_timeout,
        keep_alive: options.ping_interval,
        operations_max: operations_max(options),
    }
}

/// Subscriptions have a limit of their own; of the others, no more are read than these.
pub(super) fn operations_max(options: Options) -> usize {
    options.subscriptions_max.saturating_add(2 * ANSWERS_MAX)
}

/// 80 random bits, as 16 characters of base 32: nobody guesses another connection's id.
fn new_id() -> Arc<str> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut random = [0_u8; 16];
    // Without a source of randomness the process could not have made its epoch either.
    if getrandom::fill(&mut random).is_err() {
        tracing::error!("the system gives no random numbers: connection ids repeat");
    }
    random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect::<String>()
        .into()
}

fn now_timestamp() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map(|since| since.as_micros()).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
