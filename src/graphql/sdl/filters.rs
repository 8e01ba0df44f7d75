//! The inputs of `where`: one for each object type, and for what its fields are made of.

use std::collections::BTreeMap;

use async_graphql::parser::types::{BaseType, Type};

use super::derive::innermost;
use super::model::{Field, Model, Object};
use super::names::filter;
use super::print::each;

/// The comparisons that a leaf allows beside those that all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Comparisons {
    has_order: bool,
    has_text: bool,
}

/// The inputs of all objects of a model, as SDL.
pub(super) fn of(model: &Model) -> String {
    let mut inputs = BTreeMap::new();
    let nested: Vec<&str> =
        model.objects.iter().flat_map(|o| &o.fields).map(|field| innermost(&field.ty)).collect();
    for object in &model.objects {
        let is_nested = nested.contains(&object.name.as_str());
        inputs.insert(format!("{}Filter", object.name), of_object(object, is_nested));
        for field in &object.fields {
            add(model, &field.ty, &mut inputs);
        }
    }
    inputs.into_values().collect()
}

fn of_object(object: &Object, is_nested: bool) -> String {
    let own = &object.name;
    let field = |field: &Field| {
        format!("  \"Tests `{}`.\"\n  {}: {}\n", field.name, field.name, filter(&field.ty))
    };
    let is_null = if is_nested { IS_NULL } else { "" };
    let fields = each(&object.fields, field);
    format!(
        "\n\"Tests a `{own}`. All that is given must hold.\"\ninput {own}Filter {{\n  \
         \"All of these hold.\"\n  and: [{own}Filter!]\n  \"One of these holds.\"\n  \
         or: [{own}Filter!]\n  \"This does not hold.\"\n  not: {own}Filter\n{is_null}{fields}}}\n"
    )
}

fn add(model: &Model, ty: &Type, inputs: &mut BTreeMap<String, String>) {
    match &ty.base {
        BaseType::List(item) => {
            inputs.entry(filter(ty)).or_insert_with(|| of_list(ty, item, model));
            add(model, item, inputs);
        }
        BaseType::Named(leaf) if model.object(leaf).is_none() => {
            inputs.entry(filter(ty)).or_insert_with(|| of_leaf(model, leaf));
        }
        BaseType::Named(_) => {}
    }
}

fn of_list(ty: &Type, item: &Type, model: &Model) -> String {
    let equal = if model.object(innermost(ty)).is_some() {
        String::new()
    } else {
        let value = value(ty);
        format!(
            "  \"Equal, element by element.\"\n  eq: {value}\n  \"Not equal, or missing.\"\n  \
             ne: {value}\n  \"Equal to one of these.\"\n  in: [{value}!]\n"
        )
    };
    let (name, item) = (filter(ty), filter(item));
    let any = format!("  \"An element passes.\"\n  any: {item}\n");
    format!("\n\"Tests a list.\"\ninput {name} {{\n{any}{equal}{IS_NULL}}}\n")
}

/// The type of a value to compare with: no element has to be there.
fn value(ty: &Type) -> String {
    match &ty.base {
        BaseType::Named(name) => name.to_string(),
        BaseType::List(item) => format!("[{}]", value(item)),
    }
}

fn of_leaf(model: &Model, leaf: &str) -> String {
    let Comparisons { has_order, has_text } = comparisons(model, leaf);
    let mut fields = format!(
        "  \"Equal.\"\n  eq: {leaf}\n  \"Not equal, or missing.\"\n  ne: {leaf}\n  \
         \"Equal to one of these.\"\n  in: [{leaf}!]\n{IS_NULL}"
    );
    if has_order {
        fields.push_str(&each(ORDER, |(name, doc)| format!("  \"{doc}\"\n  {name}: {leaf}\n")));
    }
    if has_text {
        fields.push_str(TEXT);
    }
    format!(
        "\n\"Tests a value of `{leaf}`. All that is given must hold.\"\n\
         input {leaf}Filter {{\n{fields}}}\n"
    )
}

fn comparisons(model: &Model, leaf: &str) -> Comparisons {
    let is_enum = model.enums.iter().any(|one| one.name == leaf);
    Comparisons {
        has_order: !is_enum && !matches!(leaf, "ID" | "Boolean"),
        has_text: matches!(leaf, "ID" | "String"),
    }
}

const IS_NULL: &str = "  \"Null or missing, or not.\"\n  isNull: Boolean\n";

const ORDER: [(&str, &str); 4] =
    [("lt", "Less."), ("lte", "Less or equal."), ("gt", "Greater."), ("gte", "Greater or equal.")];

const TEXT: &str = "  \"Begins with this.\"\n  startsWith: String\n  \"Contains this.\"\n  \
                    contains: String\n";
