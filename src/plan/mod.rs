//! A compiled subscription as data: which messages, which bytes, from where, how often.
//!
//! Comes in: what `graphql` compiled. Goes out: verdicts and bytes for the broker's feeds.
//! Knows nothing of: GraphQL documents, engines, feeds, sockets.

pub mod condition;
mod leaf;
pub mod number;
pub mod pointer;
pub mod projection;
mod scan;
pub mod shape;
pub mod tree;

use std::sync::Arc;

use condition::Condition;
use projection::Projection;

use crate::message::cursor::Cursor;
use crate::message::filter::Filters;
use crate::message::time::Timestamp;

/// Everything that a subscription asks for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which messages.
    pub select: Select,
    /// Which bytes of each.
    pub projection: Arc<Projection>,
    /// From where on.
    pub position: Position,
    /// How often.
    pub pace: Pace,
    /// What a typed subscription relies on; `None` for a generic one.
    pub uses: Option<Arc<Uses>>,
}

/// What a typed subscription relies on: it can be served for as long as the types say the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Uses {
    /// The type of its messages.
    pub ty: Box<str>,
    /// The template of the type's topics.
    pub template: Box<str>,
    /// What its selection and its condition use: coordinates such as `Quote.bid` with their types,
    /// such as `Float!`, and the names of types with what they are, such as `a scalar`.
    pub fields: Box<[(Box<str>, Box<str>)]>,
}

/// Which messages: any of the filters matches the topic, the payload fits where it has to, and the
/// condition holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Select {
    /// Topics.
    pub filters: Filters,
    /// Test of the payload.
    pub condition: Option<Arc<Condition>>,
    /// Only messages that fit the type of their topic.
    pub typed: bool,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// With what is published from now on.
    Live,
    /// With what follows this cursor, then live.
    After(Cursor),
    /// With everything still kept, then live.
    Earliest,
    /// With the newest snapshot of every matching topic and what followed it, or else everything
    /// still kept, then live.
    Snapshot,
    /// With what was published at this time or later, then live.
    Since(Timestamp),
    /// With the newest so many of every matching topic, then live.
    Last(u32),
}

/// How often a subscriber wants to hear of one conflation key.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// At most so many messages a second per key, always ending on the newest.
    pub max_per_second: Option<f64>,
    /// Nothing is sent while the selected fields of a key are what they were.
    pub distinct: bool,
}

impl Pace {
    /// True when every message goes out as it comes.
    pub fn is_free(self) -> bool {
        self.max_per_second.is_none() && !self.distinct
    }
}
