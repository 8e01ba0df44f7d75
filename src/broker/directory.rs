//! Who is connected: what administrators see and may end.

use std::sync::Arc;

use crate::message::time::Timestamp;

/// The connections of this node. The folder that owns sockets implements it.
pub trait Directory: Send + Sync + 'static {
    /// Some connections in the order of their ids, beginning after an id.
    fn connections(&self, first: usize, after: Option<&str>) -> ConnectionPage;

    /// Closes the connection with this id and those of this subject with 1008 and the reason, and
    /// says how many. Returns at once; the closing handshakes follow.
    fn disconnect(&self, connection: Option<&str>, subject: Option<&str>, reason: &str) -> u64;
}

/// One connection as administrators see it.
#[derive(Debug, Clone)]
pub struct ConnectionReport {
    /// Its id.
    pub id: Arc<str>,
    /// Its subject, if it has shown a token.
    pub subject: Option<Arc<str>>,
    /// The peer's address.
    pub remote: String,
    /// The subprotocol.
    pub protocol: &'static str,
    /// When it was opened.
    pub since: Timestamp,
    /// Open subscriptions.
    pub subscriptions: u64,
    /// Bytes that wait in its outbox.
    pub outbox_bytes: u64,
    /// Messages kept from it by overflow or conflation.
    pub dropped: u64,
}

/// Some connections in the order of their ids.
#[derive(Debug, Clone, Default)]
pub struct ConnectionPage {
    /// The connections.
    pub connections: Vec<ConnectionReport>,
    /// All connections there are.
    pub total: u64,
    /// There are more after these.
    pub has_next: bool,
}
