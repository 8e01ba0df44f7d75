//! Bytes of a WebSocket: however they are cut, the events are the same, and within the limits.

use std::borrow::Cow;

use tidings::websocket::assemble::{Assembler, Event, Input, Role};
use tidings::websocket::close;
use tidings::websocket::error::Error;
use tidings::websocket::frame::Header;

use super::bytes::Bytes;

/// What an assembler says of its input, one after the other.
pub type Heard = Vec<Result<Event<'static>, Error>>;

/// How an assembler is set up, and where its input is cut.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Which end receives.
    pub role: Role,
    /// The longest message.
    pub bytes_max: usize,
    /// Whether permessage-deflate was agreed upon.
    pub deflate: bool,
    /// Lengths of the pieces, over and over.
    pub cuts: [u8; 3],
}

/// With the last one a length that is announced must not be believed before its bytes come.
const BYTES_MAX: [usize; 4] = [4, 125, 1000, usize::MAX];
/// A control frame's payload.
const CONTROL_BYTES_MAX: usize = 125;

impl Setup {
    /// The setup that four bytes stand for.
    pub fn new(bytes: &mut Bytes<'_>) -> Self {
        let flags = bytes.byte();
        Self {
            role: if flags & 1 == 0 { Role::Server } else { Role::Client },
            deflate: flags & 2 != 0,
            bytes_max: BYTES_MAX[usize::from(flags >> 2 & 3)],
            cuts: bytes.array(),
        }
    }

    /// Everything that is heard of `wire`, cut into pieces of these lengths.
    pub fn listen(&self, wire: &[u8], cuts: impl IntoIterator<Item = usize>) -> Heard {
        let mut assembler = Assembler::new(self.role, self.bytes_max, self.deflate);
        let (mut heard, mut wire) = (Vec::new(), wire.to_vec());
        let mut rest = &mut wire[..];
        for cut in cuts {
            let (piece, after) = rest.split_at_mut(cut.clamp(1, rest.len().max(1)).min(rest.len()));
            rest = after;
            let mut input = Input::new(piece);
            loop {
                match assembler.receive(&mut input) {
                    Ok(Some(event)) => heard.push(Ok(owned(event))),
                    Ok(None) => break,
                    Err(error) => heard.push(Err(error)),
                }
            }
            assert!(input.is_empty(), "{} bytes were not looked at", input.len());
            if rest.is_empty() {
                break;
            }
        }
        heard
    }

    /// The same with the cuts of this setup, longer ones where there is much to cut.
    pub fn listen_in_pieces(&self, wire: &[u8]) -> Heard {
        let scale = wire.len() / 2048 + 1;
        self.listen(wire, self.cuts.map(|cut| usize::from(cut) * scale).into_iter().cycle())
    }

    fn check(&self, event: &Result<Event<'static>, Error>) {
        match event {
            Ok(Event::Text(text)) => assert!(text.len() <= self.bytes_max),
            Ok(Event::Binary(bytes)) => assert!(bytes.len() <= self.bytes_max),
            Ok(Event::Deflated { bytes, .. }) => {
                assert!(self.deflate && bytes.len() <= self.bytes_max);
            }
            Ok(Event::Ping(payload) | Event::Pong(payload)) => {
                assert!(payload.len() <= CONTROL_BYTES_MAX);
            }
            Ok(Event::Close { code, reason }) => {
                assert!(code.is_none_or(close::may_travel));
                assert!(reason.len() <= close::REASON_BYTES_MAX);
            }
            Err(error) => {
                let (code, reason) = (error.close_code(), error.to_string());
                let payload = close::payload(code, &reason);
                assert_eq!(close::parse(&payload), Ok((Some(code), &*reason)), "no such close");
            }
        }
    }
}

/// One input: a setup, then what the peer sends.
pub fn run(data: &[u8]) {
    let mut data = Bytes::new(data);
    let setup = Setup::new(&mut data);
    let wire = data.up_to(usize::MAX);
    let whole = setup.listen(wire, [wire.len()]);
    assert_eq!(whole, setup.listen_in_pieces(wire), "whole, and in pieces of {:?}", setup.cuts);
    assert_eq!(whole, setup.listen(wire, std::iter::repeat(1)), "whole, and byte by byte");
    for event in &whole {
        setup.check(event);
    }
    let is_end = |event: &_| matches!(event, Err(_) | Ok(Event::Close { .. }));
    let end = whole.iter().position(is_end);
    assert!(end.is_none_or(|end| end + 1 == whole.len()), "something follows the end: {whole:?}");
    header(wire);
}

/// What decodes encodes to the same bytes, and nothing less decodes.
fn header(wire: &[u8]) {
    let Ok(Some((header, used))) = Header::decode(wire) else { return };
    let (bytes, length) = header.encode();
    assert_eq!(&bytes[..length], &wire[..used]);
    for cut in 0..used {
        assert_eq!(Header::decode(&wire[..cut]), Ok(None));
    }
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
        Event::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
        Event::Deflated { kind, bytes } => {
            Event::Deflated { kind, bytes: Cow::Owned(bytes.into_owned()) }
        }
        Event::Ping(payload) => Event::Ping(Cow::Owned(payload.into_owned())),
        Event::Pong(payload) => Event::Pong(Cow::Owned(payload.into_owned())),
        Event::Close { code, reason } => {
            Event::Close { code, reason: Cow::Owned(reason.into_owned()) }
        }
    }
}
