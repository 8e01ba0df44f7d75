//! What publishes cost that nobody receives: pipelined on one connection, every receipt awaited.

use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};
use serde::Serialize;

use super::dialect::{Dialect, Heard};
use super::figures::{Sample, float};
use super::inflate::Inflated;
use super::machine;
use super::stamp::Stamp;
use super::wire::Wire;

/// Figures of publishes without a subscriber.
#[derive(Debug, Clone, Serialize)]
pub struct Intake {
    /// Taken in the measurement.
    pub publishes: u64,
    /// Taken in a second.
    pub publishes_per_second: f64,
    /// User and system time of the server for one of them.
    pub server_cpu_micros_per_publish: Option<f64>,
    /// 1 is one core; near that the load may be the limit.
    pub load_busy: Option<f64>,
}

const WARM_UP: Duration = Duration::from_millis(500);
/// Nothing was taken for so long: it never will be.
const STALLED: Duration = Duration::from_secs(5);
const SCRATCH_BYTES: usize = 256 << 10;

struct Publisher<'a> {
    wire: Wire,
    dialect: &'a dyn Dialect,
    scratch: Box<[u8]>,
    begun: Vec<u8>,
    sent: u64,
    taken: u64,
}

/// Publishes for so long, with up to `window` receipts awaited.
pub(super) fn run(
    wire: Wire,
    dialect: &dyn Dialect,
    window: u64,
    duration: Duration,
    sample: impl Fn() -> Sample,
) -> Result<Intake, String> {
    let (scratch, begun) = (vec![0; SCRATCH_BYTES].into(), Vec::new());
    let mut publisher = Publisher { wire, dialect, scratch, begun, sent: 0, taken: 0 };
    let mut poll = Poll::new().map_err(|error| error.to_string())?;
    let interest = Interest::READABLE | Interest::WRITABLE;
    let registered = poll.registry().register(&mut publisher.wire.stream, Token(0), interest);
    registered.map_err(|error| error.to_string())?;
    let mut events = Events::with_capacity(8);
    let start = Instant::now();
    let mut before = None;
    let mut progress = (0, start);
    while start.elapsed() < WARM_UP + duration {
        if before.is_none() && start.elapsed() >= WARM_UP {
            before = Some((Instant::now(), sample(), publisher.taken));
        }
        publisher.publish(window)?;
        machine::wait(&mut poll, &mut events, Duration::from_millis(50))?;
        publisher.read()?;
        if publisher.taken != progress.0 {
            progress = (publisher.taken, Instant::now());
        } else if progress.1.elapsed() > STALLED {
            return Err("no receipt comes".to_owned());
        }
    }
    let (from, sample_before, taken) = before.ok_or("the measurement did not begin")?;
    let publishes = publisher.taken - taken;
    let seconds = from.elapsed().as_secs_f64();
    let after = sample();
    let cpu = after.server_cpu_since(&sample_before);
    Ok(Intake {
        publishes,
        publishes_per_second: float(publishes) / seconds,
        server_cpu_micros_per_publish: cpu.map(|cpu| cpu * 1e6 / float(publishes.max(1))),
        load_busy: after.load_cpu_since(&sample_before).map(|cpu| cpu / seconds),
    })
}

impl Publisher<'_> {
    fn publish(&mut self, window: u64) -> Result<(), String> {
        while self.sent - self.taken < window {
            let number = self.sent;
            let stamp = Stamp { publisher: 0, sequence: number, number, due_nanos: 0 };
            self.dialect.push_publish(self.wire.unsent(), 0, &stamp);
            self.sent += 1;
        }
        self.wire.flush()
    }

    fn read(&mut self) -> Result<(), String> {
        let Self { wire, dialect, scratch, begun, taken, .. } = self;
        let (mut asked, mut wrong) = (Vec::new(), None);
        wire.read(scratch, &mut Inflated::default(), |payload| {
            let cut = dialect.cut(payload, begun, &mut |heard| match heard {
                Heard::Message(answer) => match dialect.taken(answer) {
                    Ok(more) => *taken += more,
                    Err(reason) => wrong = Some(reason),
                },
                Heard::Ask(frame) => asked.extend_from_slice(frame),
            });
            if let Err(reason) = cut {
                wrong = Some(reason);
            }
        })?;
        wrong.map_or_else(|| wire.send(&asked), Err)
    }
}
