//! What to forget of one topic: how many messages, how old, how many bytes; pure.

use std::time::Duration;

use crate::message::filter::{Filter, Filters};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// How much of a topic is kept; what is `None` sets no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest messages.
    pub last: Option<u64>,
    /// Messages younger than this.
    pub age: Option<Duration>,
    /// So many bytes of the newest messages, by [`Message::cost`].
    ///
    /// [`Message::cost`]: crate::message::Message::cost
    pub bytes: Option<u64>,
}

/// What topics of a filter keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which topics.
    pub filter: Filter,
    /// How much of each.
    pub keep: Keep,
    /// True where a forgotten message that a newer one of the same key stands for counts as
    /// conflated, not as lost.
    pub conflate: bool,
    /// False where nothing may be written to a disk, also by an engine that has one.
    pub durable: bool,
}

/// The rules of all topics: the first that matches holds, or else the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// In order of precedence.
    pub rules: Vec<Rule>,
    /// For topics without a rule, which do not conflate and are durable.
    pub default: Keep,
}

/// What holds for one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How much is kept.
    pub keep: Keep,
    /// As in [`Rule::conflate`].
    pub conflate: bool,
    /// As in [`Rule::durable`].
    pub durable: bool,
}

/// What a topic keeps now.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest of them was accepted.
    pub oldest: Timestamp,
}

impl Retention {
    /// The terms of a topic.
    pub fn terms(&self, topic: &Topic) -> Terms {
        match self.rules.iter().find(|rule| rule.filter.matches(topic)) {
            Some(&Rule { keep, conflate, durable, .. }) => Terms { keep, conflate, durable },
            None => Terms { keep: self.default, conflate: false, durable: true },
        }
    }

    /// Filters of all topics that are not durable; they may match others, too, of which a rule
    /// that comes first says otherwise.
    pub fn volatile(&self) -> Option<Filters> {
        let rules = self.rules.iter().filter(|rule| !rule.durable);
        Filters::new(rules.map(|rule| rule.filter.clone()))
    }
}

impl Keep {
    /// No limit at all.
    pub const EVERYTHING: Self = Self { last: None, age: None, bytes: None };

    /// Must the oldest message go? Ask again once it is gone.
    pub fn forgets_oldest(&self, held: Held, now: Timestamp) -> bool {
        self.last.is_some_and(|most| held.messages > most)
            || self.bytes.is_some_and(|most| held.bytes > most)
            || self.expires(held.oldest, now)
    }

    /// Is a message of that time past its age?
    pub fn expires(&self, published_at: Timestamp, now: Timestamp) -> bool {
        self.deadline(published_at).is_some_and(|deadline| deadline <= now)
    }

    /// When a message of that time is past its age.
    pub fn deadline(&self, published_at: Timestamp) -> Option<Timestamp> {
        self.age.map(|age| later(published_at, age))
    }
}

/// The time so much later, or the last moment there is.
pub fn later(time: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(time.as_micros().saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn each_limit_forgets_by_itself() {
        let keep = |last, age_us: Option<u64>, bytes| Keep {
            last,
            age: age_us.map(Duration::from_micros),
            bytes,
        };
        let table = [
            (keep(None, None, None), (u64::MAX, u64::MAX, i64::MIN), false),
            (keep(Some(3), None, None), (3, 900, 0), false),
            (keep(Some(3), None, None), (4, 900, 0), true),
            (keep(Some(0), None, None), (1, 1, 100), true),
            (keep(None, Some(60), None), (9, 900, 41), false),
            (keep(None, Some(60), None), (9, 900, 40), true),
            (keep(None, Some(u64::MAX), None), (9, 900, 0), false),
            (keep(None, None, Some(900)), (9, 900, 0), false),
            (keep(None, None, Some(900)), (1, 901, 0), true),
            (keep(Some(9), Some(101), Some(900)), (9, 900, 0), false),
        ];
        for (keep, (messages, bytes, oldest), expected) in table {
            let held = Held { messages, bytes, oldest: at(oldest) };
            assert_eq!(keep.forgets_oldest(held, at(100)), expected, "{keep:?} {held:?}");
        }
    }

    #[test]
    fn the_first_matching_rule_holds() {
        let rule = |filter, last, conflate| Rule {
            filter: Filter::parse(filter).unwrap(),
            keep: Keep { last: Some(last), ..Keep::EVERYTHING },
            conflate,
            durable: !conflate,
        };
        let rules = vec![rule("a.b", 1, true), rule("a.*", 2, false), rule("a.>", 3, true)];
        let default = Keep { last: Some(1000), ..Keep::EVERYTHING };
        let retention = Retention { rules, default };
        let table = [
            ("a.b", Some(1), true),
            ("a.c", Some(2), false),
            ("a.b.c", Some(3), true),
            ("b", Some(1000), false),
        ];
        for (topic, last, conflate) in table {
            let terms = retention.terms(&Topic::parse(topic).unwrap());
            let found = (terms.keep.last, terms.conflate, terms.durable);
            assert_eq!(found, (last, conflate, !conflate), "{topic}");
        }
        let volatile = retention.volatile().unwrap();
        assert_eq!(volatile.iter().map(Filter::as_str).collect::<Vec<_>>(), ["a.>", "a.b"]);
    }
}
