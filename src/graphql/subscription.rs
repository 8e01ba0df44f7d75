//! Fields of `Subscription`: `messages` becomes a plan; the others are streams of results.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};

use super::arguments::Arguments;
use super::compile;
use super::document::Operation;
use super::error::{Code, Error};
use super::node::respond;
use super::output;
use super::request::Request;
use super::select::{Selected, Selection};
use super::typed::TypedTopic;
use super::types::Types;
use super::{Caller, Services, raw, shapes};
use crate::broker::presence::{LostTrack, Member, PresenceEvent};
use crate::engine::histogram::HistogramSnapshot;
use crate::message::time::Timestamp;
use crate::plan::{Plan, Position};

/// Results, each a JSON object.
pub type Results = BoxStream<'static, Vec<u8>>;

/// The only field of a subscription (specification, section 5.2.4.1).
pub fn only_field<'a>(
    operation: &Operation,
    selection: &'a Selection,
) -> Result<&'a Selected, Error> {
    let name = || match &operation.name {
        Some(name) => format!("Subscription \"{name}\""),
        None => "Anonymous Subscription".to_owned(),
    };
    let message = match &selection[..] {
        [field] if !field.name.starts_with("__") => return Ok(field),
        [_] => format!("{} must not select an introspection top level field.", name()),
        _ => format!("{} must select only one top level field.", name()),
    };
    let refused = Error::new(Code::ValidationFailed, message);
    Err(selection.iter().skip(1).fold(refused, |error, field| error.at(field.position)))
}

/// `messages`
pub fn plan(
    field: &Selected,
    arguments: &Arguments<'_>,
    request: &Request<'_>,
    caller: &Caller,
) -> Result<Plan, Error> {
    let position = position(arguments, request)?;
    let (select, pace) = (compile::select(arguments)?, compile::pace(arguments)?);
    let projection = Arc::new(compile::result(field, caller.resume));
    Ok(Plan { select, projection, position, pace, uses: None })
}

/// A typed topic.
pub fn typed_plan(
    types: &Types,
    topic: &TypedTopic,
    field: &Selected,
    arguments: &Arguments<'_>,
    request: &Request<'_>,
    caller: &Caller,
) -> Result<Plan, Error> {
    let position = position(arguments, request)?;
    let (filters, pace) = (topic.filters(arguments)?, compile::pace(arguments)?);
    let (select, tested) = compile::typed_select(types, topic, filters, arguments)?;
    let projection = Arc::new(compile::typed_result(field, caller.resume));
    let uses = || Arc::new(shapes::uses(types, topic, field, &tested));
    // Of one document there are many subscriptions, and most of them have the same fields.
    let uses = if tested.is_empty() { field.uses.get_or_init(uses).clone() } else { uses() };
    Ok(Plan { select, projection, position, pace, uses: Some(uses) })
}

fn position(arguments: &Arguments<'_>, request: &Request<'_>) -> Result<Position, Error> {
    match request.extension("after") {
        Some(json) => {
            let text = raw::string(json).ok_or_else(|| {
                let message = "`extensions.after` must be a cursor, which is a string";
                Error::new(Code::BadCursor, message).with("argument", "after")
            })?;
            compile::after(&text)
        }
        None => compile::position(arguments),
    }
}

/// Every field but `messages`.
pub fn stream(
    selection: Arc<Selection>,
    field: &str,
    arguments: &Arguments<'_>,
    services: &Arc<Services>,
    caller: &Caller,
) -> Result<Results, Error> {
    match field {
        "stats" if !caller.admin => Err(Error::forbidden(field)),
        "stats" => Ok(stats(selection, every(arguments)?, services.clone())),
        _ => {
            let topic = arguments.topic("topic")?;
            let presence = services.broker.presence(&topic)?.clone();
            let member = (field == "join").then(|| Member {
                connection: caller.connection.clone(),
                subject: caller.subject.clone(),
                state: arguments.json("state").cloned(),
                joined_at: now(),
            });
            // At the first poll: an operation that is refused after this has not joined.
            let enter = async move {
                match member {
                    Some(member) => presence.join(&topic, member),
                    None => presence.watch(&topic),
                }
            };
            let events = futures_util::stream::once(enter).flatten();
            Ok(presence_events(selection, events))
        }
    }
}

fn presence_events(
    selection: Arc<Selection>,
    events: impl Stream<Item = Result<PresenceEvent, LostTrack>> + Send + 'static,
) -> Results {
    let result = move |event: Result<PresenceEvent, LostTrack>| {
        let node = event.map(|event| output::presence_event(&event)).map_err(Error::from);
        respond(&selection, vec![node.into()])
    };
    events.map(result).boxed()
}

fn stats(selection: Arc<Selection>, every: Duration, services: Arc<Services>) -> Results {
    let before = services.broker.stats(Instant::now()).delivery_seconds;
    let report = move |(wait, before, services, selection): Reporting| async move {
        tokio::time::sleep(wait).await;
        let stats = services.broker.stats(Instant::now());
        let node = output::stats(&stats, now(), &before);
        let bytes = respond(&selection, vec![Ok(node).into()]);
        Some((bytes, (every, stats.delivery_seconds, services, selection)))
    };
    futures_util::stream::unfold((Duration::ZERO, before, services, selection), report).boxed()
}

/// How long to wait for the next report, and what it is made of.
type Reporting = (Duration, HistogramSnapshot, Arc<Services>, Arc<Selection>);

fn every(arguments: &Arguments<'_>) -> Result<Duration, Error> {
    const LEAST: f64 = 0.1;
    const MOST: f64 = 3600.0;
    let seconds = arguments.float("every").unwrap_or(1.0);
    if !(LEAST..=MOST).contains(&seconds) {
        let message = format!("`every` is {seconds} seconds; it must be {LEAST} to {MOST}");
        return Err(Error::argument("every", message));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
