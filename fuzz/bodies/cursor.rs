//! Cursors and times: what is read is written the same, and nothing else is taken for one.

use tidings::message::cursor::{Cursor, Epoch, Sequence};
use tidings::message::time::Timestamp;

use super::bytes::Bytes;

/// One input: a text that may be a cursor or a time, and as bytes the numbers of one that is.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check_cursor(text);
        check_time(text);
    }
    let mut data = Bytes::new(data);
    let (epoch, sequence) = (u64::from_le_bytes(data.array()), u64::from_le_bytes(data.array()));
    let cursor = Cursor { epoch: Epoch::new(epoch), sequence: Sequence(sequence) };
    assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
    let time = Timestamp::from_micros(i64::from_le_bytes(data.array()));
    assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
}

fn check_cursor(text: &str) {
    let parsed = Cursor::parse(text);
    assert_eq!(parsed.is_ok(), is_cursor(text), "{parsed:?}");
    match parsed {
        Ok(cursor) => assert_eq!(cursor.to_string(), text),
        Err(error) => assert!(error.to_string().len() < 1000),
    }
}

/// Two numbers to the base 36, as short as they can be, each of 64 bits at the most.
fn is_cursor(text: &str) -> bool {
    let is_number = |part: &str| {
        let digit = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        let value = part.bytes().try_fold(0_u64, |value, byte| {
            let digit = char::from(byte).to_digit(36)?;
            value.checked_mul(36)?.checked_add(digit.into())
        });
        let is_short = part == "0" || !part.starts_with('0');
        !part.is_empty() && part.bytes().all(digit) && is_short && value.is_some()
    };
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 2 && parts.iter().all(|part| is_number(part))
}

fn check_time(text: &str) {
    match Timestamp::parse(text) {
        Ok(time) => {
            assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
            assert_eq!(Timestamp::from_micros(time.as_micros()), time);
        }
        Err(error) => assert!(error.to_string().len() < 1000),
    }
}
