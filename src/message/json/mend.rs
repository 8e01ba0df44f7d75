//! JSON that is valid text and yet has no tree: numbers beyond doubles, and halves of surrogate
//! pairs. RFC 8259, sections 6 and 8.2, leaves both open.

use std::fmt::Write as _;

/// The text with the last double of the same sign for numbers beyond it, and U+FFFD for surrogates
/// that stand alone. It has to be valid JSON.
pub(super) fn mended(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token_bytes(first, rest));
        match token.parse::<f64>() {
            _ if first == '"' => push_string(token, &mut out),
            // What rounds to the last double is beyond it for `serde_json`.
            Ok(number) if serde_json::from_str::<f64>(token).is_err() => {
                let last = f64::MAX.copysign(number);
                // Writing to a String cannot fail.
                let _ = write!(out, "{last:e}");
            }
            _ => out.push_str(token),
        }
        rest = after;
    }
    out
}

/// Bytes of the string, number or other character that the text begins with.
fn token_bytes(first: char, text: &str) -> usize {
    match first {
        '"' => {
            let mut escaped = false;
            let ends = |(_, byte): &(usize, u8)| {
                let ends = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                ends
            };
            text.bytes().enumerate().skip(1).find(ends).map_or(text.len(), |(at, _)| at + 1)
        }
        '-' | '0'..='9' => text.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(text.len()),
        other => other.len_utf8(),
    }
}

fn push_string(token: &str, out: &mut String) {
    let mut rest = token;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let length = match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(Half::High), Some(Half::Low)) => 12,
            (Some(_), _) => {
                out.push('\u{fffd}');
                rest = &escape[6..];
                continue;
            }
            (None, _) => 2,
        };
        // An escape is a backslash and an ASCII character at the least.
        out.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    out.push_str(rest);
}

enum Half {
    High,
    Low,
}

/// The half of a pair that an escape at the beginning of the text stands for.
fn surrogate(text: &str) -> Option<Half> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Json;

    #[test]
    fn the_tree_ends_where_doubles_end() {
        let text = r#"["-1e999\"1e999",{"1e999":-1e999},1e400,12,1e-999,1.7976931348623158e308]"#;
        let json = Json::parse(text).unwrap();
        assert_eq!(json.as_str(), text);
        let tree = json!(["-1e999\"1e999", {"1e999": f64::MIN}, f64::MAX, 12, 0.0, f64::MAX]);
        assert_eq!(json.to_value(), tree);
    }

    #[test]
    fn a_half_of_a_pair_becomes_the_replacement_character() {
        let table = [
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d""#, "\u{fffd}"),
            (r#""a\\\ude00b\n""#, "a\\\u{fffd}b\n"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
        ];
        for (text, tree) in table {
            assert_eq!(Json::parse(text).unwrap().to_value(), json!(tree), "{text}");
        }
    }
}
