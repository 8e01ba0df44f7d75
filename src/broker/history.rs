//! Reading what is kept, page by page, in either direction.

use std::sync::Arc;

use super::{Broker, Error};
use crate::engine::{Error as EngineError, Limit, ReadFrom};
use crate::message::Message;
use crate::message::cursor::{Cursor, Sequence};
use crate::message::time::Timestamp;
use crate::plan::Select;

/// Most messages of one page, and of one [`Broker::last`].
pub const PAGE_MESSAGES_MAX: usize = 10_000;
/// A page ends early rather than hold more than this.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// One read of the log.
const READ: Limit = Limit { messages: 1_000, bytes: 1 << 20 };

/// Which part of the history.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which messages.
    pub select: Select,
    /// Only those after this cursor.
    pub after: Option<Cursor>,
    /// Only those before this cursor.
    pub before: Option<Cursor>,
    /// Only those accepted at this time or later.
    pub since: Option<Timestamp>,
    /// How many, from which end.
    pub page: PageSize,
}

/// How many messages, from which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSize {
    /// The oldest of the range.
    First(usize),
    /// The newest of the range.
    Last(usize),
}

/// Messages in log order.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The messages.
    pub messages: Vec<Arc<Message>>,
    /// The range goes on after them.
    pub has_next: bool,
    /// The range goes on before them.
    pub has_previous: bool,
}

impl Broker {
    /// A page of the messages kept. [`EngineError::Expired`] when some after `after` are gone.
    pub async fn history(&self, request: &Request) -> Result<Page, Error> {
        let after = request.after.map(|cursor| self.sequence(cursor)).transpose()?;
        let before = request.before.map(|cursor| self.sequence(cursor)).transpose()?;
        match request.page {
            PageSize::First(count) => self.forward(request, after, before, count).await,
            PageSize::Last(count) => self.backward(request, after, before, count).await,
        }
    }

    /// The newest `count` messages of every matching topic that pass the condition.
    pub async fn last(&self, select: &Select, count: usize) -> Result<Vec<Arc<Message>>, Error> {
        let batch = self.engine.last(&select.filters, count, self.sieve.accept(select)).await?;
        if batch.messages.len() > PAGE_MESSAGES_MAX {
            return Err(Error::TooManyMessages { most: PAGE_MESSAGES_MAX });
        }
        Ok(batch.messages)
    }

    async fn forward(
        &self,
        request: &Request,
        after: Option<Sequence>,
        before: Option<Sequence>,
        count: usize,
    ) -> Result<Page, Error> {
        let since = match request.since {
            Some(time) => Some(self.engine.before_time(time).await?),
            None => None,
        };
        let mut from = after.map_or(ReadFrom::Earliest, ReadFrom::After);
        let mut page = Page { has_previous: after.is_some(), ..Page::default() };
        let mut bytes = 0;
        loop {
            let batch = self.engine.read(&request.select.filters, from, READ).await?;
            let onward = from.onward(&batch);
            for message in batch.messages {
                if before.is_some_and(|before| message.cursor.sequence >= before) {
                    page.has_next = true;
                    return Ok(page);
                }
                let in_range = since.is_none_or(|since| message.cursor.sequence > since);
                if !in_range || !self.sieve.passes(&request.select, &message) {
                    continue;
                }
                bytes += message.cost();
                if page.messages.len() == count || bytes > PAGE_BYTES_MAX {
                    page.has_next = true;
                    return Ok(page);
                }
                page.messages.push(message);
            }
            if batch.upto >= self.engine.head() {
                return Ok(page);
            }
            from = onward;
        }
    }

    async fn backward(
        &self,
        request: &Request,
        after: Option<Sequence>,
        before: Option<Sequence>,
        count: usize,
    ) -> Result<Page, Error> {
        if let Some(after) = after {
            // One message is enough to learn whether the range has lost any.
            let probe = Limit { messages: 1, bytes: 1 };
            self.engine.read(&request.select.filters, ReadFrom::After(after), probe).await?;
        }
        let mut end = before;
        let mut page = Page { has_next: before.is_some(), ..Page::default() };
        let mut bytes = 0;
        loop {
            let batch = self.engine.read_back(&request.select.filters, end, READ).await?;
            for message in batch.messages {
                let is_older = after.is_some_and(|after| message.cursor.sequence <= after)
                    || request.since.is_some_and(|since| message.published_at < since);
                let passes = self.sieve.passes(&request.select, &message);
                bytes += if passes { message.cost() } else { 0 };
                let is_full = page.messages.len() == count || bytes > PAGE_BYTES_MAX;
                if is_older || (passes && is_full) {
                    page.has_previous = true;
                    page.messages.reverse();
                    return Ok(page);
                }
                if passes {
                    page.messages.push(message);
                }
            }
            if batch.upto == Sequence::ZERO {
                page.messages.reverse();
                return Ok(page);
            }
            end = Some(batch.upto);
        }
    }

    /// The place of a cursor in this log.
    pub(super) fn sequence(&self, cursor: Cursor) -> Result<Sequence, Error> {
        if cursor.epoch != self.engine.epoch() {
            return Err(EngineError::Expired { earliest: None }.into());
        }
        if cursor.sequence > self.engine.head() {
            return Err(Error::FutureCursor);
        }
        Ok(cursor.sequence)
    }
}
