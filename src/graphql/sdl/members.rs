//! What types are made of: fields of objects, values of enums.

use apollo_compiler::ast::{DirectiveLocation, FieldDefinition, Type};
use apollo_compiler::{Name, Node};

use super::fault::Fault;
use super::gather::{EnumType, Folder, Kind, ObjectType};
use super::source::Span;
use super::{directives, nearest, ours};

/// Names of other systems, and what a payload has for them.
const ELSEWHERE: [(&str, &str); 21] = [
    ("any", "JSON"),
    ("bool", "Boolean"),
    ("byte", "Int"),
    ("char", "String"),
    ("date", "DateTime"),
    ("datetime", "DateTime"),
    ("double", "Float"),
    ("int32", "Int"),
    ("integer", "Int"),
    ("json", "JSON"),
    ("jsonobject", "JSON"),
    ("map", "JSON"),
    ("number", "Float"),
    ("object", "JSON"),
    ("real", "Float"),
    ("short", "Int"),
    ("str", "String"),
    ("text", "String"),
    ("time", "DateTime"),
    ("timestamp", "DateTime"),
    ("uint", "Int"),
];

/// Checks an object type by itself.
pub(super) fn object(folder: &Folder<'_>, object: &ObjectType<'_>, faults: &mut Vec<Fault>) {
    directives::check(folder, &object.directives, DirectiveLocation::Object, faults);
    for interface in &object.implements {
        faults.push(
            Fault::new(format!("`{}` implements an interface", object.name))
                .at(folder.span(interface), "interfaces are not supported")
                .help("remove `implements`; the type has its fields already"),
        );
    }
    if object.fields.is_empty() {
        faults.push(
            Fault::new(format!("`{}` has no fields", object.name))
                .at(folder.span(object.name), "nothing could be selected")
                .help("give it one, as in `bid: Float!`, or use the scalar `JSON` instead"),
        );
    }
    for (index, field) in object.fields.iter().enumerate() {
        match object.fields[..index].iter().find(|other| other.name == field.name) {
            Some(first) => faults.push(second_field(folder, object, field, first)),
            None => self::field(folder, object, field, faults),
        }
    }
    if object.directive("oneOf").is_some() {
        one_of(folder, object, faults);
    }
}

/// Checks an enum.
pub(super) fn enumeration(folder: &Folder<'_>, one: &EnumType<'_>, faults: &mut Vec<Fault>) {
    directives::check(folder, &one.directives, DirectiveLocation::Enum, faults);
    if one.values.is_empty() {
        faults.push(
            Fault::new(format!("`{}` has no values", one.name))
                .at(folder.span(one.name), "no value could be given")
                .help("list them, as in `enum Side { BUY SELL }`"),
        );
    }
    for (index, value) in one.values.iter().enumerate() {
        let name = &value.value;
        if let Some(first) = one.values[..index].iter().find(|other| other.value == *name) {
            faults.push(
                Fault::new(format!("`{}` has the value `{name}` twice", one.name))
                    .at(folder.span(name), "declared again")
                    .note(folder.span(&first.value), "first declared here")
                    .help("remove one of them"),
            );
        } else if name.starts_with("__") {
            faults.push(introspection(folder, name));
        }
        let applied: Vec<_> = value.directives.iter().collect();
        directives::check(folder, &applied, DirectiveLocation::EnumValue, faults);
    }
}

fn second_field(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    field: &FieldDefinition,
    first: &FieldDefinition,
) -> Fault {
    Fault::new(format!("`{}` has the field `{}` twice", object.name, field.name))
        .at(folder.span(&field.name), "declared again")
        .note(folder.span(&first.name), "first declared here")
        .help("remove or rename one of them")
}

fn field(
    folder: &Folder<'_>,
    object: &ObjectType<'_>,
    field: &Node<FieldDefinition>,
    faults: &mut Vec<Fault>,
) {
    let name = &field.name;
    match name.as_str() {
        "_message" => faults.push(
            Fault::new("the field `_message` is derived")
                .at(folder.span(name), "every type with `@topic` has it already")
                .help("remove or rename it"),
        ),
        "and" | "or" | "not" | "isNull" => faults.push(
            Fault::new(format!("a field cannot be named `{name}`"))
                .at(folder.span(name), format!("in filters, `{name}` has a meaning of its own"))
                .help(format!("rename it: the filter `{}Filter` has its fields", object.name)),
        ),
        name_text if name_text.starts_with("__") => faults.push(introspection(folder, name)),
        _ => {}
    }
    if let (Some(first), Some(last)) = (field.arguments.first(), field.arguments.last()) {
        let (first, last) =
            (folder.parsed.span(first.location()), folder.parsed.span(last.location()));
        let span = first.zip(last).map(|(first, last)| Span { end: last.end, ..first });
        faults.push(
            Fault::new(format!("the field `{name}` has arguments"))
                .at(span, "a field is a part of the payload, and takes none")
                .help("remove them; subscribers choose messages with `where`"),
        );
    }
    let ty = field.ty.inner_named_type();
    if folder.kind(ty).is_none() {
        faults.push(unknown_type(folder, ty));
    }
    let applied: Vec<_> = field.directives.iter().collect();
    directives::check(folder, &applied, DirectiveLocation::FieldDefinition, faults);
}

fn introspection(folder: &Folder<'_>, name: &Name) -> Fault {
    Fault::new(format!("the name `{name}` begins with `__`"))
        .at(folder.span(name), "such names are for introspection")
        .help("choose another name")
}

fn unknown_type(folder: &Folder<'_>, name: &Name) -> Fault {
    let span = folder.span(name);
    if ours::is_type(name) {
        return Fault::new(format!("`{name}` cannot be a part of a payload"))
            .at(span, "a type of the broker")
            .help("declare a type of your own, or use the scalar `JSON`");
    }
    let fault = Fault::new(format!("cannot find the type `{name}`"))
        .at(span, "not declared in this folder");
    let small = name.to_ascii_lowercase();
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == small) {
        return fault.help(format!("here it is called `{ours}`"));
    }
    match nearest::name(name, folder.names()) {
        Some(nearest) => fault.help(format!("a type with a similar name exists: `{nearest}`")),
        None => fault.help(format!(
            "declare it; `scalar {name}` takes any JSON value, and `JSON` is there without that"
        )),
    }
}

fn one_of(folder: &Folder<'_>, object: &ObjectType<'_>, faults: &mut Vec<Fault>) {
    for field in object.fields.iter().filter(|field| field.ty.is_non_null()) {
        faults.push(
            Fault::new(format!(
                "`{}` of the `@oneOf` type `{}` is not nullable",
                field.name, object.name
            ))
            .at(type_span(folder, &field.ty), "always set, and so no other could be")
            .help(format!("write `{}: {}`", field.name, field.ty.clone().nullable())),
        );
    }
}

/// The place of a type with its brackets and exclamation marks.
pub(super) fn type_span(folder: &Folder<'_>, ty: &Type) -> Option<Span> {
    let name = folder.span(ty.inner_named_type())?;
    let text = &folder.parsed.sources[name.file].text;
    let before = text[..name.start].trim_end_matches(['[', ' ', '\t', '\r', '\n', ',']);
    let begin = text[before.len()..name.start].find('[').unwrap_or(name.start - before.len());
    let after = text[name.end..].trim_start_matches([']', '!', ' ', '\t', '\r', '\n', ',']);
    let behind = &text[name.end..text.len() - after.len()];
    let end = behind.rfind([']', '!']).map_or(0, |at| at + 1);
    Some(Span { start: before.len() + begin, end: name.end + end, ..name })
}

/// Is a type one name, with or without `!`, of a scalar or enum? Unclear ones may be.
pub(super) fn is_leaf(folder: &Folder<'_>, ty: &Type) -> bool {
    let kind = folder.kind(ty.inner_named_type());
    !ty.is_list() && !matches!(kind, Some(Kind::Object(_)))
}
