//! The messages to a client that both dialects have, and JSON strings for all of them.

use std::fmt;

use super::OperationId;

pub(super) fn ack(payload: &str) -> String {
    format!(r#"{{"type":"connection_ack","payload":{payload}}}"#)
}

pub(super) fn complete(id: &OperationId) -> String {
    format!(r#"{{"id":{},"type":"complete"}}"#, Quoted(id.as_str()))
}

/// Displays the text as a JSON string.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if self.0.bytes().all(is_plain) {
            write!(f, "\"{}\"", self.0)
        } else {
            serde_json::Value::from(self.0).fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_reads_back(text: String) {
            let json = Quoted(&text).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
