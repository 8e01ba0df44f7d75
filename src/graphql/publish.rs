//! Publishes, prepared: bound from the arguments, handed to the log in order, answered later.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use serde_json::Value as Json;

use super::arguments::Arguments;
use super::error::{Code, Error, Segment};
use super::input::Value;
use super::node::{Node, Outcome, respond};
use super::payload::{self, Checked};
use super::select::Selection;
use super::typed::{KEY_BYTES_MAX, TypedTopic};
use super::{Served, Services};
use crate::broker::Broker;
use crate::broker::admission::Client;
use crate::engine::{Error as EngineError, IfLast, Publish, Reply};
use crate::message::cursor::Cursor;
use crate::message::json::Json as Text;
use crate::message::{Draft, Receipt};

/// A mutation that is nothing but publishes. Nothing has been published yet.
pub struct Publishing {
    services: Arc<Services>,
    selection: Arc<Selection>,
    publishes: Vec<Prepared>,
    since: Instant,
}

/// One field of a mutation that publishes.
#[derive(Debug)]
pub enum Prepared {
    /// Nothing is published: the answer is known.
    Known(Outcome),
    /// `publish`
    One(Box<Publish>),
    /// `publishMany`; refused ones are answered with null.
    Many(Vec<Result<Publish, Error>>),
    /// `compact`: a snapshot, and the last message that it stands for.
    Compaction(Box<(Draft, Cursor)>),
}

/// Who publishes, by which schema.
#[derive(Clone, Copy)]
pub struct Publisher<'a> {
    /// Takes it.
    pub broker: &'a Broker,
    /// Publishes it.
    pub client: &'a Client,
    /// Says what fits.
    pub served: &'a Served,
}

/// A publish that the log has in its order.
#[derive(Debug)]
pub enum Submitted {
    /// The answer is known; `None` after it was taken.
    Known(Option<Outcome>),
    /// One receipt to come.
    One(Reply<Receipt>),
    /// Receipts to come, for the items that have no error yet.
    Many(Vec<Option<Error>>, Reply<Vec<Result<Receipt, EngineError>>>),
}

/// The response to a mutation of publishes, when the log has taken them all.
pub struct PublishAnswer {
    services: Arc<Services>,
    selection: Arc<Selection>,
    since: Instant,
    submitted: Vec<Submitted>,
    outcomes: Vec<Outcome>,
}

impl Publishing {
    /// Binds what the fields give, in their order; the request came at `since`.
    pub(super) fn new(
        services: Arc<Services>,
        selection: Arc<Selection>,
        publishes: Vec<Prepared>,
        since: Instant,
    ) -> Self {
        Self { services, selection, publishes, since }
    }

    /// Publishes in order, all of them: each has its own receipt or error.
    pub fn submit(self) -> PublishAnswer {
        let Self { services, selection, publishes, since } = self;
        let submit = |prepared: Prepared| prepared.submit(&services.broker);
        let submitted: Vec<Submitted> = publishes.into_iter().map(submit).collect();
        let outcomes = Vec::with_capacity(submitted.len());
        PublishAnswer { services, selection, since, submitted, outcomes }
    }
}

impl Prepared {
    /// Binds `publish`.
    pub fn one(publisher: Publisher<'_>, arguments: &Arguments<'_>) -> Self {
        publisher.generic(arguments).into()
    }

    /// Binds `compact`.
    pub fn compaction(publisher: Publisher<'_>, arguments: &Arguments<'_>) -> Self {
        let bound = publisher.compaction(arguments);
        bound.map_or_else(|error| Self::Known(Err(error).into()), Self::Compaction)
    }

    /// Binds `publishMany`.
    pub fn many(publisher: Publisher<'_>, arguments: &Arguments<'_>) -> Self {
        let items = arguments.list("messages").unwrap_or_default().iter();
        Self::Many(items.map(|item| publisher.generic(&Arguments::of_object(item))).collect())
    }

    /// Binds the field that publishes to a typed topic.
    pub fn typed_one(
        publisher: Publisher<'_>,
        topic: &TypedTopic,
        arguments: &Arguments<'_>,
    ) -> Self {
        let input = arguments.get(&topic.names.argument).unwrap_or(&Value::Null);
        publisher.typed(topic, input, arguments).into()
    }

    /// Binds the field that publishes several to a typed topic.
    pub fn typed_many(
        publisher: Publisher<'_>,
        topic: &TypedTopic,
        arguments: &Arguments<'_>,
    ) -> Self {
        let inputs = arguments.list(&topic.names.arguments).unwrap_or_default().iter();
        let none = Arguments::none();
        Self::Many(inputs.map(|input| publisher.typed(topic, input, &none)).collect())
    }

    /// Hands it to the log: calls in order are messages in order.
    pub fn submit(self, broker: &Broker) -> Submitted {
        match self {
            Self::Known(outcome) => Submitted::Known(Some(outcome)),
            Self::One(publish) => Submitted::One(broker.publish(*publish)),
            Self::Compaction(compaction) => {
                let (snapshot, upto) = *compaction;
                match broker.compact(snapshot, upto) {
                    Ok(reply) => Submitted::One(reply),
                    Err(error) => {
                        let error = Error::from(error).with("argument", "upTo");
                        Submitted::Known(Some(Err(error).into()))
                    }
                }
            }
            Self::Many(items) => {
                let mut publishes = Vec::with_capacity(items.len());
                let refused = items.into_iter().map(|item| match item {
                    Ok(publish) => {
                        publishes.push(publish);
                        None
                    }
                    Err(error) => Some(error),
                });
                let refused = refused.collect();
                Submitted::Many(refused, broker.publish_many(publishes))
            }
        }
    }
}

impl Future for Submitted {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        match &mut *self {
            Self::Known(outcome) => {
                let taken = || Outcome { node: None, errors: Vec::new() };
                Poll::Ready(outcome.take().unwrap_or_else(taken))
            }
            Self::One(reply) => Pin::new(reply).poll(context).map(|result| {
                let receipt = result.map(|receipt| Node::Receipt(Box::new(receipt)));
                receipt.map_err(Error::from).into()
            }),
            Self::Many(refused, reply) => {
                let results = std::task::ready!(Pin::new(reply).poll(context));
                Poll::Ready(match results {
                    Ok(results) => items(std::mem::take(refused), results),
                    Err(error) => Err(error.into()).into(),
                })
            }
        }
    }
}

impl Future for PublishAnswer {
    type Output = Vec<u8>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<u8>> {
        let answer = &mut *self;
        for submitted in answer.submitted.iter_mut().skip(answer.outcomes.len()) {
            let outcome = std::task::ready!(Pin::new(submitted).poll(context));
            observe(&answer.services.broker, answer.since, &outcome);
            answer.outcomes.push(outcome);
        }
        Poll::Ready(respond(&answer.selection, std::mem::take(&mut answer.outcomes)))
    }
}

/// Measures the time from a request to each of its receipts.
pub fn observe(broker: &Broker, since: Instant, outcome: &Outcome) {
    let is_receipt = |node: &&Node| matches!(node, Node::Receipt(_));
    let receipts = match &outcome.node {
        Some(Node::Receipt(_)) => 1,
        Some(Node::List(items)) => items.iter().filter(is_receipt).count() as u64,
        _ => 0,
    };
    if receipts > 0 {
        broker.counters().publish_seconds.observe(since.elapsed(), receipts);
    }
}

/// A receipt or null for each item, in order.
fn items(refused: Vec<Option<Error>>, results: Vec<Result<Receipt, EngineError>>) -> Outcome {
    let mut results = results.into_iter();
    let mut errors = Vec::new();
    let nodes = refused.into_iter().enumerate().map(|(index, refused)| {
        let error = match refused {
            Some(error) => error,
            None => match results.next() {
                Some(Ok(receipt)) => return Node::Receipt(Box::new(receipt)),
                Some(Err(error)) => error.into(),
                None => Error::new(Code::Internal, "the log gave no receipt for this message"),
            },
        };
        errors.push(error.under(vec![Segment::Index(index)]));
        Node::Null
    });
    let node = Some(Node::List(nodes.collect()));
    Outcome { node, errors }
}

impl Publisher<'_> {
    /// What `publish` and the items of `publishMany` have in common.
    fn generic(self, arguments: &Arguments<'_>) -> Result<Publish, Error> {
        let checked = self.checked("payload", arguments)?;
        self.publish(checked, arguments)
    }

    /// A snapshot is admitted as a publish is.
    fn compaction(self, arguments: &Arguments<'_>) -> Result<Box<(Draft, Cursor)>, Error> {
        let Checked { topic, payload, key } = self.checked("snapshot", arguments)?;
        let missing = || Error::argument("upTo", "`upTo` must not be null");
        let upto = arguments.cursor("upTo")?.ok_or_else(missing)?;
        self.client.admit()?;
        Ok(Box::new((Draft { topic, payload, key, headers: None }, upto)))
    }

    /// What goes to a typed topic has to fit its type.
    fn checked(self, argument: &str, arguments: &Arguments<'_>) -> Result<Checked, Error> {
        let topic = arguments.topic("topic")?;
        let no_payload = || {
            let fault = (Vec::new(), "must not be null".to_owned());
            Error::payload(&[fault], format!("`{argument}` must not be null"))
        };
        let payload = arguments.json(argument).ok_or_else(no_payload)?;
        self.check_bytes(payload, arguments)?;
        let key = short("key", arguments)?;
        let Some(typed) = self.served.typed.of(&topic) else {
            return Ok(Checked { topic, payload: payload.clone(), key });
        };
        let mut checked = payload::of_json(&self.served.types, typed, topic, payload)?;
        if let (Some(given), Some(own)) = (&key, &checked.key)
            && given != own
        {
            let message = format!("`key` must be {own:?}: the type `{}` says so", typed.name);
            return Err(Error::argument("key", message));
        }
        checked.key = checked.key.or(key);
        // In normal form it may be longer: each of `[1,2]` as an `ID` has quotes.
        self.check_bytes(&checked.payload, arguments)?;
        Ok(checked)
    }

    fn typed(
        self,
        topic: &TypedTopic,
        input: &Value<'_>,
        arguments: &Arguments<'_>,
    ) -> Result<Publish, Error> {
        let checked = payload::of_input(topic, input)?;
        self.check_bytes(&checked.payload, arguments)?;
        self.publish(checked, arguments)
    }

    fn publish(self, checked: Checked, arguments: &Arguments<'_>) -> Result<Publish, Error> {
        let headers = arguments.json("headers").cloned();
        if let Some(headers) = &headers {
            check_headers(&headers.to_value())?;
        }
        let if_last = match arguments.text("ifLast") {
            None => None,
            Some("") => Some(IfLast::Empty),
            Some(text) => {
                let cursor = Cursor::parse(text);
                let wrong = |error| Error::from(error).with("argument", "ifLast");
                Some(IfLast::Cursor(cursor.map_err(wrong)?))
            }
        };
        let id = short("id", arguments)?;
        self.client.admit()?;
        let Checked { topic, payload, key } = checked;
        Ok(Publish { draft: Draft { topic, payload, key, headers }, id, if_last })
    }

    fn check_bytes(self, payload: &Text, arguments: &Arguments<'_>) -> Result<(), Error> {
        let headers = arguments.json("headers").map_or(0, |headers| headers.as_str().len());
        Ok(self.broker.check_payload(payload.as_str().len() + headers)?)
    }
}

impl From<Result<Publish, Error>> for Prepared {
    fn from(bound: Result<Publish, Error>) -> Self {
        match bound {
            Ok(publish) => Self::One(Box::new(publish)),
            Err(error) => Self::Known(Err(error).into()),
        }
    }
}

/// Ids are remembered as long as keys.
fn short(name: &str, arguments: &Arguments<'_>) -> Result<Option<Box<str>>, Error> {
    let Some(text) = arguments.text(name) else { return Ok(None) };
    if text.len() > KEY_BYTES_MAX {
        let bytes = text.len();
        let message = format!("`{name}` has {bytes} bytes; at most {KEY_BYTES_MAX} are allowed");
        return Err(Error::argument(name, message));
    }
    Ok(Some(text.into()))
}

fn check_headers(headers: &Json) -> Result<(), Error> {
    let wrong = |what: &str| {
        let message = format!("`headers` must be an object of strings; {what}");
        Err(Error::argument("headers", message))
    };
    match headers {
        Json::Object(fields) => match fields.iter().find(|(_, value)| !value.is_string()) {
            Some((name, _)) => wrong(&format!("{name:?} is not a string")),
            None => Ok(()),
        },
        _ => wrong("this is no object"),
    }
}
