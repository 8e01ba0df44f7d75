//! The names that are derived from those of types and stems.

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
pub fn capitalised(stem: &str) -> String {
    let mut letters = stem.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string())
        + letters.as_str()
}

/// The fields that a stem has in one of the derived types.
pub(super) fn fields(root: Root, stem: &str) -> Vec<String> {
    match root {
        Root::Query => vec![stem.to_owned(), format!("{stem}History")],
        Root::Mutation => {
            let stem = capitalised(stem);
            vec![format!("publish{stem}"), format!("publishMany{stem}")]
        }
        Root::Subscription => vec![stem.to_owned()],
    }
}

/// The types that are derived from an object type.
pub(super) fn of_object(name: &str) -> Vec<String> {
    ["Input", "Filter", "ListFilter", "Connection", "Edge"].map(|end| format!("{name}{end}")).into()
}

/// The types that are derived from an enum or scalar.
pub(super) fn of_leaf(name: &str) -> Vec<String> {
    ["Filter", "ListFilter"].map(|end| format!("{name}{end}")).into()
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
