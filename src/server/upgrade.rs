//! `/graphql`: a WebSocket handshake is answered and its socket handed to a shard; everything
//! else is GraphQL over HTTP.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use axum::http::{Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{App, RETRY_AFTER_SECONDS, graphql, origin};
use crate::connection::Upgraded;
use crate::connection::registry::Permit;
use crate::connection::socket::Stream;
use crate::protocol::Dialect;
use crate::websocket::deflate::WindowBits;
use crate::websocket::handshake::{self, Accepted, Refusal};

/// Every request to `/graphql`.
pub(super) async fn or_http(
    State(app): State<Arc<App>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    if let Some(protocol) = request.extensions().get::<Protocol>()
        && protocol.as_str() != "websocket"
    {
        let reason = "the only :protocol here is websocket (RFC 8441)\n";
        return (StatusCode::NOT_IMPLEMENTED, reason).into_response();
    }
    if !wants_websocket(request.method(), request.headers()) {
        return graphql::serve(app, remote, request).await;
    }
    let verdict = handshake::check(request.method(), request.version(), request.headers());
    let mut accepted = match verdict {
        Ok(accepted) => accepted,
        Err(refusal) => return refuse(refusal, request.version()),
    };
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let options = app.options.load_full();
    if !origin::is_allowed(request.headers(), host.as_deref(), remote.ip(), &options.origins) {
        let reason = "pages of this origin may not connect; allow it with --origin\n";
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    if app.is_draining.load(Ordering::Relaxed) {
        return unavailable("the broker is draining; connect again");
    }
    let permit = match app.layers.registry.admit(remote.ip()) {
        Ok(permit) => permit,
        Err(too_many) => return unavailable(&too_many.to_string()),
    };
    let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return (StatusCode::BAD_REQUEST, "this connection cannot be upgraded\n").into_response();
    };
    accepted.deflate = accepted.deflate.filter(|_| options.compression);
    let dialect = Dialect::choose(accepted.protocols.iter().map(String::as_str));
    let admin = origin::is_local(remote.ip(), request.headers());
    let deflate = accepted.deflate.as_ref().map(|agreed| agreed.window);
    let opening = Opening { remote: remote.ip(), dialect, deflate, admin, permit };
    tokio::spawn(hand_over(app, on_upgrade, opening));
    switch(&accepted, dialect)
}

/// A request with any mark of a handshake gets a handshake's answer: then it says what is missing.
fn wants_websocket(method: &Method, headers: &HeaderMap) -> bool {
    // Over HTTP/2 with `:protocol`, as was seen before.
    if method == Method::CONNECT {
        return true;
    }
    // Some clients offer to go on in HTTP/2 with every request: an offer that may be passed over
    // (RFC 9110, section 7.8).
    let is_marked =
        [&SEC_WEBSOCKET_KEY, &SEC_WEBSOCKET_VERSION].into_iter().any(|n| headers.contains_key(n));
    handshake::upgrades(headers) || (is_marked && method == Method::GET)
}

fn switch(accepted: &Accepted, dialect: Option<Dialect>) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    if let Some(dialect) = dialect {
        let name = HeaderValue::from_static(dialect.subprotocol());
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    if let Some(agreed) = &accepted.deflate {
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, agreed.answer.clone());
    }
    if let Some(accept) = &accepted.accept {
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept.clone());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    }
    response
}

/// What is known of a connection before its socket is free.
struct Opening {
    remote: IpAddr,
    dialect: Option<Dialect>,
    deflate: Option<WindowBits>,
    admin: bool,
    permit: Permit,
}

/// Waits for the socket behind the answer and gives it to the next shard.
async fn hand_over(app: Arc<App>, on_upgrade: OnUpgrade, opening: Opening) {
    let Ok(upgraded) = on_upgrade.await else { return };
    let (stream, early) = match released(upgraded) {
        Ok(released) => released,
        Err(error) => return tracing::debug!(%error, "the socket was gone after its handshake"),
    };
    let Opening { remote, dialect, deflate, admin, permit } = opening;
    let number = app.next_socket.fetch_add(1, Ordering::Relaxed);
    let protocol = dialect.map_or("none", Dialect::subprotocol);
    let upgraded = Upgraded { stream, early, remote, dialect, deflate, protocol, admin, permit };
    app.shards.open(number, upgraded).await;
}

/// The stream below HTTP and what was read of it already. Over HTTP/1.1 the socket itself comes
/// free; over HTTP/2 it is shared, and the stream stays one inside of it.
fn released(upgraded: hyper::upgrade::Upgraded) -> io::Result<(Stream, Vec<u8>)> {
    let upgraded = match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => {
            let stream = Stream::Tcp(parts.io.into_inner().into_std()?);
            return Ok((stream, parts.read_buf.to_vec()));
        }
        Err(upgraded) => upgraded,
    };
    match downcast::<TokioIo<TlsStream<TcpStream>>>(upgraded) {
        Ok(parts) => {
            let (socket, session) = parts.io.into_inner().into_inner();
            let stream = Stream::Tls(socket.into_std()?, Box::new(session));
            Ok((stream, parts.read_buf.to_vec()))
        }
        Err(upgraded) => Ok((Stream::Other(Box::pin(TokioIo::new(upgraded))), Vec::new())),
    }
}

fn refuse(refusal: Refusal, version: Version) -> Response {
    let mut response = (refusal.status(), format!("{refusal}\n")).into_response();
    let headers = response.headers_mut();
    if let Some((name, value)) = refusal.header() {
        headers.insert(name, value);
    }
    // It has to say to what (RFC 9110, section 15.5.22); HTTP/2 has no such headers.
    if refusal.status() == StatusCode::UPGRADE_REQUIRED && version == Version::HTTP_11 {
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    response
}

fn unavailable(reason: &str) -> Response {
    let retry = [(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))];
    (StatusCode::SERVICE_UNAVAILABLE, retry, format!("{reason}\n")).into_response()
}
