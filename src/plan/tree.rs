//! A typed selection over the text of payloads: values go out as they are, digits and all.

use smallvec::SmallVec;

use super::projection::Field;
use super::scan::Scan;
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
        self.write_object(&mut Scan::new(message.payload.as_str()), message, out);
    }

    fn write_object(&self, scan: &mut Scan<'_>, message: &Message, out: &mut Vec<u8>) {
        let values = self.values(scan);
        let value = |place: usize| values.get(place).copied().unwrap_or(NULL);
        for step in &self.steps {
            match step {
                Step::Text(text) => out.extend_from_slice(text.as_bytes()),
                Step::Leaf(place) => out.extend_from_slice(value(*place).as_bytes()),
                Step::Object(place, tree) => {
                    tree.write_value(&mut Scan::new(value(*place)), message, out);
                }
                Step::Message(field) => field.write(message, out),
            }
        }
    }

    /// An object, or objects in lists, nested as deep as a payload may be; null for all else.
    fn write_value(&self, scan: &mut Scan<'_>, message: &Message, out: &mut Vec<u8>) {
        match scan.peek() {
            Some(b'{') => self.write_object(scan, message, out),
            Some(b'[') => {
                let mut separator = b'[';
                while scan.element() {
                    out.push(separator);
                    separator = b',';
                    self.write_value(scan, message, out);
                }
                out.extend_from_slice(if separator == b'[' { b"[]" } else { b"]" });
            }
            _ => {
                scan.value();
                out.extend_from_slice(NULL.as_bytes());
            }
        }
    }

    /// The values of the fields, from the object that begins here.
    fn values<'a>(&self, scan: &mut Scan<'a>) -> SmallVec<[&'a str; 16]> {
        let mut values = SmallVec::from_elem(NULL, self.names.len());
        while let Some(key) = scan.key() {
            let value = scan.value();
            let Some(key) = key.name() else { continue };
            if let Some(place) = self.names.iter().position(|name| **name == *key) {
                // Of a name that is there more than once the last counts, as in trees.
                values[place] = value;
            }
        }
        values
    }
}

/// What is written where there is nothing.
const NULL: &str = "null";

#[cfg(test)]
mod tests;
