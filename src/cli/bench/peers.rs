//! The load as a library: `benches/peers` puts it on other servers, each in its own dialect, so
//! that all of them are loaded, checked and measured by the same loop.

use std::time::Duration;

use indicatif::ProgressBar;

use super::bare;
use super::ceiling::{self, Request};
use super::connect::connect_all;
use super::dialect::Dialect;
use super::figures::{Figures, Sample};
use super::idle::{self, Idle};
use super::intake::{self, Intake};
use super::load::Load;
use super::plan::{Pace, Plan, Until};
use crate::cli::address::Address;

/// A server that runs.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) address: Address,
    /// Its processes, for CPU and memory.
    pub(super) pids: Vec<u32>,
}

impl Target {
    /// On this machine.
    pub fn local(port: u16, pids: Vec<u32>) -> Self {
        let host = "127.0.0.1".to_owned();
        let (path, is_secure, authorities) = (String::new(), false, None);
        Self { address: Address { host, port, path, is_secure, authorities }, pids }
    }
}

/// One topic with one publisher, measured for a time.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Connections with one subscription each.
    pub subscribers: usize,
    /// Messages a second; `None` is as fast as they are delivered, with `window` under way.
    pub rate: Option<f64>,
    /// Messages under way at once where there is no rate.
    pub window: u64,
    /// Before the measurement begins.
    pub warmup: Duration,
    /// Of the measurement.
    pub duration: Duration,
}

impl Run {
    fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Saturate { window: self.window }, Pace::Rate)
    }

    fn plan(&self) -> Plan {
        Plan {
            run: String::new(),
            subscribers: self.subscribers,
            publishers: 1,
            topics: 1,
            topics_each: 1,
            max_per_second: None,
            selections: 1,
            filters: 0,
            size: 0,
            view: None,
            pace: self.pace(),
            until: Until::Time(self.duration),
            warmup: self.warmup,
        }
    }
}

/// Loads a server and measures it.
pub async fn fan_out(target: &Target, dialect: &dyn Dialect, run: &Run) -> Result<Figures, String> {
    let (plan, bar) = (run.plan(), ProgressBar::hidden());
    let subscriber = |index| dialect.subscriber(index);
    let subscribers = connect_all(&target.address, plan.subscribers, None, subscriber, &bar);
    let subscribers = subscribers.await.map_err(|error| error.to_string())?;
    let publishers = connect_all(&target.address, 1, None, |_| dialect.publisher(), &bar);
    let publishers = publishers.await.map_err(|error| error.to_string())?;
    let load = Load::new(&plan, dialect, subscribers, publishers)?;
    load.run(|| Sample::of(target.pids.iter().copied()), &bar)
}

/// Measures connections that only wait, and the time to open them.
pub async fn idle(
    target: &Target,
    dialect: &dyn Dialect,
    connections: usize,
) -> Result<Idle, String> {
    let bar = ProgressBar::hidden();
    idle::run(target, dialect, connections, &bar).await.map_err(|error| error.to_string())
}

/// Measures publishes that nobody receives, on one connection.
pub async fn intake(
    target: &Target,
    dialect: &dyn Dialect,
    window: u64,
    duration: Duration,
) -> Result<Intake, String> {
    let bar = ProgressBar::hidden();
    let wires = connect_all(&target.address, 1, None, |_| dialect.publisher(), &bar);
    let wires = wires.await.map_err(|error| error.to_string())?;
    let wire = wires.into_iter().next().ok_or("no connection")?;
    intake::run(wire, dialect, window, duration, || Sample::of(target.pids.iter().copied()))
}

/// Arguments that begin with one of these are for [`crate::cli::run`]: a server of our own and
/// the bare loop are child processes, the same program again.
pub const OWN_COMMANDS: [&str; 2] = ["serve", bare::COMMAND];

/// Measures the bare loop with `batch` frames a write.
pub fn bare(run: &Run, frame_bytes: usize, batch: usize) -> Result<Figures, String> {
    ceiling::measure(Request {
        layout: run.plan().layout(),
        frame_bytes,
        batch,
        pace: run.pace(),
        until: Until::Time(run.duration),
    })
}
