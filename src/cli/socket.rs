//! The client's end of a WebSocket: the handshake, then whole text messages.

use std::io;
use std::ops::Range;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::Address;
use super::tls;
use crate::websocket::assemble::{Assembler, Event, Input, Role};
use crate::websocket::frame::{Header, Opcode};
use crate::websocket::handshake::{WrongAccept, check_accept, request_key};
use crate::websocket::{close, error, mask};

/// An open connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    assembler: Assembler,
    buffer: Box<[u8]>,
    /// What of the buffer was read and not yet used.
    unread: Range<usize>,
}

/// What the WebSocket is on.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a server says.
#[derive(Debug)]
pub(super) enum Incoming {
    Text(String),
    /// It closed; 1006 where it did so without a close frame.
    Closed {
        code: u16,
        reason: String,
    },
}

/// Why a socket could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nobody listens there.
    #[error(
        "nothing listens on {0}; start a broker with `tidings serve`, or name one with --url \
         (or TIDINGS_URL)"
    )]
    Refused(String),
    #[error("cannot reach {authority}: {reason}")]
    Unreachable { authority: String, reason: String },
    #[error("{0}")]
    Authorities(String),
    #[error("no TLS connection to {authority}: {reason}")]
    Tls { authority: String, reason: String },
    #[error("{authority} did not answer the handshake within {HANDSHAKE_SECONDS} s")]
    Silent { authority: String },
    #[error("{authority} is no GraphQL WebSocket: it answered {status}{body}")]
    Status { authority: String, status: String, body: String },
    #[error("{authority} is no WebSocket: {reason}")]
    Accept { authority: String, reason: WrongAccept },
    #[error("the connection was lost: {0}")]
    Lost(io::Error),
    #[error("the server broke the WebSocket protocol: {0}")]
    Protocol(error::Error),
}

/// A stream that has become a WebSocket, and what the server has already sent on it.
pub(super) struct Opened<S> {
    pub(super) stream: S,
    pub(super) early: Vec<u8>,
}

/// What a client asks for in its handshake.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Offer<'a> {
    pub(super) subprotocol: Option<&'a str>,
    pub(super) extensions: Option<&'a str>,
}

impl Offer<'_> {
    pub(super) const GRAPHQL: Self =
        Self { subprotocol: Some("graphql-transport-ws"), extensions: None };
}

const HANDSHAKE_SECONDS: u64 = 10;
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Of a refusal's body, the part that is shown.
const BODY_SHOWN_BYTES: usize = 300;
const READ_BYTES: usize = 64 << 10;
/// What a server may send in one message; a history page can be large.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

impl Socket {
    /// Connects and completes the handshake.
    pub(super) async fn open(address: &Address) -> Result<Self, Error> {
        let reached = reach(address, TcpStream::connect(target(address)));
        let (stream, early) = if address.is_secure {
            let secured = secure(address, reached);
            let Opened { stream, early } = open(address, Offer::GRAPHQL, secured).await?;
            (Stream::Tls(Box::new(stream)), early)
        } else {
            let Opened { stream, early } = open(address, Offer::GRAPHQL, reached).await?;
            (Stream::Tcp(stream), early)
        };
        let mut buffer = vec![0; READ_BYTES.max(early.len())].into_boxed_slice();
        buffer[..early.len()].copy_from_slice(&early);
        let assembler = Assembler::new(Role::Client, MESSAGE_BYTES_MAX, false);
        Ok(Self { stream, assembler, buffer, unread: 0..early.len() })
    }

    /// Sends one text message.
    pub(super) async fn send(&mut self, text: &str) -> Result<(), Error> {
        self.write(Opcode::Text, text.as_bytes()).await
    }

    /// True when the next message may be here already.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// The next message. Pings are answered on the way. Nothing is lost when it is cancelled
    /// while it waits for bytes.
    pub(super) async fn receive(&mut self) -> Result<Incoming, Error> {
        loop {
            while !self.unread.is_empty() {
                let mut input = Input::new(&mut self.buffer[self.unread.clone()]);
                let event = self.assembler.receive(&mut input).map_err(Error::Protocol)?;
                self.unread.start = self.unread.end - input.len();
                match event {
                    Some(Event::Text(text)) => return Ok(Incoming::Text(text.into_owned())),
                    Some(Event::Close { code, reason }) => {
                        let (code, reason) = (code.unwrap_or(NO_CODE), reason.into_owned());
                        self.answer_close(code).await;
                        return Ok(Incoming::Closed { code, reason });
                    }
                    Some(Event::Ping(payload)) => {
                        let payload = payload.into_owned();
                        self.write(Opcode::Pong, &payload).await?;
                    }
                    Some(Event::Pong(_) | Event::Binary(_) | Event::Deflated { .. }) | None => {}
                }
            }
            match self.stream.read(&mut self.buffer).await.map_err(Error::Lost)? {
                0 => return Ok(Incoming::Closed { code: ABNORMAL, reason: String::new() }),
                length => self.unread = 0..length,
            }
        }
    }

    /// Says goodbye and waits a little for the answer.
    pub(super) async fn close(mut self) {
        let payload = close::payload(1000, "");
        if self.write(Opcode::Close, &payload).await.is_ok() {
            let closed = async { while let Ok(Incoming::Text(_)) = self.receive().await {} };
            // A server that does not answer in time has had its chance.
            let _ = timeout(CLOSE_TIMEOUT, closed).await;
        }
    }

    async fn answer_close(&mut self, code: u16) {
        let payload = if code == NO_CODE { Vec::new() } else { close::payload(code, "") };
        // The peer may be gone: it has said all that it had to say.
        let _ = self.write(Opcode::Close, &payload).await;
    }

    async fn write(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        push_frame(&mut frame, opcode, payload, random());
        self.stream.write_all(&frame).await.map_err(Error::Lost)
    }
}

impl Stream {
    async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into).await,
            Self::Tls(stream) => stream.read(into).await,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

/// A close frame without a code (RFC 6455, section 7.1.5).
const NO_CODE: u16 = 1005;
/// No close frame at all.
const ABNORMAL: u16 = 1006;

/// Appends a masked frame: a whole message.
pub(super) fn push_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    let length = payload.len() as u64;
    let header = Header { fin: true, rsv1: false, opcode, mask: Some(key), length };
    let (bytes, used) = header.encode();
    out.extend_from_slice(&bytes[..used]);
    let start = out.len();
    out.extend_from_slice(payload);
    mask::apply(key, 0, &mut out[start..]);
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Masks and keys guard against confused proxies and are no secret: without a source of
    // randomness zeros serve.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

/// What to connect to.
pub(super) fn target(address: &Address) -> (String, u16) {
    (address.host.clone(), address.port)
}

/// A TCP connection to the server, ready for small messages.
pub(super) async fn reach(
    address: &Address,
    connecting: impl Future<Output = io::Result<TcpStream>>,
) -> Result<TcpStream, Error> {
    let authority = address.authority();
    let stream = connecting.await.map_err(|error| unreachable(&authority, &error))?;
    // Small messages must not wait for each other.
    stream.set_nodelay(true).map_err(Error::Lost)?;
    Ok(stream)
}

/// TLS on a connection to the server.
async fn secure(
    address: &Address,
    reached: impl Future<Output = Result<TcpStream, Error>>,
) -> Result<TlsStream<TcpStream>, Error> {
    let config = tls::client(address.authorities.as_deref()).map_err(Error::Authorities)?;
    let authority = address.authority();
    let wrong = |reason: String| Error::Tls { authority: authority.clone(), reason };
    let name = ServerName::try_from(address.host.clone());
    let name = name.map_err(|error| wrong(error.to_string()))?;
    let connecting = TlsConnector::from(config).connect(name, reached.await?);
    connecting.await.map_err(|error| match tls::fault(&error) {
        Some(reason) => wrong(reason),
        None => Error::Lost(error),
    })
}

/// Completes the handshake on a stream that is being connected.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    address: &Address,
    offer: Offer<'_>,
    connecting: impl Future<Output = Result<S, Error>>,
) -> Result<Opened<S>, Error> {
    let authority = address.authority();
    let limit = Duration::from_secs(HANDSHAKE_SECONDS);
    let answered = timeout(limit, async {
        let mut stream = connecting.await?;
        let key = request_key(random());
        let request = request(address, offer, &key);
        stream.write_all(request.as_bytes()).await.map_err(Error::Lost)?;
        stream.flush().await.map_err(Error::Lost)?;
        let (head, early) = read_head(&mut stream).await.map_err(Error::Lost)?;
        check_answer(&authority, &key, &head, &early)?;
        Ok(Opened { stream, early })
    });
    answered.await.unwrap_or_else(|_| Err(Error::Silent { authority: authority.clone() }))
}

fn unreachable(authority: &str, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return Error::Refused(authority.to_owned());
    }
    Error::Unreachable { authority: authority.to_owned(), reason: error.to_string() }
}

fn request(address: &Address, offer: Offer<'_>, key: &str) -> String {
    let header = |name: &str, value: Option<&str>| {
        value.map(|value| format!("Sec-WebSocket-{name}: {value}\r\n")).unwrap_or_default()
    };
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
         {}{}\r\n",
        address.path,
        address.authority(),
        header("Protocol", offer.subprotocol),
        header("Extensions", offer.extensions),
    )
}

/// The head of the answer and what came after it.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(1 << 10);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), early));
        }
        let over = bytes.len() > HEAD_BYTES_MAX;
        if over || stream.read_buf(&mut bytes).await? == 0 {
            let reason = "the answer to the handshake is no HTTP";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
    }
}

fn check_answer(authority: &str, key: &str, head: &str, early: &[u8]) -> Result<(), Error> {
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let status = status.split_once(' ').map_or(status, |(_, status)| status);
    let authority = authority.to_owned();
    if !status.starts_with("101") {
        let shown = &early[..early.len().min(BODY_SHOWN_BYTES)];
        let body = String::from_utf8_lossy(shown).trim().to_owned();
        let body = if body.is_empty() { body } else { format!(": {body}") };
        return Err(Error::Status { authority, status: status.to_owned(), body });
    }
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value.trim()));
        if let (Ok(name), Ok(value)) = parsed {
            headers.append(name, value);
        }
    }
    check_accept(key, &headers).map_err(|reason| Error::Accept { authority, reason })
}
