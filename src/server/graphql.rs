//! GraphQL over HTTP: GET for queries, POST for all, batches, and the right status for each answer
//! (the GraphQL-over-HTTP specification; where its drafts differ, what `graphql-http` audits).

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::{Bytes, HttpBody, to_bytes};
use axum::extract::{Query, Request as HttpRequest};
use axum::http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_TYPE, HeaderMap,
    RETRY_AFTER, VARY,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{App, RETRY_AFTER_SECONDS, origin};
use crate::graphql::request::Request;
use crate::graphql::{Caller, Started, error};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests of one batch.
const BATCH_MAX: usize = 100;

/// The two media types of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    /// `application/graphql-response+json`: the status tells whether the request was executed.
    GraphqlResponse,
    /// `application/json`: 200 for all that was a GraphQL request.
    Json,
}

/// An answer before it is made a response.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    /// The methods that would have been right.
    allow: Option<&'static str>,
    /// Seconds after which it may be tried again.
    retry_after: Option<u16>,
}

/// The parameters of a GET.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// Every request to `/graphql` that is no WebSocket handshake.
pub(super) async fn serve(app: Arc<App>, remote: SocketAddr, request: HttpRequest) -> Response {
    let headers = request.headers().clone();
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    if !origin::is_allowed(&headers, host.as_deref(), remote.ip(), &app.options.origins) {
        let reason = "pages of this origin may not call the broker; allow it with --origin";
        return refuse(StatusCode::FORBIDDEN, reason).into_response(Media::Json);
    }
    let cross_origin = origin::cross_origin(&headers, &app.options.origins);
    let mut response = match *request.method() {
        Method::OPTIONS => preflight(),
        Method::GET | Method::POST => match Media::accepted(&headers) {
            None => {
                let reason = "accept application/graphql-response+json or application/json";
                refuse(StatusCode::NOT_ACCEPTABLE, reason).into_response(Media::Json)
            }
            Some(media) => answer(&app, remote, request, media).await.into_response(media),
        },
        _ => not_allowed("GET, POST", "use GET or POST").into_response(Media::Json),
    };
    if let Some(origin) = cross_origin {
        response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    }
    response
}

async fn answer(app: &App, remote: SocketAddr, request: HttpRequest, media: Media) -> Answer {
    let caller = Arc::new(Caller {
        connection: "http".into(),
        subject: None,
        admin: origin::is_local(remote.ip(), request.headers()),
        resume: false,
        client: app.layers.broker.admission().address(remote.ip()),
    });
    if request.method() == Method::GET {
        let uri = request.uri().clone();
        return get(app, &caller, &uri, media).await;
    }
    if !is_json(request.headers()) {
        let reason = "send the request as Content-Type: application/json";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason);
    }
    let most = app.options.body_bytes_max;
    let too_large = || {
        let reason = format!("the body must arrive whole and have at most {most} bytes");
        refuse(StatusCode::PAYLOAD_TOO_LARGE, &reason)
    };
    // What is announced to be too large is not waited for.
    if request.body().size_hint().lower() > most as u64 {
        return too_large();
    }
    let body = match timeout(BODY_TIMEOUT, to_bytes(request.into_body(), most)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return too_large(),
        Err(_) => {
            let seconds = BODY_TIMEOUT.as_secs();
            let reason = format!("the body did not arrive within {seconds} seconds");
            return refuse(StatusCode::REQUEST_TIMEOUT, &reason);
        }
    };
    post(app, &caller, &body, media).await
}

async fn get(app: &App, caller: &Arc<Caller>, uri: &Uri, media: Media) -> Answer {
    let parameters = match Query::<Parameters>::try_from_uri(uri) {
        Ok(Query(parameters)) => parameters,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let raw = |name: &str, text: Option<String>| match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match RawValue::from_string(text) {
            Ok(value) if value.get().starts_with('{') => Ok(Some(value)),
            Ok(value) if value.get() == "null" => Ok(None),
            Ok(_) => Err(format!("the parameter {name} must be a JSON object")),
            Err(error) => Err(format!("the parameter {name} is not JSON: {error}")),
        },
    };
    let variables = raw("variables", parameters.variables);
    let extensions = raw("extensions", parameters.extensions);
    let (variables, extensions) = match (variables, extensions) {
        (Ok(variables), Ok(extensions)) => (variables, extensions),
        (Err(reason), _) | (_, Err(reason)) => return refuse(StatusCode::BAD_REQUEST, &reason),
    };
    let request = Request {
        query: parameters.query.map(Cow::Owned),
        operation_name: parameters.operation_name.map(Cow::Owned),
        variables: variables.as_deref(),
        extensions: extensions.as_deref(),
    };
    run(app, caller, &request, media, Method::GET).await
}

async fn post(app: &App, caller: &Arc<Caller>, body: &Bytes, media: Media) -> Answer {
    let Ok(text) = std::str::from_utf8(body) else {
        return refuse(StatusCode::BAD_REQUEST, "the body is not UTF-8");
    };
    if !text.trim_start().starts_with('[') {
        return one(app, caller, text, media).await;
    }
    let requests: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(requests) => requests,
        Err(error) => {
            return refuse(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {error}"));
        }
    };
    if requests.is_empty() || requests.len() > BATCH_MAX {
        let count = requests.len();
        let reason = format!("a batch has 1 to {BATCH_MAX} requests, this one has {count}");
        return refuse(StatusCode::BAD_REQUEST, &reason);
    }
    let mut body = vec![b'['];
    for request in requests {
        let answer = one(app, caller, request.get(), media).await;
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(&answer.body);
    }
    body.push(b']');
    Answer::new(StatusCode::OK, body)
}

async fn one(app: &App, caller: &Arc<Caller>, text: &str, media: Media) -> Answer {
    match Request::parse(text) {
        Ok(request) => run(app, caller, &request, media, Method::POST).await,
        Err(error) => {
            Answer::new(StatusCode::BAD_REQUEST, error::response(&error::to_json(&[error])))
        }
    }
}

async fn run(
    app: &App,
    caller: &Arc<Caller>,
    request: &Request<'_>,
    media: Media,
    method: Method,
) -> Answer {
    if request.query.is_none() && request.extension("persistedQuery").is_none() {
        return refuse(StatusCode::BAD_REQUEST, "the request has no `query`");
    }
    let body = match app.layers.schema.start(request, caller, Instant::now()) {
        Started::Refused(errors) => {
            let status = match media {
                Media::GraphqlResponse => StatusCode::BAD_REQUEST,
                Media::Json => StatusCode::OK,
            };
            return Answer::new(status, error::response(&errors));
        }
        Started::Query(answer) => answer.await,
        Started::Publish(_) | Started::Mutation(_) if method == Method::GET => {
            return not_allowed("POST", "GET is for queries; send mutations with POST");
        }
        Started::Publish(_) | Started::Mutation(_) if app.is_draining.load(Ordering::Relaxed) => {
            return draining();
        }
        Started::Publish(publishing) => {
            app.layers.broker.room().await;
            publishing.submit().await
        }
        Started::Mutation(answer) => {
            app.layers.broker.room().await;
            answer.await
        }
        Started::Subscribe(..) | Started::Stream(_) => {
            let reason = "subscribe over a WebSocket with the subprotocol graphql-transport-ws";
            return refuse(StatusCode::BAD_REQUEST, reason);
        }
    };
    Answer::new(StatusCode::OK, body)
}

impl Media {
    /// What the client likes best of what there is; without `Accept`, or with `*/*`, JSON.
    fn accepted(headers: &HeaderMap) -> Option<Self> {
        let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut best: Option<(f32, Self)> = None;
        let mut is_any_given = false;
        for range in lines.flat_map(|line| line.split(',')).filter(|range| !range.trim().is_empty())
        {
            is_any_given = true;
            let mut parts = range.split(';').map(str::trim);
            let media = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => Self::GraphqlResponse,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            let weight: f32 = weight.unwrap_or(1.0);
            if weight > 0.0 && best.is_none_or(|(before, _)| weight > before) {
                best = Some((weight, media));
            }
        }
        if is_any_given { best.map(|(_, media)| media) } else { Some(Self::Json) }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }
}

impl Answer {
    fn new(status: StatusCode, body: Vec<u8>) -> Self {
        Self { status, body, allow: None, retry_after: None }
    }

    fn into_response(self, media: Media) -> Response {
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

fn refuse(status: StatusCode, reason: &str) -> Answer {
    let code = match status {
        StatusCode::FORBIDDEN => error::Code::Forbidden,
        StatusCode::PAYLOAD_TOO_LARGE => error::Code::PayloadTooLarge,
        _ => error::Code::BadRequest,
    };
    let error = error::Error::new(code, reason);
    Answer::new(status, error::response(&error::to_json(&[error])))
}

/// Nothing of a mutation is done any more, so it is safe to send it again, to another node too.
fn draining() -> Answer {
    let reason = "the broker is draining and takes no more mutations; send it again later";
    let error = error::Error::new(error::Code::Unavailable, reason).with("outcome", "refused");
    let body = error::response(&error::to_json(&[error]));
    Answer {
        retry_after: Some(RETRY_AFTER_SECONDS),
        ..Answer::new(StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

fn not_allowed(allowed: &'static str, reason: &str) -> Answer {
    Answer { allow: Some(allowed), ..refuse(StatusCode::METHOD_NOT_ALLOWED, reason) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// Answers the question of a browser that a page of another origin makes it ask.
fn preflight() -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization"),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
