//! What is known of topics beside their messages: rules, rates, and the reports for clients.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use dashmap::DashMap;

use super::Broker;
use super::rules::{Overflow, Rules, TopicRule, TopicType};
use super::stats::Rate;
use crate::engine::Kept;
use crate::message::cursor::Cursor;
use crate::message::filter::Filter;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// Rules and rates of all topics in use.
#[derive(Debug)]
pub struct Topics {
    /// Replaced as a whole.
    rules: ArcSwap<Rules>,
    states: DashMap<Topic, Arc<TopicState>>,
}

/// One topic in use, under the rules of now: new rules make a new one with the same rates.
#[derive(Debug)]
pub struct TopicState {
    /// When a subscriber is slow.
    pub overflow: Overflow,
    /// What its payloads are.
    pub ty: Option<Arc<TopicType>>,
    /// How much happens.
    pub rates: Arc<Rates>,
}

/// How much happens on one topic.
#[derive(Debug)]
pub struct Rates {
    /// Accepted messages.
    pub published: Rate,
    /// Deliveries to subscribers.
    pub delivered: Rate,
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
    /// Its type, where it has one.
    pub ty: Option<Arc<TopicType>>,
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
        Self { rules: ArcSwap::from_pointee(Rules::new(rules)), states: DashMap::new() }
    }

    /// From now on these rules hold, for topics in use as well.
    pub fn set_rules(&self, rules: Vec<TopicRule>) {
        let rules = Arc::new(Rules::new(rules));
        self.rules.store(rules.clone());
        // A state that is made meanwhile by the old rules is in the map before its part of it is
        // visited here: it is made while that part is locked.
        for mut entry in self.states.iter_mut() {
            let rates = entry.rates.clone();
            let state = TopicState::new(rules.find(entry.key()), rates);
            *entry.value_mut() = Arc::new(state);
        }
    }

    /// The state of a topic, made at its first use.
    pub fn state(&self, topic: &Topic, now: Instant) -> Arc<TopicState> {
        if let Some(state) = self.states.get(topic) {
            return state.clone();
        }
        let new = || {
            let rates = Rates { published: Rate::new(now), delivered: Rate::new(now) };
            Arc::new(TopicState::new(self.rules.load().find(topic), Arc::new(rates)))
        };
        self.states.entry(topic.clone()).or_insert_with(new).clone()
    }

    /// What happens to its messages when a subscriber is slow.
    pub fn overflow(&self, topic: &Topic) -> Overflow {
        if let Some(state) = self.states.get(topic) {
            return state.overflow;
        }
        self.rules.load().find(topic).map(|rule| rule.overflow).unwrap_or_default()
    }

    /// What its payloads are; `None` for anything.
    pub fn ty(&self, topic: &Topic) -> Option<Arc<TopicType>> {
        if let Some(state) = self.states.get(topic) {
            return state.ty.clone();
        }
        self.rules.load().find(topic).and_then(|rule| rule.ty.clone())
    }

    /// May clients join this topic?
    pub fn has_presence(&self, topic: &Topic) -> bool {
        self.rules.load().find(topic).is_none_or(|rule| rule.presence)
    }

    /// Forgets the rates of topics where nothing happens and nothing is kept.
    pub fn sweep(&self, now: Instant, is_kept: impl Fn(&Topic) -> bool) {
        let is_quiet = |state: &Arc<TopicState>| {
            Arc::strong_count(state) == 1
                && state.rates.published.per_second(now) == 0
                && state.rates.delivered.per_second(now) == 0
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

impl TopicState {
    fn new(rule: Option<&TopicRule>, rates: Arc<Rates>) -> Self {
        let overflow = rule.map(|rule| rule.overflow).unwrap_or_default();
        Self { overflow, ty: rule.and_then(|rule| rule.ty.clone()), rates }
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
            ty: state.ty.clone(),
            published_per_second: state.rates.published.per_second(now),
            delivered_per_second: state.rates.delivered.per_second(now),
            topic,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn new_rules_keep_the_rates() {
        let (topics, start) = (Topics::new(Vec::new()), Instant::now());
        let topic = Topic::parse("a.b").unwrap();
        let before = topics.state(&topic, start);
        before.rates.published.add(2, start);
        let filter = Filter::parse("a.*").unwrap();
        let overflow = Overflow::DropOldest;
        topics.set_rules(vec![TopicRule { filter, overflow, presence: true, ty: None }]);
        // An event that is under way still counts.
        before.rates.published.add(1, start);
        let after = topics.state(&topic, start);
        assert_eq!(after.overflow, Overflow::DropOldest);
        assert_eq!(after.rates.published.per_second(start + Duration::from_secs(1)), 3);
        assert_eq!(topics.overflow(&Topic::parse("a.c").unwrap()), Overflow::DropOldest);
        assert_eq!(topics.overflow(&Topic::parse("c").unwrap()), Overflow::Disconnect);
    }
}
