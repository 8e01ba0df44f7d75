//! Publishes that nobody receives: pipelined mutations, every receipt awaited and checked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;

use super::answer;
use super::checker::Verdict;
use super::connect::connect_all;
use super::dialect::Dialect;
use super::figures::{Latency, Sample, float, percent, whole};
use super::machine;
use super::plan::{Pace, Plan, Until};
use super::progress;
use super::server::Server;
use super::stall::Stall;
use super::stamp::Stamp;
use super::swarm::Swarm;
use super::tally::Tally;
use super::wire::Wire;
use crate::cli::Error;
use crate::message::cursor::{Cursor, Sequence};

/// Figures of publishes.
#[derive(Debug, Serialize)]
pub(super) struct Published {
    seconds: f64,
    /// Receipts in the measurement.
    publishes: u64,
    publishes_per_second: f64,
    server_cpu_micros_per_publish: Option<f64>,
    /// 1 is one core.
    server_busy: Option<f64>,
    server_rss_bytes: Option<u64>,
    load_busy: Option<f64>,
    /// From a publish to its receipt.
    latency: Latency,
    /// Receipts that never came.
    lost: u64,
    /// Receipts that came before those of earlier publishes of their connection, or twice.
    reordered: u64,
    /// Receipts whose cursor is not after that of the receipt before.
    cursors_back: u64,
}

/// Publishes as the plan says, without subscribers.
pub(super) async fn run(server: &Server, plan: &Plan) -> Result<Published, Error> {
    let bar = progress(plan.publishers as u64, "connecting");
    let wires =
        connect_all(&server.address, plan.publishers, None, |_| plan.publisher(), &bar).await?;
    bar.finish_and_clear();
    let load = Load::new(plan, wires).map_err(Error::Failed)?;
    load.run(server.pid).map_err(Error::Failed)
}

struct Load<'a> {
    plan: &'a Plan,
    swarm: Swarm,
    publishers: Vec<Publisher>,
    begun: Instant,
    published: u64,
    received: u64,
    reordered: u64,
    cursors_back: u64,
    tally: Tally,
}

/// What one connection waits for.
#[derive(Default)]
struct Publisher {
    /// Publishes without a receipt, oldest first: the number, and when it was due.
    waiting: VecDeque<(u64, u64)>,
    newest: Sequence,
}

impl<'a> Load<'a> {
    fn new(plan: &'a Plan, wires: Vec<Wire>) -> Result<Self, String> {
        Ok(Self {
            plan,
            publishers: wires.iter().map(|_| Publisher::default()).collect(),
            swarm: Swarm::new(wires)?,
            begun: Instant::now(),
            published: 0,
            received: 0,
            reordered: 0,
            cursors_back: 0,
            tally: Tally::new()?,
        })
    }

    fn run(mut self, server: Option<u32>) -> Result<Published, String> {
        let (warm, end) = match self.plan.until {
            Until::Time(time) => (self.plan.warmup, Some(self.plan.warmup + time)),
            Until::Messages(_) => (Duration::ZERO, None),
        };
        self.begun = Instant::now();
        let mut before = None;
        let mut stall = Stall::new();
        loop {
            let now = self.begun.elapsed();
            if before.is_none() && now >= warm {
                self.tally.begin();
                before = Some((now, Sample::of(server)));
            }
            let is_complete = self.is_all_published() && self.waiting() == 0;
            if is_complete || end.is_some_and(|end| now >= end) || stall.is_stalled() {
                break;
            }
            self.publish_due()?;
            self.turn()?;
            stall.see(self.received, self.waiting() == 0);
        }
        let (from, sample) = before.unwrap_or_else(|| (self.begun.elapsed(), Sample::of(server)));
        let seconds = self.begun.elapsed().saturating_sub(from).as_secs_f64();
        let mut figures = Published::measured(&self.tally, seconds, &sample, &Sample::of(server));
        while self.waiting() > 0 && !stall.is_stalled() {
            self.turn()?;
            stall.see(self.received, false);
        }
        figures.latency = Latency::of(&self.tally.latency);
        figures.lost = self.waiting();
        (figures.reordered, figures.cursors_back) = (self.reordered, self.cursors_back);
        Ok(figures)
    }

    fn publish_due(&mut self) -> Result<(), String> {
        let now = nanos(self.begun.elapsed());
        while !self.is_all_published() {
            let due_nanos = match (self.plan.due_nanos(self.published), self.plan.pace) {
                (Some(due), _) if due > now => break,
                (Some(due), _) => due,
                (None, Pace::Saturate { window }) if self.waiting() >= window => break,
                (None, _) => now,
            };
            let number = self.published;
            let publisher = self.plan.publisher_of_message(number);
            let sequence = number / self.plan.topics as u64;
            let stamp = Stamp { publisher: 0, sequence, number, due_nanos };
            let unsent = self.swarm.wire(publisher).unsent();
            self.plan.push_publish(unsent, self.plan.topic_of_message(number), &stamp);
            self.publishers[publisher].waiting.push_back((number, due_nanos));
            self.published += 1;
        }
        (0..self.publishers.len()).try_for_each(|index| self.swarm.wire(index).flush())
    }

    /// Waits for receipts, but not beyond the time at which the next publish is due.
    fn turn(&mut self) -> Result<(), String> {
        let due = self.plan.due_nanos(self.published).filter(|_| !self.is_all_published());
        let wait = machine::patience(due.map(Duration::from_nanos), self.begun.elapsed());
        let Self { swarm, publishers, begun, tally, received, reordered, cursors_back, .. } = self;
        swarm.turn(wait, |index, text| {
            let wrong = || answer::shown(text);
            let Some(cursor) = answer::cursor(text) else {
                return if answer::is_complete(text) { Ok(()) } else { Err(wrong()) };
            };
            let sequence = Cursor::parse(cursor).map_err(|error| error.to_string())?.sequence;
            let Publisher { waiting, newest } = &mut publishers[index];
            *cursors_back += u64::from(sequence <= *newest);
            *newest = sequence;
            let id = answer::id(text).ok_or_else(wrong)?;
            let place = waiting.iter().position(|(number, _)| *number == id);
            *reordered += u64::from(place != Some(0));
            let Some((_, due)) = place.and_then(|place| waiting.remove(place)) else {
                return Ok(());
            };
            *received += 1;
            tally.count(Verdict::InOrder, nanos(begun.elapsed()).saturating_sub(due));
            Ok(())
        })
    }

    fn waiting(&self) -> u64 {
        self.published - self.received
    }

    fn is_all_published(&self) -> bool {
        matches!(self.plan.until, Until::Messages(count) if self.published >= count)
    }
}

impl Published {
    fn measured(tally: &Tally, seconds: f64, before: &Sample, after: &Sample) -> Self {
        let publishes = tally.deliveries;
        let cpu = after.server_cpu_since(before);
        Self {
            seconds,
            publishes,
            publishes_per_second: float(publishes) / seconds,
            server_cpu_micros_per_publish: cpu.map(|cpu| cpu * 1e6 / float(publishes.max(1))),
            server_busy: cpu.map(|cpu| cpu / seconds),
            server_rss_bytes: after.server_rss(),
            load_busy: after.load_cpu_since(before).map(|cpu| cpu / seconds),
            latency: Latency::default(),
            lost: 0,
            reordered: 0,
            cursors_back: 0,
        }
    }

    /// Every publish had its receipt, in order, each with a later cursor.
    pub(super) fn is_clean(&self) -> bool {
        self.lost + self.reordered + self.cursors_back == 0
    }

    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let busy = |share: Option<f64>| share.map_or("?".into(), percent);
        let cpu = self.server_cpu_micros_per_publish;
        let cpu = cpu.map_or("unknown: no --server-pid".into(), |cpu| {
            format!("{cpu:.2} us/publish, {} of a core", busy(self.server_busy))
        });
        let rss = self.server_rss_bytes.map(|bytes| format!(", RSS {}", BinaryBytes(bytes)));
        vec![
            format!("published     {}/s", HumanCount(whole(self.publishes_per_second))),
            format!("server        {cpu}{}", rss.unwrap_or_default()),
            format!("receipts      {}", self.latency.line("due", "receipt")),
            format!(
                "checked       lost {}, reordered {}, cursors that went back {}",
                self.lost, self.reordered, self.cursors_back
            ),
            format!("load          {} of a core", busy(self.load_busy)),
        ]
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
