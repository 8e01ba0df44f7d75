//! Topics as a tree of tokens: which of them match a filter, and how much they have lost.
//!
//! Every node knows the newest loss anywhere below it, so that a reader of ten thousand topics
//! learns in one step that none of them has lost anything since.

use std::collections::BTreeMap;

use slab::Slab;
use smallvec::SmallVec;

use super::ReadFrom;
use super::topics::Slot;
use crate::message::filter::{Filter, Filters};
use crate::message::topic::Topic;

/// All topics that the engine remembers, and what is left of those it has forgotten.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Slab<Node>,
    /// Of topics whose names are not known: all that is known is that these filters matched them.
    nameless: Option<(Filters, Loss)>,
}

/// A topic's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Leaf(usize);

/// That a message is gone: where it stood, and when it went, counted in losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Loss {
    pub(super) sequence: u64,
    pub(super) moment: u64,
}

/// A reader misses what stood after this place and went after this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) after: u64,
    pub(super) moment: u64,
}

/// Topics found, and at how many more a wildcard may look.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) slots: Vec<Slot>,
    pub(super) looks_left: usize,
}

#[derive(Debug)]
struct Node {
    parent: usize,
    token: Box<str>,
    children: BTreeMap<Box<str>, usize>,
    topic: Option<Slot>,
    /// Head of the log when this node came to be: what was lost here earlier is in `gone` above.
    born: u64,
    /// The newest loss of the topic at this very node.
    own: Loss,
    /// The newest loss of nodes below that are no more.
    gone: Loss,
    /// The newest loss of all that is or was below.
    under: Loss,
}

const ROOT: usize = 0;

impl Tree {
    pub(super) fn new() -> Self {
        let mut nodes = Slab::new();
        nodes.insert(Node::new(ROOT, "", 0));
        Self { nodes, nameless: None }
    }

    /// Takes a topic in; `head` is the newest place of the log.
    pub(super) fn insert(&mut self, topic: &Topic, slot: Slot, head: u64) -> Leaf {
        let mut at = ROOT;
        for token in topic.tokens() {
            let known = self.nodes[at].children.get(token).copied();
            at = known.unwrap_or_else(|| self.grow(at, token, head));
        }
        self.nodes[at].topic = Some(slot);
        Leaf(at)
    }

    fn grow(&mut self, parent: usize, token: &str, head: u64) -> usize {
        let child = self.nodes.insert(Node::new(parent, token, head));
        self.nodes[parent].children.insert(token.into(), child);
        child
    }

    /// Lets a topic go; its losses stay with the nearest node that is left.
    pub(super) fn remove(&mut self, leaf: Leaf) {
        let mut at = leaf.0;
        self.nodes[at].topic = None;
        while at != ROOT && self.nodes[at].is_bare() {
            let node = self.nodes.remove(at);
            let parent = &mut self.nodes[node.parent];
            parent.children.remove(&node.token);
            parent.gone.join(node.own);
            parent.gone.join(node.gone);
            at = node.parent;
        }
    }

    /// Topics that are no more, wherever they were, may have lost anything up to this place, at the
    /// first moment.
    pub(super) fn forget_before(&mut self, sequence: u64) {
        let loss = Loss { sequence, moment: u64::from(sequence > 0) };
        for (_, node) in &mut self.nodes {
            node.gone.join(loss);
            node.under.join(loss);
        }
    }

    /// Topics that these filters match may have lost anything up to this place, at the first
    /// moment.
    pub(super) fn lose_nameless(&mut self, filters: Filters, sequence: u64) {
        self.nameless = Some((filters, Loss { sequence, moment: u64::from(sequence > 0) }));
    }

    /// The filters do not say any more which topics have lost what was lost by them: any of those
    /// that are no more may be one.
    pub(super) fn forget_nameless(&mut self) {
        if let Some((_, loss)) = self.nameless.take() {
            self.forget_before(loss.sequence);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Notes that a topic lost a message.
    pub(super) fn lose(&mut self, leaf: Leaf, loss: Loss) {
        let mut at = leaf.0;
        self.nodes[at].own.join(loss);
        while at != ROOT {
            at = self.nodes[at].parent;
            self.nodes[at].under.join(loss);
        }
    }

    /// Where a read begins; otherwise the earliest place from which one misses nothing. `moment` is
    /// how much the log had forgotten by now, and `is_stale` whether a matching topic has lost
    /// messages after its snapshot.
    pub(super) fn start(
        &self,
        filters: &Filters,
        from: ReadFrom,
        head: u64,
        moment: u64,
        is_stale: impl FnOnce() -> bool,
    ) -> Result<Start, Option<u64>> {
        let start = match from {
            ReadFrom::Snapshot if is_stale() => {
                return Err(self.lost(filters, Start { after: 0, moment: 0 }));
            }
            ReadFrom::Earliest | ReadFrom::Snapshot => Start { after: 0, moment },
            ReadFrom::After(after) => Start { after: after.0, moment: 0 },
            ReadFrom::Rest { after, moment } => Start { after: after.0, moment },
        };
        if start.after > head {
            return Err(Some(head));
        }
        if self.lost(filters, start).is_some() {
            // Who resumes there misses whatever was lost after it, at any moment.
            return Err(self.lost(filters, Start { moment: 0, ..start }));
        }
        Ok(start)
    }

    /// The highest place after the start at which a matching topic has, or may have, lost a
    /// message that the reader misses.
    pub(super) fn lost(&self, filters: &Filters, start: Start) -> Option<u64> {
        let mut highest = start;
        for filter in filters {
            self.raise(ROOT, &tokens(filter), &mut highest);
        }
        if let Some((lost, loss)) = &self.nameless
            && highest.misses(*loss)
            && lost.intersect(filters)
        {
            highest.raise(*loss);
        }
        (highest.after > start.after).then_some(highest.after)
    }

    fn raise(&self, at: usize, tokens: &[&str], highest: &mut Start) {
        let node = &self.nodes[at];
        let Some((&token, rest)) = tokens.split_first() else {
            highest.raise(node.own);
            return;
        };
        if !highest.misses(node.under) {
            return;
        }
        match token {
            // At moment 0 every loss counts, so that one look at the sum is exact.
            ">" if highest.moment == 0 => highest.raise(node.under),
            ">" => {
                highest.raise(node.gone);
                for &child in node.children.values() {
                    highest.raise(self.nodes[child].own);
                    self.raise(child, tokens, highest);
                }
            }
            "*" => {
                highest.raise(node.gone);
                node.children.values().for_each(|&child| self.raise(child, rest, highest));
            }
            literal => match node.children.get(literal) {
                Some(&child) => {
                    let sequence = node.gone.sequence.min(self.nodes[child].born);
                    highest.raise(Loss { sequence, ..node.gone });
                    self.raise(child, rest, highest);
                }
                None => highest.raise(node.gone),
            },
        }
    }

    /// Finds the topics that match; false when there are too many to look at.
    pub(super) fn find(&self, filters: &Filters, search: &mut Search) -> bool {
        let complete = filters.iter().all(|filter| self.find_below(ROOT, &tokens(filter), search));
        search.slots.sort_unstable();
        search.slots.dedup();
        complete
    }

    fn find_below(&self, at: usize, tokens: &[&str], search: &mut Search) -> bool {
        let node = &self.nodes[at];
        let Some((&token, rest)) = tokens.split_first() else {
            search.slots.extend(node.topic);
            return true;
        };
        let mut children = node.children.values();
        match token {
            ">" => children.all(|&child| {
                search.slots.extend(self.nodes[child].topic);
                search.look() && self.find_below(child, tokens, search)
            }),
            "*" => children.all(|&child| search.look() && self.find_below(child, rest, search)),
            literal => match node.children.get(literal) {
                Some(&child) => self.find_below(child, rest, search),
                None => true,
            },
        }
    }
}

impl Search {
    fn look(&mut self) -> bool {
        let may = self.looks_left > 0;
        self.looks_left = self.looks_left.saturating_sub(1);
        may
    }
}

fn tokens(filter: &Filter) -> SmallVec<[&str; 8]> {
    filter.tokens().collect()
}

impl Node {
    fn new(parent: usize, token: &str, born: u64) -> Self {
        let none = Loss::default();
        Self {
            parent,
            token: token.into(),
            children: BTreeMap::new(),
            topic: None,
            born,
            own: none,
            gone: none,
            under: none,
        }
    }

    fn is_bare(&self) -> bool {
        self.topic.is_none() && self.children.is_empty()
    }
}

impl Loss {
    fn join(&mut self, other: Self) {
        self.sequence = self.sequence.max(other.sequence);
        self.moment = self.moment.max(other.moment);
    }
}

impl Start {
    pub(super) fn misses(self, loss: Loss) -> bool {
        loss.sequence > self.after && loss.moment > self.moment
    }

    fn raise(&mut self, loss: Loss) {
        if self.misses(loss) {
            self.after = loss.sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Topics come, lose messages and go; then readers ask.
    #[test]
    fn losses_outlive_their_topics() {
        let mut log = Log { tree: Tree::new(), head: 0, moment: 0 };
        let stays = log.insert("a.stays");
        for (name, upto) in [("a.b.x", 10), ("a.c", 20), ("d.x", 30)] {
            let leaf = log.insert(name);
            log.lose(leaf, upto);
            log.tree.remove(leaf);
        }
        let again = log.insert("a.b.x");
        log.lose(stays, 5);
        let table = [
            (">", 0, 0, Some(30)),
            ("a.>", 0, 0, Some(20)),
            ("a.>", 20, 0, None),
            ("a.*", 0, 0, Some(20)),
            ("*.x", 20, 0, Some(30)),
            ("*.*.x", 0, 0, Some(30)),
            ("d.x", 29, 0, Some(30)),
            ("e", 0, 0, Some(30)),
            // A topic that has been there all the time knows its own losses,
            ("a.stays", 0, 0, Some(5)),
            ("a.stays", 5, 0, None),
            // and so does one that came back.
            ("a.b.x", 0, 0, Some(20)),
            ("a.b.x", 30, 0, None),
            // What went before a reader's moment is not missed.
            (">", 0, 3, Some(5)),
            ("a.>", 0, 3, Some(5)),
            (">", 0, 4, None),
        ];
        for (filter, after, moment, expected) in table {
            let filters = Filters::new([Filter::parse(filter).unwrap()]).unwrap();
            let lost = log.tree.lost(&filters, Start { after, moment });
            assert_eq!(lost, expected, "{filter} after {after} from moment {moment}");
        }
        log.lose(again, 40);
        log.tree.remove(again);
        log.tree.remove(stays);
        assert!(log.tree.is_empty(), "only the root is left");
        assert_eq!(log.tree.nodes[ROOT].gone.sequence, 40);
    }

    struct Log {
        tree: Tree,
        head: u64,
        moment: u64,
    }

    impl Log {
        fn insert(&mut self, name: &str) -> Leaf {
            let topic = Topic::parse(name).unwrap();
            self.tree.insert(&topic, Slot::default(), self.head)
        }

        fn lose(&mut self, leaf: Leaf, sequence: u64) {
            self.moment += 1;
            self.head = self.head.max(sequence);
            self.tree.lose(leaf, Loss { sequence, moment: self.moment });
        }
    }
}
