//! The server's queues while it is under load: what its metrics say, again and again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;

use super::figures::{float, whole};
use super::machine;
use crate::cli::address::Address;
use crate::cli::socket::target;

/// The largest figures of both halves of a measurement: a queue that grows is longer in the second.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Queues {
    /// How often the server was looked at.
    samples: usize,
    outbox_bytes: Halves,
    inbox_events: Halves,
    server_rss_bytes: Halves,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Halves {
    first_max: u64,
    second_max: u64,
    first_mean: f64,
    second_mean: f64,
}

/// Looks at a server until it is stopped.
pub(super) struct Watch {
    stop: SyncSender<()>,
    thread: JoinHandle<Result<Vec<Look>, String>>,
}

struct Look {
    at: Instant,
    outbox_bytes: u64,
    inbox_events: u64,
    server_rss_bytes: u64,
}

const EVERY: Duration = Duration::from_millis(100);
const TIMEOUT: Duration = Duration::from_secs(10);

impl Watch {
    /// Begins on a thread of its own, which a load that waits for sockets has time for.
    pub(super) fn start(admin: Address, pid: Option<u32>) -> Self {
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let mut looks = Vec::new();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let metrics = Metrics::read(&admin)?;
                looks.push(Look {
                    at: Instant::now(),
                    outbox_bytes: metrics.sum("tidings_outbox_bytes"),
                    inbox_events: metrics.sum("tidings_inbox_events"),
                    server_rss_bytes: pid.and_then(machine::rss_bytes).unwrap_or(0),
                });
            }
            Ok(looks)
        });
        Self { stop, thread }
    }

    /// What was seen between two times.
    pub(super) fn stop(self, from: Instant, to: Instant) -> Result<Queues, String> {
        // A thread that has ended already says why below.
        let _ = self.stop.send(());
        let looks = self.thread.join().map_err(|_| "the watch over the server broke")??;
        let middle = from + to.saturating_duration_since(from) / 2;
        let within = |from, to| looks.iter().filter(move |look| (from..to).contains(&look.at));
        let halves = |figure: fn(&Look) -> u64| {
            let first: Vec<u64> = within(from, middle).map(figure).collect();
            let second: Vec<u64> = within(middle, to).map(figure).collect();
            Halves::of(&first, &second)
        };
        Ok(Queues {
            samples: within(from, to).count(),
            outbox_bytes: halves(|look| look.outbox_bytes),
            inbox_events: halves(|look| look.inbox_events),
            server_rss_bytes: halves(|look| look.server_rss_bytes),
        })
    }
}

impl Halves {
    fn of(first: &[u64], second: &[u64]) -> Self {
        let max = |half: &[u64]| half.iter().copied().max().unwrap_or(0);
        let mean = |half: &[u64]| float(half.iter().sum()) / float(half.len().max(1) as u64);
        Self {
            first_max: max(first),
            second_max: max(second),
            first_mean: mean(first),
            second_mean: mean(second),
        }
    }

    fn line(&self, count: impl Fn(u64) -> String) -> String {
        let half = |max, mean| format!("{} (mean {})", count(max), count(whole(mean)));
        format!(
            "{} in the first half, {} in the second",
            half(self.first_max, self.first_mean),
            half(self.second_max, self.second_mean)
        )
    }
}

impl Queues {
    /// Lines for people.
    pub(super) fn lines(&self) -> [String; 3] {
        let bytes = |bytes| BinaryBytes(bytes).to_string();
        let events = |events| format!("{} events", HumanCount(events));
        [
            format!("outboxes      at most {}", self.outbox_bytes.line(bytes)),
            format!("inboxes       at most {}", self.inbox_events.line(events)),
            format!("server RSS    at most {}", self.server_rss_bytes.line(bytes)),
        ]
    }
}

/// What a server's metrics say at one moment.
pub(super) struct Metrics(String);

impl Metrics {
    pub(super) fn read(admin: &Address) -> Result<Self, String> {
        Self::fetch(admin)
            .map_err(|error| format!("no metrics from {}: {error}", admin.authority()))
    }

    fn fetch(admin: &Address) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(target(admin))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // HTTP/1.0: the answer comes whole, and ends with the connection.
        let request = format!("GET /metrics HTTP/1.0\r\nHost: {}\r\n\r\n", admin.authority());
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        if text.contains("# EOF") { Ok(Self(text)) } else { Err(std::io::Error::other("none")) }
    }

    /// The value of a metric, of all its labels together.
    pub(super) fn sum(&self, name: &str) -> u64 {
        let value = |line: &str| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with(['{', ' ']))?;
            rest.rsplit_once(' ')?.1.parse::<u64>().ok()
        };
        self.0.lines().filter_map(value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_added_up_and_names_told_apart() {
        let text = "HTTP/1.0 200 OK\r\n\r\n# HELP a_b A.\na_b{shard=\"0\"} 3\na_b{shard=\"1\"} 4\n\
                    a_b_total 9\n# EOF\n";
        let metrics = Metrics(text.to_owned());
        assert_eq!((metrics.sum("a_b"), metrics.sum("a_b_total"), metrics.sum("a")), (7, 9, 0));
    }

    #[test]
    fn halves_are_told_apart() {
        let Halves { first_max, second_max, .. } = Halves::of(&[1, 5, 3], &[]);
        assert_eq!((first_max, second_max), (5, 0));
    }
}
