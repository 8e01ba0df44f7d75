//! Runs the commands of a bar, and keeps what they measured.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::Instant;

use serde_json::Value;

/// Something that measures and prints JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    /// `tidings bench` with these flags.
    Load(&'static str),
    /// A benchmark of this package.
    Bench(&'static str),
    /// Other servers, and this one beside them: one run a round serves all bars.
    Peers(&'static str),
}

/// What the commands of one bar said in one round, or why they said nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Round(pub(crate) Vec<(Command, Result<Value, String>)>);

/// Runs commands, each in a place where anyone could type it.
#[derive(Debug, Default)]
pub(crate) struct Runner {
    peers: HashMap<(Command, usize), Result<Value, String>>,
}

/// A mode in which servers are measured beside each other, and a JSON Pointer.
pub(crate) type Figure = (&'static str, &'static str);

const PROGRAM: &str = env!("CARGO_BIN_EXE_tidings");
const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load("") => write!(f, "target/release/tidings bench"),
            Self::Load(flags) => write!(f, "target/release/tidings bench {flags}"),
            Self::Bench(name) => write!(f, "cargo bench --bench {name}"),
            Self::Peers(arguments) => {
                write!(f, "cargo run --release --manifest-path {PEERS} -- --rounds 1 {arguments}")
            }
        }
    }
}

const PEERS: &str = "benches/peers/Cargo.toml";

impl Runner {
    /// One round of a bar: its commands, one after the other.
    pub(crate) fn run(&mut self, commands: &[Command], round: usize) -> Round {
        let run = |command: &Command| (*command, self.run_one(*command, round));
        Round(commands.iter().map(run).collect())
    }

    fn run_one(&mut self, command: Command, round: usize) -> Result<Value, String> {
        if let Some(measured) = self.peers.get(&(command, round)) {
            return measured.clone();
        }
        let began = Instant::now();
        let measured = command.run().map_err(|reason| format!("`{command}`: {reason}"));
        let end = measured.as_ref().err().map_or("", |reason| reason.as_str());
        eprintln!("{command}: {:.0} s {end}", began.elapsed().as_secs_f64());
        if matches!(command, Command::Peers(_)) {
            self.peers.insert((command, round), measured.clone());
        }
        measured
    }
}

impl Command {
    fn run(self) -> Result<Value, String> {
        match self {
            Self::Load(flags) => {
                let mut process = Process::new(PROGRAM);
                process.arg("bench").args(flags.split_whitespace()).arg("--json");
                read(&output(&mut process)?)
            }
            Self::Bench(name) => {
                let mut process = cargo();
                process.args(["bench", "--bench", name, "--", "--json"]);
                read(&output(&mut process)?)
            }
            Self::Peers(arguments) => {
                let file = Scratch::new();
                let mut process = cargo();
                process.args(["run", "--release", "--manifest-path", PEERS, "--"]);
                process.args(["--rounds", "1", "--json"]).arg(&file.0);
                process.args(arguments.split_whitespace());
                output(&mut process)?;
                read(&fs::read_to_string(&file.0).map_err(|error| error.to_string())?)
            }
        }
    }
}

fn cargo() -> Process {
    let mut process = Process::new(env!("CARGO"));
    process.current_dir(FOLDER);
    process
}

/// Standard output of a process that has to succeed; what it complains of goes to the terminal.
fn output(process: &mut Process) -> Result<String, String> {
    let output = process.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint.trim().lines().last().unwrap_or_default();
    Err(format!("{}, {last}", output.status))
}

fn read(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it printed no JSON: {error}"))
}

/// A file that is gone when it has been read.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("bars-{}.json", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Round {
    /// A number that a command measured, by its JSON Pointer.
    pub(crate) fn at(&self, command: usize, pointer: &str) -> Option<f64> {
        self.json(command)?.pointer(pointer)?.as_f64()
    }

    /// All that a command measured.
    pub(crate) fn json(&self, command: usize) -> Option<&Value> {
        self.0.get(command)?.1.as_ref().ok()
    }

    /// What one command measured by what another one measured.
    pub(crate) fn ratio(&self, of: (usize, &str), to: (usize, &str)) -> Option<f64> {
        Some(self.at(of.0, of.1)? / self.at(to.0, to.1)?)
    }

    /// What a server measured in a run beside others, divided by what another one did.
    pub(crate) fn by_peer(
        &self,
        command: usize,
        peer: &str,
        (mode, pointer): Figure,
    ) -> Option<f64> {
        Some(
            self.of(command, "tidings", (mode, pointer))?
                / self.of(command, peer, (mode, pointer))?,
        )
    }

    /// What a server measured in a run beside others.
    pub(crate) fn of(&self, command: usize, server: &str, (mode, pointer): Figure) -> Option<f64> {
        let measurements = self.json(command)?["measurements"].as_array()?;
        let is_it = |one: &&Value| one["server"] == server && one["mode"] == mode;
        measurements.iter().find(is_it)?.pointer(pointer)?.as_f64()
    }

    /// Why commands failed.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(_, measured)| measured.as_ref().err().map(String::as_str))
    }
}
