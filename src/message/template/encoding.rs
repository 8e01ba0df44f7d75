//! Values as tokens: what a token may not hold is percent-encoded, and `%` itself.

use std::fmt::Write;

/// Appends the value's token.
pub(super) fn encode(value: &str, is_first_token: bool, out: &mut String) {
    for (index, character) in value.char_indices() {
        if is_reserved(character) || (is_first_token && index == 0 && character == '$') {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // A `String` takes everything.
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(character);
        }
    }
}

/// The value of a token; `None` if [`encode`] writes it otherwise, or never.
pub(super) fn decode(token: &str, is_first_token: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut parts = token.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (byte, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(byte, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let value = String::from_utf8(bytes).ok()?;
    let mut again = String::with_capacity(token.len());
    encode(&value, is_first_token, &mut again);
    (again == token).then_some(value)
}

fn is_reserved(character: char) -> bool {
    matches!(character, '.' | '*' | '>' | '%')
        || character.is_whitespace()
        || character.is_control()
}
