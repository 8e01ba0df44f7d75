//! Typed topics at run time: which root field stands for which, and how values make topics.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::arguments::Arguments;
use super::error::{Code, Error, Segment};
use super::fault::{Fault, Payload};
use super::input::Value;
use super::sdl::derive;
use super::sdl::model::Model;
use super::sdl::names::Names;
use super::shapes;
use super::types::{Shape, Type, TypeId, Types};
use crate::broker::rules::{Overflow, TopicRule, TopicType};
use crate::broker::trie::Trie;
use crate::engine::retention::{Keep, Rule};
use crate::message::filter::{Filter, Filters};
use crate::message::template::{Template, ValueError};
use crate::message::topic::Topic;

/// All typed topics of a schema.
#[derive(Debug, Default)]
pub struct Typed {
    topics: Box<[TypedTopic]>,
    by_topic: Trie<usize>,
    by_field: FxHashMap<Box<str>, SmallVec<[Meaning; 2]>>,
    /// Types that routers ask for by a key.
    entities: Box<[usize]>,
}

/// What a field of a root means: the place is that of its typed topic.
type Meaning = (OperationType, Role, usize);

/// What a root field does with its typed topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Follows messages.
    Subscribe,
    /// The newest message.
    Newest,
    /// Messages kept.
    History,
    /// Publishes.
    Publish,
    /// Publishes several.
    PublishMany,
}

/// One typed topic.
#[derive(Debug)]
pub struct TypedTopic {
    /// The object type.
    pub object: TypeId,
    /// Its name.
    pub name: Box<str>,
    /// The input type of a payload.
    pub input: Type,
    /// The topics' names.
    pub template: Template,
    /// The names derived of it.
    pub names: Names,
    /// Keys by which routers ask for it.
    pub keys: Box<[Box<[Box<str>]>]>,
    key: Option<Box<str>>,
    /// What the log and the broker do with its topics.
    rule: TopicRule,
    keep: Option<Keep>,
    durable: bool,
}

/// Keys are remembered longer than their messages, so they are no place for data.
pub const KEY_BYTES_MAX: usize = 255;
/// Topics that one subscription may name by a list of values.
const TOPICS_MAX: usize = 1000;
/// The same by several lists together: a few values would make many topics.
const COMBINATIONS_MAX: usize = 100;

impl Typed {
    /// The typed topics of a model, whose derived SDL has these types.
    pub fn new(model: &Model, types: &Types) -> Self {
        let topics = model.topics.iter().filter_map(|topic| {
            let object = types.find(&topic.object)?;
            let input = types.find(&format!("{}Input", topic.object))?;
            let shape = shapes::shape(types, object);
            let keys = model.object(&topic.object).into_iter().flat_map(|object| &object.keys);
            let keys = keys.filter(|key| key.is_resolvable);
            let name: Box<str> = topic.object.as_str().into();
            Some(TypedTopic {
                object,
                input: Type { required: true, shape: Shape::Named(input) },
                template: topic.template.clone(),
                names: Names::of(&topic.stem),
                keys: keys
                    .map(|key| key.fields.iter().map(|f| f.as_str().into()).collect())
                    .collect(),
                key: topic.key.as_deref().map(Into::into),
                rule: TopicRule {
                    filter: topic.template.every(),
                    overflow: topic.overflow,
                    presence: topic.presence,
                    ty: Some(Arc::new(TopicType { name: name.clone(), shape })),
                },
                keep: topic.keep,
                durable: topic.durable,
                name,
            })
        });
        let mut typed = Self { topics: topics.collect(), ..Self::default() };
        let entity_names: Vec<&str> =
            derive::entities(model).map(|topic| topic.object.as_str()).collect();
        let mut entities = Vec::new();
        for (index, topic) in typed.topics.iter().enumerate() {
            typed.by_topic.insert(&topic.rule.filter, index);
            for (kind, role, field) in topic.fields() {
                let stands_for = typed.by_field.entry(field.as_str().into()).or_default();
                stands_for.push((kind, role, index));
            }
            if entity_names.contains(&&*topic.name) {
                entities.push(index);
            }
        }
        typed.entities = entities.into();
        typed
    }

    /// The typed topic of a root field, and what the field does with it.
    pub fn field(&self, kind: OperationType, field: &str) -> Option<(Role, &TypedTopic)> {
        let mut stands_for = self.by_field.get(field)?.iter();
        let (_, role, index) = stands_for.find(|(known, ..)| *known == kind)?;
        Some((*role, &self.topics[*index]))
    }

    /// What of a root field's arguments is published.
    pub fn payload(&self, kind: OperationType, field: &str) -> Payload {
        match self.field(kind, field) {
            Some((Role::Publish, topic)) => Payload::Argument(topic.names.argument.as_str().into()),
            Some((Role::PublishMany, topic)) => {
                Payload::Argument(topic.names.arguments.as_str().into())
            }
            None if (kind, field) == (OperationType::Mutation, "compact") => {
                Payload::Argument("snapshot".into())
            }
            _ => Payload::Named,
        }
    }

    /// The typed topic that a topic belongs to.
    pub fn of(&self, topic: &Topic) -> Option<&TypedTopic> {
        let mut found = None;
        self.by_topic.lookup(topic, &mut |index| found = Some(index));
        found.map(|index| &self.topics[index])
    }

    /// The typed topic of a type's name.
    pub fn named(&self, name: &str) -> Option<&TypedTopic> {
        self.topics.iter().find(|topic| *topic.name == *name)
    }

    /// The typed topic whose entities a router may ask for by this type's name.
    pub fn entity(&self, name: &str) -> Option<&TypedTopic> {
        let mut entities = self.entities.iter().map(|index| &self.topics[*index]);
        entities.find(|topic| *topic.name == *name)
    }

    /// What the broker does with typed topics.
    pub fn topic_rules(&self) -> Vec<TopicRule> {
        self.topics.iter().map(|topic| topic.rule.clone()).collect()
    }

    /// What the log keeps of typed topics. Those that do not say it keep what these rules say of
    /// their topics, or else `default`.
    pub fn retention(&self, rules: &[Rule], default: Keep) -> Vec<Rule> {
        self.topics.iter().flat_map(|topic| topic.retention(rules, default)).collect()
    }
}

impl TypedTopic {
    fn retention(&self, rules: &[Rule], default: Keep) -> Vec<Rule> {
        let own = |filter: Filter, keep: Keep| Rule {
            filter,
            keep,
            conflate: self.rule.overflow == Overflow::Conflate,
            durable: self.durable,
        };
        let every = &self.rule.filter;
        if let Some(keep) = self.keep {
            return vec![own(every.clone(), keep)];
        }
        let said = rules.iter().filter_map(|rule| {
            every.intersection(&rule.filter).map(|filter| own(filter, rule.keep))
        });
        said.chain([own(every.clone(), default)]).collect()
    }
}

impl TypedTopic {
    fn fields(&self) -> [(OperationType, Role, &String); 5] {
        let Names { subscription, newest, history, publish, publish_many, .. } = &self.names;
        [
            (OperationType::Subscription, Role::Subscribe, subscription),
            (OperationType::Query, Role::Newest, newest),
            (OperationType::Query, Role::History, history),
            (OperationType::Mutation, Role::Publish, publish),
            (OperationType::Mutation, Role::PublishMany, publish_many),
        ]
    }

    /// The topic that a payload's fields make, or what stands in the way.
    pub fn topic(&self, fields: &[(&str, Value<'_>)]) -> Result<Topic, Fault> {
        for placeholder in self.template.placeholders() {
            if token(value_of(fields, placeholder)).is_none() {
                return Err(fault(
                    placeholder,
                    "is part of the topic; only strings, numbers and \
                                  booleans can be",
                ));
            }
        }
        let value = |name: &str| token(value_of(fields, name)).unwrap_or_default();
        self.template.topic(value).map_err(|error| match error {
            ValueError::Empty { placeholder } => {
                fault(&placeholder, "is empty; it is part of the topic, and needs a character")
            }
            ValueError::TooLong { placeholder, bytes } => {
                fault(&placeholder, &format!("makes a topic of {bytes} bytes, over 255"))
            }
        })
    }

    /// Where the fields contradict the topic that was named.
    pub fn contradictions(&self, topic: &Topic, fields: &[(&str, Value<'_>)]) -> Vec<Fault> {
        let own = match self.topic(fields) {
            Ok(own) if own == *topic => return Vec::new(),
            Ok(own) => format!("; these values belong to `{own}`"),
            Err(_) => String::new(),
        };
        // Nobody who asks for values finds a topic that writes them in another way.
        let Some(named) = self.template.values(topic) else {
            let message = format!("has no value that makes the topic `{topic}`{own}");
            return self
                .template
                .placeholders()
                .take(1)
                .map(|name| fault(name, &message))
                .collect();
        };
        let contradiction = |(name, named): (&str, String)| {
            let value = token(value_of(fields, name));
            (value.as_deref() != Some(&*named)).then(|| {
                let message = format!("must be {named:?}, because the topic is `{topic}`{own}");
                fault(name, &message)
            })
        };
        named.into_iter().filter_map(contradiction).collect()
    }

    /// The conflation key that a payload has by its type.
    pub fn key(&self, fields: &[(&str, Value<'_>)]) -> Result<Option<Box<str>>, Fault> {
        let Some(name) = self.key.as_deref() else { return Ok(None) };
        let key = token(value_of(fields, name)).ok_or_else(|| {
            fault(name, "is the conflation key; only strings, numbers and booleans can be")
        })?;
        if key.len() > KEY_BYTES_MAX {
            let message =
                format!("is the conflation key, and has {} bytes, over {KEY_BYTES_MAX}", key.len());
            return Err(fault(name, &message));
        }
        Ok(Some(key.into()))
    }

    /// The topics of a field whose arguments are lists of placeholder values.
    pub fn filters(&self, arguments: &Arguments<'_>) -> Result<Filters, Error> {
        let mut choices: Vec<(&str, Vec<Cow<'_, str>>)> = Vec::new();
        let mut count = 1_usize;
        for name in self.template.placeholders() {
            let Some(values) = arguments.list(name) else { continue };
            if values.is_empty() {
                let message = format!("`{name}` is empty; name a value, or leave it out for all");
                return Err(Error::argument(name, message));
            }
            count = count.saturating_mul(values.len());
            let tokens =
                values.iter().map(|value| token(Some(value)).ok_or_else(|| no_token(name)));
            choices.push((name, tokens.collect::<Result<_, _>>()?));
        }
        let lists = choices.iter().filter(|(_, values)| values.len() > 1).count();
        let most = if lists > 1 { COMBINATIONS_MAX } else { TOPICS_MAX };
        if count > most {
            let message = format!("these values make {count} topics, over {most}");
            return Err(Error::new(Code::LimitExceeded, message));
        }
        let filters = (0..count).map(|number| {
            let mut rest = number;
            let chosen = choices.iter().map(|(name, values)| {
                let value = &values[rest % values.len()];
                rest /= values.len();
                (*name, value)
            });
            let chosen: Vec<(&str, &Cow<'_, str>)> = chosen.collect();
            self.template
                .filter(|name| {
                    let found = chosen.iter().find(|(known, _)| *known == name);
                    found.map(|(_, value)| Cow::Borrowed(&***value))
                })
                .map_err(|error| wrong_value(&error))
        });
        let filters = filters.collect::<Result<Vec<_>, _>>()?;
        // There is one filter at least: without a choice that of all.
        Ok(Filters::new(filters).unwrap_or_else(|| self.rule.filter.clone().into()))
    }

    /// The one topic of a field whose arguments are placeholder values.
    pub fn exact(&self, arguments: &Arguments<'_>) -> Result<Filters, Error> {
        let mut tokens: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for name in self.template.placeholders() {
            let token = token(arguments.get(name)).ok_or_else(|| no_token(name))?;
            tokens.push((name, token));
        }
        let value = |name: &str| {
            let found = tokens.iter().find(|(known, _)| *known == name);
            found.map(|(_, token)| Cow::Borrowed(&**token))
        };
        let filter = self.template.filter(value).map_err(|error| wrong_value(&error))?;
        Ok(filter.into())
    }
}

/// The text of a value that stands in a topic.
fn token<'v>(value: Option<&'v Value<'_>>) -> Option<Cow<'v, str>> {
    match value? {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Boolean(value) => Some(value.to_string().into()),
        Value::Int(number) => Some(number.to_string().into()),
        // Numbers that are equal are one topic, however they are written.
        Value::Float(number) => {
            number.parse::<f64>().ok().map(|number| (number + 0.0).to_string().into())
        }
        Value::Json(json) => match json.to_value() {
            serde_json::Value::String(text) => Some(text.into()),
            serde_json::Value::Number(number) => Some(number.to_string().into()),
            serde_json::Value::Bool(value) => Some(value.to_string().into()),
            _ => None,
        },
        Value::Null | Value::List(_) | Value::Object(_) => None,
    }
}

fn value_of<'v, 'a>(fields: &'v [(&'a str, Value<'a>)], name: &str) -> Option<&'v Value<'a>> {
    fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn fault(field: &str, message: &str) -> Fault {
    Fault { path: vec![Segment::Key(field.into())], message: message.to_owned() }
}

fn no_token(name: &str) -> Error {
    let message = format!("`{name}` must be a string, a number or a boolean");
    Error::argument(name, message)
}

fn placeholder_of(error: &ValueError) -> &str {
    match error {
        ValueError::Empty { placeholder } | ValueError::TooLong { placeholder, .. } => placeholder,
    }
}

fn wrong_value(error: &ValueError) -> Error {
    Error::argument(placeholder_of(error), error.to_string())
}
