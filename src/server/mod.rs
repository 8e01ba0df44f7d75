//! The axum app: HTTP in, sockets handed to the shards, the console, health and metrics.
//!
//! Comes in: addresses, and the layers below already assembled. Goes out: a running server that
//! can drain. Knows nothing of: argv, files, environment.

mod accept;
mod console;
mod cors;
mod graphql;
mod health;
mod incoming;
mod media;
mod origin;
mod plain;
mod reply;
mod routes;
mod streams;
pub mod tls;
mod upgrade;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::connection::Shards;
use crate::connection::registry::Registry;
use crate::graphql::Schema;
use accept::{Door, Patience};
use streams::single::Reservations;

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where clients connect; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where metrics and health are served; `None`: nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// Pages of these origins may open sockets, beside those of the server's own host.
    pub origins: Vec<String>,
    /// Are messages compressed for clients that offer it (RFC 7692)?
    pub compression: bool,
    /// Most bytes of a request body.
    pub body_bytes_max: usize,
    /// How long a client may take until the head of its first request.
    pub request_timeout: Duration,
    /// How long a client may be silent between two requests.
    pub idle_timeout: Duration,
    /// How long a drain may take.
    pub drain_timeout: Duration,
    /// Clients connect by TLS with these settings; `None`: without.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The layers below.
#[derive(Clone)]
pub struct Layers {
    /// Topics and feeds.
    pub broker: Arc<Broker>,
    /// Operations.
    pub schema: Arc<Schema>,
    /// Who is connected.
    pub registry: Arc<Registry>,
}

/// Text of all metrics at the moment of the call.
pub type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// Seconds after which a client that found no room, or a broker that drains, may try again.
const RETRY_AFTER_SECONDS: u16 = 5;

/// What the routes share.
pub(crate) struct App {
    layers: Layers,
    shards: Shards,
    options: ArcSwap<Options>,
    exposition: Exposition,
    /// Numbers the sockets, so that shards get them in turn.
    next_socket: AtomicUsize,
    is_draining: AtomicBool,
    reservations: Reservations,
}

/// A running server.
pub struct Handle {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where metrics and health are served.
    pub admin_address: Option<SocketAddr>,
    app: Arc<App>,
    tls: Option<watch::Sender<Arc<ServerConfig>>>,
    patience: watch::Sender<Patience>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<io::Result<()>>>,
}

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
}

impl Handle {
    /// Listens and serves.
    pub fn start(
        layers: Layers,
        shards: Shards,
        options: Options,
        exposition: Exposition,
    ) -> Result<Self, StartError> {
        let listener = listen(options.listen)?;
        let address = listener.local_addr().unwrap_or(options.listen);
        let admin = match options.admin_listen {
            Some(address) => Some(listen(address)?),
            None => None,
        };
        let admin_address = admin.as_ref().and_then(|admin| admin.local_addr().ok());
        let tls = options.tls.clone().map(watch::Sender::new);
        let patience = watch::Sender::new(Patience::of(&options));
        let app = Arc::new(App {
            layers,
            shards,
            options: ArcSwap::from_pointee(options),
            exposition,
            next_socket: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
            reservations: Reservations::new(),
        });
        let stop = CancellationToken::new();
        let door = |router, tls| Door::new(router, tls, patience.subscribe(), stop.clone());
        let settings = tls.as_ref().map(watch::Sender::subscribe);
        let mut tasks = vec![
            tokio::spawn(door(routes::public(app.clone()), settings).run(listener)),
            tokio::spawn(upkeep(app.layers.broker.clone(), stop.clone())),
        ];
        let admin = admin.map(|admin| door(routes::admin(app.clone()), None).run(admin));
        tasks.extend(admin.map(tokio::spawn));
        Ok(Self { address, admin_address, app, tls, patience, stop, tasks })
    }

    /// Takes over what can change while it serves, for requests and clients that come from now on.
    /// The addresses stay, and TLS stays on or off.
    pub fn set_options(&self, mut options: Options) {
        match (&self.tls, &options.tls) {
            (Some(sender), Some(config)) => drop(sender.send_replace(config.clone())),
            _ => options.tls.clone_from(&self.app.options.load().tls),
        }
        self.patience.send_replace(Patience::of(&options));
        self.app.options.store(Arc::new(options));
    }

    /// The layers below.
    pub fn layers(&self) -> &Layers {
        &self.app.layers
    }

    /// The threads that own the connections.
    pub fn shards(&self) -> &Shards {
        &self.app.shards
    }

    /// Takes no new clients, and closes the connections spread over the drain's time.
    pub async fn drain(self) {
        self.app.is_draining.store(true, std::sync::atomic::Ordering::Relaxed);
        let within = self.app.options.load().drain_timeout;
        self.app.shards.drain(within).await;
        self.stop.cancel();
        for task in self.tasks {
            // Requests under way end with their answer; what still hangs is not waited for.
            let _ = tokio::time::timeout(Duration::from_secs(1), task).await;
        }
    }
}

/// Handshakes that may wait to be accepted; the system lowers it to its own limit. A thousand
/// clients that come back at once must not be turned away.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        bound_unsent(&socket);
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| StartError::Listen { address, error })
}

/// Bytes that the kernel takes for a client before it has sent what it took earlier. Left to
/// itself it takes megabytes for one that does not read, past the bound of the outbox, and the
/// others wait while they are copied. What is on its way is not limited by this.
const UNSENT_BYTES: u32 = 64 << 10;

/// Bounds it on all connections that the socket will accept: they inherit it.
fn bound_unsent(socket: &TcpSocket) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::warn!(%error, "TCP_NOTSENT_LOWAT was refused");
    }
}

async fn upkeep(broker: Arc<Broker>, stop: CancellationToken) -> io::Result<()> {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            now = second.tick() => broker.sweep(now.into_std()),
        }
    }
}
