//! `maxPerSecond` and `distinct`: which messages of a subscription go out, and when.

mod held;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use held::Held;

use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::plan::Pace;

/// Keys whose last time or value is remembered, for one subscription. Of more keys than these one
/// that holds nothing back is forgotten: its next message goes out at once.
const KEYS_MAX: usize = 10_000;

/// The pace of one subscription. Holds back at most one message per key.
#[derive(Debug)]
pub struct Conflater {
    interval: Option<Duration>,
    distinct: bool,
    keys: FxHashMap<Arc<str>, Key>,
    /// Keys by the time from which they may be sent again; entries of a key that has moved on
    /// since are skipped.
    due: VecDeque<(Instant, Arc<str>)>,
    /// The messages that are held back.
    held: Held,
    /// The newest message that came.
    seen: Option<Sequence>,
}

/// What is known of one conflation key.
#[derive(Debug)]
struct Key {
    /// When its next message may go out.
    free_from: Instant,
    /// The newest message that is held back.
    waiting: Option<Arc<Message>>,
    /// With `distinct`: a hash of what was sent last.
    sent: Option<u64>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// It goes out now.
    Send,
    /// It waits; `conflated` tells whether it replaced one that waited.
    Wait {
        /// A message that waited will not be sent.
        conflated: bool,
    },
}

impl Conflater {
    /// The state of a subscription with this pace; `None` when everything goes out as it comes.
    pub fn new(pace: Pace) -> Option<Self> {
        let interval = pace.max_per_second.map(interval);
        (!pace.is_free()).then(|| Self {
            interval,
            distinct: pace.distinct,
            keys: FxHashMap::default(),
            due: VecDeque::new(),
            held: Held::default(),
            seen: None,
        })
    }

    /// A message of the feed came.
    pub fn offer(&mut self, message: &Arc<Message>, now: Instant) -> Offer {
        let Some(interval) = self.interval else { return Offer::Send };
        self.seen = Some(message.cursor.sequence);
        let name = message.conflation_key();
        // One that waits is not overtaken when its time has come and it has not been released yet:
        // it would come after the newer one.
        if let Some(key) = self.keys.get_mut(name)
            && (now < key.free_from || key.waiting.is_some())
        {
            let replaced = key.waiting.replace(message.clone());
            self.held.insert(message.cursor.sequence);
            if let Some(replaced) = &replaced {
                self.held.remove(replaced.cursor.sequence);
            }
            return Offer::Wait { conflated: replaced.is_some() };
        }
        self.occupy(self.name(message), now + interval, now);
        Offer::Send
    }

    /// The next message whose time has come; call until there is none.
    pub fn release(&mut self, now: Instant) -> Option<Arc<Message>> {
        let interval = self.interval?;
        while self.due.front().is_some_and(|(time, _)| *time <= now) {
            let (time, name) = self.due.pop_front()?;
            let Some(key) = self.keys.get_mut(&name).filter(|key| key.free_from == time) else {
                continue;
            };
            if let Some(message) = key.waiting.take() {
                self.held.remove(message.cursor.sequence);
                self.occupy(name, now + interval, now);
                return Some(message);
            }
            if !self.distinct {
                self.keys.remove(&name);
            }
        }
        None
    }

    /// Does a message wait for its time?
    pub fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    /// Where a subscriber goes on who has got everything that was sent so far: before the oldest
    /// message that is held back, though newer ones of other keys were sent. `None` without
    /// `maxPerSecond`: then it is the place of the last message.
    pub fn position(&self) -> Option<Sequence> {
        let before_oldest = self.held.oldest().map(|held| Sequence(held.0.saturating_sub(1)));
        before_oldest.or(self.seen)
    }

    /// When [`release`](Self::release) has something to do. May change after every call.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.front().map(|(time, _)| *time)
    }

    /// With `distinct`: are these bytes the ones that were sent last for the key? Remembers them.
    pub fn repeats(&mut self, message: &Message, data: &[u8], now: Instant) -> bool {
        if !self.distinct {
            return false;
        }
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        let hash = hasher.finish();
        let name = message.conflation_key();
        if !self.keys.contains_key(name) {
            self.remember(self.name(message), now);
        }
        let before = self.keys.get_mut(name).and_then(|key| key.sent.replace(hash));
        before == Some(hash)
    }

    /// The message's key to keep: no copy is made of a topic, nor of a key that is here already.
    fn name(&self, message: &Message) -> Arc<str> {
        let Some(name) = &message.key else { return message.topic.shared() };
        let known = self.keys.get_key_value(&**name);
        known.map_or_else(|| (&**name).into(), |(name, _)| name.clone())
    }

    fn occupy(&mut self, name: Arc<str>, free_from: Instant, now: Instant) {
        if !self.keys.contains_key(&name) {
            self.remember(name.clone(), now);
        }
        // Not there when all others hold messages back: then this key is not limited for once.
        if let Some(key) = self.keys.get_mut(&name) {
            key.free_from = free_from;
            self.due.push_back((free_from, name));
        }
        if self.due.len() > 2 * KEYS_MAX {
            let keys = &self.keys;
            self.due.retain(|(time, name)| keys.get(name).is_some_and(|k| k.free_from == *time));
        }
    }

    fn remember(&mut self, name: Arc<str>, now: Instant) {
        if self.keys.len() >= KEYS_MAX {
            // A key that holds nothing back: no message is lost by forgetting it.
            let idle = self.keys.iter().find(|(_, key)| key.waiting.is_none());
            let Some(idle) = idle.map(|(name, _)| name.clone()) else { return };
            self.keys.remove(&idle);
        }
        self.keys.insert(name, Key { free_from: now, waiting: None, sent: None });
    }
}

/// The time between two messages of a key. A clock must be able to tell the time after it.
fn interval(per_second: f64) -> Duration {
    const LONGEST: Duration = Duration::from_hours(24 * 365);
    Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::cursor::{Cursor, Epoch, Sequence};
    use crate::message::json::Json;
    use crate::message::time::Timestamp;
    use crate::message::topic::Topic;
    use crate::message::{Draft, Place};

    fn message(key: &str, number: u64) -> Arc<Message> {
        let draft = Draft {
            topic: Topic::parse("t").unwrap(),
            payload: Json::from_value(&json!(number)),
            key: Some(key.into()),
            headers: None,
        };
        let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(number) };
        let published_at = Timestamp::from_micros(0);
        Arc::new(Message::new(draft, Place { cursor, previous: None, published_at }))
    }

    fn release(conflater: &mut Conflater, now: Instant) -> Vec<u64> {
        let released = std::iter::from_fn(|| conflater.release(now));
        released.map(|message| message.cursor.sequence.0).collect()
    }

    #[test]
    fn a_key_is_sent_at_most_so_often_and_ends_on_the_newest() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let pace = Pace { max_per_second: Some(10.0), distinct: false };
        let mut conflater = Conflater::new(pace).unwrap();
        assert_eq!(conflater.offer(&message("a", 1), at(0)), Offer::Send);
        assert_eq!(conflater.offer(&message("b", 2), at(10)), Offer::Send);
        assert_eq!(conflater.offer(&message("a", 3), at(20)), Offer::Wait { conflated: false });
        assert_eq!(conflater.offer(&message("a", 4), at(99)), Offer::Wait { conflated: true });
        assert_eq!(conflater.deadline(), Some(at(100)));
        assert_eq!(conflater.position(), Some(Sequence(3)));
        assert!(release(&mut conflater, at(99)).is_empty());
        assert_eq!(release(&mut conflater, at(100)), [4]);
        assert_eq!(conflater.position(), Some(Sequence(4)));
        assert_eq!(conflater.offer(&message("a", 5), at(150)), Offer::Wait { conflated: false });
        assert_eq!(release(&mut conflater, at(500)), [5]);
        assert!(release(&mut conflater, at(900)).is_empty());
        assert_eq!(conflater.deadline(), None);
        assert!(conflater.keys.is_empty());
    }

    #[test]
    fn who_waits_is_not_overtaken_when_the_release_is_late() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let pace = Pace { max_per_second: Some(10.0), distinct: false };
        let mut conflater = Conflater::new(pace).unwrap();
        assert_eq!(conflater.offer(&message("a", 1), at(0)), Offer::Send);
        assert_eq!(conflater.offer(&message("a", 2), at(50)), Offer::Wait { conflated: false });
        // The time of 2 has come at 100, and nobody has looked since.
        assert_eq!(conflater.offer(&message("a", 3), at(101)), Offer::Wait { conflated: true });
        assert_eq!(conflater.deadline(), Some(at(100)));
        assert_eq!(release(&mut conflater, at(102)), [3]);
        assert!(release(&mut conflater, at(500)).is_empty());
    }

    #[test]
    fn the_slowest_pace_is_a_time_that_a_clock_can_tell() {
        let now = Instant::now();
        for rate in [1e-9, 1e-19, f64::MIN_POSITIVE, 0.0, -1.0, f64::NAN] {
            let pace = Pace { max_per_second: Some(rate), distinct: false };
            let mut conflater = Conflater::new(pace).unwrap();
            assert_eq!(conflater.offer(&message("a", 1), now), Offer::Send, "{rate}");
            assert_eq!(conflater.offer(&message("a", 2), now), Offer::Wait { conflated: false });
        }
    }

    #[test]
    fn distinct_compares_with_what_was_sent_last_for_the_key() {
        let now = Instant::now();
        let mut conflater = Conflater::new(Pace { max_per_second: None, distinct: true }).unwrap();
        let mut repeats = |key, data: &[u8]| conflater.repeats(&message(key, 1), data, now);
        assert!(!repeats("a", b"1"));
        assert!(!repeats("b", b"1"));
        assert!(repeats("a", b"1"));
        assert!(!repeats("a", b"2"));
        assert!(!repeats("a", b"1"));
        assert!(repeats("b", b"1"));
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let start = Instant::now();
        let pace = Pace { max_per_second: Some(0.001), distinct: true };
        let mut conflater = Conflater::new(pace).unwrap();
        for number in 0..3 * KEYS_MAX as u64 {
            let message = message(&number.to_string(), number);
            assert_eq!(conflater.offer(&message, start), Offer::Send);
        }
        assert!(conflater.keys.len() <= KEYS_MAX && conflater.due.len() <= 2 * KEYS_MAX + 1);
    }
}
