//! From checked syntax to the model.

use apollo_compiler::Node;
use apollo_compiler::ast::{self, Directive};
use async_graphql::Name;
use async_graphql::parser::types::{BaseType, Type};

use super::directives::argument;
use super::gather::{EnumType, ObjectType, ScalarType};
use super::model::{EntityKey, Enum, EnumValue, Field, Object, Scalar};

/// What GraphQL says where `@deprecated` gives no reason.
const NO_REASON: &str = "No longer supported";
const FEDERATION: [&str; 3] = ["shareable", "tag", "inaccessible"];

pub(super) fn object(object: &ObjectType<'_>, keys: Vec<EntityKey>) -> Object {
    let field = |field: &&Node<ast::FieldDefinition>| {
        let directives: Vec<_> = field.directives.iter().collect();
        Field {
            name: field.name.to_string(),
            description: field.description.as_deref().map(ToOwned::to_owned),
            ty: ty(&field.ty),
            deprecated: deprecated(&directives),
            federation: federation(&directives),
        }
    };
    Object {
        name: object.name.to_string(),
        description: object.description.map(ToOwned::to_owned),
        is_one_of: object.directive("oneOf").is_some(),
        keys,
        fields: object.fields.iter().map(field).collect(),
        federation: federation(&object.directives),
    }
}

pub(super) fn enumeration(one: &EnumType<'_>) -> Enum {
    let value = |value: &&Node<ast::EnumValueDefinition>| EnumValue {
        name: value.value.to_string(),
        description: value.description.as_deref().map(ToOwned::to_owned),
        deprecated: deprecated(&value.directives.iter().collect::<Vec<_>>()),
    };
    Enum {
        name: one.name.to_string(),
        description: one.description.map(ToOwned::to_owned),
        values: one.values.iter().map(value).collect(),
        federation: federation(&one.directives),
    }
}

pub(super) fn scalar(scalar: &ScalarType<'_>) -> Scalar {
    let specified_by = scalar.directives.iter().find(|directive| directive.name == "specifiedBy");
    let url = specified_by.and_then(|directive| argument(directive, "url")?.as_str());
    Scalar {
        name: scalar.name.to_string(),
        description: scalar.description.map(ToOwned::to_owned),
        specified_by: url.map(ToOwned::to_owned),
        federation: federation(&scalar.directives),
    }
}

pub(super) fn ty(given: &ast::Type) -> Type {
    let base = match given {
        ast::Type::Named(name) | ast::Type::NonNullNamed(name) => BaseType::Named(Name::new(name)),
        ast::Type::List(item) | ast::Type::NonNullList(item) => BaseType::List(Box::new(ty(item))),
    };
    Type { base, nullable: !given.is_non_null() }
}

fn deprecated(directives: &[&Node<Directive>]) -> Option<String> {
    let directive = directives.iter().find(|directive| directive.name == "deprecated")?;
    let reason = argument(directive, "reason").and_then(|reason| reason.as_str());
    Some(reason.unwrap_or(NO_REASON).to_owned())
}

fn federation(directives: &[&Node<Directive>]) -> Vec<String> {
    let of_federation = directives.iter().filter(|one| FEDERATION.contains(&one.name.as_str()));
    of_federation.map(|directive| directive.serialize().no_indent().to_string()).collect()
}
