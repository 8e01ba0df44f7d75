//! What a start reads: topics, ids and replaced messages, but no message.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::super::record::{IdRecord, LogRecord, Remains, TopicId, TopicRecord, key, number};
use super::super::store::{REMAINS, Shared, Snapshot, Space};
use super::super::view::{Effect, View};
use super::super::volatile::fingerprint;
use super::shelf::Shelf;
use super::stock::Stock;
use super::{Book, Round, Stored};
use crate::engine::Bounds;
use crate::engine::ids::{Ids, Used};
use crate::engine::retention::Retention;
use crate::message::cursor::{Cursor, Sequence};

impl Book {
    /// The book and the view of a log that is not in use yet.
    pub(in crate::engine::disk) fn load(
        store: Shared,
        log: LogRecord,
        retention: Retention,
        bounds: Bounds,
    ) -> Stored<(Self, View)> {
        let snapshot = store.snapshot();
        let mut book = Self {
            store,
            log,
            names: HashMap::new(),
            shelves: FxHashMap::default(),
            stock: Stock::default(),
            due: BTreeSet::new(),
            replaced: BTreeMap::new(),
            ids: Ids::new(bounds.idempotency_window, bounds.idempotency_ids_max),
            emptied: Vec::new(),
            following: Vec::new(),
            newest_volatile: log.reserved.upto,
            retention,
            bounds,
            remains: VecDeque::new(),
            round: Round::default(),
        };
        let mut view = View::new(log.epoch, Arc::new(book.store.snapshot()));
        view.head = log.head;
        book.load_topics(&snapshot, &mut view)?;
        book.load_ids(&snapshot)?;
        book.load_replaced(&snapshot, &mut view)?;
        if let Some(bytes) = snapshot.get(Space::State, &key(REMAINS))? {
            book.remains = Remains::decode(&bytes)?.into();
        }
        let topics: Vec<TopicId> = book.shelves.keys().copied().collect();
        for topic in topics {
            book.list_if_idle(topic);
        }
        view.times.note(log.now, log.head);
        view.apply(Vec::new(), &[], book.totals(), snapshot);
        Ok((book, view))
    }

    fn load_topics(&mut self, snapshot: &Snapshot, view: &mut View) -> Stored<()> {
        let mut records: Vec<(TopicId, TopicRecord)> = Vec::new();
        for entry in snapshot.all(Space::Topics) {
            let (key, value) = entry?;
            records.push((number(&key)?, TopicRecord::decode(&value)?));
        }
        for (id, record) in records {
            let TopicRecord { topic, born, previous, lost, standing, span } = record;
            view.recall(Effect::Born(id, topic.clone(), born));
            let terms = self.retention.terms(&topic);
            let mut shelf = Shelf::new(topic.clone(), terms, born);
            (shelf.previous, shelf.lost) = (previous, lost);
            (shelf.standing, shelf.span) = (standing, span);
            view.recall(Effect::Span(id, shelf.shown(), shelf.is_stale()));
            if lost > 0 {
                view.recall(Effect::Lost(id, lost));
            }
            shelf.due = shelf.deadline();
            self.due.extend(shelf.due.map(|time| (time, id)));
            if let Some(span) = shelf.shown() {
                self.stock.begin_with(id, None, Some(span.first));
                self.stock.add(id, span.bytes);
            }
            self.names.insert(topic, id);
            self.shelves.insert(id, shelf);
            // Rules may have changed since: topics follow when the log is in use.
            self.following.push(id);
        }
        let tree = &mut view.topics.tree;
        tree.forget_before(self.log.floor);
        let volatile = self.retention.volatile();
        self.log.reserved.rules = fingerprint(volatile.as_ref());
        if let Some(volatile) = volatile {
            tree.lose_nameless(volatile, self.log.reserved.upto);
        }
        Ok(())
    }

    fn load_ids(&mut self, snapshot: &Snapshot) -> Stored<()> {
        for entry in snapshot.all(Space::Ids) {
            let (key, value) = entry?;
            let IdRecord { topic, published_at, id } = IdRecord::decode(&value)?;
            let sequence = Sequence(number(&key)?);
            let used = Used { cursor: Cursor { epoch: self.log.epoch, sequence }, published_at };
            if let Some(shelf) = self.shelves.get_mut(&topic) {
                shelf.ids.insert(id.clone(), used);
            }
            self.ids.push(topic, id, used);
        }
        Ok(())
    }

    fn load_replaced(&mut self, snapshot: &Snapshot, view: &mut View) -> Stored<()> {
        for entry in snapshot.all(Space::Replaced) {
            let (key, value) = entry?;
            let (sequence, topic) = (number(&key)?, number(&value)?);
            let Some(shelf) = self.shelves.get_mut(&topic) else { continue };
            shelf.replaced.push_back(sequence);
            self.replaced.insert(sequence, topic);
            view.recall(Effect::Replaced(topic, sequence));
        }
        Ok(())
    }
}
