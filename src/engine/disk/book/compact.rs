//! A snapshot takes the place of a topic's messages up to one of them.

use parking_lot::Mutex;

use super::super::record::{Logged, Remains, Standing, Stub, TopicId, key};
use super::super::store::Space;
use super::super::view::{Effect, View};
use super::{Accepted, Book, StoreError, Stored};
use crate::engine::Error;
use crate::engine::tree::Start;
use crate::message::filter::{Filter, Filters};
use crate::message::json::Json;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Place, Receipt};

/// More covered messages than this leave the disk later, a part in each round.
const CLEARED_AT_ONCE: usize = if cfg!(test) { 2 } else { 1024 };

impl Book {
    /// As [`Engine::compact`](crate::engine::Engine::compact) says.
    pub(in crate::engine::disk) fn compact(
        &mut self,
        draft: Draft,
        upto: u64,
        view: &Mutex<View>,
    ) -> Stored<Result<Accepted, Error>> {
        let Some(topic) = self.known(&draft.topic) else {
            return Ok(Err(self.missing(&draft.topic, upto, view)));
        };
        while self.shelf(topic).is_expired(self.log.now) {
            self.forget_oldest(topic)?;
        }
        let shelf = self.shelf(topic);
        if let (Some(standing), Some((newest, _))) = (shelf.standing, shelf.newest_place())
            && upto <= standing.sequence
        {
            let snapshot = self.cursor(standing.sequence);
            if upto == standing.sequence && self.is_made_of(topic, standing, &draft)? {
                let published_at = standing.published_at;
                let topic = draft.topic;
                let receipt = Receipt { topic, cursor: snapshot, published_at, duplicate: true };
                return Ok(Ok(Accepted::Before(receipt)));
            }
            return Ok(Err(Error::Overtaken { snapshot, last: self.cursor(newest) }));
        }
        let Some(published_at) = self.stub(topic, upto)?.map(|stub| stub.published_at) else {
            return Ok(Err(self.missing(&draft.topic, upto, view)));
        };
        let place = Place { cursor: self.cursor(upto), previous: None, published_at };
        let snapshot = Message::snapshot(draft, place);
        self.cover(topic, &snapshot)?;
        let mut budget = usize::MAX;
        self.trim_all(&mut budget)?;
        Ok(Ok(Accepted::New(snapshot.receipt())))
    }

    fn cover(&mut self, topic: TopicId, snapshot: &Message) -> Stored<()> {
        let sequence = snapshot.cursor.sequence.0;
        let stub = Stub::of(snapshot);
        let before = self.shelf(topic).first();
        let from = self.shelf(topic).span.map_or(sequence, |span| span.first);
        let covered = self.stubs(topic, (from, sequence), usize::MAX)?;
        let bytes: u64 = covered.values().map(|stub| stub.cost).sum();
        let shelf = self.shelf_mut(topic);
        let standing = shelf.standing.replace(Standing {
            sequence,
            published_at: stub.published_at,
            cost: stub.cost,
        });
        shelf.newest = None;
        let count = shelf.front.partition_point(|stub| stub.sequence <= sequence);
        shelf.front.drain(..count);
        if let Some(span) = &mut shelf.span {
            span.messages -= covered.len() as u64;
            span.bytes = span.bytes.saturating_sub(bytes);
            span.first = sequence + 1;
            if span.messages == 0 {
                shelf.span = None;
            }
        }
        self.know_oldest(topic)?;
        self.know_first(topic, before);
        self.stock.add(topic, stub.cost);
        self.stock.take(topic, bytes + standing.map_or(0, |standing| standing.cost));
        if let Some(standing) = standing {
            self.clear_one(topic, standing.sequence);
        }
        if covered.len() > CLEARED_AT_ONCE {
            self.round.remains.push(Remains { topic, from, upto: sequence - 1 });
        } else {
            for covered in covered.into_keys() {
                self.clear_one(topic, covered);
            }
        }
        self.put(snapshot, topic, &stub);
        // Messages go in their order: as this one was there, none after it has been lost.
        self.lose(topic, sequence);
        self.round.effects.push(Effect::Lost(topic, sequence));
        self.note_due(topic);
        Ok(())
    }

    /// What the index says of a message after the snapshot, if it is kept.
    fn stub(&self, topic: TopicId, sequence: u64) -> Stored<Option<Stub>> {
        let span = self.shelf(topic).span;
        let is_within = span.is_some_and(|span| (span.first..=span.last).contains(&sequence));
        if !is_within {
            return Ok(None);
        }
        Ok(self.stubs(topic, (sequence, sequence), 1)?.remove(&sequence))
    }

    fn is_made_of(&self, topic: TopicId, standing: Standing, draft: &Draft) -> Stored<bool> {
        let (log, place) = (Space::log(topic), key(standing.sequence));
        let stored = self.store.snapshot().get(log, &place)?;
        let mut changed = self.round.changes.between(log, place.clone(), place);
        let bytes = changed.next().map_or(stored.as_deref(), |(_, bytes)| bytes);
        let gone = || StoreError(format!("the snapshot of {} is not in the log", draft.topic));
        let logged = Logged::decode(bytes.ok_or_else(gone)?)?;
        let snapshot = logged.message(draft.topic.clone(), self.cursor(standing.sequence))?;
        Ok(snapshot.payload.as_str() == draft.payload.as_str()
            && snapshot.key == draft.key
            && snapshot.headers.as_ref().map(Json::as_str)
                == draft.headers.as_ref().map(Json::as_str))
    }

    /// Why a topic keeps no message at a place.
    fn missing(&self, topic: &Topic, place: u64, view: &Mutex<View>) -> Error {
        let filters = Filters::from(Filter::from(topic));
        let start = Start { after: place.saturating_sub(1), moment: 0 };
        let shelf = self.names.get(topic).map(|topic| self.shelf(*topic));
        let lost = view.lock().topics.tree.lost(&filters, start);
        let lost = lost.max(shelf.map(|shelf| shelf.lost).filter(|&lost| lost >= place));
        let replaced = shelf.is_some_and(|shelf| shelf.replaced.binary_search(&place).is_ok());
        match lost.or(replaced.then_some(place)) {
            Some(lost) => Error::Expired { earliest: Some(self.cursor(lost)) },
            None => Error::NotOfTopic,
        }
    }
}
