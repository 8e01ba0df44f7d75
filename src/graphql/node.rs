//! Results before they are bytes: what a resolver found, written as the selection asks.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::Arc;

use super::error::{self, Code, Error, Segment};
use super::select::Selected;
use crate::message::json::Json;
use crate::message::{Message, Receipt};
use crate::plan::projection::quoted;

/// A value of the response.
#[derive(Debug, Clone)]
pub enum Node {
    /// Null.
    Null,
    /// JSON text that goes out as it is.
    Json(Cow<'static, str>),
    /// A `Message`.
    Message(Arc<Message>),
    /// A `Receipt`.
    Receipt(Box<Receipt>),
    /// A list.
    List(Vec<Self>),
    /// Another object: its fields, of which some are selected.
    Object(Vec<(&'static str, Self)>),
    /// A message as an entity of the type that its topic has.
    Entity(Arc<Message>, Arc<str>),
}

/// What became of one field of the root.
#[derive(Debug)]
pub struct Outcome {
    /// The value; `None` when the field failed.
    pub node: Option<Node>,
    /// Errors of the field and below it, their paths relative to it.
    pub errors: Vec<Error>,
}

impl From<Result<Node, Error>> for Outcome {
    fn from(result: Result<Node, Error>) -> Self {
        match result {
            Ok(node) => Self { node: Some(node), errors: Vec::new() },
            Err(error) => Self { node: None, errors: vec![error] },
        }
    }
}

/// A response beyond this is refused: a few aliases could make one of gigabytes.
pub const RESPONSE_BYTES_MAX: usize = 32 << 20;

/// The response: a failed field is null, or all of `data` is where its type forbids null.
pub fn respond(selection: &[Selected], outcomes: Vec<Outcome>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let mut errors = Vec::new();
    let is_null = selection.iter().zip(&outcomes).any(|(selected, outcome)| {
        selected.required && matches!(outcome.node, None | Some(Node::Null))
    });
    out.extend_from_slice(if is_null { br#"{"data":null"# } else { br#"{"data":{"# });
    for (index, (selected, outcome)) in selection.iter().zip(outcomes).enumerate() {
        if !is_null {
            write_key(index, selected, &mut out);
            outcome.node.as_ref().unwrap_or(&Node::Null).write(selected, &mut out);
        }
        let path = || vec![Segment::Key(selected.key.clone())];
        let placed = |error: Error| error.at(selected.position).under(path());
        errors.extend(outcome.errors.into_iter().map(placed));
    }
    if out.len() > RESPONSE_BYTES_MAX {
        let message = "the response would have more than 32 MiB; ask for fewer messages or fields";
        let errors = [Error::new(Code::LimitExceeded, message)];
        return format!(r#"{{"data":null,"errors":{}}}"#, error::to_json(&errors)).into_bytes();
    }
    if !is_null {
        out.push(b'}');
    }
    if !errors.is_empty() {
        out.extend_from_slice(br#","errors":"#);
        out.extend_from_slice(error::to_json(&errors).as_bytes());
    }
    out.push(b'}');
    out
}

impl Node {
    /// A string.
    pub fn text(text: &str) -> Self {
        Self::Json(quoted(text).into())
    }

    /// A cursor or a time: nothing in it needs an escape.
    pub fn plain(value: impl std::fmt::Display) -> Self {
        Self::Json(format!("\"{value}\"").into())
    }

    /// A string or null.
    pub fn optional_text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// A cursor, a time or null.
    pub fn optional_plain(value: Option<impl std::fmt::Display>) -> Self {
        value.map_or(Self::Null, Self::plain)
    }

    /// A JSON scalar or null.
    pub fn optional_json(json: Option<&Json>) -> Self {
        json.map_or(Self::Null, |json| Self::Json(json.as_str().to_owned().into()))
    }

    /// A count: GraphQL's `Int` has 31 bits for it, and a larger one stays at their end.
    pub fn count(count: u64) -> Self {
        Self::Json(i32::try_from(count).unwrap_or(i32::MAX).to_string().into())
    }

    /// A number with a fraction; finite.
    pub fn float(number: f64) -> Self {
        Self::Json(serde_json::Value::from(number).to_string().into())
    }

    /// True or false.
    pub fn flag(flag: bool) -> Self {
        Self::Json(if flag { "true" } else { "false" }.into())
    }

    /// Writes what is selected.
    pub fn write(&self, selected: &Selected, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Json(text) => out.extend_from_slice(text.as_bytes()),
            Self::Message(message) => match &selected.message {
                Some(projection) => out.extend_from_slice(projection.encode(message).data()),
                None => out.extend_from_slice(b"null"),
            },
            Self::Receipt(receipt) => write_object(&selected.selection, out, |field, out| {
                write_receipt(receipt, &field.name, out);
            }),
            Self::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if out.len() > RESPONSE_BYTES_MAX {
                        break;
                    }
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(selected, out);
                }
                out.push(b']');
            }
            Self::Entity(message, ty) => {
                let mut entities = selected.entities.iter();
                match entities.find(|(name, _)| **name == **ty) {
                    Some((_, entity)) => out.extend_from_slice(entity.encode(message).data()),
                    None => out.extend_from_slice(b"null"),
                }
            }
            Self::Object(fields) => write_object(&selected.selection, out, |field, out| {
                match fields.iter().find(|(name, _)| *name == &*field.name) {
                    Some((_, node)) => node.write(field, out),
                    // What no resolver gives is `__typename`.
                    None => out.extend_from_slice(quoted(field.typename()).as_bytes()),
                }
            }),
        }
    }
}

fn write_object(
    selection: &[Selected],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&Selected, &mut Vec<u8>),
) {
    out.push(b'{');
    for (index, field) in selection.iter().enumerate() {
        write_key(index, field, out);
        write(field, out);
    }
    out.push(b'}');
}

fn write_key(index: usize, selected: &Selected, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
    // GraphQL names need no escapes.
    out.push(b'"');
    out.extend_from_slice(selected.key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_receipt(receipt: &Receipt, field: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = match field {
        "topic" => serde_json::to_writer(out, receipt.topic.as_str()).map_err(Into::into),
        "cursor" => write!(out, "\"{}\"", receipt.cursor),
        "publishedAt" => write!(out, "\"{}\"", receipt.published_at),
        "duplicate" => write!(out, "{}", receipt.duplicate),
        _ => out.write_all(br#""Receipt""#),
    };
}
