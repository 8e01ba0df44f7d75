//! Opens the connections of the load, many at once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::dialect::{Opening, Step};
use super::frames::{Frame, Frames};
use super::wire::{Wire, closing};
use crate::cli::Error;
use crate::cli::address::Address;
use crate::cli::client;
use crate::cli::socket::{self, Offer, Opened};
use crate::websocket::frame::Opcode;

/// Handshakes under way at once.
const AT_ONCE: usize = 64;
/// One source address has about 28,000 ports towards one destination.
const PER_SOURCE: usize = 20_000;
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that have taken every step of their opening.
pub(super) async fn connect_all(
    address: &Address,
    count: usize,
    extensions: Option<&str>,
    opening: impl Fn(usize) -> Opening,
    bar: &ProgressBar,
) -> Result<Vec<Wire>, Error> {
    let server = resolve(address).await.map_err(Error::Failed)?;
    let connecting = (0..count).map(|index| {
        let opening = opening(index);
        async move {
            let wire = connect(address, server, index, extensions, &opening).await;
            bar.inc(1);
            wire
        }
    });
    stream::iter(connecting).buffered(AT_ONCE).try_collect().await
}

async fn resolve(address: &Address) -> Result<SocketAddr, String> {
    let target = socket::target(address);
    let found = tokio::net::lookup_host(target).await.map_err(|error| error.to_string());
    let first = found.and_then(|mut found| found.next().ok_or_else(|| "no address".to_owned()));
    first.map_err(|reason| format!("cannot find {}: {reason}", address.host))
}

async fn connect(
    address: &Address,
    server: SocketAddr,
    index: usize,
    extensions: Option<&str>,
    opening: &Opening,
) -> Result<Wire, Error> {
    let named = Address { path: opening.path.clone(), ..address.clone() };
    let address = if opening.path.is_empty() { address } else { &named };
    let offer = Offer { subprotocol: opening.subprotocol, extensions };
    let reached = socket::reach(address, reach(server, index));
    let opened = socket::open(address, offer, reached).await.map_err(client::Error::from)?;
    let wrong = |reason: String| Error::Failed(format!("connection {index}: {reason}"));
    let mut talk = Talk::new(opened);
    for step in &opening.steps {
        talk.take(step).await.map_err(wrong)?;
    }
    let stream = talk.stream.into_std().map_err(|error| wrong(error.to_string()))?;
    Ok(Wire::new(mio::net::TcpStream::from_std(stream), talk.frames))
}

/// Connections to this machine take several source addresses when one has too few ports.
async fn reach(server: SocketAddr, index: usize) -> io::Result<TcpStream> {
    let source = u8::try_from(index / PER_SOURCE).ok().filter(|source| *source > 0);
    let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let (Some(source), true) = (source, server.ip() == Ipv4Addr::LOCALHOST) {
        socket.bind(SocketAddr::from(([127, 0, 1, source], 0)))?;
    }
    socket.connect(server).await
}

/// A connection while its opening is under way.
struct Talk {
    stream: TcpStream,
    frames: Frames,
    /// Read, and not yet looked at.
    unread: Vec<u8>,
    /// What the server has said since the step before.
    said: Vec<u8>,
}

impl Talk {
    fn new(Opened { stream, early }: Opened<TcpStream>) -> Self {
        Self { stream, frames: Frames::default(), unread: early, said: Vec::new() }
    }

    async fn take(&mut self, step: &Step) -> Result<(), String> {
        self.stream.write_all(&step.send).await.map_err(|error| error.to_string())?;
        let Some(until) = step.until else { return Ok(()) };
        let answered = timeout(STEP_TIMEOUT, self.listen(until)).await;
        let wanted = String::from_utf8_lossy(until);
        let said = String::from_utf8_lossy(&self.said);
        match answered {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(format!("no {wanted:?}: {reason}")),
            Err(_) => return Err(format!("no {wanted:?} came but {said:?}")),
        }
        self.said.clear();
        Ok(())
    }

    async fn listen(&mut self, until: &[u8]) -> Result<(), String> {
        loop {
            let mut closed = None;
            let Self { frames, unread, said, .. } = self;
            frames.feed(unread, |Frame { opcode, payload, .. }| match opcode {
                Opcode::Close => closed = Some(closing(payload)),
                _ => said.extend_from_slice(payload),
            })?;
            unread.clear();
            if said.windows(until.len()).any(|window| window == until) {
                return Ok(());
            }
            if let Some(reason) = closed {
                return Err(reason);
            }
            let read = self.stream.read_buf(unread).await.map_err(|error| error.to_string())?;
            if read == 0 {
                return Err("the server closed without a close frame".to_owned());
            }
        }
    }
}
