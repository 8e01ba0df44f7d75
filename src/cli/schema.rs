//! `tidings schema`: the SDL that the configuration serves.

use clap::Args;

use super::settings::Settings;
use super::{Error, output, serve};

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
    let layers = serve::assemble(&arguments.settings.load()?).map_err(Error::Failed)?;
    output::print(&format!("{}\n", layers.schema.sdl().trim_end()))
}
