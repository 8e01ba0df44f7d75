//! What types can only break together: topics of two types, values without end, no topic at all.

use std::collections::HashSet;

use super::collide;
use super::fault::Fault;
use super::gather::{Folder, Kind, ObjectType};
use super::members::{is_leaf, type_span};
use super::names;
use super::source::Span;
use super::topic::Found;

/// Checks the folder as a whole.
pub(super) fn check(folder: &Folder<'_>, topics: &[Found], faults: &mut Vec<Fault>) {
    collide::types(folder, faults);
    collide::fields(topics, faults);
    templates(topics, faults);
    endless(folder, faults);
    let has_topic = folder.objects.iter().any(|object| object.directive("topic").is_some());
    if !has_topic && !folder.parsed.is_broken() && faults.is_empty() {
        faults.push(none(folder));
    }
}

fn none(folder: &Folder<'_>) -> Fault {
    let fault = Fault::new("no type of this folder has a topic");
    match folder.objects.first() {
        Some(object) => {
            let example = example(folder, object);
            fault
                .at(folder.span(object.name), "an object type without `@topic`")
                .help(format!("name its topics: `{example}`"))
        }
        None => {
            fault.help("declare one, as in `type Quote @topic(name: \"quotes.{symbol}\") { … }`")
        }
    }
}

/// A type with the topics that it might have.
fn example(folder: &Folder<'_>, object: &ObjectType<'_>) -> String {
    let mut fields = object.fields.iter();
    let name = fields.find(|field| field.ty.is_non_null() && is_leaf(folder, &field.ty));
    let stem = names::stem(object.name);
    let topics = match name {
        Some(field) => format!("{stem}s.{{{}}}", field.name),
        None => stem,
    };
    format!("type {} @topic(name: \"{topics}\")", object.name)
}

/// No topic has two types.
fn templates(topics: &[Found], faults: &mut Vec<Fault>) {
    for (index, found) in topics.iter().enumerate() {
        let other = topics[..index].iter();
        let overlapping =
            other.filter(|other| other.topic.template.overlaps(&found.topic.template));
        for other in overlapping {
            let title = format!(
                "topics of `{}` would be topics of `{}` too",
                found.topic.object, other.topic.object
            );
            let label = format!("`{}`", other.topic.object);
            faults.push(
                Fault::new(title)
                    .at(found.name, format!("one topic could match this and that of {label}"))
                    .note(other.name, format!("the topics of {label}"))
                    .help(
                        "let them differ in a literal token, as in `quotes.{symbol}` and \
                           `trades.{symbol}`",
                    ),
            );
        }
    }
}

/// Types of which no value could ever be written down: each would hold another one.
fn endless(folder: &Folder<'_>, faults: &mut Vec<Fault>) {
    let mut finite: HashSet<&str> = HashSet::new();
    loop {
        let before = finite.len();
        for object in &folder.objects {
            if ends(folder, object, &finite) {
                finite.insert(object.name);
            }
        }
        if finite.len() == before {
            break;
        }
    }
    let mut reported: HashSet<&str> = HashSet::new();
    for object in folder.objects.iter().filter(|object| !finite.contains(object.name.as_str())) {
        let path = path(folder, object, &finite);
        if path.iter().all(|(name, _)| reported.insert(name)) {
            faults.extend(cycle(folder, &path));
        }
    }
}

/// Has a value of this type an end, as far as is known?
fn ends(folder: &Folder<'_>, object: &ObjectType<'_>, finite: &HashSet<&str>) -> bool {
    let mut fields = object.fields.iter().map(|field| {
        let name = field.ty.inner_named_type();
        let is_object = matches!(folder.kind(name), Some(Kind::Object(_)));
        let is_open = is_object && !field.ty.is_list() && !finite.contains(name.as_str());
        (field.ty.is_non_null(), is_open)
    });
    if object.directive("oneOf").is_some() {
        return object.fields.is_empty() || fields.any(|(_, is_open)| !is_open);
    }
    fields.all(|(is_required, is_open)| !(is_required && is_open))
}

/// From a type without end along its fields, to the first type that comes again.
fn path<'f>(
    folder: &'f Folder<'_>,
    start: &'f ObjectType<'_>,
    finite: &HashSet<&str>,
) -> Vec<(&'f str, (String, Option<Span>))> {
    let mut path: Vec<(&str, (String, Option<Span>))> = Vec::new();
    let mut object = start;
    while !path.iter().any(|(name, _)| *name == object.name.as_str()) {
        let is_one_of = object.directive("oneOf").is_some();
        let next = object.fields.iter().find_map(|field| {
            let next = folder.object(field.ty.inner_named_type())?;
            let leads_on = (is_one_of || field.ty.is_non_null())
                && !field.ty.is_list()
                && !finite.contains(next.name.as_str());
            leads_on.then_some((field, next))
        });
        let Some((field, next)) = next else { return Vec::new() };
        let step = format!("{}.{}", object.name, field.name);
        path.push((object.name, (step, type_span(folder, &field.ty))));
        object = next;
    }
    let begin = path.iter().position(|(name, _)| *name == object.name.as_str());
    path.split_off(begin.unwrap_or(0))
}

fn cycle(folder: &Folder<'_>, path: &[(&str, (String, Option<Span>))]) -> Option<Fault> {
    let ((first, (_, span)), rest) = path.split_first()?;
    let fault = Fault::new(format!("no value of `{first}` could ever be written"));
    let fault = fault.at(*span, format!("every `{first}` needs another one"));
    let fault = rest.iter().fold(fault, |fault, (_, (_, span))| fault.note(*span, "through this"));
    let steps: Vec<&str> = path.iter().map(|(_, (step, _))| step.as_str()).collect();
    let is_one_of =
        |name: &str| folder.object(name).is_some_and(|object| object.directive("oneOf").is_some());
    Some(match path.iter().find(|(name, _)| is_one_of(name)) {
        Some((name, _)) => fault.help(format!("give `{name}` a field of another type")),
        None => fault.help(format!("let one of these be null, or a list: {}", steps.join(", "))),
    })
}
