//! Connections: accepted, greeted by TLS where it is on, and served HTTP/1.1 or HTTP/2, whichever
//! the client begins with.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Options, tls};

/// How long a client may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until the head of its first request, the handshake of TLS included.
    pub(super) first: Duration,
    /// Between its requests, and until the head of a later one has come.
    pub(super) idle: Duration,
}

/// What is behind a listener.
pub(super) struct Door {
    router: Router,
    /// The settings of TLS for new connections; `None`: none.
    tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    patience: watch::Receiver<Patience>,
    http: Http,
    stop: CancellationToken,
}

type Http = Builder<TokioExecutor>;

/// Streams of one HTTP/2 connection, WebSockets among them: all tabs of a browser share one.
const STREAMS_MAX: u32 = 200;
/// What a client may send on one stream, and on all of a connection, before we have read it: one
/// that is not read, such as a publisher's that waits, must not stop the others.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 2 << 20;
/// What waits inside HTTP/2 for one stream that the client does not read.
const STREAM_UNSENT_BYTES: usize = 32 << 10;
/// An HTTP/2 connection on which nothing comes is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

impl Patience {
    pub(super) fn of(options: &Options) -> Self {
        Self { first: options.request_timeout, idle: options.idle_timeout }
    }
}

impl Door {
    pub(super) fn new(
        router: Router,
        tls: Option<watch::Receiver<Arc<ServerConfig>>>,
        patience: watch::Receiver<Patience>,
        stop: CancellationToken,
    ) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new());
        http.http2()
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(STREAMS_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(STREAM_UNSENT_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        Self { router, tls, patience, http, stop }
    }

    /// Accepts until it is stopped, then waits until the requests under way are answered.
    pub(super) async fn run(self, listener: TcpListener) -> io::Result<()> {
        let connections = TaskTracker::new();
        let door = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                () = door.stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => {
                    connections.spawn(door.clone().serve(stream, remote));
                }
                Err(error) => recover(error).await,
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
        Ok(())
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        let patience = *self.patience.borrow();
        bound_silence(&stream, patience);
        let deadline = Instant::now() + patience.first;
        let http = self.http(patience.idle);
        let Some(tls) = &self.tls else {
            return self.answer(&http, stream, remote, deadline).await;
        };
        let config = tls.borrow().clone();
        match timeout_at(deadline, tls::greet(stream, config)).await {
            Ok(Ok(stream)) => self.answer(&http, stream, remote, deadline).await,
            Ok(Err(error)) => tracing::debug!(%remote, %error, "no TLS handshake"),
            Err(_) => tracing::debug!(%remote, "no TLS handshake in time"),
        }
    }

    /// HTTP for one connection.
    fn http(&self, idle: Duration) -> Http {
        let mut http = self.http.clone();
        http.http1().header_read_timeout(idle);
        http
    }

    /// Answers the requests of one connection.
    async fn answer<S>(&self, http: &Http, stream: S, remote: SocketAddr, deadline: Instant)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let has_asked = AtomicBool::new(false);
        let has_asked = Arc::new(has_asked);
        let (asked, routes) = (has_asked.clone(), TowerToHyperService::new(self.router.clone()));
        let service = service_fn(move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(ConnectInfo(remote));
            routes.call(request)
        });
        let stream = TokioIo::new(stream);
        let mut connection = pin!(http.serve_connection_with_upgrades(stream, service));
        let (mut is_new, mut is_stopping) = (true, false);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    return ended.unwrap_or_else(|error| tracing::debug!(%remote, %error, "HTTP"));
                }
                () = sleep_until(deadline), if is_new => {
                    if !has_asked.load(Ordering::Relaxed) {
                        return tracing::debug!(%remote, "no request in time");
                    }
                    is_new = false;
                }
                () = self.stop.cancelled(), if !is_stopping => {
                    connection.as_mut().graceful_shutdown();
                    is_stopping = true;
                }
            }
        }
    }
}

/// HTTP has no limit of its own for a client that does not read an answer.
fn bound_silence(stream: &TcpStream, patience: Patience) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(patience.idle)) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT was refused");
    }
}

/// After this time there may be files to open again.
const NO_FILES_PAUSE: Duration = Duration::from_secs(1);

/// A client that is gone again is none; where the system has no room, it may have some later.
async fn recover(error: io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(NO_FILES_PAUSE).await;
    }
}
