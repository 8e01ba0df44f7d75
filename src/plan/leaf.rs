//! Whether the text of a scalar or an enum fits.

use std::fmt::{self, Write as _};

use super::scan;
use super::shape::Leaf;
use crate::message::time::Timestamp;

impl Leaf {
    /// Does this JSON text, which is not `null`, fit?
    pub(super) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Int => text.parse::<i32>().is_ok(),
            Self::Float => is_number(text) && is_finite(text),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::String | Self::Id => scan::string(text).is_some(),
            Self::DateTime => scan::string(text).is_some_and(|text| is_displayed(&text)),
            Self::Enum(names) => {
                scan::string(text).is_some_and(|text| names.iter().any(|name| **name == *text))
            }
            Self::Any => true,
        }
    }

    /// What would be right, for people.
    pub(super) fn expected(&self) -> &'static str {
        match self {
            Self::Int => "an integer of 32 bits",
            Self::Float => "a finite number",
            Self::Boolean => "a boolean",
            Self::String | Self::Id => "a string",
            Self::DateTime => "a time in UTC with six digits after the point",
            Self::Enum(_) => "a value of the enum",
            Self::Any => "a value",
        }
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// Doubles have up to 308 digits before the point: shorter numbers without an exponent are finite.
fn is_finite(text: &str) -> bool {
    let is_plain = text.len() < 300 && !text.contains(['e', 'E']);
    is_plain || text.parse().is_ok_and(f64::is_finite)
}

/// Does a [`Timestamp`] display as this text?
fn is_displayed(text: &str) -> bool {
    is_common(text).unwrap_or_else(|| {
        let mut rest = Rest(text);
        let time = Timestamp::parse(text);
        time.is_ok_and(|time| write!(rest, "{time}").is_ok() && rest.0.is_empty())
    })
}

/// The same for `2026-11-21T14:30:00.500000Z` and its like, many times as fast; `None` for years
/// before 0 and after 9998, where the range of timestamps ends.
fn is_common(text: &str) -> Option<bool> {
    const FORM: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";
    let text = text.as_bytes();
    if text.len() != FORM.len() || text.starts_with(b"-") || text.starts_with(b"9999") {
        return None;
    }
    let is_digit = |form: &u8| *form == b'0';
    let has_form = |(byte, form): (&u8, &u8)| {
        if is_digit(form) { byte.is_ascii_digit() } else { byte == form }
    };
    if !text.iter().zip(FORM).all(has_form) {
        return Some(false);
    }
    let two = |at: usize| (text[at] - b'0') * 10 + (text[at + 1] - b'0');
    let (year, month, day) = (u16::from(two(0)) * 100 + u16::from(two(2)), two(5), two(8));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u8::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_date = (1..=12).contains(&month) && (1..=days).contains(&day);
    Some(is_date && two(11) < 24 && two(14) < 60 && two(17) < 60)
}

/// Takes what is written off the beginning of a text; fails where the two differ.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, written: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(written).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_displayed_slowly(text: &str) -> bool {
        Timestamp::parse(text).is_ok_and(|time| time.to_string() == text)
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for year in ["0000", "0004", "1900", "2000", "2023", "2024", "9998", "9999", "-000001"] {
            for month in 0..14 {
                for day in [0, 1, 28, 29, 30, 31, 32] {
                    let text = format!("{year}-{month:02}-{day:02}T23:59:59.999999Z");
                    assert_eq!(is_displayed(&text), is_displayed_slowly(&text), "{text}");
                }
            }
        }
    }

    #[test]
    fn hours_are_those_of_the_clock() {
        for time in ["00:00:00", "23:59:59", "24:00:00", "23:60:00", "23:59:60", "12:99:30"] {
            let text = format!("2026-11-21T{time}.000000Z");
            assert_eq!(is_displayed(&text), is_displayed_slowly(&text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_fast_way_says_what_the_slow_way_says(
            micros: i64,
            at in 0..30_usize,
            other in "[0-9Zz:. +T-]?",
        ) {
            let text = Timestamp::from_micros(micros).to_string();
            prop_assert!(is_displayed(&text), "{}", text);
            let mut wrong = text;
            let end = (at + 1).min(wrong.len());
            wrong.replace_range(at.min(end)..end, &other);
            prop_assert_eq!(is_displayed(&wrong), is_displayed_slowly(&wrong), "{}", wrong);
        }
    }
}
