//! nchan: the path names the channel, and a text frame is a message.

use tidings::cli::bench::dialect::{Dialect, Opening, push_masked};
use tidings::cli::bench::stamp::Stamp;
use tidings::websocket::frame::Opcode;

use super::TOPIC;

/// nchan.
#[derive(Debug)]
pub struct Nchan {
    /// Bytes of a payload.
    pub size: usize,
}

impl Dialect for Nchan {
    fn subscriber(&self, _index: usize) -> Opening {
        Opening { path: format!("/sub/{TOPIC}"), ..Opening::default() }
    }

    fn publisher(&self) -> Opening {
        Opening { path: format!("/pub/{TOPIC}"), ..Opening::default() }
    }

    fn push_publish(&self, out: &mut Vec<u8>, _topic: usize, stamp: &Stamp) {
        let mut payload = Vec::with_capacity(self.size);
        stamp.push_payload(&mut payload, "", self.size);
        push_masked(out, Opcode::Text, &payload);
    }

    /// Each publish is answered with the state of the channel.
    fn taken(&self, answer: &[u8]) -> Result<u64, String> {
        if answer.starts_with(b"queued messages") {
            return Ok(1);
        }
        Err(String::from_utf8_lossy(answer).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::heard;
    use super::*;

    #[test]
    fn a_frame_is_a_message() {
        let nchan = Nchan { size: 128 };
        assert_eq!(heard(&nchan, &[b"one", b"two"]).unwrap(), ["one", "two"]);
        assert_eq!(nchan.taken(b"queued messages: 1\r\nlast requested: 0 sec. ago\r\n"), Ok(1));
        assert!(nchan.taken(b"forbidden").is_err());
    }
}
