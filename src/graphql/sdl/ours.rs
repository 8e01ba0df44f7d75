//! The names that are taken before a folder declares any, and the directives that it may use.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Definition, DirectiveDefinition, Document, EnumTypeDefinition, InputObjectTypeDefinition,
};

/// For people's editors too.
const DIRECTIVES: &str = include_str!("../../../schema/directives.graphql");
/// Those of GraphQL itself that a payload's type may have.
const BUILT_IN: &str = "\
directive @deprecated(reason: String = \"No longer supported\") on FIELD_DEFINITION | ENUM_VALUE
directive @specifiedBy(url: String!) on SCALAR";
const BUILT_IN_SCALARS: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];
/// Scalars of the broker that payloads may hold.
const OUR_SCALARS: [&str; 2] = ["JSON", "DateTime"];
/// What a subgraph has beside its own types.
const FEDERATION: [&str; 6] =
    ["_Any", "_Entity", "_Service", "FieldSet", "link__Import", "link__Purpose"];
/// The contract's, whose turn has not come; a schema that took them would break then.
const LATER_TYPES: [&str; 2] = ["Explanation", "Verdict"];
const LATER_FIELDS: [&str; 5] = ["explain", "compact", "authenticate", "_service", "_entities"];

static OURS: LazyLock<Ours> = LazyLock::new(Ours::new);

struct Ours {
    definitions: Vec<Definition>,
    directives: HashMap<String, Node<DirectiveDefinition>>,
    types: HashSet<String>,
    fields: HashMap<Root, HashSet<String>>,
}

/// The types that are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Root {
    Query,
    Mutation,
    Subscription,
}

impl Root {
    pub(super) const ALL: [Self; 3] = [Self::Query, Self::Mutation, Self::Subscription];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Subscription => "Subscription",
        }
    }
}

/// How a definition relates to one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// The same, but for descriptions.
    Copy,
    /// The same name, and something else.
    Other,
    /// We have none of this kind and name.
    Foreign,
}

/// A directive that a folder may use.
pub(super) fn directive(name: &str) -> Option<&'static Node<DirectiveDefinition>> {
    OURS.directives.get(name)
}

/// The names of all of them.
pub(super) fn directives() -> impl Iterator<Item = &'static str> + Clone {
    let definitions = OURS.definitions.iter();
    definitions.filter_map(|one| Some(one.as_directive_definition()?.name.as_str()))
}

/// An input of a directive's arguments.
pub(super) fn input(name: &str) -> Option<&'static Node<InputObjectTypeDefinition>> {
    let mut inputs =
        OURS.definitions.iter().filter_map(Definition::as_input_object_type_definition);
    inputs.find(|input| input.name == name)
}

/// An enum of a directive's arguments.
pub(super) fn enumeration(name: &str) -> Option<&'static Node<EnumTypeDefinition>> {
    let mut enums = OURS.definitions.iter().filter_map(Definition::as_enum_type_definition);
    enums.find(|one| one.name == name)
}

/// The scalars that a payload may hold without a declaration.
pub(super) fn scalars() -> impl Iterator<Item = &'static str> + Clone {
    BUILT_IN_SCALARS.into_iter().chain(OUR_SCALARS)
}

/// Is it a type of GraphQL, of the broker or of Federation?
pub(super) fn is_type(name: &str) -> bool {
    OURS.types.contains(name)
}

/// Is it a scalar of GraphQL itself?
pub(super) fn is_built_in(name: &str) -> bool {
    BUILT_IN_SCALARS.contains(&name)
}

/// Has the broker a field of this name?
pub(super) fn is_field(root: Root, name: &str) -> bool {
    OURS.fields.get(&root).is_some_and(|fields| fields.contains(name))
}

/// Is a definition one of ours, copied for an editor?
pub(super) fn likeness(definition: &Definition) -> Likeness {
    let same_kind = |one: &&Definition| {
        std::mem::discriminant(*one) == std::mem::discriminant(definition)
            && one.name() == definition.name()
    };
    let Some(our) = OURS.definitions.iter().find(same_kind) else { return Likeness::Foreign };
    let is_bare_scalar = match definition {
        Definition::ScalarTypeDefinition(scalar) => scalar.directives.is_empty(),
        _ => false,
    };
    let is_copy = is_bare_scalar || undescribed(our) == undescribed(definition);
    if is_copy { Likeness::Copy } else { Likeness::Other }
}

/// A definition of a kind that we have, without what is only for people.
fn undescribed(definition: &Definition) -> Definition {
    let mut definition = definition.clone();
    match &mut definition {
        Definition::DirectiveDefinition(directive) => {
            let directive = directive.make_mut();
            directive.description = None;
            for argument in &mut directive.arguments {
                argument.make_mut().description = None;
            }
        }
        Definition::InputObjectTypeDefinition(input) => {
            let input = input.make_mut();
            input.description = None;
            for field in &mut input.fields {
                field.make_mut().description = None;
            }
        }
        Definition::EnumTypeDefinition(one) => {
            let one = one.make_mut();
            one.description = None;
            for value in &mut one.values {
                value.make_mut().description = None;
            }
        }
        Definition::ScalarTypeDefinition(scalar) => scalar.make_mut().description = None,
        _ => {}
    }
    definition
}

impl Ours {
    fn new() -> Self {
        let mut definitions = definitions(DIRECTIVES);
        definitions.extend(self::definitions(BUILT_IN));
        let generic = self::definitions(super::derive::GENERIC);
        let own = |name: &str| name.to_owned();
        let names = definitions.iter().chain(&generic).filter(|one| !is_directive(one));
        let names = names.filter_map(|one| Some(own(one.name()?)));
        let fixed = BUILT_IN_SCALARS.into_iter().chain(FEDERATION).chain(LATER_TYPES);
        let directives = definitions.iter().filter_map(|definition| {
            let directive = definition.as_directive_definition()?;
            Some((own(&directive.name), directive.clone()))
        });
        let fields = Root::ALL.map(|root| {
            let fields = generic.iter().filter_map(Definition::as_object_type_definition);
            let fields = fields.filter(|object| object.name == root.name());
            let fields = fields.flat_map(|object| &object.fields).map(|field| own(&field.name));
            (root, fields.chain(LATER_FIELDS.map(own)).collect())
        });
        Self {
            directives: directives.collect(),
            types: names.chain(fixed.map(own)).collect(),
            fields: fields.into_iter().collect(),
            definitions,
        }
    }
}

fn is_directive(definition: &Definition) -> bool {
    definition.as_directive_definition().is_some()
}

/// The definitions of a text of ours; a test holds that it is right.
fn definitions(text: &str) -> Vec<Definition> {
    match Document::parse(text, "") {
        Ok(document) => document.definitions,
        Err(broken) => broken.partial.definitions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_texts_are_right() {
        for text in [DIRECTIVES, BUILT_IN, super::super::derive::GENERIC] {
            assert!(Document::parse(text, "").is_ok(), "{text}");
        }
        let mut names: Vec<&str> = directives().collect();
        names.sort_unstable();
        let expected = [
            "deprecated",
            "inaccessible",
            "key",
            "oneOf",
            "shareable",
            "specifiedBy",
            "tag",
            "topic",
        ];
        assert_eq!(names, expected);
        assert!(is_type("Message") && is_type("Keep") && is_type("Int") && !is_type("Quote"));
        assert!(is_field(Root::Query, "history") && is_field(Root::Mutation, "publishMany"));
    }
}
