//! Which of the messages that are read from the log a selection wants.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde_json::Value;

use super::misfits::Misfits;
use super::topics::Topics;
use crate::engine::Accept;
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::plan::Select;

/// Lets a selection's messages through.
#[derive(Clone)]
pub struct Sieve {
    topics: Arc<Topics>,
    misfits: Arc<Misfits>,
    /// Parsed payloads: after an interruption many read the same messages at once.
    trees: Arc<Cache<TreeKey, Arc<Parsed>, ByBytes>>,
}

/// A message's place, and whether it is the snapshot which took that place.
type TreeKey = (Sequence, bool);

/// Bytes of parsed payloads that stay for the next who read them.
const TREES_BYTES: u64 = 16 << 20;

impl Sieve {
    /// A sieve by the types that the topics have at the moment of each message.
    pub fn new(topics: Arc<Topics>, misfits: Arc<Misfits>) -> Self {
        // An object of two short fields weighs about this much.
        let items = usize::try_from(TREES_BYTES / 512).unwrap_or(usize::MAX);
        let trees = Arc::new(Cache::with_weighter(items, TREES_BYTES, ByBytes));
        Self { topics, misfits, trees }
    }

    /// Does the message, whose topic one of the filters matches, fit its type where it has to, and
    /// does the condition hold?
    pub fn passes(&self, select: &Select, message: &Message) -> bool {
        let fits = || self.misfits.fits(self.topics.ty(&message.topic).as_deref(), message);
        let holds = || {
            let condition = select.condition.as_ref();
            condition.is_none_or(|condition| condition.holds(&self.parsed(message).tree))
        };
        (!select.typed || fits()) && holds()
    }

    fn parsed(&self, message: &Message) -> Arc<Parsed> {
        let parse = || {
            let tree = message.payload.to_value();
            Ok::<_, Infallible>(Arc::new(Parsed { bytes: bytes(&tree), tree }))
        };
        let key = (message.cursor.sequence, message.snapshot);
        match self.trees.get_or_insert_with(&key, parse) {
            Ok(parsed) => parsed,
            Err(never) => match never {},
        }
    }

    /// The same as engines take it.
    pub fn accept(&self, select: &Select) -> Accept {
        let (sieve, select) = (self.clone(), select.clone());
        Arc::new(move |message| sieve.passes(&select, message))
    }
}

impl fmt::Debug for Sieve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sieve")
    }
}

/// A parsed payload and what it weighs, which a walk over it has told.
#[derive(Debug)]
struct Parsed {
    tree: Value,
    bytes: u64,
}

/// Parsed payloads weigh their bytes and what holds them.
#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<TreeKey, Arc<Parsed>> for ByBytes {
    fn weight(&self, _: &TreeKey, parsed: &Arc<Parsed>) -> u64 {
        const ENTRY: u64 = 64;
        ENTRY + parsed.bytes
    }
}

/// Bytes of a tree, its own place included.
fn bytes(tree: &Value) -> u64 {
    /// A key, its hash and its place in the index.
    const FIELD: u64 = 64;
    let inner = match tree {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| FIELD + key.len() as u64 + bytes(value)).sum()
        }
    };
    size_of::<Value>() as u64 + inner
}

#[cfg(test)]
mod tests;
