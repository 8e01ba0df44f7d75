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
    /// From microseconds since the Unix epoch; what lies outside of the years -9999 to 9999 becomes
    /// the first or last moment in them.
    pub fn from_micros(micros: i64) -> Self {
        let second = 1_000_000;
        let least = jiff::Timestamp::MIN.as_second() * second;
        let most = jiff::Timestamp::MAX.as_second() * second;
        Self(micros.clamp(least, most))
    }

    /// Microseconds since the Unix epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 time with any offset.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self::from_micros(time.as_microsecond()))
            .map_err(|_| TimestampError(text.chars().take(64).collect()))
    }
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
        for bad in ["", "yesterday", "2026-11-21", "2026-11-21T14:30:00", "1"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
        assert!(Timestamp::from_micros(i64::MAX).to_string().starts_with("9999-"));
    }
}
