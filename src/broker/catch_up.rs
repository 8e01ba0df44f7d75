//! Replay, then live: reads the log from a subscription's position on and joins its feed where
//! the reading ends, so that between the two there is no gap and no duplicate.
//!
//! ```text
//!            read                    read reached the head
//! Reading ─────────► messages ─┐  ┌─────────────────────────► join ──► Joined
//!    ▲                         │  │                             │
//!    └─────────────────────────┴──┘◄───────── Behind ───────────┘
//! ```
//! Nothing is queued while it reads: a slow subscriber costs a position in the log, not a buffer.
//! This file is the pure part; [`Broker::catch_up`](super::Broker::catch_up) runs it.

use std::sync::Arc;

use crate::engine::{Batch, From};
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::message::time::Timestamp;
use crate::plan::Select;

/// Where a catch-up stands.
#[derive(Debug)]
pub struct CatchUp {
    from: From,
    /// Messages before this time are passed over.
    since: Option<Timestamp>,
    /// Reads at [`From::After`] that lost messages begin anew with what is kept: true only for
    /// `since`, which asks for a time and not for completeness.
    lenient: bool,
}

/// What the owner of a catch-up does next.
#[derive(Debug)]
pub enum Step {
    /// Read from here.
    Read(From),
    /// All that was in the log has been read: join the feed at this place.
    Join(Sequence),
}

impl CatchUp {
    /// Begins at a place of the log.
    pub fn from(from: From) -> Self {
        Self { from, since: None, lenient: false }
    }

    /// Begins with what was accepted at this time or later; `before` is the place before that.
    pub fn since(time: Timestamp, before: Sequence) -> Self {
        Self { from: From::After(before), since: Some(time), lenient: true }
    }

    /// What comes first.
    pub fn start(&self) -> Step {
        Step::Read(self.from)
    }

    /// Takes what a read brought; `head` is the log's newest place after it. Returns the messages
    /// to deliver and what comes next.
    pub fn read(
        &mut self,
        batch: Batch,
        head: Sequence,
        select: &Select,
    ) -> (Vec<Arc<Message>>, Step) {
        let mut messages = batch.messages;
        let since = self.since;
        messages.retain(|message| {
            since.is_none_or(|time| message.published_at >= time) && passes(select, message)
        });
        self.from = From::After(batch.upto);
        self.lenient = false;
        let step = if batch.upto >= head { Step::Join(batch.upto) } else { self.start() };
        (messages, step)
    }

    /// The read found that messages after its place are gone. `None`: the subscription ends.
    pub fn expired(&mut self) -> Option<Step> {
        if !self.lenient {
            return None;
        }
        self.lenient = false;
        self.from = From::Earliest;
        Some(self.start())
    }

    /// The feed has moved on too far since the read: read on.
    pub fn behind(&self) -> Step {
        self.start()
    }
}

/// Does the message pass the condition?
pub fn passes(select: &Select, message: &Message) -> bool {
    select.condition.as_ref().is_none_or(|condition| condition.holds(message.value()))
}
