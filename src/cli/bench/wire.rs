//! One non-blocking connection of the load: whole frames in, frames out.

use std::io::{ErrorKind, Read, Write};

use mio::net::TcpStream;

use super::frames::Frames;
use super::inflate::Inflated;
use crate::cli::socket::push_frame;
use crate::websocket::close;
use crate::websocket::frame::Opcode;

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    frames: Frames,
    /// What the socket did not take yet.
    unsent: Vec<u8>,
}

impl Wire {
    /// `frames` may know the beginning of a frame already.
    pub(super) fn new(stream: TcpStream, frames: Frames) -> Self {
        Self { stream, frames, unsent: Vec::new() }
    }

    /// Takes bytes that were read before the connection came here.
    fn feed(
        &mut self,
        bytes: &[u8],
        inflated: &mut Inflated,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), String> {
        let (mut pings, mut closed) = (Vec::new(), None);
        self.frames.feed(bytes, |frame| match frame.opcode {
            Opcode::Text if frame.is_deflated => match inflated.text(frame.payload) {
                Ok(text) => each(text),
                Err(error) => closed = Some(error),
            },
            Opcode::Text | Opcode::Binary => each(frame.payload),
            Opcode::Ping => push_frame(&mut pings, Opcode::Pong, frame.payload, [0; 4]),
            Opcode::Close => closed = Some(closing(frame.payload)),
            Opcode::Pong | Opcode::Continuation => {}
        })?;
        if !pings.is_empty() {
            self.send(&pings)?;
        }
        closed.map_or(Ok(()), Err)
    }

    /// Reads all there is; `each` gets the messages, and how many bytes were read first.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        inflated: &mut Inflated,
        mut each: impl FnMut(&[u8]),
    ) -> Result<usize, String> {
        let mut bytes = 0;
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Err("the server closed without a close frame".into()),
                Ok(length) => {
                    bytes += length;
                    self.feed(&scratch[..length], inflated, &mut each)?;
                    // A short read has emptied the socket; what comes next is told anew.
                    if length < scratch.len() {
                        return Ok(bytes);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(bytes),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Sends, now or when the socket takes it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    /// The buffer that [`flush`](Self::flush) sends.
    pub(super) fn unsent(&mut self) -> &mut Vec<u8> {
        &mut self.unsent
    }

    pub(super) fn flush(&mut self) -> Result<(), String> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match self.stream.write(&self.unsent[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.unsent.drain(..sent);
        Ok(())
    }
}

/// What a close frame says.
pub(super) fn closing(payload: &[u8]) -> String {
    match close::parse(payload) {
        Ok((Some(code), "")) => format!("the server closed with {code}"),
        Ok((Some(code), reason)) => format!("the server closed with {code}, {reason}"),
        Ok((None, _)) | Err(_) => "the server closed".to_owned(),
    }
}
