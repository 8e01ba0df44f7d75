//! The command line: one file per command.
//!
//! Comes in: arguments, variables, standard input. Goes out: standard output, an exit code.
//! Knows nothing of: how the broker works; it makes options for it, or talks to one as a client.

mod address;
pub mod bench;
mod check;
mod client;
mod export;
mod folder;
mod import;
mod output;
mod publish;
mod schema;
pub mod serve;
mod settings;
mod socket;
mod subscribe;
mod tls;
mod topics;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::fault::Faults;

/// A pub/sub message broker whose interface is GraphQL over WebSocket.
#[derive(Debug, Parser)]
#[command(name = "tidings", version, max_term_width = 100, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Check(check::Arguments),
    Pub(publish::Arguments),
    Sub(subscribe::Arguments),
    Topics(topics::Arguments),
    Export(export::Arguments),
    Import(import::Arguments),
    Bench(Box<bench::arguments::Arguments>),
    Schema(schema::Arguments),
    #[command(name = bench::bare::COMMAND, hide = true)]
    BenchBare(bench::bare::Arguments),
}

/// What is wrong with a schema shows its own lines, in a layout that a prefix would break.
const REPORT: &str = "error: ";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Config(#[from] Faults),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
}

/// Runs the program and says how it went: 0 asked to stop, 1 could not, 2 wrong usage.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match CommandLine::try_parse_from(arguments) {
        Ok(arguments) => execute(arguments),
        Err(error) => {
            // Help and version arrive here too; a closed output is not worth a word.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_seen_enough() => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if text.starts_with(REPORT) {
                output::say(&text);
            } else {
                text.lines().for_each(output::complain);
            }
            error.exit_code()
        }
    }
}

fn execute(arguments: CommandLine) -> Result<(), Error> {
    match arguments.command {
        None => serve::run(&arguments.serve),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::Pub(arguments)) => in_runtime(publish::run(arguments)),
        Some(Command::Sub(arguments)) => in_runtime(subscribe::run(arguments)),
        Some(Command::Topics(arguments)) => in_runtime(topics::run(arguments)),
        Some(Command::Export(arguments)) => in_runtime(export::run(arguments)),
        Some(Command::Import(arguments)) => in_runtime(import::run(arguments)),
        Some(Command::Bench(arguments)) => in_runtime(bench::run(*arguments)),
        Some(Command::Schema(arguments)) => schema::run(&arguments),
        Some(Command::BenchBare(arguments)) => bench::bare::serve(&arguments),
    }
}

/// Commands that wait for a network do it on one thread.
fn in_runtime(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(command)
}

impl Error {
    /// Who closes our output has seen enough: `tidings export … | head -1`.
    fn is_seen_enough(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(faults) if faults.are_usage() => ExitCode::from(2),
            Self::Usage(_) => ExitCode::from(2),
            Self::Config(_) | Self::Client(_) | Self::Output(_) | Self::Failed(_) => {
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_visible_command_has_an_example() {
        for command in CommandLine::command().get_subcommands_mut().filter(|c| !c.is_hide_set()) {
            let help = command.render_help().to_string();
            let example = format!("  tidings {}", command.get_name());
            assert!(help.contains("Example") && help.contains(&example), "{help}");
        }
    }
}
