//! Topics, filters and routes, each against a naive one.

use tidings::broker::feed::FeedId;
use tidings::broker::routes::Routes;
use tidings::broker::trie::Trie;
use tidings::message::filter::{Filter, Filters};
use tidings::message::topic::{TOPIC_BYTES_MAX, TOPIC_TOKENS_MAX, Topic};

const NAMES_MAX: usize = 24;
/// Filters of one feed.
const FEED_FILTERS: usize = 3;

/// One input: names, one a line, each tried as a topic and as a filter.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let names: Vec<&str> = text.split('\n').take(NAMES_MAX).collect();
    let topics: Vec<Topic> = names.iter().filter_map(|name| check_topic(name)).collect();
    let filters: Vec<Filter> = names.iter().filter_map(|name| check_filter(name)).collect();
    for (filter, topic) in filters.iter().flat_map(|f| topics.iter().map(move |t| (f, t))) {
        check_match(filter, topic);
    }
    check_trie(&filters, &topics);
    check_routes(&filters, &topics);
}

fn check_topic(name: &str) -> Option<Topic> {
    let topic = Topic::parse(name);
    let is_literal = |token: &str| !token.contains(['*', '>']);
    let expected = is_name(name) && name.split('.').all(is_literal);
    assert_eq!(topic.is_ok(), expected, "{name:?}: {topic:?}");
    let topic = topic.ok()?;
    assert_eq!(topic.as_str(), name);
    assert!(Filter::from(&topic).is_exact() && Filter::from(&topic).matches(&topic));
    assert_eq!(Filter::parse(name), Ok(Filter::from(&topic)));
    Some(topic)
}

fn check_filter(name: &str) -> Option<Filter> {
    let filter = Filter::parse(name);
    let mut tokens = name.split('.').rev().enumerate();
    let is_token = |(from_end, token)| match token {
        "*" => true,
        ">" => from_end == 0,
        _ => !token.contains(['*', '>']),
    };
    assert_eq!(filter.is_ok(), is_name(name) && tokens.all(is_token), "{name:?}: {filter:?}");
    let filter = filter.ok()?;
    assert_eq!(filter.as_str(), name);
    assert_eq!(filter.is_exact(), Topic::parse(name).is_ok());
    assert!(name.starts_with(filter.literal_prefix()));
    Some(filter)
}

/// What topics and filters have in common.
fn is_name(name: &str) -> bool {
    let is_token = |token: &str| {
        !token.is_empty() && !token.chars().any(|c| c.is_whitespace() || c.is_control())
    };
    name.len() <= TOPIC_BYTES_MAX
        && name.split('.').count() <= TOPIC_TOKENS_MAX
        && name.split('.').all(is_token)
        && !name.starts_with('$')
}

fn check_match(filter: &Filter, topic: &Topic) {
    let tokens: Vec<&str> = filter.tokens().collect();
    let names: Vec<&str> = topic.tokens().collect();
    let expected = matches(&tokens, &names);
    assert_eq!(filter.matches(topic), expected, "{filter:?} and {topic:?}");
    if expected {
        assert!(topic.as_str().starts_with(filter.literal_prefix()));
        assert!(!filter.is_exact() || filter.as_str() == topic.as_str());
    }
}

fn matches(tokens: &[&str], names: &[&str]) -> bool {
    match (tokens, names) {
        ([], []) | ([">"], [_, ..]) => true,
        ([token, tokens @ ..], [name, names @ ..]) => {
            (*token == "*" || token == name) && matches(tokens, names)
        }
        _ => false,
    }
}

fn check_trie(filters: &[Filter], topics: &[Topic]) {
    let mut trie = Trie::default();
    for (value, filter) in filters.iter().enumerate() {
        trie.insert(filter, value);
    }
    let mut left: Vec<usize> = (0..filters.len()).collect();
    // All, then every second, then none.
    for keep in [1, 2, filters.len() + 1] {
        let (kept, removed): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|value| (value + 1) % keep == 0);
        left = kept;
        for value in removed {
            trie.remove(&filters[value], value);
        }
        for topic in topics {
            let mut found = Vec::new();
            trie.lookup(topic, &mut |value| found.push(value));
            found.sort_unstable();
            let matching = left.iter().copied().filter(|value| filters[*value].matches(topic));
            assert_eq!(found, matching.collect::<Vec<_>>(), "{topic:?} in {filters:?}");
        }
    }
}

fn check_routes(filters: &[Filter], topics: &[Topic]) {
    let feeds = filters.chunks(FEED_FILTERS).filter_map(|chunk| Filters::new(chunk.to_vec()));
    let feeds: Vec<(FeedId, Filters)> = (0..).map(FeedId).zip(feeds).collect();
    let mut routes = Routes::default();
    for (feed, filters) in &feeds {
        routes.insert(filters, *feed);
    }
    for gone in 0..=feeds.len() {
        for topic in topics {
            let mut found = routes.lookup(topic).into_vec();
            found.sort_unstable();
            let matching = feeds[gone..].iter().filter(|(_, filters)| filters.matches(topic));
            let expected: Vec<FeedId> = matching.map(|(feed, _)| *feed).collect();
            assert_eq!(found, expected, "{topic:?} in {:?}", &feeds[gone..]);
        }
        if let Some((feed, filters)) = feeds.get(gone) {
            routes.remove(filters, *feed);
        }
    }
    assert_eq!(routes.exact_topics("").count(), 0);
}
