//! One connection's conversation: who may speak when, and which operations there are.
//!
//! Comes in: text messages, the time, and what the layer above decided. Goes out: actions, to start
//! or stop an operation, to send a text, to close with a code. Knows nothing of: sockets, clocks,
//! what GraphQL makes of a request.

pub mod session;

mod legacy_ws;
mod operations;
mod read;
mod transport_ws;
mod write;

pub mod close;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use close::CloseCode;
use write::Quoted;

/// The protocols for GraphQL over a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// That of graphql-ws, the current one.
    TransportWs,
    /// That of subscriptions-transport-ws, which came before it.
    LegacyWs,
}

impl Dialect {
    /// The name in `Sec-WebSocket-Protocol`. The *older* one is called `graphql-ws`.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::TransportWs => "graphql-transport-ws",
            Self::LegacyWs => "graphql-ws",
        }
    }

    /// The first of the client's offers that is spoken here; others (mqtt, wamp) are passed over.
    pub fn choose<'a>(offers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let spoken = [Self::TransportWs, Self::LegacyWs];
        let find = |offer| spoken.into_iter().find(|dialect| dialect.subprotocol() == offer);
        offers.into_iter().find_map(find)
    }

    /// Appends everything of a result message that stands before the result itself; what stands
    /// after it is [`NEXT_TAIL`].
    pub fn next_head(self, id: &OperationId, head: &mut Vec<u8>) {
        head.extend_from_slice(format!(r#"{{"id":{}"#, Quoted(id.as_str())).as_bytes());
        head.extend_from_slice(self.next_words());
    }

    /// What every head of a result ends with: all of it but the id.
    pub const fn next_words(self) -> &'static [u8] {
        match self {
            Self::TransportWs => br#","type":"next","payload":"#,
            Self::LegacyWs => br#","type":"data","payload":"#,
        }
    }
}

/// What follows the result in a result message.
pub const NEXT_TAIL: &[u8] = b"}";

/// One use of an operation id by a client.
///
/// The same text used again, after the first use has ended, is *another* `OperationId` and not
/// equal to it; so a late answer to the first cannot reach the second. Clones are equal, and cheap.
#[derive(Debug, Clone)]
pub struct OperationId(Arc<str>);

impl OperationId {
    /// The text that the client chose.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for OperationId {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OperationId {}

impl Hash for OperationId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the layer above has to do, in the order in which the actions are handed out.
#[derive(Debug)]
pub enum Action {
    /// Decide whether the client may stay, then call `acknowledge` or `close`. Comes once.
    Authenticate {
        /// The object that came with `connection_init`.
        payload: Option<Box<RawValue>>,
    },
    /// Begin an operation, and `settle` it at its end.
    Start {
        /// Names the operation from now on.
        id: OperationId,
        /// A JSON object; whether it holds a query is for GraphQL to say.
        request: Box<RawValue>,
    },
    /// The client wants no more of an operation: end it, send nothing more, do not settle it.
    Stop {
        /// As in `Start`.
        id: OperationId,
    },
    /// Send one text message.
    Send(String),
    /// Call `ping` with the position that everything due was sent up to.
    KeepAlive,
    /// Send what came before this, then close, and end all operations. No action follows.
    Close {
        /// Number and meaning.
        code: CloseCode,
        /// What happened; the close frame takes 123 bytes of it.
        reason: Cow<'static, str>,
    },
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled<'a> {
    /// It could not be done, or could not go on: the text of a JSON array of GraphQL errors.
    Refused(&'a str),
    /// A query or mutation: the text of its one result, a JSON object.
    Answered(&'a str),
    /// A subscription: there will be no more results.
    Finished,
}

/// The limits of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long a client may take to send `connection_init`.
    pub init_timeout: Duration,
    /// Time between two signs of life for clients that want them.
    pub keep_alive: Duration,
    /// Operations of all kinds that one connection may have at a time.
    pub operations_max: usize,
}
