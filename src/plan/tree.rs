//! A typed selection over the text of payloads: values go out as they are, digits and all.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::key::Key;
use super::projection::Field;
use crate::message::Message;

/// The selection of one object. Equal selections are equal trees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tree {
    steps: Box<[Step]>,
    /// The fields that the steps refer to by their places.
    names: Box<[Box<str>]>,
}

/// One part of the output, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// JSON text that is the same for every message: keys, braces, constants.
    Text(Box<str>),
    /// The field of this name as it is; `null` when it is missing.
    Leaf(Box<str>),
    /// The selection of the object in this field, or of each object in its lists.
    Object(Box<str>, Tree),
    /// A value of the message around the payload.
    Message(Field),
}

/// A part with its field's place in the place of its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Text(Box<str>),
    Leaf(usize),
    Object(usize, Tree),
    Message(Field),
}

/// Values of the selected fields, where they are present.
type Values<'a> = SmallVec<[Option<&'a RawValue>; 16]>;

impl Tree {
    /// The selection that these parts write.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let (mut steps, mut names): (Vec<Step>, Vec<Box<str>>) = (Vec::new(), Vec::new());
        let mut place = |name: Box<str>| {
            names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            })
        };
        for part in parts {
            match (steps.last_mut(), part) {
                (Some(Step::Text(before)), Part::Text(text)) => {
                    *before = format!("{before}{text}").into();
                }
                (_, Part::Text(text)) => steps.push(Step::Text(text)),
                (_, Part::Leaf(name)) => steps.push(Step::Leaf(place(name))),
                (_, Part::Object(name, tree)) => steps.push(Step::Object(place(name), tree)),
                (_, Part::Message(field)) => steps.push(Step::Message(field)),
            }
        }
        Self { steps: steps.into(), names: names.into() }
    }

    /// Writes the selection of a message's payload. Of a payload that is no object all fields are
    /// null.
    pub(super) fn write(&self, message: &Message, out: &mut Vec<u8>) {
        self.write_object(message.payload.as_str(), message, out);
    }

    fn write_object(&self, text: &str, message: &Message, out: &mut Vec<u8>) {
        let values = self.values(text);
        let text_of = |place: usize| values.get(place).copied().flatten().map(RawValue::get);
        for step in &self.steps {
            match step {
                Step::Text(text) => out.extend_from_slice(text.as_bytes()),
                Step::Leaf(place) => {
                    out.extend_from_slice(text_of(*place).unwrap_or("null").as_bytes());
                }
                Step::Object(place, tree) => {
                    tree.write_value(text_of(*place).unwrap_or("null"), message, out);
                }
                Step::Message(field) => field.write(message, out),
            }
        }
    }

    /// An object, or objects in lists, nested as deep as a payload may be; null for all else.
    fn write_value(&self, text: &str, message: &Message, out: &mut Vec<u8>) {
        match text.as_bytes().first() {
            Some(b'{') => self.write_object(text, message, out),
            Some(b'[') => {
                out.push(b'[');
                let items = Items { tree: self, message, out };
                // The text was checked when the message was made.
                let _ = serde_json::Deserializer::from_str(text).deserialize_seq(items);
                out.push(b']');
            }
            _ => out.extend_from_slice(b"null"),
        }
    }

    fn values<'a>(&self, text: &'a str) -> Values<'a> {
        let mut values = SmallVec::from_elem(None, self.names.len());
        // What is no object leaves them empty.
        let fields = Fields { names: &self.names, values: &mut values };
        let _ = serde_json::Deserializer::from_str(text).deserialize_map(fields);
        values
    }
}

/// Takes the values of some fields out of an object.
struct Fields<'t, 'a> {
    names: &'t [Box<str>],
    values: &'t mut Values<'a>,
}

impl<'de> Visitor<'de> for Fields<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let place = |key: &[u8]| self.names.iter().position(|name| name.as_bytes() == key);
        while let Some(place) = fields.next_key_seed(Key(place))? {
            match place {
                // Of a name that is there more than once the last counts, as in trees.
                Some(place) => self.values[place] = Some(fields.next_value()?),
                None => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Writes the selection of each element of a list.
struct Items<'t> {
    tree: &'t Tree,
    message: &'t Message,
    out: &'t mut Vec<u8>,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut comma = false;
        while let Some(item) = items.next_element::<&RawValue>()? {
            if comma {
                self.out.push(b',');
            }
            comma = true;
            self.tree.write_value(item.get(), self.message, self.out);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
