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
    options: Options,
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
        let patience = Patience { first: options.request_timeout, idle: options.idle_timeout };
        let listener = listen(options.listen, patience)?;
        let address = listener.local_addr().unwrap_or(options.listen);
        let admin = match options.admin_listen {
            Some(address) => Some(listen(address, patience)?),
            None => None,
        };
        let admin_address = admin.as_ref().and_then(|admin| admin.local_addr().ok());
        let tls = options.tls.clone().map(watch::Sender::new);
        let app = Arc::new(App {
            layers,
            shards,
            options,
            exposition,
            next_socket: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
            reservations: Reservations::new(),
        });
        let stop = CancellationToken::new();
        let door = |router, tls| Door::new(router, tls, patience, stop.clone());
        let settings = tls.as_ref().map(watch::Sender::subscribe);
        let mut tasks = vec![
            tokio::spawn(door(routes::public(app.clone()), settings).run(listener)),
            tokio::spawn(upkeep(app.layers.broker.clone(), stop.clone())),
        ];
        let admin = admin.map(|admin| door(routes::admin(app.clone()), None).run(admin));
        tasks.extend(admin.map(tokio::spawn));
        Ok(Self { address, admin_address, app, tls, stop, tasks })
    }

    /// Serves clients that connect from now on with these settings of TLS, if it serves by TLS.
    pub fn renew_tls(&self, config: Arc<ServerConfig>) {
        if let Some(tls) = &self.tls {
            tls.send_replace(config);
        }
    }

    /// Takes no new clients, and closes the connections spread over the drain's time.
    pub async fn drain(self) {
        self.app.is_draining.store(true, std::sync::atomic::Ordering::Relaxed);
        self.app.shards.drain(self.app.options.drain_timeout).await;
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

fn listen(address: SocketAddr, patience: Patience) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        bound_unread(&socket, patience);
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| StartError::Listen { address, error })
}

/// Bytes that the kernel takes for a client before it has sent what it took earlier. Left to
/// itself it takes megabytes for one that does not read, past the bound of the outbox, and the
/// others wait while they are copied. What is on its way is not limited by this.
const UNSENT_BYTES: u32 = 64 << 10;

/// Bounds what a client may leave unread, and for how long it may read nothing of it, on all
/// connections that the socket will accept: they inherit both.
fn bound_unread(socket: &TcpSocket, patience: Patience) {
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(socket);
        let bounded = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
        // HTTP has no limit of its own for a client that does not read an answer.
        if let Err(error) = bounded.and(socket.set_tcp_user_timeout(Some(patience.idle))) {
            tracing::warn!(%error, "TCP_NOTSENT_LOWAT or TCP_USER_TIMEOUT was refused");
        }
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
