//! How large a document may be: measured on its text and on its tree, before it is validated.
//!
//! Fragments are counted where they are spread, each measured once, so that measuring costs no
//! more than reading the document, however often its fragments name each other.

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Pos, Positioned};
use rustc_hash::FxHashMap;

use super::error::{Code, Error};

/// Most of what one document may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Levels of fields; introspection is not counted.
    pub depth: usize,
    /// Selected fields.
    pub complexity: usize,
    /// Fields that have an alias.
    pub aliases: usize,
}

/// The parser recurses: open brackets beyond this could exhaust its stack.
const NESTING_MAX: usize = 64;
/// Parsing takes memory many times the text's size; large values belong into variables.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// Lists of introspection inside each other multiply; tools need two.
const INTROSPECTION_LISTS_MAX: usize = 3;

/// Refuses a text that is too large or too deep to be parsed.
pub fn check_text(text: &str) -> Result<(), Error> {
    let bytes = text.len();
    if bytes > TEXT_BYTES_MAX {
        return Err(exceeded(format!(
            "the document has {bytes} bytes; at most {TEXT_BYTES_MAX} are allowed: send large \
             values as variables"
        )));
    }
    if nesting(text) > NESTING_MAX {
        return Err(exceeded(format!("the document has more than {NESTING_MAX} open brackets")));
    }
    Ok(())
}

/// Refuses a document that asks for too much.
pub fn check(document: &ExecutableDocument, limits: Limits) -> Result<(), Error> {
    let mut measure = Measure { document, limits, fragments: FxHashMap::default() };
    for (name, fragment) in &document.fragments {
        measure.fragment(name, fragment.pos, 0)?;
    }
    for (_, operation) in document.operations.iter() {
        let size = measure.set(&operation.node.selection_set.node, 0)?;
        measure.hold(size, operation.pos)?;
    }
    Ok(())
}

/// What a selection comes to.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    depth: usize,
    fields: usize,
    aliases: usize,
    introspection_lists: usize,
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    limits: Limits,
    /// `None` while it is being measured.
    fragments: FxHashMap<&'a str, Option<Size>>,
}

impl<'a> Measure<'a> {
    fn set(&mut self, set: &'a SelectionSet, nested: usize) -> Result<Size, Error> {
        let mut sum = Size::default();
        for item in &set.items {
            sum = sum.beside(match &item.node {
                Selection::Field(field) => self.field(&field.node, nested + 1)?,
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.node.selection_set.node, nested + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    self.fragment(name, spread.pos, nested + 1)?
                }
            });
        }
        Ok(sum)
    }

    fn field(&mut self, field: &'a Field, nested: usize) -> Result<Size, Error> {
        let inner = self.set(&field.selection_set.node, nested)?;
        let is_list =
            matches!(&*field.name.node, "fields" | "inputFields" | "interfaces" | "possibleTypes");
        let is_introspection = matches!(&*field.name.node, "__schema" | "__type");
        if is_introspection && inner.introspection_lists > INTROSPECTION_LISTS_MAX {
            let message = format!(
                "introspection selects lists inside lists more than {INTROSPECTION_LISTS_MAX} \
                 levels deep"
            );
            return Err(exceeded(message).at(field.name.pos));
        }
        Ok(Size {
            depth: if is_introspection { 0 } else { inner.depth + 1 },
            fields: inner.fields.saturating_add(1),
            aliases: inner.aliases.saturating_add(usize::from(field.alias.is_some())),
            introspection_lists: inner.introspection_lists + usize::from(is_list),
        })
    }

    fn fragment(&mut self, name: &'a str, position: Pos, nested: usize) -> Result<Size, Error> {
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("Cannot spread fragment \"{name}\" within itself.");
                return Err(Error::new(Code::ValidationFailed, message).at(position));
            }
            None if nested > NESTING_MAX => {
                let message = format!("fragments nest more than {NESTING_MAX} levels deep");
                return Err(exceeded(message).at(position));
            }
            None => {}
        }
        // A fragment that does not exist is for the validation to report.
        let Some(fragment): Option<&Positioned<_>> = self.document.fragments.get(name) else {
            return Ok(Size::default());
        };
        self.fragments.insert(name, None);
        let size = self.set(&fragment.node.selection_set.node, nested + 1)?;
        // How deep a fragment may be depends on whether introspection spreads it.
        self.hold(Size { depth: 0, ..size }, fragment.pos)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }

    fn hold(&self, size: Size, position: Pos) -> Result<(), Error> {
        let Limits { depth, complexity, aliases } = self.limits;
        let table = [
            (size.depth, depth, "levels of fields", "query_depth"),
            (size.fields, complexity, "selected fields", "query_complexity"),
            (size.aliases, aliases, "aliases", "query_aliases"),
        ];
        for (is, most, what, limit) in table {
            if is > most {
                let message = format!("{is} {what}; at most {most} are allowed (limits.{limit})");
                return Err(exceeded(message).at(position));
            }
        }
        Ok(())
    }
}

impl Size {
    fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            introspection_lists: self.introspection_lists.max(other.introspection_lists),
        }
    }
}

/// The most brackets that are open at one place, strings and comments aside.
fn nesting(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut open, mut most) = (0, 0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'(' | b'[' => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b')' | b']' => open = open.saturating_sub(1),
            b'#' => at += bytes[at..].iter().take_while(|byte| !b"\r\n".contains(byte)).count(),
            b'"' => at = string_end(bytes, at),
            _ => {}
        }
        at += 1;
    }
    most
}

/// The last byte of the string that begins here.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let is_block = bytes[start..].starts_with(b"\"\"\"");
    let mut at = start + if is_block { 3 } else { 1 };
    while at < bytes.len() {
        match (bytes[at], is_block) {
            (b'\\', true) if bytes[at..].starts_with(b"\\\"\"\"") => at += 3,
            (b'\\', false) => at += 1,
            (b'"', true) if bytes[at..].starts_with(b"\"\"\"") => return at + 2,
            (b'"' | b'\n' | b'\r', false) => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

fn exceeded(message: String) -> Error {
    Error::new(Code::LimitExceeded, message)
}
