//! The bare loop: what this machine needs at the least to write frames to sockets. A child
//! process writes frames that were built before; nothing is parsed, routed or encoded.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use super::checker::Verdict;
use super::figures::{Figures, Sample};
use super::frames::Frames;
use super::inflate::Inflated;
use super::machine;
use super::plan::Pace;
use super::process::Process;
use super::tally::Tally;
use super::wire::Wire;
use crate::cli::{Error, output};
use crate::websocket::frame::{Opcode, server_header};

/// The name under which the child process is started.
pub(in crate::cli) const COMMAND: &str = "bench-ceiling";

/// Writes frames to sockets, one round for every byte of standard input
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[arg(long)]
    connections: usize,
    /// Bytes of a frame
    #[arg(long)]
    bytes: usize,
    /// Frames in one write
    #[arg(long)]
    batch: usize,
}

/// The bare loop's figures beside the server's.
#[derive(Debug, Serialize)]
pub(super) struct Ceiling {
    /// Frames in one write.
    pub(super) batch: usize,
    pub(super) cpu_micros_per_delivery: Option<f64>,
    pub(super) deliveries_per_second: f64,
    pub(super) p50_millis: f64,
    pub(super) p99_millis: f64,
    /// The server's CPU for a delivery divided by the bare loop's.
    pub(super) server_ratio: Option<f64>,
}

/// What the bare loop is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) connections: usize,
    pub(super) frame_bytes: usize,
    pub(super) batch: usize,
    /// A round has `batch` messages.
    pub(super) pace: Pace,
    pub(super) duration: Duration,
}

/// The child process: as many rounds as it gets bytes.
pub(in crate::cli) fn serve(arguments: &Arguments) -> Result<(), Error> {
    rounds(arguments).map_err(|error| Error::Failed(error.to_string()))?
}

fn rounds(arguments: &Arguments) -> std::io::Result<Result<(), Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    if let Err(error) = output::print(&format!("{}\n", listener.local_addr()?.port())) {
        return Ok(Err(error));
    }
    let accept = || {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let mut streams: Vec<TcpStream> =
        (0..arguments.connections).map(|_| accept()).collect::<std::io::Result<_>>()?;
    let frames = frame(arguments.bytes).repeat(arguments.batch);
    let mut credits = [0; 64];
    let mut input = std::io::stdin().lock();
    loop {
        let count = input.read(&mut credits)?;
        if count == 0 {
            return Ok(Ok(()));
        }
        for _ in 0..count {
            for stream in &mut streams {
                match stream.write_all(&frames) {
                    // The load has seen enough.
                    Err(error) if is_hung_up(&error) => return Ok(Ok(())),
                    written => written?,
                }
            }
        }
    }
}

fn is_hung_up(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A text frame of so many bytes, header included.
fn frame(bytes: usize) -> Vec<u8> {
    let headers = [10, 4, 2].map(|header| (header, bytes.saturating_sub(header)));
    let fitting = headers
        .into_iter()
        .find(|(header, payload)| server_header(Opcode::Text, false, *payload as u64).1 == *header);
    let (_, payload) = fitting.unwrap_or((2, 0));
    let (header, used) = server_header(Opcode::Text, false, payload as u64);
    let mut frame = header[..used].to_vec();
    frame.resize(used + payload, b'x');
    frame
}

const WARM_UP: Duration = Duration::from_millis(300);
const EVENTS: usize = 1024;

/// Runs the bare loop and measures it as the server is measured.
pub(super) fn measure(request: Request) -> Result<Figures, String> {
    let arguments = [
        COMMAND.to_owned(),
        format!("--connections={}", request.connections),
        format!("--bytes={}", request.frame_bytes),
        format!("--batch={}", request.batch),
    ];
    let mut process = Process::start(&arguments).map_err(|error| error.to_string())?;
    let line = process.first_line()?;
    let port: u16 = line.trim().parse().map_err(|_| format!("it said {line:?}"))?;
    let mut reader = Reader::connect(port, request).map_err(|error| error.to_string())?;
    reader.run(&mut process)
}

/// The reading end of all sockets.
struct Reader {
    request: Request,
    poll: Poll,
    wires: Vec<(Wire, u64)>,
    scratch: Box<[u8]>,
    begun: Instant,
    tally: Tally,
    rounds: u64,
}

impl Reader {
    fn connect(port: u16, request: Request) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let mut wires = Vec::new();
        for index in 0..request.connections {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nonblocking(true)?;
            let mut wire = Wire::new(mio::net::TcpStream::from_std(stream), Frames::default());
            poll.registry().register(&mut wire.stream, Token(index), Interest::READABLE)?;
            wires.push((wire, 0));
        }
        let tally = Tally::new().map_err(std::io::Error::other)?;
        let scratch = vec![0; 256 << 10].into();
        Ok(Self { request, poll, wires, scratch, begun: Instant::now(), tally, rounds: 0 })
    }

    fn run(&mut self, process: &mut Process) -> Result<Figures, String> {
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
            if now >= WARM_UP + self.request.duration {
                break;
            }
            let due = self.rounds_due(now);
            if due > self.rounds {
                let credits = vec![b'.'; usize::try_from(due - self.rounds).unwrap_or(1)];
                process.write(&credits).map_err(|error| error.to_string())?;
                self.rounds = due;
            }
            self.turn(&mut events)?;
        }
        let (from, sample) = before.unwrap_or_else(|| (WARM_UP, Sample::of(pid)));
        let seconds = self.begun.elapsed().saturating_sub(from).as_secs_f64();
        let mut figures = Figures::measured(&self.tally, seconds, &sample, &Sample::of(pid));
        figures.conclude(&self.tally, 0);
        Ok(figures)
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
                let frames = self.request.connections as u64 * batch;
                self.tally.arrived / frames.max(1) + (window / batch).max(1)
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
    fn due_nanos(&self, round: u64) -> Option<u64> {
        match self.request.pace {
            Pace::Rate(rate) => {
                Some((((round + 1) * self.request.batch as u64) as f64 * 1e9 / rate) as u64)
            }
            Pace::Saturate { .. } => None,
        }
    }

    fn turn(&mut self, events: &mut Events) -> Result<(), String> {
        let due = self.due_nanos(self.rounds).map(Duration::from_nanos);
        let wait = machine::patience(due, self.begun.elapsed());
        machine::wait(&mut self.poll, events, wait)?;
        for event in events.iter() {
            self.read(event.token().0)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> Result<(), String> {
        let mut frames = 0;
        let (wire, seen) = &mut self.wires[index];
        let bytes = wire.read(&mut self.scratch, &mut Inflated::default(), |_| frames += 1)?;
        let first = *seen;
        *seen += frames;
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for frame in first..first + frames {
            let due = self.due_nanos(frame / self.request.batch as u64).unwrap_or(now);
            self.tally.count(Verdict::InOrder, now.saturating_sub(due));
        }
        self.tally.wire_bytes += bytes as u64;
        self.tally.reads += 1;
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
            cpu_micros_per_delivery: own,
            deliveries_per_second: bare.deliveries_per_second,
            p50_millis: bare.latency.p50_millis,
            p99_millis: bare.latency.p99_millis,
            server_ratio: servers.zip(own).map(|(server, own)| server / own),
        }
    }

    /// A line for people.
    pub(super) fn line(&self, server: &Figures, is_rate: bool) -> String {
        let figure =
            |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{value:.2}"));
        let latency = if is_rate {
            let times = server.latency.p99_millis / self.p99_millis;
            format!(
                "; p50 {:.2} ms, p99 {:.2} ms, the server's p99 is {times:.2} times as long",
                self.p50_millis, self.p99_millis
            )
        } else {
            String::new()
        };
        let frames =
            if self.batch == 1 { "1 frame".into() } else { format!("{} frames", self.batch) };
        format!(
            "bare loop     {frames} a write: {} us/delivery, the server needs {} times as \
             much{latency}",
            figure(self.cpu_micros_per_delivery),
            figure(self.server_ratio),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_size_asked_for() {
        // There is no frame of 128 or 129 bytes: 125 take a header of 2, 126 one of 4.
        for bytes in [2, 20, 127, 130, 200, 65_539, 65_546, 70_000] {
            assert_eq!(frame(bytes).len(), bytes, "{bytes}");
        }
    }
}
