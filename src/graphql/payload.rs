//! Payloads of typed topics: from what was given to the text that is kept.
//!
//! The text is in normal form, so that the generic and the typed view of a message agree: fields
//! in the order of the type, an `ID` as a string, a `DateTime` in UTC to the microsecond.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::{Error, Segment};
use super::fault::Fault;
use super::input::{Coercion, Source, Value};
use super::raw;
use super::typed::TypedTopic;
use super::types::Types;
use super::variables;
use crate::message::json::{DEPTH_MAX, Json};
use crate::message::topic::Topic;

/// A payload that fits its type, and what follows of its values.
#[derive(Debug)]
pub struct Checked {
    /// Where it goes.
    pub topic: Topic,
    /// Its text.
    pub payload: Json,
    /// Its conflation key by the type.
    pub key: Option<Box<str>>,
}

/// The payload that an input object is.
pub fn of_input(typed: &TypedTopic, input: &Value<'_>) -> Result<Checked, Error> {
    let Value::Object(fields) = input else {
        // Coercion lets nothing else pass.
        return Err(Error::payload(&[(Vec::new(), "must be an object".into())], "no payload"));
    };
    let topic = typed.topic(fields).map_err(|fault| refused(typed, vec![fault]))?;
    checked(typed, topic, input, fields)
}

/// The payload that is published to a topic of this type without its name.
pub fn of_json(
    types: &Types,
    typed: &TypedTopic,
    topic: Topic,
    payload: &Json,
) -> Result<Checked, Error> {
    // The text was checked when it was made.
    let raw: &RawValue = serde_json::from_str(payload.as_str()).unwrap_or(RawValue::NULL);
    let mut coercion = Coercion::new(types, variables::NONE);
    let value = coercion.value(&typed.input, Source::Json(raw));
    let faults = coercion.finish();
    if !faults.is_empty() {
        return Err(refused(typed, faults));
    }
    let fields: &[(&str, Value<'_>)] = match &value {
        Value::Object(fields) => fields,
        _ => &[],
    };
    let contradictions = typed.contradictions(&topic, fields);
    if !contradictions.is_empty() {
        return Err(refused(typed, contradictions));
    }
    checked(typed, topic, &value, fields)
}

fn checked(
    typed: &TypedTopic,
    topic: Topic,
    value: &Value<'_>,
    fields: &[(&str, Value<'_>)],
) -> Result<Checked, Error> {
    let key = typed.key(fields).map_err(|fault| refused(typed, vec![fault]))?;
    let mut text = String::new();
    raw::write_value(value, &mut text);
    let payload = Json::of_parts(text).map_err(|_| {
        let message = format!("is nested too deep; {DEPTH_MAX} levels are allowed");
        refused(typed, vec![Fault { path: Vec::new(), message }])
    })?;
    Ok(Checked { topic, payload, key })
}

fn refused(typed: &TypedTopic, faults: Vec<Fault>) -> Error {
    let faults: Vec<(Vec<Segment>, String)> =
        faults.into_iter().map(|fault| (fault.path, fault.message)).collect();
    let sentence = match faults.first() {
        Some((path, message)) if path.is_empty() => message.clone(),
        Some((path, message)) => format!("`{}` {message}", steps(path)),
        None => String::new(),
    };
    Error::payload(&faults, format!("the payload is no `{}`: {sentence}", typed.name))
}

/// As in `legs.0.price`.
fn steps(path: &[Segment]) -> String {
    let steps = path.iter().map(|segment| match segment {
        Segment::Key(key) => Cow::Borrowed(&**key),
        Segment::Index(index) => index.to_string().into(),
    });
    steps.collect::<Vec<_>>().join(".")
}
