//! What a subscription missed, from the log: read on the spot or by a task of its own, queued as
//! far as the outbox has room, and then the feed joined.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::answer::poll_once;
use super::operation::{Slot, Task};
use super::runs::FEW;
use super::shard::Shard;
use super::state::{Key, State};
use crate::broker::feed::{Feed, FeedId};
use crate::broker::rules::Overflow;
use crate::broker::{Broker, Next};
use crate::graphql::Place;
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::message::topic::Topic;
use crate::plan::Position;

/// A catch-up that has not been run yet.
pub(super) struct Beginning {
    pub(super) key: Key,
    pub(super) slot: Slot,
    pub(super) work: Pin<Box<dyn Future<Output = ()>>>,
}

impl fmt::Debug for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beginning").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Shard {
    /// Runs the catch-ups that have begun as far as they get without waiting. Those of a log that
    /// is at hand are over then: what they read has been queued while it was in the cache, and
    /// needs no task. Called with the state free, by the task of a connection.
    pub(super) fn begin_catch_ups(&self) {
        loop {
            let Some(beginning) = self.state.borrow_mut().beginning.pop_front() else { return };
            let Beginning { key, slot, mut work } = beginning;
            // A client may have stopped it in the same breath.
            if self.state.borrow_mut().connection(key).and_then(|c| c.operation(slot)).is_none() {
                continue;
            }
            let is_over = poll_once(work.as_mut()).is_some();
            let mut state = self.state.borrow_mut();
            self.flush_well_filled(&mut state, key);
            if !is_over
                && let Some(operation) = state.connection(key).and_then(|c| c.operation(slot))
            {
                operation.task = self.spawn(key, |_| work).map(Task);
            }
        }
    }

    /// Reads the log at the pace of the subscriber, then joins the feed.
    pub(super) async fn catch_up(
        self: Rc<Self>,
        key: Key,
        slot: Slot,
        feed: Rc<Feed>,
        position: Position,
        place: Place,
    ) {
        let mut caught = self.broker.begin(position, &feed.select).await;
        loop {
            let step = match caught {
                Ok(step) => step,
                Err(error) => return self.refuse_position(key, slot, error, place),
            };
            // No await between the broker's join and ours: events of the feed may be delivered at
            // the next one, and this member has to be there.
            if let Next::Live { feed: id, from } = step.next {
                return self.join(key, slot, &feed, &step.messages, (id, from));
            }
            let mut messages = step.messages.as_slice();
            self.count_conflated(key, slot, step.conflated);
            while !messages.is_empty() {
                self.room(key).await;
                let taken = self.replay(key, slot, &feed, messages);
                messages = &messages[taken..];
            }
            self.room(key).await;
            let Next::Read(catch_up) = step.next else { return };
            caught = self.broker.catch_up(catch_up, &feed, self.id).await;
        }
    }

    /// The last step of a catch-up: what was left, and the membership, with nothing in between.
    fn join(
        &self,
        key: Key,
        slot: Slot,
        feed: &Rc<Feed>,
        messages: &[Arc<Message>],
        live: (FeedId, Sequence),
    ) {
        for message in messages {
            self.replay(key, slot, feed, std::slice::from_ref(message));
        }
        self.state.borrow_mut().enter(self, key, slot, feed, live);
    }

    /// Queues messages of the log until the outbox is half full, and says how many: one at least.
    fn replay(&self, key: Key, slot: Slot, feed: &Rc<Feed>, messages: &[Arc<Message>]) -> usize {
        self.look_at_schema();
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        let (taken, delivered) = match self.replay_run(&mut state, key, slot, feed, messages) {
            Some(run) => (run, run),
            None => self.replay_each(&mut state, key, slot, feed, messages, now),
        };
        self.close_slow(&mut state);
        self.broker.counters().count_delivered(delivered as u64, now);
        self.wake_flusher(&state);
        taken
    }

    /// Queues the first of many messages as one, for a subscription that takes them as they come,
    /// and says how many; `None` when they have to go one by one.
    fn replay_run(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        feed: &Rc<Feed>,
        messages: &[Arc<Message>],
    ) -> Option<usize> {
        if messages.len() < FEW || state.connection(key)?.operation(slot)?.pace.is_some() {
            return None;
        }
        let mut policies = Policies::new(&self.broker);
        if !messages.iter().all(|message| policies.of(&message.topic) == Overflow::Disconnect) {
            return None;
        }
        let State { runs, results, .. } = state;
        let run = runs.get(feed.projection.id, messages, |message| {
            let encode = || self.broker.encode(feed, message);
            results.get(feed.projection.id, message, Overflow::Disconnect, encode)
        });
        let pushed = self.with_push(state, key, slot, |push, connection| {
            push.push_run(connection, key.index, slot.index, &run).is_ok()
        });
        pushed.then_some(run.len())
    }

    /// Queues messages one by one; says how many, and how many of them pace and outbox let through.
    fn replay_each(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        feed: &Rc<Feed>,
        messages: &[Arc<Message>],
        now: Instant,
    ) -> (usize, usize) {
        let (mut taken, mut delivered) = (0, 0);
        let mut policies = Policies::new(&self.broker);
        for message in messages {
            let has_room = state.connection(key).is_none_or(|c| c.has_room(self.options()));
            if taken > 0 && !has_room {
                break;
            }
            let overflow = policies.of(&message.topic);
            let encode = || self.broker.encode(feed, message);
            let shared = state.results.get(feed.projection.id, message, overflow, encode);
            delivered += usize::from(self.offer_result(state, key, slot, &shared, now));
            taken += 1;
        }
        (taken, delivered)
    }

    fn count_conflated(&self, key: Key, slot: Slot, conflated: u64) {
        let mut state = self.state.borrow_mut();
        if let Some(operation) = state.connection(key).and_then(|c| c.operation(slot)) {
            operation.dropped += conflated;
        }
        if let Some(connection) = state.connection(key) {
            connection.entry.dropped.fetch_add(conflated, Ordering::Relaxed);
        }
        if conflated > 0 {
            self.broker.counters().count_dropped("replaced", conflated, Instant::now());
        }
    }
}

/// What happens to messages of each topic when a subscriber is slow.
struct Policies<'a> {
    broker: &'a Broker,
    /// Most messages have the topic of the one before.
    last: Option<(&'a Topic, Overflow)>,
}

impl<'a> Policies<'a> {
    fn new(broker: &'a Broker) -> Self {
        Self { broker, last: None }
    }

    fn of(&mut self, topic: &'a Topic) -> Overflow {
        let known = self.last.filter(|(last, _)| *last == topic).map(|(_, overflow)| overflow);
        let overflow = known.unwrap_or_else(|| self.broker.overflow(topic));
        self.last = Some((topic, overflow));
        overflow
    }
}
