//! What a folder of SDL declares, checked: every name resolves and every topic is sound.

use async_graphql::parser::types::Type;

use crate::broker::rules::Overflow;
use crate::engine::retention::Keep;
use crate::message::template::Template;

/// A checked schema of typed topics. Names are unique, and none is one of the generic schema's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    /// Types with `@topic`, in the order of their files and lines.
    pub topics: Vec<TypedTopic>,
    /// All object types, those with `@topic` included, in the same order.
    pub objects: Vec<Object>,
    /// Enums.
    pub enums: Vec<Enum>,
    /// Custom scalars.
    pub scalars: Vec<Scalar>,
}

/// What `@topic` says of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedTopic {
    /// The object type.
    pub object: String,
    /// Stem of the derived names, as in `quote`, `quoteHistory`, `publishQuote`.
    pub stem: String,
    /// The topics' names.
    pub template: Template,
    /// How much of each topic is kept; `None` is as the configuration says for generic topics.
    pub keep: Option<Keep>,
    /// False: never written to disk.
    pub durable: bool,
    /// When a subscriber is slow.
    pub overflow: Overflow,
    /// The field whose value is the conflation key; `None` is the topic.
    pub key: Option<String>,
    /// May clients join?
    pub presence: bool,
}

/// An object type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// `@oneOf`: exactly one field is given and not null.
    pub is_one_of: bool,
    /// `@key`, in order.
    pub keys: Vec<EntityKey>,
    /// The fields, in order; at least one.
    pub fields: Vec<Field>,
    /// Directives of Federation that composition needs, as SDL: `@shareable`, `@tag(name: "x")`.
    pub federation: Vec<String>,
}

/// One `@key` of Apollo Federation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityKey {
    /// Top-level fields, scalars or enums, none of them a list.
    pub fields: Vec<String>,
    /// False: only a reference to an entity of another subgraph.
    pub is_resolvable: bool,
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// Its type: of scalars, enums and objects of this model, the built-in scalars, `JSON` and
    /// `DateTime`.
    pub ty: Type,
    /// `@deprecated`: the reason.
    pub deprecated: Option<String>,
    /// As [`Object::federation`].
    pub federation: Vec<String>,
}

/// An enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enum {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// Its values; at least one.
    pub values: Vec<EnumValue>,
    /// As [`Object::federation`].
    pub federation: Vec<String>,
}

/// A value of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumValue {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// `@deprecated`: the reason.
    pub deprecated: Option<String>,
}

/// A custom scalar: any JSON value but null passes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
    /// `@specifiedBy`: the URL.
    pub specified_by: Option<String>,
    /// As [`Object::federation`].
    pub federation: Vec<String>,
}
