mod reference;

use proptest::prelude::*;

use self::reference::Reference;
use super::inflate::Inflater;
use super::*;

/// Bytes that no compressor makes shorter.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// Like events of one topic, at most 90 bytes each; they repeat at all distances.
fn events(count: usize) -> Vec<u8> {
    let event = |at: usize| {
        format!(
            "{{\"cursor\":\"{:x}\",\"value\":{},\"name\":\"n{}\"}}",
            at * 7919,
            at % 97,
            at * at
        )
    };
    (0..count).map(event).collect::<Vec<_>>().join(",").into_bytes()
}

#[test]
fn any_number_of_bits_has_a_window() {
    let table = [(0, 9), (8, 9), (9, 9), (10, 10), (14, 14), (15, 15), (255, 15)];
    for (asked, bits) in table {
        assert_eq!(WindowBits::nearest(asked).bits(), bits, "{asked}");
    }
    let indices: Vec<_> = (9..=15).map(|bits| WindowBits::nearest(bits).index()).collect();
    assert_eq!(indices, (0..WindowBits::COUNT).collect::<Vec<_>>());
}

#[test]
fn no_distance_leaves_the_window() {
    // Longer than every window. 8 bits are served by a stream for 9, and have to hold it.
    let message = [events(2000), vec![b'x'; 70_000], events(2000), noise(70_000)].concat();
    let mut deflater = Deflater::new();
    for bits in 8..=15 {
        let deflated = deflater.deflate(&message, WindowBits::nearest(bits));
        assert!(Reference::new(bits).message(&deflated) == message, "{bits}");
    }
}

#[test]
fn a_larger_window_would_not_do() {
    let block = noise(600);
    let message = [&block[..], &block].concat();
    let deflated = Deflater::new().deflate(&message, WindowBits::MAX);
    let small = || Reference::new(9).message(&deflated);
    assert!(std::panic::catch_unwind(small).is_err(), "the reference does not look at distances");
}

#[test]
fn a_message_is_never_empty() {
    let mut deflater = Deflater::new();
    for _ in 0..3 {
        assert_eq!(deflater.deflate(b"", WindowBits::MAX), [0]);
    }
}

#[test]
fn nothing_stays_from_the_message_before() {
    let mut deflater = Deflater::new();
    let first = deflater.deflate(&events(100), WindowBits::MAX);
    deflater.deflate(&noise(100_000), WindowBits::MAX);
    deflater.deflate(&noise(100_000), WindowBits::MIN);
    assert!(deflater.deflate(&events(100), WindowBits::MAX) == first);
}

#[test]
fn what_gets_no_shorter_stays_plain() {
    let text = vec![b'x'; DEFLATE_BYTES_MIN];
    let mut deflater = Deflater::new();
    let mut shorter = |bytes| deflater.deflate_if_shorter(bytes, WindowBits::MAX);
    assert!(shorter(&text).is_some_and(|deflated| deflated.len() < 20));
    assert_eq!(shorter(&text[1..]), None);
    assert_eq!(shorter(&noise(10_000)), None);
}

#[test]
fn a_stored_block_holds_65535_bytes() {
    let table = [(0, 0), (1, 1), (65_535, 1), (65_536, 2), (131_070, 2), (131_071, 3)];
    let shared = Deflater::new().deflate(b"shared", WindowBits::MAX);
    for (length, blocks) in table {
        let prefix = noise(length);
        let mut payload = Vec::new();
        put_stored(&prefix, &mut payload);
        assert_eq!(payload.len(), length + 5 * blocks);
        assert_eq!(payload.len(), stored_bytes(length));
        payload.extend_from_slice(&shared);
        assert!(Reference::new(15).message(&payload) == [&prefix, &b"shared"[..]].concat());
    }
}

/// Texts with repetitions, noise, and both in one, up to some windows long.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec("[a-d]{1,6}", 0..300).prop_map(|words| words.concat().into());
    let part = prop_oneof![
        words,
        prop::collection::vec(any::<u8>(), 0..600),
        (any::<u8>(), 0..3000_usize).prop_map(|(byte, count)| vec![byte; count]),
        (0..60_usize).prop_map(events),
        "\\PC{0,40}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// As clients with context takeover do it: one window for all messages of a connection.
    #[test]
    fn shared_bytes_fit_behind_every_prefix(
        messages in prop::collection::vec((prop::option::of(any_bytes()), any_bytes()), 1..5),
        asked in 8..=15_u8,
    ) {
        let (mut deflater, mut inflater) = (Deflater::new(), Inflater::new());
        let mut client = Reference::new(asked);
        for (prefix, body) in messages {
            let prefix = prefix.unwrap_or_default();
            let mut payload = Vec::new();
            put_stored(&prefix, &mut payload);
            payload.extend_from_slice(&deflater.deflate(&body, WindowBits::nearest(asked)));
            let message = [prefix, body].concat();
            prop_assert!(client.message(&payload) == message);
            prop_assert!(inflater.inflate(&payload, message.len()).as_ref() == Ok(&message));
        }
    }
}
