//! Messages put into frames by the rules of RFC 6455: what is assembled from them is what went in.

use std::borrow::Cow;

use tidings::websocket::assemble::{Event, Kind, Role};
use tidings::websocket::close;
use tidings::websocket::error::Error;
use tidings::websocket::frame::{Header, Opcode};
use tidings::websocket::mask;

use super::bytes::Bytes;
use super::frames::{Heard, Setup};

/// Where the form of a length changes, and a little more than one read takes.
const LONG: [usize; 4] = [126, 127, 65_535, 65_536];
const WIRE_BYTES_MAX: usize = 200_000;

/// Frames on their way, and what has to be heard of them.
struct Sender {
    setup: Setup,
    wire: Vec<u8>,
    heard: Heard,
    longest: usize,
}

/// One input: a setup, then one message after the other.
pub fn run(data: &[u8]) {
    let mut script = Bytes::new(data);
    let setup = Setup::new(&mut script);
    let mut sender = Sender { setup, wire: Vec::new(), heard: Vec::new(), longest: 0 };
    let mut is_open = true;
    while is_open && !script.is_empty() && sender.wire.len() < WIRE_BYTES_MAX {
        is_open = sender.message(&mut script);
    }
    sender.check();
}

impl Sender {
    /// The next message of a script; false when it closes.
    fn message(&mut self, script: &mut Bytes<'_>) -> bool {
        match script.byte() % 5 {
            0 => self.data(Kind::Text, script),
            1 => self.data(Kind::Binary, script),
            2 => self.control(Opcode::Ping, script),
            3 => self.control(Opcode::Pong, script),
            _ => return self.close(script),
        }
        true
    }

    fn data(&mut self, kind: Kind, script: &mut Bytes<'_>) {
        let (shape, key) = (script.byte(), script.array());
        let payload = payload(script);
        let is_deflated = self.setup.deflate && shape & 0x80 != 0;
        let (opcode, event, payload) = match kind {
            _ if is_deflated => {
                let bytes = Cow::Owned(payload.clone());
                (opcode(kind), Event::Deflated { kind, bytes }, payload)
            }
            Kind::Binary => (Opcode::Binary, Event::Binary(payload.clone().into()), payload),
            Kind::Text => {
                let text = String::from_utf8_lossy(&payload).into_owned();
                (Opcode::Text, Event::Text(text.clone().into()), text.into_bytes())
            }
        };
        self.longest = self.longest.max(payload.len());
        let pieces = usize::from(shape & 3) + 1;
        let size = payload.len().div_ceil(pieces).max(1);
        for piece in 0..pieces {
            let from = (piece * size).min(payload.len());
            let to =
                if piece + 1 == pieces { payload.len() } else { payload.len().min(from + size) };
            let opcode = if piece == 0 { opcode } else { Opcode::Continuation };
            let rsv1 = is_deflated && piece == 0;
            self.frame((piece + 1 == pieces, rsv1, opcode), key, &payload[from..to]);
            if shape & 0x40 != 0 && piece + 1 < pieces {
                self.frame((true, false, Opcode::Ping), key, b"between");
                self.heard.push(Ok(Event::Ping(b"between".into())));
            }
        }
        self.heard.push(Ok(event));
    }

    fn control(&mut self, opcode: Opcode, script: &mut Bytes<'_>) {
        let key = script.array();
        let length = usize::from(script.byte() % 126);
        let payload = script.up_to(length).to_vec();
        self.frame((true, false, opcode), key, &payload);
        let payload = Cow::Owned(payload);
        let is_ping = opcode == Opcode::Ping;
        self.heard.push(Ok(if is_ping { Event::Ping(payload) } else { Event::Pong(payload) }));
    }

    /// Closes, unless the code is none that may be sent.
    fn close(&mut self, script: &mut Bytes<'_>) -> bool {
        let (key, code) = (script.array(), u16::from_be_bytes(script.array()));
        let text = String::from_utf8_lossy(script.up_to(close::REASON_BYTES_MAX)).into_owned();
        if !close::may_travel(code) && code != 0 {
            return true;
        }
        let (code, payload) = match code {
            0 => (None, Vec::new()),
            code => (Some(code), close::payload(code, &text)),
        };
        let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
        self.frame((true, false, Opcode::Close), key, &payload);
        self.heard.push(Ok(Event::Close { code, reason: reason.into() }));
        false
    }

    fn frame(&mut self, (fin, rsv1, opcode): (bool, bool, Opcode), key: [u8; 4], payload: &[u8]) {
        let mask = (self.setup.role == Role::Server).then_some(key);
        let header = Header { fin, rsv1, opcode, mask, length: payload.len() as u64 };
        let (bytes, used) = header.encode();
        assert_eq!(Header::decode(&bytes[..used]), Ok(Some((header, used))));
        self.wire.extend_from_slice(&bytes[..used]);
        let start = self.wire.len();
        self.wire.extend_from_slice(payload);
        if let Some(key) = mask {
            mask::apply(key, 0, &mut self.wire[start..]);
        }
    }

    /// What is heard with just enough room, and that one byte less is refused.
    fn check(mut self) {
        self.setup.bytes_max = self.longest;
        assert_eq!(self.setup.listen(&self.wire, [self.wire.len()]), self.heard, "whole");
        let heard = self.setup.listen_in_pieces(&self.wire);
        assert_eq!(heard, self.heard, "in pieces of {:?}", self.setup.cuts);
        if let Some(bytes_max) = self.longest.checked_sub(1) {
            self.setup.bytes_max = bytes_max;
            let heard = self.setup.listen_in_pieces(&self.wire);
            assert_eq!(heard.last(), Some(&Err(Error::TooBig { bytes_max })));
        }
    }
}

/// Bytes of the script, or so many that the length takes another form.
fn payload(script: &mut Bytes<'_>) -> Vec<u8> {
    let length = script.byte();
    let is_long = length >= 252;
    let wanted = if is_long { LONG[usize::from(length - 252)] } else { usize::from(length) };
    let mut payload = script.up_to(wanted.min(252)).to_vec();
    if is_long {
        payload.resize(wanted, b'.');
    }
    payload
}

const fn opcode(kind: Kind) -> Opcode {
    if matches!(kind, Kind::Text) { Opcode::Text } else { Opcode::Binary }
}
