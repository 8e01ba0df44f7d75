//! Subscriptions over HTTP: a response that carries on what a connection of a shard says.
//!
//! Comes in: an operation that was found to be a subscription, and how its client wants to hear of
//! it. Goes out: a response whose body is written as the client reads it. Knows nothing of: how
//! messages are matched, encoded or bounded; limits, drain and presence are those of connections.

pub(super) mod multipart;
pub(super) mod single;
pub(super) mod topics;

mod bridge;
mod events;
mod pipe;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::value::RawValue;

use self::bridge::{Opening, Receiver, Said, Sender};
use super::App;
use super::cors::refusal;
use super::graphql::{self, Asker};
use super::media::{Accepted, Media, Streaming};
use super::reply::Answer;
use crate::connection::registry::Permit;
use crate::graphql::Started;
use crate::graphql::request::Request;
use crate::plan::Position;
use crate::protocol::close::CloseCode;

/// One request that accepts a stream.
pub(super) struct Asked {
    pub(super) asker: Asker,
    pub(super) accepted: Accepted,
    pub(super) kind: Streaming,
    pub(super) is_get: bool,
    /// Where an event stream went on that broke off.
    pub(super) after: Option<String>,
}

/// How a transport writes what a connection says.
trait Format: Send + 'static {
    /// Appends what the client gets of it; `false`: the stream ends with that.
    fn write(&mut self, said: Said<'_>, out: &mut Vec<u8>) -> bool;
}

/// A body that is written as it is read.
struct Writing<F> {
    receiver: Receiver,
    format: F,
    out: Vec<u8>,
    is_over: bool,
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// nginx passes such a response on as it comes.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The only operation of a stream that has one.
const ONLY: u64 = 1;

/// The position that an `EventSource` sends when it comes back.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(LAST_EVENT_ID)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Answers one operation with a stream, or with JSON where it has one result.
pub(super) async fn serve(app: &Arc<App>, asked: Asked, text: &str) -> Response {
    let Asked { asker, accepted, kind, is_get, after } = asked;
    let media = accepted.json.unwrap_or(Media::Json);
    let text = match after.as_deref().map_or(Ok(text.to_owned()), |after| resumed(text, after)) {
        Ok(text) => text,
        Err(refused) => return refusal(refused),
    };
    let started = match graphql::start(app, &asker.caller(app), &text) {
        Ok(started) => started,
        Err(refused) => return refused.into_response(media),
    };
    let is_live = match &started {
        Started::Subscribe(plan, _) => Some(plan.position == Position::Live),
        Started::Stream(_) => None,
        _ if !accepted.prefers_streaming => {
            return graphql::finish(app, started, media, is_get).await.into_response(media);
        }
        _ => {
            // Within a stream there is no status; a part that comes as JSON of its own has one.
            let inside = if kind == Streaming::Multipart { media } else { Media::Json };
            let answer = graphql::finish(app, started, inside, is_get).await;
            return match kind {
                _ if answer.status != StatusCode::OK => answer.into_response(media),
                Streaming::Events => events::one(&answer.body),
                Streaming::Multipart => multipart::one(answer, accepted.json),
            };
        }
    };
    if let Err(refused) = bridge::check_length(app, &text) {
        return refused.into_response(media);
    }
    let permit = match admit(app, asker) {
        Ok(permit) => permit,
        Err(_) if after.is_some() => return events::come_back(),
        Err(refused) => return refusal(refused),
    };
    let protocol = match kind {
        Streaming::Events => "sse",
        Streaming::Multipart => "multipart",
    };
    let resume = kind == Streaming::Events && is_live.is_some();
    let Asker { remote, admin } = asker;
    let opening = Opening { remote, admin, protocol, resume, permit };
    let (sender, receiver) = bridge::open(app, opening).await;
    match kind {
        Streaming::Events => {
            let results = events::Results::new(is_live);
            let mut writing = Writing::new(receiver, results, events::COMMENT);
            writing.start(&sender, &text).await;
            writing.into_response(events::EVENT_STREAM)
        }
        Streaming::Multipart => {
            let mut writing = Writing::new(receiver, multipart::Parts, multipart::BOUNDARY);
            writing.start(&sender, &text).await;
            writing.into_response(multipart::MULTIPART)
        }
    }
}

/// A place among the connections.
fn admit(app: &App, asker: Asker) -> Result<Permit, Answer> {
    if app.is_draining.load(Ordering::Relaxed) {
        return Err(Answer::draining());
    }
    let permit = app.layers.registry.admit(asker.remote);
    permit.map_err(|too_many| Answer::unavailable(&too_many.to_string()))
}

/// The same request, to go on after this position.
fn resumed(text: &str, after: &str) -> Result<String, Answer> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Resumed<'a> {
        query: Option<&'a str>,
        operation_name: Option<&'a str>,
        variables: Option<&'a RawValue>,
        extensions: serde_json::Map<String, serde_json::Value>,
    }
    let request =
        Request::parse(text).map_err(|error| Answer::error(StatusCode::BAD_REQUEST, error))?;
    let given = request.extensions.map(|extensions| serde_json::from_str(extensions.get()));
    let mut extensions: serde_json::Map<_, _> = given.and_then(Result::ok).unwrap_or_default();
    extensions.insert("after".to_owned(), after.into());
    let resumed = Resumed {
        query: request.query.as_deref(),
        operation_name: request.operation_name.as_deref(),
        variables: request.variables,
        extensions,
    };
    // Cannot fail: texts, and JSON that was read.
    Ok(serde_json::to_string(&resumed).unwrap_or_default())
}

/// What every stream says: nobody on the way may keep, change or gather it.
fn headers(kind: &'static str) -> [(HeaderName, HeaderValue); 3] {
    [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ]
}

impl<F: Format> Writing<F> {
    /// Begins with these bytes.
    fn new(receiver: Receiver, format: F, out: &[u8]) -> Self {
        Self { receiver, format, out: out.to_vec(), is_over: false }
    }

    /// Starts the only operation of the stream, and returns when a live subscription has begun: a
    /// client that has the head of its response gets what is published from then on.
    async fn start(&mut self, sender: &Sender, request: &str) {
        // A lane is empty at first, and has room for one request at any time.
        let _ = sender.subscribe_and_ask(ONLY, request);
        let mut is_ready = false;
        while !is_ready && !self.is_over {
            self.hear(|said| is_ready = is_ready || *said == Said::Ready).await;
        }
    }

    async fn hear(&mut self, mut note: impl FnMut(&Said<'_>)) {
        let Self { receiver, format, out, is_over } = self;
        let tell = |said: Said<'_>| {
            note(&said);
            *is_over = *is_over || !format.write(said, out);
        };
        receiver.receive(tell).await;
    }

    /// What the client gets next: all that is there; `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        while self.out.is_empty() && !self.is_over {
            self.hear(|_| {}).await;
        }
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    fn into_response(self, kind: &'static str) -> Response {
        let body = stream::unfold(self, |mut writing| async {
            let bytes = writing.next().await?;
            Some((Ok::<_, Infallible>(bytes), writing))
        });
        (headers(kind), Body::from_stream(body)).into_response()
    }
}

/// The errors of an end after which the client shall not come back by itself: a JSON array.
fn final_errors(code: Option<u16>, reason: &str) -> Option<String> {
    let code = CloseCode::from_number(code?)?;
    (!code.may_return()).then(|| end_errors(Some(code), reason))
}

/// The errors of a connection's end: a JSON array.
fn end_errors(code: Option<CloseCode>, reason: &str) -> String {
    use crate::graphql::error::{Code, Error, to_json};
    let kind = match code {
        Some(CloseCode::Policy | CloseCode::Forbidden) => Code::Forbidden,
        Some(CloseCode::TooBig) => Code::PayloadTooLarge,
        Some(CloseCode::TryAgainLater) => Code::Overloaded,
        Some(CloseCode::Restart | CloseCode::GoingAway) | None => Code::Unavailable,
        Some(_) => Code::Internal,
    };
    let reason = if reason.is_empty() { "the connection was lost" } else { reason };
    to_json(&[Error::new(kind, reason)])
}
