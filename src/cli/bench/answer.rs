//! What the measurements read of a server's answers, without parsing all of them.

/// The id of the operation that is answered, if it is one of ours: a hexadecimal number.
pub(super) fn id(text: &[u8]) -> Option<u64> {
    u64::from_str_radix(value(text, b"\"id\":\"")?, 16).ok()
}

/// The cursor in a result or a receipt.
pub(super) fn cursor(text: &[u8]) -> Option<&str> {
    value(text, b"\"cursor\":\"")
}

/// Nothing more comes of the operation.
pub(super) fn is_complete(text: &[u8]) -> bool {
    find(text, b"\"type\":\"complete\"").is_some()
}

/// For people.
pub(super) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// What stands between this and the next quotation mark.
fn value<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let rest = &text[find(text, name)? + name.len()..];
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let receipt =
            br#"{"id":"1f","type":"next","payload":{"data":{"publish":{"cursor":"a-1z"}}}}"#;
        assert_eq!((id(receipt), cursor(receipt)), (Some(31), Some("a-1z")));
        assert!(!is_complete(receipt));
        let end = br#"{"id":"1f","type":"complete"}"#;
        assert_eq!((id(end), cursor(end), is_complete(end)), (Some(31), None, true));
        assert_eq!(id(br#"{"type":"ping"}"#), None);
    }
}
