//! The words for what the parser says: what was met, what would have fit, and why.

use super::nearest;
use super::syntax::{Error, KEYWORDS};

/// How a field looks.
pub(super) const FIELD: &str = "a field is written `name: Type`, as in `bid: Float!`";
const ARGUMENT: &str = "an argument is written `name: value`, as in `@topic(name: \"news\")`";
const VALUES: &str =
    "the values of an enum are names, one after the other: `enum Side { BUY SELL }`";
const DEFINITION: &str = "a schema folder holds definitions that begin with `type`, `enum`, \
                          `scalar` or `extend`";
/// What declares an object in other languages.
pub(super) const DECLARES: [&str; 7] =
    ["class", "interface", "message", "model", "object", "record", "struct"];

/// Title, label and help of an error.
pub(super) fn of(error: &Error<'_>) -> (String, String, String) {
    let known = error.character().or_else(|| error.literal());
    if let Some((title, label, help)) = known {
        return (title, label.to_owned(), help.to_owned());
    }
    if let Some(help) = error.between() {
        let title = format!("expected a definition, found {}", error.met());
        return (title, "no definition begins so".to_owned(), help);
    }
    let (expected, help) = error.expected();
    let title = format!("expected {expected}, found {}", error.met());
    (title, format!("expected {expected}"), help.to_owned())
}

impl Error<'_> {
    fn met(&self) -> String {
        if self.found.is_empty() {
            "the end of the file".into()
        } else {
            format!("`{}`", self.found)
        }
    }

    /// A character that no token has.
    fn character(&self) -> Option<(String, &'static str, &'static str)> {
        let is_number = self.found.starts_with(|c: char| c.is_ascii_digit());
        if self.message.starts_with("Unterminated spread operator") {
            let help = "a template stands between double quotes, as in `\"quotes.{symbol}\"`";
            return Some(("unexpected `.`".into(), "not allowed here", help));
        }
        self.message.strip_prefix("Unexpected character")?;
        let help = match self.found.chars().next() {
            Some('\'' | '`' | '‘' | '’' | '“' | '”') => {
                "strings stand between double quotes, as in `\"text\"`"
            }
            Some('/') => "a comment begins with `#`",
            Some(';') => "a field ends with its line, without a mark",
            Some('?') => "a type without `!` may be null; there is no mark for it",
            Some('<') => "a list is written `[Type]`",
            _ if is_number && self.before.ends_with(':') => {
                "a value with a unit stands between double quotes, as in `\"10m\"`"
            }
            _ if is_number => "names begin with a letter or `_`",
            _ => "names consist of the letters a to z and A to Z, digits and `_`",
        };
        Some((format!("unexpected `{}`", self.found), "not allowed here", help))
    }

    /// A string or number that is none.
    fn literal(&self) -> Option<(String, &'static str, &'static str)> {
        let (title, label, help) = match self.message.as_str() {
            "unterminated string value" if self.found.starts_with("\"\"\"") => {
                ("a text does not end", "begins here", "close it with `\"\"\"`")
            }
            "unterminated string value" | "unexpected line terminator" => {
                ("a string does not end", "begins here", "close it with `\"` in the same line")
            }
            message if message.contains("escape") => (
                "a string has an escape that there is not",
                "in this string",
                "the escapes are `\\\"`, `\\\\`, `\\/`, `\\b`, `\\f`, `\\n`, `\\r`, `\\t` and \
                 `\\u` with four digits",
            ),
            message if message.contains("limit") => {
                ("this is nested too deeply", "too deep", "take it apart")
            }
            message if message.contains("leading zeroes") => {
                ("a number begins with 0", "not a number", "write it without the zeros")
            }
            "Unexpected EOF in float value" => {
                ("a number does not end", "begins here", "write all of its digits")
            }
            _ => return None,
        };
        Some((title.to_owned(), label, help))
    }

    /// The help where something stands between two definitions.
    fn between(&self) -> Option<String> {
        let is_between = self.message.contains("expected definition")
            || self.message.contains("expected a definition")
            || self.message.contains("OperationDefinition")
            || self.message.contains("Selection");
        if !is_between {
            return None;
        }
        let help = match self.found.chars().next() {
            Some('}' | ')' | ']') => "nothing is open that it could close",
            Some('"') => "a description stands before what it describes",
            Some('=') => "the fields of a type follow its name at once: `type Name { … }`",
            _ if self.found == "extends" => "a type has no parent: repeat the fields",
            _ if self.found == "implements" => "remove it: interfaces are not supported",
            _ if DECLARES.contains(&self.found) => "an object is declared by `type`",
            _ if self.follows_a_directive() => {
                "the arguments of a directive stand between parentheses: `@topic(name: \"news\")`"
            }
            _ => match nearest::name(self.found, KEYWORDS) {
                Some(keyword) => {
                    return Some(format!("a keyword with a similar name exists: `{keyword}`"));
                }
                None => DEFINITION,
            },
        };
        Some(help.to_owned())
    }

    fn follows_a_directive(&self) -> bool {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.before.ends_with(is_name) && self.before.trim_end_matches(is_name).ends_with('@')
    }

    /// What would have fit.
    fn expected(&self) -> (String, &'static str) {
        let expected = self.message.strip_prefix("expected ").unwrap_or(&self.message);
        let expected = expected.split(", got ").next().unwrap_or_default();
        let (expected, help) = match expected {
            "a type" | "a Type" if self.before.ends_with([':', '[']) => ("a type", FIELD),
            "a type" | "a Type" => ("`:` and a type", FIELD),
            "a name" | "a Name" if self.before.ends_with('"') => {
                ("a name", "names stand without quotes")
            }
            "a name" | "a Name" => ("a name", "names consist of letters, digits and `_`"),
            "Field Definition" => ("a field", FIELD),
            "invalid Enum Value" => {
                ("a value", "a value of an enum cannot be named true, false or null")
            }
            "Enum Value Definition" | "Enum Value" => ("a value", VALUES),
            "a valid Value" => ("a value", ARGUMENT),
            "an Argument" => ("an argument", ARGUMENT),
            "R_CURLY" => ("`}`", self.instead_of_a_curly()),
            "R_PAREN" => ("`)`", ARGUMENT),
            "R_BRACK" => ("`]`", "a list is written `[Type]`"),
            "COLON" => ("`:`", ARGUMENT),
            other => return (other.to_lowercase(), DEFINITION),
        };
        (expected.to_owned(), help)
    }

    fn instead_of_a_curly(&self) -> &'static str {
        match self.found {
            _ if self.keyword == "enum" => VALUES,
            "=" => "fields have no default values",
            "!" => "one `!` is enough",
            "|" => {
                "a field has one type; where a value is one of several, declare a type with \
                    `@oneOf`"
            }
            ")" | "]" => "close what is open first",
            _ => FIELD,
        }
    }
}
