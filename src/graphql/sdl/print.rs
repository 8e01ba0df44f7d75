//! A model's own types as SDL, and the inputs that they are published with.

use async_graphql::parser::types::{BaseType, Type};

use super::derive::Audience;
use super::model::{Enum, Field, Model, Object, Scalar};

/// All types of a model.
pub(super) fn types(model: &Model, audience: Audience) -> String {
    let printer = Printer { model, audience };
    let scalars = each(&model.scalars, |scalar| printer.scalar(scalar));
    let enums = each(&model.enums, |one| printer.one_enum(one));
    let objects = each(&model.objects, |object| {
        format!("{}{}", printer.object(object), printer.input(object))
    });
    [scalars, enums, objects].concat()
}

/// The texts of all, one after the other.
pub(super) fn each<T>(
    items: impl IntoIterator<Item = T>,
    mut text: impl FnMut(T) -> String,
) -> String {
    let mut out = String::new();
    for item in items {
        out.push_str(&text(item));
    }
    out
}

/// A description for the line before; `indent` before each of its lines.
pub(super) fn described(description: Option<&str>, indent: &str) -> String {
    let Some(text) = description else { return String::new() };
    if !text.contains(['"', '\\', '\n', '\r']) {
        return format!("{indent}\"{text}\"\n");
    }
    // Readers of block strings take blank edges off, and ours leaves the escape of quotes in.
    if text.contains("\"\"\"") || text.trim() != text {
        return format!("{indent}{}\n", quoted(text));
    }
    let lines = each(text.lines(), |line| format!("{indent}{line}\n"));
    format!("{indent}\"\"\"\n{lines}{indent}\"\"\"\n")
}

struct Printer<'a> {
    model: &'a Model,
    audience: Audience,
}

impl Printer<'_> {
    fn scalar(&self, scalar: &Scalar) -> String {
        let url = scalar.specified_by.as_ref();
        let url = url.map(|url| format!(" @specifiedBy(url: {})", quoted(url)));
        let description = described(scalar.description.as_deref(), "");
        let federation = self.federation(&scalar.federation);
        let (name, url) = (&scalar.name, url.unwrap_or_default());
        format!("\n{description}scalar {name}{url}{federation}\n")
    }

    fn one_enum(&self, one: &Enum) -> String {
        let values = each(&one.values, |value| {
            let description = described(value.description.as_deref(), "  ");
            format!("{description}  {}{}\n", value.name, deprecated(value.deprecated.as_deref()))
        });
        let description = described(one.description.as_deref(), "");
        let federation = self.federation(&one.federation);
        format!("\n{description}enum {}{federation} {{\n{values}}}\n", one.name)
    }

    fn object(&self, object: &Object) -> String {
        let keys = match self.audience {
            Audience::Clients => String::new(),
            Audience::Composition => each(&object.keys, |key| {
                let fields = key.fields.join(" ");
                let end = if key.is_resolvable { "" } else { ", resolvable: false" };
                format!(" @key(fields: \"{fields}\"{end})")
            }),
        };
        let mut fields = each(&object.fields, |field| self.field(field));
        if self.model.topic(&object.name).is_some() {
            fields.push_str("  \"The message that carried it.\"\n  _message: Message!\n");
        }
        let description = described(object.description.as_deref(), "");
        let federation = self.federation(&object.federation);
        format!("\n{description}type {}{keys}{federation} {{\n{fields}}}\n", object.name)
    }

    fn field(&self, field: &Field) -> String {
        let description = described(field.description.as_deref(), "  ");
        let deprecated = deprecated(field.deprecated.as_deref());
        let federation = self.federation(&field.federation);
        format!("{description}  {}: {}{deprecated}{federation}\n", field.name, field.ty)
    }

    fn input(&self, object: &Object) -> String {
        let one_of = if object.is_one_of { " @oneOf" } else { "" };
        let fields = each(&object.fields, |field| {
            let description = described(field.description.as_deref(), "  ");
            format!("{description}  {}: {}\n", field.name, self.with_inputs(&field.ty))
        });
        let name = &object.name;
        let description = format!("\n\"What a `{name}` is published with.\"\n");
        format!("{description}input {name}Input{one_of} {{\n{fields}}}\n")
    }

    /// The type with inputs in place of objects.
    fn with_inputs(&self, ty: &Type) -> String {
        let mark = if ty.nullable { "" } else { "!" };
        match &ty.base {
            BaseType::List(item) => format!("[{}]{mark}", self.with_inputs(item)),
            BaseType::Named(name) if self.model.object(name).is_some() => {
                format!("{name}Input{mark}")
            }
            BaseType::Named(name) => format!("{name}{mark}"),
        }
    }

    fn federation(&self, directives: &[String]) -> String {
        match self.audience {
            Audience::Clients => String::new(),
            Audience::Composition => each(directives, |one| format!(" {one}")),
        }
    }
}

fn deprecated(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" @deprecated(reason: {})", quoted(reason))).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
