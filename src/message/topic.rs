//! Topics: 1 to 32 tokens joined by `.`, at most 255 bytes.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Most bytes of a topic or filter.
pub const TOPIC_BYTES_MAX: usize = 255;
/// Most tokens of a topic or filter.
pub const TOPIC_TOKENS_MAX: usize = 32;

/// A valid topic, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// What is wrong with a topic or filter, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No text at all.
    #[error("it is empty; name at least one token, as in `quotes.AAPL`")]
    Empty,
    /// Over [`TOPIC_BYTES_MAX`].
    #[error("it has {0} bytes; at most {TOPIC_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Over [`TOPIC_TOKENS_MAX`].
    #[error("it has {0} tokens; at most {TOPIC_TOKENS_MAX} are allowed")]
    TooManyTokens(usize),
    /// Two dots in a row, or one at an end.
    #[error("token {0} is empty; tokens are joined by single dots, with none at the ends")]
    EmptyToken(usize),
    /// White space or a control character.
    #[error(
        "token {token} holds {character:?}; white space and control characters are not allowed"
    )]
    Character {
        /// Which token, counted from 1.
        token: usize,
        /// The character at fault.
        character: char,
    },
    /// `*` or `>` in a topic.
    #[error("token {0} holds a wildcard (`*` or `>`); only filters may have them")]
    Wildcard(usize),
    /// `*` or `>` beside other characters in a filter's token.
    #[error("token {0} mixes a wildcard with other characters; `*` and `>` stand alone")]
    MixedWildcard(usize),
    /// `>` before the last token.
    #[error("token {0} is `>` but not the last one; `*` stands for one token in the middle")]
    TailNotLast(usize),
    /// First token begins with `$`.
    #[error("names that begin with `$` are the broker's own; choose another first token")]
    Reserved,
}

impl Topic {
    /// A topic that a client may name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_tokens(text, |position, token| {
            if token.contains(['*', '>']) { Err(NameError::Wildcard(position)) } else { Ok(()) }
        })?;
        Ok(Self(text.into()))
    }

    /// The text, as in `quotes.AAPL`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text for somebody who keeps it, without a copy.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// The tokens between the dots.
    pub fn tokens(&self) -> std::str::Split<'_, char> {
        self.0.split('.')
    }
}

/// The rules that topics and filters share; `check` adds those of one of them, for each token
/// and its position counted from 1.
pub(super) fn check_tokens(
    text: &str,
    check: impl Fn(usize, &str) -> Result<(), NameError>,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(NameError::TooLong(text.len()));
    }
    let count = text.split('.').count();
    if count > TOPIC_TOKENS_MAX {
        return Err(NameError::TooManyTokens(count));
    }
    for (index, token) in text.split('.').enumerate() {
        let position = index + 1;
        if token.is_empty() {
            return Err(NameError::EmptyToken(position));
        }
        if let Some(character) = token.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(NameError::Character { token: position, character });
        }
        check(position, token)?;
    }
    if text.starts_with('$') {
        return Err(NameError::Reserved);
    }
    Ok(())
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_follow_the_grammar() {
        let long = "x".repeat(TOPIC_BYTES_MAX);
        let many = vec!["t"; TOPIC_TOKENS_MAX].join(".");
        for good in ["quotes.AAPL", "a", "ünï.日本", "a$.b", "BRK%2EB", "\"q\"", &long, &many] {
            assert_eq!(Topic::parse(good).map(|t| t.to_string()), Ok(good.to_owned()));
        }
        let table = [
            ("", NameError::Empty),
            (".", NameError::EmptyToken(1)),
            ("a.", NameError::EmptyToken(2)),
            ("a..b", NameError::EmptyToken(2)),
            ("a b", NameError::Character { token: 1, character: ' ' }),
            ("a.b\n", NameError::Character { token: 2, character: '\n' }),
            ("a.\u{a0}", NameError::Character { token: 2, character: '\u{a0}' }),
            ("a.\u{7f}", NameError::Character { token: 2, character: '\u{7f}' }),
            ("a.*", NameError::Wildcard(2)),
            (">", NameError::Wildcard(1)),
            ("$SYS.a", NameError::Reserved),
        ];
        for (bad, error) in table {
            assert_eq!(Topic::parse(bad), Err(error), "{bad:?}");
        }
        assert_eq!(Topic::parse(&format!("{long}x")), Err(NameError::TooLong(256)));
        assert_eq!(Topic::parse(&format!("{many}.t")), Err(NameError::TooManyTokens(33)));
    }
}
