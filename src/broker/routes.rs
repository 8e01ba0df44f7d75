//! Which feeds want a topic: a map for exact filters, a trie for wildcards.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::feed::FeedId;
use super::trie::Trie;
use crate::message::filter::{Filter, Filters};
use crate::message::topic::Topic;

/// The routing table. Feeds are added under all their filters and found at most once.
#[derive(Debug, Default)]
pub struct Routes {
    exact: FxHashMap<Name, SmallVec<[FeedId; 2]>>,
    wildcard: Trie<FeedId>,
}

/// A topic as a key. A short one lies in the table itself: to look it up touches one place of
/// memory less, which is most of what a lookup costs.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Short { length: u8, bytes: [u8; SHORT_BYTES_MAX] },
    Long(Box<[u8]>),
}

/// With its length and the mark of its kind, a name has four words.
const SHORT_BYTES_MAX: usize = 30;

impl Routes {
    /// Routes what matches any of the filters to the feed.
    pub fn insert(&mut self, filters: &Filters, feed: FeedId) {
        for filter in filters {
            if filter.is_exact() {
                self.exact.entry(Name::from(filter.as_str())).or_default().push(feed);
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
        if let Some(feeds) = self.exact.get_mut(filter.as_str().as_bytes()) {
            feeds.retain(|other| *other != feed);
            if feeds.is_empty() {
                self.exact.remove(filter.as_str().as_bytes());
            }
        }
    }

    /// The feeds that want this topic, each once.
    pub fn lookup(&self, topic: &Topic) -> SmallVec<[FeedId; 4]> {
        let mut found = SmallVec::new();
        if let Some(feeds) = self.exact.get(topic.as_str().as_bytes()) {
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
        self.exact.keys().filter_map(Name::as_str).filter(move |topic| topic.starts_with(prefix))
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(short), Ok(length)) => {
                short.copy_from_slice(text.as_bytes());
                Self::Short { length, bytes }
            }
            _ => Self::Long(text.as_bytes().into()),
        }
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bytes: &[u8] = self.borrow();
        bytes.hash(state);
    }
}

impl Name {
    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.borrow()).ok()
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
