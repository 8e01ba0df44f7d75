//! Feeds: one per distinct filter, condition and projection; each has its members per shard.
//!
//! [`Feeds`] is the engine's sink. One mutex orders everything that decides who gets a message:
//! dispatch, joining and leaving. Under it there is no IO, no await and no encoding.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::Mutex;
use slab::Slab;
use smallvec::SmallVec;

use super::delivery::{Event, Inbox};
use super::recent::Recent;
use super::routes::Routes;
use super::stats::Counters;
use super::topics::Topics;
use crate::engine::Sink;
use crate::message::Message;
use crate::message::cursor::Sequence;
use crate::message::filter::Filter;
use crate::message::topic::Topic;
use crate::plan::Select;
use crate::plan::projection::Projection;

/// Names a feed that has members. A number is used again only after all members left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId(pub u32);

/// Names a shard, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardId(pub usize);

/// Names a projection for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProjectionId(u64);

/// A projection with its name: equal ones of live feeds are one.
#[derive(Debug)]
pub struct Interned {
    /// Its name.
    pub id: ProjectionId,
    /// Which bytes.
    pub projection: Projection,
}

/// A distinct filter and projection, shared by all subscriptions that ask for the same.
#[derive(Debug)]
pub struct Feed {
    /// Which messages.
    pub select: Select,
    /// Which bytes.
    pub projection: Arc<Interned>,
}

/// All feeds, and the queues of the shards that serve them.
#[derive(Debug)]
pub struct Feeds {
    /// Guards the order of dispatch, joins and leaves, and the tables they share.
    order: Mutex<Order>,
    interned: DashMap<Projection, Weak<Interned>>,
    next_projection: AtomicU64,
    inboxes: Box<[Arc<Inbox>]>,
    topics: Arc<Topics>,
    counters: Arc<Counters>,
}

/// What the order mutex guards.
#[derive(Debug)]
struct Order {
    routes: Routes,
    /// Feeds with members, by their ids.
    feeds: Slab<Routed>,
    ids: rustc_hash::FxHashMap<FeedKey, FeedId>,
    recent: Recent,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FeedKey(Select, ProjectionId);

/// A feed with members.
#[derive(Debug)]
struct Routed {
    key: FeedKey,
    /// How many members each shard has.
    members: SmallVec<[u32; 2]>,
    /// Bit n: shard n has members.
    shards: u64,
}

/// Most shards of one node: a feed's shards are the bits of one word.
pub const SHARDS_MAX: usize = 64;

/// How an attempt to join a feed at a place ended.
#[derive(Debug)]
pub enum Join {
    /// The member gets everything after `from` by its shard's inbox, `tail` included by hand.
    Joined {
        /// The feed's name.
        feed: FeedId,
        /// The newest place dispatched before the join.
        from: Sequence,
        /// Matching messages between the place asked for and `from`.
        tail: Vec<Arc<Message>>,
    },
    /// The place is too far behind: read on from the engine first.
    Behind,
}

impl Feeds {
    /// No feeds yet; the log's newest place is `head`.
    pub fn new(shards: usize, topics: Arc<Topics>, counters: Arc<Counters>) -> Self {
        let shards = shards.clamp(1, SHARDS_MAX);
        Self {
            order: Mutex::new(Order {
                routes: Routes::default(),
                feeds: Slab::new(),
                ids: rustc_hash::FxHashMap::default(),
                recent: Recent::default(),
            }),
            interned: DashMap::new(),
            next_projection: AtomicU64::new(0),
            inboxes: (0..shards).map(|_| Arc::default()).collect(),
            topics,
            counters,
        }
    }

    /// The queues of all shards.
    pub fn inboxes(&self) -> &[Arc<Inbox>] {
        &self.inboxes
    }

    /// The feed of this selection and projection, with or without members so far.
    pub fn feed(&self, select: Select, projection: &Projection) -> Feed {
        Feed { select, projection: self.intern(projection) }
    }

    fn intern(&self, projection: &Projection) -> Arc<Interned> {
        let mut entry = self.interned.entry(projection.clone()).or_default();
        if let Some(interned) = entry.upgrade() {
            return interned;
        }
        let id = ProjectionId(self.next_projection.fetch_add(1, Ordering::Relaxed));
        let interned = Arc::new(Interned { id, projection: projection.clone() });
        *entry = Arc::downgrade(&interned);
        interned
    }

    /// Adds a member that has seen everything up to `at` (`None`: whatever the newest place is).
    pub fn join(&self, feed: &Feed, shard: ShardId, at: Option<Sequence>) -> Join {
        let mut order = self.order.lock();
        let tail = match at.map(|at| order.recent.after(at, &feed.select.filters)) {
            None => Vec::new(),
            Some(Some(tail)) => tail,
            Some(None) => return Join::Behind,
        };
        let from = order.recent.head();
        let id = order.enter(feed, shard, self.inboxes.len());
        Join::Joined { feed: id, from, tail }
    }

    /// Takes a member away.
    pub fn leave(&self, feed: FeedId, shard: ShardId) {
        self.order.lock().leave(feed, shard);
    }

    /// Feeds that have members.
    pub fn count(&self) -> usize {
        self.order.lock().feeds.len()
    }

    /// Projections in use, and some that went out of use since the last sweep.
    pub fn projections(&self) -> usize {
        self.interned.len()
    }

    /// Forgets the projections that no feed uses any more.
    pub fn sweep(&self) {
        self.interned.retain(|_, interned| interned.strong_count() > 0);
    }

    /// Subscriptions whose filters match the topic.
    pub fn subscribers(&self, topic: &Topic) -> u64 {
        let order = self.order.lock();
        let members = |id: FeedId| order.feeds.get(id.index()).map_or(0, Routed::count);
        order.routes.lookup(topic).into_iter().map(members).sum()
    }

    /// Topics that an exact filter of a subscription names and `matching` covers.
    pub fn subscribed_topics(&self, matching: &Filter) -> Vec<Topic> {
        let order = self.order.lock();
        let topics = order.routes.exact_topics(matching.literal_prefix());
        let topics = topics.filter_map(|topic| Topic::parse(topic).ok());
        topics.filter(|topic| matching.matches(topic)).collect()
    }
}

impl Sink for Feeds {
    fn accepted(&self, messages: &[Arc<Message>]) {
        let accepted_at = Instant::now();
        let mut order = self.order.lock();
        for message in messages {
            let topic = self.topics.state(&message.topic, accepted_at);
            topic.rates.published.add(1, accepted_at);
            self.counters.count_published(accepted_at);
            order.recent.push(message.clone());
            let feeds = order.routes.lookup(&message.topic);
            if feeds.is_empty() {
                continue;
            }
            let shards = order.shards(&feeds);
            let feeds = feeds.into_boxed_slice();
            let event = Arc::new(Event::new(message.clone(), feeds, topic, accepted_at));
            for (shard, inbox) in self.inboxes.iter().enumerate() {
                if shards & (1 << shard) != 0 {
                    inbox.push(event.clone());
                }
            }
        }
    }
}

impl Order {
    fn enter(&mut self, feed: &Feed, shard: ShardId, shards: usize) -> FeedId {
        let key = FeedKey(feed.select.clone(), feed.projection.id);
        let id = if let Some(id) = self.ids.get(&key) {
            *id
        } else {
            let members = SmallVec::from_elem(0, shards);
            let routed = Routed { key: key.clone(), members, shards: 0 };
            // A slab index beyond u32 would need 4 billion feeds; connections are bounded below.
            let id = FeedId(u32::try_from(self.feeds.insert(routed)).unwrap_or(u32::MAX));
            self.routes.insert(&feed.select.filters, id);
            self.ids.insert(key, id);
            id
        };
        if let Some(routed) = self.feeds.get_mut(id.index())
            && let Some(members) = routed.members.get_mut(shard.0)
        {
            *members += 1;
            routed.shards |= 1 << shard.0;
        }
        id
    }

    fn leave(&mut self, id: FeedId, shard: ShardId) {
        let Some(routed) = self.feeds.get_mut(id.index()) else { return };
        let Some(members) = routed.members.get_mut(shard.0) else { return };
        *members = members.saturating_sub(1);
        if *members == 0 {
            routed.shards &= !(1 << shard.0);
        }
        if routed.shards == 0 {
            let routed = self.feeds.remove(id.index());
            self.routes.remove(&routed.key.0.filters, id);
            self.ids.remove(&routed.key);
        }
    }

    fn shards(&self, feeds: &[FeedId]) -> u64 {
        let shards = |id: &FeedId| self.feeds.get(id.index()).map_or(0, |routed| routed.shards);
        feeds.iter().map(shards).fold(0, |all, shards| all | shards)
    }
}

impl Routed {
    fn count(&self) -> u64 {
        self.members.iter().copied().map(u64::from).sum()
    }
}

impl FeedId {
    /// Its place in tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
