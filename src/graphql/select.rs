//! A selection set made flat: fragments opened, conditions applied, equal keys merged.
//!
//! This is `CollectFields` of the GraphQL specification (section 6.3.2), run over the whole tree
//! at once, because the type of every object is known beforehand; only entities have one of
//! several, and are collected for each.

use std::sync::{Arc, OnceLock};

use async_graphql::parser::types::{Directive, Field, Selection as Item, SelectionSet};
use async_graphql::{Name, Pos, Positioned};
use async_graphql_value::Value as Literal;

use super::compile;
use super::document::Fragments;
use super::error::{Code, Error};
use super::input::Value;
use super::types::{Kind, TypeId, Types};
use super::variables::Variables;
use crate::plan::Uses;
use crate::plan::projection::Projection;

/// The fields of one object in the order of the response.
pub type Selection = Box<[Selected]>;

/// One field of the response.
#[derive(Debug)]
pub struct Selected {
    /// The response key.
    pub key: Box<str>,
    /// The field's name.
    pub name: Box<str>,
    /// Where it is in the document.
    pub position: Pos,
    /// The arguments given.
    pub arguments: Box<[(Name, Literal)]>,
    /// Null is not allowed.
    pub required: bool,
    /// What is selected of it; empty for leaves and for introspection.
    pub selection: Selection,
    /// For a field that is a message, generic or typed: how its bytes are made.
    pub message: Option<Projection>,
    /// For a field that is a union: how the bytes of each of its types are made.
    pub entities: Box<[(Box<str>, Projection)]>,
    /// For a field that follows a typed topic: what its selection relies on, once that was asked.
    pub uses: OnceLock<Arc<Uses>>,
    typename: Option<Box<str>>,
}

impl Selected {
    /// The value of a `__typename`.
    pub fn typename(&self) -> &str {
        self.typename.as_deref().unwrap_or_default()
    }
}

/// Collects the fields of an operation.
#[derive(Debug)]
pub struct Collector<'a> {
    types: &'a Types,
    fragments: &'a Fragments,
    variables: &'a Variables<'a>,
    /// The result would differ with other variables.
    pub depends_on_variables: bool,
}

struct Group<'a> {
    key: &'a Name,
    first: &'a Positioned<Field>,
    sets: Vec<&'a SelectionSet>,
}

impl<'a> Collector<'a> {
    /// A collector for one request.
    pub fn new(types: &'a Types, fragments: &'a Fragments, variables: &'a Variables<'a>) -> Self {
        Self { types, fragments, variables, depends_on_variables: false }
    }

    /// The fields that these sets select of an object together.
    pub fn collect(&mut self, parent: TypeId, sets: &[&SelectionSet]) -> Result<Selection, Error> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut visited = Vec::new();
        for set in sets {
            self.group(parent, set, &mut groups, &mut visited)?;
        }
        groups.into_iter().map(|group| self.selected(parent, &group)).collect()
    }

    fn selected(&mut self, parent: TypeId, group: &Group<'_>) -> Result<Selected, Error> {
        let field = &group.first.node;
        let name = field.name.node.as_str();
        let declared = self.types.field(parent, name);
        let child = declared.map(|field| field.ty.innermost());
        let mut entities = Vec::new();
        let selection = match child.map(|child| (child, &self.types.named(child).kind)) {
            Some((_, Kind::Union(members))) => {
                for member in members {
                    let selection = self.collect(*member, &group.sets)?;
                    let name = self.types.named(*member).name.clone();
                    entities.push((name, compile::typed_object(&selection)));
                }
                Box::default()
            }
            Some((child, _)) => self.collect(child, &group.sets)?,
            // `__typename`, `__schema` and `__type` are no fields of the type.
            None => Box::default(),
        };
        let message = child.and_then(|child| compile::message(self.types, child, &selection));
        let arguments = field.arguments.iter();
        Ok(Selected {
            key: group.key.as_str().into(),
            name: name.into(),
            position: group.first.pos,
            arguments: arguments
                .map(|(name, value)| (name.node.clone(), value.node.clone()))
                .collect(),
            required: declared.map_or(name != "__type", |field| field.ty.required),
            selection,
            message,
            entities: entities.into(),
            uses: OnceLock::new(),
            typename: (name == "__typename").then(|| self.types.named(parent).name.clone()),
        })
    }

    fn group<'d>(
        &mut self,
        parent: TypeId,
        set: &'d SelectionSet,
        groups: &mut Vec<Group<'d>>,
        visited: &mut Vec<&'d str>,
    ) -> Result<(), Error>
    where
        'a: 'd,
    {
        for item in &set.items {
            if !self.is_included(item.node.directives()) {
                continue;
            }
            match &item.node {
                Item::Field(field) => add(groups, field)?,
                Item::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    if condition.is_none_or(|on| self.applies(parent, &on.node.on.node)) {
                        self.group(parent, &fragment.node.selection_set.node, groups, visited)?;
                    }
                }
                Item::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.fragments.get(name) else { continue };
                    let is_new = !visited.contains(&name);
                    if is_new && self.applies(parent, &fragment.node.type_condition.node.on.node) {
                        visited.push(name);
                        self.group(parent, &fragment.node.selection_set.node, groups, visited)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Is an object of this type what the condition names, or one of it?
    fn applies(&self, parent: TypeId, condition: &str) -> bool {
        let is_member = || match self.types.find(condition).map(|id| &self.types.named(id).kind) {
            Some(Kind::Union(members)) => members.contains(&parent),
            _ => false,
        };
        *self.types.named(parent).name == *condition || is_member()
    }

    fn is_included(&mut self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| match directive.node.name.node.as_str() {
            "skip" => !self.condition(&directive.node),
            "include" => self.condition(&directive.node),
            _ => true,
        })
    }

    fn condition(&mut self, directive: &Directive) -> bool {
        match directive.get_argument("if").map(|value| &value.node) {
            Some(Literal::Boolean(value)) => *value,
            Some(Literal::Variable(name)) => {
                self.depends_on_variables = true;
                self.variables.get(name) == Some(&Value::Boolean(true))
            }
            _ => false,
        }
    }
}

fn add<'d>(groups: &mut Vec<Group<'d>>, field: &'d Positioned<Field>) -> Result<(), Error> {
    let key = &field.node.response_key().node;
    let set = &field.node.selection_set.node;
    let Some(group) = groups.iter_mut().find(|group| group.key == key) else {
        groups.push(Group { key, first: field, sets: vec![set] });
        return Ok(());
    };
    let first = &group.first.node;
    if first.name.node != field.node.name.node || !same_arguments(first, &field.node) {
        let message = format!(
            "Fields \"{key}\" conflict because they are different fields or have differing \
             arguments. Use different aliases on the fields to fetch both."
        );
        return Err(Error::new(Code::ValidationFailed, message).at(group.first.pos).at(field.pos));
    }
    group.sets.push(set);
    Ok(())
}

fn same_arguments(left: &Field, right: &Field) -> bool {
    let in_right = |name: &Name| right.get_argument(name).map(|value| &value.node);
    left.arguments.len() == right.arguments.len()
        && left.arguments.iter().all(|(name, value)| in_right(&name.node) == Some(&value.node))
}
