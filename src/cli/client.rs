//! A small graphql-transport-ws client: operations out, results in, with cursors to resume from.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::address::Address;
use super::socket::{self, Incoming, Socket};

/// A connection that the broker has acknowledged.
#[derive(Debug)]
pub(super) struct Client {
    socket: Socket,
}

/// One operation.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Operation<'a, V> {
    pub(super) query: &'a str,
    pub(super) variables: V,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extensions: Option<After<'a>>,
}

/// Where a subscription goes on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct After<'a> {
    pub(super) after: &'a str,
}

/// What the broker sends.
#[derive(Debug)]
pub(super) enum Event {
    /// A result.
    Next { id: String, result: Outcome },
    /// The operation was refused.
    Refused { id: String, errors: Vec<Fault> },
    /// The operation has ended.
    Complete,
    /// Everything due up to this cursor was sent.
    Position(String),
}

/// One result; parts that were not sent are empty.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    #[serde(default)]
    pub(super) data: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) errors: Vec<Fault>,
    #[serde(default)]
    pub(super) extensions: Extensions,
}

/// What a result carries beside its data.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Extensions {
    pub(super) cursor: Option<String>,
    pub(super) dropped: Option<u64>,
}

/// A GraphQL error.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Fault {
    message: String,
    #[serde(default)]
    extensions: FaultExtensions,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct FaultExtensions {
    code: Option<String>,
    /// Of a position that is lost: from where on nothing is.
    earliest: Option<String>,
    /// Of a payload, where it has several.
    #[serde(default)]
    faults: Vec<PayloadFault>,
}

/// One thing that is wrong with a payload.
#[derive(Debug, Clone, Deserialize)]
struct PayloadFault {
    /// Keys and indices.
    path: Vec<serde_json::Value>,
    message: String,
}

/// Why an exchange with the broker ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Socket(#[from] socket::Error),
    #[error("the broker closed the connection: {code}{}{reason}", separator(reason))]
    Closed { code: u16, reason: String },
    #[error("the broker did not acknowledge the connection within {ACK_SECONDS} s")]
    NoAck,
    #[error("the broker sent what graphql-transport-ws does not know: {0}")]
    Protocol(String),
    #[error("{}", listed(.0))]
    Refused(Vec<Fault>),
}

const ACK_SECONDS: u64 = 10;

/// How messages of the protocol look, in both directions.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// What `connection_ack` and `ping` carry.
#[derive(Default, Deserialize)]
struct Position {
    cursor: Option<String>,
}

impl Client {
    /// Connects; returns the newest position as well.
    pub(super) async fn connect(address: &Address) -> Result<(Self, Option<String>), Error> {
        let mut socket = Socket::open(address).await?;
        socket.send(r#"{"type":"connection_init","payload":{"resume":true}}"#).await?;
        let mut client = Self { socket };
        let limit = Duration::from_secs(ACK_SECONDS);
        let cursor = timeout(limit, client.acknowledged()).await.map_err(|_| Error::NoAck)??;
        Ok((client, cursor))
    }

    /// Starts an operation under an id that is not in use.
    pub(super) async fn start<V: Serialize>(
        &mut self,
        id: &str,
        operation: &Operation<'_, V>,
    ) -> Result<(), Error> {
        let message = subscribe_message(id, operation)?;
        Ok(self.socket.send(&message).await?)
    }

    /// The next event. Nothing is lost when it is cancelled while it waits.
    pub(super) async fn next(&mut self) -> Result<Event, Error> {
        loop {
            let text = self.text().await?;
            match read(&text)? {
                Read::Event(event) => return Ok(event),
                Read::Ping { payload, cursor } => {
                    let payload = payload.map(|payload| format!(r#","payload":{payload}"#));
                    let pong = format!(r#"{{"type":"pong"{}}}"#, payload.unwrap_or_default());
                    self.socket.send(&pong).await?;
                    if let Some(cursor) = cursor {
                        return Ok(Event::Position(cursor));
                    }
                }
                Read::Acknowledged(_) | Read::Nothing => {}
            }
        }
    }

    /// The data of a query or mutation; nothing else may be running.
    pub(super) async fn ask<V: Serialize>(
        &mut self,
        id: &str,
        operation: &Operation<'_, V>,
    ) -> Result<Box<RawValue>, Error> {
        self.start(id, operation).await?;
        let mut answer = None;
        loop {
            match self.next().await? {
                Event::Next { result: Outcome { data, errors, .. }, .. } => {
                    answer = Some((data, errors));
                }
                Event::Refused { errors, .. } => return Err(Error::Refused(errors)),
                Event::Complete => {
                    let (data, errors) = answer.unwrap_or_default();
                    if !errors.is_empty() {
                        return Err(Error::Refused(errors));
                    }
                    return data.ok_or_else(|| Error::Protocol("a result without data".into()));
                }
                Event::Position(_) => {}
            }
        }
    }

    /// True when the next event may be here already.
    pub(super) fn has_unread(&self) -> bool {
        self.socket.has_unread()
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        self.socket.close().await;
    }

    async fn acknowledged(&mut self) -> Result<Option<String>, Error> {
        loop {
            let text = self.text().await?;
            match read(&text)? {
                Read::Acknowledged(cursor) => return Ok(cursor),
                Read::Ping { .. } | Read::Nothing => {}
                Read::Event(_) => return Err(Error::Protocol(text)),
            }
        }
    }

    async fn text(&mut self) -> Result<String, Error> {
        match self.socket.receive().await? {
            Incoming::Text(text) => Ok(text),
            Incoming::Closed { code, reason } => Err(Error::Closed { code, reason }),
        }
    }
}

/// A message of the server, understood.
enum Read {
    Event(Event),
    Ping { payload: Option<Box<RawValue>>, cursor: Option<String> },
    Acknowledged(Option<String>),
    Nothing,
}

fn read(text: &str) -> Result<Read, Error> {
    let strange = || Error::Protocol(text.chars().take(200).collect());
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|_| strange())?;
    let Envelope { kind, id, payload } = envelope;
    let cursor = || payload.and_then(|payload| parse::<Position>(payload)?.cursor);
    let event = match (kind, id) {
        ("next", Some(id)) => {
            let result = payload.and_then(parse).ok_or_else(strange)?;
            Event::Next { id, result }
        }
        ("error", Some(id)) => {
            let errors = payload.and_then(parse).ok_or_else(strange)?;
            Event::Refused { id, errors }
        }
        ("complete", Some(_)) => Event::Complete,
        ("ping", _) => {
            return Ok(Read::Ping { payload: payload.map(ToOwned::to_owned), cursor: cursor() });
        }
        ("connection_ack", _) => return Ok(Read::Acknowledged(cursor())),
        ("pong", _) => return Ok(Read::Nothing),
        _ => return Err(strange()),
    };
    Ok(Read::Event(event))
}

fn parse<'a, T: Deserialize<'a>>(payload: &'a RawValue) -> Option<T> {
    serde_json::from_str(payload.get()).ok()
}

/// The message that starts an operation.
pub(super) fn subscribe_message<V: Serialize>(
    id: &str,
    operation: &Operation<'_, V>,
) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Subscribe<'a, T> {
        id: &'a str,
        #[serde(rename = "type")]
        kind: &'static str,
        payload: &'a T,
    }
    let message = Subscribe { id, kind: "subscribe", payload: operation };
    serde_json::to_string(&message).map_err(|error| Error::Protocol(error.to_string()))
}

impl Fault {
    /// The code that programs go by.
    pub(super) fn code(&self) -> Option<&str> {
        self.extensions.code.as_deref()
    }

    /// The oldest position that resumes without loss, where the broker names one.
    pub(super) fn earliest(&self) -> Option<&str> {
        self.extensions.earliest.as_deref()
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code() {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }?;
        match &self.extensions.faults[..] {
            // The message has told it.
            [] | [_] => Ok(()),
            faults => faults.iter().try_for_each(|fault| write!(f, "\n  {fault}")),
        }
    }
}

impl std::fmt::Display for PayloadFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let step = |step: &serde_json::Value| match step.as_str() {
            Some(key) => key.to_owned(),
            None => step.to_string(),
        };
        let path: Vec<String> = self.path.iter().map(step).collect();
        write!(f, "{}: {}", path.join("."), self.message)
    }
}

fn separator(reason: &str) -> &'static str {
    if reason.is_empty() { "" } else { ", " }
}

/// Errors, one a line.
pub(super) fn listed(errors: &[Fault]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if lines.is_empty() { "refused without a reason".to_owned() } else { lines.join("\n") }
}
