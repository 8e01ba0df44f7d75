//! JSON text taken apart one level at a time, so that what lies deeper stays as it was sent.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use async_graphql_value::Value as Literal;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::input::Value;
use super::variables::Variables;
use crate::plan::projection::quoted;

/// The members of an object, in order; of two with one name, both. Empty when it is none.
pub fn object(json: &RawValue) -> Vec<(Cow<'_, str>, &RawValue)> {
    parse_object(json.get()).unwrap_or_default()
}

/// The members of the object that a text is.
pub fn parse_object(text: &str) -> serde_json::Result<Vec<(Cow<'_, str>, &RawValue)>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = Members::deserialize(&mut reader)?;
    reader.end()?;
    Ok(members.0)
}

/// The items of an array; empty when it is none.
pub fn list(json: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(json.get()).unwrap_or_default()
}

/// The text of a string, borrowed when it has no escapes.
pub fn string(json: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(json.get()).ok().map(|text| text.0)
}

/// The JSON text of a literal, with the variables in it put in; those that are absent are null.
pub fn literal_text(literal: &Literal, variables: &Variables<'_>) -> String {
    let mut out = String::new();
    write_literal(literal, variables, &mut out);
    out
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A name. Half of a surrogate pair, which no `str` can hold, has replacement characters in its
/// place: one such name must not make the other members disappear.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Strings are checked for surrogates when they are asked for as such, not as bytes.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_bytes<E>(self, name: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Name(String::from_utf8_lossy(name)))
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        Ok(Name(String::from_utf8_lossy(name).into_owned().into()))
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Name(name), value)) = map.next_entry()? {
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

fn write_literal(literal: &Literal, variables: &Variables<'_>, out: &mut String) {
    match literal {
        Literal::Variable(name) => match variables.get(name) {
            Some(value) => write_value(value, out),
            None => out.push_str("null"),
        },
        Literal::Null | Literal::Binary(_) => out.push_str("null"),
        // Writing to a String cannot fail.
        Literal::Number(number) => drop(write!(out, "{number}")),
        Literal::Boolean(value) => drop(write!(out, "{value}")),
        Literal::String(text) => out.push_str(&quoted(text)),
        Literal::Enum(name) => out.push_str(&quoted(name)),
        Literal::List(items) => {
            write_all(items, ['[', ']'], out, |item, out| write_literal(item, variables, out));
        }
        Literal::Object(fields) => write_all(fields, ['{', '}'], out, |(name, value), out| {
            out.push_str(&quoted(name));
            out.push(':');
            write_literal(value, variables, out);
        }),
    }
}

/// The JSON text of a value.
pub fn write_value(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        // Writing to a String cannot fail.
        Value::Boolean(value) => drop(write!(out, "{value}")),
        Value::Int(number) => drop(write!(out, "{number}")),
        Value::Float(number) => out.push_str(number),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::Json(json) => out.push_str(json.as_str()),
        Value::List(items) => write_all(items, ['[', ']'], out, write_value),
        Value::Object(fields) => write_all(fields, ['{', '}'], out, |(name, value), out| {
            out.push_str(&quoted(name));
            out.push(':');
            write_value(value, out);
        }),
    }
}

fn write_all<T>(
    items: impl IntoIterator<Item = T>,
    [open, close]: [char; 2],
    out: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}
