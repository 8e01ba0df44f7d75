//! How messages, topics and ids look on disk: bytes that any later version can tell apart; pure.

use std::sync::Arc;

use smallvec::SmallVec;

use super::volatile::Reserved;
use crate::message::Message;
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// A key: a sequence, a topic's number, or both, big-endian so that bytes sort as numbers.
pub(super) type Key = SmallVec<[u8; 16]>;

/// A topic's number, never given twice; it also says whether the topic is volatile.
pub(super) type TopicId = u64;

/// A record that this version cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record of {0} is not as this version writes it")]
pub(super) struct Garbled(pub(super) &'static str);

/// What the index says of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stub {
    pub(super) sequence: u64,
    pub(super) published_at: Timestamp,
    pub(super) cost: u64,
    /// As published; `None` is the topic.
    pub(super) key: Option<Box<str>>,
}

/// The kept messages of a topic that keeps any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) first: u64,
    pub(super) first_at: Timestamp,
    pub(super) last: u64,
    pub(super) last_at: Timestamp,
}

/// A snapshot that a topic keeps before all other messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) sequence: u64,
    pub(super) published_at: Timestamp,
    pub(super) cost: u64,
}

/// What is kept of a topic besides its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicRecord {
    pub(super) topic: Topic,
    /// Head of the log when the topic came to be.
    pub(super) born: u64,
    /// Its newest message ever; 0 is none.
    pub(super) previous: u64,
    /// Its newest loss; 0 is none.
    pub(super) lost: u64,
    pub(super) standing: Option<Standing>,
    /// The messages after the snapshot, if there is one.
    pub(super) span: Option<Span>,
}

/// A use of an idempotency id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdRecord {
    pub(super) topic: TopicId,
    pub(super) published_at: Timestamp,
    pub(super) id: Arc<str>,
}

/// What holds for the whole log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogRecord {
    pub(super) epoch: Epoch,
    pub(super) head: u64,
    pub(super) now: Timestamp,
    pub(super) next_topic: TopicId,
    /// No loss of a topic that is no more is beyond this.
    pub(super) floor: u64,
    /// Where messages may have been that were never on disk.
    pub(super) reserved: Reserved,
}

/// Messages of one topic that are forgotten but still on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Remains {
    pub(super) topic: TopicId,
    pub(super) from: u64,
    pub(super) upto: u64,
}

/// A message as the log holds it, with its topic's number.
#[derive(Debug)]
pub(super) struct Logged<'a> {
    pub(super) topic: TopicId,
    pub(super) name: &'a str,
    pub(super) published_at: Timestamp,
    rest: Fields<'a>,
    flags: u8,
}

const LOG_VERSION: u8 = 1;
const HAS_KEY: u8 = 1;
const HAS_HEADERS: u8 = 2;
const HAS_PREVIOUS: u8 = 4;
const IS_SNAPSHOT: u8 = 8;

pub(super) fn key(number: u64) -> Key {
    Key::from_slice(&number.to_be_bytes())
}

pub(super) fn index_key(topic: TopicId, sequence: u64) -> Key {
    let mut key = key(topic);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// The number that a key ends with.
pub(super) fn number(key: &[u8]) -> Result<u64, Garbled> {
    let last = key.last_chunk::<8>().ok_or(Garbled("a key"))?;
    Ok(u64::from_be_bytes(*last))
}

impl Stub {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            sequence: message.cursor.sequence.0,
            published_at: message.published_at,
            cost: message.cost() as u64,
            key: message.key.clone(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(17 + self.key.as_deref().map_or(0, str::len));
        put_time(&mut bytes, self.published_at);
        put(&mut bytes, self.cost);
        if let Some(key) = &self.key {
            bytes.push(HAS_KEY);
            bytes.extend_from_slice(key.as_bytes());
        }
        bytes
    }

    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self, Garbled> {
        let mut fields = Fields { bytes, of: "the index" };
        let (published_at, cost) = (fields.time()?, fields.number()?);
        let key_of = match fields.bytes.split_first() {
            Some((&HAS_KEY, text)) => Some(fields.text(text)?.into()),
            Some(_) => return Err(Garbled("the index")),
            None => None,
        };
        Ok(Self { sequence: number(key)?, published_at, cost, key: key_of })
    }
}

/// The bytes of a message in the log.
pub(super) fn encode_message(message: &Message, topic: TopicId) -> Vec<u8> {
    let headers = message.headers.as_ref().map(Json::as_str);
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let flags = flag(message.key.is_some(), HAS_KEY)
        | flag(headers.is_some(), HAS_HEADERS)
        | flag(message.previous.is_some(), HAS_PREVIOUS)
        | flag(message.snapshot, IS_SNAPSHOT);
    let mut bytes = Vec::with_capacity(message.cost() + 32);
    bytes.extend_from_slice(&[LOG_VERSION, flags]);
    put(&mut bytes, topic);
    put_time(&mut bytes, message.published_at);
    put_text(&mut bytes, message.topic.as_str());
    if let Some(previous) = message.previous {
        put(&mut bytes, previous.sequence.0);
    }
    if let Some(key) = &message.key {
        put_text(&mut bytes, key);
    }
    if let Some(headers) = headers {
        put_text(&mut bytes, headers);
    }
    bytes.extend_from_slice(message.payload.as_str().as_bytes());
    bytes
}

impl<'a> Logged<'a> {
    /// Reads as much as tells whether anybody wants the message.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Garbled> {
        let (&[version, flags], bytes) =
            bytes.split_first_chunk::<2>().ok_or(Garbled("the log"))?;
        if version != LOG_VERSION {
            return Err(Garbled("the log"));
        }
        let mut rest = Fields { bytes, of: "the log" };
        let (topic, published_at) = (rest.number()?, rest.time()?);
        let name = rest.sized_text()?;
        Ok(Self { topic, name, published_at, rest, flags })
    }

    /// The whole message.
    pub(super) fn message(self, topic: Topic, cursor: Cursor) -> Result<Message, Garbled> {
        let Self { published_at, mut rest, flags, .. } = self;
        let has = |flag| flags & flag != 0;
        let previous = if has(HAS_PREVIOUS) { Some(rest.number()?) } else { None };
        let key = if has(HAS_KEY) { Some(rest.sized_text()?.into()) } else { None };
        let headers = if has(HAS_HEADERS) { Some(rest.sized_text()?.to_owned()) } else { None };
        let payload = rest.text(rest.bytes)?.to_owned();
        Ok(Message {
            topic,
            cursor,
            previous: previous.map(|previous| Cursor { sequence: Sequence(previous), ..cursor }),
            published_at,
            key,
            headers: headers.map(Json::from_made),
            payload: Json::from_made(payload),
            snapshot: has(IS_SNAPSHOT),
        })
    }
}

impl TopicRecord {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_text(&mut bytes, self.topic.as_str());
        put_all(&mut bytes, &[self.born, self.previous, self.lost]);
        bytes.push(u8::from(self.standing.is_some()));
        if let Some(Standing { sequence, published_at, cost }) = self.standing {
            put_all(&mut bytes, &[sequence, cost]);
            put_time(&mut bytes, published_at);
        }
        if let Some(span) = self.span {
            put_all(&mut bytes, &[span.messages, span.bytes, span.first, span.last]);
            put_time(&mut bytes, span.first_at);
            put_time(&mut bytes, span.last_at);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Garbled> {
        let of = "the topics";
        let mut fields = Fields { bytes, of };
        let topic = Topic::parse(fields.sized_text()?).map_err(|_| Garbled(of))?;
        let (born, previous, lost) = (fields.number()?, fields.number()?, fields.number()?);
        let (&flag, rest) = fields.bytes.split_first().ok_or(Garbled(of))?;
        fields.bytes = rest;
        let mut standing = None;
        if flag != 0 {
            let (sequence, cost) = (fields.number()?, fields.number()?);
            standing = Some(Standing { sequence, published_at: fields.time()?, cost });
        }
        let mut span = None;
        if !fields.bytes.is_empty() {
            let (messages, bytes) = (fields.number()?, fields.number()?);
            let (first, last) = (fields.number()?, fields.number()?);
            let (first_at, last_at) = (fields.time()?, fields.time()?);
            span = Some(Span { messages, bytes, first, first_at, last, last_at });
        }
        Ok(Self { topic, born, previous, lost, standing, span })
    }
}

impl IdRecord {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.id.len());
        put(&mut bytes, self.topic);
        put_time(&mut bytes, self.published_at);
        bytes.extend_from_slice(self.id.as_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut fields = Fields { bytes, of: "the ids" };
        let (topic, published_at) = (fields.number()?, fields.time()?);
        let id = fields.text(fields.bytes)?.into();
        Ok(Self { topic, published_at, id })
    }
}

impl LogRecord {
    /// A log without any message.
    pub(super) fn new(epoch: Epoch) -> Self {
        let (now, reserved) = (Timestamp::from_micros(i64::MIN), Reserved::default());
        Self { epoch, head: 0, now, next_topic: 1, floor: 0, reserved }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.epoch.bits());
        put_time(&mut bytes, self.now);
        put_all(&mut bytes, &[self.head, self.next_topic, self.floor]);
        if self.reserved.upto > 0 {
            put_all(&mut bytes, &[self.reserved.upto, self.reserved.rules]);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut fields = Fields { bytes, of: "the log's state" };
        let (epoch, now) = (Epoch::new(fields.number()?), fields.time()?);
        let (head, next_topic) = (fields.number()?, fields.number()?);
        let floor = fields.number()?;
        let mut reserved = Reserved::default();
        if !fields.bytes.is_empty() {
            reserved = Reserved { upto: fields.number()?, rules: fields.number()? };
        }
        Ok(Self { epoch, head, now, next_topic, floor, reserved })
    }
}

impl Remains {
    pub(super) fn encode<'a>(all: impl Iterator<Item = &'a Self>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for remains in all {
            put_all(&mut bytes, &[remains.topic, remains.from, remains.upto]);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Self>, Garbled> {
        let mut fields = Fields { bytes, of: "what is to be removed" };
        let mut all = Vec::new();
        while !fields.bytes.is_empty() {
            let (topic, from, upto) = (fields.number()?, fields.number()?, fields.number()?);
            all.push(Self { topic, from, upto });
        }
        Ok(all)
    }
}

/// Fields that are still to be read.
#[derive(Debug, Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    of: &'static str,
}

impl<'a> Fields<'a> {
    fn number(&mut self) -> Result<u64, Garbled> {
        let (number, rest) = self.bytes.split_first_chunk::<8>().ok_or(Garbled(self.of))?;
        self.bytes = rest;
        Ok(u64::from_be_bytes(*number))
    }

    fn time(&mut self) -> Result<Timestamp, Garbled> {
        self.number().map(|number| Timestamp::from_micros(number.cast_signed()))
    }

    fn sized_text(&mut self) -> Result<&'a str, Garbled> {
        let (length, rest) = self.bytes.split_first_chunk::<4>().ok_or(Garbled(self.of))?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Garbled(self.of))?;
        let (text, rest) = rest.split_at_checked(length).ok_or(Garbled(self.of))?;
        self.bytes = rest;
        self.text(text)
    }

    fn text(&self, bytes: &'a [u8]) -> Result<&'a str, Garbled> {
        std::str::from_utf8(bytes).map_err(|_| Garbled(self.of))
    }
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_be_bytes());
}

fn put_all(bytes: &mut Vec<u8>, numbers: &[u64]) {
    for &number in numbers {
        put(bytes, number);
    }
}

fn put_time(bytes: &mut Vec<u8>, time: Timestamp) {
    put(bytes, time.as_micros().cast_unsigned());
}

/// Texts are bounded far below 4 GiB by the limits of the edge.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
