//! Pages that call over HTTP: foreign ones are refused, listed ones get the headers they need.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, VARY,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::media::Media;
use super::reply::Answer;
use super::{App, origin};

/// A request that may be answered.
#[derive(Debug)]
pub(super) struct Gate {
    cross_origin: Option<HeaderValue>,
}

/// Headers of requests that are not safe-listed (Fetch, section 2.2.2).
const REQUEST_HEADERS: &str = "content-type, authorization, last-event-id, idempotency-key, \
                               if-match, if-none-match, x-graphql-event-stream-token";

impl Gate {
    /// Refuses pages that may not call.
    pub(super) fn check(app: &App, remote: SocketAddr, request: &Request) -> Result<Self, Answer> {
        let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
        let options = app.options.load();
        let (headers, origins) = (request.headers(), &options.origins);
        if !origin::is_allowed(headers, host.as_deref(), remote.ip(), origins) {
            let reason = "pages of this origin may not call the broker; allow it with --origin";
            return Err(Answer::refuse(StatusCode::FORBIDDEN, reason));
        }
        if origin::is_blind(headers) {
            let reason = "a page of another host must ask in the mode cors";
            return Err(Answer::refuse(StatusCode::FORBIDDEN, reason));
        }
        // By TLS, a name that is not ours has no certificate either.
        if request.method() == Method::GET
            && options.tls.is_none()
            && !origin::may_read(headers, host.as_deref(), remote.ip(), origins)
        {
            let reason = "over loopback the host must be localhost, an address, or that of an \
                          --origin: any page can have a name that leads here";
            return Err(Answer::refuse(StatusCode::FORBIDDEN, reason));
        }
        Ok(Self { cross_origin: origin::cross_origin(headers, origins) })
    }

    /// Tells the browser that the page may read the answer.
    pub(super) fn let_read(self, mut response: Response) -> Response {
        if let Some(origin) = self.cross_origin {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let exposed = HeaderValue::from_static("etag, retry-after");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        response
    }
}

/// Answers the question of a browser that a page of another origin makes it ask.
pub(super) fn preflight(methods: &'static str) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (ACCESS_CONTROL_ALLOW_METHODS, methods),
        (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// A refusal where no media type was agreed upon.
pub(super) fn refusal(answer: Answer) -> Response {
    answer.into_response(Media::Json)
}
