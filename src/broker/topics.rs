//! What is known of topics beside their messages: rules, rates, and the reports for clients.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use super::Broker;
use super::stats::Rate;
use crate::engine::Kept;
use crate::message::cursor::Cursor;
use crate::message::filter::Filter;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// What happens when a subscriber is slower than the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Its connection is closed with 1013; it comes back and resumes.
    #[default]
    Disconnect,
    /// The oldest waiting message goes.
    DropOldest,
    /// A waiting message of the same key is replaced.
    Conflate,
}

/// What applies to the topics that a filter matches.
#[derive(Debug, Clone)]
pub struct TopicRule {
    /// Which topics.
    pub filter: Filter,
    /// When a subscriber is slow.
    pub overflow: Overflow,
    /// May clients join?
    pub presence: bool,
}

/// Rules and rates of all topics in use.
#[derive(Debug)]
pub struct Topics {
    rules: ArcSwap<Vec<TopicRule>>,
    states: DashMap<Topic, Arc<TopicState>>,
}

/// One topic in use.
#[derive(Debug)]
pub struct TopicState {
    /// When a subscriber is slow.
    pub overflow: Overflow,
    /// Accepted messages.
    pub published: Arc<Rate>,
    /// Deliveries to subscribers.
    pub delivered: Arc<Rate>,
}

/// A topic as clients see it.
#[derive(Debug, Clone)]
pub struct TopicReport {
    /// Its name.
    pub topic: Topic,
    /// Messages kept.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The oldest kept.
    pub first: Option<Cursor>,
    /// The newest kept.
    pub last: Option<Cursor>,
    /// When the newest was accepted.
    pub last_published_at: Option<Timestamp>,
    /// Subscriptions whose filters match.
    pub subscribers: u64,
    /// Publishes in the last full second.
    pub published_per_second: u64,
    /// Deliveries in the last full second.
    pub delivered_per_second: u64,
}

/// Some topics in the order of their names.
#[derive(Debug, Clone)]
pub struct TopicPage {
    /// The topics.
    pub topics: Vec<TopicReport>,
    /// There are more after these.
    pub has_next: bool,
}

impl Topics {
    /// The first rule whose filter matches holds.
    pub fn new(rules: Vec<TopicRule>) -> Self {
        Self { rules: ArcSwap::from_pointee(rules), states: DashMap::new() }
    }

    /// Other rules, from now on.
    pub fn set_rules(&self, rules: Vec<TopicRule>) {
        self.rules.store(Arc::new(rules));
        // A state that is made meanwhile is made under its lock of the map: it is found here, or it
        // was made by the new rules.
        for mut state in self.states.iter_mut() {
            let overflow = self.ruled_overflow(state.key());
            if state.overflow != overflow {
                let (published, delivered) = (state.published.clone(), state.delivered.clone());
                *state = Arc::new(TopicState { overflow, published, delivered });
            }
        }
    }

    /// The state of a topic, made at its first use.
    pub fn state(&self, topic: &Topic, now: Instant) -> Arc<TopicState> {
        if let Some(state) = self.states.get(topic) {
            return state.clone();
        }
        let rate = || Arc::new(Rate::new(now));
        let new = || {
            let overflow = self.ruled_overflow(topic);
            Arc::new(TopicState { overflow, published: rate(), delivered: rate() })
        };
        self.states.entry(topic.clone()).or_insert_with(new).clone()
    }

    /// What happens to its messages when a subscriber is slow.
    pub fn overflow(&self, topic: &Topic) -> Overflow {
        if let Some(state) = self.states.get(topic) {
            return state.overflow;
        }
        self.ruled_overflow(topic)
    }

    /// May clients join this topic?
    pub fn has_presence(&self, topic: &Topic) -> bool {
        self.rule(topic, |rule| rule.presence).unwrap_or(true)
    }

    fn ruled_overflow(&self, topic: &Topic) -> Overflow {
        self.rule(topic, |rule| rule.overflow).unwrap_or_default()
    }

    fn rule<T>(&self, topic: &Topic, read: impl FnOnce(&TopicRule) -> T) -> Option<T> {
        let rules = self.rules.load();
        rules.iter().find(|rule| rule.filter.matches(topic)).map(read)
    }

    /// Forgets the rates of topics where nothing happens and nothing is kept.
    pub fn sweep(&self, now: Instant, is_kept: impl Fn(&Topic) -> bool) {
        let is_quiet = |state: &Arc<TopicState>| {
            Arc::strong_count(state) == 1
                && state.published.per_second(now) == 0
                && state.delivered.per_second(now) == 0
        };
        let quiet = self.states.iter().filter(|entry| is_quiet(entry.value()));
        let mut quiet: Vec<Topic> = quiet.map(|entry| entry.key().clone()).collect();
        // Asked with no part of the map locked: a publisher holds the log and waits for the map.
        quiet.retain(|topic| !is_kept(topic));
        for topic in quiet {
            self.states.remove_if(&topic, |_, state| is_quiet(state));
        }
    }
}

impl Broker {
    /// One topic; `None` when it keeps nothing and nobody subscribes to it by name.
    pub fn topic(&self, topic: &Topic) -> Option<TopicReport> {
        let kept = self.engine.topic(topic);
        let named = || !self.feeds.subscribed_topics(&Filter::from(topic)).is_empty();
        (kept.is_some() || named()).then(|| self.report(topic.clone(), kept.as_ref()))
    }

    /// Topics by name, beginning after a name.
    pub fn topics(&self, matching: &Filter, first: usize, after: Option<&str>) -> TopicPage {
        // One more than asked for tells whether there is a next page.
        let kept = self.engine.topics(matching, after, first.saturating_add(1));
        let mut all: Vec<(Topic, Option<Kept>)> =
            kept.into_iter().map(|kept| (kept.topic.clone(), Some(kept))).collect();
        let named = self.feeds.subscribed_topics(matching);
        let is_later = |topic: &Topic| after.is_none_or(|after| topic.as_str() > after);
        all.extend(named.into_iter().filter(is_later).map(|topic| (topic, None)));
        // Stable: of two entries for one topic, the one with its messages comes first and stays.
        all.sort_by(|(left, _), (right, _)| left.cmp(right));
        all.dedup_by(|(later, _), (earlier, _)| later == earlier);
        let has_next = all.len() > first;
        all.truncate(first);
        let topics = all.into_iter().map(|(topic, kept)| {
            let kept = kept.or_else(|| self.engine.topic(&topic));
            self.report(topic, kept.as_ref())
        });
        TopicPage { topics: topics.collect(), has_next }
    }

    fn report(&self, topic: Topic, kept: Option<&Kept>) -> TopicReport {
        let now = Instant::now();
        let state = self.topics.state(&topic, now);
        TopicReport {
            messages: kept.map_or(0, |kept| kept.messages),
            bytes: kept.map_or(0, |kept| kept.bytes),
            first: kept.map(|kept| kept.first),
            last: kept.map(|kept| kept.last),
            last_published_at: kept.map(|kept| kept.last_published_at),
            subscribers: self.feeds.subscribers(&topic),
            published_per_second: state.published.per_second(now),
            delivered_per_second: state.delivered.per_second(now),
            topic,
        }
    }
}
