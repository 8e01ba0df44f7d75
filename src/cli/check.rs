//! `tidings check`: are the configuration and the schema right?

use clap::Args;

use super::settings::Settings;
use super::{Error, folder, output, tls};
use crate::config::defaults;
use crate::engine::disk::Disk;

/// Says what is wrong with configuration and schema, with file, line and column
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings check                              tidings.toml in this folder, and the variables
  tidings check --config /etc/tidings.toml
  tidings check --schema schema              and the typed topics in this folder
  tidings check --defaults > tidings.toml    every key with its default and what it is for")]
pub(super) struct Arguments {
    /// Prints a tidings.toml with every key, its default and what it is for
    #[arg(long)]
    defaults: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    if arguments.defaults {
        return output::print(&defaults::text());
    }
    let config = arguments.settings.load()?;
    tls::server(&config).map_err(Error::Failed)?;
    if let Some(folder) = config.data.dir.as_deref() {
        Disk::check(folder).map_err(|error| Error::Failed(error.to_string()))?;
    }
    let file = arguments.settings.file();
    let what = file.map_or("defaults and variables".into(), |path| path.display().to_string());
    let Some(folder) = config.schema.dir.as_deref() else {
        return output::print(&format!("{what}: ok\n"));
    };
    let topics = folder::model(Some(folder)).map_err(Error::Failed)?.topics.len();
    let typed = if topics == 1 { "1 typed topic".into() } else { format!("{topics} typed topics") };
    output::print(&format!("{what}: ok\n{}: ok, {typed}\n", folder.display()))
}
