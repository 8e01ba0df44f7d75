//! Fields of `Mutation`, run one after the other; those that only publish are prepared.

use std::time::Instant;

use async_graphql::parser::types::OperationType;

use super::arguments::Arguments;
use super::error::Error;
use super::node::{Node, Outcome};
use super::publish::{Prepared, Publisher, observe};
use super::typed::Role;
use super::{Caller, Services};
use crate::message::json::Json;
use crate::message::topic::Topic;

/// A field with its arguments bound.
#[derive(Debug)]
pub enum Call {
    /// `publish`, `publishMany`, `compact`, or an answer that is known.
    Publish(Prepared),
    /// `updatePresence`
    UpdatePresence(Topic, Json),
    /// `purge`
    Purge(Topic),
    /// `disconnect`
    Disconnect {
        /// The connection.
        connection: Option<String>,
        /// Or all of a subject.
        subject: Option<String>,
        /// What they are told.
        reason: String,
    },
}

impl Call {
    /// Binds a field; what is wrong with it is its outcome.
    pub fn bind(
        field: &str,
        arguments: Result<Arguments<'_>, Error>,
        publisher: Publisher<'_>,
        caller: &Caller,
    ) -> Self {
        arguments
            .and_then(|arguments| Self::bound(field, &arguments, publisher, caller))
            .unwrap_or_else(|error| Self::Publish(Prepared::Known(Err(error).into())))
    }

    fn bound(
        field: &str,
        arguments: &Arguments<'_>,
        publisher: Publisher<'_>,
        caller: &Caller,
    ) -> Result<Self, Error> {
        match publisher.served.typed.field(OperationType::Mutation, field) {
            Some((Role::PublishMany, topic)) => {
                return Ok(Self::Publish(Prepared::typed_many(publisher, topic, arguments)));
            }
            Some((_, topic)) => {
                return Ok(Self::Publish(Prepared::typed_one(publisher, topic, arguments)));
            }
            None => {}
        }
        match field {
            "publish" => Ok(Self::Publish(Prepared::one(publisher, arguments))),
            "publishMany" => Ok(Self::Publish(Prepared::many(publisher, arguments))),
            "compact" => Ok(Self::Publish(Prepared::compaction(publisher, arguments))),
            "__typename" => Ok(Self::Publish(Prepared::Known(Ok(Node::text("Mutation")).into()))),
            "updatePresence" => {
                let missing = || Error::argument("state", "`state` must not be null");
                let state = arguments.json("state").cloned().ok_or_else(missing)?;
                Ok(Self::UpdatePresence(arguments.topic("topic")?, state))
            }
            _ if !caller.admin => Err(Error::forbidden(field)),
            "purge" => Ok(Self::Purge(arguments.topic("topic")?)),
            _ => disconnect(arguments),
        }
    }

    /// Runs it to its end.
    pub async fn run(self, services: &Services, caller: &Caller, since: Instant) -> Outcome {
        let result = match self {
            Self::Publish(prepared) => {
                let outcome = prepared.submit(&services.broker).await;
                observe(&services.broker, since, &outcome);
                return outcome;
            }
            Self::UpdatePresence(topic, state) => {
                let presence = services.broker.presence(&topic);
                presence
                    .map(|presence| Node::flag(presence.update(&topic, &caller.connection, state)))
                    .map_err(Error::from)
            }
            Self::Purge(topic) => {
                services.broker.purge(&topic).await.map(Node::count).map_err(Error::from)
            }
            Self::Disconnect { connection, subject, reason } => {
                let (connection, subject) = (connection.as_deref(), subject.as_deref());
                let closed = services.directory.disconnect(connection, subject, &reason);
                Ok(Node::count(closed))
            }
        };
        result.into()
    }
}

/// The publishes, if there is nothing else.
pub fn only_publishes(calls: Vec<Call>) -> Result<Vec<Prepared>, Vec<Call>> {
    if !calls.iter().all(|call| matches!(call, Call::Publish(_))) {
        return Err(calls);
    }
    let prepared = calls.into_iter().filter_map(|call| match call {
        Call::Publish(prepared) => Some(prepared),
        Call::UpdatePresence(..) | Call::Purge(_) | Call::Disconnect { .. } => None,
    });
    Ok(prepared.collect())
}

/// Runs all, in order; the request came at `since`.
pub async fn run(
    calls: Vec<Call>,
    services: &Services,
    caller: &Caller,
    since: Instant,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(calls.len());
    for call in calls {
        outcomes.push(call.run(services, caller, since).await);
    }
    outcomes
}

fn disconnect(arguments: &Arguments<'_>) -> Result<Call, Error> {
    let owned = |name| arguments.text(name).map(ToOwned::to_owned);
    let (connection, subject) = (owned("connection"), owned("subject"));
    if connection.is_none() && subject.is_none() {
        let message = "name a `connection`, a `subject` or both";
        return Err(Error::argument("connection", message));
    }
    let reason = owned("reason").unwrap_or_else(|| "disconnected by an administrator".to_owned());
    Ok(Call::Disconnect { connection, subject, reason })
}
