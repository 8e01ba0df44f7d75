//! A selection set as a flat list of output pieces: message in, bytes of a GraphQL result out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::OnceLock;

use super::tree::Tree;
use crate::message::Message;
use crate::message::cursor::{Cursor, Sequence};

/// What one subscription field's result is made of. Equal selections are equal projections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Projection {
    pieces: Box<[Piece]>,
    cursor: bool,
}

/// One piece of the output, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Piece {
    /// JSON text that is the same for every message: keys, braces, constants.
    Text(Box<str>),
    /// A value of the message.
    Field(Field),
    /// A selection over the payload.
    Payload(Tree),
}

/// The fields of the type `Message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// `topic: String!`
    Topic,
    /// `cursor: Cursor!`
    Cursor,
    /// `previous: Cursor`
    Previous,
    /// `publishedAt: DateTime!`
    PublishedAt,
    /// `key: String`
    Key,
    /// `headers: JSON`
    Headers,
    /// `payload: JSON!`
    Payload,
    /// `snapshot: Boolean!`
    Snapshot,
}

/// A GraphQL result, encoded once and shared by every subscriber of its projection.
#[derive(Debug)]
pub struct Encoded {
    bytes: Box<[u8]>,
    /// Where the member `data` ends: what follows are extensions and the closing brace.
    data_end: usize,
    cursor: Option<Cursor>,
    forms: OnceLock<Box<[OnceLock<Form>; FORMS]>>,
}

/// Another form of a result, if it is better than the plain one.
type Form = Option<Box<[u8]>>;

/// Most other forms of a result.
pub const FORMS: usize = 16;

impl Projection {
    /// The pieces of `{"data":…}` without its last brace; `cursor` adds `extensions.cursor`.
    pub fn new(pieces: impl IntoIterator<Item = Piece>, cursor: bool) -> Self {
        let mut merged: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (merged.last_mut(), piece) {
                (Some(Piece::Text(before)), Piece::Text(text)) => {
                    *before = format!("{before}{text}").into();
                }
                (_, piece) => merged.push(piece),
            }
        }
        Self { pieces: merged.into(), cursor }
    }

    /// The result for this message.
    pub fn encode(&self, message: &Message) -> Encoded {
        let mut out = Vec::with_capacity(128 + message.payload.as_str().len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Field(field) => field.write(message, &mut out),
                Piece::Payload(tree) => tree.write(message, &mut out),
            }
        }
        let data_end = out.len();
        let cursor = self.cursor.then_some(message.cursor);
        extensions(cursor, 0, &mut out);
        Encoded { bytes: out.into(), data_end, cursor, forms: OnceLock::new() }
    }
}

impl Encoded {
    /// The whole result object.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The member `data` alone: equal for two messages when nothing selected differs.
    pub fn data(&self) -> &[u8] {
        &self.bytes[..self.data_end]
    }

    /// Another form of the result, such as a compressed one: made once for all who send it. The
    /// maker says `None` where the plain one is better.
    pub fn form(
        &self,
        number: usize,
        make: impl FnOnce(&[u8]) -> Option<Box<[u8]>>,
    ) -> Option<&[u8]> {
        let form = self.forms.get_or_init(Box::default).get(number)?;
        form.get_or_init(|| make(&self.bytes)).as_deref()
    }

    /// Does it tell its position?
    pub fn has_cursor(&self) -> bool {
        self.cursor.is_some()
    }

    /// Appends what follows [`Self::data`] for a subscriber who missed `dropped` messages before it
    /// and goes on at this place.
    pub fn end_for_one(&self, dropped: u64, position: Sequence, out: &mut Vec<u8>) {
        let cursor = self.cursor.map(|own| Cursor { sequence: position, ..own });
        extensions(cursor, dropped, out);
    }
}

/// Ends a result object.
fn extensions(cursor: Option<Cursor>, dropped: u64, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = match (cursor, dropped) {
        (None, 0) => out.write_all(b"}"),
        (Some(cursor), 0) => write!(out, r#","extensions":{{"cursor":"{cursor}"}}}}"#),
        (None, dropped) => write!(out, r#","extensions":{{"dropped":{dropped}}}}}"#),
        (Some(cursor), dropped) => {
            write!(out, r#","extensions":{{"cursor":"{cursor}","dropped":{dropped}}}}}"#)
        }
    };
}

impl Field {
    pub(super) fn write(self, message: &Message, out: &mut Vec<u8>) {
        match self {
            Self::Topic => write_string(message.topic.as_str(), out),
            Self::Cursor => write_plain(&message.cursor, out),
            Self::Previous => match &message.previous {
                Some(cursor) => write_plain(cursor, out),
                None => out.extend_from_slice(b"null"),
            },
            Self::PublishedAt => write_plain(&message.published_at, out),
            Self::Key => write_string(message.conflation_key(), out),
            Self::Headers => {
                let headers = message.headers.as_ref().map_or("null", |headers| headers.as_str());
                out.extend_from_slice(headers.as_bytes());
            }
            Self::Payload => out.extend_from_slice(message.payload.as_str().as_bytes()),
            Self::Snapshot => {
                out.extend_from_slice(if message.snapshot { b"true" } else { b"false" });
            }
        }
    }
}

/// A value whose text needs no escapes: cursors and times.
fn write_plain(value: &impl std::fmt::Display, out: &mut Vec<u8>) {
    let _ = write!(out, "\"{value}\"");
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, and a str is always serialisable.
    let _ = serde_json::to_writer(out, text);
}

/// The JSON text of a string, for the constant pieces of a projection.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    // Writing to a String cannot fail.
    let _ = write!(out, "{}", serde_json::Value::from(text));
    out
}
