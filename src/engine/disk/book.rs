//! The writer's own account of the log: what is on disk and what is about to be. Only the writer's
//! thread has it, so that it may read the disk without holding anybody up but publishers.

mod compact;
mod forget;
mod load;
mod rules;
mod shelf;
mod stock;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use self::shelf::Shelf;
use self::stock::Stock;
use super::record::{
    IdRecord, LogRecord, Remains, Stub, TopicId, TopicRecord, encode_message, index_key, key,
};
use super::store::{Changes, REMAINS, STATE, Shared, Space, StoreError};
use super::view::{Effect, Totals};
use super::volatile::{is_volatile, numbered};
use crate::engine::ids::{Ids, Used};
use crate::engine::retention::Retention;
use crate::engine::{Bounds, Error, IfLast, Publish};
use crate::message::cursor::{Cursor, Sequence};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Message, Place, Receipt};

/// The log as of the newest publish.
pub(super) struct Book {
    store: Shared,
    log: LogRecord,
    names: HashMap<Topic, TopicId>,
    shelves: FxHashMap<TopicId, Shelf>,
    stock: Stock,
    /// For each topic whose messages age, a time before which none of them is past its age.
    due: BTreeSet<(Timestamp, TopicId)>,
    replaced: BTreeMap<u64, TopicId>,
    ids: Ids<TopicId>,
    /// Topics that may have become idle.
    emptied: Vec<TopicId>,
    /// Topics that have yet to follow other rules, the last one first.
    following: Vec<TopicId>,
    /// The newest place of a message that is not for the disk.
    newest_volatile: u64,
    retention: Retention,
    bounds: Bounds,
    /// Forgotten before this round: may go from the disk.
    remains: VecDeque<Remains>,
    round: Round,
}

/// What one round changes.
#[derive(Debug, Default)]
struct Round {
    changes: Changes,
    effects: Vec<Effect>,
    messages: Vec<Arc<Message>>,
    touched: BTreeSet<TopicId>,
    remains: Vec<Remains>,
    /// True when something was taken from the disk that earlier rounds had forgotten.
    is_cleared: bool,
    /// True when the disk has to know of the log as a whole, whatever else changes.
    is_log_changed: bool,
    bytes: usize,
}

/// A round that is ready for the disk.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) changes: Changes,
    pub(super) effects: Vec<Effect>,
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) totals: Totals,
}

/// What became of a publish.
#[derive(Debug)]
pub(super) enum Accepted {
    /// It is in the log.
    New(Receipt),
    /// Its id had been used.
    Before(Receipt),
}

/// A step that may have to read the disk.
pub(super) type Stored<T> = Result<T, StoreError>;

impl Book {
    /// Moves the time on; it never goes back, not even over a restart.
    pub(super) fn tick(&mut self, clock: Timestamp) {
        self.log.now = self.log.now.max(clock);
    }

    pub(super) fn head(&self) -> u64 {
        self.log.head
    }

    /// Bytes of the messages that this round has taken in.
    pub(super) fn round_bytes(&self) -> usize {
        self.round.bytes
    }

    fn cursor(&self, sequence: u64) -> Cursor {
        Cursor { epoch: self.log.epoch, sequence: Sequence(sequence) }
    }

    /// Takes a publish in, or says why not; a refused one leaves nothing behind.
    pub(super) fn append(&mut self, publish: Publish) -> Stored<Result<Accepted, Error>> {
        let Publish { draft, id, if_last } = publish;
        let now = self.log.now;
        self.expire(FORGOTTEN_PER_PUBLISH)?;
        self.expire_ids(FORGOTTEN_PER_PUBLISH);
        let known = self.known(&draft.topic);
        if let (Some(topic), Some(id)) = (known, &id)
            && let Some(used) = self.shelves[&topic].ids.get(&**id)
            && !self.ids.is_over(used.published_at, now)
        {
            let Used { cursor, published_at } = *used;
            let receipt = Receipt { topic: draft.topic, cursor, published_at, duplicate: true };
            return Ok(Ok(Accepted::Before(receipt)));
        }
        if let Some(expected) = if_last
            && let Err(error) = self.check_last(known, expected)
        {
            return Ok(Err(error));
        }
        let topic = known.unwrap_or_else(|| self.begin(&draft.topic));
        // What is past its age goes first: a message that comes later does not stand for it.
        while self.shelf(topic).is_expired(now) {
            self.forget_oldest(topic)?;
        }
        let cursor = self.cursor(self.log.head + 1);
        let previous = Some(self.shelf(topic).previous).filter(|&previous| previous > 0);
        let previous = previous.map(|previous| self.cursor(previous));
        let message = Message::new(draft, Place { cursor, previous, published_at: now });
        if let Some(id) = id {
            self.use_id(topic, id.into(), Used { cursor, published_at: now });
        }
        let receipt = message.receipt();
        self.keep(topic, Arc::new(message));
        self.trim(topic)?;
        Ok(Ok(Accepted::New(receipt)))
    }

    /// Is the topic one that is never written to disk?
    pub(super) fn is_volatile(&self, topic: &Topic) -> bool {
        !self.retention.terms(topic).durable
    }

    /// Has the publish's id been used within its window?
    pub(super) fn is_repeated(&self, publish: &Publish) -> bool {
        let used = self.names.get(&publish.draft.topic).and_then(|topic| {
            let id = publish.id.as_deref()?;
            self.shelves.get(topic)?.ids.get(id)
        });
        used.is_some_and(|used| !self.ids.is_over(used.published_at, self.log.now))
    }

    fn check_last(&self, topic: Option<TopicId>, expected: IfLast) -> Result<(), Error> {
        let now = self.log.now;
        let newest = topic.and_then(|topic| {
            let shelf = &self.shelves[&topic];
            let (newest, newest_at) = shelf.newest_place()?;
            // Age takes the older ones first: where the newest is past it, nothing is kept.
            let is_kept = !shelf.terms.keep.expires(newest_at, now);
            is_kept.then(|| self.cursor(newest))
        });
        let wanted = match expected {
            IfLast::Empty => None,
            IfLast::Cursor(cursor) => Some(cursor),
        };
        if newest == wanted { Ok(()) } else { Err(Error::Conflict { last: newest }) }
    }

    fn begin(&mut self, topic: &Topic) -> TopicId {
        let (terms, born) = (self.retention.terms(topic), self.log.head);
        let id = numbered(self.log.next_topic, terms.durable);
        self.log.next_topic += 1;
        self.names.insert(topic.clone(), id);
        self.shelves.insert(id, Shelf::new(topic.clone(), terms, born));
        self.round.effects.push(Effect::Born(id, topic.clone(), born));
        self.round.touched.insert(id);
        id
    }

    fn use_id(&mut self, topic: TopicId, id: Arc<str>, used: Used) {
        if !is_volatile(topic) {
            let record = IdRecord { topic, published_at: used.published_at, id: Arc::clone(&id) };
            self.round.changes.put(Space::Ids, key(used.cursor.sequence.0), record.encode());
        }
        self.shelf_mut(topic).ids.insert(Arc::clone(&id), used);
        self.ids.push(topic, id, used);
        self.expire_ids(1);
    }

    fn keep(&mut self, topic: TopicId, message: Arc<Message>) {
        let sequence = message.cursor.sequence.0;
        let stub = Stub::of(&message);
        self.log.head = sequence;
        if is_volatile(topic) {
            self.newest_volatile = sequence;
            self.round.is_log_changed |= self.log.reserved.reserve(sequence);
        }
        self.stock.add(topic, stub.cost);
        self.round.bytes += message.cost();
        self.put(&message, topic, &stub);
        self.round.touched.insert(topic);
        self.round.messages.push(message);
        let shelf = self.shelf_mut(topic);
        let was_empty = shelf.first().is_none();
        shelf.push(stub);
        let deadline = shelf.deadline().filter(|_| shelf.due.is_none());
        shelf.due = shelf.due.or(deadline);
        if was_empty {
            self.stock.begin_with(topic, None, Some(sequence));
        }
        self.due.extend(deadline.map(|deadline| (deadline, topic)));
    }

    fn put(&mut self, message: &Message, topic: TopicId, stub: &Stub) {
        let (sequence, changes) = (stub.sequence, &mut self.round.changes);
        changes.put(Space::log(topic), key(sequence), encode_message(message, topic));
        changes.put(Space::index(topic), index_key(topic, sequence), stub.encode());
    }

    /// Ends the round: what it is to write, and what is true once that is written.
    pub(super) fn finish(&mut self) -> Written {
        let mut round = std::mem::take(&mut self.round);
        for &topic in &round.touched {
            let Some(shelf) = self.shelves.get(&topic) else { continue };
            round.effects.push(Effect::Span(topic, shelf.shown(), shelf.is_stale()));
            if !is_volatile(topic) {
                round.changes.put(Space::Topics, key(topic), shelf.record().encode());
            }
        }
        let is_for_disk = |remains: &&Remains| !is_volatile(remains.topic);
        let is_changed = round.is_cleared || round.remains.iter().any(|one| is_for_disk(&one));
        self.remains.extend(round.remains);
        if is_changed {
            let record = Remains::encode(self.remains.iter().filter(is_for_disk));
            round.changes.put(Space::State, key(REMAINS), record);
        }
        if round.is_log_changed || round.changes.are_for_disk() {
            round.changes.put(Space::State, key(STATE), self.log.encode());
        }
        let (changes, effects, messages) = (round.changes, round.effects, round.messages);
        Written { changes, effects, messages, totals: self.totals() }
    }

    pub(super) fn totals(&self) -> Totals {
        let mut remains = FxHashMap::default();
        for left in &self.remains {
            let newest = remains.entry(left.topic).or_default();
            *newest = left.upto.max(*newest);
        }
        Totals {
            head: self.log.head,
            bytes: self.stock.bytes(),
            lowest: self.stock.oldest().map_or(self.log.head + 1, |(first, _)| first),
            due: self.due.first().map(|&(time, _)| time),
            remains: Arc::new(remains),
        }
    }

    /// What is left to write when the log ends: which places were taken, and no more.
    pub(super) fn close(&mut self) -> Changes {
        let mut changes = Changes::default();
        if self.newest_volatile > 0 {
            self.log.reserved.upto = self.newest_volatile;
            changes.put(Space::State, key(STATE), self.log.encode());
        }
        changes
    }

    fn shelf(&self, topic: TopicId) -> &Shelf {
        &self.shelves[&topic]
    }

    #[expect(clippy::expect_used, reason = "numbers in use always have their shelf")]
    fn shelf_mut(&mut self, topic: TopicId) -> &mut Shelf {
        self.shelves.get_mut(&topic).expect("a topic in use has a shelf")
    }
}

impl Shelf {
    fn record(&self) -> TopicRecord {
        TopicRecord {
            topic: self.topic.clone(),
            born: self.born,
            previous: self.previous,
            lost: self.lost,
            standing: self.standing,
            span: self.span,
        }
    }
}

/// How many a publish forgets besides its own work, so that little waits for the next read.
const FORGOTTEN_PER_PUBLISH: usize = 4;
