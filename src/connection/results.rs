//! The results that a shard has at hand: the members of many feeds, subscribers that come back
//! together, and those whose pace lets them go on at last want the same one within a short time.

use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::outbox::Shared;
use crate::broker::feed::ProjectionId;
use crate::broker::rules::Overflow;
use crate::message::Message;
use crate::plan::projection::Encoded;

/// Results at hand; a power of two. One takes the place of another that falls on the same.
const SLOTS: usize = 1024;

/// Larger ones are not kept: with its message a result costs twice its bytes at the most, so that
/// all of them stay below 32 MiB.
const BYTES_MAX: usize = 16 << 10;

/// Results by projection and message.
#[derive(Debug, Default)]
pub(super) struct Results(Vec<Option<Kept>>);

#[derive(Debug)]
struct Kept {
    projection: ProjectionId,
    shared: Rc<Shared>,
}

impl Results {
    /// The result of a message: the one at hand, or a new one.
    pub(super) fn get(
        &mut self,
        projection: ProjectionId,
        message: &Arc<Message>,
        overflow: Overflow,
        encode: impl FnOnce() -> Arc<Encoded>,
    ) -> Rc<Shared> {
        if self.0.is_empty() {
            self.0.resize_with(SLOTS, || None);
        }
        let slot = &mut self.0[slot(projection, message)];
        if let Some(Kept { projection: kept, shared }) = slot
            && *kept == projection
            && is_same(&shared.message, message)
            && shared.overflow == overflow
        {
            return shared.clone();
        }
        let shared = Rc::new(Shared { encoded: encode(), message: message.clone(), overflow });
        let bytes = shared.encoded.bytes().len().max(message.payload.as_str().len());
        *slot = (bytes <= BYTES_MAX).then(|| Kept { projection, shared: shared.clone() });
        shared
    }
}

/// A place of the log is taken at most once by a message and once by a snapshot.
pub(super) fn is_same(left: &Message, right: &Message) -> bool {
    left.cursor == right.cursor && left.snapshot == right.snapshot
}

fn slot(projection: ProjectionId, message: &Message) -> usize {
    let mut hasher = FxHasher::default();
    (projection, message.cursor.sequence.0).hash(&mut hasher);
    usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::broker::feed::Feeds;
    use crate::broker::stats::Counters;
    use crate::broker::topics::Topics;
    use crate::message::cursor::{Cursor, Epoch, Sequence};
    use crate::message::filter::Filter;
    use crate::message::json::Json;
    use crate::message::time::Timestamp;
    use crate::message::topic::Topic;
    use crate::message::{Draft, Place};
    use crate::plan::Select;
    use crate::plan::projection::{Field, Piece, Projection};

    fn message(sequence: u64, bytes: usize) -> Arc<Message> {
        let draft = Draft {
            topic: Topic::parse("t").unwrap(),
            payload: Json::from_value(&"x".repeat(bytes).into()),
            key: None,
            headers: None,
        };
        let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(sequence) };
        let published_at = Timestamp::from_micros(0);
        Arc::new(Message::new(draft, Place { cursor, previous: None, published_at }))
    }

    #[test]
    fn equal_wishes_share_one_result_and_others_do_not() {
        let now = Instant::now();
        let feeds = Feeds::new(1, Arc::new(Topics::new(Vec::new())), Arc::new(Counters::new(now)));
        let select =
            Select { filters: Filter::parse("t").unwrap().into(), condition: None, typed: false };
        let feed =
            |field| feeds.feed(select.clone(), &Projection::new([Piece::Field(field)], false));
        let (payload, topic) = (feed(Field::Payload), feed(Field::Topic));
        let mut results = Results::default();
        let mut get = |feed: &crate::broker::feed::Feed, message: &Arc<Message>, overflow| {
            let interned = &feed.projection;
            let encode = || Arc::new(interned.projection.encode(message));
            results.get(interned.id, message, overflow, encode)
        };
        let (one, policy) = (message(1, 10), Overflow::Disconnect);
        let first = get(&payload, &one, policy);
        // Read from the log a second time, it is another copy of the same message.
        assert!(Rc::ptr_eq(&first, &get(&payload, &message(1, 10), policy)));
        let by_topic = get(&topic, &one, policy);
        assert_ne!(first.encoded.bytes(), by_topic.encoded.bytes());
        assert_eq!(get(&payload, &message(2, 10), policy).message.cursor.sequence.0, 2);
        let snapshot = Message { snapshot: true, ..Arc::into_inner(message(1, 10)).unwrap() };
        assert!(get(&payload, &Arc::new(snapshot), policy).message.snapshot);
        assert_eq!(get(&payload, &one, Overflow::DropOldest).overflow, Overflow::DropOldest);
        let large = message(3, BYTES_MAX);
        assert!(!Rc::ptr_eq(&get(&payload, &large, policy), &get(&payload, &large, policy)));
    }
}
