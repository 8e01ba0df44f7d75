//! Runs of results that a shard has at hand: members of a feed get events that came together as
//! one, and those who come back after an interruption what they all have missed.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::flush::WRITE_BYTES;
use super::outbox::{Run, Shared};
use super::results::is_same;
use crate::broker::feed::ProjectionId;
use crate::message::Message;

/// Of a log that is read, fewer messages go one by one.
pub(super) const FEW: usize = 8;

/// Runs at hand; a power of two. One takes the place of another that falls on the same.
const SLOTS: usize = 64;

/// A run ends with the result that reaches so many bytes: one write takes it. With the bound of a
/// kept result and their messages, all runs stay below 16 MiB.
const BYTES_MAX: usize = WRITE_BYTES;

/// Runs by projection and first message.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Option<(ProjectionId, Run)>>);

impl Runs {
    /// A run of the first of these messages, of which there is one at least: the one at hand if it
    /// has as many of them as a new one would, or half of them.
    pub(super) fn get<M: Borrow<Arc<Message>>>(
        &mut self,
        projection: ProjectionId,
        messages: &[M],
        mut result: impl FnMut(&Arc<Message>) -> Rc<Shared>,
    ) -> Run {
        if self.0.is_empty() {
            self.0.resize_with(SLOTS, || None);
        }
        let slot = &mut self.0[slot(projection, messages)];
        if let Some((kept, run)) = slot
            && *kept == projection
            && begins_with(messages, run)
            && (2 * run.len() >= messages.len() || is_full(run))
        {
            return run.clone();
        }
        let mut bytes = 0;
        let is_within = |shared: &Rc<Shared>| {
            let is_within = bytes < BYTES_MAX;
            bytes += weight(shared);
            is_within
        };
        let results = messages.iter().map(|message| result(message.borrow()));
        let run: Run = results.take_while(is_within).collect();
        *slot = (bytes < 2 * BYTES_MAX).then(|| (projection, run.clone()));
        run
    }
}

fn begins_with<M: Borrow<Arc<Message>>>(messages: &[M], run: &Run) -> bool {
    run.len() <= messages.len()
        && run.iter().zip(messages).all(|(shared, message)| {
            let message = message.borrow();
            Arc::ptr_eq(&shared.message, message) || is_same(&shared.message, message)
        })
}

fn is_full(run: &Run) -> bool {
    run.iter().map(weight).sum::<usize>() >= BYTES_MAX
}

fn weight(shared: &Rc<Shared>) -> usize {
    shared.encoded.bytes().len().max(shared.message.payload.as_str().len())
}

fn slot<M: Borrow<Arc<Message>>>(projection: ProjectionId, messages: &[M]) -> usize {
    let first = messages.first().map(|message| message.borrow().cursor.sequence.0);
    let mut hasher = FxHasher::default();
    (projection, first).hash(&mut hasher);
    usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::broker::feed::Feeds;
    use crate::broker::rules::Overflow;
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

    fn result(message: &Arc<Message>) -> Rc<Shared> {
        let projection = Projection::new([Piece::Field(Field::Payload)], false);
        Rc::new(Shared {
            encoded: Arc::new(projection.encode(message)),
            message: message.clone(),
            overflow: Overflow::Disconnect,
        })
    }

    /// The names of two projections.
    fn projections() -> [ProjectionId; 2] {
        let counters = Arc::new(Counters::new(Instant::now()));
        let feeds = Feeds::new(1, Arc::new(Topics::new(Vec::new())), counters);
        let select =
            Select { filters: Filter::parse("t").unwrap().into(), condition: None, typed: false };
        [Field::Payload, Field::Topic].map(|field| {
            let projection = Projection::new([Piece::Field(field)], false);
            feeds.feed(select.clone(), &projection).projection.id
        })
    }

    fn sequences(run: &Run) -> Vec<u64> {
        run.iter().map(|shared| shared.message.cursor.sequence.0).collect()
    }

    #[test]
    fn who_missed_the_same_gets_the_same_run() {
        let [one, other] = projections();
        let mut runs = Runs::default();
        let messages: Vec<_> = (1..=20).map(|sequence| message(sequence, 10)).collect();
        let first = runs.get(one, &messages, result);
        assert_eq!(sequences(&first), (1..=20).collect::<Vec<_>>());
        // Read from the log a second time, they are other copies of the same messages.
        let again: Vec<_> = (1..=20).map(|sequence| message(sequence, 10)).collect();
        assert!(Rc::ptr_eq(&first, &runs.get(one, &again, result)));
        assert!(!Rc::ptr_eq(&first, &runs.get(other, &messages, result)));
    }

    #[test]
    fn a_run_is_what_the_messages_begin_with() {
        let [one, _] = projections();
        let mut runs = Runs::default();
        let all: Vec<_> = (1..=100).map(|sequence| message(sequence, 10)).collect();
        let forty = runs.get(one, &all[..40], result);
        assert_eq!(runs.get(one, &all[..80], result).len(), 40, "half of them are at hand");
        assert_eq!(runs.get(one, &all[..81], result).len(), 81);
        assert_eq!(runs.get(one, &all[..40], result).len(), 40, "not more than were asked for");
        let gap: Vec<_> = all[..20].iter().chain(&all[21..40]).cloned().collect();
        assert_eq!(sequences(&runs.get(one, &gap, result)).len(), 39);
        assert_eq!(forty.len(), 40);
    }

    #[test]
    fn a_run_ends_with_a_write_full() {
        let [one, _] = projections();
        let mut runs = Runs::default();
        let messages: Vec<_> = (1..=200).map(|sequence| message(sequence, 1000)).collect();
        let first = runs.get(one, &messages, result);
        assert!((BYTES_MAX / 1100..BYTES_MAX / 900).contains(&first.len()), "{}", first.len());
        assert!(Rc::ptr_eq(&first, &runs.get(one, &messages, result)), "it is as long as can be");
        let large = [message(300, 2 * BYTES_MAX)];
        let run = runs.get(one, &large, result);
        assert!(!Rc::ptr_eq(&run, &runs.get(one, &large, result)), "too large to be kept");
    }
}
