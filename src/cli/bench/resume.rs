//! A storm of clients that come back: what it costs to bring each up to date, beside the bare loop
//! that writes the same bytes.
//!
//! All follow, note their cursor and go; messages come meanwhile; all connect again; and only then
//! the measurement begins, with all of them subscribing after their cursor.

use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar};
use serde::Serialize;

use super::answer;
use super::ceiling::{self, Ceiling, Request};
use super::checker::Checker;
use super::connect::connect_all;
use super::dialect::{Dialect, Opening};
use super::fan_out::BATCH;
use super::figures::{Figures, Latency, Sample, float, whole};
use super::plan::{Plan, Until};
use super::progress;
use super::queues::Metrics;
use super::server::Server;
use super::stall::Stall;
use super::stamp::Stamp;
use super::swarm::Swarm;
use super::tally::Tally;
use crate::cli::Error;

/// Figures of the storm.
#[derive(Serialize)]
pub(super) struct Resumed {
    /// From the first subscription until every client had everything.
    #[serde(flatten)]
    figures: Figures,
    clients: usize,
    messages_each: u64,
    /// How often a message was encoded for these clients, and how often is enough: once for each
    /// selection that has it.
    encoded: Option<u64>,
    encoded_at_least: u64,
    encoded_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ceiling: Vec<Ceiling>,
}

/// Time for the server to see that all have gone.
const SETTLE: Duration = Duration::from_secs(1);
const WAIT: Duration = Duration::from_millis(50);
const PROBE_EVERY: Duration = Duration::from_millis(100);

/// Measures `messages` on each topic of the plan.
pub(super) async fn run(
    server: Server,
    plan: &Plan,
    messages: u64,
    with_ceiling: bool,
) -> Result<Resumed, Error> {
    let bar = progress(2 * plan.subscribers as u64, "connecting");
    let cursors = note_cursors(&server, plan, &bar).await?;
    tokio::time::sleep(SETTLE).await;
    let encoded_before = encoded(&server)?;
    let mut publisher = publisher(&server, plan).await?;
    publisher.publish(plan, 0..messages).map_err(Error::Failed)?;
    // With nothing to say yet: what is measured begins after the handshakes.
    let wires =
        connect_all(&server.address, plan.subscribers, None, |_| plan.publisher(), &bar).await?;
    bar.finish_and_clear();
    let swarm = Swarm::new(wires).map_err(Error::Failed)?;
    let mut storm = Storm::new(plan, swarm, messages).map_err(Error::Failed)?;
    let figures = storm.run(&cursors, server.pid).map_err(Error::Failed)?;
    let encoded = encoded(&server)?.zip(encoded_before).map(|(after, before)| after - before);
    // One message more, live: what came twice or too late has come before it.
    publisher.publish(plan, messages..messages + 1).map_err(Error::Failed)?;
    let figures = storm.conclude(figures).map_err(Error::Failed)?;
    drop((storm, publisher, server));
    let encoded_at_least = messages * results(plan);
    let ceiling = if with_ceiling { ceilings(plan, messages, &figures)? } else { Vec::new() };
    Ok(Resumed {
        figures,
        clients: plan.subscribers,
        messages_each: messages,
        encoded,
        encoded_at_least,
        encoded_ratio: encoded.map(|encoded| float(encoded) / float(encoded_at_least)),
        ceiling,
    })
}

/// Follows with all clients until each has seen the newest message of its topic, and leaves.
async fn note_cursors(
    server: &Server,
    plan: &Plan,
    bar: &ProgressBar,
) -> Result<Vec<String>, Error> {
    let opening = |index| Opening::graphql("", plan.resume_frame(index, None));
    let wires = connect_all(&server.address, plan.subscribers, None, opening, bar).await?;
    let mut swarm = Swarm::new(wires).map_err(Error::Failed)?;
    let mut publisher = publisher(server, plan).await?;
    let mut clients = vec![(0, 0, String::new()); plan.subscribers];
    let (mut stall, mut published, mut probed) = (Stall::new(), 0, None);
    while published == 0 || clients.iter().any(|(_, seen, _)| *seen < published) {
        if stall.is_stalled() {
            return Err(Error::Failed("not every subscriber receives messages".into()));
        }
        let is_due = probed.is_none_or(|at: Instant| at.elapsed() >= PROBE_EVERY);
        if is_due && clients.iter().any(|(_, seen, _)| *seen == 0) {
            publisher.publish(plan, published..published + 1).map_err(Error::Failed)?;
            (published, probed) = (published + 1, Some(Instant::now()));
        }
        let noted = swarm.turn(WAIT, |index, text| {
            let (hint, seen, noted) = &mut clients[index];
            let stamp = Stamp::find(text, hint).ok_or_else(|| answer::shown(text))?;
            answer::cursor(text).ok_or_else(|| answer::shown(text))?.clone_into(noted);
            *seen = stamp.sequence + 1;
            Ok(())
        });
        noted.map_err(Error::Failed)?;
        stall.see(clients.iter().map(|(_, seen, _)| seen).sum(), false);
    }
    Ok(clients.into_iter().map(|(_, _, cursor)| cursor).collect())
}

/// One connection that publishes and awaits its receipts.
struct Publisher(Swarm);

async fn publisher(server: &Server, plan: &Plan) -> Result<Publisher, Error> {
    let hidden = ProgressBar::hidden();
    let wires = connect_all(&server.address, 1, None, |_| plan.publisher(), &hidden);
    Swarm::new(wires.await?).map(Publisher).map_err(Error::Failed)
}

impl Publisher {
    /// Publishes the messages with these sequences on every topic.
    fn publish(&mut self, plan: &Plan, sequences: Range<u64>) -> Result<(), String> {
        let Self(swarm) = self;
        let topics = plan.topics as u64;
        let mut awaited = (sequences.end - sequences.start) * topics;
        for number in sequences.start * topics..sequences.end * topics {
            let sequence = number / topics;
            let stamp = Stamp { publisher: 0, sequence, number, due_nanos: 0 };
            plan.push_publish(swarm.wire(0).unsent(), plan.topic_of_message(number), &stamp);
        }
        swarm.wire(0).flush()?;
        let mut stall = Stall::new();
        while awaited > 0 {
            if stall.is_stalled() {
                return Err(format!("{awaited} receipts are missing"));
            }
            swarm.turn(WAIT, |_, text| {
                match answer::cursor(text) {
                    Some(_) => awaited -= 1,
                    None if answer::is_complete(text) => {}
                    None => return Err(answer::shown(text)),
                }
                Ok(())
            })?;
            stall.see(awaited, false);
        }
        Ok(())
    }
}

/// The clients that come back.
struct Storm<'a> {
    plan: &'a Plan,
    swarm: Swarm,
    clients: Vec<Client>,
    messages: u64,
    begun: Instant,
    tally: Tally,
}

struct Client {
    /// Its topic.
    topic: usize,
    checker: Checker,
    /// Where the stamp was in the message before.
    hint: usize,
}

impl<'a> Storm<'a> {
    fn new(plan: &'a Plan, swarm: Swarm, messages: u64) -> Result<Self, String> {
        let layout = plan.layout();
        let client = |index| {
            let checker = Checker::new(plan.publishers, false);
            Client { topic: layout.first(index), checker, hint: 0 }
        };
        let clients = (0..plan.subscribers).map(client).collect();
        Ok(Self { plan, swarm, clients, messages, begun: Instant::now(), tally: Tally::new()? })
    }

    /// All subscribe after their cursors; ends when all have what they missed.
    fn run(&mut self, cursors: &[String], server: Option<u32>) -> Result<Figures, String> {
        let frames = cursors.iter().enumerate();
        let frames = frames.map(|(index, cursor)| self.plan.resume_frame(index, Some(cursor)));
        let frames: Vec<Vec<u8>> = frames.collect();
        let before = Sample::of(server);
        self.begun = Instant::now();
        for (index, frame) in frames.iter().enumerate() {
            self.swarm.wire(index).send(frame)?;
        }
        self.read_until(self.messages)?;
        let seconds = self.begun.elapsed().as_secs_f64();
        (self.tally.wire_bytes, self.tally.reads) = (self.swarm.wire_bytes, self.swarm.reads);
        let mut figures = Figures::measured(&self.tally, seconds, &before, &Sample::of(server));
        figures.messages = self.messages * self.plan.topics as u64;
        figures.latency = Latency::of(&self.tally.latency);
        Ok(figures)
    }

    /// Waits for one message more, and says what was wrong up to there.
    fn conclude(&mut self, mut figures: Figures) -> Result<Figures, String> {
        self.read_until(self.messages + 1)?;
        let (latency, sent) = (figures.latency, self.messages + 1);
        let lost = self.clients.iter().map(|client| client.checker.lost([sent]));
        figures.conclude(&self.tally, lost.sum());
        figures.latency = latency;
        Ok(figures)
    }

    /// Reads until every client has so many messages, or nothing comes any more.
    fn read_until(&mut self, each: u64) -> Result<(), String> {
        let Self { plan, swarm, clients, begun, tally, .. } = self;
        let expected = each * clients.len() as u64;
        let mut stall = Stall::new();
        while tally.arrived < expected && !stall.is_stalled() {
            swarm.turn(WAIT, |index, text| {
                let Client { topic, checker, hint } = &mut clients[index];
                let stamp = Stamp::find(text, hint).ok_or_else(|| answer::shown(text))?;
                let verdict = checker.see(plan.stream(*topic, &stamp), stamp.sequence);
                let latency = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                tally.count(verdict, latency);
                Ok(())
            })?;
            stall.see(tally.arrived, false);
        }
        Ok(())
    }
}

/// Topics times the selections that subscribers have of each.
fn results(plan: &Plan) -> u64 {
    let result = |index| (plan.layout().first(index), index / plan.topics % plan.selections);
    (0..plan.subscribers).map(result).collect::<HashSet<_>>().len() as u64
}

fn encoded(server: &Server) -> Result<Option<u64>, Error> {
    let metrics = server.admin.as_ref().map(Metrics::read).transpose().map_err(Error::Failed)?;
    Ok(metrics.map(|metrics| metrics.sum("tidings_encoded_total")))
}

/// The same bytes in one write for each client, and then a few frames a write.
fn ceilings(plan: &Plan, messages: u64, figures: &Figures) -> Result<Vec<Ceiling>, Error> {
    let all = usize::try_from(messages).unwrap_or(usize::MAX);
    let batches = [Some(all), Some(BATCH).filter(|few| *few < all)].into_iter().flatten();
    let request = |batch| Request {
        layout: plan.layout(),
        frame_bytes: usize::try_from(whole(figures.frame_bytes)).unwrap_or(plan.size),
        batch,
        pace: plan.pace,
        until: Until::Messages(messages * plan.topics as u64),
    };
    let measure = |batch| {
        let bare = ceiling::measure(request(batch));
        let bare = bare.map_err(|reason| Error::Failed(format!("the bare loop: {reason}")))?;
        Ok(Ceiling::new(batch, &bare, figures))
    };
    batches.map(measure).collect()
}

impl Resumed {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let Self { figures, clients, messages_each, .. } = self;
        let mut lines = vec![format!(
            "resumed       {} clients by {messages_each} messages each in {:.3} s",
            HumanCount(*clients as u64),
            figures.seconds
        )];
        lines.extend(figures.lines("the first subscribe", false));
        lines.push(match self.encoded.zip(self.encoded_ratio) {
            Some((encoded, ratio)) => format!(
                "encoded       {encoded} results; {} are enough: {ratio:.2} of once each",
                self.encoded_at_least
            ),
            None => "encoded       unknown: no --admin-url".to_owned(),
        });
        lines.extend(self.ceiling.iter().map(Ceiling::line_of_time));
        lines
    }

    /// Every client got what it missed, once and in order, and then what came live.
    pub(super) fn is_clean(&self) -> bool {
        self.figures.is_clean()
    }
}
