//! An engine that answers reads late, with what the log was when it was asked.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tidings::engine::memory::Memory;
use tidings::engine::retention::Retention;
use tidings::engine::{
    Accept, Batch, Bounds, Engine, Error as EngineError, Kept, Limit, Publish, ReadFrom, Reply,
};
use tidings::message::cursor::{Epoch, Sequence};
use tidings::message::filter::{Filter, Filters};
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Receipt};
use tokio::sync::oneshot;

/// Reads are done when asked for and answered when the test says so.
pub(crate) struct Late {
    pub(crate) log: Arc<Memory>,
    pub(crate) answers: Arc<Mutex<Vec<Answer>>>,
}

pub(crate) type Answer = (oneshot::Sender<Result<Batch, EngineError>>, Result<Batch, EngineError>);

pub(crate) fn now_or_never<T: Unpin>(mut reply: Reply<T>) -> Result<T, EngineError> {
    match Pin::new(&mut reply).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the memory engine answers at once"),
    }
}

impl Engine for Late {
    fn name(&self) -> &'static str {
        "late"
    }
    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }
    fn head(&self) -> Sequence {
        self.log.head()
    }
    fn append(&self, publish: Publish) -> Reply<Receipt> {
        self.log.append(publish)
    }
    fn append_many(&self, publishes: Vec<Publish>) -> Reply<Vec<Result<Receipt, EngineError>>> {
        self.log.append_many(publishes)
    }
    fn compact(&self, snapshot: Draft, upto: Sequence) -> Reply<Receipt> {
        self.log.compact(snapshot, upto)
    }
    fn read(&self, filters: &Filters, from: ReadFrom, _: Limit) -> Reply<Batch> {
        // Few messages a time: a catch-up takes several steps.
        let limit = Limit { messages: 3, bytes: usize::MAX };
        let result = now_or_never(self.log.read(filters, from, limit));
        let (sender, receiver) = oneshot::channel();
        self.answers.lock().unwrap().push((sender, result));
        Reply::Later(receiver)
    }
    fn read_back(&self, filters: &Filters, before: Option<Sequence>, limit: Limit) -> Reply<Batch> {
        self.log.read_back(filters, before, limit)
    }
    fn before_time(&self, time: Timestamp) -> Reply<Sequence> {
        self.log.before_time(time)
    }
    fn last(&self, filters: &Filters, count: usize, accept: Accept) -> Reply<Batch> {
        self.log.last(filters, count, accept)
    }
    fn topics(&self, matching: &Filter, after: Option<&str>, count: usize) -> Vec<Kept> {
        self.log.topics(matching, after, count)
    }
    fn topic(&self, topic: &Topic) -> Option<Kept> {
        self.log.topic(topic)
    }
    fn purge(&self, topic: &Topic) -> Reply<u64> {
        self.log.purge(topic)
    }
    fn sweep(&self) {
        self.log.sweep();
    }
    fn set_retention(&self, retention: Retention) {
        self.log.set_retention(retention);
    }
    fn set_bounds(&self, bounds: Bounds) {
        self.log.set_bounds(bounds);
    }
    fn kept_bytes(&self) -> u64 {
        self.log.kept_bytes()
    }
    fn kept_topics(&self) -> u64 {
        self.log.kept_topics()
    }
}
