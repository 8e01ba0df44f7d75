//! What can be wrong with a template and with the values that fill it.

use super::super::topic::{TOPIC_BYTES_MAX, TOPIC_TOKENS_MAX};

/// What is wrong with a template. Tokens count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No text at all.
    #[error("it is empty")]
    Empty,
    /// Over [`TOPIC_BYTES_MAX`], however short the values are.
    #[error("its topics have at least {0} bytes, and {TOPIC_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// Over [`TOPIC_TOKENS_MAX`].
    #[error("it has {0} tokens, and {TOPIC_TOKENS_MAX} are allowed")]
    TooManyTokens(usize),
    /// Two dots in a row, or one at an end.
    #[error("token {token} is empty")]
    EmptyToken {
        /// Which token.
        token: usize,
    },
    /// White space, a control character or a wildcard.
    #[error("token {token} holds {character:?}")]
    Character {
        /// Which token.
        token: usize,
        /// The character at fault.
        character: char,
    },
    /// First token begins with `$`.
    #[error("names that begin with `$` are the broker's own")]
    Reserved,
    /// Braces beside other characters.
    #[error("token {token} is neither literal nor exactly one placeholder")]
    Mixed {
        /// Which token.
        token: usize,
    },
    /// What stands between the braces names no field.
    #[error("`{placeholder}` is not the name of a field")]
    NoName {
        /// Which token.
        token: usize,
        /// What stands there.
        placeholder: String,
    },
    /// A field stands in it twice.
    #[error("the placeholder `{placeholder}` stands in it twice")]
    Twice {
        /// The second of the tokens.
        token: usize,
        /// The field.
        placeholder: String,
    },
}

/// Why values make no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Tokens are not empty.
    #[error("`{placeholder}` is empty; it is part of the topic, and needs at least one character")]
    Empty {
        /// The placeholder without a value.
        placeholder: String,
    },
    /// The topic is too long.
    #[error(
        "`{placeholder}` is too long: its topic would have {bytes} bytes, and {TOPIC_BYTES_MAX} \
         are allowed"
    )]
    TooLong {
        /// The placeholder with the longest value.
        placeholder: String,
        /// What the topic would have.
        bytes: usize,
    },
}

impl TemplateError {
    /// The token at fault, if it is one; counted from 1.
    pub fn token(&self) -> Option<usize> {
        match self {
            Self::Empty | Self::TooLong(_) | Self::TooManyTokens(_) => None,
            Self::Reserved => Some(1),
            Self::EmptyToken { token }
            | Self::Character { token, .. }
            | Self::Mixed { token }
            | Self::NoName { token, .. }
            | Self::Twice { token, .. } => Some(*token),
        }
    }

    /// What would be right.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Empty => "name the topics, as in `quotes.{symbol}`",
            Self::TooLong(_) => "shorten the literal tokens",
            Self::TooManyTokens(_) => "join tokens, or leave out what the payload says anyway",
            Self::EmptyToken { .. } => "tokens are joined by single dots, with none at the ends",
            Self::Character { character: '*' | '>', .. } => {
                "`*` and `>` are for filters; a part that differs from topic to topic is a \
                 placeholder, as in `quotes.{symbol}`"
            }
            Self::Character { .. } => {
                "white space and control characters are not allowed in topics"
            }
            Self::Reserved => "choose another first token",
            Self::Mixed { .. } => {
                "a placeholder is a token of its own: `{version}` instead of `v{version}`, \
                 `{a}.{b}` instead of `{a}-{b}`"
            }
            Self::NoName { .. } => {
                "a placeholder is the name of a field of the type in braces, as in `{symbol}`"
            }
            Self::Twice { .. } => "each value stands in a topic once",
        }
    }
}
