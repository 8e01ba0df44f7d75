use proptest::prelude::*;

use super::*;
use crate::websocket::deflate::{Deflater, WindowBits};

const LIMIT: usize = 1000;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One frame for a server; RSV1 and FIN are in `first` as on the wire.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        _ => Opcode::Pong,
    };
    let (fin, rsv1) = (first & 0x80 != 0, first & 0x40 != 0);
    let header = Header { fin, rsv1, opcode, mask: Some(KEY), length: payload.len() as u64 };
    let (bytes, used) = header.encode();
    let mut frame = bytes[..used].to_vec();
    let mut masked = payload.to_vec();
    mask::apply(KEY, 0, &mut masked);
    frame.extend(masked);
    frame
}

/// First bytes and payloads.
type Frames<'a> = &'a [(u8, &'a [u8])];

fn frames(list: Frames<'_>) -> Vec<u8> {
    list.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

fn owned(event: Event<'_>) -> Event<'static> {
    let bytes = |bytes: Cow<'_, [u8]>| Cow::Owned(bytes.into_owned());
    let text = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    match event {
        Event::Text(value) => Event::Text(text(value)),
        Event::Binary(value) => Event::Binary(bytes(value)),
        Event::Deflated { kind, bytes: value } => Event::Deflated { kind, bytes: bytes(value) },
        Event::Ping(value) => Event::Ping(bytes(value)),
        Event::Pong(value) => Event::Pong(bytes(value)),
        Event::Close { code, reason } => Event::Close { code, reason: text(reason) },
    }
}

/// Everything that comes of the chunks: events, then the error if there was one.
fn run(assembler: &mut Assembler, chunks: &[&[u8]]) -> (Vec<Event<'static>>, Option<Error>) {
    let (mut events, mut error) = (Vec::new(), None);
    for chunk in chunks {
        let mut scratch = chunk.to_vec();
        let mut input = Input::new(&mut scratch);
        loop {
            match assembler.receive(&mut input) {
                Ok(Some(event)) => events.push(owned(event)),
                Ok(None) => break,
                Err(found) => error = error.or(Some(found)),
            }
        }
        assert!(input.is_empty());
    }
    (events, error)
}

fn server() -> Assembler {
    Assembler::new(Role::Server, LIMIT, false)
}

/// What a server makes of the bytes, in one piece and byte by byte.
fn check(bytes: &[u8]) -> (Vec<Event<'static>>, Option<Error>) {
    let whole = run(&mut server(), &[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(run(&mut server(), &single), whole);
    whole
}

fn text(text: &str) -> Event<'static> {
    Event::Text(text.to_owned().into())
}

fn ping(payload: &[u8]) -> Event<'static> {
    Event::Ping(payload.to_vec().into())
}

fn close(code: Option<u16>, reason: &str) -> Event<'static> {
    Event::Close { code, reason: reason.to_owned().into() }
}

#[test]
fn messages_and_fragments() {
    let long = [b'x'; 300];
    let long_text = "x".repeat(300);
    let table: [(Frames<'_>, Vec<Event<'static>>); 10] = [
        (&[(0x81, b"Hello")], vec![text("Hello")]),
        (&[(0x81, b"")], vec![text("")]),
        (&[(0x81, b"a"), (0x82, b"b")], vec![text("a"), Event::Binary(b"b".to_vec().into())]),
        (&[(0x81, &long), (0x81, b"a")], vec![text(&long_text), text("a")]),
        (&[(0x82, b"\xff\0")], vec![Event::Binary(b"\xff\0".to_vec().into())]),
        (&[(0x01, b"Hel"), (0x80, b"lo")], vec![text("Hello")]),
        (&[(0x01, b""), (0x00, b""), (0x80, b"")], vec![text("")]),
        // Autobahn 5.6 to 5.8: control frames between fragments come out at once.
        (&[(0x01, b"a"), (0x89, b"p"), (0x80, b"b")], vec![ping(b"p"), text("ab")]),
        // Autobahn 6.2.4: a character cut in two by fragments.
        (&[(0x01, b"\xce"), (0x89, b""), (0x80, b"\xba")], vec![ping(b""), text("κ")]),
        (&[(0x8a, b"z"), (0x88, b"")], vec![Event::Pong(b"z".to_vec().into()), close(None, "")]),
    ];
    for (list, events) in table {
        assert_eq!(check(&frames(list)), (events, None), "{list:?}");
    }
}

#[test]
fn broken_sequences() {
    let table: [(Frames<'_>, Error, u16); 9] = [
        (&[(0x80, b"x")], Error::NothingToContinue, 1002),
        (&[(0x00, b"x")], Error::NothingToContinue, 1002),
        (&[(0x01, b"a"), (0x81, b"b")], Error::MessageOpen, 1002),
        (&[(0x01, b"a"), (0x02, b"b")], Error::MessageOpen, 1002),
        (&[(0xc1, b"a")], Error::ReservedBit, 1002),
        (&[(0x88, b"\x03")], Error::HalfCloseCode, 1002),
        (&[(0x88, b"\x03\xec")], Error::CloseCode(1004), 1002),
        (&[(0x88, b"\x03\xe8\xed\xa0\x80")], Error::NotUtf8, 1007),
        (&[(0x01, &[b'x'; LIMIT]), (0x80, b"y")], Error::TooBig { bytes_max: LIMIT }, 1009),
    ];
    for (list, error, code) in table {
        assert_eq!(check(&frames(list)), (vec![], Some(error)), "{list:?}");
        assert_eq!(error.close_code(), code);
        assert!(error.to_string().len() <= close::REASON_BYTES_MAX);
    }
}

#[test]
fn utf8() {
    // Autobahn 6.5 to 6.23, the borders of the encoding.
    let good = ["\u{0}", "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}"];
    let planes = ["\u{ffff}", "\u{fffe}", "\u{10000}", "\u{10ffff}", "\u{fffd}", "κόσμε"];
    for good in good.into_iter().chain(planes) {
        assert_eq!(check(&frame(0x81, good.as_bytes())), (vec![text(good)], None));
    }
    let bad: [&[u8]; 14] = [
        b"\xf8\x88\x80\x80\x80",
        b"\xf4\x90\x80\x80",
        b"\x80",
        b"\xbf",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xfe",
        b"\xce",
        b"\xf0\x90\x8d",
    ];
    for bad in bad {
        assert_eq!(check(&frame(0x81, bad)), (vec![], Some(Error::NotUtf8)), "{bad:x?}");
    }
}

#[test]
fn bad_text_is_refused_before_the_message_is_whole() {
    // Autobahn 6.4.1 to 6.4.4: no byte that could follow makes f4 90 valid.
    let bytes = [&frame(0x01, "κόσμε".as_bytes())[..], &frame(0x00, b"\xf4\x90")].concat();
    assert_eq!(check(&bytes), (vec![], Some(Error::NotUtf8)));
    let one = frame(0x81, b"\xce\xba\xf4\x90\x80\x80edited");
    let to_f4 = 6 + 3;
    assert_eq!(run(&mut server(), &[&one[..to_f4]]), (vec![], None));
    assert_eq!(run(&mut server(), &[&one[..=to_f4]]), (vec![], Some(Error::NotUtf8)));
}

#[test]
fn size_is_refused_at_the_header() {
    let bytes = frame(0x82, &[0; LIMIT + 1]);
    let too_big = Some(Error::TooBig { bytes_max: LIMIT });
    assert_eq!(run(&mut server(), &[&bytes[..7]]), (vec![], None));
    assert_eq!(run(&mut server(), &[&bytes[..8]]), (vec![], too_big));
    assert_eq!(check(&frame(0x82, &[0; LIMIT])).0.len(), 1);
    let huge = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    assert_eq!(check(&huge), (vec![], too_big));
    // A ping may come between fragments though the message is as long as may be.
    let full = frames(&[(0x02, &[0; LIMIT]), (0x89, b"p"), (0x80, b"")]);
    assert_eq!(check(&full).0.len(), 2);
}

#[test]
fn masks_by_role() {
    let plain = [0x81, 0x02, b'h', b'i'];
    assert_eq!(check(&plain), (vec![], Some(Error::NotMasked)));
    let mut client = Assembler::new(Role::Client, LIMIT, false);
    assert_eq!(run(&mut client, &[&plain]), (vec![text("hi")], None));
    assert_eq!(run(&mut client, &[&frame(0x81, b"hi")]), (vec![], Some(Error::Masked)));
}

#[test]
fn rsv1_with_deflate() {
    let run =
        |list: Frames<'_>| run(&mut Assembler::new(Role::Server, LIMIT, true), &[&frames(list)]);
    let deflated =
        |bytes: &[u8]| vec![Event::Deflated { kind: Kind::Text, bytes: bytes.to_vec().into() }];
    assert_eq!(run(&[(0xc1, b"\xff")]), (deflated(b"\xff"), None));
    assert_eq!(run(&[(0x41, b"\xff"), (0x80, b"\xfe")]), (deflated(b"\xff\xfe"), None));
    assert_eq!(run(&[(0x81, b"plain")]), (vec![text("plain")], None));
    assert_eq!(run(&[(0x41, b""), (0xc0, b"")]), (vec![], Some(Error::ReservedBit)));
    assert_eq!(run(&[(0xc9, b"")]), (vec![], Some(Error::ReservedBit)));
}

#[test]
fn deflated_messages_become_plain_ones() {
    let mut inflater = Inflater::new();
    let mut inflate = |event: Event<'static>| event.inflated(&mut inflater, LIMIT);
    let deflated = |kind, bytes: &[u8]| {
        let bytes = Deflater::new().deflate(bytes, WindowBits::MAX).into();
        Event::Deflated { kind, bytes }
    };
    assert_eq!(inflate(deflated(Kind::Text, "κόσμε".as_bytes())), Ok(text("κόσμε")));
    assert_eq!(inflate(deflated(Kind::Binary, b"\xff")), Ok(Event::Binary(b"\xff"[..].into())));
    for plain in [text("a"), ping(b"\xff"), close(None, "")] {
        assert_eq!(inflate(plain.clone()), Ok(plain));
    }
    let long = [b'x'; LIMIT + 1];
    assert_eq!(inflate(deflated(Kind::Text, &long[1..])).unwrap(), text(&"x".repeat(LIMIT)));
    let cut = Event::Deflated { kind: Kind::Text, bytes: b"\xf2\x48"[..].into() };
    let table = [
        (deflated(Kind::Text, b"\xff"), Error::NotUtf8, 1007),
        (cut, Error::NotDeflate, 1007),
        (deflated(Kind::Text, &long), Error::TooBig { bytes_max: LIMIT }, 1009),
        (deflated(Kind::Binary, &long), Error::TooBig { bytes_max: LIMIT }, 1009),
    ];
    for (event, error, code) in table {
        assert_eq!(inflate(event), Err(error));
        assert_eq!(error.close_code(), code);
        assert!(error.to_string().len() <= close::REASON_BYTES_MAX);
    }
}

#[test]
fn nothing_counts_after_a_close_or_an_error() {
    let closed = frames(&[(0x88, b"\x03\xe8bye"), (0x81, b"late")]);
    assert_eq!(check(&closed), (vec![close(Some(1000), "bye")], None));
    let broken = frames(&[(0x80, b""), (0x81, b"late")]);
    assert_eq!(check(&broken), (vec![], Some(Error::NothingToContinue)));
}

#[test]
fn whole_frames_are_borrowed_and_nothing_is_kept() {
    let mut scratch = frames(&[(0x81, b"Hello"), (0x89, b"p"), (0x88, b"\x03\xe8x")]);
    let mut input = Input::new(&mut scratch);
    let mut assembler = server();
    for _ in 0..3 {
        let event = assembler.receive(&mut input).unwrap().unwrap();
        let borrowed = match event {
            Event::Text(text) => matches!(text, Cow::Borrowed(_)),
            Event::Ping(bytes) => matches!(bytes, Cow::Borrowed(_)),
            Event::Close { reason, .. } => matches!(reason, Cow::Borrowed(_)),
            _ => false,
        };
        assert!(borrowed);
        assert!(assembler.open.is_none());
    }
}

#[test]
fn memory_is_given_back() {
    let mut assembler = server();
    let bytes = frames(&[(0x01, b"Hel"), (0x89, b"ping"), (0x80, b"lo")]);
    for byte in &bytes[..bytes.len() - 1] {
        run(&mut assembler, &[&[*byte]]);
        assert!(assembler.open.is_some());
    }
    assert_eq!(run(&mut assembler, &[&bytes[bytes.len() - 1..]]).0, [text("Hello")]);
    assert!(assembler.open.is_none());
    assert!(size_of::<Assembler>() <= 24);
}

fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        "\\PC{0,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..150)
    ];
    let first = prop::sample::select(&[0x81, 0x01, 0x80, 0x00, 0x82, 0x89, 0x8a, 0x88][..]);
    let one = (first, payload).prop_map(|(first, mut payload)| {
        payload.truncate(if first & 0x08 == 0 { 150 } else { 125 });
        frame(first, &payload)
    });
    prop::collection::vec(one, 1..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_events(
        bytes in any_frames(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(run(&mut server(), &chunks), run(&mut server(), &[&bytes]));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, deflate: bool, client: bool) {
        let role = if client { Role::Client } else { Role::Server };
        run(&mut Assembler::new(role, LIMIT, deflate), &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        run(&mut Assembler::new(role, LIMIT, deflate), &single);
    }
}
