//! Answers that are one JSON text, with the status and headers that belong to them.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::RETRY_AFTER_SECONDS;
use super::media::Media;
use crate::graphql::error;

/// An answer before it is made a response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
    /// The methods that would have been right.
    pub(super) allow: Option<&'static str>,
    /// Seconds after which it may be tried again.
    pub(super) retry_after: Option<u64>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, body, allow: None, retry_after: None }
    }

    /// Nothing but errors: a JSON array of them.
    pub(super) fn errors(status: StatusCode, errors: &str) -> Self {
        Self::new(status, error::response(errors))
    }

    pub(super) fn refuse(status: StatusCode, reason: &str) -> Self {
        let code = match status {
            StatusCode::FORBIDDEN => error::Code::Forbidden,
            StatusCode::PAYLOAD_TOO_LARGE => error::Code::PayloadTooLarge,
            StatusCode::TOO_MANY_REQUESTS => error::Code::LimitExceeded,
            StatusCode::SERVICE_UNAVAILABLE => error::Code::Overloaded,
            _ => error::Code::BadRequest,
        };
        Self::error(status, error::Error::new(code, reason))
    }

    pub(super) fn error(status: StatusCode, error: error::Error) -> Self {
        Self::errors(status, &error::to_json(&[error]))
    }

    pub(super) fn not_allowed(allowed: &'static str, reason: &str) -> Self {
        Self { allow: Some(allowed), ..Self::refuse(StatusCode::METHOD_NOT_ALLOWED, reason) }
    }

    /// More than can be served now.
    pub(super) fn unavailable(reason: &str) -> Self {
        Self::refuse(StatusCode::SERVICE_UNAVAILABLE, reason).later()
    }

    /// Nothing is done any more, so it is safe to send it again, to another node too.
    pub(super) fn draining() -> Self {
        let reason = "the broker is draining and takes nothing new; send it again later";
        let error = error::Error::new(error::Code::Unavailable, reason).with("outcome", "refused");
        Self::error(StatusCode::SERVICE_UNAVAILABLE, error).later()
    }

    fn later(self) -> Self {
        Self { retry_after: Some(RETRY_AFTER_SECONDS.into()), ..self }
    }

    pub(super) fn into_response(self, media: Media) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, media.content_type());
        if let Some(allowed) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
