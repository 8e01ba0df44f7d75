//! A snapshot takes the place of a topic's messages up to one of them.

use std::sync::Arc;

use super::state::{Kept, State};
use crate::engine::Error;
use crate::engine::topics::Slot;
use crate::engine::tree::{Loss, Start};
use crate::message::cursor::Sequence;
use crate::message::filter::{Filter, Filters};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Place, Receipt};

impl State {
    /// As [`Engine::compact`](crate::engine::Engine::compact) says.
    pub(super) fn compact(
        &mut self,
        draft: Draft,
        upto: Sequence,
        now: Timestamp,
    ) -> Result<Receipt, Error> {
        let Some(slot) = self.topics.slot(&draft.topic) else {
            return Err(self.missing(&draft.topic, upto));
        };
        while self.topics[slot].is_expired(now) {
            self.forget_oldest(slot);
        }
        let ring = &self.topics[slot];
        if let (Some(snapshot), Some(newest)) = (ring.snapshot(), ring.newest())
            && upto <= snapshot.cursor.sequence
        {
            if upto == snapshot.cursor.sequence && is_made_of(snapshot, &draft) {
                return Ok(Receipt { duplicate: true, ..snapshot.receipt() });
            }
            return Err(Error::Overtaken { snapshot: snapshot.cursor, last: newest.cursor });
        }
        let count = ring.count_upto(upto);
        let at_place = count.checked_sub(1).and_then(|index| ring.get(index));
        match at_place.filter(|message| message.cursor.sequence == upto) {
            Some(message) => {
                let (cursor, published_at) = (message.cursor, message.published_at);
                let place = Place { cursor, previous: None, published_at };
                let snapshot = Arc::new(Message::snapshot(draft, place));
                self.replace(slot, Arc::clone(&snapshot));
                let mut budget = usize::MAX;
                self.trim_all(now, &mut budget);
                Ok(snapshot.receipt())
            }
            None => Err(self.missing(&draft.topic, upto)),
        }
    }

    fn replace(&mut self, slot: Slot, snapshot: Arc<Message>) {
        let covered = self.topics[slot].compact(Arc::clone(&snapshot));
        for message in &covered {
            self.kept.remove(&message.cursor.sequence.0);
            self.bytes -= message.cost() as u64;
        }
        self.bytes += snapshot.cost() as u64;
        self.moment += covered.len() as u64;
        let sequence = snapshot.cursor.sequence.0;
        self.kept.insert(sequence, Kept { slot, message: snapshot });
        // Messages go in their order: as `sequence` was there, none after it has been lost.
        self.stale.remove(&slot);
        self.lose(slot, Loss { sequence, moment: self.moment });
    }

    /// Why a topic keeps no message at a place.
    fn missing(&self, topic: &Topic, place: Sequence) -> Error {
        let filters = Filters::from(Filter::from(topic));
        let start = Start { after: place.0.saturating_sub(1), moment: 0 };
        let ring = self.topics.get(topic);
        let lost = self.topics.tree.lost(&filters, start);
        match lost.or_else(|| ring.and_then(|ring| ring.replaced_at(place))) {
            Some(lost) => Error::Expired { earliest: Some(self.cursor(lost)) },
            None => Error::NotOfTopic,
        }
    }
}

fn is_made_of(snapshot: &Message, draft: &Draft) -> bool {
    let Draft { topic, payload, key, headers } = draft;
    snapshot.topic == *topic
        && snapshot.payload.as_str() == payload.as_str()
        && snapshot.key == *key
        && snapshot.headers.as_ref().map(Json::as_str) == headers.as_ref().map(Json::as_str)
}
