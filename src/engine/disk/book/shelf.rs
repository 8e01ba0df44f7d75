//! One topic in the writer's book: its totals, and its oldest messages by their stubs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::record::{Span, Stub};
use crate::engine::ids::Used;
use crate::engine::retention::{Held, Terms};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// What the writer knows of one topic.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) topic: Topic,
    pub(super) terms: Terms,
    pub(super) born: u64,
    /// The newest message ever, kept or not; 0 is none.
    pub(super) previous: u64,
    /// The newest loss; 0 is none.
    pub(super) lost: u64,
    pub(super) span: Option<Span>,
    /// The oldest kept messages, without a gap; as many as happen to be known.
    pub(super) front: VecDeque<Stub>,
    /// In a topic that conflates, the newest kept message of each key, once that was asked for.
    pub(super) newest: Option<HashMap<Box<str>, u64>>,
    /// Forgotten messages that newer ones stand for, oldest first.
    pub(super) replaced: VecDeque<u64>,
    /// Idempotency ids within their window.
    pub(super) ids: HashMap<Arc<str>, Used>,
    /// When the oldest message may be past its age, as noted in the book's timetable.
    pub(super) due: Option<Timestamp>,
    /// True while the book's list of empty topics has it.
    pub(super) is_listed: bool,
}

/// Stubs that are read ahead: most topics keep fewer messages, and others are read in steps.
pub(super) const FRONT_MAX: usize = 64;

impl Shelf {
    pub(super) fn new(topic: Topic, terms: Terms, born: u64) -> Self {
        Self {
            topic,
            terms,
            born,
            previous: 0,
            lost: 0,
            span: None,
            front: VecDeque::new(),
            newest: None,
            replaced: VecDeque::new(),
            ids: HashMap::new(),
            due: None,
            is_listed: false,
        }
    }

    pub(super) fn push(&mut self, stub: Stub) {
        let known = self.front.len();
        let held = self.span.map_or(0, |span| span.messages);
        let (sequence, at, cost) = (stub.sequence, stub.published_at, stub.cost);
        if let Some(newest) = &mut self.newest {
            let key = stub.key.as_deref().unwrap_or(self.topic.as_str());
            newest.insert(key.into(), sequence);
        }
        self.previous = sequence;
        let none =
            Span { messages: 0, bytes: 0, first: sequence, first_at: at, last: 0, last_at: at };
        let span = self.span.get_or_insert(none);
        span.messages += 1;
        span.bytes += cost;
        (span.last, span.last_at) = (sequence, at);
        if known as u64 == held && known < FRONT_MAX {
            self.front.push_back(stub);
        }
    }

    pub(super) fn held(&self) -> Option<Held> {
        let Span { messages, bytes, first_at: oldest, .. } = self.span?;
        Some(Held { messages, bytes, oldest })
    }

    /// When the oldest message is past its age.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.span.and_then(|span| self.terms.keep.deadline(span.first_at))
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// True when nothing speaks for remembering the topic.
    pub(super) fn is_idle(&self) -> bool {
        self.span.is_none() && self.ids.is_empty()
    }
}
