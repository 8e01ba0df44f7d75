//! `tidings bench`: load on a server, checked and measured.
//!
//! Comes in: what to load it with. Goes out: figures, and an exit code that tells whether every
//! subscriber saw every message. Knows nothing of: how a server works; it is a client.

pub(super) mod ceiling;
mod checker;
mod connect;
pub mod dialect;
pub mod figures;
mod flow;
mod frames;
pub mod idle;
mod inflate;
pub mod intake;
mod load;
pub mod machine;
pub mod peers;
mod plan;
mod process;
pub mod server;
pub mod stamp;
mod tally;
mod wire;

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Error;
use super::address::Address;
use super::output::print;
use crate::message::units::{DURATION_FITS, parse_duration};
use crate::websocket::deflate::offer::OFFER;
use ceiling::{Ceiling, Request};
use dialect::Dialect;
use figures::{Figures, Sample};
use plan::{Pace, Plan, Until, View};
use server::Server;

/// Puts load on a server: starts one of its own, or takes a running one with --url
#[derive(Debug, Args)]
#[command(after_help = "\
Every subscriber is checked: exit code 1 if one message was lost, doubled or out of order.

Examples:
  tidings bench                                  as fast as it goes, 1000 subscribers
  tidings bench --rate 50 --duration 10s         latency at a fixed rate
  tidings bench --ceiling                        beside what the machine could do at best
  tidings bench --idle 10000                     memory of connections that only wait
  tidings bench --url http://127.0.0.1:4000 --json")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(super) struct Arguments {
    /// Connections with one subscription each
    #[arg(long, default_value_t = 1000, value_parser = at_least_one)]
    subscribers: usize,
    /// Connections that publish
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    publishers: usize,
    /// Topics; subscribers and messages go round them
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    topics: usize,
    /// Ends after so many messages
    #[arg(long, conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// Measures for so long
    #[arg(long, default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Runs for so long before it measures, unless --messages is given
    #[arg(long, default_value = "500ms", value_parser = duration)]
    warmup: Duration,
    /// Messages a second; 0 is as fast as they are delivered
    #[arg(long, default_value_t = 0.0, value_parser = rate)]
    rate: f64,
    /// Messages under way at once, with --rate 0
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    window: u64,
    /// Bytes of a payload
    #[arg(long, default_value_t = 128, value_parser = size)]
    size: usize,
    /// Distinct selections among the subscribers
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    selections: usize,
    /// Distinct `where` conditions among the subscribers, all of which pass; 0 is none
    #[arg(long, default_value_t = 0)]
    filters: usize,
    /// Only opens so many connections with one subscription each, and looks at the server
    #[arg(long, value_parser = at_least_one)]
    idle: Option<usize>,
    /// Measures a second time with compressed messages (permessage-deflate); those under 256 B
    /// stay as they are, so give a --size
    #[arg(long, conflicts_with = "idle")]
    deflate: bool,
    /// Measures a second time by the field of a type: the topics are typed ones
    #[arg(long, conflicts_with_all = ["idle", "url", "deflate"])]
    typed: bool,
    /// Measures the bare loop as well: frames written to sockets, and nothing else
    #[arg(long, conflicts_with = "idle")]
    ceiling: bool,
    /// Prints the figures as JSON
    #[arg(long)]
    json: bool,
    /// A server that runs already
    #[arg(long)]
    url: Option<Address>,
    /// Its process, for CPU and memory; found by itself on this machine
    #[arg(long, requires = "url")]
    server_pid: Option<u32>,
    #[arg(
        long,
        value_name = "SECTION.KEY=VALUE",
        conflicts_with = "url",
        help = "Sets a key of the server that is started, as in limits.outbox_bytes=4MiB"
    )]
    set: Vec<String>,
}

/// Everything measured.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    figures: Figures,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ceiling: Vec<Ceiling>,
    /// The same load with compressed messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    deflate: Option<Figures>,
    /// The same load, followed by the field of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    typed: Option<Figures>,
}

/// Frames of one write in the bare loop that coalesces, and messages under way to feed it.
const BATCH: usize = 8;
const BATCH_WINDOW: u64 = 64;

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    machine::raise_file_limit();
    let plan = arguments.plan()?;
    let server = match arguments.url.clone() {
        Some(address) if address.is_secure => {
            let reason = "bench speaks http:// only: what it measures is the broker, not TLS";
            return Err(Error::Usage(reason.into()));
        }
        Some(address) => Server::running(address, arguments.server_pid),
        None => {
            let schema = arguments.typed.then_some(plan::SCHEMA);
            Server::start(plan.subscribers + plan.publishers, &arguments.set, schema)?
        }
    };
    if arguments.idle.is_some() {
        let bar = progress(plan.subscribers as u64, "connecting");
        let idle = idle::run(&server.target(), &plan, plan.subscribers, &bar).await?;
        bar.finish_and_clear();
        let title = format!("{} idle connections, one subscription each", plan.subscribers);
        return tell(&arguments, &title, &idle, &idle.lines());
    }
    let figures = fan_out(&server, &plan, None).await?;
    let deflate =
        if arguments.deflate { Some(fan_out(&server, &plan, Some(OFFER)).await?) } else { None };
    let typed = if arguments.typed {
        let plan = Plan { view: Some(View::Typed), ..plan.clone() };
        Some(fan_out(&server, &plan, None).await?)
    } else {
        None
    };
    // The bare loop gets the core to itself.
    drop(server);
    let ceiling = if arguments.ceiling { ceilings(&plan, &figures)? } else { Vec::new() };
    let is_rate = matches!(plan.pace, Pace::Rate(_));
    let mut lines = figures.lines(is_rate);
    lines.extend(ceiling.iter().map(|ceiling| ceiling.line(&figures, is_rate)));
    lines.extend(deflate.iter().map(|deflate| deflate.beside("deflate", &figures, "plain")));
    lines.extend(typed.iter().map(|typed| typed.beside("typed", &figures, "generic")));
    let is_clean = [Some(&figures), deflate.as_ref(), typed.as_ref()]
        .into_iter()
        .flatten()
        .all(Figures::is_clean);
    let title = arguments.title(&plan);
    tell(&arguments, &title, &Report { figures, ceiling, deflate, typed }, &lines)?;
    if is_clean {
        return Ok(());
    }
    Err(Error::Failed("not every subscriber saw every message once and in order".into()))
}

async fn fan_out(server: &Server, plan: &Plan, offer: Option<&str>) -> Result<Figures, Error> {
    let bar = progress((plan.subscribers + plan.publishers) as u64, "connecting");
    let opening = |index| plan.subscriber(index);
    let subscribers = connect::connect_all(&server.address, plan.subscribers, offer, opening, &bar);
    let subscribers = subscribers.await?;
    let opening = |_| plan.publisher();
    let publishers = connect::connect_all(&server.address, plan.publishers, None, opening, &bar);
    let publishers = publishers.await?;
    bar.finish_and_clear();
    let bar = match plan.until {
        Until::Messages(count) => progress(count, "messages"),
        Until::Time(time) => {
            let all = (plan.warmup + time).as_millis();
            progress(u64::try_from(all).unwrap_or(u64::MAX), "ms")
        }
    };
    let load = load::Load::new(plan, plan, subscribers, publishers).map_err(Error::Failed)?;
    let figures = load.run(|| Sample::of(server.pid), &bar).map_err(Error::Failed);
    bar.finish_and_clear();
    figures
}

fn ceilings(plan: &Plan, figures: &Figures) -> Result<Vec<Ceiling>, Error> {
    const LONGEST: Duration = Duration::from_secs(5);
    let runs = match plan.pace {
        Pace::Rate(_) => vec![(1, plan.pace)],
        Pace::Saturate { .. } => {
            vec![(BATCH, Pace::Saturate { window: BATCH_WINDOW }), (1, plan.pace)]
        }
    };
    let frame_bytes = usize::try_from(figures::whole(figures.frame_bytes)).unwrap_or(plan.size);
    let duration = match plan.until {
        Until::Time(duration) => duration.min(LONGEST),
        Until::Messages(_) => LONGEST,
    };
    let connections = plan.subscribers;
    let measure = |(batch, pace)| {
        let bare = ceiling::measure(Request { connections, frame_bytes, batch, pace, duration });
        let bare = bare.map_err(|reason| Error::Failed(format!("the bare loop: {reason}")))?;
        Ok(Ceiling::new(batch, &bare, figures))
    };
    runs.into_iter().map(measure).collect()
}

impl Arguments {
    fn plan(&self) -> Result<Plan, Error> {
        let mut run = [0; 4];
        getrandom::fill(&mut run)
            .map_err(|error| Error::Failed(format!("no randomness: {error}")))?;
        Ok(Plan {
            run: format!("{:08x}", u32::from_be_bytes(run)),
            subscribers: self.idle.unwrap_or(self.subscribers),
            publishers: self.publishers,
            topics: self.topics,
            selections: self.selections,
            filters: self.filters,
            size: self.size,
            view: self.typed.then_some(View::Generic),
            pace: if self.rate > 0.0 {
                Pace::Rate(self.rate)
            } else {
                Pace::Saturate { window: self.window }
            },
            until: self.messages.map_or(Until::Time(self.duration), Until::Messages),
            warmup: self.warmup,
        })
    }

    fn title(&self, plan: &Plan) -> String {
        let Plan { subscribers, publishers, topics, size, .. } = plan;
        let pace = match plan.pace {
            Pace::Rate(rate) => format!("{rate} messages/s"),
            Pace::Saturate { window } => format!("as fast as it goes, {window} under way"),
        };
        let whose = if self.url.is_some() { "" } else { ", a server of its own" };
        format!(
            "{subscribers} subscribers, {publishers} publishers, {topics} topics, payloads of \
             {size} B, {pace}{whose}"
        )
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

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "expected a whole number, at least 1".to_owned())
}

fn size(text: &str) -> Result<usize, String> {
    let least = stamp::PAYLOAD_BYTES_MIN;
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("expected bytes, at least {least}"))
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected messages a second, as in 50 or 0.5; 0 is no limit".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("expected {DURATION_FITS}"))
}
