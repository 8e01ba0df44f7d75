//! The names that are derived from those of types and stems.

use async_graphql::parser::types::{BaseType, Type};

use super::ours::Root;

/// The stem of a type's fields where `@topic` names none: `Quote` is `quote`, `HTTPLog` is
/// `httpLog`, `IOTReading` is `iotReading`, `URL` is `url`.
///
/// Of capitals at the beginning all become small, but for the last where a small letter follows:
/// with it the next word begins.
pub fn stem(type_name: &str) -> String {
    let letters: Vec<char> = type_name.chars().collect();
    let begin = letters.iter().take_while(|letter| **letter == '_').count();
    let capitals = letters[begin..].iter().take_while(|letter| letter.is_ascii_uppercase()).count();
    let next = letters.get(begin + capitals);
    let starts_a_word = capitals > 1 && next.is_some_and(char::is_ascii_lowercase);
    let small = begin + if starts_a_word { capitals - 1 } else { capitals };
    let letter = |(index, letter): (usize, &char)| {
        if index < small { letter.to_ascii_lowercase() } else { *letter }
    };
    letters.iter().enumerate().map(letter).collect()
}

/// A stem at the end of another name: `quote` is `Quote` in `publishQuote`.
fn capitalised(stem: &str) -> String {
    let mut letters = stem.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string())
        + letters.as_str()
}

/// The fields and arguments that stand for one typed topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Field of `Subscription`.
    pub subscription: String,
    /// Field of `Query`: the newest message.
    pub newest: String,
    /// Field of `Query`: messages kept.
    pub history: String,
    /// Field of `Mutation`.
    pub publish: String,
    /// Field of `Mutation`: several.
    pub publish_many: String,
    /// Argument of `publish`.
    pub argument: String,
    /// Argument of `publish_many`.
    pub arguments: String,
}

impl Names {
    /// The names that are made of a stem.
    pub fn of(stem: &str) -> Self {
        let upper = capitalised(stem);
        Self {
            subscription: stem.to_owned(),
            newest: stem.to_owned(),
            history: format!("{stem}History"),
            publish: format!("publish{upper}"),
            publish_many: format!("publishMany{upper}"),
            argument: stem.to_owned(),
            arguments: format!("{stem}s"),
        }
    }
}

/// The fields that a stem has in one of the derived types.
pub(super) fn fields(root: Root, stem: &str) -> Vec<String> {
    let Names { subscription, newest, history, publish, publish_many, .. } = Names::of(stem);
    match root {
        Root::Query => vec![newest, history],
        Root::Mutation => vec![publish, publish_many],
        Root::Subscription => vec![subscription],
    }
}

/// The types that are derived from an object type.
pub(super) fn of_object(name: &str) -> Vec<String> {
    ["Input", "Filter", "Connection", "Edge"].map(|end| format!("{name}{end}")).into()
}

/// The input that tests a value of this type.
pub(super) fn filter(ty: &Type) -> String {
    format!("{}Filter", of_lists(ty))
}

fn of_lists(ty: &Type) -> String {
    match &ty.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(item) => format!("{}List", of_lists(item)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_begin_small() {
        let table = [
            ("Quote", "quote"),
            ("SensorReading", "sensorReading"),
            ("HTTPLog", "httpLog"),
            ("IOTReading", "iotReading"),
            ("URL", "url"),
            ("X", "x"),
            ("ABTest", "abTest"),
            ("V2Quote", "v2Quote"),
            ("HTTP2Log", "http2Log"),
            ("quote", "quote"),
            ("_Quote", "_quote"),
        ];
        for (name, expected) in table {
            assert_eq!(stem(name), expected);
        }
        assert_eq!(capitalised("httpLog"), "HttpLog");
        assert_eq!(fields(Root::Mutation, "quote"), ["publishQuote", "publishManyQuote"]);
    }
}
