//! A shard: one thread with its own runtime, which owns its connections without a lock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, watch};

use super::registry::Registry;
use super::state::{Key, State};
use super::{Options, StartError, Told, Upgraded};
use crate::broker::Broker;
use crate::broker::delivery::Event;
use crate::broker::feed::ShardId;
use crate::graphql::Schema;
use crate::message::cursor::Cursor;
use crate::protocol::close::CloseCode;
use crate::websocket::deflate::Deflater;
use crate::websocket::deflate::inflate::Inflater;

/// What a shard's thread is started with.
pub(super) struct Seed {
    pub(super) number: usize,
    pub(super) broker: Arc<Broker>,
    pub(super) schema: Arc<Schema>,
    pub(super) registry: Arc<Registry>,
    pub(super) sockets: mpsc::Receiver<Upgraded>,
    pub(super) told: Told,
    pub(super) follows: watch::Sender<u64>,
}

/// One shard. Its state is borrowed for short stretches without an await in them.
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) broker: Arc<Broker>,
    pub(super) schema: Arc<Schema>,
    pub(super) registry: Arc<Registry>,
    pub(super) options: Cell<Options>,
    /// Which schema its subscriptions have been held against.
    pub(super) generation: Cell<u64>,
    pub(super) state: RefCell<State>,
    /// All connections are read into this.
    pub(super) read_scratch: RefCell<Box<[u8]>>,
    /// All connections are written from this.
    pub(super) write_scratch: RefCell<Vec<u8>>,
    /// The ends of results that are for one subscriber alone are made here.
    pub(super) end_scratch: RefCell<Vec<u8>>,
    pub(super) deflater: RefCell<Deflater>,
    pub(super) inflater: RefCell<Inflater>,
    /// The newest event that was delivered.
    pub(super) delivered_upto: Cell<Option<Cursor>>,
    /// Told when a connection has become dirty.
    pub(super) dirty: Notify,
    /// For a task that has a reference to the shard only.
    pub(super) this: std::rc::Weak<Self>,
}

/// Bytes that one read takes.
const READ_BYTES: usize = 64 << 10;

/// Events that are delivered before the sockets are flushed: enough to gather several messages in
/// each write, few enough that an outbox does not fill while its socket is free.
const EVENTS_PER_FLUSH: usize = 32;

/// Starts the thread of a shard. It ends when nobody can hand it sockets any more.
pub(super) fn spawn(seed: Seed) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let name = format!("shard-{}", seed.number);
    let thread = std::thread::Builder::new().name(name);
    thread.spawn(move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, run(seed));
    })?;
    Ok(())
}

async fn run(seed: Seed) {
    let (shard, Inputs { mut sockets, told, follows }) = Shard::new(seed);
    tokio::task::spawn_local(shard.clone().run_flusher());
    tokio::task::spawn_local(shard.clone().run_deliverer());
    tokio::task::spawn_local(shard.clone().run_timers());
    tokio::task::spawn_local(shard.clone().run_endings());
    tokio::task::spawn_local(shard.clone().run_changes(told.terms, follows));
    tokio::task::spawn_local(shard.clone().run_drain(told.drain));
    while let Some(upgraded) = sockets.recv().await {
        shard.attempt(|| shard.clone().open(upgraded));
    }
}

/// What comes to a shard from outside, beside events.
pub(super) struct Inputs {
    pub(super) sockets: mpsc::Receiver<Upgraded>,
    told: Told,
    follows: watch::Sender<u64>,
}

impl Shard {
    /// A shard without connections, and what it is to listen to.
    pub(super) fn new(seed: Seed) -> (Rc<Self>, Inputs) {
        let Seed { number, broker, schema, registry, sockets, mut told, follows } = seed;
        let options = Cell::new(told.terms.borrow_and_update().options);
        let generation = schema.generation();
        let shard = Rc::new_cyclic(|this| Self {
            id: ShardId(number),
            broker,
            schema,
            registry,
            options,
            generation: Cell::new(generation),
            state: RefCell::default(),
            read_scratch: RefCell::new(vec![0; READ_BYTES].into()),
            write_scratch: RefCell::new(Vec::with_capacity(2 * READ_BYTES)),
            end_scratch: RefCell::default(),
            deflater: RefCell::new(Deflater::new()),
            inflater: RefCell::new(Inflater::new()),
            delivered_upto: Cell::new(None),
            dirty: Notify::new(),
            this: this.clone(),
        });
        (shard, Inputs { sockets, told, follows })
    }

    /// What its connections are held to now.
    #[inline]
    pub(super) fn options(&self) -> Options {
        self.options.get()
    }

    /// Runs for as long as the shard: takes events from the inbox, delivers and flushes.
    async fn run_deliverer(self: Rc<Self>) {
        let inbox = self.broker.inbox(self.id);
        let mut events: Vec<Arc<Event>> = Vec::new();
        loop {
            inbox.filled().await;
            inbox.take(&mut events);
            for some in events.chunks(EVENTS_PER_FLUSH) {
                self.attempt(|| self.deliver(some));
                self.broker.delivered(self.id, some.len());
                // Others read and answer between two chunks.
                tokio::task::yield_now().await;
            }
        }
    }

    fn deliver(self: &Rc<Self>, events: &[Arc<Event>]) {
        // Who published them may have seen other types already.
        self.look_at_schema();
        let mut state = self.state.borrow_mut();
        let counters = self.broker.counters();
        let mut delivered = [0_u64; EVENTS_PER_FLUSH];
        state.deliver(self, events, &mut delivered);
        self.delivered_upto.set(events.last().map(|event| event.message.cursor));
        self.close_slow(&mut state);
        self.flush(&mut state);
        let now = Instant::now();
        for (event, delivered) in events.iter().zip(delivered) {
            counters.count_delivered(delivered, now);
            event.topic.rates.delivered.add(delivered, now);
            counters.delivery_seconds.observe(now - event.accepted_at, delivered);
        }
    }

    /// Has the flusher run if there is something to flush.
    pub(super) fn wake_flusher(&self, state: &State) {
        if !state.dirty.is_empty() {
            self.dirty.notify_one();
        }
    }

    /// Runs for as long as the shard: closes the connections that administrators end.
    async fn run_endings(self: Rc<Self>) {
        loop {
            let ended = self.registry.ended(self.id.0).take().await;
            self.attempt(|| self.close_ended(&ended));
        }
    }

    fn close_ended(&self, ended: &[(Arc<str>, String)]) {
        let mut state = self.state.borrow_mut();
        for (id, reason) in ended {
            let found = state.connections.iter().find(|(_, c)| c.entry.id == *id);
            let key = found.map(|(index, connection)| connection.key(index));
            if let Some(key) = key {
                self.close(&mut state, key, CloseCode::Policy.number(), reason);
            }
        }
        self.wake_flusher(&state);
    }

    /// Waits for a drain and gives each connection its moment in it.
    async fn run_drain(self: Rc<Self>, mut drain: watch::Receiver<Option<Duration>>) {
        let Ok(within) = drain.wait_for(Option::is_some).await.map(|within| *within) else {
            return;
        };
        let mut state = self.state.borrow_mut();
        state.is_draining = true;
        // The last fifth of the time is for closing handshakes.
        let span = within.unwrap_or_default() * 4 / 5;
        let now = Instant::now();
        let count = u32::try_from(state.connections.len().max(1)).unwrap_or(u32::MAX);
        let keys: Vec<Key> = state.connections.iter().map(|(i, c)| c.key(i)).collect();
        for (key, place) in keys.into_iter().zip(0_u32..) {
            if let Some(connection) = state.connection(key) {
                connection.drain_at = Some(now + span / count * place);
            }
            self.schedule(&mut state, key);
        }
    }
}
