//! The words that every other folder uses: topic, filter, cursor, message, receipt.
//!
//! Comes in: text from the edge. Goes out: values that are valid by construction.
//! Knows nothing of: engines, GraphQL, sockets, the clock.

pub mod cursor;
pub mod filter;
pub mod json;
pub mod template;
pub mod time;
pub mod topic;
pub mod units;

use cursor::Cursor;
use json::Json;
use time::Timestamp;
use topic::Topic;

/// One accepted message. Immutable, and shared as `Arc<Message>` by the log and all who read it.
#[derive(Debug)]
pub struct Message {
    /// Where it was published.
    pub topic: Topic,
    /// Its place in the log: strictly increasing over all topics.
    pub cursor: Cursor,
    /// Cursor of the message before it in the same topic, kept or not.
    pub previous: Option<Cursor>,
    /// When the engine accepted it; never before the message that precedes it in the log. Of a
    /// snapshot, when it accepted the message whose place it took.
    pub published_at: Timestamp,
    /// Conflation key as published; [`Message::conflation_key`] has the default.
    pub key: Option<Box<str>>,
    /// Headers: a JSON object of strings.
    pub headers: Option<Json>,
    /// The payload, exactly the numbers that were sent.
    pub payload: Json,
    /// True for a snapshot that stands for everything up to its cursor.
    pub snapshot: bool,
}

/// What a message is before the log has given it a place.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Where it goes.
    pub topic: Topic,
    /// The payload.
    pub payload: Json,
    /// Conflation key, if it is not the topic.
    pub key: Option<Box<str>>,
    /// Headers: a JSON object of strings.
    pub headers: Option<Json>,
}

/// The place that the log gave to a message.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its cursor.
    pub cursor: Cursor,
    /// Cursor of the message before it in the topic.
    pub previous: Option<Cursor>,
    /// When it was accepted.
    pub published_at: Timestamp,
}

/// What a publisher gets back: the message is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Where it was published.
    pub topic: Topic,
    /// Its cursor.
    pub cursor: Cursor,
    /// When it was accepted.
    pub published_at: Timestamp,
    /// True when the id had been used within the window: this is the first publish's receipt.
    pub duplicate: bool,
}

impl Message {
    /// The message that a draft becomes once the log has given it a place.
    pub fn new(draft: Draft, place: Place) -> Self {
        Self {
            topic: draft.topic,
            cursor: place.cursor,
            previous: place.previous,
            published_at: place.published_at,
            key: draft.key,
            headers: draft.headers,
            payload: draft.payload,
            snapshot: false,
        }
    }

    /// The same for a draft that stands for everything up to its place.
    pub fn snapshot(draft: Draft, place: Place) -> Self {
        Self { snapshot: true, ..Self::new(draft, place) }
    }

    /// The key under which newer messages replace this one: `key`, or the topic.
    pub fn conflation_key(&self) -> &str {
        self.key.as_deref().unwrap_or(self.topic.as_str())
    }

    /// Bytes that keeping this message costs, its own structure included.
    pub fn cost(&self) -> usize {
        size_of::<Self>()
            + self.topic.as_str().len()
            + self.payload.as_str().len()
            + self.key.as_deref().map_or(0, str::len)
            + self.headers.as_ref().map_or(0, |headers| headers.as_str().len())
    }

    /// The receipt of this message's first publish.
    pub fn receipt(&self) -> Receipt {
        Receipt {
            topic: self.topic.clone(),
            cursor: self.cursor,
            published_at: self.published_at,
            duplicate: false,
        }
    }
}
