//! `tidings check`: is the configuration right?

use clap::Args;

use super::settings::Settings;
use super::{Error, output, tls};
use crate::config::defaults;

/// Says what is wrong with the configuration, with file, line and column
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings check                              tidings.toml in this folder, and the variables
  tidings check --config /etc/tidings.toml
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
    let file = arguments.settings.file();
    let what = file.map_or("defaults and variables".into(), |path| path.display().to_string());
    output::print(&format!("{what}: ok\n"))
}
