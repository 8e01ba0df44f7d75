//! Coercion of input: literals of a document and JSON of the variables, by type, to values.
//!
//! Written once over the types as data, so that it also checks a payload against a type; it
//! collects every fault, not only the first. JSON scalars keep their very text.

use std::borrow::Cow;

use async_graphql_value::{Name, Value as Literal};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::error::Segment;
use super::fault::Fault;
use super::raw;
use super::types::{Input, Inputs, Kind, Scalar, Shape, Type, TypeId, Types};
use super::variables::Variables;
use crate::message::json::{DEPTH_MAX, Json};
use crate::message::time::Timestamp;

/// A value that fits its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Null, given as such.
    Null,
    /// `Boolean`
    Boolean(bool),
    /// `Int`
    Int(i32),
    /// `Float`: the text of a finite number, with the digits that were sent.
    Float(Cow<'a, str>),
    /// A string, an `ID`, or the name of an enum's value.
    Text(Cow<'a, str>),
    /// A JSON scalar.
    Json(Json),
    /// A list.
    List(Vec<Self>),
    /// Fields that are given or have a default; never two of one name.
    Object(Vec<(&'a str, Self)>),
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The document.
    Literal(&'a Literal),
    /// JSON.
    Json(&'a RawValue),
}

/// One coercion: what it may look up, where it is, and what it has found.
#[derive(Debug)]
pub struct Coercion<'a> {
    types: &'a Types,
    variables: &'a Variables<'a>,
    path: Vec<Segment>,
    faults: Vec<Fault>,
}

impl<'a> Coercion<'a> {
    /// A coercion in which literals may name these variables.
    pub fn new(types: &'a Types, variables: &'a Variables<'a>) -> Self {
        Self { types, variables, path: Vec::new(), faults: Vec::new() }
    }

    /// Everything that did not fit so far.
    pub fn finish(self) -> Vec<Fault> {
        self.faults
    }

    /// The value, or what stands for it where it is at fault.
    pub fn value(&mut self, ty: &'a Type, source: Source<'a>) -> Value<'a> {
        // Types that refer to themselves would let the sender say how much of the stack is used.
        if self.path.len() > DEPTH_MAX {
            self.fault(|| format!("is nested too deep; {DEPTH_MAX} levels are allowed"));
            return Value::Null;
        }
        if let Source::Literal(Literal::Variable(name)) = source {
            // Which type may stand where has been checked with the document.
            let value = self.variables.get(name).cloned().unwrap_or(Value::Null);
            return self.required(ty, value);
        }
        if source.is_null() {
            return self.required(ty, Value::Null);
        }
        match &ty.shape {
            Shape::List(item) => self.list(item, source),
            Shape::Named(id) => self.named(*id, source),
        }
    }

    /// Fields or arguments from what is given, in the order of the declaration.
    pub fn fields(
        &mut self,
        owner: &str,
        declared: &'a [Input],
        given: &[(Cow<'a, str>, Source<'a>)],
    ) -> Vec<(&'a str, Value<'a>)> {
        let mut fields = Vec::with_capacity(given.len());
        for input in declared {
            let source = given.iter().rfind(|(name, _)| **name == *input.name).map(|given| given.1);
            self.path.push(Segment::Key(input.name.clone()));
            match source.filter(|source| !self.is_absent(*source)) {
                Some(source) => fields.push((&*input.name, self.value(&input.ty, source))),
                None => match &input.default {
                    Some(default) => {
                        let value = self.value(&input.ty, Source::Literal(default));
                        fields.push((&*input.name, value));
                    }
                    None if input.ty.required => {
                        self.fault(|| "is required but was not given".to_owned());
                    }
                    None => {}
                },
            }
            self.path.pop();
        }
        for (name, _) in given {
            if !declared.iter().any(|input| *input.name == **name) {
                self.path.push(Segment::Key(name.chars().take(64).collect::<String>().into()));
                self.fault(|| unknown(owner, declared, name));
                self.path.pop();
            }
        }
        fields
    }

    /// A variable that was not given counts as not given where it is used.
    fn is_absent(&self, source: Source<'_>) -> bool {
        match source {
            Source::Literal(Literal::Variable(name)) => self.variables.get(name).is_none(),
            Source::Literal(_) | Source::Json(_) => false,
        }
    }

    fn required(&mut self, ty: &Type, value: Value<'a>) -> Value<'a> {
        if ty.required && value == Value::Null {
            self.fault(|| "must not be null".to_owned());
        }
        value
    }

    fn list(&mut self, item: &'a Type, source: Source<'a>) -> Value<'a> {
        let items: Vec<Source<'a>> = match source {
            Source::Literal(Literal::List(items)) => items.iter().map(Source::Literal).collect(),
            Source::Json(json) if json.get().starts_with('[') => {
                raw::list(json).into_iter().map(Source::Json).collect()
            }
            // One value counts as a list of one.
            single => return Value::List(vec![self.value(item, single)]),
        };
        let items = items.into_iter().enumerate().map(|(index, source)| {
            self.path.push(Segment::Index(index));
            let value = self.value(item, source);
            self.path.pop();
            value
        });
        Value::List(items.collect())
    }

    fn named(&mut self, id: TypeId, source: Source<'a>) -> Value<'a> {
        let types = self.types;
        let named = types.named(id);
        let value = match &named.kind {
            Kind::Scalar(Scalar::Json) => match self.json(source) {
                Ok(json) => Some(Value::Json(json)),
                Err(message) => {
                    self.fault(|| message);
                    return Value::Null;
                }
            },
            Kind::Scalar(scalar) => scalar_value(*scalar, source),
            Kind::Enum(values) => {
                let is_one = |name: &str| values.iter().any(|one| **one == *name);
                enum_name(source).filter(|name| is_one(name)).map(Value::Text)
            }
            Kind::Input(declared) => fields_of(source).map(|given| {
                let fields = self.fields(&named.name, &declared.fields, &given);
                self.check_one_of(declared, &fields);
                Value::Object(fields)
            }),
            Kind::Object(_) | Kind::Union(_) => None,
        };
        value.unwrap_or_else(|| {
            self.fault(|| {
                let (name, right) = (&named.name, right(&named.kind));
                format!("{name} cannot represent {}{right}", source.excerpt())
            });
            Value::Null
        })
    }

    /// Exactly one field, and not null (specification, section 3.10.1).
    fn check_one_of(&mut self, declared: &Inputs, fields: &[(&str, Value<'_>)]) {
        if declared.is_one_of && !matches!(fields, [(_, value)] if *value != Value::Null) {
            self.fault(|| {
                let names = declared.fields.iter().map(|field| &*field.name);
                format!("must have exactly one of {}, not null", listed(names))
            });
        }
    }

    fn json(&self, source: Source<'a>) -> Result<Json, String> {
        let json = match source {
            Source::Json(json) => Json::parse(json.get()),
            Source::Literal(literal) => Json::parse(&raw::literal_text(literal, self.variables)),
        };
        json.map_err(|error| error.to_string())
    }

    /// A list of a million wrong items needs no million messages, and none that nobody reads is
    /// put together.
    fn fault(&mut self, message: impl FnOnce() -> String) {
        const FAULTS_MAX: usize = 100;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { path: self.path.clone(), message: message() });
        }
    }
}

impl Source<'_> {
    fn is_null(self) -> bool {
        match self {
            Self::Literal(literal) => matches!(literal, Literal::Null),
            Self::Json(json) => json.get() == "null",
        }
    }

    /// The beginning of its text, for messages.
    fn excerpt(self) -> String {
        let text = match self {
            Self::Literal(literal) => literal.to_string(),
            Self::Json(json) => json.get().to_owned(),
        };
        match text.char_indices().nth(60) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// The fields of an object.
fn fields_of<'a>(source: Source<'a>) -> Option<Vec<(Cow<'a, str>, Source<'a>)>> {
    match source {
        Source::Literal(Literal::Object(fields)) => {
            let field = |(name, value): (&'a Name, &'a Literal)| {
                (Cow::Borrowed(name.as_str()), Source::Literal(value))
            };
            Some(fields.iter().map(field).collect())
        }
        Source::Json(json) if json.get().starts_with('{') => {
            let fields = raw::object(json).into_iter();
            Some(fields.map(|(name, value)| (name, Source::Json(value))).collect())
        }
        Source::Literal(_) | Source::Json(_) => None,
    }
}

/// What would be right, where the type's name does not say it.
fn right(kind: &Kind) -> String {
    match kind {
        Kind::Enum(values) => {
            format!("; it must be one of {}", listed(values.iter().map(|value| &**value)))
        }
        Kind::Scalar(Scalar::DateTime) => {
            "; write it by RFC 3339, as in \"2026-11-21T14:30:00Z\"".to_owned()
        }
        Kind::Scalar(_) | Kind::Input(_) | Kind::Object(_) | Kind::Union(_) => String::new(),
    }
}

/// The names, but for those that would make a hundred faults an answer of megabytes.
fn listed<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    const NAMES_MAX: usize = 30;
    let more = names.len().saturating_sub(NAMES_MAX);
    let shown = names.take(NAMES_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// What to say of a field that is not declared.
fn unknown(owner: &str, declared: &[Input], name: &str) -> String {
    let likeness = |input: &&Input| {
        let score = strsim::jaro_winkler(&input.name, name);
        (score > 0.75).then_some(score)
    };
    let scored = declared.iter().filter_map(|input| Some((likeness(&input)?, &input.name)));
    match scored.max_by(|(left, _), (right, _)| left.total_cmp(right)) {
        Some((_, near)) => format!("is no field of {owner}; is `{near}` meant?"),
        None => format!("is no field of {owner}"),
    }
}

fn enum_name(source: Source<'_>) -> Option<Cow<'_, str>> {
    match source {
        Source::Literal(Literal::Enum(name)) => Some(name.as_str().into()),
        Source::Literal(_) => None,
        Source::Json(json) => raw::string(json),
    }
}

fn scalar_value(scalar: Scalar, source: Source<'_>) -> Option<Value<'_>> {
    match scalar {
        Scalar::String => text(source).map(Value::Text),
        Scalar::DateTime => {
            let time = Timestamp::parse(&text(source)?).ok()?;
            Some(Value::Text(time.to_string().into()))
        }
        Scalar::Id => {
            let whole =
                |text: &str| text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
            let number = || match source {
                Source::Literal(Literal::Number(number)) => Some(number.to_string().into()),
                Source::Json(json) if is_number(json.get()) => Some(json.get().into()),
                Source::Literal(_) | Source::Json(_) => None,
            };
            let text = text(source).or_else(|| number().filter(|text: &Cow<'_, str>| whole(text)));
            text.map(Value::Text)
        }
        Scalar::Boolean => match source {
            Source::Literal(Literal::Boolean(value)) => Some(Value::Boolean(*value)),
            Source::Literal(_) => None,
            Source::Json(json) => json.get().parse().ok().map(Value::Boolean),
        },
        Scalar::Int => {
            let number = number(source)?;
            let whole = number.as_i64().and_then(|whole| i32::try_from(whole).ok());
            // A JSON writer may know no integers: 1.0 is one, but not in a document.
            let from_float = || match source {
                Source::Json(_) => number.as_f64().and_then(whole_float),
                Source::Literal(_) => None,
            };
            whole.or_else(from_float).map(Value::Int)
        }
        Scalar::Float => {
            let text: Cow<'_, str> = match source {
                Source::Literal(Literal::Number(number)) => number.to_string().into(),
                Source::Json(json) if is_number(json.get()) => json.get().into(),
                Source::Literal(_) | Source::Json(_) => return None,
            };
            let is_finite = text.parse::<f64>().is_ok_and(f64::is_finite);
            is_finite.then_some(Value::Float(text))
        }
        Scalar::Json => None,
    }
}

fn text(source: Source<'_>) -> Option<Cow<'_, str>> {
    match source {
        Source::Literal(Literal::String(text)) => Some(text.as_str().into()),
        Source::Literal(_) => None,
        Source::Json(json) => raw::string(json),
    }
}

/// Is this JSON a number? Any other begins with a letter, a quote or a bracket.
fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn number(source: Source<'_>) -> Option<Number> {
    match source {
        Source::Literal(Literal::Number(number)) => Some(number.clone()),
        Source::Literal(_) => None,
        Source::Json(json) => Number::deserialize(json).ok(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole and within the bounds of i32")]
fn whole_float(number: f64) -> Option<i32> {
    let is_within = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    (is_within && number.fract() == 0.0).then_some(number as i32)
}

impl Value<'_> {
    /// The text of a `Text`.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}
