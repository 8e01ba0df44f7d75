//! The log: takes publishes, gives them an order, keeps them for as long as the rules say.
//!
//! Comes in: publishes and reads. Goes out: receipts, kept messages, and every accepted message
//! once, in log order, to the [`Sink`]. Knows nothing of: subscribers, conditions, GraphQL.

pub mod disk;
pub mod histogram;
pub mod memory;
pub mod retention;

mod ids;
#[cfg(test)]
mod model;
mod times;
mod topics;
mod tree;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use self::histogram::{Histogram, HistogramSnapshot};
use self::retention::Retention;
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::filter::{Filter, Filters};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Receipt};

/// A message log. All methods may be called from any thread; none blocks on IO.
pub trait Engine: Send + Sync + 'static {
    /// `memory`, `disk` or `nats`.
    fn name(&self) -> &'static str;

    /// Which log this is: cursors of another epoch are expired.
    fn epoch(&self) -> Epoch;

    /// The newest accepted place. Every message up to it has been handed to the sink.
    fn head(&self) -> Sequence;

    /// Appends, in the order of the calls: of two calls, the first one's message comes first in
    /// the log, however late its reply is awaited. The reply comes when the message is as durable
    /// as the engine promises, and the sink has it by then.
    ///
    /// An `id` that was used in the topic within the idempotency window gives the first receipt
    /// with `duplicate: true`; a refused publish does not use its id up. A broken `if_last` is
    /// [`Error::Conflict`].
    fn append(&self, publish: Publish) -> Reply<Receipt>;

    /// As so many calls of [`append`](Self::append) with nothing in between; each publish has its
    /// own result.
    fn append_many(&self, publishes: Vec<Publish>) -> Reply<Vec<Result<Receipt, Error>>>;

    /// Puts a snapshot in the place of its topic's message at `upto` and of all before it, in the
    /// order of the calls and in one step: no read, no crash and no restart finds some of them gone
    /// and the snapshot not there, or both. The reply comes when that is as durable as a publish.
    ///
    /// The snapshot is a kept message like any other, with the cursor, the time and the place of
    /// the one at `upto`, and nothing before it ([`Message::previous`] is `None`): reads, `last`,
    /// `if_last`, listings and counts see it where they saw that one. What it replaced is lost:
    /// reads after an earlier place are [`Error::Expired`], those after `upto` go on. The sink does
    /// not get it, the head stays, and ids that were used stay used.
    ///
    /// `upto` has to be a message that the topic keeps, and not a snapshot. At a kept snapshot's
    /// own place the same draft once more gives its receipt with `duplicate: true`; any other draft
    /// there, or an earlier place, is [`Error::Overtaken`]. A place from which the topic has, or
    /// may have, forgotten a message is [`Error::Expired`]; any other is [`Error::NotOfTopic`].
    ///
    /// While a topic keeps messages after its snapshot, [`Keep`](retention::Keep) speaks of those
    /// alone, and they go before the snapshot does, also by [`purge`](Self::purge) and [`Bounds`].
    /// A snapshot that is all that a topic keeps goes by age, by `last: 0`, by purge and by
    /// [`Bounds`], but not by the topic's bytes.
    fn compact(&self, snapshot: Draft, upto: Sequence) -> Reply<Receipt>;

    /// Messages that match, in log order, beginning after a place. May stop early at its own
    /// convenience; [`Batch::upto`] then is less than [`head`](Self::head), and the caller goes on
    /// with [`ReadFrom::onward`]. [`Error::Expired`] when a matching topic lost a message after
    /// `from`, except one that a newer message of the same key replaced in a conflating topic:
    /// those are counted in [`Batch::conflated`]. A place beyond the head belongs to no log, so it
    /// is expired.
    fn read(&self, filters: &Filters, from: ReadFrom, limit: Limit) -> Reply<Batch>;

    /// Kept messages that match, newest first, beginning before a place (`None`: the newest).
    /// Stops early as [`read`](Self::read) does, with `upto` the place before which the caller
    /// goes on; 0 when nothing is left.
    fn read_back(&self, filters: &Filters, before: Option<Sequence>, limit: Limit) -> Reply<Batch>;

    /// The place before the first message that was accepted at this time or later.
    fn before_time(&self, time: Timestamp) -> Reply<Sequence>;

    /// The newest `count` of every matching topic that `accept` lets pass, in log order, as of
    /// `upto`, which is the head at that moment.
    fn last(&self, filters: &Filters, count: usize, accept: Accept) -> Reply<Batch>;

    /// Topics that keep messages, by name, beginning after a name.
    fn topics(&self, matching: &Filter, after: Option<&str>, count: usize) -> Vec<Kept>;

    /// One topic; `None` when it keeps nothing.
    fn topic(&self, topic: &Topic) -> Option<Kept>;

    /// Forgets all messages of a topic and says how many. Cursors before them are expired.
    fn purge(&self, topic: &Topic) -> Reply<u64>;

    /// Forgets what is past its age. Called about once a second.
    fn sweep(&self);

    /// Keeps from now on what these rules say. Topics that keep messages follow at once or by the
    /// next [`sweep`](Self::sweep); what was forgotten stays forgotten, as lost or as conflated by
    /// the rules of its time. In a topic that begins to conflate, newer messages stand for those
    /// kept already as for later ones. Of several calls the last one holds.
    fn set_retention(&self, retention: Retention);

    /// Holds all topics together to these bounds from now on, at once or by the next
    /// [`sweep`](Self::sweep). Ids that were forgotten stay forgotten.
    fn set_bounds(&self, bounds: Bounds);

    /// Is so much under way that publishers had better take no more input? Those who go on may be
    /// refused.
    fn is_full(&self) -> bool {
        false
    }

    /// How long writes to the disk took, of an engine that has one.
    fn commit_seconds(&self) -> HistogramSnapshot {
        Histogram::default().snapshot()
    }

    /// Why publishes are refused at present, fit for operators.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Bytes that the kept messages cost.
    fn kept_bytes(&self) -> u64;

    /// Topics that keep messages.
    fn kept_topics(&self) -> u64;
}

/// Gets every accepted message exactly once, in log order, before its publisher gets the receipt.
pub trait Sink: Send + Sync {
    /// Called while the engine holds its order: must be quick, and must not call the engine.
    fn accepted(&self, messages: &[Arc<Message>]);
}

/// Which messages [`Engine::last`] counts.
pub type Accept = Arc<dyn Fn(&Message) -> bool + Send + Sync>;

/// One publish.
#[derive(Debug, Clone)]
pub struct Publish {
    /// What and where.
    pub draft: Draft,
    /// Idempotency key, within the topic.
    pub id: Option<Box<str>>,
    /// Only if the topic is still as the publisher saw it.
    pub if_last: Option<IfLast>,
}

/// What holds for all topics together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How much is kept: beyond it the oldest messages go first.
    pub memory_bytes: u64,
    /// How much of that in memory by an engine that has a disk, of topics that are not durable:
    /// beyond it the oldest of those go first.
    pub volatile_bytes: u64,
    /// For so long an idempotency id is known,
    pub idempotency_window: Duration,
    /// unless there are more than so many: then the oldest go first.
    pub idempotency_ids_max: usize,
}

/// What a publisher expects of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfLast {
    /// It keeps no message.
    Empty,
    /// Its newest message is this one.
    Cursor(Cursor),
}

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the oldest message kept; what was lost before this read is not missed.
    Earliest,
    /// The same, where every matching topic begins with its snapshot or has none: when one has
    /// lost a message after the snapshot that it keeps, the read is [`Error::Expired`]. (A snapshot
    /// has replaced all before it: what comes first is the newest.)
    Snapshot,
    /// After this place.
    After(Sequence),
    /// Where a read from [`ReadFrom::Earliest`] or [`ReadFrom::Snapshot`] stopped: only what was
    /// lost since then is missed.
    Rest {
        /// The place.
        after: Sequence,
        /// [`Batch::moment`] of the first read.
        moment: u64,
    },
}

impl ReadFrom {
    /// Where the read goes on after it returned this batch.
    #[must_use]
    pub fn onward(self, batch: &Batch) -> Self {
        match self {
            Self::Earliest | Self::Snapshot => {
                Self::Rest { after: batch.upto, moment: batch.moment }
            }
            Self::After(_) => Self::After(batch.upto),
            Self::Rest { moment, .. } => Self::Rest { after: batch.upto, moment },
        }
    }
}

/// How much one read may return: it stops when either is reached.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Messages.
    pub messages: usize,
    /// Bytes, by [`Message::cost`]; at least one message is returned.
    pub bytes: usize,
}

/// What a read found.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Matching messages.
    pub messages: Vec<Arc<Message>>,
    /// The log has been looked at up to here.
    pub upto: Sequence,
    /// Matching messages in the range that newer ones of the same key have replaced; 0 for
    /// [`Engine::read_back`] and [`Engine::last`].
    pub conflated: u64,
    /// How much the engine had forgotten when it read, as a number of its own; see
    /// [`ReadFrom::Rest`].
    pub moment: u64,
}

/// A topic that keeps messages.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its name.
    pub topic: Topic,
    /// How many.
    pub messages: u64,
    /// Their bytes, by [`Message::cost`].
    pub bytes: u64,
    /// The oldest kept.
    pub first: Cursor,
    /// The newest kept.
    pub last: Cursor,
    /// When the newest was accepted.
    pub last_published_at: Timestamp,
}

/// Why an engine refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The topic is not as `if_last` says.
    #[error("the topic's last message is not the one given in ifLast")]
    Conflict {
        /// The topic's newest message now; `None` when it keeps none.
        last: Option<Cursor>,
    },
    /// Messages after the position are gone.
    #[error("messages after this position are no longer kept")]
    Expired {
        /// The oldest position that still resumes without loss.
        earliest: Option<Cursor>,
    },
    /// A snapshot has replaced the place already.
    #[error("a snapshot up to {snapshot} has replaced everything up to here already")]
    Overtaken {
        /// The snapshot's cursor.
        snapshot: Cursor,
        /// The topic's newest message.
        last: Cursor,
    },
    /// A place at which the topic never had a message.
    #[error("upTo is not the cursor of a message of this topic")]
    NotOfTopic,
    /// The log is full and may not forget anything yet, or does not answer.
    #[error("the log does not take messages now: {reason}")]
    Unavailable {
        /// What happened, fit for clients.
        reason: String,
        /// False when the publish was certainly not accepted.
        unknown: bool,
    },
}

/// An answer that is here at once or comes later; either way the call has taken its effect.
#[derive(Debug)]
pub enum Reply<T> {
    /// Here; `None` after it was taken.
    Now(Option<Result<T, Error>>),
    /// Comes from another thread.
    Later(oneshot::Receiver<Result<T, Error>>),
}

impl<T> Reply<T> {
    /// An answer that is here.
    pub fn now(result: Result<T, Error>) -> Self {
        Self::Now(Some(result))
    }
}

impl<T: Unpin> Future for Reply<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = || {
            let reason = "the engine stopped before it answered".into();
            Err(Error::Unavailable { reason, unknown: true })
        };
        match &mut *self {
            Self::Now(result) => Poll::Ready(result.take().unwrap_or_else(gone)),
            Self::Later(receiver) => {
                Pin::new(receiver).poll(context).map(|result| result.unwrap_or_else(|_| gone()))
            }
        }
    }
}
