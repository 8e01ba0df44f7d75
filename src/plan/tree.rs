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
    fields: Box<[Selected]>,
}

/// A field that is selected at least once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Selected {
    name: Box<str>,
    /// It is written as it is at least once, so its end has to be known.
    is_leaf: bool,
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
        let (mut steps, mut fields): (Vec<Step>, Vec<Selected>) = (Vec::new(), Vec::new());
        let mut place = |name: Box<str>, is_leaf: bool| {
            let known = fields.iter().position(|field| field.name == name);
            let place = known.unwrap_or(fields.len());
            match fields.get_mut(place) {
                Some(field) => field.is_leaf |= is_leaf,
                None => fields.push(Selected { name, is_leaf }),
            }
            place
        };
        for part in parts {
            match (steps.last_mut(), part) {
                (Some(Step::Text(before)), Part::Text(text)) => {
                    *before = format!("{before}{text}").into();
                }
                (_, Part::Text(text)) => steps.push(Step::Text(text)),
                (_, Part::Leaf(name)) => steps.push(Step::Leaf(place(name, true))),
                (_, Part::Object(name, tree)) => steps.push(Step::Object(place(name, false), tree)),
                (_, Part::Message(field)) => steps.push(Step::Message(field)),
            }
        }
        Self { steps: steps.into(), fields: fields.into() }
    }

    /// Writes the selection of a message's payload. Of a payload that is no object all fields are
    /// null.
    pub(super) fn write(&self, message: &Message, out: &mut Vec<u8>) {
        self.write_object(message.payload.as_str(), message, out);
    }

    fn write_object(&self, text: &str, message: &Message, out: &mut Vec<u8>) {
        let mut values = self.no_values();
        if !self.fields.is_empty() {
            self.find(&mut Scan::new(text), &mut values);
        }
        self.write_steps(&values, message, out);
    }

    fn write_steps(&self, values: &Values<'_>, message: &Message, out: &mut Vec<u8>) {
        for step in &self.steps {
            match step {
                Step::Text(text) => out.extend_from_slice(text.as_bytes()),
                Step::Leaf(place) => out.extend_from_slice(value(values, *place).as_bytes()),
                Step::Object(place, tree) => {
                    tree.write_value(value(values, *place), message, out);
                }
                Step::Message(field) => field.write(message, out),
            }
        }
    }

    /// The value that the text begins with: an object, or objects in lists, nested as deep as a
    /// payload may be; null for all else.
    fn write_value(&self, text: &str, message: &Message, out: &mut Vec<u8>) {
        match text.as_bytes().first() {
            Some(b'{') => self.write_object(text, message, out),
            Some(b'[') => self.write_list(&mut Scan::new(text), message, out),
            _ => out.extend_from_slice(NULL.as_bytes()),
        }
    }

    fn write_list(&self, scan: &mut Scan<'_>, message: &Message, out: &mut Vec<u8>) {
        let mut separator = b'[';
        while scan.element() {
            out.push(separator);
            separator = b',';
            match scan.peek() {
                Some(b'{') => {
                    let mut values = self.no_values();
                    if self.find(scan, &mut values) {
                        scan.value();
                        scan.leave();
                    }
                    self.write_steps(&values, message, out);
                }
                Some(b'[') => self.write_list(scan, message, out),
                _ => {
                    scan.value();
                    out.extend_from_slice(NULL.as_bytes());
                }
            }
        }
        out.extend_from_slice(if separator == b'[' { b"[]" } else { b"]" });
    }

    fn no_values<'a>(&self) -> Values<'a> {
        SmallVec::from_elem(None, self.fields.len())
    }

    /// Looks for the fields in the object that begins here. True: all are found, and the value of
    /// the last one begins here. A selection of a few fields does not read on. False: this is
    /// behind the object.
    ///
    /// Of a name that is there more than once the first counts; such a payload fits no type.
    fn find<'a>(&self, scan: &mut Scan<'a>, values: &mut Values<'a>) -> bool {
        let (mut missing, mut next) = (self.fields.len(), 0);
        while let Some(key) = scan.key() {
            let place = key.name().and_then(|name| self.place(&name, next));
            match place.filter(|place| values[*place].is_none()) {
                Some(place) if missing == 1 => {
                    let is_leaf = self.fields[place].is_leaf;
                    let value = if is_leaf { scan.clone().value() } else { scan.rest() };
                    values[place] = Some(value);
                    return true;
                }
                Some(place) => {
                    values[place] = Some(scan.value());
                    (missing, next) = (missing - 1, place + 1);
                }
                None => drop(scan.value()),
            }
        }
        false
    }

    /// Where a field is; `next` is its place when the payload has the order of the selection.
    fn place(&self, name: &str, next: usize) -> Option<usize> {
        let is_it = |field: &Selected| *field.name == *name;
        if self.fields.get(next).is_some_and(is_it) {
            return Some(next);
        }
        self.fields.iter().position(is_it)
    }
}

/// Texts that begin with the values of the fields; those of leaves end with them.
type Values<'a> = SmallVec<[Option<&'a str>; 16]>;

fn value<'a>(values: &Values<'a>, place: usize) -> &'a str {
    values.get(place).copied().flatten().unwrap_or(NULL)
}

/// What is written where there is nothing.
const NULL: &str = "null";

#[cfg(test)]
mod tests;
