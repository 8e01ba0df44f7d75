//! What waits for the writer: bounded, and taken all at once, which makes the groups that are
//! committed together.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::engine::retention::Retention;
use crate::engine::{Bounds, Error, Publish};
use crate::message::cursor::Sequence;
use crate::message::topic::Topic;
use crate::message::{Draft, Receipt};

/// Answers one request.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Append(Publish, Answer<Receipt>),
    AppendMany(Vec<Publish>, Answer<Vec<Result<Receipt, Error>>>),
    Compact(Draft, Sequence, Answer<Receipt>),
    Purge(Topic, Answer<u64>),
    /// Forgets what is past its age, and answers when that is done.
    Expire(Answer<()>),
}

/// The writer's queue.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Guards what waits; nothing is done under it but to put in and take out.
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

/// Everything that waits.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// In the order of the calls.
    pub(super) requests: Vec<Request>,
    pub(super) retention: Option<Retention>,
    pub(super) bounds: Option<Bounds>,
    pub(super) is_swept: bool,
    pub(super) is_closed: bool,
    bytes: usize,
}

/// The inbox has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// Bytes of publishes that may wait,
const WAITING_BYTES_MAX: usize = 64 << 20;
/// and requests. A commit takes some milliseconds: this is more than a second of a good disk.
const WAITING_MAX: usize = 1 << 16;
/// What a request takes besides its texts.
const REQUEST_BYTES: usize = 256;

impl Inbox {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), filled: Condvar::new() }
    }

    /// Puts a request behind those that wait.
    pub(super) fn push(&self, request: Request) -> Result<(), Full> {
        let bytes = request.bytes();
        let mut waiting = self.waiting.lock();
        let is_full = waiting.requests.len() >= WAITING_MAX
            || waiting.bytes.saturating_add(bytes) > WAITING_BYTES_MAX;
        // One that is larger than all may be has to go alone.
        if waiting.is_closed || (is_full && !waiting.requests.is_empty()) {
            return Err(Full);
        }
        waiting.bytes += bytes;
        waiting.requests.push(request);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Is so much waiting that publishers had better take no more input?
    pub(super) fn is_filling(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.bytes > WAITING_BYTES_MAX / 2 || waiting.requests.len() > WAITING_MAX / 2
    }

    /// Notes something else that the writer is to do.
    pub(super) fn note(&self, note: impl FnOnce(&mut Waiting)) {
        note(&mut self.waiting.lock());
        self.filled.notify_one();
    }

    /// Everything that waits, once there is anything or the time is over.
    pub(super) fn take(&self, patience: Option<Duration>) -> Waiting {
        let mut waiting = self.waiting.lock();
        if waiting.is_blank() {
            match patience {
                Some(patience) => {
                    self.filled.wait_for(&mut waiting, patience);
                }
                None => self.filled.wait(&mut waiting),
            }
        }
        let is_closed = waiting.is_closed;
        let taken = std::mem::take(&mut *waiting);
        waiting.is_closed = is_closed;
        taken
    }
}

impl Waiting {
    fn is_blank(&self) -> bool {
        let nothing_new = self.retention.is_none() && self.bounds.is_none();
        self.requests.is_empty() && nothing_new && !self.is_swept && !self.is_closed
    }
}

impl Request {
    fn bytes(&self) -> usize {
        let texts = match self {
            Self::Append(publish, _) => bytes(publish),
            Self::AppendMany(publishes, _) => publishes.iter().map(bytes).sum(),
            Self::Compact(draft, ..) => draft_bytes(draft),
            Self::Purge(..) | Self::Expire(_) => 0,
        };
        REQUEST_BYTES + texts
    }
}

/// About what a publish takes.
fn bytes(publish: &Publish) -> usize {
    REQUEST_BYTES + draft_bytes(&publish.draft) + publish.id.as_deref().map_or(0, str::len)
}

fn draft_bytes(draft: &Draft) -> usize {
    let headers = draft.headers.as_ref().map_or(0, |headers| headers.as_str().len());
    draft.payload.as_str().len() + headers + draft.key.as_deref().map_or(0, str::len)
}
