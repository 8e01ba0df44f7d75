//! Sockets after the upgrade: shards own them, read them, and write what the broker has for them.
//!
//! Comes in: upgraded sockets, and events of the broker. Goes out: frames; requests go down to
//! `graphql`. Knows nothing of: HTTP, configuration files, how a payload is stored.
//!
//! The life of a connection: `server` hands over its socket ([`Shards::open`]); [`shard`] reads
//! into one buffer for all; [`receive`] makes messages of it and [`act`] does what the protocol
//! asks; [`subscribe`] brings a subscription to its feed and [`deliver`] delivers; [`flush`] writes
//! each socket that has something once; [`close`] ends it, both ways and in time. [`change`] brings
//! other limits and types to those that are open. [`fault`] is for what must not happen.

mod act;
mod answer;
mod change;
mod close;
mod compress;
mod deliver;
mod fault;
mod flush;
mod member;
mod operation;
mod outbox;
mod receive;
pub mod registry;
mod replay;
mod results;
mod rings;
mod runs;
mod shard;
pub mod socket;
mod splice;
mod state;
mod subscribe;
mod timer;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::broker::Broker;
use crate::graphql::Schema;
use crate::protocol::Dialect;
use crate::websocket::deflate::WindowBits;
use registry::{Permit, Registry};

/// What connections are held to.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Most bytes that wait for one socket, headers of frames included.
    pub outbox_bytes_max: usize,
    /// Most results and other frames that wait for one socket.
    pub outbox_messages_max: usize,
    /// Most bytes of a client's message.
    pub message_bytes_max: usize,
    /// Most subscriptions of one connection.
    pub subscriptions_max: usize,
    /// How long a client may take to send `connection_init`.
    pub init_timeout: Duration,
    /// A peer that is silent for so long is dropped.
    pub idle_timeout: Duration,
    /// Time between pings.
    pub ping_interval: Duration,
    /// How long a closing handshake may take.
    pub close_timeout: Duration,
    /// Messages go back as they come, and are not read as GraphQL: for conformance suites of
    /// WebSocket. The rest of a connection is as it is.
    pub echo: bool,
    /// The program's version, for the acknowledgement.
    pub version: &'static str,
}

/// A socket whose handshake is done.
#[derive(Debug)]
pub struct Upgraded {
    /// The socket.
    pub stream: socket::Stream,
    /// What the client had sent behind its handshake.
    pub early: Vec<u8>,
    /// The peer.
    pub remote: IpAddr,
    /// The subprotocol; `None`: the client offered none of ours, to be closed with 4406.
    pub dialect: Option<Dialect>,
    /// The window for compressed messages, if the client takes them.
    pub deflate: Option<WindowBits>,
    /// What administrators see as its protocol.
    pub protocol: &'static str,
    /// May it use admin fields?
    pub admin: bool,
    /// Its place among the connections allowed.
    pub permit: Permit,
}

/// The threads that own the connections; they end when this is dropped.
#[derive(Debug)]
pub struct Shards {
    sockets: Vec<mpsc::Sender<Upgraded>>,
    registry: Arc<Registry>,
    terms: watch::Sender<Terms>,
    /// The number of the terms that each shard follows.
    followed: Vec<watch::Receiver<u64>>,
    drain: watch::Sender<Option<Duration>>,
}

/// What all shards are told; each sees the newest of a kind.
#[derive(Debug, Clone)]
struct Told {
    terms: watch::Receiver<Terms>,
    drain: watch::Receiver<Option<Duration>>,
}

/// What connections are held to, and since which change.
#[derive(Debug, Clone, Copy)]
struct Terms {
    number: u64,
    options: Options,
}

/// Sockets that may wait for a shard to take them over.
const HANDOVERS_MAX: usize = 1024;

/// A shard's thread could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread for connections: {0}")]
pub struct StartError(#[from] std::io::Error);

impl Shards {
    /// Starts `count` shards.
    pub fn start(
        count: usize,
        broker: &Arc<Broker>,
        schema: &Arc<Schema>,
        registry: &Arc<Registry>,
        options: &Options,
    ) -> Result<Self, StartError> {
        let terms = watch::Sender::new(Terms { number: 0, options: *options });
        let drain = watch::Sender::new(None);
        let (mut sockets, mut followed) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (sender, receiver) = mpsc::channel(HANDOVERS_MAX);
            let (follows, follower) = watch::channel(0);
            followed.push(follower);
            let seed = shard::Seed {
                number,
                broker: broker.clone(),
                schema: schema.clone(),
                registry: registry.clone(),
                sockets: receiver,
                told: Told { terms: terms.subscribe(), drain: drain.subscribe() },
                follows,
            };
            shard::spawn(seed)?;
            sockets.push(sender);
        }
        Ok(Self { sockets, registry: registry.clone(), terms, followed, drain })
    }

    /// Hands a socket to the shard with this number, modulo their count.
    pub async fn open(&self, number: usize, upgraded: Upgraded) {
        let number = number.checked_rem(self.sockets.len()).unwrap_or_default();
        if let Some(socket) = self.sockets.get(number) {
            // A shard that is gone has drained: the socket closes with the dropped value.
            let _ = socket.send(upgraded).await;
        }
    }

    /// Holds connections to other limits, and their subscriptions to the schema that is served now;
    /// done when all shards do. Open connections have `init_timeout` from before, and what is in an
    /// outbox beyond a lower bound stays there. Subscriptions that rely on what the schema does not
    /// have any more end with an error that says so, all others go on.
    pub async fn follow(&self, options: Options) {
        let number = self.terms.borrow().number + 1;
        self.terms.send_replace(Terms { number, options });
        for shard in &self.followed {
            // A shard that is gone has no connections either.
            let _ = shard.clone().wait_for(|followed| *followed >= number).await;
        }
    }

    /// Closes all connections with 1012, spread over this time, and waits until they are gone.
    pub async fn drain(&self, within: Duration) {
        self.drain.send_replace(Some(within));
        let deadline = tokio::time::Instant::now() + within;
        while self.registry.open() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
