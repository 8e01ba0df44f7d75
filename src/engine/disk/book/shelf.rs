//! One topic in the writer's book: its totals, and its oldest messages by their stubs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::record::{Span, Standing, Stub};
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
    /// The snapshot that it keeps,
    pub(super) standing: Option<Standing>,
    /// and the messages after it.
    pub(super) span: Option<Span>,
    /// The oldest messages of the span, without a gap; as many as happen to be known.
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
            standing: None,
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

    /// Takes the oldest message away, the snapshot only where it is alone: its place, its bytes,
    /// and whether a newer one stands for it. The front has to be known.
    pub(super) fn pop(&mut self) -> Option<(u64, u64, bool)> {
        let Some(span) = &mut self.span else {
            let Standing { sequence, cost, .. } = self.standing.take()?;
            return Some((sequence, cost, false));
        };
        let stub = self.front.pop_front()?;
        span.messages -= 1;
        span.bytes = span.bytes.saturating_sub(stub.cost);
        if span.messages == 0 {
            self.span = None;
        }
        let is_replaced = self.newest.as_mut().is_some_and(|newest| {
            let key = stub.key.as_deref().unwrap_or(self.topic.as_str());
            let is_replaced = newest.get(key).is_some_and(|&newest| newest > stub.sequence);
            if !is_replaced {
                newest.remove(key);
            }
            is_replaced
        });
        Some((stub.sequence, stub.cost, is_replaced))
    }

    /// What the topic's limits are held against: what follows the snapshot, or the snapshot alone,
    /// whose bytes no limit of the topic counts.
    pub(super) fn held(&self) -> Option<Held> {
        if let Some(Span { messages, bytes, first_at: oldest, .. }) = self.span {
            return Some(Held { messages, bytes, oldest });
        }
        let oldest = self.standing?.published_at;
        Some(Held { messages: 1, bytes: 0, oldest })
    }

    /// When the next message to go is past its age.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.held().and_then(|held| self.terms.keep.deadline(held.oldest))
    }

    /// The oldest kept message, which may be the snapshot.
    pub(super) fn first(&self) -> Option<u64> {
        let standing = self.standing.map(|standing| standing.sequence);
        standing.or(self.span.map(|span| span.first))
    }

    /// The newest kept message, which may be the snapshot, and when it was accepted.
    pub(super) fn newest_place(&self) -> Option<(u64, Timestamp)> {
        let standing = self.standing.map(|standing| (standing.sequence, standing.published_at));
        self.span.map(|span| (span.last, span.last_at)).or(standing)
    }

    /// All that is kept, with the snapshot.
    pub(super) fn shown(&self) -> Option<Span> {
        let Some(Standing { sequence, published_at, cost }) = self.standing else {
            return self.span;
        };
        let alone = Span {
            messages: 0,
            bytes: 0,
            first: sequence,
            first_at: published_at,
            last: sequence,
            last_at: published_at,
        };
        let span = self.span.unwrap_or(alone);
        let (messages, bytes) = (span.messages + 1, span.bytes + cost);
        Some(Span { messages, bytes, first: sequence, first_at: published_at, ..span })
    }

    /// Are messages lost that came after the snapshot?
    pub(super) fn is_stale(&self) -> bool {
        self.standing.is_some_and(|standing| standing.sequence < self.lost)
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// True when nothing speaks for remembering the topic.
    pub(super) fn is_idle(&self) -> bool {
        self.first().is_none() && self.ids.is_empty()
    }
}
