//! The one thread that changes the log: it takes what waits, writes it at once, and only then
//! lets readers, subscribers and publishers know.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::book::{Accepted, Book, Stored, Written};
use super::ground::Ground;
use super::inbox::{Answer, Inbox, Request, Waiting};
use super::mark::Mark;
use super::store::{Changes, StoreError};
use super::{Clock, Sync};
use crate::engine::retention::Retention;
use crate::engine::{Bounds, Error, Publish, Sink};
use crate::message::cursor::Sequence;
use crate::message::{Draft, Receipt};

/// The writer, with everything that only it has.
pub(super) struct Writer {
    pub(super) ground: Arc<Ground>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) book: Book,
    pub(super) mark: Mark,
    /// The newest place that the disk knows of.
    pub(super) committed: u64,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) clock: Clock,
    pub(super) sync: Sync,
    pub(super) chores: Chores,
}

/// What the writer has yet to do.
#[derive(Default)]
pub(super) struct Chores {
    /// Taken from the inbox, but too much for one round.
    requests: VecDeque<Request>,
    /// To hold from the next round on.
    retention: Option<Retention>,
    bounds: Option<Bounds>,
    /// Readers that wait until nothing is past its age.
    readers: Vec<Answer<()>>,
    is_sweeping: bool,
    is_shrinking: bool,
    /// When the operating system got what the disk does not have yet.
    unsynced: Option<Instant>,
}

/// An answer, once its round is on disk.
enum Owed {
    One(Answer<Receipt>, Result<Accepted, Error>),
    Many(Answer<Vec<Result<Receipt, Error>>>, Vec<Result<Accepted, Error>>),
    Count(Answer<u64>, u64),
}

/// One commit: so many messages,
const ROUND_MESSAGES: usize = 4096;
/// and bytes.
const ROUND_BYTES: usize = 8 << 20;
/// Messages that are forgotten, topics that are looked at, or ids, in a round that has publishes
/// waiting behind it.
const CHORES_PER_ROUND: usize = 1024;

impl Writer {
    /// Works until the inbox is closed and empty.
    pub(super) fn run(mut self) {
        let (ground, inbox) = (Arc::clone(&self.ground), Arc::clone(&self.inbox));
        let work = AssertUnwindSafe(move || self.work());
        if std::panic::catch_unwind(work).is_err() {
            // Who waits for an answer is told that there will be none.
            ground.fail(&StoreError("the writer stopped by a fault of its own".into()));
            inbox.note(|waiting| waiting.is_closed = true);
            drop(inbox.take(None));
        }
    }

    fn work(&mut self) {
        self.chores.is_sweeping = true;
        loop {
            let waiting = self.inbox.take(self.patience());
            let is_closed = waiting.is_closed;
            self.take(waiting);
            self.round();
            if is_closed && self.chores.requests.is_empty() {
                self.close();
                self.sync_late(true);
                return;
            }
        }
    }

    /// The last thing that is written.
    fn close(&mut self) {
        let changes = self.book.close();
        if self.ground.failure().is_none()
            && let Err(error) = self.commit(changes)
        {
            self.ground.fail(&error);
        }
    }

    /// How long the writer has nothing to do.
    fn patience(&self) -> Option<Duration> {
        let chores = &self.chores;
        let is_busy = chores.is_sweeping
            || chores.is_shrinking
            || self.book.has_chores()
            || !chores.requests.is_empty()
            || !chores.readers.is_empty();
        if is_busy {
            return Some(Duration::ZERO);
        }
        match (self.sync, chores.unsynced) {
            (Sync::Interval(every), Some(since)) => Some(every.saturating_sub(since.elapsed())),
            _ => None,
        }
    }

    fn take(&mut self, waiting: Waiting) {
        let Waiting { requests, retention, bounds, is_swept, .. } = waiting;
        self.chores.requests.extend(requests);
        if self.ground.failure().is_some() {
            return;
        }
        self.chores.retention = retention.or(self.chores.retention.take());
        self.chores.bounds = bounds.or(self.chores.bounds);
        self.chores.is_sweeping |= is_swept;
    }

    fn round(&mut self) {
        if let Some(failure) = self.ground.failure() {
            self.refuse_all(&failure);
            return;
        }
        self.book.tick((self.clock)());
        self.ground.look_for_room();
        let mut owed = Vec::new();
        let result = self.change(&mut owed).and_then(|()| {
            let Written { changes, effects, messages, totals } = self.book.finish();
            self.commit(changes)?;
            // The sink is called while the view is locked: who has a message has its place, too.
            let mut view = self.ground.view.lock();
            view.apply(effects, &messages, totals, self.ground.store.snapshot());
            if !messages.is_empty() {
                self.sink.accepted(&messages);
            }
            Ok(())
        });
        match result {
            Ok(()) => {
                owed.into_iter().for_each(Owed::pay);
                self.sync_late(false);
                if !self.book.is_due() {
                    self.chores.readers.drain(..).for_each(|reader| drop(reader.send(Ok(()))));
                }
            }
            Err(error) => {
                let failure = self.ground.fail(&error);
                for owed in owed {
                    owed.fail(&failure);
                }
                self.refuse_all(&failure);
            }
        }
    }

    /// Does as much as fits into one commit.
    fn change(&mut self, owed: &mut Vec<Owed>) -> Stored<()> {
        self.change_rules()?;
        // Rules hold for publishes that came after them.
        self.book.follow(CHORES_PER_ROUND)?;
        if self.chores.is_shrinking {
            self.chores.is_shrinking = !self.book.shrink(CHORES_PER_ROUND)?;
        }
        self.book.clear(CHORES_PER_ROUND)?;
        self.book.expire(CHORES_PER_ROUND)?;
        let mut messages = 0;
        while messages < ROUND_MESSAGES && self.book.round_bytes() < ROUND_BYTES {
            let Some(request) = self.chores.requests.pop_front() else { break };
            messages += match request {
                Request::Append(publish, answer) => {
                    owed.push(Owed::One(answer, self.append(publish)?));
                    1
                }
                Request::AppendMany(publishes, answer) => {
                    let count = publishes.len();
                    let mut results = Vec::with_capacity(count);
                    for publish in publishes {
                        results.push(self.append(publish)?);
                    }
                    owed.push(Owed::Many(answer, results));
                    count
                }
                Request::Compact(draft, upto, answer) => {
                    owed.push(Owed::One(answer, self.compact(draft, upto)?));
                    1
                }
                Request::Purge(topic, answer) => {
                    owed.push(Owed::Count(answer, self.book.purge(&topic)));
                    1
                }
                Request::Expire(answer) => {
                    self.chores.readers.push(answer);
                    0
                }
            };
        }
        if self.chores.is_sweeping {
            let is_swept = self.book.expire(CHORES_PER_ROUND)?
                && self.book.expire_ids(CHORES_PER_ROUND)
                && self.book.drop_idle(CHORES_PER_ROUND);
            self.chores.is_sweeping = !is_swept;
        }
        Ok(())
    }

    fn change_rules(&mut self) -> Stored<()> {
        let (retention, bounds) = (self.chores.retention.take(), self.chores.bounds.take());
        if retention.is_some() || bounds.is_some() {
            // What is past its age by the old rules goes by the old rules.
            while !self.book.expire(CHORES_PER_ROUND)? {}
        }
        if let Some(retention) = retention {
            self.book.set_retention(retention);
        }
        if let Some(bounds) = bounds {
            self.book.set_bounds(bounds);
            self.chores.is_shrinking = true;
        }
        Ok(())
    }

    fn append(&mut self, publish: Publish) -> Stored<Result<Accepted, Error>> {
        // Who asks again for what is in the log already needs no room.
        let needs_room =
            || !self.book.is_volatile(&publish.draft.topic) && !self.book.is_repeated(&publish);
        if self.ground.is_crowded() && needs_room() {
            return Ok(Err(unavailable("the disk is nearly full".into(), false)));
        }
        self.book.append(publish)
    }

    fn compact(&mut self, draft: Draft, upto: Sequence) -> Stored<Result<Accepted, Error>> {
        if self.ground.is_crowded() && !self.book.is_volatile(&draft.topic) {
            return Ok(Err(unavailable("the disk is nearly full".into(), false)));
        }
        self.book.compact(draft, upto.0, &self.ground.view)
    }

    fn commit(&mut self, changes: Changes) -> Stored<()> {
        if !changes.are_for_disk() {
            return self.ground.store.commit(changes, false);
        }
        let is_synced = self.sync == Sync::Always;
        let began = Instant::now();
        self.ground.store.commit(changes, is_synced)?;
        self.ground.commits.observe(began.elapsed(), 1);
        self.committed = self.book.head();
        if is_synced {
            self.mark.note(self.committed);
        } else {
            self.chores.unsynced.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Brings to the disk what only the operating system has, where that is due.
    fn sync_late(&mut self, is_last: bool) {
        let Some(since) = self.chores.unsynced else { return };
        let is_due = match self.sync {
            Sync::Interval(every) => is_last || since.elapsed() >= every,
            Sync::Never => is_last,
            Sync::Always => false,
        };
        if !is_due || self.ground.failure().is_some() {
            return;
        }
        match self.ground.store.sync() {
            Ok(()) => {
                self.mark.note(self.committed);
                self.chores.unsynced = None;
            }
            Err(error) => drop(self.ground.fail(&error)),
        }
    }

    /// Nothing can be written any more; what is on disk can still be read.
    fn refuse_all(&mut self, failure: &str) {
        for request in self.chores.requests.drain(..) {
            let unknown = request.may_be_known();
            let error = || unavailable(failure.into(), unknown);
            match request {
                Request::Append(_, answer) | Request::Compact(_, _, answer) => {
                    drop(answer.send(Err(error())));
                }
                Request::AppendMany(_, answer) => drop(answer.send(Err(error()))),
                Request::Purge(_, answer) => drop(answer.send(Err(error()))),
                Request::Expire(answer) => drop(answer.send(Ok(()))),
            }
        }
        self.chores.readers.drain(..).for_each(|reader| drop(reader.send(Ok(()))));
        let requests = std::mem::take(&mut self.chores.requests);
        self.chores = Chores { requests, ..Chores::default() };
    }
}

impl Owed {
    fn pay(self) {
        let receipt = |result: Result<Accepted, Error>| {
            result.map(|(Accepted::New(receipt) | Accepted::Before(receipt))| receipt)
        };
        // Who does not wait any more does not get it.
        match self {
            Self::One(answer, result) => drop(answer.send(receipt(result))),
            Self::Many(answer, results) => {
                drop(answer.send(Ok(results.into_iter().map(receipt).collect())));
            }
            Self::Count(answer, count) => drop(answer.send(Ok(count))),
        }
    }

    /// The round may be on disk, or a part of it, or nothing.
    fn fail(self, failure: &str) {
        let error = |result: Result<Accepted, Error>| {
            unavailable(failure.into(), matches!(result, Ok(Accepted::New(_))))
        };
        match self {
            Self::One(answer, result) => drop(answer.send(Err(error(result)))),
            Self::Many(answer, results) => {
                let errors = results.into_iter().map(|result| Err(error(result))).collect();
                drop(answer.send(Ok(errors)));
            }
            Self::Count(answer, _) => drop(answer.send(Err(unavailable(failure.into(), true)))),
        }
    }
}

pub(super) fn unavailable(reason: String, unknown: bool) -> Error {
    Error::Unavailable { reason, unknown }
}

impl From<StoreError> for Error {
    /// What could not be read.
    fn from(error: StoreError) -> Self {
        unavailable(error.0, false)
    }
}
