//! A subscription from its plan to its feed: joined at once when live, or after its catch-up.

use std::rc::Rc;
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
use super::replay::Beginning;
use super::shard::Shard;
use super::state::{Connection, Key, State};
use crate::broker::Error;
use crate::broker::conflate::Conflater;
use crate::graphql::Place;
use crate::plan::{Plan, Position};
use crate::protocol::Settled;

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

    /// Queues a result for one subscription, at its pace.
    pub(super) fn offer_result(
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

    pub(super) fn with_push(
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

    pub(super) fn refuse_position(&self, key: Key, slot: Slot, error: Error, place: Place) {
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
