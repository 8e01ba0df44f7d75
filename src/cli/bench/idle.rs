//! What connections cost that only wait: memory, and the time to open them.

use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanCount, ProgressBar};
use serde::Serialize;

use super::connect::connect_all;
use super::dialect::Dialect;
use super::figures::{Sample, float, whole};
use super::peers::Target;
use crate::cli::Error;

/// Figures of idle connections.
#[derive(Debug, Clone, Serialize)]
pub struct Idle {
    /// That were opened.
    pub connections: usize,
    /// Opened in a second: handshake and subscription.
    pub connects_per_second: f64,
    /// What the server grew by.
    pub server_rss_bytes_per_connection: Option<f64>,
    /// User and system time of the server.
    pub server_cpu_micros_per_connect: Option<f64>,
}

/// A server may tidy up after the last handshake before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(1);
/// Opened and closed first, so that what a server needs once is not counted.
const WARM_UP_CONNECTIONS: usize = 50;

/// Opens connections with one subscription each, and looks at the server.
pub(super) async fn run(
    target: &Target,
    dialect: &dyn Dialect,
    connections: usize,
    bar: &ProgressBar,
) -> Result<Idle, Error> {
    let Target { address, pids } = target;
    let sample = || Sample::of(pids.iter().copied());
    let opening = |index| dialect.subscriber(index);
    let hidden = ProgressBar::hidden();
    drop(connect_all(address, WARM_UP_CONNECTIONS, None, opening, &hidden).await?);
    tokio::time::sleep(SETTLE).await;
    let before = sample();
    let begun = Instant::now();
    let wires = connect_all(address, connections, None, opening, bar).await?;
    let seconds = begun.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let after = sample();
    let count = float(wires.len() as u64);
    let grown = after.server_rss().zip(before.server_rss());
    let grown = grown.map(|(after, before)| float(after.saturating_sub(before)));
    Ok(Idle {
        connections: wires.len(),
        connects_per_second: count / seconds,
        server_rss_bytes_per_connection: grown.map(|bytes| bytes / count),
        server_cpu_micros_per_connect: after.server_cpu_since(&before).map(|cpu| cpu * 1e6 / count),
    })
}

impl Idle {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let unknown = || "unknown: no --server-pid".to_owned();
        let rss = self.server_rss_bytes_per_connection;
        let rss = rss.map(|bytes| format!("{} a connection", BinaryBytes(whole(bytes))));
        let cpu = self.server_cpu_micros_per_connect;
        let cpu = cpu.map(|cpu| format!("{cpu:.0} us a connect"));
        vec![
            format!("connects      {}/s", HumanCount(whole(self.connects_per_second))),
            format!("server RSS    {}", rss.unwrap_or_else(unknown)),
            format!("server CPU    {}", cpu.unwrap_or_else(unknown)),
        ]
    }
}
