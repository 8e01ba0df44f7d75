//! `@key` of Apollo Federation: by which fields an entity is found.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};

use super::directives::argument;
use super::fault::Fault;
use super::gather::{Folder, ObjectType};
use super::members::{is_leaf, type_span};
use super::model::EntityKey;
use super::nearest;
use super::source::Span;
use super::topic::Found;

/// The keys of a type.
pub(super) fn read(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    topic: Option<&Found>,
    faults: &mut Vec<Fault>,
) -> Vec<EntityKey> {
    let keys = object.directives.iter().filter(|directive| directive.name == "key");
    keys.filter_map(|directive| {
        let fields = fields(folder, object, directive, faults)?;
        let resolvable = argument(directive, "resolvable").and_then(|value| value.to_bool());
        let key = EntityKey { fields, is_resolvable: resolvable.unwrap_or(true) };
        faults.extend(resolved(folder, object, directive, &key, topic));
        Some(key)
    })
    .collect()
}

fn fields(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    directive: &Directive,
    faults: &mut Vec<Fault>,
) -> Option<Vec<String>> {
    let literal = argument(directive, "fields")?;
    let text = literal.as_str()?;
    let whole = folder.parsed.span(literal.location());
    if text.contains(['{', '}', '(', ')', ':', '.']) {
        faults.push(
            Fault::new("a key may only have fields of the type itself")
                .at(whole, "selects in another way")
                .help("name them, separated by blanks, as in `@key(fields: \"tenant symbol\")`"),
        );
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for name in text.split([' ', '\t', '\r', '\n', ',']).filter(|name| !name.is_empty()) {
        let span = word_span(folder, literal, text, name);
        match field(folder, object, name, span) {
            Some(fault) => faults.push(fault),
            None if names.iter().any(|other| other == name) => {}
            None => names.push(name.to_owned()),
        }
    }
    if text.trim().is_empty() {
        faults.push(
            Fault::new(format!("the key of `{}` has no fields", object.name))
                .at(whole, "names none")
                .help("as in `@key(fields: \"symbol\")`"),
        );
    }
    (!names.is_empty()).then_some(names)
}

fn field(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    name: &str,
    span: Option<Span>,
) -> Option<Fault> {
    let Some(field) = object.field(name) else {
        let fault = Fault::new(format!("`{}` has no field `{name}`", object.name))
            .at(span, "a key consists of fields of the type");
        return Some(fault.help(nearest::help("field", name, object.field_names())));
    };
    (!is_leaf(folder, &field.ty)).then(|| {
        Fault::new(format!("the field `{name}` cannot be part of a key"))
            .at(type_span(folder, &field.ty), "not a scalar or enum")
            .note(span, "named here")
            .help("a key consists of scalars and enums")
    })
}

/// Can the broker find the entity?
fn resolved(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    directive: &Node<Directive>,
    key: &EntityKey,
    topic: Option<&Found>,
) -> Option<Fault> {
    if !key.is_resolvable {
        return None;
    }
    let span = folder.parsed.span(directive.location());
    if object.directive("topic").is_none() {
        let fault = Fault::new(format!("the entity `{}` has no topic to be found in", object.name));
        return Some(fault.at(span, "says that the broker can find it").help(format!(
            "give it `@topic`, or write `@key(fields: \"{}\", resolvable: false)` where another \
             subgraph has it",
            key.fields.join(" ")
        )));
    }
    let Found { topic, name, .. } = topic?;
    let missing = |placeholder: &&str| !key.fields.iter().any(|field| field == placeholder);
    let missing: Vec<&str> = topic.template.placeholders().filter(missing).collect();
    if missing.is_empty() {
        return None;
    }
    let quoted: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    let all = key.fields.iter().map(String::as_str).chain(missing.iter().copied());
    let fault = Fault::new(format!("this key of `{}` does not name its topic", object.name))
        .at(span, format!("without {}", nearest::list(&quoted)))
        .note(*name, "the topic is named by it");
    let all: Vec<&str> = all.collect();
    Some(fault.help(format!("write `@key(fields: \"{}\")`", all.join(" "))))
}

/// The place of a word inside its literal, or the whole literal where that is not plain.
fn word_span(folder: &Folder<'_>, literal: &Node<Value>, text: &str, word: &str) -> Option<Span> {
    let whole = folder.parsed.span(literal.location())?;
    if folder.parsed.text(whole) != format!("\"{text}\"") {
        return Some(whole);
    }
    // `word` is a part of `text`.
    let start = whole.start + 1 + (word.as_ptr() as usize - text.as_ptr() as usize);
    Some(Span { start, end: start + word.len(), ..whole })
}
