//! `tidings schema`: the SDL that the configuration serves.

use clap::Args;

use super::settings::Settings;
use super::{Error, folder, output};
use crate::graphql::definition::Definition;

/// Prints the GraphQL schema that is served
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings schema --schema schema > served.graphql     for code generators and editors
  tidings schema --schema schema --federation         for routers that compose subgraphs")]
pub(super) struct Arguments {
    /// Prints the subgraph's SDL for Apollo Federation: typed topics and what they need
    #[arg(long)]
    federation: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = arguments.settings.load()?;
    let model = folder::model(config.schema.dir.as_deref()).map_err(Error::Failed)?;
    let definition = Definition::new(&model).map_err(|error| Error::Failed(error.to_string()))?;
    if arguments.federation && model.topics.is_empty() {
        let reason = "there are no typed topics to compose; name a folder with --schema";
        return Err(Error::Failed(reason.into()));
    }
    let sdl = if arguments.federation { definition.subgraph() } else { definition.sdl() };
    output::print(&format!("{}\n", sdl.trim_end()))
}
