//! Templates: the topics of a type, as in `quotes.{symbol}`.
//!
//! Values become tokens by percent-encoding what a token may not hold, and nothing else, so that
//! distinct values have distinct topics and a topic gives its values back.

mod encoding;
mod error;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::filter::Filter;
use super::topic::{TOPIC_BYTES_MAX, TOPIC_TOKENS_MAX, Topic};
pub use error::{TemplateError, ValueError};

/// A valid template, cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Template {
    text: Arc<str>,
    tokens: Arc<[Token]>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Token {
    Literal(String),
    Placeholder(String),
}

impl Template {
    /// Checks a text: tokens joined by `.`, each of them literal or one `{field}`.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError::Empty);
        }
        let count = text.split('.').count();
        if count > TOPIC_TOKENS_MAX {
            return Err(TemplateError::TooManyTokens(count));
        }
        let parsed =
            text.split('.').zip(1..).map(|(token, position)| Token::parse(token, position));
        let tokens: Arc<[Token]> = parsed.collect::<Result<_, _>>()?;
        let template = Self { text: text.into(), tokens };
        template.check()?;
        Ok(template)
    }

    /// The text, as in `quotes.{symbol}`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The fields that give a topic its values, in the order of the text.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(Token::placeholder)
    }

    /// The topic of these values.
    pub fn topic<'v>(
        &self,
        mut value: impl FnMut(&str) -> Cow<'v, str>,
    ) -> Result<Topic, ValueError> {
        let text = self.fill(|placeholder| Some(value(placeholder)))?;
        // Every token is one of a template or encoded, so that only the length can be wrong, and
        // `fill` has looked at it.
        Topic::parse(&text).map_err(|_| self.too_long(text.len()))
    }

    /// The topics of these values; a placeholder without one stands for every value.
    pub fn filter<'v>(
        &self,
        value: impl FnMut(&str) -> Option<Cow<'v, str>>,
    ) -> Result<Filter, ValueError> {
        let text = self.fill(value)?;
        // As in `topic`.
        Filter::parse(&text).map_err(|_| self.too_long(text.len()))
    }

    /// All topics of the template.
    pub fn every(&self) -> Filter {
        let every = self.filter(|_| None);
        #[expect(clippy::expect_used, reason = "`check` measured it with a byte per placeholder")]
        every.expect("a template with `*` for its placeholders is a filter")
    }

    /// The values that make this topic, in the order of the placeholders. `None` if it is not one
    /// of the template, or is not written as [`Template::topic`] writes it.
    pub fn values(&self, topic: &Topic) -> Option<Vec<(&str, String)>> {
        let mut names = topic.tokens();
        let mut values = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            let name = names.next()?;
            match token {
                Token::Literal(literal) if literal == name => {}
                Token::Literal(_) => return None,
                Token::Placeholder(placeholder) => {
                    values.push((placeholder.as_str(), encoding::decode(name, index == 0)?));
                }
            }
        }
        names.next().is_none().then_some(values)
    }

    /// Can one topic be of both templates?
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = |(a, b): (&Token, &Token)| match (a, b) {
            (Token::Literal(a), Token::Literal(b)) => a == b,
            _ => true,
        };
        self.tokens.len() == other.tokens.len() && self.tokens.iter().zip(&*other.tokens).all(meet)
    }

    /// What the tokens can only break together.
    fn check(&self) -> Result<(), TemplateError> {
        for (index, token) in self.tokens.iter().enumerate() {
            let Some(name) = token.placeholder() else { continue };
            if self.tokens[..index].contains(token) {
                return Err(TemplateError::Twice { token: index + 1, placeholder: name.into() });
            }
        }
        let least: usize = self.tokens.iter().map(|token| token.bytes_min() + 1).sum();
        let least = least.saturating_sub(1);
        if least > TOPIC_BYTES_MAX { Err(TemplateError::TooLong(least)) } else { Ok(()) }
    }

    fn fill<'v>(
        &self,
        mut value: impl FnMut(&str) -> Option<Cow<'v, str>>,
    ) -> Result<String, ValueError> {
        let mut text = String::with_capacity(self.text.len() + 16);
        let mut longest = (0, "");
        for (index, token) in self.tokens.iter().enumerate() {
            if index > 0 {
                text.push('.');
            }
            match token {
                Token::Literal(literal) => text.push_str(literal),
                Token::Placeholder(placeholder) => match value(placeholder) {
                    None => text.push('*'),
                    Some(value) if value.is_empty() => {
                        return Err(ValueError::Empty { placeholder: placeholder.clone() });
                    }
                    Some(value) => {
                        let start = text.len();
                        encoding::encode(&value, index == 0, &mut text);
                        longest = longest.max((text.len() - start, placeholder));
                    }
                },
            }
        }
        if text.len() > TOPIC_BYTES_MAX {
            let (placeholder, bytes) = (longest.1.to_owned(), text.len());
            return Err(ValueError::TooLong { placeholder, bytes });
        }
        Ok(text)
    }

    fn too_long(&self, bytes: usize) -> ValueError {
        let placeholder = self.placeholders().next().unwrap_or_default().to_owned();
        ValueError::TooLong { placeholder, bytes }
    }
}

impl Token {
    fn parse(text: &str, position: usize) -> Result<Self, TemplateError> {
        let token = position;
        if text.is_empty() {
            return Err(TemplateError::EmptyToken { token });
        }
        if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if inner.contains(['{', '}']) {
                return Err(TemplateError::Mixed { token });
            }
            if !is_name(inner) {
                return Err(TemplateError::NoName { token, placeholder: inner.into() });
            }
            return Ok(Self::Placeholder(inner.into()));
        }
        if text.contains(['{', '}']) {
            return Err(TemplateError::Mixed { token });
        }
        let refused = |c: &char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
        if let Some(character) = text.chars().find(refused) {
            return Err(TemplateError::Character { token, character });
        }
        if position == 1 && text.starts_with('$') {
            return Err(TemplateError::Reserved);
        }
        Ok(Self::Literal(text.into()))
    }

    fn placeholder(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Placeholder(name) => Some(name),
        }
    }

    fn bytes_min(&self) -> usize {
        match self {
            Self::Literal(literal) => literal.len(),
            Self::Placeholder(_) => 1,
        }
    }
}

/// Is it a name of GraphQL?
fn is_name(text: &str) -> bool {
    let is_start = |c: char| c == '_' || c.is_ascii_alphabetic();
    text.starts_with(is_start) && text.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.text)
    }
}
