//! GraphQL over server-sent events in the single connection mode (PROTOCOL.md of graphql-sse): PUT
//! reserves a stream, GET opens it, POST starts operations on it, DELETE stops them.
//!
//! A reservation is a connection whose results wait, within its bounds, until they are fetched.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::{Query, Request as HttpRequest};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bridge::{self, Opening, Receiver, Said, Sender};
use super::events::{self, push_comment, push_event};
use super::{Format, Writing, admit, final_errors};
use crate::graphql::request::Request;
use crate::graphql::{Started, raw};
use crate::plan::projection::quoted;
use crate::server::cors::refusal;
use crate::server::graphql::{self, Asker};
use crate::server::media::{Accepted, Media, Streaming};
use crate::server::reply::Answer;
use crate::server::{App, incoming};

/// All streams of this kind, by their tokens.
#[derive(Debug)]
pub(in crate::server) struct Reservations {
    by_token: DashMap<Box<str>, Arc<Reservation>>,
    /// Places for those that nobody has opened yet.
    unopened: Arc<Semaphore>,
}

/// What a client names its stream with.
#[derive(Debug)]
pub(in crate::server) struct Token(String);

/// One stream.
#[derive(Debug)]
struct Reservation {
    sender: Sender,
    /// What the stream will be made of; `None` once it is open.
    unopened: Mutex<Option<(Receiver, OwnedSemaphorePermit)>>,
    operations: Mutex<Operations>,
}

/// The client's names of operations, and ours: a name can be used again, a number never.
#[derive(Debug, Default)]
struct Operations {
    last: u64,
    numbers: FxHashMap<Box<str>, u64>,
    names: FxHashMap<u64, Box<str>>,
}

/// The open stream of a reservation; both end together.
struct Results {
    app: Arc<App>,
    token: Box<str>,
    reservation: Arc<Reservation>,
}

const TOKEN: HeaderName = HeaderName::from_static("x-graphql-event-stream-token");

/// How long a reservation waits for its stream.
const OPEN_WITHIN: Duration = Duration::from_secs(30);

/// Reservations that wait at a time.
const UNOPENED_MAX: usize = 1000;

/// As long as ids of operations may be anywhere.
const OPERATION_ID_BYTES_MAX: usize = 256;

impl Reservations {
    /// None.
    pub(in crate::server) fn new() -> Self {
        Self { by_token: DashMap::new(), unopened: Arc::new(Semaphore::new(UNOPENED_MAX)) }
    }

    fn find(&self, token: &Token) -> Result<Arc<Reservation>, Answer> {
        let found = self.by_token.get(token.0.as_str()).map(|found| found.value().clone());
        found.ok_or_else(|| {
            let reason = "no stream has this token; reserve one with PUT";
            Answer::refuse(StatusCode::NOT_FOUND, reason)
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    token: Option<String>,
    query: Option<String>,
    operation_id: Option<String>,
}

impl Parameters {
    fn of(uri: &Uri) -> Self {
        let parameters = Query::<Self>::try_from_uri(uri).map(|Query(parameters)| parameters);
        parameters.unwrap_or(Self { token: None, query: None, operation_id: None })
    }
}

impl Token {
    /// The token of a request: its header, or its parameter if that is not part of a GET request.
    pub(in crate::server) fn of(request: &HttpRequest) -> Option<Self> {
        if let Some(token) = request.headers().get(TOKEN) {
            return Some(Self(token.to_str().unwrap_or_default().to_owned()));
        }
        let parameters = Parameters::of(request.uri());
        let token = parameters.token.filter(|_| parameters.query.is_none());
        token.map(Self)
    }
}

/// PUT: a stream to be opened with the token in the answer.
pub(in crate::server) async fn reserve(app: &Arc<App>, asker: Asker) -> Response {
    let Ok(place) = app.reservations.unopened.clone().try_acquire_owned() else {
        let reason = format!("{UNOPENED_MAX} reservations wait for their streams already");
        return refusal(Answer::unavailable(&reason));
    };
    let permit = match admit(app, asker) {
        Ok(permit) => permit,
        Err(refused) => return refusal(refused),
    };
    let Some(token) = new_token() else {
        let reason = "the system gives no random numbers for a token";
        return refusal(Answer::unavailable(reason));
    };
    let Asker { remote, admin } = asker;
    let opening = Opening { remote, admin, protocol: "sse", resume: false, permit };
    let (sender, receiver) = bridge::open(app, opening).await;
    let reservation = Arc::new(Reservation {
        sender,
        unopened: Mutex::new(Some((receiver, place))),
        operations: Mutex::default(),
    });
    // Not kept by its clock: a stream that ends earlier takes its connection along at once.
    tokio::spawn(expire(app.clone(), token.clone(), Arc::downgrade(&reservation)));
    app.reservations.by_token.insert(token.clone(), reservation);
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (StatusCode::CREATED, headers, String::from(token)).into_response()
}

async fn expire(app: Arc<App>, token: Box<str>, reservation: Weak<Reservation>) {
    tokio::time::sleep(OPEN_WITHIN).await;
    let Some(reservation) = reservation.upgrade() else { return };
    let unopened = reservation.unopened.lock().take();
    if unopened.is_some() {
        app.reservations.by_token.remove(&token);
    }
}

/// GET and POST with a token: opens the stream, or starts an operation on it.
pub(in crate::server) async fn serve(
    app: &Arc<App>,
    asker: Asker,
    accepted: Accepted,
    token: &Token,
    request: HttpRequest,
) -> Response {
    let reservation = match app.reservations.find(token) {
        Ok(reservation) => reservation,
        Err(refused) => return refusal(refused),
    };
    if accepted.streaming == Some(Streaming::Events) && accepted.prefers_streaming {
        return open(app, token, reservation);
    }
    let media = accepted.json.unwrap_or(Media::Json);
    let is_get = request.method() == Method::GET;
    match operate(app, asker, &reservation, media, is_get, request).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refused) => refused.into_response(media),
    }
}

fn open(app: &Arc<App>, token: &Token, reservation: Arc<Reservation>) -> Response {
    let unopened = reservation.unopened.lock().take();
    let Some((receiver, _place)) = unopened else {
        let reason = "the stream of this token is open already; reserve another one";
        return refusal(Answer::refuse(StatusCode::CONFLICT, reason));
    };
    let token = token.0.as_str().into();
    let results = Results { app: app.clone(), token, reservation };
    Writing::new(receiver, results, events::COMMENT).into_response(events::EVENT_STREAM)
}

/// Starts an operation; what is wrong with it the request's own answer tells.
async fn operate(
    app: &App,
    asker: Asker,
    reservation: &Reservation,
    media: Media,
    is_get: bool,
    request: HttpRequest,
) -> Result<(), Answer> {
    let text = incoming::text(app, request).await?;
    let name = operation_id(&text)?;
    // Its connection counts what it publishes; this is only a look at what it is.
    let caller = asker.looking(app);
    match graphql::start(app, &caller, &text)? {
        refused @ Started::Refused(_) => {
            return Err(graphql::finish(app, refused, media, is_get).await);
        }
        mutation @ (Started::Publish(_) | Started::Mutation(_)) if is_get => {
            return Err(graphql::finish(app, mutation, media, is_get).await);
        }
        _ => {}
    }
    bridge::check_length(app, &text)?;
    let number = reservation.operations.lock().take(&name).ok_or_else(|| {
        let reason = format!("the operationId {name:?} is in use on this stream");
        Answer::refuse(StatusCode::CONFLICT, &reason)
    })?;
    reservation.sender.subscribe(number, &text).map_err(|_| {
        reservation.operations.lock().release(number);
        Answer::unavailable("too much waits for this stream, or it has ended")
    })
}

fn operation_id(text: &str) -> Result<String, Answer> {
    let request =
        Request::parse(text).map_err(|error| Answer::error(StatusCode::BAD_REQUEST, error))?;
    let id = request.extension("operationId").and_then(raw::string);
    match id {
        Some(id) if (1..=OPERATION_ID_BYTES_MAX).contains(&id.len()) => Ok(id.into_owned()),
        _ => {
            let reason = "give the operation an id: extensions.operationId, 1 to 256 bytes";
            Err(Answer::refuse(StatusCode::BAD_REQUEST, reason))
        }
    }
}

/// DELETE: stops an operation.
pub(in crate::server) fn stop(app: &App, request: &HttpRequest) -> Response {
    let refuse = |status, reason| refusal(Answer::refuse(status, reason));
    let Some(token) = Token::of(request) else {
        let reason = "say which stream: header X-GraphQL-Event-Stream-Token, or parameter token";
        return refuse(StatusCode::BAD_REQUEST, reason);
    };
    let reservation = match app.reservations.find(&token) {
        Ok(reservation) => reservation,
        Err(refused) => return refusal(refused),
    };
    let Some(name) = Parameters::of(request.uri()).operation_id else {
        return refuse(StatusCode::BAD_REQUEST, "say which operation: parameter operationId");
    };
    let number = reservation.operations.lock().numbers.get(name.as_str()).copied();
    // An operation that has ended by itself needs no stop.
    if let Some(number) = number {
        if reservation.sender.complete(number).is_err() {
            return refusal(Answer::unavailable("too much waits for this stream, or it has ended"));
        }
        // Not before: a client that has to try again still needs the name.
        reservation.operations.lock().release(number);
    }
    StatusCode::OK.into_response()
}

impl Operations {
    fn take(&mut self, name: &str) -> Option<u64> {
        if self.numbers.contains_key(name) {
            return None;
        }
        self.last += 1;
        self.numbers.insert(name.into(), self.last);
        self.names.insert(self.last, name.into());
        Some(self.last)
    }

    fn release(&mut self, number: u64) -> Option<Box<str>> {
        let name = self.names.remove(&number)?;
        self.numbers.remove(&name);
        Some(name)
    }
}

impl Format for Results {
    fn write(&mut self, said: Said<'_>, out: &mut Vec<u8>) -> bool {
        let mut operations = self.reservation.operations.lock();
        match said {
            Said::Acknowledged { .. } | Said::Ready | Said::Position(_) => {}
            Said::Quiet => push_comment(out),
            // What was on its way to an operation that was stopped since has no name any more.
            Said::Next { id, result } => {
                if let Some(name) = operations.names.get(&id) {
                    push_next(name, &[result], out);
                }
            }
            Said::Failed { id, errors } => {
                if let Some(name) = operations.release(id) {
                    push_failed(&name, errors, out);
                }
            }
            Said::Complete { id } => {
                if let Some(name) = operations.release(id) {
                    push_complete(&name, out);
                }
            }
            Said::Closed { code, reason } => {
                if let Some(errors) = final_errors(code, reason) {
                    for name in operations.names.values() {
                        push_failed(name, &errors, out);
                    }
                }
                return false;
            }
        }
        true
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        self.app.reservations.by_token.remove(&self.token);
    }
}

fn push_next(name: &str, result: &[&str], out: &mut Vec<u8>) {
    let head = format!(r#"{{"id":{},"payload":"#, quoted(name));
    let data: Vec<&str> = [&[head.as_str()], result, &["}"]].concat();
    push_event("next", None, &data, out);
}

fn push_complete(name: &str, out: &mut Vec<u8>) {
    push_event("complete", None, &[r#"{"id":"#, &quoted(name), "}"], out);
}

fn push_failed(name: &str, errors: &str, out: &mut Vec<u8>) {
    push_next(name, &[r#"{"errors":"#, errors, "}"], out);
    push_complete(name, out);
}

/// 128 random bits: who knows a token reads its stream.
fn new_token() -> Option<Box<str>> {
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(random)).into())
}
