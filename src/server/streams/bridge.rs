//! A connection of a shard, used from within: `graphql-transport-ws` spoken as a client does.

use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde::Deserialize;

use super::pipe::{Near, Refused, pipe};
use crate::connection::Upgraded;
use crate::connection::registry::Permit;
use crate::connection::socket::Stream;
use crate::protocol::{Dialect, NEXT_TAIL};
use crate::server::App;
use crate::server::reply::Answer;
use crate::websocket::assemble::{Assembler, Event, Input, Role};
use crate::websocket::close;
use crate::websocket::frame::{Header, Opcode};

/// Who asks for a stream, and under which name administrators see it.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) remote: IpAddr,
    pub(super) admin: bool,
    pub(super) protocol: &'static str,
    /// Results with their cursors, and positions for quiet times.
    pub(super) resume: bool,
    pub(super) permit: Permit,
}

/// Writes to a connection.
#[derive(Debug, Clone)]
pub(super) struct Sender(Arc<Near>);

/// Reads from a connection; the connection ends with it.
#[derive(Debug)]
pub(super) struct Receiver {
    sender: Sender,
    assembler: Assembler,
}

/// What a connection says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// The client is in; the newest position.
    Acknowledged { cursor: &'a str },
    /// What was sent before `ask_ready` has been looked at: a live subscription has begun.
    Ready,
    /// A result: the text of a JSON object.
    Next { id: u64, result: &'a str },
    /// An operation is over: the text of a JSON array of errors.
    Failed { id: u64, errors: &'a str },
    /// An operation is over.
    Complete { id: u64 },
    /// Everything due up to this cursor was said before.
    Position(&'a str),
    /// Time for a sign of life.
    Quiet,
    /// The connection is over; without a code where it ended without a close frame.
    Closed { code: Option<u16>, reason: &'a str },
}

/// Results of this length are refused where they are made, with room to spare.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Bytes of the words around a request in the message that carries it, at the most.
const SUBSCRIBE_BYTES: usize = 64;

/// Refuses a request that is too long for a message: it would end the connection, and with it what
/// else runs on the stream.
pub(super) fn check_length(app: &App, request: &str) -> Result<(), Answer> {
    let most = app.options.load().body_bytes_max.saturating_sub(SUBSCRIBE_BYTES);
    if request.len() <= most {
        return Ok(());
    }
    let reason = format!("a request for a stream must have at most {most} bytes");
    Err(Answer::refuse(StatusCode::PAYLOAD_TOO_LARGE, &reason))
}

/// Opens a connection on the next shard.
pub(super) async fn open(app: &App, opening: Opening) -> (Sender, Receiver) {
    let Opening { remote, admin, protocol, resume, permit } = opening;
    let (near, far) = pipe();
    let number = app.next_socket.fetch_add(1, Ordering::Relaxed);
    let stream = Stream::Other(Box::pin(far));
    let dialect = Some(Dialect::TransportWs);
    let upgraded = Upgraded {
        stream,
        early: Vec::new(),
        remote,
        dialect,
        deflate: None,
        protocol,
        admin,
        permit,
    };
    app.shards.open(number, upgraded).await;
    let sender = Sender(Arc::new(near));
    let init = format!(r#"{{"type":"connection_init","payload":{{"resume":{resume}}}}}"#);
    // Of a shard that is gone the receiver tells.
    let _ = sender.send(Opcode::Text, init.as_bytes());
    let assembler = Assembler::new(Role::Client, MESSAGE_BYTES_MAX, false);
    (sender.clone(), Receiver { sender, assembler })
}

impl Sender {
    /// Starts an operation; the request is the text of a JSON object.
    pub(super) fn subscribe(&self, id: u64, request: &str) -> Result<(), Refused> {
        self.send(Opcode::Text, subscribe(id, request).as_bytes())
    }

    /// Starts an operation and asks to be told when it has been looked at. Both are sent at once:
    /// behind a large request the question alone might find no room.
    pub(super) fn subscribe_and_ask(&self, id: u64, request: &str) -> Result<(), Refused> {
        let mut frames = frame(Opcode::Text, subscribe(id, request).as_bytes());
        frames.extend(frame(Opcode::Text, br#"{"type":"ping"}"#));
        self.0.send(&frames)
    }

    /// Stops an operation.
    pub(super) fn complete(&self, id: u64) -> Result<(), Refused> {
        self.send(Opcode::Text, format!(r#"{{"id":"{id}","type":"complete"}}"#).as_bytes())
    }

    fn send(&self, opcode: Opcode, payload: &[u8]) -> Result<(), Refused> {
        self.0.send(&frame(opcode, payload))
    }
}

fn subscribe(id: u64, request: &str) -> String {
    format!(r#"{{"id":"{id}","type":"subscribe","payload":{request}}}"#)
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    // A key of zeros changes nothing; it is there because clients have to mask. What masking
    // is for, proxies that take frames for requests, is not on this way.
    let mask = Some([0; 4]);
    let length = payload.len() as u64;
    let (header, used) = Header { fin: true, rsv1: false, opcode, mask, length }.encode();
    let mut frame = Vec::with_capacity(used + payload.len());
    frame.extend_from_slice(&header[..used]);
    frame.extend_from_slice(payload);
    frame
}

impl Receiver {
    /// Waits until the connection says something, and tells all of it. The last thing told is
    /// [`Said::Closed`].
    pub(super) async fn receive(&mut self, mut tell: impl FnMut(Said<'_>)) {
        let taken = poll_fn(|context| self.sender.0.poll_take(context)).await;
        let Some(mut bytes) = taken else {
            return tell(Said::Closed { code: None, reason: "" });
        };
        let mut input = Input::new(&mut bytes);
        loop {
            match self.assembler.receive(&mut input) {
                Ok(None) => return,
                Ok(Some(Event::Text(text))) => read(&text).into_iter().for_each(&mut tell),
                Ok(Some(Event::Ping(payload))) => {
                    // Where it finds no room, what fills the lane is sign of life enough.
                    let _ = self.sender.send(Opcode::Pong, &payload);
                    tell(Said::Quiet);
                }
                Ok(Some(Event::Close { code, reason })) => {
                    return tell(Said::Closed { code, reason: &reason });
                }
                Ok(Some(Event::Pong(_) | Event::Binary(_) | Event::Deflated { .. })) => {}
                Err(error) => {
                    tracing::error!(%error, "a shard sent what is no WebSocket");
                    return tell(Said::Closed { code: None, reason: "" });
                }
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // A connection that has ended already needs no goodbye.
        let _ = self.sender.send(Opcode::Close, &close::payload(1000, ""));
    }
}

/// Takes a message apart without reading the JSON inside: the ids are numbers given here, and the
/// members come in the order in which the shard writes them.
fn read(text: &str) -> Option<Said<'_>> {
    let Some(rest) = text.strip_prefix(r#"{"id":""#) else { return read_without_id(text) };
    let (id, rest) = rest.split_once(r#"","type":""#)?;
    let id = id.parse().ok()?;
    let (kind, rest) = rest.split_once('"')?;
    let payload = || {
        let payload = rest.strip_prefix(r#","payload":"#)?;
        payload.strip_suffix(std::str::from_utf8(NEXT_TAIL).ok()?)
    };
    match kind {
        "next" => Some(Said::Next { id, result: payload()? }),
        "error" => Some(Said::Failed { id, errors: payload()? }),
        "complete" => Some(Said::Complete { id }),
        _ => None,
    }
}

fn read_without_id(text: &str) -> Option<Said<'_>> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        #[serde(borrow)]
        payload: Option<Position<'a>>,
    }
    #[derive(Deserialize)]
    struct Position<'a> {
        cursor: Option<&'a str>,
    }
    let message: Message<'_> = serde_json::from_str(text).ok()?;
    if message.kind == "pong" {
        return Some(Said::Ready);
    }
    let cursor = message.payload.and_then(|payload| payload.cursor)?;
    match message.kind {
        "connection_ack" => Some(Said::Acknowledged { cursor }),
        "ping" => Some(Said::Position(cursor)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_apart() {
        let table = [
            (
                r#"{"type":"connection_ack","payload":{"connection":"x","cursor":"e-1"}}"#,
                Some(Said::Acknowledged { cursor: "e-1" }),
            ),
            (r#"{"type":"ping","payload":{"cursor":"e-2"}}"#, Some(Said::Position("e-2"))),
            (r#"{"type":"ping","payload":{}}"#, None),
            (r#"{"type":"pong"}"#, Some(Said::Ready)),
            (
                r#"{"id":"12","type":"next","payload":{"data":{"a":{"x":"}\",\"type\":\""}}}}"#,
                Some(Said::Next { id: 12, result: r#"{"data":{"a":{"x":"}\",\"type\":\""}}}"# }),
            ),
            (
                r#"{"id":"1","type":"error","payload":[{"message":"m"}]}"#,
                Some(Said::Failed { id: 1, errors: r#"[{"message":"m"}]"# }),
            ),
            (r#"{"id":"3","type":"complete"}"#, Some(Said::Complete { id: 3 })),
        ];
        for (text, expected) in table {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
