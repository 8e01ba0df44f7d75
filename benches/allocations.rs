//! Allocations of a delivery: those of the whole server with few and with many subscribers, for
//! the same messages; their difference divided by the deliveries that came on top.
//!
//! `cargo bench --bench allocations` prints bar, figure and verdict for each kind of load; exit
//! code 1 if one is missed. `-- typed rooms` measures those whose names have one of these words,
//! `-- --json` only measures and prints JSON. The server runs in this process with real sockets,
//! the load in another. What one message allocates, however many get it, is printed beside it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints or ends")]
#![expect(clippy::disallowed_methods, reason = "the thread that watches counters has to wait")]

#[path = "allocations/case.rs"]
mod case;
#[path = "allocations/load.rs"]
mod load;

use std::alloc::System;
use std::env;
use std::io::Write;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidings::broker::stats::Counters;
use tidings::cli::serve;
use tidings::config::Config;
use tidings::connection;

use case::{CASES, Case, SCHEMA};

/// Counts what every thread allocates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Before the count begins: every table and buffer has its size by then.
const WARM_UP_MESSAGES: u64 = 1_000;
const MESSAGES: u64 = 2_000;
/// A table that grows, or a timer that fires, is no allocation of a delivery; where fewer of them
/// fall on more subscribers, the figure is below zero.
const NONE: f64 = 0.005;
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at the counters.
const GLANCE: Duration = Duration::from_micros(100);
/// Between two bursts of a load that goes by the clock.
const BEAT: Duration = Duration::from_millis(4);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [command, name, subscribers, address] = &arguments[..]
        && command == load::COMMAND
    {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        load::run(case, subscribers.parse().unwrap(), address).unwrap();
        return ExitCode::SUCCESS;
    }
    let is_json = arguments.iter().any(|argument| argument == "--json");
    let wanted: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted =
        |case: &&Case| wanted.is_empty() || wanted.iter().any(|name| case.name.contains(*name));
    let measured: Vec<Measured> = CASES
        .iter()
        .filter(is_wanted)
        .map(|case| {
            eprintln!("{}", case.name);
            case.measure()
        })
        .collect();
    if is_json {
        println!("{}", measured.iter().map(Measured::keep).collect::<serde_json::Value>());
        return ExitCode::SUCCESS;
    }
    println!("| what | a message | a delivery | bar | verdict |");
    println!("| --- | --- | --- | --- | --- |");
    measured.iter().for_each(Measured::tell);
    let is_met = measured.iter().all(Measured::is_met);
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Allocations of one kind of load.
struct Measured {
    case: &'static Case,
    /// However many get it.
    by_message: f64,
    by_delivery: f64,
}

impl Measured {
    fn is_met(&self) -> bool {
        self.by_delivery < NONE
    }

    fn tell(&self) {
        let verdict = if self.is_met() { "met" } else { "missed" };
        let (Self { by_message, by_delivery, .. }, [few, many]) = (self, self.case.subscribers);
        let what = format!("{}; {few} and {many} subscribers", self.case.name);
        println!("| {what} | {by_message:.1} | {by_delivery:.4} | 0 | {verdict} |");
    }

    fn keep(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.case.name,
            "allocations_per_message": self.by_message,
            "allocations_per_delivery": self.by_delivery,
            "is_met": self.is_met(),
        })
    }
}

/// What one server did while it was counted.
struct Count {
    allocations: f64,
    deliveries: f64,
}

impl Case {
    fn measure(&'static self) -> Measured {
        let [few, many] = self.subscribers.map(|subscribers| self.count(subscribers));
        let more = many.allocations - few.allocations;
        let by_delivery = more / (many.deliveries - few.deliveries);
        let messages = float(MESSAGES.div_ceil(self.burst) * self.burst);
        let by_message = (few.allocations - by_delivery * few.deliveries) / messages;
        Measured { case: self, by_message, by_delivery }
    }

    fn count(&self, subscribers: u64) -> Count {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hot.graphql"), SCHEMA).unwrap();
        let mut config = Config::load(None, [], Vec::new()).unwrap();
        config.server.listen = ([127, 0, 0, 1], 0).into();
        config.server.admin_listen = None;
        config.server.shards = 1;
        config.schema.dir = Some(folder.path().to_owned());
        (config.limits.connections, config.limits.connections_per_address) = (20_000, 20_000);
        config.limits.drain_timeout = Duration::from_millis(100);
        rlimit::increase_nofile_limit(u64::MAX).unwrap();
        // A sign of life is no delivery.
        let connections = connection::Options {
            ping_interval: Duration::from_hours(1),
            ..serve::connection_options(&config)
        };
        let server = runtime.block_on(async { serve::start_with(&config, &connections) }).unwrap();
        let counters = server.layers().broker.counters().clone();
        let address = server.address.to_string();
        let mut running = Running { case: self, load: self.load(subscribers, &address), counters };
        running
            .wait(|counters| counters.subscriptions.get() == i64::try_from(subscribers).unwrap());
        running.publish(WARM_UP_MESSAGES, subscribers);
        let before = (allocations(), running.counters.delivered.get());
        running.publish(MESSAGES, subscribers);
        let after = (allocations(), running.counters.delivered.get());
        drop(running);
        runtime.block_on(server.drain());
        Count { allocations: after.0 - before.0, deliveries: float(after.1 - before.1) }
    }

    fn load(&self, subscribers: u64, address: &str) -> Child {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([load::COMMAND, self.name, &subscribers.to_string(), address]);
        command.stdin(Stdio::piped()).spawn().unwrap()
    }
}

/// A server under load.
struct Running<'a> {
    case: &'a Case,
    load: Child,
    counters: Arc<Counters>,
}

impl Running<'_> {
    /// Has at least so many messages published, burst by burst.
    fn publish(&mut self, messages: u64, subscribers: u64) {
        for _ in 0..messages.div_ceil(self.case.burst) {
            let published = self.counters.published.get() + self.case.burst;
            let deliveries = self.case.burst * subscribers / self.case.rooms;
            let delivered = self.counters.delivered.get() + deliveries;
            self.load.stdin.as_mut().unwrap().write_all(b".").unwrap();
            if self.case.is_paced {
                thread::sleep(BEAT);
                self.wait(|counters| counters.published.get() >= published);
            } else {
                self.wait(|counters| counters.delivered.get() >= delivered);
            }
        }
    }

    fn wait(&self, is_done: impl Fn(&Counters) -> bool) {
        let began = Instant::now();
        while !is_done(&self.counters) {
            assert!(began.elapsed() < PATIENCE, "{} does not get on", self.case.name);
            thread::sleep(GLANCE);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // The load ends with its standard input, and wins no time by ending well.
        let _ = self.load.kill();
        let _ = self.load.wait();
    }
}

fn allocations() -> f64 {
    let stats = ALLOCATOR.stats();
    float(u64::try_from(stats.allocations + stats.reallocations).unwrap())
}

#[expect(clippy::cast_precision_loss, reason = "counts of some millions")]
fn float(count: u64) -> f64 {
    count as f64
}
