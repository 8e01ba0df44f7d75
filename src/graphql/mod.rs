//! GraphQL: one operation in, an answer or a plan out.
//!
//! Comes in: requests as clients send them, and who sends them. Goes out: compiled subscriptions,
//! prepared publishes, and results as JSON text. Knows nothing of: protocols, sockets, HTTP.

pub mod error;
pub mod node;
pub mod request;

pub mod limits;
pub mod sdl;
pub mod types;

pub mod arguments;
pub mod compile;
pub mod definition;
pub mod document;
pub mod entities;
pub mod fault;
pub mod filter;
pub mod input;
pub mod mutation;
pub mod output;
pub mod payload;
pub mod persisted;
pub mod positions;
pub mod publish;
pub mod query;
pub mod raw;
pub mod registry;
pub mod select;
pub mod shapes;
pub mod subscription;
pub mod typed;
pub mod variables;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use async_graphql::Pos;
use async_graphql::parser::types::OperationType;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::BoxStream;
use parking_lot::Mutex;

use crate::broker::Broker;
use crate::broker::admission::Client;
use crate::broker::directory::Directory;
use crate::message::json::Json;
use crate::plan::{Plan, Uses};
use arguments::Arguments;
use definition::Definition;
use document::{Document, Documents, Operation};
use error::Error;
use limits::Limits;
use node::{Node, respond};
use persisted::Persisted;
use publish::{Publisher, Publishing};
use request::Request;
use select::{Selected, Selection};
use typed::TypedTopic;
use variables::Variables;

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

/// The schema that a broker serves; another may take its place while it does.
pub struct Schema {
    served: ArcSwap<Served>,
    /// The newest generation whose types the broker knows as well.
    settled: AtomicU64,
    /// Held while another definition takes the place of one, until the broker knows its types:
    /// what is started by the new one meanwhile waits. Nothing is awaited under it.
    replacing: Mutex<()>,
    persisted: Persisted,
    services: Arc<Services>,
}

/// What is served at one time.
pub struct Served {
    definition: Definition,
    documents: Documents,
    generation: u64,
}

/// What resolvers call.
pub struct Services {
    broker: Arc<Broker>,
    directory: Arc<dyn Directory>,
    limits: ArcSwap<Json>,
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
    /// Messages: for the broker's feeds; what goes wrong later goes wrong at the field's place.
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
    pub fn errors(self, error: impl Into<Error>) -> String {
        let error = error.into().at(self.position);
        error::to_json(&[error.under(vec![error::Segment::Key(self.key)])])
    }
}

/// One operation on its way to being started.
struct Start<'a> {
    services: &'a Arc<Services>,
    served: &'a Served,
    request: &'a Request<'a>,
    caller: &'a Arc<Caller>,
    document: &'a Document,
    operation: &'a Operation,
    variables: &'a Variables<'a>,
    selection: Arc<Selection>,
    since: Instant,
}

impl Schema {
    /// The schema of a definition, over a broker.
    pub fn new(
        broker: Arc<Broker>,
        directory: Arc<dyn Directory>,
        definition: Definition,
        options: &Options,
    ) -> Arc<Self> {
        let limits = ArcSwap::from_pointee(options.shown_limits.clone());
        Arc::new(Self {
            served: ArcSwap::from_pointee(Served::new(definition, options, 0)),
            settled: AtomicU64::new(0),
            replacing: Mutex::default(),
            persisted: Persisted::new(options.persisted_bytes),
            services: Arc::new(Services { broker, directory, limits }),
        })
    }

    /// Serves another definition from now on. Operations that have been started go on as they are.
    /// None is started by the new one before `follow`, which is to tell the broker its types, has
    /// come back: a subscription could be sent what fits only the types of before.
    pub fn replace(&self, definition: Definition, options: &Options, follow: impl FnOnce()) {
        let replacing = self.replacing.lock();
        self.services.limits.store(Arc::new(options.shown_limits.clone()));
        let generation = self.generation() + 1;
        let old = self.served.swap(Arc::new(Served::new(definition, options, generation)));
        follow();
        self.settled.store(generation, Ordering::Release);
        drop(replacing);
        drop(old);
    }

    /// The SDL served.
    pub fn sdl(&self) -> String {
        self.served.load().sdl().to_owned()
    }

    /// Is a running subscription that relies on this still as its document says?
    pub fn serves(&self, uses: &Uses) -> Result<(), Error> {
        self.served.load().definition.serves(uses)
    }

    /// How often another definition has taken the place of one; what is done by the newest is done
    /// after it is counted.
    pub fn generation(&self) -> u64 {
        self.served.load().generation
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
        let served = self.served.load();
        if self.settled.load(Ordering::Acquire) < served.generation {
            drop(self.replacing.lock());
        }
        let document = self.document(&served, request)?;
        let operation = document.operation(request.operation_name.as_deref()).map_err(one)?;
        let types = &served.types;
        let variables = Variables::coerce(types, &operation.variables, request.variables)?;
        let selection = document.fields(operation, types, &variables).map_err(one)?;
        let start = Start {
            services: &self.services,
            served: &served,
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

    fn document(
        &self,
        served: &Served,
        request: &Request<'_>,
    ) -> Result<Arc<Document>, Vec<Error>> {
        let persisted = self.persisted.text(request).map_err(one)?;
        let Some(text) = persisted.as_deref().or(request.query.as_deref()) else {
            let message = "Must provide query string.";
            return Err(vec![Error::new(error::Code::BadRequest, message)]);
        };
        served.documents.get(text, &served.definition)
    }
}

impl Served {
    fn new(definition: Definition, options: &Options, generation: u64) -> Self {
        let documents = Documents::new(options.documents_bytes, options.limits);
        Self { definition, documents, generation }
    }
}

impl Deref for Served {
    type Target = Definition;

    fn deref(&self) -> &Definition {
        &self.definition
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
            query::Call::bind(&field.name, &arguments, self.served, self.caller)
        };
        let calls: Vec<Result<query::Call, Error>> = self.selection.iter().map(bind).collect();
        let (services, selection) = (self.services.clone(), self.selection);
        let answer = async move {
            let services = &services;
            let run = |call: Result<query::Call, Error>| async move {
                match call {
                    Ok(call) => call.run(services).await,
                    Err(error) => Err(error).into(),
                }
            };
            respond(&selection, join_all(calls.into_iter().map(run)).await)
        };
        Started::Query(answer.boxed())
    }

    fn mutation(self) -> Started {
        let (services, since) = (self.services.clone(), self.since);
        let (broker, client) = (&*services.broker, &*self.caller.client);
        let publisher = Publisher { broker, client, served: self.served };
        let bind = |field: &Selected| {
            mutation::Call::bind(&field.name, self.arguments(field), publisher, self.caller)
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
        let typed = self.served.typed.field(OperationType::Subscription, &field.name);
        let plan = match typed {
            Some((_, topic)) => Some(self.typed_plan(topic, field, &arguments)),
            None if &*field.name == "messages" => {
                Some(subscription::plan(field, &arguments, self.request, self.caller))
            }
            None => None,
        };
        if let Some(plan) = plan {
            let place_of_field = Place { key: field.key.clone(), position: field.position };
            return plan.map(|plan| Started::Subscribe(plan, place_of_field)).map_err(place);
        }
        let selection = self.selection.clone();
        let stream =
            subscription::stream(selection, &field.name, &arguments, self.services, self.caller);
        stream.map(Started::Stream).map_err(place)
    }

    fn typed_plan(
        &self,
        topic: &TypedTopic,
        field: &Selected,
        arguments: &Arguments<'_>,
    ) -> Result<Plan, Error> {
        let types = &self.served.types;
        subscription::typed_plan(types, topic, field, arguments, self.request, self.caller)
    }

    fn arguments<'s>(&'s self, field: &'s Selected) -> Result<Arguments<'s>, Error> {
        let types = &self.served.types;
        let payload = self.served.typed.payload(self.operation.kind, &field.name);
        match types.field(self.operation.root, &field.name) {
            Some(declared) => Arguments::coerce(types, declared, field, self.variables, &payload),
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
            self.served.registry.introspect(&self.document.ast, name, self.request.variables);
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
