//! Payload types as data, and whether the text of a payload fits one: in one pass, without a tree.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::key::Key;
use crate::message::time::Timestamp;

/// A payload type: objects that refer to each other by their places, and the one to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    objects: Box<[ObjectShape]>,
    /// For each object the places of its fields in the order of their names.
    by_name: Box<[Box<[usize]>]>,
    root: ValueShape,
}

/// An object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectShape {
    /// Its fields, in declared order.
    pub fields: Vec<FieldShape>,
    /// Exactly one of the fields has a value (`@oneOf`).
    pub is_one_of: bool,
}

/// A field of an object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldShape {
    /// Its name.
    pub name: Box<str>,
    /// What it holds.
    pub value: ValueShape,
}

/// A type as it is used by a field or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueShape {
    /// Neither null nor missing.
    pub required: bool,
    /// What it is, if it is not null.
    pub kind: Kind,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A scalar or an enum.
    Leaf(Leaf),
    /// The object of this place.
    Object(usize),
    /// A list of these.
    List(Box<ValueShape>),
}

/// What a leaf may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// An integer of 32 bits, written without fraction and exponent.
    Int,
    /// A finite number.
    Float,
    /// A string.
    String,
    /// `true` or `false`.
    Boolean,
    /// A string.
    Id,
    /// A string as [`Timestamp`] displays it.
    DateTime,
    /// One of these strings.
    Enum(Box<[Box<str>]>),
    /// Anything but null.
    Any,
}

/// Where and why a payload does not fit. It holds nothing of the payload but positions in lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path:?}: {reason}")]
pub struct Misfit {
    /// JSON Pointer to the value.
    pub path: String,
    /// What would be right, and what is there.
    pub reason: String,
}

impl Shape {
    /// A type made of these objects; `root` is the place of the payload's own. Every place that is
    /// referred to has to be one of `objects`: what refers to another never fits.
    pub fn new(objects: Vec<ObjectShape>, root: usize) -> Self {
        let by_name = |object: &ObjectShape| {
            let mut places: Vec<usize> = (0..object.fields.len()).collect();
            places.sort_by_key(|place| &object.fields[*place].name);
            places.into()
        };
        Self {
            by_name: objects.iter().map(by_name).collect(),
            objects: objects.into(),
            root: ValueShape { required: true, kind: Kind::Object(root) },
        }
    }

    /// Does the payload, which is valid JSON, fit? Fields may stand in any order; unknown ones do
    /// not matter, missing ones are null.
    pub fn fits(&self, payload: &str) -> Result<(), Misfit> {
        let misfit = RefCell::default();
        let check = Check { shape: self, value: &self.root, misfit: &misfit };
        let verdict = check.deserialize(&mut serde_json::Deserializer::from_str(payload));
        verdict.map(|_| ()).map_err(|_| misfit.into_inner().done())
    }
}

/// What is known of a misfit while the reader returns from it, innermost key first.
#[derive(Debug, Default)]
struct Found {
    keys: Vec<String>,
    reason: Option<String>,
}

impl Found {
    fn done(self) -> Misfit {
        let path = self.keys.iter().rev().fold(String::new(), |mut path, key| {
            path.push('/');
            path.push_str(&key.replace('~', "~0").replace('/', "~1"));
            path
        });
        Misfit { path, reason: self.reason.unwrap_or_else(|| "cannot be read".into()) }
    }
}

/// Reads one value; says whether there is one, which null is not.
#[derive(Debug, Clone, Copy)]
struct Check<'a> {
    shape: &'a Shape,
    value: &'a ValueShape,
    misfit: &'a RefCell<Found>,
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        match &self.value.kind {
            Kind::Leaf(leaf) => {
                let text = <&RawValue>::deserialize(reader)?.get();
                match text {
                    "null" => self.null(),
                    text if leaf.fits(text) => Ok(true),
                    text => self.refuse(kind_of(text)),
                }
            }
            // Also for null: `deserialize_any` tells the visitor what is there.
            Kind::Object(_) | Kind::List(_) => {
                let verdict = reader.deserialize_any(self);
                // A number that no double holds, say, never reaches the visitor.
                verdict.inspect_err(|_| self.note(|| self.expected("something else")))
            }
        }
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted())
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        self.null()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        self.refuse("a boolean")
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        self.refuse("a number")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        self.refuse("a number")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        self.refuse("a number")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<bool, E> {
        self.refuse("a string")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let Kind::List(item) = &self.value.kind else { return self.refuse("a list") };
        let check = Check { value: item, ..self };
        let mut index = 0_usize;
        while items.next_element_seed(check).inspect_err(|_| self.step(&index))?.is_some() {
            index += 1;
        }
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<bool, A::Error> {
        let Kind::Object(place) = self.value.kind else { return self.refuse("an object") };
        let object = self.shape.objects.get(place).zip(self.shape.by_name.get(place));
        let Some((object, by_name)) = object else { return self.refuse("an unknown type") };
        self.object(object, by_name, fields)?;
        Ok(true)
    }
}

impl<'a> Check<'a> {
    fn object<'de, A: MapAccess<'de>>(
        self,
        object: &'a ObjectShape,
        by_name: &[usize],
        mut fields: A,
    ) -> Result<(), A::Error> {
        // Has the field a value? Of a name that is there more than once the last counts, as in
        // trees, but each has to fit.
        let mut present: SmallVec<[bool; 32]> = SmallVec::from_elem(false, object.fields.len());
        let mut next = 0;
        while let Some(place) = fields.next_key_seed(Key(|key: &[u8]| {
            // Fields come in declared order more often than not.
            let in_turn = object.fields.get(next).is_some_and(|f| f.name.as_bytes() == key);
            if in_turn { Some(next) } else { find(object, by_name, key) }
        }))? {
            let Some(place) = place else {
                fields.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &object.fields[place];
            let check = Check { value: &field.value, ..self };
            present[place] =
                fields.next_value_seed(check).inspect_err(|_| self.step(&field.name))?;
            next = place + 1;
        }
        self.missing(object, &present)
    }

    fn missing<E: Error>(self, object: &ObjectShape, present: &[bool]) -> Result<(), E> {
        let absent = |(field, present): &(&FieldShape, &bool)| field.value.required && !**present;
        if let Some((field, _)) = object.fields.iter().zip(present).find(absent) {
            let missing = Check { value: &field.value, ..self };
            let verdict = missing.refuse::<(), E>("nothing");
            self.step(&field.name);
            return verdict;
        }
        match present.iter().filter(|present| **present).count() {
            1 => Ok(()),
            _ if !object.is_one_of => Ok(()),
            count => {
                self.note(|| format!("expected exactly one field with a value, found {count}"));
                Err(E::custom(""))
            }
        }
    }
    fn null<E: Error>(self) -> Result<bool, E> {
        if self.value.required { self.refuse("null") } else { Ok(false) }
    }

    /// The error's own text is never shown: it may quote the payload.
    fn refuse<T, E: Error>(self, found: &str) -> Result<T, E> {
        self.note(|| self.expected(found));
        Err(E::custom(""))
    }

    /// The first note is that of the innermost value.
    fn note(self, reason: impl FnOnce() -> String) {
        self.misfit.borrow_mut().reason.get_or_insert_with(reason);
    }

    /// The reader returns from under this key.
    fn step(self, key: &impl ToString) {
        self.misfit.borrow_mut().keys.push(key.to_string());
    }

    fn expected(self, found: &str) -> String {
        format!("expected {}, found {found}", self.wanted())
    }

    fn wanted(self) -> &'static str {
        match &self.value.kind {
            Kind::Object(_) => "an object",
            Kind::List(_) => "a list",
            Kind::Leaf(leaf) => leaf.wanted(),
        }
    }
}

fn find(object: &ObjectShape, by_name: &[usize], key: &[u8]) -> Option<usize> {
    let found = by_name.binary_search_by(|place| object.fields[*place].name.as_bytes().cmp(key));
    found.ok().map(|at| by_name[at])
}

impl Leaf {
    /// Does this JSON text, which is not `null`, fit?
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Int => text.parse::<i32>().is_ok(),
            Self::Float => is_number(text) && text.parse().is_ok_and(f64::is_finite),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::String | Self::Id => string(text, |_| true),
            Self::DateTime => string(text, is_timestamp),
            Self::Enum(names) => string(text, |text| names.iter().any(|name| **name == *text)),
            Self::Any => true,
        }
    }

    fn wanted(&self) -> &'static str {
        match self {
            Self::Int => "an integer of 32 bits",
            Self::Float => "a finite number",
            Self::Boolean => "a boolean",
            Self::String | Self::Id => "a string",
            Self::DateTime => "a time in UTC with six digits after the point",
            Self::Enum(_) => "a value of the enum",
            Self::Any => "a value",
        }
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Is it a string, and does the test hold of what it says? Half of a surrogate pair is no character.
fn string(text: &str, test: impl FnOnce(&str) -> bool) -> bool {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if !inner.contains('\\') => test(inner),
        Some(_) => serde_json::from_str::<String>(text).is_ok_and(|decoded| test(&decoded)),
        None => false,
    }
}

fn is_timestamp(text: &str) -> bool {
    let mut rest = Rest(text);
    let time = Timestamp::parse(text);
    time.is_ok_and(|time| write!(rest, "{time}").is_ok() && rest.0.is_empty())
}

/// Takes what is written off the beginning of a text; fails where the two differ.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, written: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// What a JSON text is, in words that hold nothing of it.
fn kind_of(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests;
