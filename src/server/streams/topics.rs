//! Messages as server-sent events, without GraphQL: `data` is a message, its id the cursor.

use std::sync::Arc;

use axum::extract::Query;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::bridge::{self, Opening, Said};
use super::events::{self, Parts, push_comment, push_event, push_id};
use super::{Format, Writing, admit, final_errors, last_event_id};
use crate::broker::history::{PageSize, Request as History};
use crate::graphql::error::{Code, Error, to_json};
use crate::graphql::{Place, Started};
use crate::plan::{Plan, Position};
use crate::server::App;
use crate::server::graphql::{self, Asker};
use crate::server::plain::{errors, refuse};
use crate::server::reply::Answer;

/// All fields of a message.
const DOCUMENT: &str = "subscription (\
    $topics: [String!]!, $after: Cursor, $since: DateTime, $last: Int, $snapshot: Boolean, \
    $maxPerSecond: Float, $distinct: Boolean) { message: messages(\
    topics: $topics, after: $after, since: $since, last: $last, snapshot: $snapshot, \
    maxPerSecond: $maxPerSecond, distinct: $distinct) \
    { topic cursor previous publishedAt key headers payload snapshot } }";

/// What stands around a message in a result of that document.
const HEAD: &str = r#"{"data":{"message":"#;
const TAIL: &str = "}";

/// Parameters that say where a stream begins; a position that a client comes back with takes the
/// place of all of them.
const POSITIONS: [&str; 4] = ["after", "since", "last", "snapshot"];

struct Messages {
    /// Where a stream begins that nothing was sent on yet.
    begins: Begins,
    /// Why the subscription ended: a JSON array of errors.
    refused: Option<String>,
}

/// What a client can resume from before its first message.
enum Begins {
    /// The newest position, when the connection tells it.
    Live,
    /// This cursor.
    After(String),
    /// Nothing: it asks again for what it asked for.
    Other,
}

/// GET: the messages that match, from where the client wants them.
pub(in crate::server) async fn serve(
    app: &Arc<App>,
    asker: Asker,
    filter: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response, Answer> {
    let resumed = last_event_id(headers);
    let (variables, after) = variables(filter, uri, resumed)?;
    let request = json!({ "query": DOCUMENT, "variables": variables }).to_string();
    let plan = match graphql::start(app, &asker.caller(app), &request)? {
        Started::Subscribe(plan, place) => check(app, plan, place).await?,
        Started::Refused(refused) => return Err(errors(&refused)),
        _ => return Err(refuse(Code::Internal, "the stream's own document is not understood")),
    };
    let permit = match admit(app, asker) {
        Ok(permit) => permit,
        Err(_) if after.is_some() => return Ok(events::come_back()),
        Err(refused) => return Err(refused),
    };
    let begins = match (plan.position, after) {
        (Position::Live, _) => Begins::Live,
        (Position::After(cursor), _) => Begins::After(cursor.to_string()),
        _ => Begins::Other,
    };
    let Asker { remote, admin } = asker;
    let opening = Opening { remote, admin, protocol: "sse", resume: true, permit };
    let (sender, receiver) = bridge::open(app, opening).await;
    let messages = Messages { begins, refused: None };
    let mut writing = Writing::new(receiver, messages, events::COMMENT);
    writing.start(&sender, &request).await;
    match writing.format.refused.take() {
        Some(refused) => Err(errors(&refused)),
        None => Ok(writing.into_response(events::EVENT_STREAM)),
    }
}

/// A position that is lost is told by the status, for a stream cannot tell it: who comes back to
/// a stream that ends at once would do so for ever.
async fn check(app: &App, plan: Plan, place: Place) -> Result<Plan, Answer> {
    let Position::After(cursor) = plan.position else { return Ok(plan) };
    let first = History {
        select: plan.select.clone(),
        after: Some(cursor),
        before: None,
        since: None,
        page: PageSize::First(1),
    };
    let found = app.layers.broker.history(&first).await;
    found.map(|_| plan).map_err(|error| errors(&place.errors(error)))
}

/// The variables of the document, and the position with which a broken stream comes back.
fn variables(
    filter: &str,
    uri: &Uri,
    resumed: Option<String>,
) -> Result<(Map<String, Value>, Option<String>), Answer> {
    let wrong = |name: &str, message: String| {
        errors(&to_json(&[Error::new(Code::BadArgument, message).with("argument", name)]))
    };
    let Query(parameters) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| wrong("query", error.body_text()))?;
    let mut topics = vec![Value::from(filter)];
    let mut variables = Map::new();
    let mut after = resumed;
    for (name, text) in parameters {
        let value = match name.as_str() {
            "topics" => {
                topics.push(text.into());
                continue;
            }
            "lastEventId" => {
                after = after.or(Some(text).filter(|text| !text.is_empty()));
                continue;
            }
            "after" | "since" => Some(text.into()),
            "last" => text.parse::<i64>().ok().map(Value::from),
            "maxPerSecond" => text.parse::<f64>().ok().map(Value::from),
            "snapshot" | "distinct" => text.parse::<bool>().ok().map(Value::from),
            _ => {
                let known = "topics, after, since, last, snapshot, maxPerSecond, distinct and \
                             lastEventId";
                let message = format!("there is no parameter {name:?}; there are {known}");
                return Err(wrong(&name, message));
            }
        };
        let Some(value) = value else {
            let message = "it must be a number (last, maxPerSecond), true or false (others)";
            return Err(wrong(&name, format!("the parameter {name} does not fit: {message}")));
        };
        variables.insert(name, value);
    }
    if let Some(after) = &after {
        for name in POSITIONS {
            variables.remove(name);
        }
        variables.insert("after".to_owned(), after.as_str().into());
    }
    variables.insert("topics".to_owned(), topics.into());
    Ok((variables, after))
}

impl Format for Messages {
    fn write(&mut self, said: Said<'_>, out: &mut Vec<u8>) -> bool {
        match said {
            Said::Acknowledged { cursor } => match &self.begins {
                Begins::Live => push_id(cursor, out),
                Begins::After(cursor) => push_id(cursor, out),
                Begins::Other => {}
            },
            Said::Next { result, .. } => push_message(result, out),
            Said::Position(cursor) => push_id(cursor, out),
            Said::Quiet => push_comment(out),
            // The client comes back, and its status tells what was wrong.
            Said::Failed { errors, .. } => {
                self.refused = Some(errors.to_owned());
                return false;
            }
            Said::Complete { .. } => return false,
            Said::Ready => {}
            Said::Closed { code, reason } => {
                if let Some(errors) = final_errors(code, reason) {
                    push_event("closed", None, &[r#"{"errors":"#, &errors, "}"], out);
                }
                return false;
            }
        }
        true
    }
}

/// Appends the message of a result, and before it how many were kept from this client.
fn push_message(result: &str, out: &mut Vec<u8>) {
    let Parts { data, cursor, dropped } = Parts::of(result);
    if let Some(dropped) = dropped {
        push_event("dropped", None, &[r#"{"dropped":"#, dropped, "}"], out);
    }
    let message = data.strip_prefix(HEAD).and_then(|message| message.strip_suffix(TAIL));
    push_event("", cursor, &[message.unwrap_or(data)], out);
}
