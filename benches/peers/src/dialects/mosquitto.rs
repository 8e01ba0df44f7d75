//! MQTT 3.1.1 over WebSocket: packets in binary frames, all of them at most once (QoS 0).

use tidings::cli::bench::dialect::{Dialect, Heard, Opening, Step, push_masked};
use tidings::cli::bench::stamp::Stamp;
use tidings::websocket::frame::Opcode;

use super::{TOPIC, cut_stream, frame};

/// A clean session without keep-alive or a name.
const CONNECT: &[u8] = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00";
const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const SUBACK: &[u8] = b"\x90\x03\x00\x01\x00";
const SUBSCRIBE: u8 = 0x82;
const PUBLISH: u8 = 0x30;

/// mosquitto.
#[derive(Debug)]
pub struct Mosquitto {
    /// Bytes of a payload.
    pub size: usize,
}

impl Dialect for Mosquitto {
    fn subscriber(&self, _index: usize) -> Opening {
        let mut body = vec![0, 1];
        push_topic(&mut body);
        body.push(0);
        let send = frame(Opcode::Binary, &packet(SUBSCRIBE, &body));
        let mut opening = self.publisher();
        opening.steps.push(Step { send, until: Some(SUBACK) });
        opening
    }

    fn publisher(&self) -> Opening {
        let connected = Step { send: frame(Opcode::Binary, CONNECT), until: Some(CONNACK) };
        Opening { path: "/mqtt".to_owned(), subprotocol: Some("mqtt"), steps: vec![connected] }
    }

    fn push_publish(&self, out: &mut Vec<u8>, _topic: usize, stamp: &Stamp) {
        let mut body = Vec::with_capacity(self.size + 16);
        push_topic(&mut body);
        stamp.push_payload(&mut body, "", self.size);
        push_masked(out, Opcode::Binary, &packet(PUBLISH, &body));
    }

    fn cut(
        &self,
        payload: &[u8],
        begun: &mut Vec<u8>,
        each: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), String> {
        cut_stream(payload, begun, |bytes| {
            let Some((body, end)) = body(bytes)? else { return Ok(None) };
            if bytes[0] & 0xf0 == PUBLISH {
                let topic =
                    body.get(..2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
                let message = topic.and_then(|topic| body.get(2 + topic..));
                each(Heard::Message(message.ok_or("a packet has no topic")?));
            }
            Ok(Some(end))
        })
    }

    /// Nothing answers a publish at most once.
    fn taken(&self, _answer: &[u8]) -> Result<u64, String> {
        Ok(0)
    }
}

fn push_topic(body: &mut Vec<u8>) {
    body.extend_from_slice(&u16::try_from(TOPIC.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend_from_slice(TOPIC.as_bytes());
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = body.len();
    loop {
        let digit = u8::try_from(length % 128).unwrap_or(0);
        length /= 128;
        packet.push(digit | if length > 0 { 0x80 } else { 0 });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

/// What is in the first packet, and where that ends, if it is all there.
fn body(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, String> {
    let mut length = 0;
    for (index, digit) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(digit & 0x7f) << (7 * index);
        if digit & 0x80 == 0 {
            let (start, end) = (index + 2, index + 2 + length);
            return Ok(bytes.get(start..end).map(|body| (body, end)));
        }
    }
    if bytes.len() > 4 { Err("a packet's length has no end".to_owned()) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::super::{check_all_cuts, heard};
    use super::*;

    #[test]
    fn packets_are_cut_wherever_frames_end() {
        let long = "x".repeat(130);
        let mut bytes = packet(PUBLISH, b"\x00\x05benchone");
        bytes.extend(packet(0xd0, b""));
        bytes.extend(packet(PUBLISH, format!("\0\x05bench{long}").as_bytes()));
        let mosquitto = Mosquitto { size: 128 };
        assert_eq!(heard(&mosquitto, &[&bytes]).unwrap(), ["one", &long]);
        check_all_cuts(&mosquitto, &bytes);
    }

    #[test]
    fn what_is_no_packet_is_an_error() {
        let mosquitto = Mosquitto { size: 128 };
        assert!(heard(&mosquitto, &[&[0x30, 0xff, 0xff, 0xff, 0xff, 0xff]]).is_err());
        assert!(heard(&mosquitto, &[&[0x30, 2, 0, 9]]).is_err());
    }
}
