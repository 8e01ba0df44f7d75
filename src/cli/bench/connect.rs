//! Opens the connections of the load, many at once.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::frames::Frames;
use super::wire::Wire;
use crate::cli::Error;
use crate::cli::address::Address;
use crate::cli::client;
use crate::cli::socket::{self, Opened, push_frame};
use crate::websocket::frame::Opcode;

/// Handshakes under way at once.
const AT_ONCE: usize = 64;
/// One source address has about 28,000 ports towards one destination.
const PER_SOURCE: usize = 20_000;
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that the server has acknowledged, each with its first frame sent.
pub(super) async fn connect_all(
    address: &Address,
    count: usize,
    extensions: Option<&str>,
    first: impl Fn(usize) -> Vec<u8>,
    bar: &ProgressBar,
) -> Result<Vec<Wire>, Error> {
    let server = resolve(address).await.map_err(Error::Failed)?;
    let connecting = (0..count).map(|index| {
        let frame = first(index);
        async move {
            let wire = connect(address, server, index, extensions, &frame).await;
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
    first: &[u8],
) -> Result<Wire, Error> {
    let reached = socket::reach(address, reach(server, index));
    let opened = socket::open(address, extensions, reached).await.map_err(client::Error::from)?;
    let Opened { mut stream, early } = opened;
    let acknowledged = timeout(ACK_TIMEOUT, acknowledge(&mut stream, early));
    let wrong = |reason: String| Error::Failed(format!("connection {index}: {reason}"));
    acknowledged.await.map_err(|_| wrong("no connection_ack came".into()))?.map_err(wrong)?;
    let io = |error: io::Error| wrong(error.to_string());
    stream.write_all(first).await.map_err(io)?;
    let stream = stream.into_std().map_err(io)?;
    Ok(Wire::new(mio::net::TcpStream::from_std(stream)))
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

async fn acknowledge(stream: &mut TcpStream, early: Vec<u8>) -> Result<(), String> {
    let mut init = Vec::new();
    push_frame(&mut init, Opcode::Text, br#"{"type":"connection_init"}"#, [0; 4]);
    stream.write_all(&init).await.map_err(|error| error.to_string())?;
    let (mut frames, mut bytes) = (Frames::default(), early);
    loop {
        let mut answer = None;
        frames.feed(&bytes, |frame| {
            let text = || String::from_utf8_lossy(frame.payload).into_owned();
            answer.get_or_insert_with(|| (frame.opcode, text()));
        })?;
        match answer {
            Some((Opcode::Text, text)) if text.contains("connection_ack") => return Ok(()),
            Some((_, text)) => return Err(format!("no connection_ack but {text:?}")),
            None => bytes.clear(),
        }
        let read = stream.read_buf(&mut bytes).await.map_err(|error| error.to_string())?;
        if read == 0 {
            return Err("the server closed before connection_ack".into());
        }
    }
}
