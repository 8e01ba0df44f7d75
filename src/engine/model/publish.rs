//! Publishes to both engines.

use super::naive::{Entry, Fate};
use super::steps::{Draw, Guess, topic};
use super::{Pair, now};
use crate::engine::{Error, IfLast, Publish};
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::json::Json;
use crate::message::{Draft, Message, Place, Receipt};

impl Pair {
    pub(super) fn publish(&mut self, draws: &[Draw]) {
        let mut expected = Vec::new();
        let publishes: Vec<Publish> = draws
            .iter()
            .map(|draw| {
                let publish = self.prepare(draw);
                expected.push(self.naive_publish(&publish));
                publish
            })
            .collect();
        let results = match <[Publish; 1]>::try_from(publishes) {
            Ok([publish]) => vec![now(self.engine.append(publish))],
            Err(publishes) => now(self.engine.append_many(publishes)).unwrap(),
        };
        assert_eq!(results, expected);
    }

    fn prepare(&self, draw: &Draw) -> Publish {
        let topic = topic(draw.topic);
        let newest = self.naive.kept_of(&topic).next_back().map(|entry| entry.sequence);
        let head = self.naive.head();
        let if_last = draw.if_last.map(|guess| match guess {
            Guess::Empty => IfLast::Empty,
            Guess::Newest => newest.map_or(IfLast::Empty, |last| self.expect(last)),
            Guess::Kept(_) => unreachable!("drawn for compactions only"),
            Guess::Back(back) => self.expect(head.saturating_sub(back.into())),
            Guess::OtherLog => {
                let sequence = Sequence(newest.unwrap_or(head));
                IfLast::Cursor(Cursor { epoch: Epoch::new(8), sequence })
            }
        });
        let payload = Json::parse(&format!("\"{}\"", "x".repeat(draw.padding))).unwrap();
        let key = draw.key.map(|key| key.to_string().into());
        let id = draw.id.map(|id| id.to_string().into());
        Publish { draft: Draft { topic, payload, key, headers: None }, id, if_last }
    }

    fn expect(&self, sequence: u64) -> IfLast {
        IfLast::Cursor(self.cursor(sequence))
    }

    pub(super) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor { epoch: self.engine.epoch(), sequence: Sequence(sequence) }
    }

    fn naive_publish(&mut self, publish: &Publish) -> Result<Receipt, Error> {
        let Publish { draft, id, if_last } = publish;
        let topic = draft.topic.clone();
        let receipt = |sequence, published_at, duplicate| {
            let cursor = Cursor { epoch: Epoch::new(7), sequence: Sequence(sequence) };
            Ok(Receipt { topic: draft.topic.clone(), cursor, published_at, duplicate })
        };
        let at = self.time();
        // The publish before it may have left a snapshot alone that is past its age.
        self.naive.expire(at);
        if let Some(first) = id.as_ref().and_then(|id| self.naive.known(&topic, id, at)) {
            return receipt(first, self.naive.entry(first).at, true);
        }
        let newest = self.naive.kept_of(&topic).next_back().map(|entry| entry.sequence);
        let last = newest.map(|sequence| self.cursor(sequence));
        match if_last {
            Some(IfLast::Empty) if last.is_some() => return Err(Error::Conflict { last }),
            Some(IfLast::Cursor(cursor)) if last != Some(*cursor) => {
                return Err(Error::Conflict { last });
            }
            _ => {}
        }
        let key = draft.key.as_deref().unwrap_or(draft.topic.as_str()).to_owned();
        let place = Place { cursor: self.cursor(1), previous: None, published_at: at };
        let cost = Message::new(draft.clone(), place).cost() as u64;
        let sequence = self.naive.head() + 1;
        let (previous, fate) = (None, Fate::Kept);
        let (moment, compacted) = (0, None);
        let entry = Entry { sequence, topic, key, cost, at, previous, fate, moment, compacted };
        self.naive.append(entry, id.as_deref());
        receipt(sequence, at, false)
    }
}
