//! The variables of one request, coerced by the types that the operation declares.

use async_graphql::Pos;
use async_graphql_value::Value as Literal;
use serde_json::value::RawValue;

use super::error::{Error, Segment};
use super::fault::{Fault, Payload};
use super::input::{Coercion, Source, Value};
use super::raw;
use super::types::{Type, Types};

/// What an operation says of a variable.
#[derive(Debug)]
pub struct Declaration {
    /// The name, without `$`.
    pub name: Box<str>,
    /// The type.
    pub ty: Type,
    /// The type as it was written.
    pub ty_text: Box<str>,
    /// The value when none is given.
    pub default: Option<Literal>,
    /// Where it stands in the arguments of a field of the root, if it does, and what of them is
    /// published.
    pub place: Option<(Vec<Segment>, Payload)>,
    /// Where it is declared.
    pub position: Pos,
}

/// Values by name; those that were not given and have no default are absent.
#[derive(Debug, Default)]
pub struct Variables<'a>(Vec<(&'a str, Value<'a>)>);

/// Nothing given.
pub const NONE: &Variables<'static> = &Variables(Vec::new());

impl<'a> Variables<'a> {
    /// The variables that a request gives, or everything that is wrong with them.
    pub fn coerce(
        types: &'a Types,
        definitions: &'a [Declaration],
        given: Option<&'a RawValue>,
    ) -> Result<Self, Vec<Error>> {
        let given = given.map(raw::object).unwrap_or_default();
        let mut values = Vec::with_capacity(definitions.len());
        let mut errors = Vec::new();
        for definition in definitions {
            let json = given.iter().rfind(|(name, _)| **name == *definition.name);
            let default = || definition.default.as_ref().map(Source::Literal);
            match json.map(|(_, json)| Source::Json(json)).or_else(default) {
                Some(source) => {
                    let mut coercion = Coercion::new(types, NONE);
                    values.push((&*definition.name, coercion.value(&definition.ty, source)));
                    errors.extend(wrong(definition, coercion.finish()));
                }
                None if definition.ty.required => errors.push(missing(definition)),
                None => {}
            }
        }
        if errors.is_empty() { Ok(Self(values)) } else { Err(errors) }
    }

    /// The value of a variable; `None` when it is absent.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

fn wrong(definition: &Declaration, faults: Vec<Fault>) -> impl Iterator<Item = Error> {
    let name = &definition.name;
    let (place, payload) = match &definition.place {
        Some((place, payload)) => (place.as_slice(), payload),
        None => ([].as_slice(), &Payload::Named),
    };
    let faults = faults.into_iter().map(|fault| {
        let within =
            if fault.path.is_empty() { String::new() } else { format!(" at {}", at(name, &fault)) };
        let sentence =
            format!(r#"Variable "${name}" got an invalid value{within}: {}"#, fault.message);
        ([place, &fault.path].concat(), fault.message, sentence)
    });
    let errors = payload.errors(name, faults.collect());
    errors.into_iter().map(|error| error.at(definition.position))
}

fn missing(definition: &Declaration) -> Error {
    let Declaration { name, ty_text, .. } = definition;
    let message = format!(r#"Variable "${name}" of required type "{ty_text}" was not provided."#);
    Error::argument(name, message).at(definition.position)
}

/// As in `"where[0].path"`.
fn at(name: &str, fault: &Fault) -> String {
    let steps = fault.path.iter().map(|segment| match segment {
        Segment::Key(key) => format!(".{key}"),
        Segment::Index(index) => format!("[{index}]"),
    });
    format!("\"{name}{}\"", steps.collect::<String>())
}
