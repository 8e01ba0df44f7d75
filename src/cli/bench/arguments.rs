//! The flags of `tidings bench`, and the plan that they make.

use std::time::Duration;

use clap::Args;

use super::plan::{Pace, Plan, Until, View};
use super::stamp;
use crate::cli::Error;
use crate::cli::address::Address;
use crate::message::units::{DURATION_FITS, parse_duration};

/// Puts load on a server: starts one of its own, or takes a running one with --url
#[derive(Debug, Args)]
#[command(after_help = "\
Every subscriber is checked: exit code 1 if one message was lost, doubled or out of order.

Examples:
  tidings bench                                  as fast as it goes, 1000 subscribers
  tidings bench --rate 50 --duration 10s         latency at a fixed rate
  tidings bench --ceiling                        beside what the machine could do at best
  tidings bench --subscribers 10000 --topics 2000 --rate 10000 --ceiling     many small rooms
  tidings bench --market                         quotes, conflated for each subscriber
  tidings bench --resume 100 --ceiling           all come back at once, 100 messages behind
  tidings bench --publish                        messages in, one socket, no subscribers
  tidings bench --idle 10000                     memory of connections that only wait
  tidings bench --url http://127.0.0.1:4000 --json")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(in crate::cli) struct Arguments {
    /// Connections with one subscription each [default with --market: 500]
    #[arg(long, default_value_t = 1000, value_parser = at_least_one)]
    #[arg(default_value_if("market", "true", "500"))]
    pub(super) subscribers: usize,
    /// Connections that publish
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub(super) publishers: usize,
    /// Topics; subscribers and messages go round them [default with --market: 2000]
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    #[arg(default_value_if("market", "true", "2000"))]
    pub(super) topics: usize,
    /// Topics of each subscription [default with --market: 50]
    #[arg(long, value_name = "TOPICS", default_value_t = 1, value_parser = at_least_one)]
    #[arg(default_value_if("market", "true", "50"))]
    topics_each: usize,
    /// Conflates: each topic at most so often a second for each subscriber, ending on its newest
    /// message; half of the messages are of a tenth of the topics [default with --market: 5]
    #[arg(long, value_name = "RATE", value_parser = positive_rate)]
    #[arg(default_value_if("market", "true", "5"))]
    max_per_second: Option<f64>,
    /// A market: 5000 quotes a second of 2000 symbols to 500 subscribers with 50 symbols each, who
    /// want 5 a second of each; shows that no queue grows
    #[arg(long)]
    market: bool,
    /// Ends after so many messages
    #[arg(long, conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
    /// Measures for so long
    #[arg(long, default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Runs for so long before it measures, unless --messages is given
    #[arg(long, default_value = "500ms", value_parser = duration)]
    warmup: Duration,
    /// Messages a second; 0 is as fast as they are delivered [default with --market: 5000]
    #[arg(long, default_value_t = 0.0, value_parser = rate)]
    #[arg(default_value_if("market", "true", "5000"))]
    rate: f64,
    /// Messages under way at once, with --rate 0 [default with --publish: 256]
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(default_value_if("publish", "true", "256"))]
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
    #[arg(long, value_name = "CONNECTIONS", value_parser = at_least_one)]
    #[arg(conflicts_with_all = LOADS)]
    #[arg(conflicts_with_all = ["subscribers", "resume", "publish"])]
    pub(super) idle: Option<usize>,
    /// All subscribers go away, so many messages come on each topic, and all come back at once and
    /// go on after their cursors
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(conflicts_with_all = LOADS)]
    #[arg(conflicts_with_all = ["publishers", "publish", "topics_each"])]
    pub(super) resume: Option<u64>,
    /// Only publishes, and awaits every receipt
    #[arg(long, conflicts_with_all = ["subscribers", "selections", "filters", "market"])]
    #[arg(conflicts_with_all = ["topics_each", "max_per_second", "deflate", "typed", "ceiling"])]
    pub(super) publish: bool,
    /// Measures a second time with compressed messages (permessage-deflate); those under 256 B
    /// stay as they are, so give a --size
    #[arg(long, conflicts_with_all = ["max_per_second", "market"])]
    pub(super) deflate: bool,
    /// Measures a second time by the field of a type: the topics are typed ones
    #[arg(long, conflicts_with_all = ["url", "deflate", "topics_each", "max_per_second", "market"])]
    pub(super) typed: bool,
    /// Measures the bare loop as well: frames written to sockets, and nothing else
    #[arg(long, conflicts_with_all = ["idle", "max_per_second", "market"])]
    pub(super) ceiling: bool,
    /// Prints the figures as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// A server that runs already
    #[arg(long)]
    pub(super) url: Option<Address>,
    /// Its process, for CPU and memory; found by itself on this machine
    #[arg(long, requires = "url")]
    pub(super) server_pid: Option<u32>,
    /// Where it serves its metrics, for queues and encodings
    #[arg(long, value_name = "URL", requires = "url")]
    pub(super) admin_url: Option<Address>,
    #[arg(
        long,
        value_name = "SECTION.KEY=VALUE",
        conflicts_with = "url",
        help = "Sets a key of the server that is started, as in limits.outbox_bytes=4MiB"
    )]
    pub(super) set: Vec<String>,
}

/// Flags that say what is published and when, which not every measurement asks.
const LOADS: [&str; 9] = [
    "messages",
    "duration",
    "warmup",
    "rate",
    "window",
    "max_per_second",
    "market",
    "deflate",
    "typed",
];

/// Topics of a server of our own are conflated for slow subscribers where they are for all.
const CONFLATE: &str = "topics=[{match = 'bench.>', overflow = 'CONFLATE'}]";

impl Arguments {
    pub(super) fn plan(&self) -> Result<Plan, Error> {
        if self.topics_each > self.topics {
            return Err(Error::Usage(format!(
                "--topics-each {}: there are only {} --topics",
                self.topics_each, self.topics
            )));
        }
        if self.max_per_second.is_some() && self.rate <= 0.0 {
            let reason = "--max-per-second needs a --rate: of what is conflated nobody can wait \
                          until it is delivered";
            return Err(Error::Usage(reason.into()));
        }
        let mut run = [0; 4];
        getrandom::fill(&mut run)
            .map_err(|error| Error::Failed(format!("no randomness: {error}")))?;
        Ok(Plan {
            run: format!("{:08x}", u32::from_be_bytes(run)),
            subscribers: if self.publish { 0 } else { self.idle.unwrap_or(self.subscribers) },
            publishers: self.publishers,
            topics: self.topics,
            topics_each: self.topics_each,
            max_per_second: self.max_per_second,
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

    /// What the server that is started is configured with.
    pub(super) fn settings(&self) -> Vec<String> {
        let own = self.max_per_second.map(|_| CONFLATE.to_owned());
        own.into_iter().chain(self.set.iter().cloned()).collect()
    }

    /// What is measured, for people.
    pub(super) fn title(&self, plan: &Plan) -> String {
        let Plan { subscribers, publishers, topics, topics_each, size, .. } = plan;
        let whose = if self.url.is_some() { "" } else { ", a server of its own" };
        let pace = match plan.pace {
            Pace::Rate(rate) => format!("{rate} messages/s"),
            Pace::Saturate { window } => format!("as fast as it goes, {window} under way"),
        };
        if let Some(messages) = self.resume {
            return format!(
                "{subscribers} subscribers of {topics} topics resume with {messages} messages \
                 each, payloads of {size} B{whose}"
            );
        }
        if self.idle.is_some() {
            return format!("{subscribers} idle connections, one subscription each{whose}");
        }
        if self.publish {
            return format!(
                "{publishers} publishers, {topics} topics, payloads of {size} B, {pace}{whose}"
            );
        }
        let each = if *topics_each == 1 { String::new() } else { format!(" ({topics_each} each)") };
        let most = plan.max_per_second.map(|most| format!(" at most {most}/s of each topic"));
        format!(
            "{subscribers} subscribers, {publishers} publishers, {topics} topics{each}, payloads \
             of {size} B, {pace}{}{whose}",
            most.map(|most| format!(",{most} to each subscriber")).unwrap_or_default()
        )
    }
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

fn positive_rate(text: &str) -> Result<f64, String> {
    let number = rate(text).ok().filter(|number| *number > 0.0);
    number.ok_or_else(|| "expected messages a second, as in 5 or 0.5".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("expected {DURATION_FITS}"))
}
