//! What a shard receives: accepted messages with the feeds that want them, in log order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

use super::feed::FeedId;
use super::misfits::Misfits;
use super::topics::TopicState;
use crate::message::Message;
use crate::plan::Select;
use crate::plan::condition::Probe;

/// One accepted message on its way to the shards.
#[derive(Debug)]
pub struct Event {
    /// The message.
    pub message: Arc<Message>,
    /// The feeds that want its topic; a shard skips those it has no member of.
    pub feeds: Box<[FeedId]>,
    /// Rates and rules of its topic.
    pub topic: Arc<TopicState>,
    /// When the engine handed it over.
    pub accepted_at: Instant,
    value: OnceLock<Value>,
    fits: OnceLock<bool>,
}

impl Event {
    /// A message that has just been accepted.
    pub fn new(
        message: Arc<Message>,
        feeds: Box<[FeedId]>,
        topic: Arc<TopicState>,
        accepted_at: Instant,
    ) -> Self {
        Self { message, feeds, topic, accepted_at, value: OnceLock::new(), fits: OnceLock::new() }
    }

    /// Does the message fit its type where it has to, and does the condition hold? Its payload is
    /// checked and parsed once for all who ask.
    /// `probe` begins as `None` and goes from one to the next.
    pub fn passes<'a>(
        &'a self,
        select: &'a Select,
        misfits: &Misfits,
        probe: &mut Option<Probe<'a>>,
    ) -> bool {
        if select.typed && !self.fits(misfits) {
            return false;
        }
        let Some(condition) = &select.condition else { return true };
        let value = || self.value.get_or_init(|| self.message.payload.to_value());
        condition.holds_in(probe.get_or_insert_with(|| Probe::new(value())))
    }

    /// By the type that the topic had when the message was dispatched: who joined after a change
    /// of types gets only messages that were dispatched after it.
    fn fits(&self, misfits: &Misfits) -> bool {
        *self.fits.get_or_init(|| misfits.fits(self.topic.ty.as_deref(), &self.message))
    }
}

/// The queue of one shard. Publishers stop before it is over its bound
/// ([`Broker::room`](super::Broker::room)), so that a push never has to wait.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Guards only the swap of a vector: nobody works or waits under it.
    events: Mutex<Vec<Arc<Event>>>,
    /// Events pushed and not yet delivered by the shard.
    waiting: AtomicUsize,
    filled: Notify,
}

impl Inbox {
    /// Adds an event and wakes the shard.
    pub fn push(&self, event: Arc<Event>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let first = {
            let mut events = self.events.lock();
            events.push(event);
            events.len() == 1
        };
        if first {
            self.filled.notify_one();
        }
    }

    /// Waits until there is something to take.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Swaps all that came for an empty vector, whose memory serves the next events.
    pub fn take(&self, into: &mut Vec<Arc<Event>>) {
        into.clear();
        std::mem::swap(&mut *self.events.lock(), into);
    }

    /// The shard has delivered so many of those that it took.
    pub fn delivered(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}
