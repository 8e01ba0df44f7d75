//! Frame headers (RFC 6455, section 5.2).

use super::error::Error;

/// Longest header: two bytes, a 64-bit length, a mask.
pub const HEADER_BYTES_MAX: usize = 14;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A further fragment of the message that is open.
    Continuation = 0,
    /// A text message or its first fragment.
    Text = 1,
    /// A binary message or its first fragment.
    Binary = 2,
    /// The peer closes, or answers a close.
    Close = 8,
    /// To be answered by a pong with the same payload.
    Ping = 9,
    /// The answer to a ping, or a sign of life.
    Pong = 10,
}

impl Opcode {
    /// Whether the frame may stand inside a fragmented message.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn from_bits(bits: u8) -> Result<Self, Error> {
        match bits {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            2 => Ok(Self::Binary),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            reserved => Err(Error::ReservedOpcode(reserved)),
        }
    }
}

/// One frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The last frame of its message.
    pub fin: bool,
    /// The message is deflated (RFC 7692, section 6); stands in its first frame only.
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The key that the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub length: u64,
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;
/// Lengths up to this one stand in the second byte; it is also the limit of a control frame.
const LENGTH_7_MAX: u8 = 125;

impl Header {
    /// Reads the header at the beginning of `bytes`, and how many bytes it takes.
    ///
    /// `None` asks for more bytes. What is wrong is told with the first byte that shows it, so
    /// that the answer does not depend on how the bytes were cut up.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        if first & RSV2_RSV3 != 0 {
            return Err(Error::ReservedBit);
        }
        let (fin, opcode) = (first & FIN != 0, Opcode::from_bits(first & 0x0f)?);
        if opcode.is_control() && !fin {
            return Err(Error::ControlFragmented);
        }
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        if opcode.is_control() && second & !MASKED > LENGTH_7_MAX {
            return Err(Error::ControlTooLong);
        }
        let Some((length, rest)) = length(second & !MASKED, rest)? else { return Ok(None) };
        let (mask, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(*mask), rest)
        };
        let header = Self { fin, rsv1: first & RSV1 != 0, opcode, mask, length };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// The header's bytes; the second value tells how many of them count.
    ///
    /// Lengths of 64 bits are cut to the 63 that the wire has.
    pub fn encode(&self) -> ([u8; HEADER_BYTES_MAX], usize) {
        let mut bytes = [0; HEADER_BYTES_MAX];
        let (plain, mut used) = server_header(self.opcode, self.rsv1, self.length);
        bytes[..plain.len()].copy_from_slice(&plain);
        if !self.fin {
            bytes[0] &= !FIN;
        }
        if let Some(mask) = self.mask {
            bytes[1] |= MASKED;
            bytes[used..used + mask.len()].copy_from_slice(&mask);
            used += mask.len();
        }
        (bytes, used)
    }
}

/// The length that the second byte announces, and what follows it.
fn length(announced: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Error> {
    let (length, shorter_max, rest) = match announced {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*length)), u64::from(LENGTH_7_MAX), rest)
        }
        127 => {
            if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
                return Err(Error::LengthTooLarge);
            }
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*length), u64::from(u16::MAX), rest)
        }
        length => return Ok(Some((u64::from(length), rest))),
    };
    if length <= shorter_max {
        return Err(Error::LengthNotShortest);
    }
    Ok(Some((length, rest)))
}

/// The header of a whole, unmasked message; the second value tells how many bytes count.
#[inline]
pub fn server_header(opcode: Opcode, rsv1: bool, length: u64) -> ([u8; 10], usize) {
    let first = FIN | if rsv1 { RSV1 } else { 0 } | opcode as u8;
    let mut bytes = [first, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=LENGTH_7_MAX), _) => {
            bytes[1] = length;
            (bytes, 2)
        }
        (_, Ok(length)) => {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            (bytes, 4)
        }
        (_, Err(_)) => {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(length & (u64::MAX >> 1)).to_be_bytes());
            (bytes, 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 6455, section 5.7.
        let mask = Some([0x37, 0xfa, 0x21, 0x3d]);
        let header = |fin, opcode, mask, length| Header { fin, rsv1: false, opcode, mask, length };
        let table: [(&[u8], Header); 7] = [
            (&[0x81, 0x05], header(true, Opcode::Text, None, 5)),
            (&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d], header(true, Opcode::Text, mask, 5)),
            (&[0x01, 0x03], header(false, Opcode::Text, None, 3)),
            (&[0x80, 0x02], header(true, Opcode::Continuation, None, 2)),
            (&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], header(true, Opcode::Pong, mask, 5)),
            (&[0x82, 0x7e, 0x01, 0x00], header(true, Opcode::Binary, None, 256)),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], header(true, Opcode::Binary, None, 65536)),
        ];
        for (bytes, header) in table {
            assert_eq!(Header::decode(bytes), Ok(Some((header, bytes.len()))));
            let (encoded, used) = header.encode();
            assert_eq!(&encoded[..used], bytes);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_first_byte_that_shows_it() {
        let table: [(&[u8], Error); 12] = [
            (&[0x90], Error::ReservedBit),
            (&[0xa1], Error::ReservedBit),
            (&[0x83], Error::ReservedOpcode(3)),
            (&[0x87], Error::ReservedOpcode(7)),
            (&[0x8b], Error::ReservedOpcode(11)),
            (&[0x8f], Error::ReservedOpcode(15)),
            (&[0x09], Error::ControlFragmented),
            (&[0x88, 126], Error::ControlTooLong),
            (&[0x89, 0xff], Error::ControlTooLong),
            (&[0x81, 126, 0, 125], Error::LengthNotShortest),
            (&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Error::LengthNotShortest),
            (&[0x81, 127, 0x80], Error::LengthTooLarge),
        ];
        for (bytes, error) in table {
            assert_eq!(Header::decode(bytes), Err(error), "{bytes:x?}");
            assert_eq!(Header::decode(&bytes[..bytes.len() - 1]), Ok(None), "{bytes:x?}");
        }
    }

    fn any_header() -> impl Strategy<Value = Header> {
        let opcodes = [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Ping];
        let lengths = prop_oneof![0..=126_u64, 65_530..65_540_u64, 0..=u64::MAX >> 1];
        let parts = (any::<bool>(), any::<bool>(), prop::sample::select(opcodes.to_vec()));
        (parts, any::<Option<[u8; 4]>>(), lengths).prop_map(
            |((fin, rsv1, opcode), mask, length)| {
                let control = opcode.is_control();
                let length = if control { length % 126 } else { length };
                Header { fin: fin || control, rsv1, opcode, mask, length }
            },
        )
    }

    proptest! {
        #[test]
        fn round_trip(header in any_header()) {
            let (bytes, used) = header.encode();
            prop_assert_eq!(Header::decode(&bytes[..used]), Ok(Some((header, used))));
            for cut in 0..used {
                prop_assert_eq!(Header::decode(&bytes[..cut]), Ok(None));
            }
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes: [u8; HEADER_BYTES_MAX]) {
            if let Ok(Some((header, used))) = Header::decode(&bytes) {
                let (again, length) = header.encode();
                prop_assert_eq!(&again[..length], &bytes[..used]);
            }
        }
    }
}
