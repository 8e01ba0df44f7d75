//! Compressed messages: within the limit or refused, whatever was inflated before; and what our
//! own side compresses comes back.

use std::cell::RefCell;

use tidings::websocket::assemble::{Event, Kind};
use tidings::websocket::deflate::inflate::Inflater;
use tidings::websocket::deflate::{Deflater, WindowBits, put_stored, stored_bytes};
use tidings::websocket::error::Error;

use super::bytes::Bytes;

const BYTES_MAX: [usize; 4] = [0, 100, 10_000, 10_000_000];
/// What a sync flush ends with, and messages are sent without (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

thread_local! {
    /// Serve all inputs, as those of a shard serve all its peers.
    static BOTH: RefCell<(Deflater, Inflater)> =
        RefCell::new((Deflater::new(), Inflater::new()));
}

/// One input: how, then what a peer sends or what is to be sent to one.
pub fn run(data: &[u8]) {
    let mut data = Bytes::new(data);
    let how = data.byte();
    BOTH.with_borrow_mut(|(deflater, inflater)| {
        if how & 1 == 0 {
            let bytes_max = BYTES_MAX[usize::from(how >> 1 & 3)];
            check_received(inflater, data.up_to(usize::MAX), bytes_max);
        } else {
            let window = WindowBits::nearest(how >> 1 & 15);
            check_sent((deflater, inflater), window, &mut data);
        }
    });
}

fn check_received(inflater: &mut Inflater, bytes: &[u8], bytes_max: usize) {
    let result = inflater.inflate(bytes, bytes_max);
    assert_eq!(result, Inflater::new().inflate(bytes, bytes_max), "something was left of others");
    for kind in [Kind::Text, Kind::Binary] {
        let event = Event::Deflated { kind, bytes: bytes.into() };
        check_event(event.inflated(inflater, bytes_max), &result, kind);
    }
    match result {
        Ok(inflated) => {
            assert!(inflated.len() <= bytes_max);
            assert!(inflated.capacity() <= bytes_max + 1, "room for {}", inflated.capacity());
            check_limit(inflater, bytes, &inflated);
            // One more block with nothing in it changes nothing, where a block may follow.
            let longer = inflater.inflate(&[bytes, &TAIL, &[0]].concat(), bytes_max);
            assert!(longer.is_err() || longer == Ok(inflated), "an empty block brought something");
        }
        Err(Error::TooBig { bytes_max: told }) => assert_eq!(told, bytes_max),
        Err(error) => assert_eq!(error, Error::NotDeflate),
    }
}

fn check_event(event: Result<Event<'_>, Error>, result: &Result<Vec<u8>, Error>, kind: Kind) {
    match (event, result, kind) {
        (Ok(Event::Text(text)), Ok(bytes), Kind::Text) => assert_eq!(text.as_bytes(), bytes),
        (Ok(Event::Binary(found)), Ok(bytes), Kind::Binary) => assert_eq!(*found, **bytes),
        (Err(Error::NotUtf8), Ok(bytes), Kind::Text) => {
            assert!(std::str::from_utf8(bytes).is_err());
        }
        (Err(error), Err(expected), _) => assert_eq!(error, *expected),
        (event, result, _) => panic!("{event:?} of {result:?}"),
    }
}

/// A message passes where it just fits and is refused where it is one byte too long.
fn check_limit(inflater: &mut Inflater, bytes: &[u8], inflated: &[u8]) {
    assert_eq!(inflater.inflate(bytes, inflated.len()).as_deref(), Ok(inflated));
    if let Some(bytes_max) = inflated.len().checked_sub(1) {
        assert_eq!(inflater.inflate(bytes, bytes_max), Err(Error::TooBig { bytes_max }));
    }
}

fn check_sent(
    (deflater, inflater): (&mut Deflater, &mut Inflater),
    window: WindowBits,
    data: &mut Bytes<'_>,
) {
    let (prefix_bytes, times) = (data.byte(), data.byte());
    let prefix = data.up_to(prefix_bytes.into());
    let shared = data.up_to(usize::MAX).repeat(usize::from(times % 16) + 1);
    let deflated = deflater.deflate(&shared, window);
    assert!(!deflated.is_empty(), "an empty message breaks the one after it");
    assert_eq!(deflated, Deflater::new().deflate(&shared, window), "something was left of others");
    if let Some(shorter) = deflater.deflate_if_shorter(&shared, window) {
        assert!(shorter == deflated && shorter.len() < shared.len());
    }
    let mut message = Vec::new();
    put_stored(prefix, &mut message);
    assert_eq!(message.len(), stored_bytes(prefix.len()));
    message.extend_from_slice(&deflated);
    let expected = [prefix, &shared].concat();
    check_limit(inflater, &message, &expected);
    // Twice in one message, as fragments of it: neither refers to what is before it.
    let twice = [&message[..], &TAIL, &message].concat();
    check_limit(inflater, &twice, &[&expected[..], &expected].concat());
}
