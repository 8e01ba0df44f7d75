//! GraphQL: one operation in, an answer or a plan out.
//!
//! Comes in: requests as clients send them, and who sends them. Goes out: compiled subscriptions,
//! prepared publishes, and results as JSON text. Knows nothing of: protocols, sockets, HTTP.

pub mod error;
pub mod node;
pub mod request;

pub mod limits;
pub mod types;

pub mod arguments;
pub mod compile;
pub mod document;
pub mod input;
pub mod mutation;
pub mod output;
pub mod persisted;
pub mod positions;
pub mod publish;
pub mod query;
pub mod raw;
pub mod registry;
pub mod select;
pub mod subscription;
pub mod variables;

use std::sync::Arc;
use std::time::Instant;

use async_graphql::Pos;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::OperationType;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::BoxStream;

use crate::broker::admission::Client;
use crate::broker::directory::Directory;
use crate::broker::{self, Broker};
use crate::message::json::Json;
use crate::plan::Plan;
use arguments::Arguments;
use document::{Document, Documents, Operation};
use error::{Error, SchemaError};
use limits::Limits;
use node::{Node, Outcome, respond};
use persisted::Persisted;
use publish::Publishing;
use registry::Registry;
use request::Request;
use select::{Selected, Selection};
use types::Types;
use variables::Variables;

/// The generic schema, which is always there.
const GENERIC: &str = include_str!("../../schema/tidings.graphql");

/// What a schema is built with.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much one document may ask for.
    pub limits: Limits,
    /// Memory for documents that stay parsed.
    pub documents_bytes: u64,
    /// Bytes of the documents that clients name by their hash.
    pub persisted_bytes: u64,
    /// The limits in force, as the field `limits` of `Broker` shows them.
    pub shown_limits: Json,
}

/// The schema that a broker serves.
pub struct Schema {
    sdl: String,
    types: Types,
    registry: Registry,
    documents: Documents,
    persisted: Persisted,
    services: Arc<Services>,
}

/// What resolvers call.
pub struct Services {
    broker: Arc<Broker>,
    directory: Arc<dyn Directory>,
    limits: Json,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The connection's id.
    pub connection: Arc<str>,
    /// The subject of its token.
    pub subject: Option<Arc<str>>,
    /// May use the fields for administrators.
    pub admin: bool,
    /// Wants the cursor with every message.
    pub resume: bool,
    /// What it has left of its rate of publishes.
    pub client: Arc<Client>,
}

/// An operation that is ready to run; none of these has had any effect yet. A `Stream` that joins
/// has joined with its first poll, and leaves when it is dropped.
pub enum Started {
    /// `messages`: for the broker's feeds; what goes wrong later goes wrong at the field's place.
    Subscribe(Plan, Place),
    /// Another subscription: results, each a JSON object.
    Stream(BoxStream<'static, Vec<u8>>),
    /// A mutation of publishes only.
    Publish(Publishing),
    /// Another mutation: the result, a JSON object.
    Mutation(BoxFuture<'static, Vec<u8>>),
    /// A query: the result, a JSON object.
    Query(BoxFuture<'static, Vec<u8>>),
    /// Nothing will be executed: a JSON array of errors.
    Refused(String),
}

/// Where the one field of a subscription stands.
#[derive(Debug, Clone)]
pub struct Place {
    key: Box<str>,
    position: Pos,
}

impl Place {
    /// What ends a running subscription: a JSON array of errors.
    pub fn errors(self, error: broker::Error) -> String {
        let error = Error::from(error).at(self.position);
        error::to_json(&[error.under(vec![error::Segment::Key(self.key)])])
    }
}

/// One operation on its way to being started.
struct Start<'a> {
    schema: &'a Schema,
    request: &'a Request<'a>,
    caller: &'a Arc<Caller>,
    document: &'a Document,
    operation: &'a Operation,
    variables: &'a Variables<'a>,
    selection: Arc<Selection>,
    since: Instant,
}

impl Schema {
    /// The generic schema over a broker.
    pub fn new(
        broker: Arc<Broker>,
        directory: Arc<dyn Directory>,
        options: &Options,
    ) -> Result<Arc<Self>, SchemaError> {
        let sdl = GENERIC.to_owned();
        let parsed = parse_schema(&sdl).map_err(|error| SchemaError::Syntax {
            position: error.positions().next().unwrap_or_default(),
            message: error.to_string(),
        })?;
        let limits = options.shown_limits.clone();
        Ok(Arc::new(Self {
            types: Types::new(&parsed)?,
            registry: Registry::new(&parsed)?,
            documents: Documents::new(options.documents_bytes, options.limits),
            persisted: Persisted::new(options.persisted_bytes),
            services: Arc::new(Services { broker, directory, limits }),
            sdl,
        }))
    }

    /// The SDL served.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// Is a running subscription that relies on this still as its document says?
    pub fn serves(&self, _: &crate::plan::Uses) -> Result<(), Error> {
        Ok(())
    }

    /// Counts the replacements.
    pub fn generation(&self) -> u64 {
        0
    }

    /// Makes an operation ready to run; its request came at `since`.
    pub fn start(&self, request: &Request<'_>, caller: &Arc<Caller>, since: Instant) -> Started {
        let started = self.try_start(request, caller, since);
        started.unwrap_or_else(|errors| Started::Refused(error::to_json(&errors)))
    }

    fn try_start(
        &self,
        request: &Request<'_>,
        caller: &Arc<Caller>,
        since: Instant,
    ) -> Result<Started, Vec<Error>> {
        let document = self.document(request)?;
        let operation = document.operation(request.operation_name.as_deref()).map_err(one)?;
        let variables = Variables::coerce(&self.types, &operation.variables, request.variables)?;
        let selection = document.fields(operation, &self.types, &variables).map_err(one)?;
        let start = Start {
            schema: self,
            request,
            caller,
            document: &document,
            operation,
            variables: &variables,
            selection,
            since,
        };
        match operation.kind {
            OperationType::Query => Ok(start.query()),
            OperationType::Mutation => Ok(start.mutation()),
            OperationType::Subscription => start.subscription().map_err(one),
        }
    }

    fn document(&self, request: &Request<'_>) -> Result<Arc<Document>, Vec<Error>> {
        let persisted = self.persisted.text(request).map_err(one)?;
        let Some(text) = persisted.as_deref().or(request.query.as_deref()) else {
            let message = "Must provide query string.";
            return Err(vec![Error::new(error::Code::BadRequest, message)]);
        };
        self.documents.get(text, &self.types, &self.registry)
    }
}

impl Start<'_> {
    fn query(self) -> Started {
        let introspected = self.introspected();
        let bind = |field: &Selected| {
            if let Some((_, text)) = introspected.iter().find(|(key, _)| **key == *field.key) {
                return Ok(query::Call::Known(Node::Json(text.clone().into())));
            }
            let arguments = self.arguments(field)?;
            query::Call::bind(&field.name, &arguments, self.caller)
        };
        let calls: Vec<Result<query::Call, Error>> = self.selection.iter().map(bind).collect();
        let (services, selection) = (self.schema.services.clone(), self.selection);
        let answer = async move {
            let services = &services;
            let run = |call: Result<query::Call, Error>| async move {
                match call {
                    Ok(call) => Outcome::from(call.run(services).await),
                    Err(error) => Err(error).into(),
                }
            };
            respond(&selection, join_all(calls.into_iter().map(run)).await)
        };
        Started::Query(answer.boxed())
    }

    fn mutation(self) -> Started {
        let (services, since) = (self.schema.services.clone(), self.since);
        let bind = |field: &Selected| {
            mutation::Call::bind(&field.name, self.arguments(field), &services, self.caller)
        };
        let calls = match mutation::only_publishes(self.selection.iter().map(bind).collect()) {
            Ok(publishes) => {
                let publishing = Publishing::new(services, self.selection, publishes, since);
                return Started::Publish(publishing);
            }
            Err(calls) => calls,
        };
        let (selection, caller) = (self.selection, self.caller.clone());
        let answer = async move {
            let outcomes = mutation::run(calls, &services, &caller, since).await;
            respond(&selection, outcomes)
        };
        Started::Mutation(answer.boxed())
    }

    fn subscription(self) -> Result<Started, Error> {
        let field = subscription::only_field(self.operation, &self.selection)?;
        let place = |error: Error| {
            error.at(field.position).under(vec![error::Segment::Key(field.key.clone())])
        };
        let arguments = self.arguments(field).map_err(place)?;
        if &*field.name == "messages" {
            let plan = subscription::plan(field, &arguments, self.request, self.caller);
            let place_of_field = Place { key: field.key.clone(), position: field.position };
            return plan.map(|plan| Started::Subscribe(plan, place_of_field)).map_err(place);
        }
        let services = &self.schema.services;
        let selection = self.selection.clone();
        let stream =
            subscription::stream(selection, &field.name, &arguments, services, self.caller);
        stream.map(Started::Stream).map_err(place)
    }

    fn arguments<'s>(&'s self, field: &'s Selected) -> Result<Arguments<'s>, Error> {
        let types = &self.schema.types;
        match types.field(self.operation.root, &field.name) {
            Some(declared) => Arguments::coerce(types, declared, field, self.variables),
            // `__typename`
            None => Ok(Arguments::none()),
        }
    }

    fn introspected(&self) -> Vec<(String, String)> {
        let is_introspection = |field: &Selected| matches!(&*field.name, "__schema" | "__type");
        if !self.selection.iter().any(is_introspection) {
            return Vec::new();
        }
        let name = self.operation.name.as_deref();
        let fields =
            self.schema.registry.introspect(&self.document.ast, name, self.request.variables);
        let keys: Vec<&str> = self
            .selection
            .iter()
            .filter(|field| is_introspection(field))
            .map(|field| &*field.key)
            .collect();
        fields.into_iter().filter(|(key, _)| keys.contains(&key.as_str())).collect()
    }
}

fn one(error: Error) -> Vec<Error> {
    vec![error]
}

#[cfg(test)]
mod tests;
