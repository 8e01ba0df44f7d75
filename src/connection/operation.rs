//! One running operation of a connection, as its shard sees it.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::AbortHandle;

use crate::broker::conflate::Conflater;
use crate::broker::feed::FeedId;
use crate::plan::Uses;
use crate::protocol::OperationId;

/// Names an operation of one connection; a used one is never valid again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// Its place in the connection's table.
    pub(super) index: u32,
    /// Tells those apart that had this place one after the other.
    pub(super) serial: u32,
}

/// What a shard keeps per operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// The use of an id that the client chose.
    pub(super) id: OperationId,
    /// What goes in front of every result.
    pub(super) head: Box<[u8]>,
    /// Tells it from earlier users of its place.
    pub(super) serial: u32,
    /// Messages kept from the subscriber since its last result; its next one tells it, so what is
    /// kept from it after its last result ever is told to administrators only.
    pub(super) dropped: u64,
    /// The feed and the place among its members, once it is live.
    pub(super) member: Option<Member>,
    /// What it relies on; `None`: on no type that could change.
    pub(super) uses: Option<Arc<Uses>>,
    /// `maxPerSecond` and `distinct`.
    pub(super) pace: Option<Box<Pace>>,
    /// The task that catches up, forwards or answers.
    pub(super) task: Option<Task>,
    /// Counted as a subscription.
    pub(super) is_subscription: bool,
    /// Reads the log still, and has not joined its feed.
    pub(super) is_catching_up: bool,
    /// The connection closes: nothing new comes of it.
    pub(super) is_over: bool,
}

/// Membership of a live subscription.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    /// The feed.
    pub(super) feed: FeedId,
    /// The place in the feed's list of this shard.
    pub(super) place: usize,
}

/// A subscription that does not want every message at once.
#[derive(Debug)]
pub(super) struct Pace {
    /// Which messages, and when.
    pub(super) conflater: Conflater,
    /// The feed, to encode what was held back.
    pub(super) feed: std::rc::Rc<crate::broker::feed::Feed>,
    /// When the shard's timer will look at it.
    pub(super) scheduled: Option<Instant>,
}

/// A task that ends with its operation.
#[derive(Debug)]
pub(super) struct Task(pub(super) AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
