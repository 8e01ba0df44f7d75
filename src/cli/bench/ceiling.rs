//! The bare loop: what this machine needs at the least to write frames to sockets, measured as the
//! server is. The frames come from a child process that does nothing else.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use super::bare;
use super::checker::Verdict;
use super::figures::{Figures, Sample};
use super::frames::Frames;
use super::inflate::Inflated;
use super::layout::Layout;
use super::machine;
use super::plan::{Pace, Until};
use super::process::Process;
use super::stall::Stall;
use super::tally::Tally;
use super::wire::Wire;

/// The bare loop's figures beside the server's.
#[derive(Debug, Serialize)]
pub(super) struct Ceiling {
    /// Frames in one write.
    pub(super) batch: usize,
    pub(super) seconds: f64,
    pub(super) cpu_micros_per_delivery: Option<f64>,
    pub(super) deliveries_per_second: f64,
    pub(super) p50_millis: f64,
    pub(super) p99_millis: f64,
    /// The server's CPU for a delivery divided by the bare loop's.
    pub(super) server_ratio: Option<f64>,
    /// The same of the latencies.
    pub(super) server_p50_ratio: f64,
    pub(super) server_p99_ratio: f64,
    /// The same of the time it took, where both delivered as much.
    pub(super) server_time_ratio: f64,
}

/// What the bare loop is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) layout: Layout,
    pub(super) frame_bytes: usize,
    /// Frames in one write.
    pub(super) batch: usize,
    /// Of messages; `Until::Messages` is as fast as it goes.
    pub(super) pace: Pace,
    pub(super) until: Until,
}

const WARM_UP: Duration = Duration::from_millis(300);
const EVENTS: usize = 1024;

/// Runs the bare loop and measures it.
pub(super) fn measure(request: Request) -> Result<Figures, String> {
    let Layout { subscribers, topics, topics_each } = request.layout;
    let mut arguments = vec![
        bare::COMMAND.to_owned(),
        format!("--subscribers={subscribers}"),
        format!("--topics={topics}"),
        format!("--topics-each={topics_each}"),
        format!("--bytes={}", request.frame_bytes),
        format!("--batch={}", request.batch),
    ];
    arguments.extend(request.frames_of_topic().map(|frames| format!("--frames={frames}")));
    let mut process = Process::start(&arguments).map_err(|error| error.to_string())?;
    let line = process.first_line()?;
    let port: u16 = line.trim().parse().map_err(|_| format!("it said {line:?}"))?;
    let mut reader = Reader::connect(port, request).map_err(|error| error.to_string())?;
    match request.until {
        Until::Time(duration) => reader.run_for(&mut process, duration),
        Until::Messages(_) => reader.run_all(&mut process),
    }
}

impl Request {
    fn frames_of_topic(&self) -> Option<u64> {
        match self.until {
            Until::Messages(count) => Some(count / self.layout.topics as u64),
            Until::Time(_) => None,
        }
    }

    /// Subscriptions times their topics.
    fn followings(&self) -> u64 {
        (self.layout.subscribers * self.layout.topics_each) as u64
    }
}

/// The reading end of all sockets.
struct Reader {
    request: Request,
    poll: Poll,
    subscribers: Vec<Subscriber>,
    scratch: Box<[u8]>,
    begun: Instant,
    tally: Tally,
    /// Writes asked for; they go round the topics.
    rounds: u64,
}

struct Subscriber {
    wire: Wire,
    /// His topics, in the order in which they are written.
    topics: Box<[usize]>,
    frames: u64,
}

impl Reader {
    fn connect(port: u16, request: Request) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let mut subscribers = Vec::new();
        for subscriber in 0..request.layout.subscribers {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            let index: bare::Index = u32::try_from(subscriber).unwrap_or(u32::MAX).to_be_bytes();
            stream.write_all(&index)?;
            stream.set_nonblocking(true)?;
            let mut wire = Wire::new(mio::net::TcpStream::from_std(stream), Frames::default());
            poll.registry().register(&mut wire.stream, Token(subscriber), Interest::READABLE)?;
            let mut topics: Vec<usize> = request.layout.topics_of(subscriber).collect();
            topics.sort_unstable();
            subscribers.push(Subscriber { wire, topics: topics.into(), frames: 0 });
        }
        let tally = Tally::new().map_err(std::io::Error::other)?;
        let scratch = vec![0; 256 << 10].into();
        Ok(Self { request, poll, subscribers, scratch, begun: Instant::now(), tally, rounds: 0 })
    }

    fn run_for(&mut self, process: &mut Process, duration: Duration) -> Result<Figures, String> {
        let mut events = Events::with_capacity(EVENTS);
        let pid = Some(process.pid());
        self.begun = Instant::now();
        let mut before = None;
        loop {
            let now = self.begun.elapsed();
            if before.is_none() && now >= WARM_UP {
                self.tally.begin();
                before = Some((now, Sample::of(pid)));
            }
            if now >= WARM_UP + duration {
                break;
            }
            self.ask(process, self.rounds_due(now))?;
            self.turn(&mut events)?;
        }
        let (from, sample) = before.unwrap_or_else(|| (WARM_UP, Sample::of(pid)));
        Ok(self.figures(from, &sample, &Sample::of(pid)))
    }

    /// Has all frames written at once.
    fn run_all(&mut self, process: &mut Process) -> Result<Figures, String> {
        let mut events = Events::with_capacity(EVENTS);
        let frames = self.request.frames_of_topic().unwrap_or(0);
        let expected = frames * self.request.followings();
        let rounds = frames.div_ceil(self.request.batch as u64) * self.request.layout.topics as u64;
        let before = Sample::of(Some(process.pid()));
        self.begun = Instant::now();
        self.ask(process, rounds)?;
        let mut stall = Stall::new();
        while self.tally.arrived < expected {
            self.turn(&mut events)?;
            stall.see(self.tally.arrived, false);
            if stall.is_stalled() {
                return Err(format!("{} of {expected} frames came", self.tally.arrived));
            }
        }
        Ok(self.figures(Duration::ZERO, &before, &Sample::of(Some(process.pid()))))
    }

    fn figures(&self, from: Duration, before: &Sample, after: &Sample) -> Figures {
        let seconds = self.begun.elapsed().saturating_sub(from).as_secs_f64();
        let mut figures = Figures::measured(&self.tally, seconds, before, after);
        figures.conclude(&self.tally, 0);
        figures
    }

    /// Asks for as many writes as there should be by now.
    fn ask(&mut self, process: &mut Process, due: u64) -> Result<(), String> {
        if due > self.rounds {
            let credits = vec![b'.'; usize::try_from(due - self.rounds).unwrap_or(1)];
            process.write(&credits).map_err(|error| error.to_string())?;
            self.rounds = due;
        }
        Ok(())
    }

    /// Rounds that should have been asked for by now.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates and times are positive and small"
    )]
    fn rounds_due(&self, now: Duration) -> u64 {
        let batch = self.request.batch as u64;
        match self.request.pace {
            Pace::Rate(rate) => (now.as_secs_f64() * rate) as u64 / batch,
            Pace::Saturate { window } => {
                // A round goes to the subscribers of one topic: on average, so many deliveries.
                let topics = self.request.layout.topics as u64;
                let done = self.tally.arrived * topics / (self.request.followings() * batch);
                done + (window / batch).max(1)
            }
        }
    }

    /// When a round was due, in nanoseconds; a round under saturation is due when it is read.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates and times are positive and small"
    )]
    fn due_nanos(request: &Request, round: u64) -> Option<u64> {
        match (request.until, request.pace) {
            // All of them at once.
            (Until::Messages(_), _) => Some(0),
            (Until::Time(_), Pace::Rate(rate)) => {
                Some((((round + 1) * request.batch as u64) as f64 * 1e9 / rate) as u64)
            }
            (Until::Time(_), Pace::Saturate { .. }) => None,
        }
    }

    fn turn(&mut self, events: &mut Events) -> Result<(), String> {
        let due = Self::due_nanos(&self.request, self.rounds).map(Duration::from_nanos);
        let due = due.filter(|_| matches!(self.request.until, Until::Time(_)));
        let wait = machine::patience(due, self.begun.elapsed());
        machine::wait(&mut self.poll, events, wait)?;
        for event in events.iter() {
            self.read(event.token().0)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<(), String> {
        let Self { request, subscribers, scratch, begun, tally, .. } = self;
        let Subscriber { wire, topics, frames } = &mut subscribers[index];
        let first = *frames;
        let bytes = wire.read(scratch, &mut Inflated::default(), |_| *frames += 1)?;
        let now = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let each = topics.len() as u64;
        for frame in first..*frames {
            let write = frame / request.batch as u64;
            let topic = usize::try_from(write % each).map_or(0, |place| topics[place]) as u64;
            let round = write / each * request.layout.topics as u64 + topic;
            let due = Self::due_nanos(request, round).unwrap_or(now);
            tally.count(Verdict::InOrder, now.saturating_sub(due));
        }
        tally.wire_bytes += bytes as u64;
        tally.reads += 1;
        Ok(())
    }
}

impl Ceiling {
    /// Sets a bare loop's figures beside those of the server.
    pub(super) fn new(batch: usize, bare: &Figures, server: &Figures) -> Self {
        let (own, servers) =
            (bare.server_cpu_micros_per_delivery, server.server_cpu_micros_per_delivery);
        Self {
            batch,
            seconds: bare.seconds,
            cpu_micros_per_delivery: own,
            deliveries_per_second: bare.deliveries_per_second,
            p50_millis: bare.latency.p50_millis,
            p99_millis: bare.latency.p99_millis,
            server_ratio: servers
                .zip(own.filter(|own| *own > 0.0))
                .map(|(server, own)| server / own),
            server_p50_ratio: server.latency.p50_millis / bare.latency.p50_millis,
            server_p99_ratio: server.latency.p99_millis / bare.latency.p99_millis,
            server_time_ratio: server.seconds / bare.seconds,
        }
    }

    /// A line for people, where both delivered the same messages.
    pub(super) fn line_of_time(&self) -> String {
        let cpu = |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.2}"));
        format!(
            "bare loop     {} a write: {:.3} s, {} us/delivery; the server needs {:.2} times as \
             long, {} times the CPU",
            self.batch_name(),
            self.seconds,
            cpu(self.cpu_micros_per_delivery),
            self.server_time_ratio,
            cpu(self.server_ratio),
        )
    }

    /// A line for people.
    pub(super) fn line(&self, is_rate: bool) -> String {
        let figure =
            |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.2}"));
        let latency = if is_rate {
            format!(
                "; p50 {:.2} ms, p99 {:.2} ms, the server's p99 is {:.2} times as long",
                self.p50_millis, self.p99_millis, self.server_p99_ratio
            )
        } else {
            String::new()
        };
        format!(
            "bare loop     {} a write: {} us/delivery, the server needs {} times as \
             much{latency}",
            self.batch_name(),
            figure(self.cpu_micros_per_delivery),
            figure(self.server_ratio),
        )
    }

    fn batch_name(&self) -> String {
        if self.batch == 1 { "1 frame".into() } else { format!("{} frames", self.batch) }
    }
}
