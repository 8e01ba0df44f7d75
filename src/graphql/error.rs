//! Errors as clients see them: a message, where, and a code that `docs/errors.md` explains.

use async_graphql::parser::Pos;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::broker;
use crate::broker::admission::TooFast;
use crate::broker::presence::LostTrack;
use crate::engine;
use crate::message::cursor::{Cursor, CursorError};
use crate::message::time::TimestampError;
use crate::message::topic::NameError;
use crate::plan::pointer::PointerError;

/// A schema that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not SDL.
    #[error("{position}: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// Where.
        position: Pos,
    },
    /// A name that nothing declares.
    #[error("{position}: `{owner}` uses the type `{name}`, which is not declared")]
    UnknownType {
        /// The type.
        name: String,
        /// What uses it.
        owner: String,
        /// Where.
        position: Pos,
    },
    /// Interfaces have no place in a message.
    #[error("{position}: `{name}` is an interface; declare an object type")]
    Abstract {
        /// The type.
        name: String,
        /// Where.
        position: Pos,
    },
    /// Sound type by type, but not as a whole.
    #[error("the schema is not valid: {0}")]
    Whole(String),
}

/// The codes of `docs/errors.md`: the broker's own, and the customary ones for documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A topic is not valid.
    BadTopic,
    /// A filter is not valid.
    BadFilter,
    /// An argument or variable is not valid.
    BadArgument,
    /// A payload does not fit.
    BadPayload,
    /// Not a cursor.
    BadCursor,
    /// The messages after a cursor are gone.
    CursorExpired,
    /// `ifLast` does not hold.
    Conflict,
    /// A payload over the limit.
    PayloadTooLarge,
    /// No token, or not a good one.
    Unauthenticated,
    /// Not for this client.
    Forbidden,
    /// Over a limit of the configuration.
    LimitExceeded,
    /// Too often.
    RateLimited,
    /// More than can be served now.
    Overloaded,
    /// The engine does not answer.
    Unavailable,
    /// A fault of ours.
    Internal,
    /// The request is not shaped like a GraphQL request.
    BadRequest,
    /// The document is not GraphQL.
    ParseFailed,
    /// The document does not fit the schema.
    ValidationFailed,
    /// The document's hash is not known: the client sends the text.
    PersistedQueryNotFound,
    /// The text is not the one that the hash was made of.
    PersistedQueryMismatch,
}

/// One error of a response.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// What was wrong and what would be right.
    pub message: String,
    /// What a program looks at.
    pub code: Code,
    /// Further extensions.
    pub details: Vec<(&'static str, Value)>,
    /// Places in the document.
    pub locations: Vec<Pos>,
    /// Place in the response.
    pub path: Vec<Segment>,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A response key or an input field.
    Key(Box<str>),
    /// An item of a list.
    Index(usize),
}

impl Code {
    /// As clients see it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadTopic => "BAD_TOPIC",
            Self::BadFilter => "BAD_FILTER",
            Self::BadArgument => "BAD_ARGUMENT",
            Self::BadPayload => "BAD_PAYLOAD",
            Self::BadCursor => "BAD_CURSOR",
            Self::CursorExpired => "CURSOR_EXPIRED",
            Self::Conflict => "CONFLICT",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::RateLimited => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
            Self::BadRequest => "BAD_REQUEST",
            Self::ParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::PersistedQueryNotFound => "PERSISTED_QUERY_NOT_FOUND",
            Self::PersistedQueryMismatch => "PERSISTED_QUERY_HASH_MISMATCH",
        }
    }
}

impl Error {
    /// An error without a place.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let (details, locations, path) = (Vec::new(), Vec::new(), Vec::new());
        Self { message: message.into(), code, details, locations, path }
    }

    /// A wrong argument, with its name in the extensions.
    pub fn argument(name: &str, message: impl Into<String>) -> Self {
        Self::new(Code::BadArgument, message).with("argument", name)
    }

    /// A payload that does not fit: everything that is wrong where inside of it, and the first
    /// of it in a sentence.
    pub fn payload(faults: &[(Vec<Segment>, String)], message: impl Into<String>) -> Self {
        let mut message = message.into();
        if faults.len() > 1 {
            message = format!("{message} (and {} more)", faults.len() - 1);
        }
        // Cannot fail: strings and numbers.
        let json = |path: &[Segment]| serde_json::to_value(path).unwrap_or_default();
        let path = faults.first().map(|(path, _)| json(path));
        let faults = faults
            .iter()
            .map(|(path, message)| serde_json::json!({ "path": json(path), "message": message }));
        let faults: Vec<Value> = faults.collect();
        Self::new(Code::BadPayload, message).with("path", path).with("faults", faults)
    }

    /// Adds an extension.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// Says where in the document.
    #[must_use]
    pub fn at(mut self, position: Pos) -> Self {
        self.locations.push(position);
        self
    }

    /// Says where in the response; a path inside of that which it has goes after it.
    #[must_use]
    pub fn under(mut self, mut path: Vec<Segment>) -> Self {
        path.append(&mut self.path);
        self.path = path;
        self
    }

    /// A topic that a client named.
    pub fn topic(text: &str, error: &NameError) -> Self {
        Self::new(Code::BadTopic, format!("the topic {:?} is not valid: {error}", clip(text)))
    }

    /// A filter that a client named.
    pub fn filter(text: &str, error: &NameError) -> Self {
        Self::new(Code::BadFilter, format!("the filter {:?} is not valid: {error}", clip(text)))
    }

    /// A field for administrators, asked by someone else.
    pub fn forbidden(field: &str) -> Self {
        Self::new(Code::Forbidden, format!("`{field}` is for administrators: admin: true"))
    }
}

impl From<CursorError> for Error {
    fn from(error: CursorError) -> Self {
        Self::new(Code::BadCursor, error.to_string())
    }
}

impl From<TimestampError> for Error {
    fn from(error: TimestampError) -> Self {
        Self::argument("since", error.to_string())
    }
}

impl From<PointerError> for Error {
    fn from(error: PointerError) -> Self {
        Self::argument("where", error.to_string())
    }
}

impl From<TooFast> for Error {
    fn from(error: TooFast) -> Self {
        Self::new(Code::RateLimited, error.to_string()).with("retryAfterMs", error.retry_ms)
    }
}

impl From<LostTrack> for Error {
    fn from(error: LostTrack) -> Self {
        Self::new(Code::Overloaded, error.to_string())
    }
}

impl From<broker::Error> for Error {
    fn from(error: broker::Error) -> Self {
        let message = error.to_string();
        match error {
            broker::Error::Engine(error) => error.into(),
            broker::Error::PayloadTooLarge { .. } => Self::new(Code::PayloadTooLarge, message),
            broker::Error::TooManyMessages { .. } => Self::new(Code::LimitExceeded, message),
            broker::Error::FutureCursor => Self::new(Code::BadCursor, message),
            broker::Error::NoPresence => Self::new(Code::Forbidden, message),
        }
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        let message = error.to_string();
        match error {
            engine::Error::Conflict { last } => {
                Self::new(Code::Conflict, message).with("last", cursor_or_null(last))
            }
            engine::Error::Expired { earliest } => {
                Self::new(Code::CursorExpired, message).with("earliest", cursor_or_null(earliest))
            }
            engine::Error::Overtaken { snapshot, last } => Self::new(Code::Conflict, message)
                .with("last", last.to_string())
                .with("snapshot", snapshot.to_string()),
            engine::Error::NotOfTopic => Self::new(Code::BadCursor, message),
            engine::Error::Unavailable { unknown, .. } => {
                let outcome = if unknown { "unknown" } else { "refused" };
                Self::new(Code::Unavailable, message).with("outcome", outcome)
            }
        }
    }
}

/// A cursor as an extension.
fn cursor_or_null(cursor: Option<Cursor>) -> Value {
    cursor.map_or(Value::Null, |cursor| cursor.to_string().into())
}

/// The JSON array of these errors.
pub fn to_json(errors: &[Error]) -> String {
    // Cannot fail: the keys are strings and nothing in it refuses to be serialised.
    serde_json::to_string(errors).unwrap_or_default()
}

/// A whole response that is nothing but these errors: without `data`, for nothing was executed.
pub fn response(errors: &str) -> Vec<u8> {
    format!(r#"{{"errors":{errors}}}"#).into_bytes()
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message", &self.message)?;
        if !self.locations.is_empty() {
            map.serialize_entry("locations", &self.locations)?;
        }
        if !self.path.is_empty() {
            map.serialize_entry("path", &self.path)?;
        }
        map.serialize_entry("extensions", &Extensions(self))?;
        map.end()
    }
}

struct Extensions<'a>(&'a Error);

impl Serialize for Extensions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", self.0.code.as_str())?;
        for (name, value) in &self.0.details {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Key(key) => serializer.serialize_str(key),
            Self::Index(index) => serializer.serialize_u64(*index as u64),
        }
    }
}
