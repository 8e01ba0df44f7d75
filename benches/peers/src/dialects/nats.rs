//! NATS over WebSocket: its text protocol inside binary frames, whose borders mean nothing.

use tidings::cli::bench::dialect::{Dialect, Heard, Opening, Step, push_masked};
use tidings::cli::bench::stamp::Stamp;
use tidings::websocket::frame::Opcode;

use super::{TOPIC, cut_stream, frame};

/// nats-server does not answer a publish; a PONG says that all before its PING were taken.
const PUBLISHES_PER_PING: u64 = 64;
const END: &[u8] = b"\r\n";

/// NATS.
#[derive(Debug)]
pub struct Nats {
    size: usize,
    asks: bool,
    pong: Vec<u8>,
}

impl Nats {
    /// Payloads have `size` bytes; `asks` whether publishes were taken, now and then.
    pub fn new(size: usize, asks: bool) -> Self {
        Self { size, asks, pong: frame(Opcode::Binary, b"PONG\r\n") }
    }

    fn opening(commands: &str) -> Opening {
        let send =
            format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\n{commands}PING\r\n");
        let send = frame(Opcode::Binary, send.as_bytes());
        let greeting = Step { send: Vec::new(), until: Some(END) };
        let connected = Step { send, until: Some(b"PONG\r\n") };
        Opening { path: "/".to_owned(), subprotocol: None, steps: vec![greeting, connected] }
    }

    /// Takes one command off the front.
    fn command(
        &self,
        bytes: &[u8],
        each: &mut dyn FnMut(Heard<'_>),
    ) -> Result<Option<usize>, String> {
        let Some(line) = bytes.windows(END.len()).position(|window| window == END) else {
            return Ok(None);
        };
        let used = line + END.len();
        let line = std::str::from_utf8(&bytes[..line]).map_err(|error| error.to_string())?;
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "MSG" => {
                let length = rest.rsplit(' ').next().and_then(|length| length.parse().ok());
                let length: usize = length.ok_or_else(|| format!("it said {line:?}"))?;
                let Some(payload) = bytes.get(used..used + length + END.len()) else {
                    return Ok(None);
                };
                each(Heard::Message(&payload[..length]));
                return Ok(Some(used + payload.len()));
            }
            "PING" => each(Heard::Ask(&self.pong)),
            "PONG" => each(Heard::Message(b"PONG")),
            "-ERR" => return Err(rest.to_owned()),
            _ => {}
        }
        Ok(Some(used))
    }
}

impl Dialect for Nats {
    fn subscriber(&self, _index: usize) -> Opening {
        Self::opening(&format!("SUB {TOPIC} 1\r\n"))
    }

    fn publisher(&self) -> Opening {
        Self::opening("")
    }

    fn push_publish(&self, out: &mut Vec<u8>, _topic: usize, stamp: &Stamp) {
        let mut command = format!("PUB {TOPIC} {}\r\n", self.size).into_bytes();
        stamp.push_payload(&mut command, "", self.size);
        command.extend_from_slice(END);
        push_masked(out, Opcode::Binary, &command);
        if self.asks && (stamp.number + 1).is_multiple_of(PUBLISHES_PER_PING) {
            push_masked(out, Opcode::Binary, b"PING\r\n");
        }
    }

    fn cut(
        &self,
        payload: &[u8],
        begun: &mut Vec<u8>,
        each: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), String> {
        cut_stream(payload, begun, |bytes| self.command(bytes, each))
    }

    fn taken(&self, answer: &[u8]) -> Result<u64, String> {
        Ok(if answer == b"PONG" { PUBLISHES_PER_PING } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_all_cuts, heard};
    use super::*;

    #[test]
    fn commands_are_cut_wherever_frames_end() {
        let bytes = b"MSG bench 1 5\r\nhe\r\no\r\nPING\r\nINFO {}\r\nMSG bench 1 reply 0\r\n\r\n";
        let nats = Nats::new(128, false);
        assert_eq!(heard(&nats, &[bytes]).unwrap(), ["he\r\no", "asks for 12 bytes", ""]);
        check_all_cuts(&nats, bytes);
    }

    #[test]
    fn a_refusal_is_an_error() {
        let refused = heard(&Nats::new(128, false), &[b"-ERR 'Slow Consumer'\r\n"]);
        assert_eq!(refused, Err("'Slow Consumer'".to_owned()));
    }

    #[test]
    fn a_pong_stands_for_the_publishes_before_its_ping() {
        let (nats, mut out) = (Nats::new(128, true), Vec::new());
        let mut lengths = Vec::new();
        for number in 0..PUBLISHES_PER_PING {
            let stamp = Stamp { publisher: 0, sequence: number, number, due_nanos: 0 };
            out.clear();
            nats.push_publish(&mut out, 0, &stamp);
            lengths.push(out.len());
        }
        let ping = frame(Opcode::Binary, b"PING\r\n").len();
        assert_eq!(lengths[63], lengths[62] + ping);
        assert_eq!(nats.taken(b"PONG"), Ok(PUBLISHES_PER_PING));
    }
}
