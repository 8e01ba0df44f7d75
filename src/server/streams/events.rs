//! Server-sent events, and GraphQL over them in the distinct connections mode (PROTOCOL.md of
//! graphql-sse): one operation, one stream.
//!
//! Every result has its cursor as the event's id, which an `EventSource` sends back when it
//! connects again: then the subscription goes on there.

use axum::response::{IntoResponse, Response};

use super::bridge::Said;
use super::{Format, final_errors, headers};

pub(super) const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";

/// A comment: some clients take a response for begun only with its first bytes, and proxies close
/// what is silent.
pub(super) const COMMENT: &[u8] = b":\n\n";

const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// The results of one operation.
pub(super) struct Results {
    /// Begins with what is published from now on, so that the newest position is where it begins.
    is_live: bool,
}

impl Results {
    /// `is_live` is not known of what is no subscription to messages.
    pub(super) fn new(is_live: Option<bool>) -> Self {
        Self { is_live: is_live.unwrap_or(false) }
    }
}

/// The only result of an operation.
pub(super) fn one(result: &[u8]) -> Response {
    let mut out = Vec::with_capacity(result.len() + 64);
    push_event("next", None, &[&String::from_utf8_lossy(result)], &mut out);
    out.extend_from_slice(COMPLETE);
    (headers(EVENT_STREAM), out).into_response()
}

/// Not now: an `EventSource` that has a position takes every other status as final, and would not
/// come back. This one it takes as a stream that broke off.
pub(super) fn come_back() -> Response {
    let text = format!("retry: {}000\n\n", super::super::RETRY_AFTER_SECONDS);
    (headers(EVENT_STREAM), text).into_response()
}

impl Format for Results {
    fn write(&mut self, said: Said<'_>, out: &mut Vec<u8>) -> bool {
        match said {
            Said::Acknowledged { cursor } if self.is_live => push_id(cursor, out),
            Said::Acknowledged { .. } | Said::Ready => {}
            Said::Next { result, .. } => {
                let Parts { data, cursor, dropped } = Parts::of(result);
                match dropped {
                    None => push_event("next", cursor, &[data, "}"], out),
                    Some(dropped) => {
                        let text = [data, r#","extensions":{"dropped":"#, dropped, "}}"];
                        push_event("next", cursor, &text, out);
                    }
                }
            }
            Said::Failed { errors, .. } => return push_failed(errors, out),
            Said::Complete { .. } => {
                out.extend_from_slice(COMPLETE);
                return false;
            }
            Said::Position(cursor) => push_id(cursor, out),
            Said::Quiet => push_comment(out),
            Said::Closed { code, reason } => {
                // Without `complete` the client knows that the stream broke off, and comes back.
                if let Some(errors) = final_errors(code, reason) {
                    push_failed(&errors, out);
                }
                return false;
            }
        }
        true
    }
}

fn push_failed(errors: &str, out: &mut Vec<u8>) -> bool {
    push_event("next", None, &[r#"{"errors":"#, errors, "}"], out);
    out.extend_from_slice(COMPLETE);
    false
}

/// Appends an event whose data are these texts, one behind the other; no type is `message`.
pub(super) fn push_event(kind: &str, id: Option<&str>, data: &[&str], out: &mut Vec<u8>) {
    if !kind.is_empty() {
        push_field("event", kind, out);
    }
    if let Some(id) = id {
        push_field("id", id, out);
    }
    out.extend_from_slice(b"data: ");
    for text in data {
        // JSON may have line ends between its tokens; the client puts the lines together again.
        for (index, line) in text.split(['\n', '\r']).enumerate() {
            if index > 0 {
                out.extend_from_slice(b"\ndata: ");
            }
            out.extend_from_slice(line.as_bytes());
        }
    }
    out.extend_from_slice(b"\n\n");
}

/// Appends a position without an event: it is what the client resumes from.
pub(super) fn push_id(cursor: &str, out: &mut Vec<u8>) {
    push_field("id", cursor, out);
    out.push(b'\n');
}

/// Appends a sign of life.
pub(super) fn push_comment(out: &mut Vec<u8>) {
    out.extend_from_slice(COMMENT);
}

fn push_field(name: &str, value: &str, out: &mut Vec<u8>) {
    for part in [name, ": ", value, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// A result in parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// All of it up to the end of its data.
    pub(super) data: &'a str,
    pub(super) cursor: Option<&'a str>,
    /// How many messages were kept from this client before it.
    pub(super) dropped: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// The extensions of a message are the last member of its result, so only there they are
    /// looked for: a payload that looks the same is followed by more than these braces.
    pub(super) fn of(result: &'a str) -> Self {
        let whole =
            Self { data: result.strip_suffix('}').unwrap_or(result), cursor: None, dropped: None };
        let Some((data, rest)) = result.rsplit_once(r#","extensions":{"cursor":""#) else {
            return whole;
        };
        let Some((cursor, rest)) = rest.split_once('"') else { return whole };
        let dropped = rest.strip_prefix(r#","dropped":"#).and_then(|rest| rest.strip_suffix("}}"));
        let is_count = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        match dropped.filter(is_count) {
            None if rest != "}}" => whole,
            dropped => Self { data, cursor: Some(cursor), dropped },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_in_parts() {
        let inner = r#"{"data":{"presence":{"state":{"a":1,"extensions":{"cursor":"x"}}}}}"#;
        let deeper = r#"{"data":{"m":{"a":1,"extensions":{"cursor":"x"}}}"#;
        let parts = |data, cursor, dropped| Parts { data, cursor, dropped };
        let both = format!(r#"{deeper},"extensions":{{"cursor":"e-7"}}}}"#);
        let table = [
            (
                r#"{"data":{"m":{"a":1}},"extensions":{"cursor":"e-7"}}"#,
                parts(r#"{"data":{"m":{"a":1}}"#, Some("e-7"), None),
            ),
            (
                r#"{"data":{"m":1},"extensions":{"cursor":"e-7","dropped":12}}"#,
                parts(r#"{"data":{"m":1}"#, Some("e-7"), Some("12")),
            ),
            (both.as_str(), parts(deeper, Some("e-7"), None)),
            (inner, parts(&inner[..inner.len() - 1], None, None)),
            (r#"{"data":{"m":1}}"#, parts(r#"{"data":{"m":1}"#, None, None)),
        ];
        for (result, expected) in table {
            assert_eq!(Parts::of(result), expected, "{result}");
        }
    }

    #[test]
    fn an_event_has_a_line_for_each_line_of_its_data() {
        let mut out = Vec::new();
        push_event("next", Some("e-1"), &["{\n\"a\":", "1}"], &mut out);
        push_event("", None, &["1"], &mut out);
        let expected = "event: next\nid: e-1\ndata: {\ndata: \"a\":1}\n\ndata: 1\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
