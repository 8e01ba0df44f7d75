//! The newest messages of the log in one piece: where a catch-up meets the live feed.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::message::filter::Filters;

/// How many messages it holds: a join looks at no more than these while dispatch waits.
const MESSAGES_MAX: usize = 512;
/// Their bytes, by [`Message::cost`]: they may outlive what the engine keeps.
const BYTES_MAX: usize = 4 << 20;

/// What a join may bring along without asking whether the subscriber has room for it.
const TAIL_MESSAGES_MAX: usize = 64;
/// Their bytes, by [`Message::cost`].
const TAIL_BYTES_MAX: usize = 64 << 10;

/// Every message from `from` to the head, in log order.
#[derive(Debug, Default)]
pub struct Recent {
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    /// All messages after this place are held.
    complete_after: Sequence,
    head: Sequence,
}

impl Recent {
    /// Adds the next message of the log.
    pub fn push(&mut self, message: Arc<Message>) {
        if self.messages.is_empty() {
            self.complete_after = self.head;
        }
        self.head = message.cursor.sequence;
        self.bytes += message.cost();
        self.messages.push_back(message);
        while self.messages.len() > MESSAGES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else { break };
            self.bytes -= oldest.cost();
            self.complete_after = oldest.cursor.sequence;
        }
    }

    /// The newest place.
    pub fn head(&self) -> Sequence {
        self.head
    }

    /// What matches after a place; `None` when the place is further back than this reaches, or
    /// when it is too much to be taken at once.
    pub fn after(&self, at: Sequence, filters: &Filters) -> Option<Vec<Arc<Message>>> {
        if at < self.complete_after {
            return None;
        }
        let newer = self.messages.iter().rev().take_while(|message| message.cursor.sequence > at);
        let matching = newer.filter(|message| filters.matches(&message.topic));
        let (mut tail, mut bytes) = (Vec::new(), 0);
        for message in matching {
            bytes += message.cost();
            if tail.len() == TAIL_MESSAGES_MAX || bytes > TAIL_BYTES_MAX {
                return None;
            }
            tail.push(message.clone());
        }
        tail.reverse();
        Some(tail)
    }
}
