//! Topics without GraphQL: POST publishes, GET with `Accept: text/event-stream` subscribes.
//!
//! Both are operations of the schema with their documents written here, so that they obey the same
//! rules; what is wrong is told by the status, and in the body as everywhere.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::header::{ETAG, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::cors::{self, Gate, refusal};
use super::graphql::{self, Asker};
use super::media::{Accepted, Media, Streaming};
use super::reply::Answer;
use super::{App, RETRY_AFTER_SECONDS, incoming, streams};
use crate::graphql::error::{Code, Error, to_json};

const METHODS: &str = "GET, POST";

const PUBLISH: &str = "mutation (\
    $topic: String!, $payload: JSON!, $key: String, $headers: JSON, $id: String, $ifLast: Cursor) \
    { receipt: publish(topic: $topic, payload: $payload, key: $key, headers: $headers, id: $id, \
    ifLast: $ifLast) { topic cursor publishedAt duplicate } }";

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Every request to `/topics/…`.
pub(super) async fn serve(
    State(app): State<Arc<App>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let gate = match Gate::check(&app, remote, &request) {
        Ok(gate) => gate,
        Err(refused) => return refusal(refused),
    };
    let asker = Asker::of(remote, request.headers());
    let name =
        name.map(|Path(name)| name).map_err(|error| refuse(Code::BadTopic, &error.body_text()));
    let response = match (&request.method().clone(), name) {
        (&Method::OPTIONS, _) => Ok(cors::preflight(METHODS)),
        (&Method::GET, Ok(filter)) => {
            let (uri, headers) = (request.uri().clone(), request.headers().clone());
            subscribe(&app, asker, &filter, &uri, &headers).await
        }
        (&Method::POST, Ok(topic)) => publish(&app, asker, &topic, request).await,
        (&Method::GET | &Method::POST, Err(refused)) => Err(refused),
        _ => Err(Answer::not_allowed(METHODS, "publish with POST, subscribe with GET")),
    };
    gate.let_read(response.unwrap_or_else(refusal))
}

async fn subscribe(
    app: &Arc<App>,
    asker: Asker,
    filter: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Answer> {
    if Accepted::by(headers).streaming != Some(Streaming::Events) {
        let reason = "messages come as server-sent events: send Accept: text/event-stream";
        return Err(Answer::refuse(StatusCode::NOT_ACCEPTABLE, reason));
    }
    streams::topics::serve(app, asker, filter, uri, headers).await
}

/// What of a message stands in parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    key: Option<String>,
    headers: Option<String>,
}

/// The variables of the mutation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Variables<'a> {
    topic: &'a str,
    payload: &'a RawValue,
    key: Option<String>,
    headers: Option<Box<RawValue>>,
    id: Option<String>,
    if_last: Option<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    query: &'static str,
    variables: Variables<'a>,
}

async fn publish(
    app: &App,
    asker: Asker,
    topic: &str,
    request: Request,
) -> Result<Response, Answer> {
    let (key, headers) = parameters(request.uri())?;
    let id = idempotency_key(request.headers())?;
    let if_last = condition(request.headers())?;
    let text = incoming::body(app, request).await?;
    let payload: &RawValue = serde_json::from_str(&text).map_err(|error| {
        let message = format!("the body is the payload, and it is not JSON: {error}");
        errors(&to_json(&[Error::payload(&[(Vec::new(), "is not JSON".to_owned())], message)]))
    })?;
    let variables = Variables { topic, payload, key, headers, id, if_last };
    // Cannot fail: texts, and JSON that was checked.
    let body = serde_json::to_string(&Body { query: PUBLISH, variables }).unwrap_or_default();
    let started = graphql::start(app, &asker.caller(app), &body)?;
    let answer = graphql::finish(app, started, Media::Json, false).await;
    if answer.status == StatusCode::OK { receipt(&answer.body) } else { Err(answer) }
}

fn parameters(uri: &Uri) -> Result<(Option<String>, Option<Box<RawValue>>), Answer> {
    let Query(parameters) = Query::<Parameters>::try_from_uri(uri)
        .map_err(|error| refuse(Code::BadArgument, &error.body_text()))?;
    let headers = parameters.headers.map(RawValue::from_string).transpose().map_err(|error| {
        let message = format!("the parameter headers is not JSON: {error}");
        errors(&to_json(&[Error::argument("headers", message)]))
    })?;
    Ok((parameters.key, headers))
}

/// The id under which a repeated publish is known; quoted, as its draft says, or not.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Answer> {
    let text = text(headers, &IDEMPOTENCY_KEY)?;
    Ok(text.map(|text| quoted(text).unwrap_or(text).to_owned()))
}

/// What the topic's newest message must be: the cursor, or nothing.
fn condition(headers: &HeaderMap) -> Result<Option<String>, Answer> {
    let wrong = |message: &str| Err(errors(&to_json(&[Error::argument("ifLast", message)])));
    match (text(headers, &IF_MATCH)?, text(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (None, Some("*")) => Ok(Some(String::new())),
        (None, Some(_)) => wrong("If-None-Match must be *: publish only if the topic is empty"),
        (Some(text), None) => match quoted(text) {
            Some(cursor) if !cursor.is_empty() => Ok(Some(cursor.to_owned())),
            _ => wrong("If-Match must be one cursor in quotes, as in \"1pugx9i5he-1\""),
        },
        (Some(_), Some(_)) => wrong("If-Match and If-None-Match exclude each other"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Answer> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(HeaderValue::to_str), second) {
        (None, _) => Ok(None),
        (Some(Ok(text)), None) => Ok(Some(text.trim())),
        _ => {
            let message = format!("the header {name} must be there once, in visible ASCII");
            Err(refuse(Code::BadArgument, &message))
        }
    }
}

/// What stands between the quotes of a text that is quoted as a whole.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('"')).then_some(inner)
}

/// The result of the mutation.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    receipt: &'a RawValue,
}

#[derive(Deserialize)]
struct Receipt<'a> {
    #[serde(borrow)]
    cursor: Cow<'a, str>,
    duplicate: bool,
}

/// 201 with the receipt, 200 for a message that was there already.
fn receipt(body: &[u8]) -> Result<Response, Answer> {
    let internal = || refuse(Code::Internal, "the result of a publish is not understood");
    let outcome: Outcome<'_> = serde_json::from_slice(body).map_err(|_| internal())?;
    let Some(data) = outcome.data else {
        return Err(outcome.errors.map_or_else(internal, |list| errors(list.get())));
    };
    let text = data.receipt.get();
    let receipt: Receipt<'_> = serde_json::from_str(text).map_err(|_| internal())?;
    let status = if receipt.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = Answer::new(status, text.as_bytes().to_vec()).into_response(Media::Json);
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", receipt.cursor)) {
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(response)
}

/// One error, with the status that belongs to its code.
pub(super) fn refuse(code: Code, reason: &str) -> Answer {
    errors(&to_json(&[Error::new(code, reason)]))
}

/// What of an error clients of plain routes see: places in a document of ours mean nothing to them.
#[derive(Deserialize, Serialize)]
struct Shown<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(borrow)]
    extensions: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extensions<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    retry_after_ms: Option<u64>,
}

/// These errors, a JSON array, with the status of the first.
pub(super) fn errors(list: &str) -> Answer {
    let shown: Vec<Shown<'_>> = serde_json::from_str(list).unwrap_or_default();
    let first = shown.first();
    let first =
        first.and_then(|error| serde_json::from_str::<Extensions<'_>>(error.extensions.get()).ok());
    let status = first.as_ref().map_or(StatusCode::INTERNAL_SERVER_ERROR, |e| status(&e.code));
    let retry_after = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let given = first.and_then(|extensions| extensions.retry_after_ms);
            Some(given.map_or(RETRY_AFTER_SECONDS.into(), |ms| ms.div_ceil(1000)))
        }
        _ => None,
    };
    let list = serde_json::to_string(&shown).unwrap_or_default();
    Answer { retry_after, ..Answer::errors(status, &list) }
}

/// The status of an error code.
fn status(code: &str) -> StatusCode {
    match code {
        "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
        "FORBIDDEN" => StatusCode::FORBIDDEN,
        "CURSOR_EXPIRED" => StatusCode::GONE,
        "CONFLICT" => StatusCode::PRECONDITION_FAILED,
        "PAYLOAD_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        "RATE_LIMITED" => StatusCode::TOO_MANY_REQUESTS,
        "OVERLOADED" | "UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
        "INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}
