//! Points in time as clients see them: RFC 3339, UTC, microseconds.

use std::fmt;

/// Microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// The text is no RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time; write it by RFC 3339, as in \"2026-11-21T14:30:00Z\"")]
pub struct TimestampError(String);

impl Timestamp {
    /// From microseconds since the Unix epoch; what lies outside of the years 0 to 9999, which
    /// RFC 3339 can write, becomes the first or last moment in them.
    pub fn from_micros(micros: i64) -> Self {
        let second = 1_000_000;
        // 0000-01-01T00:00:00Z.
        let least = -62_167_219_200 * second;
        let most = jiff::Timestamp::MAX.as_second() * second;
        Self(micros.clamp(least, most))
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 time with any offset.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let parsed = if is_rfc3339(text) { text.parse::<jiff::Timestamp>().ok() } else { None };
        let wrong = || TimestampError(text.chars().take(64).collect());
        parsed.map(|time| Self::from_micros(time.as_microsecond())).ok_or_else(wrong)
    }
}

const TO_THE_SECOND: &str = "0000-00-00T00:00:00";

/// Is it put together as RFC 3339, section 5.6, wants it? Other standards allow more.
fn is_rfc3339(text: &str) -> bool {
    let like = |text: &str, pattern: &str| {
        let fits = |(given, wanted): (u8, u8)| match wanted {
            b'0' => given.is_ascii_digit(),
            b'T' => matches!(given, b'T' | b't' | b' '),
            wanted => given == wanted,
        };
        text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
    };
    let Some((head, rest)) = text.split_at_checked(TO_THE_SECOND.len()) else { return false };
    let (is_sound, offset) = match rest.strip_prefix('.') {
        Some(rest) => {
            let offset = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            (offset.len() < rest.len(), offset)
        }
        None => (true, rest),
    };
    let is_offset = match offset.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', ..] => like(&offset[1..], "00:00") && offset[1..3] < *"24",
        _ => false,
    };
    is_sound && is_offset && like(head, TO_THE_SECOND)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Cannot fail: every constructor keeps the value within jiff's range.
        let time = jiff::Timestamp::from_microsecond(self.0).unwrap_or_default();
        write!(f, "{time:.6}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_microseconds() {
        let time = Timestamp::parse("2026-11-21T15:30:00.5+01:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-21T14:30:00.500000Z");
        assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        assert_eq!(Timestamp::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
        let wrong = "|yesterday|2026-11-21|2026-11-21T14:30:00|1|2026-11-21T14Z|20261121T143000Z|\
                     2026-11-21T14:30:00.Z|2026-11-21T14:30:00,5Z|2026-11-21T14:30:00+01|\
                     2026-11-21T14:30:00+25:00|2026-11-21T14:30:00Z[UTC]|2026-11-21T14:30:00é|\
                     2026-13-01T00:00:00Z|2026-11-21T14:30:00+0é:0";
        for bad in wrong.split('|') {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
        for good in ["2026-11-21t14:30:00z", "2026-11-21 14:30:00.123456789-00:00"] {
            assert!(Timestamp::parse(good).is_ok(), "{good}");
        }
        assert!(Timestamp::from_micros(i64::MAX).to_string().starts_with("9999-"));
        let first = Timestamp::from_micros(i64::MIN);
        assert_eq!(first.to_string(), "0000-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::parse("0000-01-01T00:00:00+01:00"), Ok(first));
    }
}
