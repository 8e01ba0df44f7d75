//! Multipart subscriptions (Apollo's "Multipart HTTP protocol for GraphQL Subscriptions"): each
//! result is a part, wrapped in `payload`, so that the transport has errors of its own beside it.

use axum::response::{IntoResponse, Response};

use super::bridge::Said;
use super::{Format, end_errors, headers};
use crate::protocol::close::CloseCode;
use crate::server::media::Media;
use crate::server::reply::Answer;

pub(super) const MULTIPART: &str = r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#;

/// A part ends with the boundary behind it: a client shows a result when it has seen its end.
pub(super) const BOUNDARY: &[u8] = b"\r\n--graphql";
const PART_HEAD: &[u8] = b"\r\nContent-Type: application/json\r\n\r\n";
const END: &[u8] = b"--\r\n";

/// The results of one operation.
pub(super) struct Parts;

/// The only result of an operation, for a client that wants nothing but parts.
pub(super) fn one(answer: Answer, json: Option<Media>) -> Response {
    if let Some(media) = json {
        return answer.into_response(media);
    }
    let mut out = BOUNDARY.to_vec();
    push_payload(&String::from_utf8_lossy(&answer.body), &mut out);
    out.extend_from_slice(END);
    (headers(MULTIPART), out).into_response()
}

impl Format for Parts {
    fn write(&mut self, said: Said<'_>, out: &mut Vec<u8>) -> bool {
        match said {
            Said::Acknowledged { .. } | Said::Ready | Said::Position(_) => {}
            Said::Quiet => push_part("{}", out),
            Said::Next { result, .. } => push_payload(result, out),
            Said::Failed { errors, .. } => {
                push_payload(&format!(r#"{{"errors":{errors}}}"#), out);
                out.extend_from_slice(END);
                return false;
            }
            Said::Complete { .. } => {
                out.extend_from_slice(END);
                return false;
            }
            Said::Closed { code, reason } => {
                let errors = end_errors(code.and_then(CloseCode::from_number), reason);
                push_part(&format!(r#"{{"payload":null,"errors":{errors}}}"#), out);
                out.extend_from_slice(END);
                return false;
            }
        }
        true
    }
}

fn push_payload(result: &str, out: &mut Vec<u8>) {
    push_part(&format!(r#"{{"payload":{result}}}"#), out);
}

fn push_part(body: &str, out: &mut Vec<u8>) {
    for bytes in [PART_HEAD, body.as_bytes(), BOUNDARY] {
        out.extend_from_slice(bytes);
    }
}
