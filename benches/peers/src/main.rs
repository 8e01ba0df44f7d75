//! The same load on Tidings and on servers that do the like: one command, one table, one plot.
//!
//! Comes in: which servers, how many rounds. Goes out: Markdown, and if asked JSON and SVG.
//! The load itself, its checks and its clocks are those of `tidings bench`.

mod dialects;
mod plot;
mod roster;
mod rounds;
mod server;
mod summary;
mod table;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum as _};
use tidings::cli::bench::machine;
use tidings::cli::bench::peers::OWN_COMMANDS;

use roster::{Peer, ROSTER};
use rounds::{Mode, Options};

/// As the program has it, which is measured in here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts the same load on several servers and prints a table
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Arguments {
    /// Servers to measure; all if none is named
    #[arg(value_parser = peer)]
    servers: Vec<&'static Peer>,
    /// How often all of it is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections with one subscription each
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
    /// Bytes of a payload, at least 81
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Messages a second where latency is measured
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Messages under way at once where servers are saturated
    #[arg(long, default_value_t = 16)]
    window: u64,
    /// Seconds of a measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Connections that only wait
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// What is measured; all if none is named
    #[arg(long, value_delimiter = ',')]
    modes: Vec<Mode>,
    /// Only sees whether all of it works: 100 subscribers, half a second, one round
    #[arg(long, conflicts_with_all = ["rounds", "subscribers", "seconds", "idle"])]
    quick: bool,
    /// Writes every measurement of every round
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a plot as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|command| OWN_COMMANDS.contains(&command.as_str())) {
        return tidings::cli::run(std::env::args_os());
    }
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    machine::raise_file_limit();
    let options = arguments.options();
    let mut peers = arguments.servers;
    if peers.is_empty() {
        peers = ROSTER.iter().collect();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(rounds::measure(&peers, options, this_machine()));
    print!("{}", table::markdown(&results, &peers));
    if let Some(path) = arguments.json {
        fs::write(path, serde_json::to_string_pretty(&results)? + "\n")?;
    }
    if let Some(path) = arguments.plot {
        fs::write(path, plot::svg(&results, &peers))?;
    }
    Ok(())
}

impl Arguments {
    fn options(&self) -> Options {
        let Self { rounds, subscribers, size, rate, window, seconds, idle, .. } = *self;
        let modes = match self.modes.as_slice() {
            [] => Mode::value_variants().to_vec(),
            some => some.to_vec(),
        };
        let options = Options { rounds, subscribers, size, rate, window, seconds, idle, modes };
        if self.quick {
            return Options { rounds: 1, subscribers: 100, seconds: 0.5, idle: 200, ..options };
        }
        options
    }
}

fn peer(name: &str) -> Result<&'static Peer, String> {
    let names = || ROSTER.iter().map(|peer| peer.name).collect::<Vec<_>>().join(", ");
    let found = ROSTER.iter().find(|peer| peer.name == name);
    found.ok_or_else(|| format!("there are {}", names()))
}

/// Processor and kernel.
fn this_machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = model.unwrap_or("unknown processor");
    format!("{cores} cores of {model}, kernel {}, loopback", kernel.trim())
}
