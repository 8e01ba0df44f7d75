//! Encoded results that stay for a while: who resumes in a storm finds them made.

use std::convert::Infallible;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::feed::{Interned, ProjectionId};
use super::stats::Counter;
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::plan::projection::Encoded;

/// The last results, up to a bound in bytes.
#[derive(Debug)]
pub struct Encodings {
    cache: Cache<Key, Arc<Encoded>, ByBytes>,
}

/// A result is known by its projection, its message's place, and whether that is the snapshot which
/// took the place: a place is taken at most once.
type Key = (ProjectionId, Sequence, bool);

impl Encodings {
    /// None yet, and at most so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        let items = usize::try_from(bytes_max / 256).unwrap_or(usize::MAX);
        Self { cache: Cache::with_weighter(items, bytes_max, ByBytes) }
    }

    /// The result for a message, encoded once for all who ask within a while; `encoded` counts how
    /// often that was.
    pub fn get(&self, interned: &Interned, message: &Message, encoded: &Counter) -> Arc<Encoded> {
        let key = (interned.id, message.cursor.sequence, message.snapshot);
        let encode = || {
            encoded.add(1);
            Ok::<_, Infallible>(Arc::new(interned.projection.encode(message)))
        };
        match self.cache.get_or_insert_with(&key, encode) {
            Ok(encoded) => encoded,
            Err(never) => match never {},
        }
    }
}

/// Encoded results weigh their bytes and what holds them.
#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Encoded>> for ByBytes {
    fn weight(&self, _: &Key, encoded: &Arc<Encoded>) -> u64 {
        const ENTRY: u64 = 128;
        // A compressed form may join it; it is never the longer of the two.
        ENTRY + 2 * encoded.bytes().len() as u64
    }
}
