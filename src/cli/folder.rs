//! The folder of the schema.

use std::path::Path;

use crate::graphql::sdl::model::Model;

/// What the files of this folder declare; without one, nothing.
pub(super) fn model(_folder: Option<&Path>) -> Result<Model, String> {
    Ok(Model::default())
}
