//! `@topic`: what it says, and whether the type can do it.

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};

use super::directives::argument;
use super::fault::Fault;
use super::gather::{Folder, ObjectType};
use super::members::{is_leaf, type_span};
use super::model::TypedTopic;
use super::source::Span;
use super::{names, nearest};
use crate::broker::rules::Overflow;
use crate::engine::retention::Keep;
use crate::message::template::Template;
use crate::message::units;

/// Arguments of the derived fields; placeholders are such arguments too.
const ARGUMENTS: [&str; 9] =
    ["after", "before", "distinct", "first", "last", "maxPerSecond", "since", "snapshot", "where"];
/// Arguments of the derived mutations; the stem is such an argument too.
const BESIDE_THE_STEM: [&str; 3] = ["id", "ifLast", "headers"];

/// A typed topic, and where it says so.
pub(super) struct Found {
    pub(super) topic: TypedTopic,
    /// The template.
    pub(super) name: Option<Span>,
    /// The stem: `field`, or the name of the type.
    pub(super) stem: Option<Span>,
}

/// The typed topic of a type that has the directive; faults leave parts of it out.
pub(super) fn read(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Found> {
    let directive = object.directive("topic")?;
    let template = template(folder, object, directive, faults);
    let keep = argument(directive, "keep").map(|keep| self::keep(folder, keep, faults));
    let key = key(folder, object, directive, faults);
    let (stem, stem_at) = stem(folder, object, directive, faults)?;
    let is_set = |name| argument(directive, name).and_then(|value| value.to_bool()).unwrap_or(true);
    let overflow = argument(directive, "overflow").and_then(|value| value.as_enum());
    let topic = TypedTopic {
        object: object.name.to_string(),
        stem,
        template: template?,
        keep,
        durable: is_set("durable"),
        overflow: overflow.map_or_else(Overflow::default, |word| self::overflow(word)),
        key,
        presence: is_set("presence"),
    };
    let name = argument(directive, "name").and_then(|name| folder.parsed.span(name.location()));
    Some(Found { topic, name, stem: stem_at })
}

fn overflow(word: &str) -> Overflow {
    match word {
        "DROP_OLDEST" => Overflow::DropOldest,
        "CONFLATE" => Overflow::Conflate,
        _ => Overflow::Disconnect,
    }
}

fn template(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    directive: &Directive,
    faults: &mut Vec<Fault>,
) -> Option<Template> {
    let literal = argument(directive, "name")?;
    let text = literal.as_str()?;
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            let title = format!("the topics of `{}` cannot have these names: {error}", object.name);
            let span = token_span(folder, literal, text, error.token());
            faults.push(Fault::new(title).at(span, "in this template").help(error.help()));
            return None;
        }
    };
    for (index, token) in text.split('.').enumerate() {
        if let Some(meant) = token.strip_prefix(['$', ':']).filter(|name| object.has_field(name)) {
            let title = format!("the topics of `{}` have the literal token `{token}`", object.name);
            let span = token_span(folder, literal, text, Some(index + 1));
            let help = format!("a placeholder is written in braces: `{{{meant}}}`");
            faults.push(Fault::new(title).at(span, "the same in every topic").help(help));
        }
        let name = token.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(name) = name else { continue };
        let span = token_span(folder, literal, text, Some(index + 1));
        faults.extend(placeholder(folder, object, name, span));
    }
    Some(template)
}

fn placeholder(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    name: &str,
    span: Option<Span>,
) -> Option<Fault> {
    let Some(field) = object.field(name) else {
        let fault = Fault::new(format!("`{}` has no field `{name}`", object.name))
            .at(span, "a placeholder is a field of the type");
        return Some(fault.help(nearest::help("field", name, object.field_names())));
    };
    if ARGUMENTS.contains(&name) {
        let fault = Fault::new(format!("a placeholder cannot be named `{name}`"))
            .at(span, format!("the derived fields have an argument `{name}` already"))
            .note(folder.span(&field.name), "the field");
        return Some(fault.help("rename the field"));
    }
    let ty = type_span(folder, &field.ty);
    let (title, label, help) = if field.ty.is_list() {
        (
            "is a list",
            "a list has no one value for the topic",
            "a topic is named by scalars and enums",
        )
    } else if !is_leaf(folder, &field.ty) {
        ("is an object", "an object has no one value", "a topic is named by scalars and enums")
    } else if !field.ty.is_non_null() {
        let fault = Fault::new(format!("the placeholder `{name}` may be null"))
            .at(ty, "without a value there is no topic")
            .note(span, "named by it");
        return Some(fault.help(format!("write `{name}: {}!`", field.ty)));
    } else {
        return None;
    };
    let fault = Fault::new(format!("the placeholder `{name}` {title}")).at(ty, label);
    Some(fault.note(span, "named by it").help(help))
}

/// The place of a token inside its literal, or the whole literal where that is not plain.
fn token_span(
    folder: &Folder<'_>,
    literal: &Node<Value>,
    text: &str,
    token: Option<usize>,
) -> Option<Span> {
    let whole = folder.parsed.span(literal.location())?;
    let Some(token) = token.filter(|_| folder.parsed.text(whole) == format!("\"{text}\"")) else {
        return Some(whole);
    };
    let before: usize = text.split('.').take(token - 1).map(|token| token.len() + 1).sum();
    let length = text.split('.').nth(token - 1).map_or(0, str::len);
    let start = whole.start + 1 + before;
    // An empty token is shown by the dot beside it.
    Some(Span { start, end: start + length.max(1), ..whole })
}

fn keep(folder: &Folder<'_>, value: &Node<Value>, faults: &mut Vec<Fault>) -> Keep {
    let mut keep = Keep::EVERYTHING;
    for (name, value) in value.as_object().into_iter().flatten() {
        let span = folder.parsed.span(value.location());
        let text = value.as_str();
        match name.as_str() {
            "last" => match value.to_i32().map(u64::try_from) {
                Some(Ok(last)) => keep.last = Some(last),
                Some(Err(_)) => faults.push(
                    Fault::new("`last` is less than 0")
                        .at(span, "no number of messages")
                        .help("0 keeps none, 1 the newest; leave it out for no limit"),
                ),
                None => {}
            },
            "age" => match text.map(units::parse_duration) {
                Some(None) => faults.push(misfit("age", "duration", span, units::DURATION_FITS)),
                parsed => keep.age = parsed.flatten(),
            },
            "bytes" => match text.map(units::parse_size) {
                Some(None) => faults.push(misfit("bytes", "size", span, SIZE_FITS)),
                parsed => keep.bytes = parsed.flatten(),
            },
            // `directives` has looked at the names.
            _ => {}
        }
    }
    keep
}

const SIZE_FITS: &str = "bytes with their unit, as in \"65536\", \"64KiB\", \"1MiB\" or \"2GiB\"";

fn misfit(name: &str, what: &str, span: Option<Span>, fits: &str) -> Fault {
    Fault::new(format!("`{name}` is not a {what}")).at(span, format!("not a {what}")).help(fits)
}

fn key(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    directive: &Directive,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    let literal = argument(directive, "key")?;
    let name = literal.as_str()?;
    let span = folder.parsed.span(literal.location());
    let Some(field) = object.field(name) else {
        faults.push(
            Fault::new(format!("`{}` has no field `{name}`", object.name))
                .at(span, "the conflation key is the value of a field")
                .help(nearest::help("field", name, object.field_names())),
        );
        return None;
    };
    if !is_leaf(folder, &field.ty) || !field.ty.is_non_null() {
        faults.push(
            Fault::new(format!("the field `{name}` cannot be the conflation key"))
                .at(type_span(folder, &field.ty), "not a scalar or enum that is never null")
                .note(span, "named here")
                .help("name a field like `id: ID!`, or leave `key` out: then it is the topic"),
        );
        return None;
    }
    Some(name.to_owned())
}

fn stem(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    directive: &Directive,
    faults: &mut Vec<Fault>,
) -> Option<(String, Option<Span>)> {
    let literal = argument(directive, "field");
    let (stem, span) = match literal.map(|literal| (literal, literal.as_str())) {
        // `directives` has found that it is no string.
        Some((_, None)) => return None,
        Some((literal, Some(text))) => (text.to_owned(), folder.parsed.span(literal.location())),
        None => (names::stem(object.name), folder.span(object.name)),
    };
    let fault = if !apollo_compiler::Name::is_valid_syntax(&stem) || stem.starts_with("__") {
        Fault::new(format!("{stem:?} cannot be the name of a field"))
            .at(span, "no name of GraphQL")
            .help("letters, digits and `_`, with no digit and no `__` at the beginning")
    } else if let Some(taken) = beside(&stem) {
        let fault = Fault::new(format!("the derived fields cannot be named `{stem}`"));
        fault
            .at(
                span,
                format!("the argument of its mutation would be `{taken}`, which it has already"),
            )
            .help("choose another stem, as in `@topic(name: …, field: \"…\")`")
    } else {
        return Some((stem, span));
    };
    faults.push(fault);
    None
}

/// The argument that the stem, or the stem with an `s`, would collide with.
fn beside(stem: &str) -> Option<&'static str> {
    let plural = format!("{stem}s");
    BESIDE_THE_STEM.into_iter().find(|name| *name == stem || *name == plural)
}
