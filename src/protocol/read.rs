//! What both dialects' messages have in common: an object with `type`, `id` and `payload`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest operation id: four UUIDs, and little beside an operation that waits for its answer.
pub(super) const ID_BYTES_MAX: usize = 256;

/// What a client wants, whatever its dialect calls it.
#[derive(Debug)]
pub(super) enum Input<'a> {
    Init {
        payload: Option<&'a RawValue>,
    },
    Ping {
        payload: Option<&'a RawValue>,
    },
    Pong,
    Start {
        id: Cow<'a, str>,
        request: &'a RawValue,
    },
    /// The client takes its operation for started, so this one and no other has to fail.
    BadStart {
        id: Cow<'a, str>,
        why: Malformed,
    },
    Stop {
        id: Cow<'a, str>,
    },
    Terminate,
}

/// The message is none of the dialect's; the text becomes the reason of a close frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the message is not valid JSON: {0}")]
    NotJson(String),
    #[error("the message must be a JSON object with a type")]
    NotAnObject,
    #[error("the message has no type")]
    NoType,
    #[error("the type of a message must be a string")]
    TypeNotText,
    #[error("no message from a client has the type {0:?}")]
    UnknownType(String),
    #[error("a {0} message needs an id")]
    NoId(&'static str),
    #[error("the id of a {0} message must be a non-empty string")]
    IdNotText(&'static str),
    #[error("the id of a {0} message must be at most {ID_BYTES_MAX} bytes long")]
    IdTooLong(&'static str),
    #[error("a {0} message needs an object as its payload")]
    NoPayload(&'static str),
    #[error("the payload of a {0} message must be an object or left out")]
    PayloadNotObject(&'static str),
}

impl Malformed {
    pub(super) fn unknown_type(kind: &str) -> Self {
        // More of it would not fit into a close frame.
        Self::UnknownType(kind.chars().take(40).collect())
    }
}

/// A message whose parts are not looked at yet; `null` counts as left out.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, Malformed> {
        let is_object = text.trim_start().starts_with('{');
        match serde_json::from_str(text) {
            // From an array serde would take the fields by position.
            Ok(envelope) if is_object => Ok(envelope),
            Err(error) if is_object || error.is_syntax() || error.is_eof() => {
                Err(Malformed::NotJson(error.to_string()))
            }
            Ok(_) | Err(_) => Err(Malformed::NotAnObject),
        }
    }

    pub(super) fn kind(&self) -> Result<Cow<'a, str>, Malformed> {
        string(self.kind.ok_or(Malformed::NoType)?).ok_or(Malformed::TypeNotText)
    }

    pub(super) fn id(&self, kind: &'static str) -> Result<Cow<'a, str>, Malformed> {
        let id = self.id.ok_or(Malformed::NoId(kind))?;
        let id = string(id).filter(|id| !id.is_empty()).ok_or(Malformed::IdNotText(kind))?;
        if id.len() > ID_BYTES_MAX { Err(Malformed::IdTooLong(kind)) } else { Ok(id) }
    }

    pub(super) fn object(&self, kind: &'static str) -> Result<&'a RawValue, Malformed> {
        self.payload.filter(|payload| is_object(payload)).ok_or(Malformed::NoPayload(kind))
    }

    pub(super) fn optional_object(
        &self,
        kind: &'static str,
    ) -> Result<Option<&'a RawValue>, Malformed> {
        match self.payload {
            Some(payload) if !is_object(payload) => Err(Malformed::PayloadNotObject(kind)),
            payload => Ok(payload),
        }
    }
}

fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// The string's text, borrowed where it holds no escapes.
fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    let inner = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(value.get()).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}
