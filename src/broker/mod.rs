//! Topics, feeds and subscriptions: who gets which message, from where on.
//!
//! Comes in: publishes, plans and questions. Goes out: receipts, answers, and for each shard the
//! messages that its members want ([`delivery`]). Knows nothing of: GraphQL, protocols, sockets.

pub mod admission;
pub mod catch_up;
mod change;
pub mod conflate;
pub mod delivery;
pub mod directory;
pub mod encodings;
pub mod feed;
pub mod history;
pub mod misfits;
pub mod presence;
pub mod recent;
pub mod report;
pub mod routes;
pub mod rules;
pub mod sieve;
pub mod stats;
pub mod topics;
pub mod trie;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::engine::{Engine, Error as EngineError, Limit, Publish, ReadFrom, Reply};
use crate::message::cursor::{Cursor, Sequence};
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Receipt};
use crate::plan::projection::{Encoded, Projection};
use crate::plan::{Position, Select};
use admission::Admission;
use catch_up::{CatchUp, Step};
use encodings::Encodings;
use feed::{Feed, Feeds, Join, ShardId};
use presence::Presence;
use rules::{Overflow, TopicRule};
use sieve::Sieve;
use stats::Counters;
use topics::Topics;

/// What a broker is built with.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many shards serve connections, at most [`feed::SHARDS_MAX`].
    pub shards: usize,
    /// Most bytes of one payload.
    pub payload_bytes_max: usize,
    /// Publishes a second of one client; 0 is no limit.
    pub publishes_per_second_max: u32,
    /// Bytes of encoded results that stay for the next who resume.
    pub encodings_bytes: u64,
    /// What applies to which topics.
    pub topic_rules: Vec<TopicRule>,
    /// This node's name.
    pub node: Arc<str>,
}

/// The broker of one node.
pub struct Broker {
    engine: Arc<dyn Engine>,
    feeds: Arc<Feeds>,
    topics: Arc<Topics>,
    sieve: Sieve,
    presence: Arc<Presence>,
    admission: Admission,
    counters: Arc<Counters>,
    encodings: Encodings,
    /// Told by shards that have caught up, to publishers who wait.
    room: Notify,
    started_at: Timestamp,
    payload_bytes_max: AtomicUsize,
    node: Arc<str>,
}

/// Events that may wait for one shard before publishers wait.
const INBOX_EVENTS_MAX: usize = 4096;

/// Messages that a subscription may begin with by `last`: references to them are held until they
/// are written. Enough for the current values of as many topics.
const LAST_MESSAGES_MAX: usize = 100_000;

/// One read of a catch-up: small enough that a shard serves others in between.
const CATCH_UP_READ: Limit = Limit { messages: 256, bytes: 256 << 10 };

/// Why the broker refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A payload beyond the limit.
    #[error("the payload has {bytes} bytes; at most {most} are allowed (limits.payload_bytes)")]
    PayloadTooLarge {
        /// Its bytes.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// More messages asked for than one answer holds.
    #[error("more than {most} messages match; narrow the topics or ask for fewer of each")]
    TooManyMessages {
        /// The limit.
        most: usize,
    },
    /// A cursor beyond the end of the log.
    #[error("this cursor is newer than the log; send cursors back exactly as they were received")]
    FutureCursor,
    /// A topic whose rule refuses presence.
    #[error("clients cannot join this topic: its rule says presence = false")]
    NoPresence,
}

/// What a catch-up brought.
#[derive(Debug)]
pub struct Caught {
    /// Messages to deliver, in log order.
    pub messages: Vec<Arc<Message>>,
    /// Messages before them that newer ones of the same key have replaced.
    pub conflated: u64,
    /// Where it goes on.
    pub next: Next,
}

/// Where a catch-up goes on.
#[derive(Debug)]
pub enum Next {
    /// Read on, when the subscriber has room.
    Read(CatchUp),
    /// The member has joined: events after `from` come by the shard's inbox.
    Live {
        /// The feed.
        feed: feed::FeedId,
        /// The newest place dispatched before the join.
        from: Sequence,
    },
}

impl Broker {
    /// Puts a broker over an engine whose sink is `feeds`.
    pub fn new(engine: Arc<dyn Engine>, base: Base, options: Options, now: Timestamp) -> Self {
        let Base { feeds, topics, counters } = base;
        Self {
            engine,
            feeds,
            sieve: Sieve::new(topics.clone(), counters.misfits.clone()),
            topics,
            presence: Arc::default(),
            admission: Admission::new(options.publishes_per_second_max),
            counters,
            encodings: Encodings::new(options.encodings_bytes),
            room: Notify::new(),
            started_at: now,
            payload_bytes_max: AtomicUsize::new(options.payload_bytes_max),
            node: options.node,
        }
    }

    /// Appends; the order of calls is the order in the log.
    pub fn publish(&self, publish: Publish) -> Reply<Receipt> {
        self.engine.append(publish)
    }

    /// Appends all, with nothing in between.
    pub fn publish_many(
        &self,
        publishes: Vec<Publish>,
    ) -> Reply<Vec<Result<Receipt, EngineError>>> {
        self.engine.append_many(publishes)
    }

    /// Puts a snapshot in the place of everything in its topic up to a message; the order of calls,
    /// of publishes as well, is the order in the log.
    pub fn compact(&self, snapshot: Draft, upto: Cursor) -> Result<Reply<Receipt>, Error> {
        Ok(self.engine.compact(snapshot, self.sequence(upto)?))
    }

    /// Is a payload of so many bytes allowed?
    pub fn check_payload(&self, bytes: usize) -> Result<(), Error> {
        let most = self.payload_bytes_max.load(Ordering::Relaxed);
        if bytes > most { Err(Error::PayloadTooLarge { bytes, most }) } else { Ok(()) }
    }

    /// Waits while a shard is too far behind. Publishers call it before they take more input, so
    /// that no inbox grows beyond its bound by more than what they hold already.
    pub async fn room(&self) {
        while self.is_full() {
            let freed = self.room.notified();
            if self.is_full() {
                // A shard may free its inbox between the check and the wait; the time-out only
                // bounds what such a moment costs.
                let _ = tokio::time::timeout(Duration::from_millis(10), freed).await;
            }
        }
    }

    /// Is a shard, or the log, too far behind for more publishes?
    pub fn is_full(&self) -> bool {
        self.engine.is_full()
            || self.feeds.inboxes().iter().any(|inbox| inbox.waiting() >= INBOX_EVENTS_MAX)
    }

    /// A shard has delivered so many events of its inbox.
    pub fn delivered(&self, shard: ShardId, events: usize) {
        let inbox = &self.feeds.inboxes()[shard.0];
        let was_full = inbox.waiting() >= INBOX_EVENTS_MAX;
        inbox.delivered(events);
        if was_full {
            self.room.notify_waiters();
        }
    }

    /// The feed that a subscription with this selection and projection belongs to.
    pub fn feed(&self, select: Select, projection: &Projection) -> Feed {
        self.feeds.feed(select, projection)
    }

    /// Joins live, from the newest place on.
    pub fn join_live(&self, feed: &Feed, shard: ShardId) -> Option<(feed::FeedId, Sequence)> {
        match self.feeds.join(feed, shard, None) {
            Join::Joined { feed, from, .. } => Some((feed, from)),
            Join::Behind => None,
        }
    }

    /// Takes a member of a shard away.
    pub fn leave(&self, feed: feed::FeedId, shard: ShardId) {
        self.feeds.leave(feed, shard);
    }

    /// Begins a subscription that is not live only.
    pub async fn begin(&self, position: Position, select: &Select) -> Result<Caught, Error> {
        let catch_up = match position {
            Position::Live => CatchUp::from(ReadFrom::After(self.engine.head())),
            Position::Earliest => CatchUp::from(ReadFrom::Earliest),
            Position::Snapshot => CatchUp::from(ReadFrom::Snapshot),
            Position::After(cursor) => CatchUp::from(ReadFrom::After(self.sequence(cursor)?)),
            Position::Since(time) => CatchUp::since(time, self.engine.before_time(time).await?),
            Position::Last(count) => return self.begin_with_last(count, select).await,
        };
        Ok(Caught { messages: Vec::new(), conflated: 0, next: Next::Read(catch_up) })
    }

    async fn begin_with_last(&self, count: u32, select: &Select) -> Result<Caught, Error> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let accept = self.sieve.accept(select);
        let batch = self.engine.last(&select.filters, count, accept).await?;
        if batch.messages.len() > LAST_MESSAGES_MAX {
            return Err(Error::TooManyMessages { most: LAST_MESSAGES_MAX });
        }
        let next = Next::Read(CatchUp::from(ReadFrom::After(batch.upto)));
        Ok(Caught { messages: batch.messages, conflated: 0, next })
    }

    /// One step of replay, then live: messages of the log, or the membership with the few that
    /// came since the last step.
    pub async fn catch_up(
        &self,
        mut catch_up: CatchUp,
        feed: &Feed,
        shard: ShardId,
    ) -> Result<Caught, Error> {
        loop {
            match catch_up.next() {
                Step::Join(at) => match self.feeds.join(feed, shard, Some(at)) {
                    Join::Behind => catch_up.behind(),
                    Join::Joined { feed: id, from, mut tail } => {
                        tail.retain(|message| self.sieve.passes(&feed.select, message));
                        let next = Next::Live { feed: id, from };
                        return Ok(Caught { messages: tail, conflated: 0, next });
                    }
                },
                Step::Read(from) => {
                    // A long stretch of the log in which nothing matches must not hold up others.
                    tokio::task::consume_budget().await;
                    match self.engine.read(&feed.select.filters, from, CATCH_UP_READ).await {
                        Ok(batch) => {
                            let conflated = batch.conflated;
                            let passes =
                                |message: &Message| self.sieve.passes(&feed.select, message);
                            let messages = catch_up.read(batch, self.engine.head(), passes);
                            if !messages.is_empty() || conflated > 0 {
                                let next = Next::Read(catch_up);
                                return Ok(Caught { messages, conflated, next });
                            }
                        }
                        Err(EngineError::Expired { .. }) if catch_up.may_begin_anew() => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    /// The result for a message, encoded once for all who ask within a while.
    pub fn encode(&self, feed: &Feed, message: &Message) -> Arc<Encoded> {
        self.encodings.get(&feed.projection, message, &self.counters.encoded)
    }

    /// What happens to messages of this topic when a subscriber is slow.
    pub fn overflow(&self, topic: &Topic) -> Overflow {
        self.topics.overflow(topic)
    }

    /// The queue of a shard.
    pub fn inbox(&self, shard: ShardId) -> Arc<delivery::Inbox> {
        self.feeds.inboxes()[shard.0].clone()
    }

    /// The newest position.
    pub fn head(&self) -> Cursor {
        Cursor { epoch: self.engine.epoch(), sequence: self.engine.head() }
    }

    /// Forgets the messages of a topic.
    pub async fn purge(&self, topic: &Topic) -> Result<u64, Error> {
        Ok(self.engine.purge(topic).await?)
    }

    /// Who is on which topic; `Err` where the topic's rule refuses it.
    pub fn presence(&self, topic: &Topic) -> Result<&Arc<Presence>, Error> {
        if self.topics.has_presence(topic) { Ok(&self.presence) } else { Err(Error::NoPresence) }
    }

    /// How fast clients may publish.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// What is counted.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The engine's name.
    pub fn engine_name(&self) -> &'static str {
        self.engine.name()
    }

    /// Why the log refuses publishes at present.
    pub fn trouble(&self) -> Option<String> {
        self.engine.trouble()
    }

    /// This node's name.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// When the broker was started.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Upkeep, about once a second: forgets what is past its age.
    pub fn sweep(&self, now: Instant) {
        self.engine.sweep();
        self.feeds.sweep();
        self.admission.sweep();
        self.topics.sweep(now, |topic| self.engine.topic(topic).is_some());
    }
}

/// What exists before the engine, because the engine needs its sink.
#[derive(Debug, Clone)]
pub struct Base {
    /// The engine's sink.
    pub feeds: Arc<Feeds>,
    topics: Arc<Topics>,
    counters: Arc<Counters>,
}

impl Base {
    /// No feeds, nothing counted.
    pub fn new(options: &Options, now: Instant) -> Self {
        let topics = Arc::new(Topics::new(options.topic_rules.clone()));
        let counters = Arc::new(Counters::new(now));
        let feeds = Arc::new(Feeds::new(options.shards, topics.clone(), counters.clone()));
        Self { feeds, topics, counters }
    }
}
