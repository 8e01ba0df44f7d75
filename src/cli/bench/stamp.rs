//! What a benchmark message says about itself, in its payload.

/// Enough to check order and loss, and to measure the time on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Who sent it.
    pub publisher: u32,
    /// Counted by publisher and topic, from 0.
    pub sequence: u64,
    /// Counted over all publishers, from 0.
    pub number: u64,
    /// When it was due to be sent, in nanoseconds since the load began.
    pub due_nanos: u64,
}

/// Nothing that needs an escape, so that it is the same in a JSON object and in a string of text.
const MARKER: &[u8] = b"~~";
const DIGITS: usize = 16;
/// Four numbers of 16 hexadecimal digits: always as long, so that payloads have one size.
const TEXT: usize = 4 * DIGITS;
/// The smallest payload: stamp and an empty filler.
pub(super) const PAYLOAD_BYTES_MIN: usize = r#"{"b":"~~","x":""}"#.len() + TEXT;

impl Stamp {
    /// Appends the payload, which has exactly `size` bytes if it can; it begins with `fields`.
    pub fn push_payload(&self, out: &mut Vec<u8>, fields: &str, size: usize) {
        out.push(b'{');
        out.extend_from_slice(fields.as_bytes());
        out.extend_from_slice(b"\"b\":\"");
        self.push(out);
        out.extend_from_slice(b"\",\"x\":\"");
        let filler = size.saturating_sub(PAYLOAD_BYTES_MIN + fields.len());
        push_filler(out, filler, self.number);
        out.extend_from_slice(b"\"}");
    }

    /// Appends a payload that is no JSON but text, of `size` bytes if it can.
    pub fn push_text(&self, out: &mut Vec<u8>, size: usize) {
        self.push(out);
        push_filler(out, size.saturating_sub(MARKER.len() + TEXT), self.number);
    }

    fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MARKER);
        for number in [u64::from(self.publisher), self.sequence, self.number, self.due_nanos] {
            push_hex(out, number, DIGITS);
        }
    }

    /// Finds the stamp in a delivered message. `hint` is where it was in the one before: messages
    /// of one subscription differ by a digit or two.
    pub fn find(text: &[u8], hint: &mut usize) -> Option<Self> {
        let here = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(MARKER));
        if !here(*hint) {
            *hint = (0..text.len().saturating_sub(MARKER.len() + TEXT)).find(|at| here(*at))?;
        }
        let text = text.get(*hint + MARKER.len()..)?.get(..TEXT)?;
        let number = |index: usize| parse_hex(&text[index * DIGITS..][..DIGITS]);
        Some(Self {
            publisher: u32::try_from(number(0)?).ok()?,
            sequence: number(1)?,
            number: number(2)?,
            due_nanos: number(3)?,
        })
    }
}

/// How many messages the server says it left out before a delivered one: `extensions.dropped`,
/// which is the last thing in its text.
pub(super) fn dropped(text: &[u8]) -> u64 {
    const NAME: &[u8] = b"\"dropped\":";
    // Twenty digits at the most, and the braces.
    let end = &text[text.len().saturating_sub(NAME.len() + 24)..];
    let found = end.windows(NAME.len()).position(|window| window == NAME);
    let digits = found.map_or(&[][..], |at| &end[at + NAME.len()..]);
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// Words in an order of their own for every message: they compress about as JSON of the field does.
fn push_filler(out: &mut Vec<u8>, size: usize, seed: u64) {
    const WORDS: [&[u8]; 16] = [
        b"symbol:",
        b"AAPL ",
        b"MSFT ",
        b"bid:",
        b"ask:",
        b"volume:",
        b"venue:",
        b"XNAS ",
        b"true ",
        b"false ",
        b"at:2026-",
        b"price ",
        b"open ",
        b"close ",
        b"null ",
        b"sensor ",
    ];
    let end = out.len() + size;
    let mut random = seed;
    while out.len() < end {
        // Knuth's multiplier for a linear congruential generator of 64 bits.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let word = usize::try_from(random >> 60).unwrap_or(0);
        out.extend_from_slice(WORDS[word]);
        push_hex(out, random >> 40 & 0xffff, 4);
        out.push(b' ');
    }
    out.truncate(end);
}

fn push_hex(out: &mut Vec<u8>, number: u64, digits: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for shift in (0..digits).rev() {
        let digit = (number >> (shift * 4)) & 0xf;
        out.push(HEX[usize::try_from(digit).unwrap_or(0)]);
    }
}

fn parse_hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |number: u64, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp =
        Stamp { publisher: 3, sequence: 77, number: u64::MAX, due_nanos: 0x0123_4567_89ab_cdef };

    #[test]
    fn a_payload_is_json_of_the_size_asked_for() {
        for size in [PAYLOAD_BYTES_MIN, 100, 4096] {
            let mut payload = Vec::new();
            STAMP.push_payload(&mut payload, "", size);
            assert_eq!(payload.len(), size);
            assert!(serde_json::from_slice::<serde_json::Value>(&payload).unwrap().is_object());
        }
    }

    #[test]
    fn what_was_dropped_is_read_from_the_end() {
        let text = |data: &str, end: &str| format!(r#"{{"payload":{{"data":{data}{end}}}}}"#);
        let told = r#","extensions":{"dropped":1207}"#;
        assert_eq!(dropped(text("{}", told).as_bytes()), 1207);
        let long = format!("\"{}\"", "x".repeat(100));
        assert_eq!(dropped(text(&long, told).as_bytes()), 1207);
        assert_eq!(dropped(text(&long, "").as_bytes()), 0);
        assert_eq!(dropped(b"{}"), 0);
    }

    #[test]
    fn a_stamp_is_found_wherever_it_is() {
        let mut hint = 0;
        for head in [r#"{"id":"1","payload":"#, "", r#"{"id":"1","cursor":"k","payload":"#] {
            let mut text = head.as_bytes().to_vec();
            STAMP.push_payload(&mut text, "", 128);
            assert_eq!(Stamp::find(&text, &mut hint), Some(STAMP), "{head}");
        }
        assert_eq!(Stamp::find(b"{\"type\":\"complete\"}", &mut hint), None);
        assert_eq!(Stamp::find(b"~~0123", &mut 0), None);
    }
}
