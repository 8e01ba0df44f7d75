//! The log in memory: a ring for each topic under one order of all messages.
//!
//! Comes in: publishes and reads. Goes out: receipts and messages, and each accepted one to the
//! sink. Knows nothing of: disks, other nodes; a restart begins another log.

mod change;
mod compact;
mod list;
mod read;
mod ring;
mod state;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use self::change::Walk;
use self::list::Listing;
use self::ring::{Ring, Tail};
use self::state::{Accepted, State};
use super::retention::Retention;
use super::{Accept, Batch, Bounds, Engine, Error, Kept, Limit, Publish, ReadFrom, Reply, Sink};
use crate::message::cursor::{Epoch, Sequence};
use crate::message::filter::{Filter, Filters};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Receipt};

/// Gives the time; the engine takes care that its own never goes back.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the engine is made of; every value is a valid one.
pub struct Options {
    /// A number that no earlier log had.
    pub epoch: Epoch,
    /// How much of each topic is kept.
    pub retention: Retention,
    /// How much of all topics together.
    pub bounds: Bounds,
    /// The time.
    pub clock: Clock,
}

/// The engine `memory`.
pub struct Memory {
    /// Guards the whole log: its order, rings, indexes and counts, and with them the order in which
    /// the sink is called. Nothing that waits is done under it, and nothing of more than some
    /// hundred microseconds: reads and sweeps let others in between. A purge or a compaction takes
    /// as long as what it forgets, for it is one step.
    state: Mutex<State>,
    epoch: Epoch,
    clock: Clock,
    sink: Arc<dyn Sink>,
}

/// Messages, ids or topics that are forgotten before publishers are let in again.
const FORGOTTEN_AT_ONCE: usize = 512;
/// How many a publish forgets besides its own work, so that little waits for the next read.
const FORGOTTEN_PER_PUBLISH: usize = 4;
/// Topics that a listing looks at before publishers are let in again.
const LISTED_AT_ONCE: usize = 1024;
/// Messages of a topic that `last` takes at once.
const TAIL_AT_ONCE: usize = 64;

impl Memory {
    /// An empty log.
    pub fn new(options: Options, sink: Arc<dyn Sink>) -> Arc<Self> {
        let (epoch, clock) = (options.epoch, Arc::clone(&options.clock));
        Arc::new(Self { state: Mutex::new(State::new(options)), epoch, clock, sink })
    }

    /// The log without any message past its age.
    fn fresh(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        let now = state.tick((self.clock)());
        while !state.expire(now, FORGOTTEN_AT_ONCE) {
            MutexGuard::bump(&mut state);
        }
        state
    }

    /// Appends to the log, which is locked, and says what is new to the sink.
    fn accept(&self, state: &mut State, publish: Publish) -> Result<Accepted, Error> {
        let now = state.tick((self.clock)());
        state.expire(now, FORGOTTEN_PER_PUBLISH);
        state.expire_ids(now, FORGOTTEN_PER_PUBLISH);
        state.append(publish, now)
    }

    /// Of a topic's newest messages, newest first, the first `count` that `accept` lets pass;
    /// those older than the given ones are taken from the log as needed.
    fn pick(&self, mut tail: Tail, count: usize, accept: &Accept) -> Tail {
        let mut picked = Tail::new();
        let mut asked = count.min(TAIL_AT_ONCE);
        loop {
            let is_all = tail.len() < asked;
            let oldest = tail.last().map(Arc::clone);
            // Conditions parse payloads: that is not done under the lock.
            let room = count - picked.len();
            picked.extend(tail.into_iter().filter(|message| accept(message)).take(room));
            match oldest {
                Some(oldest) if !is_all && picked.len() < count => {
                    tail = self.fresh().tail_before(&oldest, TAIL_AT_ONCE);
                    asked = TAIL_AT_ONCE;
                }
                _ => return picked,
            }
        }
    }
}

#[cfg(test)]
impl Memory {
    /// Bounds what one read looks at.
    pub(super) fn look(&self, topics_max: usize, entries_max: usize) {
        self.state.lock().looks = super::topics::Looks { topics_max, entries_max };
    }

    /// True when no topic, message or id is remembered in any index.
    pub(super) fn is_blank(&self) -> bool {
        self.state.lock().is_blank()
    }
}

impl Engine for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn head(&self) -> Sequence {
        Sequence(self.state.lock().head)
    }

    fn append(&self, publish: Publish) -> Reply<Receipt> {
        let mut state = self.state.lock();
        Reply::now(self.accept(&mut state, publish).map(|accepted| match accepted {
            Accepted::New(message) => {
                self.sink.accepted(std::slice::from_ref(&message));
                message.receipt()
            }
            Accepted::Before(receipt) => receipt,
        }))
    }

    fn append_many(&self, publishes: Vec<Publish>) -> Reply<Vec<Result<Receipt, Error>>> {
        let mut state = self.state.lock();
        let mut messages = Vec::with_capacity(publishes.len());
        let mut take = |publish| match self.accept(&mut state, publish)? {
            Accepted::New(message) => {
                let receipt = message.receipt();
                messages.push(message);
                Ok(receipt)
            }
            Accepted::Before(receipt) => Ok(receipt),
        };
        let receipts = publishes.into_iter().map(&mut take).collect();
        if !messages.is_empty() {
            self.sink.accepted(&messages);
        }
        Reply::now(Ok(receipts))
    }

    fn compact(&self, snapshot: Draft, upto: Sequence) -> Reply<Receipt> {
        let mut state = self.state.lock();
        let now = state.tick((self.clock)());
        Reply::now(state.compact(snapshot, upto, now))
    }

    fn read(&self, filters: &Filters, from: ReadFrom, limit: Limit) -> Reply<Batch> {
        Reply::now(self.fresh().read(filters, from, limit))
    }

    fn read_back(&self, filters: &Filters, before: Option<Sequence>, limit: Limit) -> Reply<Batch> {
        Reply::now(Ok(self.fresh().read_back(filters, before, limit)))
    }

    fn before_time(&self, time: Timestamp) -> Reply<Sequence> {
        Reply::now(Ok(Sequence(self.fresh().before_time(time))))
    }

    fn last(&self, filters: &Filters, count: usize, accept: Accept) -> Reply<Batch> {
        let (tails, upto, moment) = {
            let state = self.fresh();
            let tails = state.tails(filters, count.min(TAIL_AT_ONCE));
            (tails, Sequence(state.head), state.moment)
        };
        let pick = |tail| self.pick(tail, count, &accept);
        let mut messages: Vec<_> = tails.into_iter().flat_map(pick).collect();
        messages.sort_unstable_by_key(|message| message.cursor.sequence);
        Reply::now(Ok(Batch { messages, upto, conflated: 0, moment }))
    }

    fn topics(&self, matching: &Filter, after: Option<&str>, count: usize) -> Vec<Kept> {
        let mut state = self.fresh();
        let mut listing = Listing { found: Vec::new(), count, after: after.map(Into::into) };
        while !state.list(matching, &mut listing, LISTED_AT_ONCE) {
            MutexGuard::bump(&mut state);
        }
        listing.found
    }

    fn topic(&self, topic: &Topic) -> Option<Kept> {
        self.fresh().topics.get(topic).and_then(Ring::kept)
    }

    fn purge(&self, topic: &Topic) -> Reply<u64> {
        Reply::now(Ok(self.fresh().purge(topic)))
    }

    fn sweep(&self) {
        let mut state = self.fresh();
        let now = state.tick((self.clock)());
        while !state.expire_ids(now, FORGOTTEN_AT_ONCE) {
            MutexGuard::bump(&mut state);
        }
        while !state.drop_idle(FORGOTTEN_AT_ONCE) {
            MutexGuard::bump(&mut state);
        }
    }

    fn set_retention(&self, retention: Retention) {
        let mut state = self.fresh();
        let now = state.tick((self.clock)());
        state.set_retention(retention);
        let mut walk = Walk::default();
        while !state.follow(&mut walk, now, FORGOTTEN_AT_ONCE) {
            MutexGuard::bump(&mut state);
        }
    }

    fn set_bounds(&self, bounds: Bounds) {
        let mut state = self.fresh();
        let now = state.tick((self.clock)());
        state.set_bounds(bounds);
        while !state.shrink(now, FORGOTTEN_AT_ONCE) {
            MutexGuard::bump(&mut state);
        }
    }

    fn kept_bytes(&self) -> u64 {
        self.fresh().bytes
    }

    fn kept_topics(&self) -> u64 {
        self.fresh().filled
    }
}
