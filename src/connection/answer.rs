//! Queries and mutations over a socket. Queries run side by side; what publishes keeps its order.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::future::BoxFuture;

use super::operation::{Slot, Task};
use super::shard::Shard;
use super::state::{Key, State};
use crate::graphql::publish::{PublishAnswer, Publishing};
use crate::protocol::Settled;

/// The mutations of one connection, in the order in which they were sent.
///
/// A prepared publish is submitted as soon as nothing before it may still publish: its place in
/// the log is taken then, and only its receipt is waited for. An executed mutation is run when
/// all before it are done.
pub(super) struct Lane {
    items: VecDeque<Item>,
    /// Ends with the connection.
    _task: Task,
}

struct Item {
    slot: Slot,
    work: Work,
}

enum Work {
    /// A publish that waits for a mutation before it.
    Publish(Box<Publishing>),
    /// A publish whose place in the log is taken.
    Receipt(Pin<Box<PublishAnswer>>),
    /// A mutation; runs when it is first.
    Mutation(BoxFuture<'static, Vec<u8>>),
    /// Being awaited by the lane's task.
    Awaited {
        /// It is a receipt, and publishes nothing more.
        is_receipt: bool,
    },
}

impl Shard {
    /// Runs a query; the next one need not wait for it.
    pub(super) fn answer(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        mut answer: BoxFuture<'static, Vec<u8>>,
    ) {
        if let Some(result) = poll_once(answer.as_mut()) {
            return self.answered(state, key, slot, result);
        }
        let task = self.spawn(key, |this| async move {
            let result = answer.await;
            let mut state = this.state.borrow_mut();
            this.answered(&mut state, key, slot, result);
            this.wake_flusher(&state);
        });
        if let Some(operation) = state.connection(key).and_then(|c| c.operation(slot)) {
            operation.task = task.map(Task);
        }
    }

    /// Submits a prepared publish, or has it wait for the mutations before it.
    pub(super) fn publish(&self, state: &mut State, key: Key, slot: Slot, publishing: Publishing) {
        let Some(connection) = state.connection(key) else { return };
        let may_submit = connection.lane.as_ref().is_none_or(|lane| lane.has_only_receipts());
        if !may_submit {
            let work = Work::Publish(Box::new(publishing));
            return self.enqueue(state, key, Item { slot, work });
        }
        let mut receipt = Box::pin(publishing.submit());
        if connection.lane.is_none()
            && let Some(result) = poll_once(receipt.as_mut())
        {
            return self.answered(state, key, slot, result);
        }
        self.enqueue(state, key, Item { slot, work: Work::Receipt(receipt) });
    }

    /// Runs a mutation after those before it.
    pub(super) fn mutate(
        &self,
        state: &mut State,
        key: Key,
        slot: Slot,
        mut mutation: BoxFuture<'static, Vec<u8>>,
    ) {
        let Some(connection) = state.connection(key) else { return };
        if connection.lane.is_none()
            && let Some(result) = poll_once(mutation.as_mut())
        {
            return self.answered(state, key, slot, result);
        }
        self.enqueue(state, key, Item { slot, work: Work::Mutation(mutation) });
    }

    fn enqueue(&self, state: &mut State, key: Key, item: Item) {
        let Some(connection) = state.connection(key) else { return };
        if let Some(lane) = &mut connection.lane {
            return lane.items.push_back(item);
        }
        let Some(task) = self.spawn(key, |this| this.run_lane(key)) else { return };
        let lane = Lane { items: VecDeque::from([item]), _task: Task(task) };
        connection.lane = Some(Box::new(lane));
    }

    /// Awaits the mutations of a connection one by one, until there is none.
    async fn run_lane(self: Rc<Self>, key: Key) {
        while let Some((slot, work)) = self.first_of_lane(key) {
            let result = match work {
                Work::Publish(publishing) => {
                    let receipt = publishing.submit();
                    self.submit_followers(key);
                    receipt.await
                }
                Work::Receipt(receipt) => receipt.await,
                Work::Mutation(mutation) => mutation.await,
                Work::Awaited { .. } => Vec::new(),
            };
            let mut state = self.state.borrow_mut();
            if let Some(lane) = state.connection(key).and_then(|c| c.lane.as_mut()) {
                lane.items.pop_front();
            }
            self.answered(&mut state, key, slot, result);
            self.wake_flusher(&state);
        }
    }

    fn first_of_lane(&self, key: Key) -> Option<(Slot, Work)> {
        let mut state = self.state.borrow_mut();
        let connection = state.connection(key)?;
        let first = connection.lane.as_mut().and_then(|lane| lane.items.front_mut());
        let taken = first.map(|item| {
            let is_receipt = !matches!(item.work, Work::Mutation(_));
            let work = std::mem::replace(&mut item.work, Work::Awaited { is_receipt });
            (item.slot, work)
        });
        if taken.is_none() {
            // The task ends itself with this: its handle in the lane must not abort it first.
            connection.lane = None;
        }
        taken
    }

    /// Submits the publishes that stood behind the first one, up to the next mutation.
    fn submit_followers(&self, key: Key) {
        let mut state = self.state.borrow_mut();
        let Some(lane) = state.connection(key).and_then(|c| c.lane.as_mut()) else { return };
        for item in lane.items.iter_mut().skip(1) {
            let awaited = Work::Awaited { is_receipt: false };
            item.work = match std::mem::replace(&mut item.work, awaited) {
                Work::Publish(publishing) => Work::Receipt(Box::pin(publishing.submit())),
                receipt @ Work::Receipt(_) => receipt,
                other @ (Work::Mutation(_) | Work::Awaited { .. }) => {
                    item.work = other;
                    return;
                }
            };
        }
    }

    fn answered(&self, state: &mut State, key: Key, slot: Slot, result: Vec<u8>) {
        // Results are made of JSON text and therefore UTF-8.
        let text = String::from_utf8(result).unwrap_or_default();
        self.settle(state, key, slot, Settled::Answered(&text), "answered");
        if let Some(connection) = state.connection(key) {
            connection.tell_room();
        }
    }
}

impl Lane {
    fn has_only_receipts(&self) -> bool {
        let is_receipt =
            |work: &Work| matches!(work, Work::Receipt(_) | Work::Awaited { is_receipt: true });
        self.items.iter().all(|item| is_receipt(&item.work))
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

/// What is ready at once needs no task.
pub(super) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
