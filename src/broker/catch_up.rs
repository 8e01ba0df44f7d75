//! Replay, then live: reads the log from a subscription's position on and joins its feed where
//! the reading ends, so that between the two there is no gap and no duplicate.
//!
//! ```text
//!             messages: the subscriber takes them, when it has room
//!            ┌───────────────┐
//!            ▼               │
//! ──────► Reading ────► Reached ────► joined, with the few that came since the read
//!            ▲               │
//!            └─── behind ────┘
//! ```
//! Nothing is queued while it reads: a slow subscriber costs a position in the log, not a buffer.
//! This file is the pure part; [`Broker::catch_up`](super::Broker::catch_up) runs it.

use std::sync::Arc;

use crate::engine::{Batch, ReadFrom};
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::message::time::Timestamp;

/// Where a catch-up stands.
#[derive(Debug)]
pub struct CatchUp {
    from: ReadFrom,
    /// A read has reached this place and its messages are taken: the feed may be joined here.
    reached: Option<Sequence>,
    /// Messages before this time are passed over.
    since: Option<Timestamp>,
    /// Reads at [`ReadFrom::After`] that lost messages begin anew with what is kept: true only for
    /// `since`, which asks for a time and not for completeness.
    lenient: bool,
}

/// What the owner of a catch-up does next.
#[derive(Debug)]
pub enum Step {
    /// Read from here.
    Read(ReadFrom),
    /// Join the feed at this place, if it is not too far behind.
    Join(Sequence),
}

impl CatchUp {
    /// Begins at a place of the log.
    pub fn from(from: ReadFrom) -> Self {
        Self { from, reached: None, since: None, lenient: false }
    }

    /// Begins with what was accepted at this time or later; `before` is the place before that.
    pub fn since(time: Timestamp, before: Sequence) -> Self {
        Self { from: ReadFrom::After(before), reached: None, since: Some(time), lenient: true }
    }

    /// What comes next.
    pub fn next(&self) -> Step {
        self.reached.map_or(Step::Read(self.from), Step::Join)
    }

    /// Takes what a read brought, and returns the messages to deliver: those that pass.
    pub fn read(&mut self, batch: Batch, passes: impl Fn(&Message) -> bool) -> Vec<Arc<Message>> {
        self.from = self.from.onward(&batch);
        self.reached = Some(batch.upto);
        self.lenient = false;
        let since = self.since;
        let is_in_time = |message: &Message| since.is_none_or(|time| message.published_at >= time);
        let mut messages = batch.messages;
        messages.retain(|message| is_in_time(message) && passes(message));
        messages
    }

    /// The read found that messages after its place are gone. False: the subscription ends.
    pub fn may_begin_anew(&mut self) -> bool {
        let may = self.lenient;
        self.lenient = false;
        self.from = ReadFrom::Earliest;
        may
    }

    /// The feed has moved on too far since the read: read on.
    pub fn behind(&mut self) {
        self.reached = None;
    }
}
