use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::super::{Deflater, WindowBits};
use super::*;

const MANY: usize = 100_000;

fn deflate(bytes: &[u8]) -> Vec<u8> {
    Deflater::new().deflate(bytes, WindowBits::MAX)
}

/// One run of blocks that refers to `before` and ends as `flush` does.
fn blocks(before: &[u8], bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), false);
    compress.set_dictionary(before).unwrap();
    let mut out = Vec::with_capacity(bytes.len() + 100);
    compress.compress_vec(bytes, &mut out, flush).unwrap();
    out
}

#[test]
fn the_examples_of_the_rfc() {
    // RFC 7692, sections 7.2.3.1 to 7.2.3.6, those that need no earlier message.
    let hello = b"Hello";
    let table: [(&[u8], &[u8]); 5] = [
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], hello),
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], hello),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], hello),
        (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], hello),
        (&[0x00], b""),
    ];
    let mut inflater = Inflater::new();
    for (bytes, message) in table {
        assert_eq!(inflater.inflate(bytes, MANY), Ok(message.to_vec()), "{bytes:x?}");
    }
}

#[test]
fn what_other_senders_are_forgiven() {
    let mut inflater = Inflater::new();
    assert_eq!(inflater.inflate(b"", MANY), Ok(vec![]), "an empty message without its one byte");
    let finished = blocks(b"", b"Hello", FlushCompress::Finish);
    assert_eq!(inflater.inflate(&finished, MANY), Ok(b"Hello".to_vec()), "no block after the last");
}

#[test]
fn blocks_after_a_last_one_may_refer_to_those_before() {
    let first = b"one two three four five six seven".repeat(2000);
    let mut bytes = blocks(b"", &first, FlushCompress::Finish);
    let second = blocks(&first[first.len() - WINDOW_BYTES..], &first, FlushCompress::Finish);
    bytes.extend_from_slice(&second);
    bytes.push(0);
    assert!(Inflater::new().inflate(&bytes, MANY * 2).unwrap() == [&first[..], &first].concat());
    // An empty last block costs two bytes.
    let empty = |count: usize| [b"\x03\x00".repeat(count), vec![0]].concat();
    assert_eq!(Inflater::new().inflate(&empty(LAST_BLOCKS_MAX), MANY), Ok(vec![]));
    assert_eq!(Inflater::new().inflate(&empty(LAST_BLOCKS_MAX + 1), MANY), Err(Error::NotDeflate));
}

#[test]
fn what_is_no_message() {
    let table: [(&str, &[u8]); 8] = [
        ("no such block type", &[0x06]),
        ("a length without its complement", &[0x00, 0x05, 0x00, 0x05, 0x00, b'H']),
        ("half a stored block", &[0x00, 0x05, 0x00, 0xfa, 0xff, b'H', b'e', b'l']),
        ("a stored block of 1,000 bytes", &[0x00, 0xe8, 0x03, 0x17, 0xfc, b'H']),
        ("half a Huffman block", &[0xf2, 0x48, 0xcd]),
        ("no byte after a stored block", &[0x00, 0x01, 0x00, 0xfe, 0xff, b'H']),
        (
            "the four bytes that are left out",
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0, 0, 0, 255, 255],
        ),
        // RFC 7692, section 7.2.3.2: the second "Hello" of a kept window.
        ("a reference to the message before", &[0xf2, 0x00, 0x11, 0x00, 0x00]),
    ];
    let mut inflater = Inflater::new();
    for (fault, bytes) in table {
        inflater.inflate(&deflate(b"Hello"), MANY).unwrap();
        assert_eq!(inflater.inflate(bytes, MANY), Err(Error::NotDeflate), "{fault}");
    }
    // What went wrong before does not matter.
    assert_eq!(inflater.inflate(&deflate(b"Hello"), MANY), Ok(b"Hello".to_vec()));
}

#[test]
fn the_limit_is_exact() {
    let mut inflater = Inflater::new();
    for length in [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 200_000] {
        let deflated = deflate(&vec![b'x'; length]);
        let message = inflater.inflate(&deflated, length).unwrap();
        assert_eq!(message.len(), length);
        assert!(message.capacity() <= length + 1, "{length}");
        if let Some(bytes_max) = length.checked_sub(1) {
            let too_big = Err(Error::TooBig { bytes_max });
            assert_eq!(inflater.inflate(&deflated, bytes_max), too_big, "{length}");
        }
    }
    // What comes decides about memory, not what may come.
    let message = inflater.inflate(&deflate(b"Hello"), usize::MAX).unwrap();
    assert!(message.capacity() <= FIRST_BYTES_MIN);
}

#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    // After a full flush the bytes stand for themselves: 1,024 times 1 MiB is 1 GiB.
    let bomb = blocks(b"", &vec![0; 1 << 20], FlushCompress::Full).repeat(1 << 10);
    assert!(bomb.len() < 2 << 20);
    let bytes_max = 1 << 20;
    let mut inflater = Inflater::new();
    let mut output = Output { bytes: Vec::new(), step: FIRST_BYTES_MAX, bytes_max };
    let mut input = &bomb[..];
    let result = inflater.advance(&mut input, &mut output);
    assert_eq!(result, Err(Error::TooBig { bytes_max }));
    assert_eq!(output.bytes.capacity(), bytes_max + 1);
    assert!(bomb.len() - input.len() < 1 << 16, "it read on");
    assert_eq!(inflater.inflate(&bomb, bytes_max), Err(Error::TooBig { bytes_max }));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, bytes_max in 0..2000_usize) {
        if let Ok(message) = Inflater::new().inflate(&bytes, bytes_max) {
            prop_assert!(message.len() <= bytes_max);
        }
    }

    #[test]
    fn nor_does_a_message_with_a_wrong_bit(
        message in "[a-f]{0,300}",
        place: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let mut deflated = deflate(message.as_bytes());
        let place = place.index(deflated.len());
        deflated[place] ^= 1 << bit;
        if let Ok(message) = Inflater::new().inflate(&deflated, 400) {
            prop_assert!(message.len() <= 400);
        }
    }

    #[test]
    fn round_trip(message: Vec<u8>) {
        let inflated = Inflater::new().inflate(&deflate(&message), message.len());
        prop_assert_eq!(inflated, Ok(message));
    }
}
