//! The language in which a server is loaded: that of Tidings, or that of another one which is
//! measured beside it.

use super::plan::Plan;
use super::stamp::Stamp;
use crate::cli::socket::push_frame;
use crate::websocket::frame::Opcode;

/// How to talk to a server. The load itself is the same for all.
pub trait Dialect {
    /// What a connection does that follows one topic.
    fn subscriber(&self, index: usize) -> Opening;

    /// What a connection does before it publishes.
    fn publisher(&self) -> Opening;

    /// Appends the frames that publish a message.
    fn push_publish(&self, out: &mut Vec<u8>, topic: usize, stamp: &Stamp);

    /// Cuts what a frame brought into what the server said; `begun` is kept between the frames of
    /// a connection, for a message that goes on in the next one. Fails when the server refuses.
    fn cut(
        &self,
        payload: &[u8],
        begun: &mut Vec<u8>,
        each: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), String> {
        let _ = begun;
        each(Heard::Message(payload));
        Ok(())
    }

    /// How many publishes are taken for sure, as an answer on a publishing connection tells.
    fn taken(&self, answer: &[u8]) -> Result<u64, String>;

    /// How many publishes may wait for their answer, where the answers must be awaited.
    fn unanswered_max(&self) -> Option<u64> {
        None
    }
}

/// Something that a server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A delivery, or the answer to a publish.
    Message(&'a [u8]),
    /// The server waits for this frame.
    Ask(&'a [u8]),
}

/// How a connection begins.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// Of the WebSocket's address.
    pub path: String,
    /// Asked for in the handshake.
    pub subprotocol: Option<&'static str>,
    /// One after the other.
    pub steps: Vec<Step>,
}

/// A step of an opening.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// The frames that are sent.
    pub send: Vec<u8>,
    /// What the server's answer holds, if there is one to wait for.
    pub until: Option<&'static [u8]>,
}

/// Any key does: masking guards proxies from scripts, and there are neither.
const MASK: [u8; 4] = [0x9e, 0x37, 0x79, 0xb9];

/// Appends a frame as a client sends it.
pub fn push_masked(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    push_frame(out, opcode, payload, MASK);
}

impl Opening {
    /// A connection of graphql-transport-ws, acknowledged; then `first` is sent.
    pub fn graphql(path: &str, first: Vec<u8>) -> Self {
        let mut init = Vec::new();
        push_masked(&mut init, Opcode::Text, br#"{"type":"connection_init"}"#);
        let acknowledged = Step { send: init, until: Some(b"connection_ack") };
        Self {
            path: path.to_owned(),
            subprotocol: Some("graphql-transport-ws"),
            steps: vec![acknowledged, Step { send: first, until: None }],
        }
    }
}

/// Publishes of graphql-transport-ws that an answer confirms.
pub fn graphql_taken(answer: &[u8]) -> Result<u64, String> {
    let holds = |part: &[u8]| answer.windows(part.len()).any(|window| window == part);
    if holds(b"\"error") {
        return Err(String::from_utf8_lossy(answer).into_owned());
    }
    Ok(u64::from(holds(b"\"next\"")))
}

/// Tidings' own.
impl Dialect for Plan {
    fn subscriber(&self, index: usize) -> Opening {
        Opening::graphql(PATH, self.subscribe_frame(index))
    }

    fn publisher(&self) -> Opening {
        Opening::graphql(PATH, Vec::new())
    }

    fn push_publish(&self, out: &mut Vec<u8>, topic: usize, stamp: &Stamp) {
        self.push_publish(out, topic, stamp);
    }

    fn taken(&self, answer: &[u8]) -> Result<u64, String> {
        graphql_taken(answer)
    }
}

/// Empty: the address has one already.
const PATH: &str = "";
