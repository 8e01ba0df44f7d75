//! A subscription from its plan to its feed: joined at once when live, or after its catch-up.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::Notify;

use super::Options;
use super::answer::poll_once;
use super::member::Push;
use super::operation::{Operation, Pace, Slot, Task};
use super::outbox::Shared;
use super::shard::Shard;
use super::state::{Connection, Key, State};
use crate::broker::conflate::Conflater;
use crate::broker::feed::Feed;
use crate::broker::rules::Overflow;
use crate::broker::{Error, Next};
use crate::graphql::Place;
use crate::message::Message;
use crate::message::topic::Topic;
use crate::plan::{Plan, Position};
use crate::protocol::Settled;

/// A catch-up that has not been run yet.
pub(super) struct Beginning {
    key: Key,
    slot: Slot,
    work: Pin<Box<dyn Future<Output = ()>>>,
}

impl fmt::Debug for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beginning").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Shard {
    /// Begins a compiled subscription.
    pub(super) fn subscribe(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        plan: Plan,
        place: Place,
    ) {
        let feed = Rc::new(self.broker.feed(plan.select, &plan.projection));
        let Some(operation) = state.connection(key).and_then(|c| c.operation(slot)) else { return };
        operation.uses = plan.uses;
        operation.pace = Conflater::new(plan.pace)
            .map(|conflater| Box::new(Pace { conflater, feed: feed.clone(), scheduled: None }));
        self.count_subscription(state, key, slot);
        if plan.position == Position::Live {
            if let Some(live) = self.broker.join_live(&feed, self.id) {
                state.enter(self, key, slot, &feed, live);
            }
            return;
        }
        let Some(this) = self.this.upgrade() else { return };
        if let Some(operation) = state.connection(key).and_then(|c| c.operation(slot)) {
            operation.is_catching_up = true;
        }
        let work = Box::pin(this.catch_up(key, slot, feed, plan.position, place));
        state.beginning.push_back(Beginning { key, slot, work });
    }

    /// Runs the catch-ups that have begun as far as they get without waiting. Those of a log that
    /// is at hand are over then: what they read has been queued while it was in the cache, and
    /// needs no task. Called with the state free, by the task of a connection.
    pub(super) fn begin_catch_ups(&self) {
        loop {
            let Some(beginning) = self.state.borrow_mut().beginning.pop_front() else { return };
            let Beginning { key, slot, mut work } = beginning;
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

    /// Forwards the results of an executed subscription.
    pub(super) fn forward(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        mut stream: BoxStream<'static, Vec<u8>>,
    ) {
        self.count_subscription(state, key, slot);
        // At once: who joins has joined before the client's next message is looked at.
        match poll_once(std::pin::pin!(stream.next())) {
            Some(Some(result)) => self.push_next(state, key, slot, &result),
            Some(None) => return self.settle(state, key, slot, Settled::Finished, "completed"),
            None => {}
        }
        let task = self.spawn(key, |this| this.run_forward(key, slot, stream));
        if let Some(operation) = state.connection(key).and_then(|c| c.operation(slot)) {
            operation.task = task.map(Task);
        }
    }

    async fn run_forward(
        self: Rc<Self>,
        key: Key,
        slot: Slot,
        mut stream: BoxStream<'static, Vec<u8>>,
    ) {
        while let Some(result) = stream.next().await {
            self.room(key).await;
            let now = Instant::now();
            let mut state = self.state.borrow_mut();
            self.push_next(&mut state, key, slot, &result);
            self.broker.counters().count_delivered(1, now);
            self.wake_flusher(&state);
        }
        let mut state = self.state.borrow_mut();
        self.settle(&mut state, key, slot, Settled::Finished, "completed");
        self.wake_flusher(&state);
    }

    /// Reads the log at the pace of the subscriber, then joins the feed.
    async fn catch_up(
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
        live: (crate::broker::feed::FeedId, crate::message::cursor::Sequence),
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
        let (mut taken, mut delivered) = (0, 0);
        // Most messages have the topic of the one before.
        let mut rule: Option<(&Topic, Overflow)> = None;
        for message in messages {
            let has_room = state.connection(key).is_none_or(|c| c.has_room(self.options()));
            if taken > 0 && !has_room {
                break;
            }
            let overflow = match rule {
                Some((topic, overflow)) if *topic == message.topic => overflow,
                _ => self.broker.overflow(&message.topic),
            };
            rule = Some((&message.topic, overflow));
            let encode = || self.broker.encode(feed, message);
            let shared = state.results.get(feed.projection.id, message, overflow, encode);
            delivered += u64::from(self.offer_result(&mut state, key, slot, &shared, now));
            taken += 1;
        }
        self.close_slow(&mut state);
        self.broker.counters().count_delivered(delivered, now);
        self.wake_flusher(&state);
        taken
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

    /// Queues a result for one subscription, at its pace.
    fn offer_result(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        shared: &Rc<Shared>,
        now: Instant,
    ) -> bool {
        self.with_push(state, key, slot, |push, connection| {
            push.offer(connection, key.index, slot.index, shared, now)
        })
    }

    /// Queues a result for one subscription.
    pub(super) fn push_result(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        shared: &Rc<Shared>,
        now: Instant,
    ) -> bool {
        self.with_push(state, key, slot, |push, connection| {
            push.push(connection, key.index, slot.index, shared, now)
        })
    }

    fn with_push(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        push: impl FnOnce(&mut Push<'_>, &mut Connection) -> bool,
    ) -> bool {
        let (_, connections, mut parts) = state.split(self);
        let connection = connections.get_mut(key.index).filter(|c| c.serial == key.serial);
        let Some(connection) = connection else { return false };
        connection.operation(slot).is_some() && push(&mut parts, connection)
    }

    fn refuse_position(&self, key: Key, slot: Slot, error: Error, place: Place) {
        let mut state = self.state.borrow_mut();
        let reason = match error {
            Error::Engine(crate::engine::Error::Expired { .. }) => "cursor_expired",
            _ => "error",
        };
        let errors = place.errors(error);
        self.settle(&mut state, key, slot, Settled::Refused(&errors), reason);
        self.wake_flusher(&state);
    }

    /// Waits until the outbox of the connection is at most half full, or the connection gone.
    pub(super) async fn room(&self, key: Key) {
        loop {
            let room: Rc<Notify> = {
                let mut state = self.state.borrow_mut();
                let Some(connection) = state.connection(key) else { return };
                if connection.has_room(self.options()) {
                    return;
                }
                connection.room.get_or_insert_default().clone()
            };
            room.notified().await;
        }
    }

    fn count_subscription(&self, state: &mut State, key: Key, slot: Slot) {
        self.broker.counters().subscriptions.add(1);
        let Some(connection) = state.connection(key) else { return };
        let count = &connection.entry.subscriptions;
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(operation) = connection.operation(slot) {
            operation.is_subscription = true;
        }
    }

    /// Ends an operation from this side and says so to the client.
    pub(super) fn settle(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        end: Settled<'_>,
        reason: &'static str,
    ) {
        let Some(connection) = state.connection(key) else { return };
        let Some(operation) = connection.operation(slot) else { return };
        let id = operation.id.clone();
        let ended = operation.leave();
        connection.session.settle(&id, end);
        self.ended(state, key, &ended, reason);
        self.send_last(state, key, slot);
    }
}

impl Connection {
    /// Is the outbox at most half full?
    pub(super) fn has_room(&self, options: Options) -> bool {
        self.waiting_bytes() <= options.outbox_bytes_max / 2
            && self.outbox.len() <= options.outbox_messages_max / 2
    }
}

impl Operation {
    /// Ends it, but lets what waits of it be written.
    fn leave(&mut self) -> super::close::Ended {
        let ended = self.end();
        self.is_over = false;
        ended
    }
}
