//! What readers may see: what is on disk already, topic by topic. Messages are not in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::record::{Span, TopicId};
use super::store::Snapshot;
use crate::engine::times::Times;
use crate::engine::topics::{Known, Slot, Topics};
use crate::engine::tree::{Leaf, Loss};
use crate::engine::{Bounds, Kept};
use crate::message::Message;
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// The log as of its durable head.
pub(super) struct View {
    pub(super) epoch: Epoch,
    pub(super) head: u64,
    /// How much has been forgotten since the start.
    pub(super) moment: u64,
    pub(super) topics: Topics<Shown>,
    by_id: FxHashMap<TopicId, Slot>,
    pub(super) replaced: BTreeMap<u64, Replaced>,
    pub(super) times: Times,
    pub(super) bytes: u64,
    /// Topics that keep messages.
    pub(super) filled: u64,
    /// No message before this one is kept.
    pub(super) lowest: u64,
    /// When the next message is past its age.
    pub(super) due: Option<Timestamp>,
    /// Forgotten messages that may still be on disk: for each topic the newest of them.
    pub(super) remains: Arc<FxHashMap<TopicId, u64>>,
    /// Topics that have lost messages after the snapshot that they keep.
    pub(super) stale: BTreeSet<Slot>,
    /// The disk of this very moment.
    pub(super) disk: Arc<Snapshot>,
}

/// One topic.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) id: TopicId,
    pub(super) topic: Topic,
    leaf: Leaf,
    pub(super) span: Option<Span>,
    /// Forgotten messages that newer ones stand for, oldest first: after the topic's newest loss
    /// and before its oldest kept message.
    pub(super) replaced: VecDeque<Loss>,
}

/// The topic of a replaced message, and when it went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replaced {
    pub(super) slot: Slot,
    pub(super) moment: u64,
}

/// A change of the view, in the order in which the writer made it.
#[derive(Debug)]
pub(super) enum Effect {
    /// A topic came to be, when the log had this head.
    Born(TopicId, Topic, u64),
    /// It keeps other messages; true: some after its snapshot are lost.
    Span(TopicId, Option<Span>, bool),
    /// It lost a message.
    Lost(TopicId, u64),
    /// It forgot a message that a newer one stands for,
    Replaced(TopicId, u64),
    /// and now the oldest of these counts as lost.
    Faded(TopicId, u64),
    /// It keeps nothing and is no more.
    Gone(TopicId),
    /// Other topics are volatile from now on.
    OtherFilters,
}

/// Numbers that hold after a round.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    pub(super) head: u64,
    pub(super) bytes: u64,
    pub(super) lowest: u64,
    pub(super) due: Option<Timestamp>,
    pub(super) remains: Arc<FxHashMap<TopicId, u64>>,
}

/// Replaced messages that are remembered of all topics: a start reads them.
const REPLACED_MAX: u64 = 1 << 20;
/// Their share of what may be kept, as if each took so many bytes,
const BYTES_PER_REPLACED: u64 = 512;
/// and the share of one topic in it.
const REPLACED_SHARES: u64 = 8;

/// How many replaced messages are remembered, of one topic and of all.
pub(super) fn replaced_max(bounds: Bounds) -> (u64, u64) {
    let share = bounds.memory_bytes / BYTES_PER_REPLACED;
    ((share / REPLACED_SHARES).min(REPLACED_MAX / REPLACED_SHARES), share.min(REPLACED_MAX))
}

/// Moment of everything that was forgotten before the start.
pub(super) const BEFORE: u64 = 1;

impl View {
    pub(super) fn new(epoch: Epoch, disk: Arc<Snapshot>) -> Self {
        Self {
            epoch,
            head: 0,
            moment: BEFORE,
            topics: Topics::new(),
            by_id: FxHashMap::default(),
            replaced: BTreeMap::new(),
            times: Times::default(),
            bytes: 0,
            filled: 0,
            lowest: 0,
            due: None,
            remains: Arc::default(),
            stale: BTreeSet::new(),
            disk,
        }
    }

    pub(super) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor { epoch: self.epoch, sequence: Sequence(sequence) }
    }

    /// Takes in what a round has made durable.
    pub(super) fn apply(
        &mut self,
        effects: Vec<Effect>,
        messages: &[Arc<Message>],
        totals: Totals,
        disk: Snapshot,
    ) {
        self.disk = Arc::new(disk);
        for effect in effects {
            self.take(effect);
        }
        for message in messages {
            self.times.note(message.published_at, message.cursor.sequence.0);
        }
        self.head = totals.head;
        self.bytes = totals.bytes;
        self.lowest = totals.lowest;
        self.due = totals.due;
        self.remains = totals.remains;
    }

    fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Born(id, topic, head) => {
                let shown = |topic, leaf| Shown::new(id, topic, leaf);
                let slot = self.topics.insert(&topic, head, shown);
                self.by_id.insert(id, slot);
            }
            Effect::Span(id, span, is_stale) => {
                let Some(&slot) = self.by_id.get(&id) else { return };
                if is_stale {
                    self.stale.insert(slot);
                } else {
                    self.stale.remove(&slot);
                }
                let before = std::mem::replace(&mut self.topics[slot].span, span);
                self.filled += u64::from(span.is_some());
                self.filled -= u64::from(before.is_some());
            }
            Effect::Lost(id, sequence) => {
                let Some(&slot) = self.by_id.get(&id) else { return };
                self.moment += 1;
                self.lose(slot, Loss { sequence, moment: self.moment });
            }
            Effect::Replaced(id, sequence) => {
                let Some(&slot) = self.by_id.get(&id) else { return };
                self.moment += 1;
                self.replace(slot, Loss { sequence, moment: self.moment });
            }
            Effect::Faded(id, sequence) => {
                let Some(&slot) = self.by_id.get(&id) else { return };
                let moment = self.replaced.get(&sequence).map_or(0, |replaced| replaced.moment);
                self.lose(slot, Loss { sequence, moment });
            }
            Effect::Gone(id) => {
                let Some(slot) = self.by_id.remove(&id) else { return };
                self.topics.remove(slot);
            }
            Effect::OtherFilters => self.topics.tree.forget_nameless(),
        }
    }

    fn lose(&mut self, slot: Slot, loss: Loss) {
        let shown = &mut self.topics[slot];
        let leaf = shown.leaf;
        while let Some(oldest) = shown.replaced.front().copied()
            && oldest.sequence <= loss.sequence
        {
            shown.replaced.pop_front();
            self.replaced.remove(&oldest.sequence);
        }
        self.topics.tree.lose(leaf, loss);
    }

    fn replace(&mut self, slot: Slot, loss: Loss) {
        self.topics[slot].replaced.push_back(loss);
        self.replaced.insert(loss.sequence, Replaced { slot, moment: loss.moment });
    }

    /// A loss, or a replaced message, from before the start.
    pub(super) fn recall(&mut self, effect: Effect) {
        self.moment = BEFORE - 1;
        self.take(effect);
        self.moment = BEFORE;
    }

    /// Replaced messages after a place, oldest first.
    pub(super) fn replaced_after(&self, place: u64) -> impl Iterator<Item = (u64, Replaced)> {
        let range = (Bound::Excluded(place), Bound::Unbounded);
        self.replaced.range(range).map(|(&sequence, &replaced)| (sequence, replaced))
    }

    /// What is told of a topic; `None` when it keeps nothing.
    pub(super) fn kept(&self, shown: &Shown) -> Option<Kept> {
        let span = shown.span?;
        Some(Kept {
            topic: shown.topic.clone(),
            messages: span.messages,
            bytes: span.bytes,
            first: self.cursor(span.first),
            last: self.cursor(span.last),
            last_published_at: span.last_at,
        })
    }
}

impl Shown {
    fn new(id: TopicId, topic: Topic, leaf: Leaf) -> Self {
        Self { id, topic, leaf, span: None, replaced: VecDeque::new() }
    }
}

impl Known for Shown {
    fn topic(&self) -> &Topic {
        &self.topic
    }

    fn leaf(&self) -> Leaf {
        self.leaf
    }
}
