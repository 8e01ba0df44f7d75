//! Frames become messages: unmasked in place, borrowed where they came whole, kept only where
//! they did not.

use std::borrow::Cow;
use std::mem;

use super::close;
use super::deflate::inflate::Inflater;
use super::error::Error;
use super::frame::{HEADER_BYTES_MAX, Header, Opcode};
use super::mask;

/// Bytes that were just read. They are unmasked in place, so that events can borrow them.
#[derive(Debug)]
pub struct Input<'a>(&'a mut [u8]);

impl<'a> Input<'a> {
    /// All of `bytes`.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes that no event has used yet.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether every byte was used.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> &'a mut [u8] {
        let (first, rest) = mem::take(&mut self.0).split_at_mut(length);
        self.0 = rest;
        first
    }
}

/// Which end of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Every frame received has to be masked.
    Server,
    /// No frame received may be masked.
    Client,
}

/// What a message holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Anything.
    Binary,
}

/// What the peer sent; borrowed from the input unless it came in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A message that is deflated still; nothing is known about its text yet.
    Deflated {
        /// What it holds once it is inflated.
        kind: Kind,
        /// Raw DEFLATE without the four bytes that end every message (RFC 7692, section 7.2.1).
        bytes: Cow<'a, [u8]>,
    },
    /// To be answered by a pong with this payload.
    Ping(Cow<'a, [u8]>),
    /// A sign of life.
    Pong(Cow<'a, [u8]>),
    /// The last event of a connection, to be answered by a close frame.
    Close {
        /// The code, if the peer gave one.
        code: Option<u16>,
        /// The peer's words.
        reason: Cow<'a, str>,
    },
}

impl Event<'_> {
    /// The message that a deflated one holds, at most `bytes_max` long; any other event as it is.
    pub fn inflated(self, inflater: &mut Inflater, bytes_max: usize) -> Result<Self, Error> {
        match self {
            Self::Deflated { kind, bytes } => {
                data(kind, false, inflater.inflate(&bytes, bytes_max)?.into())
            }
            plain => Ok(plain),
        }
    }
}

/// Turns the bytes of one connection into events.
///
/// It owns memory only while a frame or a fragmented message is incomplete, so that thousands of
/// quiet connections can share one buffer to read into.
#[derive(Debug)]
pub struct Assembler {
    message_bytes_max: usize,
    open: Option<Box<Open>>,
    role: Role,
    deflate: bool,
    done: bool,
}

/// What is incomplete.
#[derive(Debug, Default)]
struct Open {
    /// The beginning of a header.
    head: Vec<u8>,
    /// A frame whose payload is not all here yet.
    frame: Option<Frame>,
    /// The payload of that frame so far, if it is a control frame.
    control: Vec<u8>,
    /// The payload of the data frames so far.
    message: Option<Message>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    header: Header,
    length: usize,
    seen: usize,
}

#[derive(Debug)]
struct Message {
    kind: Kind,
    deflated: bool,
    bytes: Vec<u8>,
    /// How many of the bytes are whole characters.
    checked: usize,
}

impl Assembler {
    /// `deflate` tells whether permessage-deflate was agreed upon, which gives RSV1 a meaning;
    /// `message_bytes_max` then limits the compressed size.
    pub const fn new(role: Role, message_bytes_max: usize, deflate: bool) -> Self {
        Self { message_bytes_max, open: None, role, deflate, done: false }
    }

    /// Another limit, for what comes from now on.
    pub const fn set_message_bytes_max(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
    }

    /// The next event in `input`, which is left at what follows it; `None` when all of it is used.
    ///
    /// After an error and after [`Event::Close`] whatever comes is passed over (RFC 6455,
    /// sections 5.5.1 and 7.1.7).
    pub fn receive<'a>(&mut self, input: &mut Input<'a>) -> Result<Option<Event<'a>>, Error> {
        if self.done {
            input.take(input.len());
            return Ok(None);
        }
        let result = self.advance(input);
        self.done = matches!(result, Err(_) | Ok(Some(Event::Close { .. })));
        if self.done || self.open.as_ref().is_some_and(|open| open.is_empty()) {
            self.open = None;
        }
        result
    }

    fn advance<'a>(&mut self, input: &mut Input<'a>) -> Result<Option<Event<'a>>, Error> {
        while !input.is_empty() {
            let Some(mut frame) = self.frame(input)? else { break };
            let part = input.take(input.len().min(frame.length - frame.seen));
            if let Some(key) = frame.header.mask {
                mask::apply(key, frame.seen, part);
            }
            frame.seen += part.len();
            // A frame of which nothing came but its header can still come in one piece.
            let event = if part.len() == frame.length {
                self.whole(&frame.header, part)?
            } else {
                self.part(frame, part)?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// The frame that the input continues, or the one that begins with it.
    fn frame(&mut self, input: &mut Input<'_>) -> Result<Option<Frame>, Error> {
        if let Some(frame) = self.open.as_mut().and_then(|open| open.frame.take()) {
            return Ok(Some(frame));
        }
        let Some(header) = self.header(input)? else { return Ok(None) };
        let length = self.check(&header)?;
        Ok(Some(Frame { header, length, seen: 0 }))
    }

    fn header(&mut self, input: &mut Input<'_>) -> Result<Option<Header>, Error> {
        let head = self.open.as_mut().map(|open| mem::take(&mut open.head)).unwrap_or_default();
        let mut both = [0; HEADER_BYTES_MAX];
        let both_length = HEADER_BYTES_MAX.min(head.len() + input.len());
        both[..head.len()].copy_from_slice(&head);
        both[head.len()..both_length].copy_from_slice(&input.0[..both_length - head.len()]);
        let Some((header, used)) = Header::decode(&both[..both_length])? else {
            input.take(input.len());
            self.open.get_or_insert_default().head = both[..both_length].to_vec();
            return Ok(None);
        };
        // `used` is more than what was kept: that alone was no header.
        input.take(used - head.len());
        Ok(Some(header))
    }

    /// What of a header depends on the connection and on the frames before; returns the length.
    fn check(&self, header: &Header) -> Result<usize, Error> {
        let message_bytes = self.message().map(|message| message.bytes.len());
        let first = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(Error::NotMasked),
            (Role::Client, Some(_)) => return Err(Error::Masked),
            (Role::Server, Some(_)) | (Role::Client, None) => {}
        }
        if header.rsv1 && !(self.deflate && first) {
            return Err(Error::ReservedBit);
        }
        if first && message_bytes.is_some() {
            return Err(Error::MessageOpen);
        }
        if header.opcode == Opcode::Continuation && message_bytes.is_none() {
            return Err(Error::NothingToContinue);
        }
        let bytes_max = self.message_bytes_max;
        let left = bytes_max.saturating_sub(message_bytes.unwrap_or(0));
        match usize::try_from(header.length) {
            Ok(length) if length <= left || header.opcode.is_control() => Ok(length),
            _ => Err(Error::TooBig { bytes_max }),
        }
    }

    fn message(&self) -> Option<&Message> {
        self.open.as_ref().and_then(|open| open.message.as_ref())
    }

    /// A frame that came in one piece.
    fn whole<'a>(
        &mut self,
        header: &Header,
        payload: &'a [u8],
    ) -> Result<Option<Event<'a>>, Error> {
        let payload = Cow::Borrowed(payload);
        match header.opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                control(header.opcode, payload).map(Some)
            }
            Opcode::Text | Opcode::Binary if header.fin => {
                data(kind(header.opcode), header.rsv1, payload).map(Some)
            }
            Opcode::Text | Opcode::Binary | Opcode::Continuation => self.extend(header, &payload),
        }
    }

    /// A part of a frame that did not.
    fn part<'a>(&mut self, frame: Frame, part: &[u8]) -> Result<Option<Event<'a>>, Error> {
        let complete = frame.seen == frame.length;
        let header = Header { fin: frame.header.fin && complete, ..frame.header };
        let event = if part.is_empty() {
            None
        } else if header.opcode.is_control() {
            let payload = &mut self.open.get_or_insert_default().control;
            payload.extend_from_slice(part);
            complete.then(|| control(header.opcode, mem::take(payload).into())).transpose()?
        } else {
            self.extend(&header, part)?
        };
        if !complete {
            self.open.get_or_insert_default().frame = Some(frame);
        }
        Ok(event)
    }

    /// More of the message that is open; its end if the header says so.
    fn extend<'a>(&mut self, header: &Header, part: &[u8]) -> Result<Option<Event<'a>>, Error> {
        let open = self.open.get_or_insert_default();
        let message = open.message.get_or_insert_with(|| Message {
            kind: kind(header.opcode),
            deflated: header.rsv1,
            bytes: Vec::new(),
            checked: 0,
        });
        message.bytes.extend_from_slice(part);
        message.check_text()?;
        if !header.fin {
            return Ok(None);
        }
        let Some(message) = open.message.take() else { return Ok(None) };
        data(message.kind, message.deflated, message.bytes.into()).map(Some)
    }
}

impl Open {
    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.frame.is_none() && self.message.is_none()
    }
}

impl Message {
    /// Refuses text as soon as no further byte could make it valid.
    fn check_text(&mut self) -> Result<(), Error> {
        if self.deflated || self.kind == Kind::Binary {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_some() => return Err(Error::NotUtf8),
            Err(error) => self.checked += error.valid_up_to(),
        }
        Ok(())
    }
}

const fn kind(opcode: Opcode) -> Kind {
    if matches!(opcode, Opcode::Text) { Kind::Text } else { Kind::Binary }
}

fn control(opcode: Opcode, payload: Cow<'_, [u8]>) -> Result<Event<'_>, Error> {
    match (opcode, payload) {
        (Opcode::Ping, payload) => Ok(Event::Ping(payload)),
        (Opcode::Close, Cow::Borrowed(payload)) => {
            let (code, reason) = close::parse(payload)?;
            Ok(Event::Close { code, reason: Cow::Borrowed(reason) })
        }
        (Opcode::Close, Cow::Owned(payload)) => {
            let (code, reason) = close::parse(&payload)?;
            Ok(Event::Close { code, reason: Cow::Owned(reason.to_owned()) })
        }
        (_, payload) => Ok(Event::Pong(payload)),
    }
}

fn data(kind: Kind, deflated: bool, bytes: Cow<'_, [u8]>) -> Result<Event<'_>, Error> {
    match (deflated, kind) {
        (true, kind) => Ok(Event::Deflated { kind, bytes }),
        (false, Kind::Binary) => Ok(Event::Binary(bytes)),
        (false, Kind::Text) => {
            let text = match bytes {
                Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
                Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
            };
            text.map(Event::Text).ok_or(Error::NotUtf8)
        }
    }
}

#[cfg(test)]
mod tests;
