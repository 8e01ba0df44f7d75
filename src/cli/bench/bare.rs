//! The child process of the bare loop: writes frames to sockets that were built before. Nothing is
//! parsed, routed or encoded.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use clap::Args;

use super::layout::Layout;
use crate::cli::{Error, output};
use crate::websocket::frame::{Opcode, server_header};

/// The name under which the child process is started.
pub(in crate::cli) const COMMAND: &str = "bench-ceiling";

/// Writes frames to sockets, for every byte of standard input to those of the next topic
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[arg(long)]
    subscribers: usize,
    #[arg(long)]
    topics: usize,
    #[arg(long)]
    topics_each: usize,
    /// Bytes of a frame
    #[arg(long)]
    bytes: usize,
    /// Frames in one write
    #[arg(long)]
    batch: usize,
    /// Frames of a topic in all; the last write of each has what is left
    #[arg(long)]
    frames: Option<usize>,
}

/// Bytes that a subscriber sends to say which one he is.
pub(super) type Index = [u8; 4];

/// Takes the subscribers, then serves until standard input ends.
pub(in crate::cli) fn serve(arguments: &Arguments) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Failed(error.to_string());
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    output::print(&format!("{port}\n"))?;
    let streams = accept(&listener, arguments.subscribers).map_err(failed)?;
    match write(arguments, streams) {
        // The load has seen enough.
        Err(error) if is_hung_up(&error) => Ok(()),
        written => written.map_err(failed),
    }
}

fn accept(listener: &TcpListener, subscribers: usize) -> std::io::Result<Vec<TcpStream>> {
    let mut streams: Vec<Option<TcpStream>> = (0..subscribers).map(|_| None).collect();
    for _ in 0..subscribers {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut index = Index::default();
        stream.read_exact(&mut index)?;
        let index = usize::try_from(u32::from_be_bytes(index)).unwrap_or(usize::MAX);
        let place = streams.get_mut(index).ok_or(ErrorKind::InvalidData)?;
        *place = Some(stream);
    }
    Ok(streams.into_iter().flatten().collect())
}

fn write(arguments: &Arguments, mut streams: Vec<TcpStream>) -> std::io::Result<()> {
    let Arguments { subscribers, topics, topics_each, bytes, batch, frames } = *arguments;
    let members = Layout { subscribers, topics, topics_each }.members();
    let mut left = vec![frames.unwrap_or(usize::MAX); topics];
    let gathered = frame(bytes).repeat(batch);
    let mut round = (0..topics).cycle();
    let mut credits = [0; 64];
    let mut input = std::io::stdin().lock();
    loop {
        let count = input.read(&mut credits)?;
        if count == 0 {
            return Ok(());
        }
        for topic in round.by_ref().take(count) {
            let frames = batch.min(left[topic]);
            left[topic] -= frames;
            for index in &members[topic] {
                streams[*index].write_all(&gathered[..frames * (gathered.len() / batch)])?;
            }
        }
    }
}

fn is_hung_up(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A text frame of so many bytes, header included.
fn frame(bytes: usize) -> Vec<u8> {
    let headers = [10, 4, 2].map(|header| (header, bytes.saturating_sub(header)));
    let fitting = headers
        .into_iter()
        .find(|(header, payload)| server_header(Opcode::Text, false, *payload as u64).1 == *header);
    let (_, payload) = fitting.unwrap_or((2, 0));
    let (header, used) = server_header(Opcode::Text, false, payload as u64);
    let mut frame = header[..used].to_vec();
    frame.resize(used + payload, b'x');
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_size_asked_for() {
        // There is no frame of 128 or 129 bytes: 125 take a header of 2, 126 one of 4.
        for bytes in [2, 20, 127, 130, 200, 65_539, 65_546, 70_000] {
            assert_eq!(frame(bytes).len(), bytes, "{bytes}");
        }
    }
}
