//! Which subscribers follow which topics.

/// Subscriptions of so many topics each, spread evenly over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) subscribers: usize,
    pub(super) topics: usize,
    /// Topics of one subscription, at most as many as there are.
    pub(super) topics_each: usize,
}

impl Layout {
    /// The first topic of a subscriber. Its others follow, from the last one on to the first.
    pub(super) fn first(&self, subscriber: usize) -> usize {
        let begin = subscriber * self.topics_each;
        // Each lap round the topics is shifted by one, so that subscriptions differ.
        let lap = begin / self.topics;
        (begin + lap % self.topics_each) % self.topics
    }

    /// The topics of a subscriber, in the order of their places.
    pub(super) fn topics_of(self, subscriber: usize) -> impl Iterator<Item = usize> {
        let first = self.first(subscriber);
        (first..first + self.topics_each).map(move |topic| topic % self.topics)
    }

    /// The place of a topic in a subscription that begins with `first`.
    pub(super) fn place(&self, first: usize, topic: usize) -> Option<usize> {
        let place = if topic < first { topic + self.topics - first } else { topic - first };
        Some(place).filter(|place| *place < self.topics_each)
    }

    /// For each topic, its subscribers.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.topics];
        for subscriber in 0..self.subscribers {
            self.topics_of(subscriber).for_each(|topic| members[topic].push(subscriber));
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn topics_places_and_members_agree(
            subscribers in 1_usize..60,
            topics in 1_usize..20,
            each in 1_usize..20,
        ) {
            let layout = Layout { subscribers, topics, topics_each: each.min(topics) };
            let members = layout.members();
            for subscriber in 0..subscribers {
                let own: Vec<usize> = layout.topics_of(subscriber).collect();
                prop_assert_eq!(own.iter().collect::<HashSet<_>>().len(), layout.topics_each);
                for (topic, members) in members.iter().enumerate() {
                    let place = layout.place(layout.first(subscriber), topic);
                    prop_assert_eq!(place, own.iter().position(|own| *own == topic));
                    prop_assert_eq!(members.contains(&subscriber), place.is_some());
                }
            }
        }
    }

    #[test]
    fn rooms_are_of_one_size_and_portfolios_differ() {
        let sizes = |layout: Layout| {
            let sizes: HashSet<usize> = layout.members().iter().map(Vec::len).collect();
            sizes
        };
        let rooms = Layout { subscribers: 10_000, topics: 2_000, topics_each: 1 };
        assert_eq!(sizes(rooms), HashSet::from([5]));
        assert_eq!(rooms.topics_of(2_001).collect::<Vec<_>>(), [1]);
        let market = Layout { subscribers: 500, topics: 2_000, topics_each: 50 };
        assert_eq!(sizes(market), HashSet::from([12, 13]));
        let portfolio = |subscriber| {
            let mut topics: Vec<usize> = market.topics_of(subscriber).collect();
            topics.sort_unstable();
            topics
        };
        assert_eq!((0..500).map(portfolio).collect::<HashSet<_>>().len(), 500);
    }
}
