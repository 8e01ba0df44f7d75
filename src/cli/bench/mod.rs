//! `tidings bench`: load on a server, checked and measured.
//!
//! Comes in: what to load it with. Goes out: figures, and an exit code that tells whether every
//! subscriber saw every message. Knows nothing of: how a server works; it is a client.

mod answer;
pub(super) mod arguments;
pub(super) mod bare;
mod ceiling;
mod checker;
mod connect;
pub mod dialect;
mod fan_out;
pub mod figures;
mod flow;
mod frames;
pub mod idle;
mod inflate;
pub mod intake;
mod layout;
mod load;
pub mod machine;
pub mod peers;
mod plan;
mod process;
mod publish;
mod queues;
mod resume;
pub mod server;
mod stall;
pub mod stamp;
mod swarm;
mod tally;
mod wire;

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Error;
use super::output::print;
use arguments::Arguments;
use server::Server;

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    machine::raise_file_limit();
    let plan = arguments.plan()?;
    let server = server(&arguments, &plan)?;
    let title = arguments.title(&plan);
    if arguments.idle.is_some() {
        let bar = progress(plan.subscribers as u64, "connecting");
        let idle = idle::run(&server.target(), &plan, plan.subscribers, &bar).await?;
        bar.finish_and_clear();
        return tell(&arguments, &title, &idle, &idle.lines());
    }
    if arguments.publish {
        let published = publish::run(&server, &plan).await?;
        tell(&arguments, &title, &published, &published.lines())?;
        return conclude(published.is_clean(), "not every publish had its receipt, in order");
    }
    let is_clean = if let Some(messages) = arguments.resume {
        let resumed = resume::run(server, &plan, messages, arguments.ceiling).await?;
        tell(&arguments, &title, &resumed, &resumed.lines())?;
        resumed.is_clean()
    } else {
        let report = fan_out::run(&arguments, server, &plan).await?;
        tell(&arguments, &title, &report, &report.lines())?;
        report.is_clean()
    };
    conclude(is_clean, "not every subscriber saw every message once and in order")
}

fn conclude(is_clean: bool, otherwise: &str) -> Result<(), Error> {
    if is_clean { Ok(()) } else { Err(Error::Failed(otherwise.to_owned())) }
}

/// The server to measure: one that runs, or one of our own.
fn server(arguments: &Arguments, plan: &plan::Plan) -> Result<Server, Error> {
    match arguments.url.clone() {
        Some(address) if address.is_secure => {
            let reason = "bench speaks http:// only: what it measures is the broker, not TLS";
            Err(Error::Usage(reason.into()))
        }
        Some(address) => {
            Ok(Server::running(address, arguments.admin_url.clone(), arguments.server_pid))
        }
        None => {
            let schema = arguments.typed.then_some(plan::SCHEMA);
            // Who comes back may be there before the server has seen that he went.
            let times = if arguments.resume.is_some() { 2 } else { 1 };
            let connections = times * plan.subscribers + plan.publishers;
            Server::start(connections, &arguments.settings(), schema)
        }
    }
}

fn tell(
    arguments: &Arguments,
    title: &str,
    figures: &impl Serialize,
    lines: &[String],
) -> Result<(), Error> {
    if arguments.json {
        let json = serde_json::to_string(figures);
        let json = json.map_err(|error| Error::Failed(error.to_string()))?;
        return print(&format!("{json}\n"));
    }
    print(&format!("{title}\n{}\n", lines.join("\n")))
}

/// Shown on a terminal only.
fn progress(length: u64, unit: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let plain = |_| ProgressStyle::default_bar();
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg}");
    ProgressBar::new(length).with_style(style.unwrap_or_else(plain)).with_message(unit.to_owned())
}
