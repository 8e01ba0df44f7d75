//! Wildcard filters by token: a lookup walks only the branches that can match.

use rustc_hash::FxHashMap;

use crate::message::filter::Filter;
use crate::message::topic::Topic;

/// Values under filters. A value stands at most once under one filter.
#[derive(Debug)]
pub struct Trie<V> {
    root: Node<V>,
}

#[derive(Debug)]
struct Node<V> {
    literal: FxHashMap<Box<str>, Self>,
    star: Option<Box<Self>>,
    /// Filters that end here.
    here: Vec<V>,
    /// Filters that end here with `>`.
    tail: Vec<V>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { literal: FxHashMap::default(), star: None, here: Vec::new(), tail: Vec::new() }
    }
}

impl<V: Copy + PartialEq> Trie<V> {
    /// Adds a value under a filter.
    pub fn insert(&mut self, filter: &Filter, value: V) {
        let mut node = &mut self.root;
        for token in filter.tokens() {
            node = match token {
                ">" => return node.tail.push(value),
                "*" => node.star.get_or_insert_default(),
                literal => node.literal.entry(literal.into()).or_default(),
            };
        }
        node.here.push(value);
    }

    /// Takes a value away again, and the branches that nothing needs any more.
    pub fn remove(&mut self, filter: &Filter, value: V) {
        self.root.remove(&mut filter.tokens(), value);
    }

    /// Calls `found` with each value under each filter that matches.
    pub fn lookup(&self, topic: &Topic, found: &mut impl FnMut(V)) {
        self.root.lookup(&mut topic.tokens(), found);
    }
}

impl<V: Copy + PartialEq> Node<V> {
    fn remove(&mut self, tokens: &mut std::str::Split<'_, char>, value: V) {
        match tokens.next() {
            None => self.here.retain(|other| *other != value),
            Some(">") => self.tail.retain(|other| *other != value),
            Some("*") => {
                if let Some(star) = &mut self.star {
                    star.remove(tokens, value);
                    if star.is_empty() {
                        self.star = None;
                    }
                }
            }
            Some(literal) => {
                if let Some(node) = self.literal.get_mut(literal) {
                    node.remove(tokens, value);
                    if node.is_empty() {
                        self.literal.remove(literal);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty()
            && self.star.is_none()
            && self.here.is_empty()
            && self.tail.is_empty()
    }

    /// Recursion is bounded by the number of tokens of a topic.
    fn lookup(&self, tokens: &mut std::str::Split<'_, char>, found: &mut impl FnMut(V)) {
        let Some(token) = tokens.next() else {
            return self.here.iter().copied().for_each(found);
        };
        self.tail.iter().copied().for_each(&mut *found);
        if let Some(node) = self.literal.get(token) {
            node.lookup(&mut tokens.clone(), found);
        }
        if let Some(star) = &self.star {
            star.lookup(tokens, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filters() -> impl Strategy<Value = Vec<String>> {
        let token = prop_oneof![Just("a"), Just("b"), Just("*")];
        let filter =
            (proptest::collection::vec(token, 1..4), any::<bool>()).prop_map(|(t, tail)| {
                let tail = if tail { ".>" } else { "" };
                format!("{}{tail}", t.join("."))
            });
        proptest::collection::vec(filter, 0..12)
    }

    proptest! {
        #[test]
        fn lookups_find_just_what_matches(
            added in filters(),
            removed in proptest::collection::vec(any::<bool>(), 12),
            topic in "[ab](\\.[abc]){0,4}",
        ) {
            let mut trie = Trie::default();
            let filters: Vec<_> = added.iter().map(|text| Filter::parse(text).unwrap()).collect();
            for (value, filter) in filters.iter().enumerate() {
                trie.insert(filter, value);
            }
            let is_kept = |value: &usize| !removed[*value];
            for (value, filter) in filters.iter().enumerate().filter(|(v, _)| !is_kept(v)) {
                trie.remove(filter, value);
            }
            let topic = Topic::parse(&topic).unwrap();
            let mut found = Vec::new();
            trie.lookup(&topic, &mut |value| found.push(value));
            found.sort_unstable();
            let expected: Vec<_> =
                (0..filters.len()).filter(|v| is_kept(v) && filters[*v].matches(&topic)).collect();
            prop_assert_eq!(found, expected);
            for (value, filter) in filters.iter().enumerate() {
                trie.remove(filter, value);
            }
            prop_assert!(trie.root.is_empty());
        }
    }
}
