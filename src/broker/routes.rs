//! Which feeds want a topic: a map for exact filters, a trie for wildcards.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::feed::FeedId;
use super::trie::Trie;
use crate::message::filter::{Filter, Filters};
use crate::message::topic::Topic;

/// The routing table. Feeds are added under all their filters and found at most once.
#[derive(Debug, Default)]
pub struct Routes {
    exact: FxHashMap<Box<str>, SmallVec<[FeedId; 2]>>,
    wildcard: Trie<FeedId>,
}

impl Routes {
    /// Routes what matches any of the filters to the feed.
    pub fn insert(&mut self, filters: &Filters, feed: FeedId) {
        for filter in filters {
            if filter.is_exact() {
                self.exact.entry(filter.as_str().into()).or_default().push(feed);
            } else {
                self.wildcard.insert(filter, feed);
            }
        }
    }

    /// Takes the feed away again.
    pub fn remove(&mut self, filters: &Filters, feed: FeedId) {
        for filter in filters {
            if filter.is_exact() {
                self.remove_exact(filter, feed);
            } else {
                self.wildcard.remove(filter, feed);
            }
        }
    }

    fn remove_exact(&mut self, filter: &Filter, feed: FeedId) {
        if let Some(feeds) = self.exact.get_mut(filter.as_str()) {
            feeds.retain(|other| *other != feed);
            if feeds.is_empty() {
                self.exact.remove(filter.as_str());
            }
        }
    }

    /// The feeds that want this topic, each once.
    pub fn lookup(&self, topic: &Topic) -> SmallVec<[FeedId; 4]> {
        let mut found = SmallVec::new();
        if let Some(feeds) = self.exact.get(topic.as_str()) {
            found.extend_from_slice(feeds);
        }
        let exact = found.len();
        self.wildcard.lookup(topic, &mut |feed| found.push(feed));
        if found.len() > exact && found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    /// The topics that exact filters name, beginning with `prefix`.
    pub fn exact_topics(&self, prefix: &str) -> impl Iterator<Item = &str> {
        self.exact.keys().map(|topic| &**topic).filter(move |topic| topic.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Filters {
        Filters::new(texts.iter().map(|text| Filter::parse(text).unwrap())).unwrap()
    }

    fn lookup(routes: &Routes, topic: &str) -> Vec<FeedId> {
        routes.lookup(&Topic::parse(topic).unwrap()).into_vec()
    }

    #[test]
    fn a_feed_is_found_once_however_many_filters_match() {
        let mut routes = Routes::default();
        let (both, exact) = (FeedId(0), FeedId(1));
        routes.insert(&filters(&["a.b", "a.*", ">"]), both);
        routes.insert(&filters(&["a.b"]), exact);
        assert_eq!(lookup(&routes, "a.b"), [both, exact]);
        assert_eq!(lookup(&routes, "a.c"), [both]);
        routes.remove(&filters(&["a.b", "a.*", ">"]), both);
        assert_eq!(lookup(&routes, "a.b"), [exact]);
        routes.remove(&filters(&["a.b"]), exact);
        assert!(lookup(&routes, "a.b").is_empty());
        assert_eq!(routes.exact_topics("").count(), 0);
    }
}
