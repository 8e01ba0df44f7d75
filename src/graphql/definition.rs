//! A model made ready to be served: its SDL, types, validation and typed topics.

use async_graphql::parser::parse_schema;

use super::error::{Code, Error, SchemaError};
use super::registry::Registry;
use super::sdl::derive::{Audience, derive};
use super::sdl::model::Model;
use super::shapes;
use super::typed::Typed;
use super::types::Types;
use crate::plan::Uses;

/// Everything about a schema that does not depend on the broker behind it.
#[derive(Debug)]
pub struct Definition {
    /// Its types.
    pub types: Types,
    /// Its typed topics.
    pub typed: Typed,
    pub(super) registry: Registry,
    sdl: String,
    subgraph: String,
}

impl Definition {
    /// The generic schema with what is derived of a model.
    pub fn new(model: &Model) -> Result<Self, SchemaError> {
        let sdl = derive(model, Audience::Clients);
        let parsed = parse_schema(&sdl).map_err(|error| SchemaError::Syntax {
            position: error.positions().next().unwrap_or_default(),
            message: error.to_string(),
        })?;
        let types = Types::new(&parsed)?;
        Ok(Self {
            registry: Registry::new(&parsed)?,
            typed: Typed::new(model, &types),
            types,
            subgraph: derive(model, Audience::Composition),
            sdl,
        })
    }

    /// The SDL that clients see.
    pub fn sdl(&self) -> &str {
        &self.sdl
    }

    /// The SDL that a router composes.
    pub fn subgraph(&self) -> &str {
        &self.subgraph
    }

    /// Is a subscription that relies on this still as its document says?
    pub fn serves(&self, uses: &Uses) -> Result<(), Error> {
        let Some(topic) = self.typed.named(&uses.ty) else {
            return Err(changed(&format!("the type `{}` is no longer in the schema", uses.ty)));
        };
        if topic.template.as_str() != &*uses.template {
            let message = format!("the topics of `{}` have changed", uses.ty);
            return Err(changed(&message));
        }
        for (relied_on, was) in &uses.fields {
            let Some((object, name)) = relied_on.split_once('.') else {
                if shapes::category(&self.types, relied_on) != Some(was) {
                    return Err(changed(&format!(
                        "`{relied_on}` is no longer {was} in the schema"
                    )));
                }
                continue;
            };
            let object = self.types.find(object);
            let now = object.and_then(|object| shapes::coordinate(&self.types, object, name));
            if now.is_none_or(|(_, now)| now != *was) {
                return Err(changed(&format!("`{relied_on}` is no longer `{was}` in the schema")));
            }
        }
        Ok(())
    }
}

fn changed(what: &str) -> Error {
    let message = format!("{what}; subscribe anew with a document that fits it");
    Error::new(Code::ValidationFailed, message)
}
