//! Cursors: the epoch of a log and a place in it, as opaque text for clients.

use std::fmt;

/// Which log a cursor belongs to; a log that was lost and started anew has another epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

/// A place in the log. Strictly increasing in log order; 0 is before the first message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Sequence(pub u64);

/// A position that clients hold: they compare cursors for equality only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The log.
    pub epoch: Epoch,
    /// The place in it.
    pub sequence: Sequence,
}

/// The text is no cursor of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a cursor; send one back exactly as it was received, or \"earliest\"")]
pub struct CursorError(String);

impl Epoch {
    /// 50 bits make ten characters at the most: cursors travel with every delivery.
    pub fn new(random: u64) -> Self {
        Self(random & ((1 << 50) - 1))
    }

    /// As a number that [`Self::new`] makes the same epoch of.
    pub fn bits(self) -> u64 {
        self.0
    }
}

impl Sequence {
    /// Before the first message.
    pub const ZERO: Self = Self(0);

    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Cursor {
    /// Reads a cursor that a client sent back.
    pub fn parse(text: &str) -> Result<Self, CursorError> {
        let parts = text.split_once('-').and_then(|(epoch, sequence)| {
            Some(Self {
                epoch: Epoch(from_base36(epoch)?),
                sequence: Sequence(from_base36(sequence)?),
            })
        });
        parts
            .filter(|cursor| cursor.to_string() == text)
            .ok_or_else(|| CursorError(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; 2 * BASE36_DIGITS_MAX + 1];
        let at = to_base36(self.sequence.0, &mut buffer);
        buffer[at - 1] = b'-';
        let at = to_base36(self.epoch.0, &mut buffer[..at - 1]);
        let text = &buffer[at..];
        f.write_str(std::str::from_utf8(text).unwrap_or_default())
    }
}

/// `u64::MAX` has 13 digits to the base 36.
const BASE36_DIGITS_MAX: usize = 13;

/// Writes the number to the end of the buffer and returns where it begins.
fn to_base36(mut number: u64, buffer: &mut [u8]) -> usize {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = DIGITS[usize::try_from(number % 36).unwrap_or_default()];
        number /= 36;
        if number == 0 {
            return at;
        }
    }
}

fn from_base36(text: &str) -> Option<u64> {
    // `from_str_radix` takes a sign; a cursor has none.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    if digits { u64::from_str_radix(text, 36).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(epoch: u64, sequence: u64) {
            let cursor = Cursor { epoch: Epoch::new(epoch), sequence: Sequence(sequence) };
            prop_assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
        }

        #[test]
        fn other_text_is_refused_and_never_panics(text in "\\PC{0,40}") {
            if let Ok(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }

    #[test]
    fn near_misses_are_refused() {
        for bad in ["", "-", "a-", "-1", "a-+1", "a-01", "A-1", "a-1-1", "zzzzzzzzzzzzzz-1"] {
            assert!(Cursor::parse(bad).is_err(), "{bad:?}");
        }
    }
}
