//! What the parser says of text that is no SDL, in words for its author.
//!
//! The parser goes on after an error, and finds errors that are none. So each definition has one
//! at most: the first.

use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::validation::DiagnosticList;

use super::brackets::{Bracket, unclosed};
use super::fault::Fault;
use super::nearest;
use super::source::Span;

const KEYWORDS: [&str; 9] =
    ["type", "enum", "scalar", "extend", "interface", "union", "input", "directive", "schema"];
const FIELD: &str = "a field is written `name: Type`, as in `bid: Float!`";
const ARGUMENT: &str = "an argument is written `name: value`, as in `@topic(name: \"news\")`";
const DEFINITION: &str = "a schema folder holds definitions that begin with `type`, `enum`, \
                          `scalar` or `extend`";

/// An error of the parser.
struct Error<'a> {
    message: String,
    start: usize,
    /// What it met, and what stands before.
    found: &'a str,
    before: &'a str,
}

/// The faults of a file.
pub(super) fn faults(file: usize, text: &str, errors: &DiagnosticList) -> Vec<Fault> {
    let starts = definitions(text);
    let mut faults = Vec::new();
    let mut last = None;
    for error in read(text, errors) {
        let chunk = starts.partition_point(|start| *start <= error.start);
        if last == Some(chunk) {
            continue;
        }
        let range = |chunk: usize| {
            let start = if chunk == 0 { 0 } else { starts[chunk - 1] };
            start..starts.get(chunk).copied().unwrap_or(text.len())
        };
        let before = range(chunk.saturating_sub(1));
        let left_open = unclosed(&text[before.clone()]).last().copied();
        let at_end = error.found.is_empty();
        match left_open.filter(|_| chunk > 0 && last != Some(chunk - 1)) {
            Some(bracket) => faults.push(open(file, before.start, bracket)),
            None if at_end => {
                let here = range(chunk);
                let bracket = unclosed(&text[here.clone()]).last().copied();
                let open = bracket.map(|bracket| open(file, here.start, bracket));
                faults.push(open.unwrap_or_else(|| error.fault(file)));
            }
            None => faults.push(error.fault(file)),
        }
        last = Some(chunk);
        if error.swallows_the_rest() {
            break;
        }
    }
    faults
}

/// Errors in the order of the text. A file without a definition is none.
fn read<'a>(text: &'a str, errors: &DiagnosticList) -> Vec<Error<'a>> {
    let read = errors.iter().filter_map(|error| {
        let message = error.error.to_string();
        let message = message.strip_prefix("syntax error: ").unwrap_or(&message).to_owned();
        let span = error.error.location()?;
        let (start, end) = (span.offset(), span.end_offset().min(text.len()));
        let found = text.get(start..end)?.lines().next().unwrap_or_default();
        let before = text.get(..start)?.trim_end();
        Some(Error { message, start, found, before })
    });
    let mut read: Vec<Error<'_>> =
        read.filter(|error| !error.message.starts_with("Unexpected <EOF>")).collect();
    read.sort_by_key(|error| error.start);
    read
}

/// Where definitions begin: lines with a keyword at their very beginning.
fn definitions(text: &str) -> Vec<usize> {
    let lines = text.split_inclusive('\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some((start, line))
    });
    lines.filter(|(_, line)| is_definition(line)).map(|(start, _)| start).collect()
}

/// Does a definition begin with this line, or something that is meant to be one?
fn is_definition(line: &str) -> bool {
    let end = line.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let next = rest.trim_start();
    if next.len() == rest.len() || next.starts_with(':') {
        return false;
    }
    let names_something = next.starts_with(|c: char| c.is_ascii_alphabetic());
    KEYWORDS.contains(&word) || names_something && nearest::name(word, KEYWORDS).is_some()
}

fn open(file: usize, offset: usize, bracket: Bracket) -> Fault {
    let start = offset + bracket.offset;
    let close = bracket.close();
    Fault::new(format!("`{}` is not closed", bracket.open))
        .at(Span { file, start, end: start + 1 }, format!("no `{close}` belongs to it"))
        .help(format!("write `{close}` where it ends"))
}

impl Error<'_> {
    /// Nothing after it was read as it was meant.
    fn swallows_the_rest(&self) -> bool {
        self.message.contains("unterminated") || self.message.contains("limit")
    }

    fn fault(&self, file: usize) -> Fault {
        let span = Span { file, start: self.start, end: self.start + self.found.len() };
        let known = self.character().or_else(|| self.string());
        let known = known.map(|(title, label, help)| (title, label, help.to_owned()));
        let known = known.or_else(|| self.definition());
        if let Some((title, label, help)) = known {
            return Fault::new(title).at(span, label).help(help);
        }
        if let Some(fault) = self.missing_type(file) {
            return fault;
        }
        let (expected, help) = self.expected();
        let found = if self.found.is_empty() {
            "the end of the file".to_owned()
        } else {
            format!("`{}`", self.found)
        };
        let fault = Fault::new(format!("expected {expected}, found {found}"));
        let fault = fault.at(span, format!("expected {expected}"));
        fault.help(help)
    }

    /// `symbol:` and then the next field, whose name the parser takes for the type.
    fn missing_type(&self, file: usize) -> Option<Fault> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let rest = self.before.trim_end_matches(is_name);
        let name = &self.before[rest.len()..];
        let is_missing = self.found == ":" && !name.is_empty() && rest.trim_end().ends_with(':');
        is_missing.then(|| {
            let span = Span { file, start: rest.len(), end: self.before.len() };
            Fault::new(format!("expected a type, found the field `{name}`"))
                .at(span, "the field before it has no type")
                .help(FIELD)
        })
    }

    /// A character that no token has.
    fn character(&self) -> Option<(String, String, &'static str)> {
        self.message.strip_prefix("Unexpected character")?;
        let help = match self.found.chars().next() {
            Some('\'' | '`' | '‘' | '’' | '“' | '”') => {
                "strings stand between double quotes, as in `\"text\"`"
            }
            Some('/') => "a comment begins with `#`",
            Some(';') => "a field ends with its line, without a mark",
            Some('?') => "a type without `!` may be null; there is no mark for it",
            Some('<') => "a list is written `[Type]`",
            _ if self.found.starts_with(|c: char| c.is_ascii_digit()) => {
                "names begin with a letter or `_`"
            }
            _ => "names consist of the letters a to z and A to Z, digits and `_`",
        };
        let title = format!("unexpected `{}`", self.found);
        Some((title, "not allowed here".to_owned(), help))
    }

    fn string(&self) -> Option<(String, String, &'static str)> {
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
        Some((title.to_owned(), label.to_owned(), help))
    }

    /// Something between two definitions.
    fn definition(&self) -> Option<(String, String, String)> {
        let is_between = self.message.contains("definition")
            && !self.message.contains("Definition")
            || self.message.contains("OperationDefinition");
        if !is_between {
            return None;
        }
        let help = match self.found.chars().next() {
            Some('}' | ')' | ']') => "nothing is open that it could close".to_owned(),
            Some('"') => "a description stands before what it describes".to_owned(),
            Some('=') => "the fields of a type follow its name at once: `type Name { … }`".into(),
            _ => match nearest::name(self.found, KEYWORDS) {
                Some(keyword) => format!("a keyword with a similar name exists: `{keyword}`"),
                None => DEFINITION.to_owned(),
            },
        };
        let title = format!("expected a definition, found `{}`", self.found);
        Some((title, "no definition begins so".to_owned(), help))
    }

    /// What would have fit.
    fn expected(&self) -> (String, &'static str) {
        let expected = self.message.strip_prefix("expected ").unwrap_or(&self.message);
        let expected = expected.split(", got ").next().unwrap_or_default();
        let (expected, help) = match expected {
            "a type" | "a Type" if self.before.ends_with([':', '[']) => ("a type", FIELD),
            "a type" | "a Type" => ("`:` and a type", FIELD),
            "a name" | "a Name" => ("a name", "names consist of letters, digits and `_`"),
            "Field Definition" => ("a field", FIELD),
            "Enum Value Definition" | "invalid Enum Value" | "Enum Value" => {
                ("a value", "the values of an enum are names other than true, false and null")
            }
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
            "=" => "fields have no default values",
            "!" => "one `!` is enough",
            ")" | "]" => "close what is open first",
            _ => FIELD,
        }
    }
}
