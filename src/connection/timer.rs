//! What a shard has to look at later: one heap and one sleeping task for all its connections.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::close::ABNORMAL;
use super::operation::{Pace, Slot};
use super::shard::Shard;
use super::state::{Connection, Key, Phase, State};
use crate::protocol::close::CloseCode;
use crate::websocket::frame::Opcode;

/// Deadlines, soonest first. An entry whose connection or operation has another deadline by now
/// is passed over.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Due)>>,
    /// Told when the soonest deadline has become sooner.
    sooner: Rc<Notify>,
}

/// When a connection that a drain could not close yet is looked at again.
const DRAIN_RETRY: Duration = Duration::from_millis(5);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Keep-alive, time-outs, closing.
    Connection(Key),
    /// A message that was held back by `maxPerSecond`.
    Pace { key: Key, index: u32, serial: u32 },
}

impl Timers {
    fn push(&mut self, at: Instant, due: Due) {
        if self.heap.peek().is_none_or(|Reverse((soonest, _))| at < *soonest) {
            self.sooner.notify_one();
        }
        self.heap.push(Reverse((at, due)));
    }

    fn schedule(&mut self, connection: &mut Connection, index: usize, idle_timeout: Duration) {
        let at = connection.deadline(idle_timeout);
        if connection.scheduled.is_none_or(|scheduled| at < scheduled) {
            connection.scheduled = Some(at);
            self.push(at, Due::Connection(connection.key(index)));
        }
    }

    /// Looks at a paced subscription when its next message may go out.
    pub(super) fn schedule_pace(&mut self, pace: &mut Pace, key: Key, slot: Slot) {
        let Some(at) = pace.conflater.deadline() else { return };
        if pace.scheduled.is_none_or(|scheduled| at < scheduled) {
            pace.scheduled = Some(at);
            self.push(at, Due::Pace { key, index: slot.index, serial: slot.serial });
        }
    }

    fn pop(&mut self, now: Instant) -> Option<(Instant, Due)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

impl Connection {
    /// When something has to be done even if nobody sends anything.
    fn deadline(&self, idle_timeout: Duration) -> Instant {
        match self.phase {
            Phase::Closing { until } | Phase::Closed { until } | Phase::Failed { until } => until,
            Phase::Open => {
                let at = self.ping_at.min(self.heard_at + idle_timeout);
                let others = [self.session.deadline(), self.drain_at];
                others.into_iter().flatten().fold(at, Instant::min)
            }
        }
    }
}

impl Shard {
    /// Looks at the connection at its next deadline, if it is not planned to be looked at before.
    pub(super) fn schedule(&self, state: &mut State, key: Key) {
        let State { connections, timers, .. } = state;
        if let Some(connection) = connections.get_mut(key.index)
            && connection.serial == key.serial
        {
            timers.schedule(connection, key.index, self.options().idle_timeout);
        }
    }

    /// Runs for as long as the shard: sleeps until the soonest deadline.
    pub(super) async fn run_timers(self: Rc<Self>) {
        loop {
            let (soonest, sooner) = {
                let state = self.state.borrow();
                let soonest = state.timers.heap.peek().map(|Reverse((at, _))| *at);
                (soonest, state.timers.sooner.clone())
            };
            match soonest {
                None => sooner.notified().await,
                Some(at) => {
                    let at = tokio::time::Instant::from_std(at);
                    let _ = tokio::time::timeout_at(at, sooner.notified()).await;
                }
            }
            self.attempt(|| self.expire(Instant::now()));
        }
    }

    fn expire(&self, now: Instant) {
        let mut state = self.state.borrow_mut();
        while let Some((at, due)) = state.timers.pop(now) {
            match due {
                Due::Connection(key) => self.expire_connection(&mut state, key, at, now),
                Due::Pace { key, index, serial } => {
                    self.expire_pace(&mut state, key, Slot { index, serial }, at, now);
                }
            }
        }
        self.wake_flusher(&state);
    }

    fn expire_connection(&self, state: &mut State, key: Key, at: Instant, now: Instant) {
        let Some(connection) = state.connection(key).filter(|c| c.scheduled == Some(at)) else {
            return;
        };
        connection.scheduled = None;
        match connection.phase {
            Phase::Open => self.keep_alive(state, key, now),
            Phase::Closing { until } | Phase::Closed { until } | Phase::Failed { until } => {
                if until <= now {
                    return self.finish(state, key);
                }
            }
        }
        self.schedule(state, key);
    }

    fn keep_alive(&self, state: &mut State, key: Key, now: Instant) {
        let Some(connection) = state.connection(key) else { return };
        if now.duration_since(connection.heard_at) >= self.options().idle_timeout {
            tracing::debug!(connection = %connection.entry.id, "peer is silent, dropped");
            self.count_closed(ABNORMAL);
            return self.finish(state, key);
        }
        if connection.drain_at.is_some_and(|at| at <= now) {
            // What was acknowledged before is delivered before: it may still be in the inbox.
            if self.broker.inbox(self.id).waiting() > 0 {
                connection.drain_at = Some(now + DRAIN_RETRY);
                return;
            }
            return self.close(
                state,
                key,
                CloseCode::Restart.number(),
                "the broker restarts; reconnect",
            );
        }
        if connection.ping_at <= now {
            connection.ping_at = now + self.options().ping_interval;
            self.push_control(state, key, Opcode::Ping, b"");
        }
        if let Some(connection) = state.connection(key)
            && connection.session.deadline().is_some_and(|deadline| deadline <= now)
        {
            connection.session.expire(now);
            self.act(state, key, now);
        }
    }

    fn expire_pace(&self, state: &mut State, key: Key, slot: Slot, at: Instant, now: Instant) {
        loop {
            let Some(connection) = state.connection(key) else { return };
            let Some(operation) = connection.operation(slot) else { return };
            let Some(pace) = operation.pace.as_mut().filter(|p| p.scheduled == Some(at)) else {
                return;
            };
            let Some(message) = pace.conflater.release(now) else { break };
            let overflow = self.broker.overflow(&message.topic);
            let feed = pace.feed.clone();
            let encode = || self.broker.encode(&feed, &message);
            let shared = state.results.get(feed.projection.id, &message, overflow, encode);
            let sent = self.push_result(state, key, slot, &shared, now);
            self.broker.counters().count_delivered(u64::from(sent), now);
            self.close_slow(state);
        }
        let State { connections, timers, .. } = state;
        let connection = connections.get_mut(key.index);
        let operation = connection.and_then(|connection| connection.operation(slot));
        if let Some(pace) = operation.and_then(|operation| operation.pace.as_mut()) {
            pace.scheduled = None;
            timers.schedule_pace(pace, key, slot);
        }
    }
}
