//! Filters: a topic in which `*` stands for one token and a last `>` for one or more.

use std::fmt;
use std::sync::Arc;

use super::topic::{NameError, Topic, check_tokens};

/// A valid filter, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Arc<str>);

/// Filters of one subscription: sorted, without equals, at least one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Filters(Arc<[Filter]>);

impl Filter {
    /// A filter that a client may name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let last = text.split('.').count();
        check_tokens(text, |position, token| match token {
            "*" => Ok(()),
            ">" if position == last => Ok(()),
            ">" => Err(NameError::TailNotLast(position)),
            _ if token.contains(['*', '>']) => Err(NameError::MixedWildcard(position)),
            _ => Ok(()),
        })?;
        Ok(Self(text.into()))
    }

    /// The text, as in `quotes.*`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tokens between the dots.
    pub fn tokens(&self) -> std::str::Split<'_, char> {
        self.0.split('.')
    }

    /// True when it matches exactly one topic: the one with its text.
    pub fn is_exact(&self) -> bool {
        !self.tokens().any(|token| token == "*" || token == ">")
    }

    /// The text before the first wildcard: every matching topic begins with it.
    pub fn literal_prefix(&self) -> &str {
        let mut end = 0;
        for token in self.tokens() {
            if token == "*" || token == ">" {
                return &self.0[..end];
            }
            end = (end + token.len() + 1).min(self.0.len());
        }
        &self.0
    }

    /// Does a message of this topic pass?
    pub fn matches(&self, topic: &Topic) -> bool {
        let mut names = topic.tokens();
        for token in self.tokens() {
            match (token, names.next()) {
                (">", name) => return name.is_some(),
                ("*", Some(_)) => {}
                (literal, Some(name)) if literal == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// The filter of all topics that both match; `None` when there are none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (mut ours, mut theirs) = (self.tokens(), other.tokens());
        let mut common = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Self::parse(&common.join(".")).ok(),
                (Some(">"), Some(token)) => {
                    common.push(token);
                    common.extend(theirs.by_ref());
                    return Self::parse(&common.join(".")).ok();
                }
                (Some(token), Some(">")) => {
                    common.push(token);
                    common.extend(ours.by_ref());
                    return Self::parse(&common.join(".")).ok();
                }
                (Some("*"), Some(token)) | (Some(token), Some("*")) => common.push(token),
                (Some(token), Some(same)) if token == same => common.push(token),
                _ => return None,
            }
        }
    }
}

impl Filters {
    /// The set of these filters; `None` when there are none.
    pub fn new(filters: impl IntoIterator<Item = Filter>) -> Option<Self> {
        let mut filters: Vec<Filter> = filters.into_iter().collect();
        filters.sort();
        filters.dedup();
        (!filters.is_empty()).then(|| Self(filters.into()))
    }

    /// The filters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Filter> {
        self.0.iter()
    }

    /// Is there a topic that both match?
    pub fn intersect(&self, other: &Self) -> bool {
        let meets = |one: &Filter| other.iter().any(|other| one.intersection(other).is_some());
        self.iter().any(meets)
    }

    /// Does any of them match?
    pub fn matches(&self, topic: &Topic) -> bool {
        self.0.iter().any(|filter| filter.matches(topic))
    }
}

impl From<Filter> for Filters {
    fn from(filter: Filter) -> Self {
        Self([filter].into())
    }
}

impl<'a> IntoIterator for &'a Filters {
    type Item = &'a Filter;
    type IntoIter = std::slice::Iter<'a, Filter>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<&Topic> for Filter {
    /// A topic is the filter that matches only it.
    fn from(topic: &Topic) -> Self {
        Self(topic.as_str().into())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_intersection_matches_what_both_match(
            a in "([ab*]\\.){0,3}[ab*>]",
            b in "([ab*]\\.){0,3}[ab*>]",
            topic in "([abc]\\.){0,4}[abc]",
        ) {
            let (a, b) = (Filter::parse(&a).unwrap(), Filter::parse(&b).unwrap());
            let topic = Topic::parse(&topic).unwrap();
            let both = a.intersection(&b);
            prop_assert_eq!(&both, &b.intersection(&a));
            let is_matched = both.is_some_and(|both| both.matches(&topic));
            prop_assert_eq!(is_matched, a.matches(&topic) && b.matches(&topic));
        }
    }

    #[test]
    fn filters_follow_the_grammar() {
        for good in ["a", "*", ">", "a.*", "a.>", "*.b.>", "a.*.c"] {
            assert!(Filter::parse(good).is_ok(), "{good}");
        }
        let table = [
            ("", NameError::Empty),
            ("a.>.b", NameError::TailNotLast(2)),
            ("a*.b", NameError::MixedWildcard(1)),
            ("a.b>", NameError::MixedWildcard(2)),
            ("**", NameError::MixedWildcard(1)),
            ("$a.>", NameError::Reserved),
            ("a..>", NameError::EmptyToken(2)),
        ];
        for (bad, error) in table {
            assert_eq!(Filter::parse(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn wildcards_match_whole_tokens() {
        let table = [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.b", "a.b.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("*.b", "a.b", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("*.>", "a", false),
            ("*.>", "a.b", true),
        ];
        for (filter, topic, expected) in table {
            let (filter, topic) = (Filter::parse(filter).unwrap(), Topic::parse(topic).unwrap());
            assert_eq!(filter.matches(&topic), expected, "{filter} {topic}");
        }
    }

    #[test]
    fn the_literal_prefix_ends_before_the_first_wildcard() {
        for (filter, prefix) in
            [("a.b", "a.b"), ("a.*.c", "a."), (">", ""), ("quotes.>", "quotes.")]
        {
            assert_eq!(Filter::parse(filter).unwrap().literal_prefix(), prefix);
        }
    }
}
