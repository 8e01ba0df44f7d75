//! GraphQL over HTTP: GET for queries, POST for all, batches, and the right status for each answer
//! (the GraphQL-over-HTTP specification; where its drafts differ, what `graphql-http` audits).
//! Who accepts a stream gets its subscriptions from [`streams`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::extract::Request as HttpRequest;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde_json::value::RawValue;

use super::cors::{self, Gate, refusal};
use super::media::{Accepted, Media};
use super::reply::Answer;
use super::{App, incoming, origin, streams};
use crate::broker::admission::Client;
use crate::graphql::error::{Code, Error};
use crate::graphql::node::RESPONSE_BYTES_MAX;
use crate::graphql::request::Request;
use crate::graphql::{Caller, Started};

/// Requests of one batch.
const BATCH_MAX: usize = 100;

/// What `/graphql` is asked with: PUT and DELETE belong to streams of many operations.
const METHODS: &str = "GET, POST, PUT, DELETE";

/// Who asks over HTTP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) remote: IpAddr,
    pub(super) admin: bool,
}

/// Every request to `/graphql` that is no WebSocket handshake.
pub(super) async fn serve(app: Arc<App>, remote: SocketAddr, request: HttpRequest) -> Response {
    let gate = match Gate::check(&app, remote, &request) {
        Ok(gate) => gate,
        Err(refused) => return refusal(refused),
    };
    let asker = Asker::of(remote, request.headers());
    let response = match *request.method() {
        Method::OPTIONS => cors::preflight(METHODS),
        Method::GET | Method::POST => answer(&app, asker, request).await,
        Method::PUT => streams::single::reserve(&app, asker).await,
        Method::DELETE => streams::single::stop(&app, &request),
        _ => refusal(Answer::not_allowed(METHODS, "use GET or POST")),
    };
    gate.let_read(response)
}

async fn answer(app: &Arc<App>, asker: Asker, request: HttpRequest) -> Response {
    let accepted = Accepted::by(request.headers());
    if let Some(token) = streams::single::Token::of(&request) {
        return streams::single::serve(app, asker, accepted, &token, request).await;
    }
    let media = accepted.json.unwrap_or(Media::Json);
    let is_get = request.method() == Method::GET;
    if accepted.json.is_none() && accepted.streaming.is_none() {
        let reason = "accept application/graphql-response+json, application/json, \
                      text/event-stream or multipart/mixed;subscriptionSpec=1.0";
        return refusal(Answer::refuse(StatusCode::NOT_ACCEPTABLE, reason));
    }
    let after = streams::last_event_id(request.headers());
    let text = match incoming::text(app, request).await {
        Ok(text) => text,
        Err(refused) => return refused.into_response(media),
    };
    let caller = asker.caller(app);
    if is_batch(&text) {
        return batch(app, &caller, &text, media).await.into_response(media);
    }
    match accepted.streaming {
        None => one(app, &caller, &text, media, is_get).await.into_response(media),
        Some(kind) => {
            let asked = streams::Asked { asker, accepted, kind, is_get, after };
            streams::serve(app, asked, &text).await
        }
    }
}

fn is_batch(text: &str) -> bool {
    text.trim_start().starts_with('[')
}

async fn batch(app: &App, caller: &Arc<Caller>, text: &str, media: Media) -> Answer {
    let requests: Vec<&RawValue> = match serde_json::from_str(text) {
        Ok(requests) => requests,
        Err(error) => {
            let reason = format!("the body is not JSON: {error}");
            return Answer::refuse(StatusCode::BAD_REQUEST, &reason);
        }
    };
    if requests.is_empty() || requests.len() > BATCH_MAX {
        let count = requests.len();
        let reason = format!("a batch has 1 to {BATCH_MAX} requests, this one has {count}");
        return Answer::refuse(StatusCode::BAD_REQUEST, &reason);
    }
    let mut body = vec![b'['];
    for request in requests {
        // Each may have as much as a response, a hundred of them together may not.
        let answer = if body.len() > RESPONSE_BYTES_MAX {
            let message = "the answers before this request fill the response; it was not run";
            Answer::error(StatusCode::OK, Error::new(Code::LimitExceeded, message))
        } else {
            one(app, caller, request.get(), media, false).await
        };
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(&answer.body);
    }
    body.push(b']');
    Answer::new(StatusCode::OK, body)
}

async fn one(app: &App, caller: &Arc<Caller>, text: &str, media: Media, is_get: bool) -> Answer {
    match start(app, caller, text) {
        Ok(started) => finish(app, started, media, is_get).await,
        Err(refused) => refused,
    }
}

/// Makes an operation ready to run; nothing has been done then.
pub(super) fn start(app: &App, caller: &Arc<Caller>, text: &str) -> Result<Started, Answer> {
    let request =
        Request::parse(text).map_err(|error| Answer::error(StatusCode::BAD_REQUEST, error))?;
    if request.query.is_none() && request.extension("persistedQuery").is_none() {
        return Err(Answer::refuse(StatusCode::BAD_REQUEST, "the request has no `query`"));
    }
    Ok(app.layers.schema.start(&request, caller, Instant::now()))
}

/// Runs an operation that has one result.
pub(super) async fn finish(app: &App, started: Started, media: Media, is_get: bool) -> Answer {
    let body = match started {
        Started::Refused(errors) => {
            let status = match media {
                Media::GraphqlResponse => StatusCode::BAD_REQUEST,
                Media::Json => StatusCode::OK,
            };
            return Answer::errors(status, &errors);
        }
        Started::Query(answer) => answer.await,
        Started::Publish(_) | Started::Mutation(_) if is_get => {
            return Answer::not_allowed("POST", "GET is for queries; send mutations with POST");
        }
        Started::Publish(_) | Started::Mutation(_) if app.is_draining.load(Ordering::Relaxed) => {
            return Answer::draining();
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
            let reason = "subscribe over a WebSocket with the subprotocol graphql-transport-ws, \
                          or accept text/event-stream or multipart/mixed;subscriptionSpec=1.0";
            return Answer::refuse(StatusCode::BAD_REQUEST, reason);
        }
    };
    Answer::new(StatusCode::OK, body)
}

impl Asker {
    pub(super) fn of(remote: SocketAddr, headers: &HeaderMap) -> Self {
        Self { remote: remote.ip(), admin: origin::is_local(remote.ip(), headers) }
    }

    /// Who runs an operation: all that come from one address publish at one rate.
    pub(super) fn caller(self, app: &App) -> Arc<Caller> {
        self.with(app.layers.broker.admission().address(self.remote))
    }

    /// Who looks at an operation that a connection is to run.
    pub(super) fn looking(self, app: &App) -> Arc<Caller> {
        self.with(app.layers.broker.admission().connection())
    }

    fn with(self, client: Arc<Client>) -> Arc<Caller> {
        let (connection, admin) = ("http".into(), self.admin);
        Arc::new(Caller { connection, subject: None, admin, resume: false, client })
    }
}
