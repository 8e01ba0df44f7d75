//! Snapshots in both engines.

use super::naive::Entry;
use super::steps::Guess;
use super::{Pair, now};
use crate::engine::Error;
use crate::message::cursor::Sequence;
use crate::message::filter::{Filter, Filters};
use crate::message::json::Json;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Place, Receipt};

impl Pair {
    pub(super) fn compact(&mut self, topic: &Topic, at: Guess, padding: usize) {
        let mut kept: Vec<u64> = self.naive.kept_of(topic).map(|entry| entry.sequence).collect();
        kept.reverse();
        let head = self.naive.head();
        let upto = match at {
            Guess::Kept(index) => kept.get(usize::from(index)).copied().unwrap_or(head + 1),
            Guess::Back(back) => head.saturating_sub(back.into()),
            _ => kept.first().copied().unwrap_or_default(),
        };
        let payload = Json::parse(&format!("\"{}\"", "s".repeat(padding))).unwrap();
        let draft = Draft { topic: topic.clone(), payload, key: None, headers: None };
        let result = now(self.engine.compact(draft.clone(), Sequence(upto)));
        let is_of_topic = |entry: &&Entry| entry.sequence == upto && entry.topic == *topic;
        let doubtful = self.naive.doubtful(&Filters::from(Filter::from(topic)));
        let was_there = self.naive.entries.iter().any(|entry| is_of_topic(&entry));
        if let Some(snapshot) = self.naive.snapshot(topic).filter(|&snapshot| upto <= snapshot) {
            let (snapshot, last) = (self.cursor(snapshot), self.cursor(kept[0]));
            // The drafts of two compactions at one place may be the same.
            let is_again = matches!(&result, Ok(receipt) if receipt.duplicate);
            let may_be_again = is_again && upto == snapshot.sequence.0;
            assert!(may_be_again || result == Err(Error::Overtaken { snapshot, last }));
        } else if kept.contains(&upto) {
            let published_at = self.naive.entry(upto).at;
            let cursor = self.cursor(upto);
            let place = Place { cursor, previous: None, published_at };
            let cost = Message::snapshot(draft, place).cost() as u64;
            self.naive.compact(upto, cost);
            let topic = topic.clone();
            assert_eq!(result, Ok(Receipt { topic, cursor, published_at, duplicate: false }));
        } else if upto > self.naive.loss(topic).0.max(doubtful) && !was_there {
            assert_eq!(result, Err(Error::NotOfTopic));
        } else {
            let is_expired = matches!(result, Err(Error::Expired { earliest: Some(_) }));
            assert!(is_expired || (!was_there && result == Err(Error::NotOfTopic)), "{result:?}");
        }
    }
}
