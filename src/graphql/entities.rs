//! Apollo Federation: what a router asks of a subgraph.
//!
//! An entity is the newest message of the topic that the fields of a key name
//! (Apollo Federation subgraph specification, `_service` and `_entities`).

use serde_json::value::RawValue;

use super::Served;
use super::arguments::Arguments;
use super::error::{Code, Error, Segment};
use super::filter;
use super::input::{Coercion, Source, Value};
use super::node::{Node, Outcome};
use super::raw;
use super::typed::TypedTopic;
use super::types::Types;
use super::variables;
use crate::broker::Broker;
use crate::message::json::Json;
use crate::plan::Select;
use crate::plan::condition::{Comparison, Condition, Expression, Test};
use crate::plan::pointer::Pointer;

/// A reference to an entity, understood.
#[derive(Debug)]
pub struct Entity {
    ty: std::sync::Arc<str>,
    select: Select,
}

/// References of one field; each may be a read of the log.
const REFERENCES_MAX: usize = 1000;

/// `_service`
pub fn service(served: &Served) -> Node {
    Node::Object(vec![("sdl", Node::text(served.subgraph()))])
}

/// Binds `_entities`.
pub fn bind(arguments: &Arguments<'_>, served: &Served) -> Vec<Result<Entity, Error>> {
    let references = arguments.list("representations").unwrap_or_default();
    if references.len() > REFERENCES_MAX {
        let message =
            format!("{} references; at most {REFERENCES_MAX} are allowed", references.len());
        return vec![Err(Error::new(Code::LimitExceeded, message))];
    }
    references.iter().map(|reference| entity(reference, served)).collect()
}

/// Reads the newest message of each.
pub async fn run(references: Vec<Result<Entity, Error>>, broker: &Broker) -> Outcome {
    let mut errors = Vec::new();
    let mut nodes = Vec::with_capacity(references.len());
    for (index, reference) in references.into_iter().enumerate() {
        let found = match reference {
            Ok(entity) => newest(&entity, broker).await,
            Err(error) => Err(error),
        };
        nodes.push(found.unwrap_or_else(|error| {
            errors.push(error.under(vec![Segment::Index(index)]));
            Node::Null
        }));
    }
    Outcome { node: Some(Node::List(nodes)), errors }
}

async fn newest(entity: &Entity, broker: &Broker) -> Result<Node, Error> {
    let newest = broker.last(&entity.select, 1).await?.pop();
    Ok(newest.map_or(Node::Null, |message| Node::Entity(message, entity.ty.clone())))
}

fn entity(reference: &Value<'_>, served: &Served) -> Result<Entity, Error> {
    let Value::Json(json) = reference else { return Err(wrong("a reference is an object")) };
    let fields = raw::parse_object(json.as_str()).map_err(|_| wrong("a reference is an object"))?;
    let field = |name: &str| fields.iter().rfind(|(known, _)| known == name).map(|(_, json)| *json);
    let ty = field("__typename").and_then(raw::string);
    let ty = ty.ok_or_else(|| wrong("a reference has a `__typename`"))?;
    let unknown = || wrong(&format!("`{ty}` is no entity of this subgraph"));
    let topic = served.typed.entity(&ty).ok_or_else(unknown)?;
    let mut keys = topic.keys.iter();
    let key = keys.find(|key| key.iter().all(|name| field(name).is_some())).ok_or_else(|| {
        let names = topic.keys.iter().map(|key| format!("{{{}}}", key.join(" ")));
        wrong(&format!("a reference to `{ty}` has {}", names.collect::<Vec<_>>().join(" or ")))
    })?;
    let mut values = Vec::new();
    for name in key {
        let given = field(name).unwrap_or(RawValue::NULL);
        values.push((&**name, value(&served.types, topic, name, given)?));
    }
    let arguments = Arguments::of_object(&Value::Object(values.clone()));
    let filters = topic.exact(&arguments)?;
    let test = |(name, value): &(&str, Value<'_>)| {
        let path = vec![(*name).into()];
        if *value == Value::Null {
            return filter::null_at(&path);
        }
        let mut text = String::new();
        raw::write_value(value, &mut text);
        let comparison = Comparison::Eq(Json::from_made(text).to_value());
        Expression::Test(Test { pointer: Pointer::of(path), comparison })
    };
    // A key may have more fields than the topic's name does.
    let condition = Condition::new(Expression::All(values.iter().map(test).collect()));
    let select = Select { filters, condition: condition.map(Into::into), typed: true };
    Ok(Entity { ty: topic.name.as_ref().into(), select })
}

fn value<'a>(
    types: &'a Types,
    topic: &TypedTopic,
    name: &str,
    given: &'a RawValue,
) -> Result<Value<'a>, Error> {
    let declared = types.field(topic.object, name);
    let Some(declared) = declared else { return Err(wrong("the key has changed")) };
    let mut coercion = Coercion::new(types, variables::NONE);
    let value = coercion.value(&declared.ty, Source::Json(given));
    match coercion.finish().first() {
        None => Ok(value),
        Some(fault) => Err(wrong(&format!("`{name}` {}", fault.message))),
    }
}

fn wrong(message: &str) -> Error {
    Error::argument("representations", message)
}
