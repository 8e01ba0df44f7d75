//! Fields of `Query`: arguments to broker calls, answers to nodes.

use async_graphql::parser::types::OperationType;

use super::arguments::Arguments;
use super::compile;
use super::entities::{self, Entity};
use super::error::{Code, Error};
use super::node::{Node, Outcome};
use super::output;
use super::typed::{Role, TypedTopic};
use super::{Caller, Served, Services};
use crate::broker::history::{PAGE_MESSAGES_MAX, PageSize, Request};
use crate::message::cursor::Cursor;
use crate::message::filter::Filter;
use crate::message::topic::Topic;
use crate::plan::{Position, Select};

/// A field with its arguments bound.
#[derive(Debug)]
pub enum Call {
    /// The answer is known.
    Known(Node),
    /// `broker`
    Broker,
    /// `topic`
    Topic(Topic),
    /// `topics`
    Topics {
        /// Which.
        matching: Filter,
        /// Which of them.
        page: Page,
    },
    /// `last`
    Last(Select),
    /// `history`, and those of typed topics.
    History(Box<Request>),
    /// The newest message of a typed topic.
    Newest(Select),
    /// `_entities`
    Entities(Vec<Result<Entity, Error>>),
    /// `presence`
    Presence(Topic),
    /// `connections`
    Connections(Page),
}

/// A page of a list, from its beginning on.
#[derive(Debug)]
pub struct Page {
    first: usize,
    after: Option<String>,
}

/// Most topics or connections of one page.
const PAGE_MAX: usize = 1000;
/// Messages of a page when the client names no number.
const HISTORY_DEFAULT: usize = 100;

impl Call {
    /// Binds a field that introspection does not answer.
    pub fn bind(
        field: &str,
        arguments: &Arguments<'_>,
        served: &Served,
        caller: &Caller,
    ) -> Result<Self, Error> {
        if let Some((role, topic)) = served.typed.field(OperationType::Query, field) {
            return Self::typed(role, topic, arguments, served);
        }
        Ok(match field {
            "broker" => Self::Broker,
            "topic" => Self::Topic(arguments.topic("name")?),
            "topics" => {
                let text = arguments.text("match").unwrap_or(">");
                let matching = Filter::parse(text).map_err(|error| Error::filter(text, &error))?;
                Self::Topics { matching, page: page(arguments)? }
            }
            "last" => Self::Last(compile::select(arguments)?),
            "history" => {
                let select = compile::select(arguments)?;
                Self::History(Box::new(history(select, arguments)?))
            }
            "_service" => Self::Known(entities::service(served)),
            "_entities" => Self::Entities(entities::bind(arguments, served)),
            "presence" => Self::Presence(arguments.topic("topic")?),
            "connections" if !caller.admin => return Err(Error::forbidden(field)),
            "connections" => Self::Connections(page(arguments)?),
            _ => Self::Known(Node::text("Query")),
        })
    }

    fn typed(
        role: Role,
        topic: &TypedTopic,
        arguments: &Arguments<'_>,
        served: &Served,
    ) -> Result<Self, Error> {
        let types = &served.types;
        let filters = match role {
            Role::History => topic.filters(arguments)?,
            Role::Newest | Role::Subscribe | Role::Publish | Role::PublishMany => {
                topic.exact(arguments)?
            }
        };
        let (select, _) = compile::typed_select(types, topic, filters, arguments)?;
        match role {
            Role::History => Ok(Self::History(Box::new(history(select, arguments)?))),
            _ => Ok(Self::Newest(select)),
        }
    }

    /// Asks the broker.
    pub async fn run(self, services: &Services) -> Outcome {
        match self {
            Self::Entities(references) => entities::run(references, &services.broker).await,
            other => other.one(services).await.into(),
        }
    }

    async fn one(self, services: &Services) -> Result<Node, Error> {
        let broker = &services.broker;
        Ok(match self {
            Self::Known(node) => node,
            Self::Broker => output::broker(services),
            Self::Topic(topic) => {
                broker.topic(&topic).map_or(Node::Null, |report| output::topic(&report))
            }
            Self::Topics { matching, page } => {
                let found = broker.topics(&matching, page.first, page.after.as_deref());
                output::topics(&found, page.after.is_some())
            }
            Self::Last(select) => {
                let messages = broker.last(&select, 1).await?;
                Node::List(messages.into_iter().map(Node::Message).collect())
            }
            Self::Newest(select) => {
                let newest = broker.last(&select, 1).await?.pop();
                newest.map_or(Node::Null, Node::Message)
            }
            // `run` has taken them.
            Self::Entities(_) => Node::Null,
            Self::History(request) => output::messages(&broker.history(&request).await?),
            Self::Presence(topic) => {
                let members = broker.presence(&topic)?.members(&topic);
                Node::List(members.iter().map(|member| output::member(member)).collect())
            }
            Self::Connections(page) => {
                let found = services.directory.connections(page.first, page.after.as_deref());
                output::connections(&found, page.after.is_some())
            }
        })
    }
}

fn page(arguments: &Arguments<'_>) -> Result<Page, Error> {
    let first = arguments.count("first")?.map_or(100, |count| count as usize);
    check_page(first, "first", PAGE_MAX)?;
    Ok(Page { first, after: arguments.text("after").map(ToOwned::to_owned) })
}

fn history(select: Select, arguments: &Arguments<'_>) -> Result<Request, Error> {
    let (first, last) = (arguments.count("first")?, arguments.count("last")?);
    let page = match (first, last) {
        (Some(_), Some(_)) => {
            let message = "`first` and `last` exclude each other; give one of them";
            return Err(Error::argument("last", message));
        }
        (None, Some(count)) => {
            check_page(count as usize, "last", PAGE_MESSAGES_MAX)?;
            PageSize::Last(count as usize)
        }
        (count, None) => {
            let count = count.map_or(HISTORY_DEFAULT, |count| count as usize);
            check_page(count, "first", PAGE_MESSAGES_MAX)?;
            PageSize::First(count)
        }
    };
    let since = compile::since(arguments)?;
    let after = after(arguments)?;
    if after.is_some() && since.is_some() {
        let message = "`after` and `since` exclude each other; give one of them";
        return Err(Error::argument("since", message));
    }
    let before = arguments.cursor("before")?;
    Ok(Request { select, after, before, since, page })
}

fn after(arguments: &Arguments<'_>) -> Result<Option<Cursor>, Error> {
    let Some(text) = arguments.text("after") else { return Ok(None) };
    Ok(match compile::after(text)? {
        Position::After(cursor) => Some(cursor),
        // Without a cursor a page begins with the earliest.
        _ => None,
    })
}

fn check_page(count: usize, argument: &'static str, most: usize) -> Result<(), Error> {
    if count <= most {
        return Ok(());
    }
    let message = format!("`{argument}` is {count}; at most {most} are allowed in one page");
    Err(Error::new(Code::LimitExceeded, message).with("argument", argument))
}
