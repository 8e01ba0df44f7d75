//! The arguments of one field: coerced, then read by name.

use std::borrow::Cow;

use super::error::{Code, Error, Segment};
use super::fault::{Fault, Payload};
use super::input::{Coercion, Source, Value};
use super::select::Selected;
use super::types::{Field, Types};
use super::variables::Variables;
use crate::message::cursor::Cursor;
use crate::message::filter::{Filter, Filters};
use crate::message::json::Json;
use crate::message::topic::Topic;

/// Values by name; what was not given and has no default is absent.
#[derive(Debug)]
pub struct Arguments<'a>(Vec<(&'a str, Value<'a>)>);

/// Filters of one field; a client with more interests opens more subscriptions.
const FILTERS_MAX: usize = 1000;

impl<'a> Arguments<'a> {
    /// The arguments that a selected field gives.
    pub fn coerce(
        types: &'a Types,
        field: &'a Field,
        selected: &'a Selected,
        variables: &'a Variables<'a>,
        payload: &Payload,
    ) -> Result<Self, Error> {
        let literals = selected.arguments.iter();
        let given: Vec<_> = literals
            .map(|(name, literal)| (Cow::Borrowed(name.as_str()), Source::Literal(literal)))
            .collect();
        let mut coercion = Coercion::new(types, variables);
        let values = coercion.fields("", &field.arguments, &given);
        let mut errors = coercion.finish().into_iter().peekable();
        let Some(first) = errors.peek() else { return Ok(Self(values)) };
        let name = match first.path.first() {
            Some(Segment::Key(name)) => name.clone(),
            Some(Segment::Index(_)) | None => Box::default(),
        };
        let faults = errors.map(|fault| {
            let sentence = sentence(&fault);
            (fault.path, fault.message, sentence)
        });
        // One field has one error: the payload's, or the first.
        let error = payload.errors(&name, faults.collect()).into_iter().next();
        Err(error.unwrap_or_else(|| Error::argument(&name, "is not valid")))
    }

    /// Nothing given.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// The members of an input object, read as arguments are.
    pub fn of_object(value: &Value<'a>) -> Self {
        match value {
            Value::Object(fields) => Self(fields.clone()),
            _ => Self(Vec::new()),
        }
    }

    /// A value, null included.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All values in the order of their declaration.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    /// A string that is not null.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_text)
    }

    /// A flag; false unless given.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Boolean(true)))
    }

    /// A number that is not null.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            Some(Value::Float(number)) => number.parse().ok(),
            _ => None,
        }
    }

    /// A JSON value that is not null.
    pub fn json(&self, name: &str) -> Option<&Json> {
        match self.get(name) {
            Some(Value::Json(json)) => Some(json),
            _ => None,
        }
    }

    /// The items of a list that is not null.
    pub fn list(&self, name: &str) -> Option<&[Value<'a>]> {
        match self.get(name) {
            Some(Value::List(items)) => Some(items),
            _ => None,
        }
    }

    /// A number of things.
    pub fn count(&self, name: &str) -> Result<Option<u32>, Error> {
        let Some(Value::Int(count)) = self.get(name) else { return Ok(None) };
        let negative = || format!("`{name}` is {count}; it must not be negative");
        u32::try_from(*count).map(Some).map_err(|_| Error::argument(name, negative()))
    }

    /// A topic that must be there.
    pub fn topic(&self, name: &str) -> Result<Topic, Error> {
        let text = self.text(name).unwrap_or_default();
        Topic::parse(text).map_err(|error| Error::topic(text, &error))
    }

    /// A cursor that is not null.
    pub fn cursor(&self, name: &str) -> Result<Option<Cursor>, Error> {
        let cursor = self.text(name).map(Cursor::parse).transpose();
        cursor.map_err(|error| Error::from(error).with("argument", name))
    }

    /// The filters of `topics`.
    pub fn filters(&self) -> Result<Filters, Error> {
        let texts = self.list("topics").unwrap_or_default().iter().filter_map(Value::as_text);
        let filters: Vec<Filter> = texts
            .map(|text| Filter::parse(text).map_err(|error| Error::filter(text, &error)))
            .collect::<Result<_, _>>()?;
        if filters.len() > FILTERS_MAX {
            let message = format!("`topics` has {} filters, over {FILTERS_MAX}", filters.len());
            return Err(Error::new(Code::LimitExceeded, message));
        }
        let empty = || Error::argument("topics", "`topics` is empty; name at least one filter");
        Filters::new(filters).ok_or_else(empty)
    }
}

fn sentence(fault: &Fault) -> String {
    let steps = fault.path.iter().map(|segment| match segment {
        Segment::Key(key) => key.to_string(),
        Segment::Index(index) => index.to_string(),
    });
    let place = steps.collect::<Vec<_>>().join(".");
    format!("the argument `{place}` {}", fault.message)
}
