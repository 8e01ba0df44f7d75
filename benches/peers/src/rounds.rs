//! The measuring: every server in a process of its own, the servers in turn within each round.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use tidings::cli::bench::figures::Figures;
use tidings::cli::bench::idle::Idle;
use tidings::cli::bench::intake::Intake;
use tidings::cli::bench::peers::{self, Run, Target};
use tidings::cli::bench::server::Server as Tidings;

use crate::roster::{Kind, Peer};
use crate::server::{self, Server};

/// The load.
#[derive(Debug, Clone, Serialize)]
pub struct Options {
    /// How often all of it is measured.
    pub rounds: usize,
    /// Connections with one subscription each.
    pub subscribers: usize,
    /// Bytes of a payload.
    pub size: usize,
    /// Messages a second where latency is measured.
    pub rate: f64,
    /// Messages under way at once where servers are saturated.
    pub window: u64,
    /// Seconds of a measurement.
    pub seconds: f64,
    /// Connections that only wait.
    pub idle: usize,
    /// What is measured.
    pub modes: Vec<Mode>,
}

/// What is measured of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As fast as it goes.
    Saturated,
    /// At a fixed rate.
    Paced,
    /// Connections that only wait.
    Idle,
    /// Publishes that nobody receives.
    Intake,
}

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// From 1.
    pub round: usize,
    /// The name of the server.
    pub server: &'static str,
    /// What was measured.
    pub mode: Mode,
    /// What came out.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came out of a measurement.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Saturated or paced.
    Figures(Figures),
    /// Connections that wait.
    Idle(Idle),
    /// Publishes.
    Intake(Intake),
    /// It could not be measured.
    Error(String),
}

/// Everything measured.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Where.
    pub machine: String,
    /// With which load.
    pub options: Options,
    /// Of the servers, by name.
    pub versions: BTreeMap<&'static str, String>,
    /// Servers that could not be started, and why.
    pub skipped: BTreeMap<&'static str, String>,
    /// By round, mode and server.
    pub measurements: Vec<Measurement>,
}

const WARM_UP: Duration = Duration::from_millis(500);
/// A bare loop that gathers needs more messages under way than there are in a write.
const GATHERED_WINDOW: u64 = 64;
/// Publishes without an answer; a multiple of those that one answer of nats-server stands for.
const INTAKE_WINDOW: u64 = 256;
/// Connections for a server that cannot hold as many as it should.
const IDLE_LEAST: usize = 1_000;
/// As Tidings sends it around a payload; the length needs two more bytes in the header.
const ENVELOPE: &str = r#"{"id":"1","type":"next","payload":{"data":{"messages":{"payload":}}}}"#;
const HEADER_BYTES: usize = 4;

/// Measures those that can be started.
pub async fn measure(peers: &[&'static Peer], options: Options, machine: String) -> Results {
    let (mut versions, mut skipped) = (BTreeMap::new(), BTreeMap::new());
    for peer in peers {
        match version(peer) {
            Ok(version) => drop(versions.insert(peer.name, version)),
            Err(reason) => drop(skipped.insert(peer.name, reason)),
        }
    }
    let ready: Vec<_> = peers.iter().filter(|peer| versions.contains_key(peer.name)).collect();
    let mut measurements = Vec::new();
    for round in 1..=options.rounds {
        for mode in options.modes.iter().copied() {
            for peer in ready.iter().filter(|peer| mode.suits(peer)) {
                eprintln!("round {round} of {}, {mode:?}: {}", options.rounds, peer.name);
                let outcome = one(peer, mode, &options).await.unwrap_or_else(Outcome::Error);
                if let Outcome::Error(reason) = &outcome {
                    eprintln!("  {reason}");
                }
                measurements.push(Measurement { round, server: peer.name, mode, outcome });
            }
        }
    }
    Results { machine, options, versions, skipped, measurements }
}

fn version(peer: &Peer) -> Result<String, String> {
    match peer.server {
        Kind::Script(folder) => server::version(folder),
        Kind::Bare { .. } | Kind::Tidings => Ok("of this source".to_owned()),
    }
}

impl Mode {
    fn suits(self, peer: &Peer) -> bool {
        match self {
            Self::Saturated => true,
            Self::Paced => peer.has_pace(),
            Self::Idle => peer.has_idle(),
            Self::Intake => peer.has_intake(),
        }
    }
}

async fn one(peer: &Peer, mode: Mode, options: &Options) -> Result<Outcome, String> {
    let run = options.run(mode);
    match peer.server {
        Kind::Bare { batch } => {
            let window = if batch > 1 { GATHERED_WINDOW } else { run.window };
            let frame_bytes = options.size + ENVELOPE.len() + HEADER_BYTES;
            peers::bare(&Run { window, ..run }, frame_bytes, batch).map(Outcome::Figures)
        }
        Kind::Tidings => {
            let server = Tidings::stock(options.idle.max(options.subscribers))?;
            on(&server.target(), peer, mode, options).await
        }
        Kind::Script(folder) => {
            let server = Server::start(folder)?;
            let outcome = on(&server.target(), peer, mode, options).await;
            if mode != Mode::Idle || outcome.is_ok() || options.idle <= IDLE_LEAST {
                return outcome;
            }
            drop(server);
            let server = Server::start(folder)?;
            let fewer = Options { idle: IDLE_LEAST, ..options.clone() };
            on(&server.target(), peer, mode, &fewer).await
        }
    }
}

async fn on(
    target: &Target,
    peer: &Peer,
    mode: Mode,
    options: &Options,
) -> Result<Outcome, String> {
    let run = options.run(mode);
    let dialect = &*peer.dialect(options.size, mode == Mode::Intake);
    match mode {
        Mode::Saturated | Mode::Paced => {
            peers::fan_out(target, dialect, &run).await.map(Outcome::Figures)
        }
        Mode::Idle => peers::idle(target, dialect, options.idle).await.map(Outcome::Idle),
        Mode::Intake => {
            let intake = peers::intake(target, dialect, INTAKE_WINDOW, run.duration);
            intake.await.map(Outcome::Intake)
        }
    }
}

impl Options {
    fn run(&self, mode: Mode) -> Run {
        Run {
            subscribers: self.subscribers,
            rate: (mode == Mode::Paced).then_some(self.rate),
            window: self.window,
            warmup: WARM_UP,
            duration: Duration::from_secs_f64(self.seconds),
        }
    }
}
