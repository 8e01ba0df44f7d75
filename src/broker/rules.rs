//! What applies to which topics: rules, found by topic without a look at each.

use std::sync::Arc;

use super::trie::Trie;
use crate::message::filter::Filter;
use crate::message::topic::Topic;
use crate::plan::shape::Shape;

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
    /// What their payloads are; `None` for anything.
    pub ty: Option<Arc<TopicType>>,
}

/// The type of a typed topic.
#[derive(Debug, PartialEq, Eq)]
pub struct TopicType {
    /// Its name.
    pub name: Box<str>,
    /// What its payloads have to fit.
    pub shape: Shape,
}

/// Rules in order: the first whose filter matches holds.
#[derive(Debug, Default)]
pub struct Rules {
    list: Box<[TopicRule]>,
    /// Places in the list under the rules' filters.
    places: Trie<usize>,
}

impl Rules {
    /// These rules, in this order.
    pub fn new(list: Vec<TopicRule>) -> Self {
        let mut places = Trie::default();
        for (place, rule) in list.iter().enumerate() {
            places.insert(&rule.filter, place);
        }
        Self { list: list.into(), places }
    }

    /// The rule of a topic.
    pub fn find(&self, topic: &Topic) -> Option<&TopicRule> {
        let mut first = usize::MAX;
        self.places.lookup(topic, &mut |place| first = first.min(place));
        self.list.get(first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_rule_that_matches_holds(
            filters in proptest::collection::vec("([ab*]\\.){0,2}[ab*>]", 0..8),
            topic in "([ab]\\.){0,2}[ab]",
        ) {
            let rule = |text: &String| TopicRule {
                filter: Filter::parse(text).unwrap(),
                overflow: Overflow::default(),
                presence: true,
                ty: None,
            };
            let list: Vec<TopicRule> = filters.iter().map(rule).collect();
            let topic = Topic::parse(&topic).unwrap();
            let expected = list.iter().position(|rule| rule.filter.matches(&topic));
            let rules = Rules::new(list);
            let found = rules.find(&topic).map(std::ptr::from_ref);
            prop_assert_eq!(found, expected.map(|place| std::ptr::from_ref(&rules.list[place])));
        }
    }
}
