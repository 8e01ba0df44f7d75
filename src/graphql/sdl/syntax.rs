//! What the parser says of text that is no SDL, in words for its author.
//!
//! The parser goes on after an error, and finds errors that are none. So each definition has one
//! at most: the first.

use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::validation::DiagnosticList;

use super::brackets::{Bracket, unclosed};
use super::fault::Fault;
use super::source::Span;
use super::{nearest, wording};

/// What a definition begins with.
pub(super) const KEYWORDS: [&str; 9] =
    ["type", "enum", "scalar", "extend", "interface", "union", "input", "directive", "schema"];

/// An error of the parser.
pub(super) struct Error<'a> {
    /// What the parser says.
    pub(super) message: String,
    /// What it met, no more than a line of it; nothing at the end of the file.
    pub(super) found: &'a str,
    /// All that stands before, without the blanks between.
    pub(super) before: &'a str,
    /// The keyword of the definition.
    pub(super) keyword: &'a str,
    start: usize,
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
    let starts = definitions(text);
    let read = errors.iter().filter_map(|error| {
        let message = error.error.to_string();
        let message = message.strip_prefix("syntax error: ").unwrap_or(&message).to_owned();
        let span = error.error.location()?;
        let (start, end) = (span.offset(), span.end_offset().min(text.len()));
        let found = text.get(start..end)?.lines().next().unwrap_or_default();
        let before = text.get(..start)?.trim_end();
        let begin = starts.iter().rfind(|begin| **begin <= start).map_or(text, |at| &text[*at..]);
        let keyword = begin.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        Some(Error { message, found, before, keyword, start })
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
    let is_meant = || wording::DECLARES.contains(&word) || nearest::name(word, KEYWORDS).is_some();
    KEYWORDS.contains(&word) || names_something && is_meant()
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
        self.missing_type(file).unwrap_or_else(|| {
            let span = Span { file, start: self.start, end: self.start + self.found.len() };
            let (title, label, help) = wording::of(self);
            Fault::new(title).at(span, label).help(help)
        })
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
                .help(wording::FIELD)
        })
    }
}
