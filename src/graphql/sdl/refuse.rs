//! Definitions that have no place in a schema of payloads, and why.

use apollo_compiler::Name;
use apollo_compiler::ast::Definition;

use super::fault::Fault;
use super::gather::{Folder, Kind};
use super::source::Span;
use super::{nearest, ours};

const ONE_OF: &str = "declare one object type with `@oneOf` instead: exactly one of its nullable \
                      fields is set";
const ROOTS: &str = "remove it: the fields of Query, Mutation and Subscription are derived from \
                     the types with `@topic`";
const COPIES: &str = "copy `directives.graphql` as it is, or remove it: the broker knows its own \
                      definitions";

/// Why a definition is refused, if it is.
pub(super) fn definition(folder: &Folder<'_>, definition: &Definition) -> Option<Fault> {
    let start = || keyword(folder, definition);
    let fault = match definition {
        Definition::OperationDefinition(_) | Definition::FragmentDefinition(_) => {
            Fault::new("an operation in a schema")
                .at(start(), "operations are sent by clients")
                .help("move it to the client, or to another folder")
        }
        Definition::SchemaDefinition(_) => {
            Fault::new("`schema` is derived").at(start(), "not declared by a folder").help(ROOTS)
        }
        Definition::DirectiveDefinition(directive) => {
            Fault::new(format!("the directive `@{}` would have no effect", directive.name))
                .at(folder.span(&directive.name), "not a directive that the broker knows")
                .help(format!("remove it; there are {}", known_directives()))
        }
        Definition::InterfaceTypeDefinition(one) => {
            Fault::new(format!("`{}` is an interface", one.name))
                .at(folder.span(&one.name), "a payload has one type, known when it is published")
                .help(format!(
                    "repeat its fields in each type; where a value is one of several, {ONE_OF}"
                ))
        }
        Definition::UnionTypeDefinition(one) => Fault::new(format!("`{}` is a union", one.name))
            .at(folder.span(&one.name), "JSON does not tell its members apart")
            .help(ONE_OF),
        Definition::InputObjectTypeDefinition(one) => {
            let help = match one.name.strip_suffix("Input").filter(|stem| !stem.is_empty()) {
                Some(stem) => format!("declare `type {stem}`: `{}` is derived from it", one.name),
                None => "declare a `type`: its input is derived from it".to_owned(),
            };
            Fault::new(format!("`{}` is an input type, and these are derived", one.name))
                .at(folder.span(&one.name), "not declared by a folder")
                .help(help)
        }
        _ => return type_name(folder, definition.name()?),
    };
    Some(fault)
}

/// Names of types that are taken.
fn type_name(folder: &Folder<'_>, name: &Name) -> Option<Fault> {
    let span = folder.span(name);
    if is_root(name) {
        let fault = Fault::new(format!("`{name}` is derived")).at(span, "not declared by a folder");
        return Some(fault.help(ROOTS));
    }
    if ours::is_built_in(name) {
        let fault = Fault::new(format!("`{name}` is built in")).at(span, "declared once more");
        return Some(fault.help("remove it, or choose another name"));
    }
    if ours::is_type(name) {
        let fault = Fault::new(format!("the name `{name}` is taken"))
            .at(span, "a type of the broker has this name");
        return Some(fault.help("choose another name"));
    }
    if name.starts_with("__") {
        let fault = Fault::new(format!("the name `{name}` begins with `__`"))
            .at(span, "such names are for introspection");
        return Some(fault.help("choose another name"));
    }
    None
}

/// Why an extension is refused whatever it extends, if it is.
pub(super) fn extension(folder: &Folder<'_>, definition: &Definition) -> Option<Fault> {
    let start = keyword(folder, definition);
    match definition {
        Definition::SchemaExtension(extension) if extension.directives.has("link") => {
            Some(Fault::new("`@link` is derived").at(start, "not declared by a folder").help(
                "remove it: `tidings schema --federation` prints the subgraph with its links",
            ))
        }
        Definition::SchemaExtension(_) => Some(
            Fault::new("`schema` is derived").at(start, "not declared by a folder").help(ROOTS),
        ),
        _ => {
            let name = definition.name()?;
            let copied = ours::is_type(name) && !is_root(name);
            if copied {
                let fault = Fault::new(format!("`{name}` cannot be extended"))
                    .at(folder.span(name), "a type of the broker");
                return Some(fault.help("declare a type of your own"));
            }
            is_root(name).then(|| type_name(folder, name)).flatten()
        }
    }
}

/// An extension without a definition.
pub(super) fn extension_of_nothing(folder: &Folder<'_>, name: &Name) -> Fault {
    let fault = Fault::new(format!("cannot find the type `{name}`"))
        .at(folder.span(name), "extended, but not declared in this folder");
    match nearest::name(name, folder.names()) {
        Some(nearest) => fault.help(format!("a type with a similar name exists: `{nearest}`")),
        None => fault.help("declare it: write it without `extend`"),
    }
}

/// An extension that does not fit its definition.
pub(super) fn extension_of_another_kind(folder: &Folder<'_>, name: &Name, kind: Kind) -> Fault {
    let (what, keyword) = match kind {
        Kind::Object(_) => ("an object type", "type"),
        Kind::Enum(_) => ("an enum", "enum"),
        Kind::Scalar(_) | Kind::BuiltIn | Kind::Unclear => ("a scalar", "scalar"),
    };
    Fault::new(format!("`{name}` is {what}"))
        .at(folder.span(name), "extended as something else")
        .note(folder.declared_at(name), "declared here")
        .help(format!("write `extend {keyword} {name}`"))
}

/// Two definitions with one name.
pub(super) fn second(name: &Name, span: Option<Span>, first: Option<Span>) -> Fault {
    Fault::new(format!("the type `{name}` is declared twice"))
        .at(span, "declared again")
        .note(first, "first declared here")
        .help("rename one of them, or write `extend` where the second one adds to the first")
}

/// A definition of ours that says something else.
pub(super) fn changed_copy(folder: &Folder<'_>, definition: &Definition) -> Fault {
    let name = definition.name();
    let (mark, name_text) = match definition {
        Definition::DirectiveDefinition(_) => ("@", name.map_or("", Name::as_str)),
        _ => ("", name.map_or("", Name::as_str)),
    };
    Fault::new(format!("`{mark}{name_text}` differs from the broker's own definition"))
        .at(name.and_then(|name| folder.span(name)), "not what the broker does")
        .help(COPIES)
}

fn known_directives() -> String {
    let names: Vec<String> = ours::directives().map(|name| format!("`@{name}`")).collect();
    nearest::list(&names)
}

fn is_root(name: &str) -> bool {
    ours::Root::ALL.iter().any(|root| root.name() == name)
}

/// The first word of a definition, or of the line where it begins.
fn keyword(folder: &Folder<'_>, definition: &Definition) -> Option<Span> {
    let span = folder.parsed.span(definition.location())?;
    let text = folder.parsed.text(span);
    let end = text.find(['{', '\n']).unwrap_or(text.len());
    Some(Span { end: span.start + text[..end].trim_end().len().max(1), ..span })
}
