//! Do variables and literals stand where their types may?
//!
//! The specification's section 5.8.5, which async-graphql leaves out, and input objects that are
//! written as something else, which it lets pass.

use async_graphql::parser::types::{Directive, Selection, SelectionSet};
use async_graphql::{Pos, Positioned};
use async_graphql_value::Value as Literal;

use super::document::Fragments;
use super::error::{Code, Error};
use super::types::{Input, Kind, Shape, Type, TypeId, Types};
use super::variables::Declaration;

/// Everything in an operation that stands in a wrong place.
pub fn check(
    types: &Types,
    fragments: &Fragments,
    variables: &[Declaration],
    root: TypeId,
    set: &SelectionSet,
) -> Vec<Error> {
    let mut walk = Walk { types, fragments, variables, visited: Vec::new(), errors: Vec::new() };
    walk.set(root, set);
    walk.errors
}

struct Walk<'a> {
    types: &'a Types,
    fragments: &'a Fragments,
    variables: &'a [Declaration],
    visited: Vec<&'a str>,
    errors: Vec<Error>,
}

impl<'a> Walk<'a> {
    fn set(&mut self, parent: TypeId, set: &'a SelectionSet) {
        for item in &set.items {
            self.directives(item.node.directives());
            match &item.node {
                Selection::Field(field) => {
                    let Some(declared) = self.types.field(parent, &field.node.name.node) else {
                        continue;
                    };
                    for (name, literal) in &field.node.arguments {
                        let mut inputs = declared.arguments.iter();
                        if let Some(input) = inputs.find(|input| *input.name == *name.node) {
                            self.input(input, &literal.node, literal.pos);
                        }
                    }
                    self.set(declared.ty.innermost(), &field.node.selection_set.node);
                }
                // Every type condition that validation lets pass is the type itself.
                Selection::InlineFragment(fragment) => {
                    self.set(parent, &fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let fragment = self.fragments.get(name);
                    if let Some(fragment) = fragment.filter(|_| !self.visited.contains(&name)) {
                        self.visited.push(name);
                        self.set(parent, &fragment.node.selection_set.node);
                    }
                }
            }
        }
    }

    /// `@skip` and `@include` are the directives there are, and `if` is their argument.
    fn directives(&mut self, directives: &'a [Positioned<Directive>]) {
        let Some(boolean) = self.types.find("Boolean") else { return };
        let ty = Type { required: true, shape: Shape::Named(boolean) };
        for directive in directives {
            for (_, literal) in &directive.node.arguments {
                if let Literal::Variable(name) = &literal.node {
                    self.variable(&ty, false, name, literal.pos);
                }
            }
        }
    }

    fn input(&mut self, input: &Input, literal: &Literal, position: Pos) {
        match literal {
            Literal::Variable(name) => {
                self.variable(&input.ty, input.default.is_some(), name, position);
            }
            other => self.literal(&input.ty, other, position),
        }
    }

    fn literal(&mut self, ty: &Type, literal: &Literal, position: Pos) {
        match (&ty.shape, literal) {
            (_, Literal::Variable(name)) => self.variable(ty, false, name, position),
            (Shape::List(item), Literal::List(items)) => {
                for one in items {
                    self.literal(item, one, position);
                }
            }
            (_, Literal::Null) => {}
            (Shape::List(item), single) => self.literal(item, single, position),
            (Shape::Named(id), literal) => {
                let named = self.types.named(*id);
                let Kind::Input(declared) = &named.kind else { return };
                let Literal::Object(fields) = literal else {
                    let message = format!(
                        "Expected value of type \"{}\", found {}.",
                        named.name,
                        literal.to_string().chars().take(60).collect::<String>()
                    );
                    self.errors.push(refused(message).at(position));
                    return;
                };
                for (name, value) in fields {
                    if let Some(input) = declared.fields.iter().find(|input| *input.name == **name)
                    {
                        self.input(input, value, position);
                    }
                }
            }
        }
    }

    fn variable(&mut self, place: &Type, has_default: bool, name: &str, position: Pos) {
        let Some(definition) = self.variables.iter().find(|known| *known.name == *name) else {
            return;
        };
        let given_default = definition.default.as_ref().is_some_and(|d| *d != Literal::Null);
        let fits = if place.required && !definition.ty.required {
            let nullable = Type { required: false, shape: place.shape.clone() };
            (given_default || has_default) && fits(&definition.ty, &nullable)
        } else {
            fits(&definition.ty, place)
        };
        if !fits {
            let message = format!(
                "Variable \"${name}\" of type \"{}\" used in position expecting type \"{}\".",
                definition.ty_text,
                self.types.text(place)
            );
            self.errors.push(refused(message).at(definition.position).at(position));
        }
    }
}

/// May a value of one type stand where the other is expected?
fn fits(given: &Type, place: &Type) -> bool {
    let shapes = match (&given.shape, &place.shape) {
        (Shape::Named(given), Shape::Named(place)) => given == place,
        (Shape::List(given), Shape::List(place)) => fits(given, place),
        (Shape::Named(_), Shape::List(_)) | (Shape::List(_), Shape::Named(_)) => false,
    };
    shapes && (given.required || !place.required)
}

fn refused(message: String) -> Error {
    Error::new(Code::ValidationFailed, message)
}
