//! `tidings schema`: the SDL that the configuration serves.

use clap::Args;

use super::settings::Settings;
use super::{Error, folder, output};
use crate::graphql::definition::Definition;

/// Prints the GraphQL schema that is served
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tidings schema > schema.graphql     for code generators and editors")]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = arguments.settings.load()?;
    let model = folder::model(config.schema.dir.as_deref()).map_err(Error::Failed)?;
    let definition = Definition::new(&model).map_err(|error| Error::Failed(error.to_string()))?;
    output::print(&format!("{}\n", definition.sdl().trim_end()))
}
