//! All topics that the log remembers: by name, in the order of names, and as a tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, Index, IndexMut};

use slab::Slab;

use super::tree::{Leaf, Search, Tree};
use crate::message::filter::{Filter, Filters};
use crate::message::topic::Topic;

/// How much one read looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    /// Topics, before it rather goes along the log.
    pub(super) topics_max: usize,
    /// Entries of the log; it returns no more messages than this, whatever its limit.
    pub(super) entries_max: usize,
}

impl Default for Looks {
    /// In memory publishers wait meanwhile; of the disk a read holds one of few threads.
    fn default() -> Self {
        Self { topics_max: 512, entries_max: 2048 }
    }
}

/// A topic's short name for as long as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Slot(usize);

/// What is remembered of a topic.
pub(super) trait Known {
    fn topic(&self) -> &Topic;
    fn leaf(&self) -> Leaf;
}

/// Topics with what an engine remembers of each.
#[derive(Debug)]
pub(super) struct Topics<T> {
    known: Slab<T>,
    /// Clients choose the names: the hash has to withstand names that were made to collide.
    slots: HashMap<Topic, Slot>,
    names: BTreeMap<Topic, Slot>,
    pub(super) tree: Tree,
}

impl<T: Known> Topics<T> {
    pub(super) fn new() -> Self {
        let (known, slots, names) = (Slab::new(), HashMap::new(), BTreeMap::new());
        Self { known, slots, names, tree: Tree::new() }
    }

    pub(super) fn slot(&self, topic: &Topic) -> Option<Slot> {
        self.slots.get(topic).copied()
    }

    pub(super) fn get(&self, topic: &Topic) -> Option<&T> {
        self.slot(topic).map(|slot| &self[slot])
    }

    /// Begins to remember a topic; `head` is the newest place of the log.
    pub(super) fn insert(
        &mut self,
        topic: &Topic,
        head: u64,
        make: impl FnOnce(Topic, Leaf) -> T,
    ) -> Slot {
        let entry = self.known.vacant_entry();
        let slot = Slot(entry.key());
        let leaf = self.tree.insert(topic, slot, head);
        entry.insert(make(topic.clone(), leaf));
        self.slots.insert(topic.clone(), slot);
        self.names.insert(topic.clone(), slot);
        slot
    }

    /// Remembers nothing of a topic any more but that it has lost messages.
    pub(super) fn remove(&mut self, slot: Slot) {
        let known = self.known.remove(slot.0);
        self.slots.remove(known.topic());
        self.names.remove(known.topic());
        self.tree.remove(known.leaf());
    }

    /// The topic whose name comes after this one; `None`: the first.
    pub(super) fn next(&self, after: Option<&Topic>) -> Option<Slot> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.as_str()));
        self.names.range::<str, _>((start, Bound::Unbounded)).next().map(|(_, &slot)| slot)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let no_names = self.slots.is_empty() && self.names.is_empty();
        self.known.is_empty() && no_names && self.tree.is_empty()
    }

    /// The topics that match, or `None` when that takes too many looks.
    pub(super) fn matching(&self, filters: &Filters, looks_max: usize) -> Option<Vec<Slot>> {
        let mut search = Search { slots: Vec::new(), looks_left: looks_max };
        self.tree.find(filters, &mut search).then_some(search.slots)
    }

    /// Is one of these topics a matching one? Also true where that takes too many looks.
    pub(super) fn any(
        &self,
        filters: &Filters,
        among: &BTreeSet<Slot>,
        topics_max: usize,
        entries_max: usize,
    ) -> bool {
        if let Some(slots) = self.matching(filters, topics_max) {
            return slots.iter().any(|slot| among.contains(slot));
        }
        let mut among = among.iter();
        let mut first = among.by_ref().take(entries_max);
        first.any(|&slot| filters.matches(self[slot].topic())) || among.next().is_some()
    }

    /// Topics whose names may match, in the order of names, beginning after one.
    pub(super) fn named<'a>(
        &'a self,
        matching: &'a Filter,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = &'a T> {
        let prefix = matching.literal_prefix();
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.names
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
            .map(|(_, &slot)| &self[slot])
    }
}

impl<T> Index<Slot> for Topics<T> {
    type Output = T;

    fn index(&self, slot: Slot) -> &T {
        &self.known[slot.0]
    }
}

impl<T> IndexMut<Slot> for Topics<T> {
    fn index_mut(&mut self, slot: Slot) -> &mut T {
        &mut self.known[slot.0]
    }
}
