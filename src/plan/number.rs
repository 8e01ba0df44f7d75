//! Order of JSON numbers, exact for 64-bit integers.

use std::cmp::Ordering;

use serde_json::Number;

/// Compares by value: `1` equals `1.0`, and no integer of 64 bits is rounded.
pub fn compare(left: &Number, right: &Number) -> Ordering {
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        return left.cmp(&right);
    }
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => integer_to_float(left, float(right)),
        (None, Some(right)) => integer_to_float(right, float(left)).reverse(),
        (None, None) => float(left).total_cmp(&float(right)),
    }
}

fn integer(number: &Number) -> Option<i128> {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    // A float with an integral value compares as that integer, so -0.0 equals 0.
    whole.or_else(|| {
        let float = float(number);
        (float.fract() == 0.0 && float.abs() < 1e30).then(|| truncate(float))
    })
}

/// A JSON number is always finite: `serde_json` refuses the others.
fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "an `as` cast saturates, which keeps order")]
fn truncate(float: f64) -> i128 {
    float as i128
}

/// `right` has a fraction or is beyond every 64-bit integer.
fn integer_to_float(left: i128, right: f64) -> Ordering {
    match left.cmp(&truncate(right.floor())) {
        Ordering::Equal => Ordering::Less,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn order(left: &str, right: &str) -> Ordering {
        let number = |text: &str| match serde_json::from_str(text) {
            Ok(Value::Number(number)) => number,
            other => panic!("{other:?}"),
        };
        compare(&number(left), &number(right))
    }

    #[test]
    fn order_is_exact() {
        let rising = [
            "-1e300",
            "-9223372036854775808",
            "-1.5",
            "-1",
            "-0.5",
            "0",
            "0.5",
            "1",
            "1.5",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "18446744073709551614",
            "18446744073709551615",
            "1e300",
        ];
        for (low, left) in rising.iter().enumerate() {
            for (high, right) in rising.iter().enumerate() {
                assert_eq!(order(left, right), low.cmp(&high), "{left} {right}");
            }
        }
        for (left, right) in [("1", "1.0"), ("-0.0", "0"), ("1e2", "100")] {
            assert_eq!(order(left, right), Ordering::Equal, "{left} {right}");
        }
    }
}
