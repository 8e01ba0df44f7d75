//! Directives as they are applied: known, in their place, with the arguments that they take.

use apollo_compiler::Node;
use apollo_compiler::ast::{
    Argument, Directive, DirectiveDefinition, DirectiveLocation, InputValueDefinition, Type, Value,
};

use super::fault::Fault;
use super::gather::Folder;
use super::{nearest, ours};

/// Of Federation, and not ours.
const FOREIGN: [&str; 12] = [
    "external",
    "requires",
    "provides",
    "override",
    "extends",
    "interfaceObject",
    "link",
    "composeDirective",
    "authenticated",
    "requiresScopes",
    "policy",
    "context",
];

/// An argument that is given and not null.
pub(super) fn argument<'a>(directive: &'a Directive, name: &str) -> Option<&'a Node<Value>> {
    directive.specified_argument_by_name(name).filter(|value| !value.is_null())
}

/// Checks all directives of one thing.
pub(super) fn check(
    folder: &Folder<'_>,
    applied: &[&Node<Directive>],
    location: DirectiveLocation,
    faults: &mut Vec<Fault>,
) {
    for (index, directive) in applied.iter().enumerate() {
        let Some(known) = ours::directive(&directive.name) else {
            faults.push(unknown(folder, directive));
            continue;
        };
        if !known.locations.contains(&location) {
            faults.push(misplaced(folder, directive, known, location));
            continue;
        }
        let first = applied[..index].iter().find(|other| other.name == directive.name);
        if let Some(first) = first.filter(|_| !known.repeatable) {
            faults.push(
                Fault::new(format!("`@{}` is given twice", directive.name))
                    .at(folder.parsed.span(directive.location()), "given again")
                    .note(folder.parsed.span(first.location()), "first given here")
                    .help("remove one of them"),
            );
            continue;
        }
        arguments(folder, directive, known, faults);
    }
}

fn unknown(folder: &Folder<'_>, directive: &Directive) -> Fault {
    let name = &directive.name;
    let fault = Fault::new(format!("cannot find the directive `@{name}`"))
        .at(folder.span(name), "not a directive that the broker knows");
    if FOREIGN.contains(&name.as_str()) {
        return fault.help(
            "remove it; of the directives of Federation there are `@key`, `@shareable`, `@tag` \
             and `@inaccessible`",
        );
    }
    if let Some(nearest) = nearest::name(name, ours::directives()) {
        return fault.help(format!("a directive with a similar name exists: `@{nearest}`"));
    }
    let names: Vec<String> = ours::directives().map(|name| format!("`@{name}`")).collect();
    fault.help(format!("there are {}", nearest::list(&names)))
}

fn misplaced(
    folder: &Folder<'_>,
    directive: &Directive,
    known: &DirectiveDefinition,
    location: DirectiveLocation,
) -> Fault {
    let name = &directive.name;
    let places: Vec<String> =
        known.locations.iter().map(|place| describe(*place).to_owned()).collect();
    Fault::new(format!("`@{name}` does not belong to {}", describe(location)))
        .at(folder.span(name), format!("given to {}", describe(location)))
        .help(format!("`@{name}` belongs to {}", nearest::list(&places)))
}

fn describe(location: DirectiveLocation) -> &'static str {
    match location {
        DirectiveLocation::Object => "an object type",
        DirectiveLocation::FieldDefinition => "a field",
        DirectiveLocation::Enum => "an enum",
        DirectiveLocation::EnumValue => "a value of an enum",
        DirectiveLocation::Scalar => "a scalar",
        other => other.name(),
    }
}

fn arguments(
    folder: &Folder<'_>,
    directive: &Node<Directive>,
    known: &DirectiveDefinition,
    faults: &mut Vec<Fault>,
) {
    let name = &directive.name;
    for (index, argument) in directive.arguments.iter().enumerate() {
        let first = directive.arguments[..index].iter().find(|other| other.name == argument.name);
        if let Some(first) = first {
            faults.push(twice(folder, argument, first));
            continue;
        }
        let Some(taken) = known.argument_by_name(&argument.name) else {
            let names = known.arguments.iter().map(|taken| taken.name.as_str());
            faults.push(
                Fault::new(format!("`@{name}` has no argument `{}`", argument.name))
                    .at(folder.span(&argument.name), "not an argument of it")
                    .help(nearest::help("argument", &argument.name, names)),
            );
            continue;
        };
        let what = format!("`{}` of `@{name}`", argument.name);
        value(folder, &argument.value, &taken.ty, &what, faults);
    }
    let is_meant = |wanted: &str| {
        let unknown = directive.arguments.iter().map(|argument| argument.name.as_str());
        let mut unknown = unknown.filter(|name| known.argument_by_name(name).is_none());
        unknown.any(|name| nearest::name(name, [wanted]).is_some())
    };
    for missing in known.arguments.iter().filter(|taken| is_required(taken)) {
        let is_given = directive.specified_argument_by_name(&missing.name).is_some();
        if !is_given && !is_meant(&missing.name) {
            let example = example(name);
            faults.push(
                Fault::new(format!("`@{name}` needs the argument `{}`", missing.name))
                    .at(folder.parsed.span(directive.location()), "given without it")
                    .help(format!("write it as in `{example}`")),
            );
        }
    }
}

fn twice(folder: &Folder<'_>, argument: &Argument, first: &Argument) -> Fault {
    Fault::new(format!("the argument `{}` is given twice", argument.name))
        .at(folder.span(&argument.name), "given again")
        .note(folder.span(&first.name), "first given here")
        .help("remove one of them")
}

fn is_required(argument: &InputValueDefinition) -> bool {
    argument.ty.is_non_null() && argument.default_value.is_none()
}

fn example(directive: &str) -> &'static str {
    match directive {
        "topic" => "@topic(name: \"quotes.{symbol}\")",
        "key" => "@key(fields: \"symbol\")",
        "tag" => "@tag(name: \"internal\")",
        _ => "@specifiedBy(url: \"https://example.com/price\")",
    }
}

/// Does a value fit the type of an argument?
fn value(folder: &Folder<'_>, given: &Node<Value>, ty: &Type, what: &str, faults: &mut Vec<Fault>) {
    let name = ty.inner_named_type().as_str();
    let span = folder.parsed.span(given.location());
    match (&**given, name) {
        (Value::Null, _) if !ty.is_non_null() => {}
        (Value::String(_), "String" | "FieldSet") | (Value::Boolean(_), "Boolean") => {}
        (Value::Int(number), "Int") => {
            if number.try_to_i32().is_err() {
                faults.push(
                    Fault::new(format!("{what} is too large"))
                        .at(span, "not an Int")
                        .help("an Int has 32 bits: it is at most 2147483647"),
                );
            }
        }
        (Value::Enum(word), _) if ours::enumeration(name).is_some() => {
            let values = ours::enumeration(name).into_iter().flat_map(|one| &one.values);
            let names = values.map(|value| value.value.as_str());
            if !names.clone().any(|name| name == word.as_str()) {
                faults.push(
                    Fault::new(format!("{what} has no value `{word}`"))
                        .at(span, format!("not a value of `{name}`"))
                        .help(nearest::help("value", word, names)),
                );
            }
        }
        (Value::Object(fields), _) if ours::input(name).is_some() => {
            object(folder, fields, name, what, faults);
        }
        _ => faults.push(
            Fault::new(format!("{what} takes {}", takes(name)))
                .at(span, describe_value(given))
                .help(fits(name)),
        ),
    }
}

fn object(
    folder: &Folder<'_>,
    fields: &[(apollo_compiler::Name, Node<Value>)],
    input: &str,
    what: &str,
    faults: &mut Vec<Fault>,
) {
    let known = || ours::input(input).into_iter().flat_map(|input| &input.fields);
    for (index, (name, given)) in fields.iter().enumerate() {
        if let Some((first, _)) = fields[..index].iter().find(|(other, _)| other == name) {
            faults.push(
                Fault::new(format!("`{name}` is given twice"))
                    .at(folder.span(name), "given again")
                    .note(folder.span(first), "first given here")
                    .help("remove one of them"),
            );
            continue;
        }
        match known().find(|field| field.name == *name) {
            Some(field) => {
                value(folder, given, &field.ty, &format!("`{name}` in {what}"), faults);
            }
            None => faults.push(
                Fault::new(format!("{what} has no limit `{name}`"))
                    .at(folder.span(name), "not one of its limits")
                    .help(nearest::help("limit", name, known().map(|one| one.name.as_str()))),
            ),
        }
    }
}

fn takes(ty: &str) -> &'static str {
    match ty {
        "Int" => "an Int",
        "Boolean" => "a Boolean",
        "Keep" => "an object of limits",
        "Overflow" => "a value of `Overflow`",
        _ => "a String",
    }
}

fn fits(ty: &str) -> &'static str {
    match ty {
        "Int" => "a whole number without quotes, as in `1000`",
        "Boolean" => "`true` or `false`, without quotes",
        "Keep" => "as in `{last: 1000, age: \"10m\", bytes: \"1MiB\"}`",
        "Overflow" => "`DISCONNECT`, `DROP_OLDEST` or `CONFLATE`, without quotes",
        _ => "strings stand between double quotes, as in `\"text\"`",
    }
}

fn describe_value(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Enum(_) => "a name without quotes",
        Value::Variable(_) => "a variable",
        Value::String(_) => "a String",
        Value::Float(_) => "a Float",
        Value::Int(_) => "an Int",
        Value::Boolean(_) => "a Boolean",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
    }
}
