//! Durations as in `10m` and sizes as in `1MiB`: how people write them.

use std::time::Duration;

/// What a duration looks like, for errors.
pub const DURATION_FITS: &str =
    "a number with its unit, as in \"250ms\", \"10s\", \"10m\" or \"2h\", up to \"36500d\"";
/// What a size looks like, for errors.
pub const SIZE_FITS: &str = "bytes, as in 65536, \"64KiB\", \"1MiB\" or \"2GiB\"";

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A hundred years: clocks can tell the time after it.
const DURATION_MAX: Duration = Duration::from_hours(24 * 36_500);

/// Longest first where one unit begins with another.
const DURATION_UNITS: [(&str, u128); 7] = [
    ("ms", NANOS_PER_SECOND / 1_000),
    ("us", NANOS_PER_SECOND / 1_000_000),
    ("ns", 1),
    ("s", NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("h", 3_600 * NANOS_PER_SECOND),
    ("d", 86_400 * NANOS_PER_SECOND),
];

const SIZE_UNITS: [(&str, u128); 10] = [
    ("", 1),
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// Reads `250ms`, `1.5s`, `1h30m`; `None` when it is none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut nanos) = (text.trim(), 0_u128);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let (unit, scale) = DURATION_UNITS.iter().find(|(unit, _)| after.starts_with(unit))?;
        nanos = nanos.checked_add(scaled(number, *scale)?)?;
        rest = &after[unit.len()..];
    }
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).ok()?;
    let duration = Duration::new(seconds, u32::try_from(nanos % NANOS_PER_SECOND).ok()?);
    (duration <= DURATION_MAX).then_some(duration)
}

/// Reads `65536`, `64KiB`, `1.5 MB`, in any letter case; `None` when it is none.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim());
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, scale) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    u64::try_from(scaled(number, *scale)?).ok()
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// A decimal number times a scale, rounded down; a fraction has at most nine digits.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
    let whole = whole.parse::<u128>().ok().filter(|whole| *whole <= u128::from(u64::MAX))?;
    let fraction = fraction.parse::<u128>().ok()?;
    Some(whole * scale + fraction * scale / 10_u128.pow(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let table = [
            ("250ms", 250_000_000),
            ("10s", 10_000_000_000),
            ("10m", 600_000_000_000),
            ("2h", 7_200_000_000_000),
            ("1d", 86_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0s", 0),
            (" 7us ", 7_000),
        ];
        for (text, nanos) in table {
            assert_eq!(parse_duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        assert_eq!(parse_duration("36500d"), Some(DURATION_MAX));
        for bad in
            ["", "10", "s", "36501d", "ten", "-1s", "1 s", "1s1", "1..2s", ".s", "1x", "1M", "1e3s"]
        {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(parse_duration("99999999999999999999d"), None);
    }

    #[test]
    fn sizes() {
        let table = [
            ("0", 0),
            ("65536", 65_536),
            ("1MiB", 1 << 20),
            ("256kib", 256 << 10),
            ("1.5 KiB", 1_536),
            ("1kB", 1_000),
            ("2GiB", 2 << 30),
            ("10B", 10),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "MiB", "1M", "one", "-1", "1MiBs", "1 MiB x", "99999999TiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
