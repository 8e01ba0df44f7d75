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
    /// Not before this place. What comes with a join are the messages as they were published; where
    /// a snapshot has replaced some, a replay from the beginning needs it, and so has to read.
    join_from: Sequence,
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
        let join_from = Sequence::ZERO;
        Self { from, reached: None, join_from, since: None, lenient: false }
    }

    /// Begins with what was accepted at this time or later; `before` is the place before that.
    pub fn since(time: Timestamp, before: Sequence) -> Self {
        Self { since: Some(time), lenient: true, ..Self::from(ReadFrom::After(before)) }
    }

    /// What comes next.
    pub fn next(&self) -> Step {
        self.reached.map_or(Step::Read(self.from), Step::Join)
    }

    /// Takes what a read brought, and returns the messages to deliver: those that pass. `head` is
    /// the newest place of the log, then or later.
    pub fn read(
        &mut self,
        batch: Batch,
        head: Sequence,
        passes: impl Fn(&Message) -> bool,
    ) -> Vec<Arc<Message>> {
        if matches!(self.from, ReadFrom::Earliest | ReadFrom::Snapshot) {
            // Snapshots that come later are of no concern: what they replace is read or expires.
            self.join_from = head;
        }
        self.from = self.from.onward(&batch);
        self.reached = (batch.upto >= self.join_from).then_some(batch.upto);
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
