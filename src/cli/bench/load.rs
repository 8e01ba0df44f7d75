//! The load itself: one thread, one loop, every socket non-blocking, nothing allocated by message.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use mio::{Events, Interest, Poll, Token};

use super::checker::Checker;
use super::dialect::{Dialect, Heard};
use super::figures::{Figures, Sample};
use super::flow::Flow;
use super::inflate::Inflated;
use super::machine;
use super::plan::{Pace, Plan, Until};
use super::stall::Stall;
use super::stamp::{Stamp, dropped};
use super::tally::Tally;
use super::wire::Wire;

/// A run under way.
pub(super) struct Load<'a> {
    plan: &'a Plan,
    dialect: &'a dyn Dialect,
    poll: Poll,
    subscribers: Vec<Subscriber>,
    publishers: Vec<Publisher>,
    scratch: Box<[u8]>,
    inflated: Inflated,
    begun: Instant,
    flow: Option<Flow>,
    /// Messages published so far, and by publisher and topic.
    published: u64,
    sequences: Vec<Vec<u64>>,
    /// Subscribers of each topic.
    followers: Vec<usize>,
    /// Deliveries that all of them make.
    expected: u64,
    tally: Tally,
    /// Publishes whose answer has not come.
    unanswered: u64,
    /// Subscribers that have seen a probe, and last probes seen.
    ready: usize,
    last_probes: usize,
    /// The first thing that went wrong.
    trouble: Option<String>,
}

struct Subscriber {
    wire: Wire,
    /// Of a message that goes on in the next frame.
    begun: Vec<u8>,
    /// His first topic.
    first: usize,
    checker: Checker,
    /// Where the stamp was in the message before.
    hint: usize,
    ready: bool,
}

struct Publisher {
    wire: Wire,
    /// Of an answer that goes on in the next frame.
    begun: Vec<u8>,
}

/// Publisher of the messages that only find out whether every subscription is there.
const PROBE: u32 = u32::MAX;
/// The sequence of the last one: behind it no message is on its way, and nothing is left to tell.
const LAST_PROBE: u64 = 1;
const PROBE_EVERY: Duration = Duration::from_millis(100);
const PROBE_TIME: Duration = Duration::from_micros(200);
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
const SCRATCH_BYTES: usize = 256 << 10;
const EVENTS: usize = 1024;

impl<'a> Load<'a> {
    /// Takes the connections over; subscribers have subscribed, publishers are acknowledged.
    pub(super) fn new(
        plan: &'a Plan,
        dialect: &'a dyn Dialect,
        subscribers: Vec<Wire>,
        publishers: Vec<Wire>,
    ) -> Result<Self, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let layout = plan.layout();
        let streams = plan.topics_each * plan.publishers;
        let publisher = |wire| Publisher { wire, begun: Vec::new() };
        let subscriber = |(index, wire)| {
            let checker = Checker::new(streams, plan.max_per_second.is_some());
            let (begun, first) = (Vec::new(), layout.first(index));
            Subscriber { wire, begun, first, checker, hint: 0, ready: false }
        };
        let mut load = Self {
            plan,
            dialect,
            poll,
            subscribers: subscribers.into_iter().enumerate().map(subscriber).collect(),
            publishers: publishers.into_iter().map(publisher).collect(),
            scratch: vec![0; SCRATCH_BYTES].into(),
            inflated: Inflated::default(),
            begun: Instant::now(),
            flow: match plan.pace {
                Pace::Saturate { window } => Some(Flow::new(window)),
                Pace::Rate(_) => None,
            },
            published: 0,
            sequences: vec![vec![0; plan.topics]; plan.publishers],
            followers: layout.members().iter().map(Vec::len).collect(),
            expected: 0,
            tally: Tally::new()?,
            unanswered: 0,
            ready: 0,
            last_probes: 0,
            trouble: None,
        };
        load.register().map_err(|error| error.to_string())?;
        Ok(load)
    }

    /// Publishes, checks and measures. `sample` looks at the server's process.
    pub(super) fn run(
        mut self,
        sample: impl Fn() -> Sample,
        bar: &ProgressBar,
    ) -> Result<Figures, String> {
        let mut events = Events::with_capacity(EVENTS);
        self.probe(&mut events)?;
        self.begun = Instant::now();
        let (warm, end) = match self.plan.until {
            Until::Time(duration) => (self.plan.warmup, Some(self.plan.warmup + duration)),
            Until::Messages(_) => (Duration::ZERO, None),
        };
        let mut before = None;
        let mut stall = Stall::new();
        loop {
            let now = self.begun.elapsed();
            if before.is_none() && now >= warm {
                self.tally.begin();
                before = Some((self.begun.elapsed(), sample(), self.published));
            }
            if end.is_some_and(|end| now >= end) || self.is_complete() || stall.is_stalled() {
                break;
            }
            self.publish_due();
            self.turn(&mut events)?;
            stall.see(self.tally.settled(), self.is_idle());
            bar.set_position(self.position(now));
        }
        let (from, sample_before, published_before) =
            before.unwrap_or_else(|| (self.begun.elapsed(), sample(), 0));
        let seconds = self.begun.elapsed().saturating_sub(from).as_secs_f64();
        let mut figures = Figures::measured(&self.tally, seconds, &sample_before, &sample());
        figures.count_messages(self.published - published_before);
        self.drain(&mut events)?;
        figures.conclude(&self.tally, self.lost());
        Ok(figures)
    }

    fn register(&mut self) -> std::io::Result<()> {
        let wires = self.subscribers.iter_mut().map(|subscriber| &mut subscriber.wire);
        let publishers = self.publishers.iter_mut().map(|publisher| &mut publisher.wire);
        for (index, wire) in wires.chain(publishers).enumerate() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut wire.stream, Token(index), interest)?;
        }
        Ok(())
    }

    /// Publishes probes until every subscriber has seen one: the protocol does not say when a
    /// subscription has begun.
    fn probe(&mut self, events: &mut Events) -> Result<(), String> {
        let mut begun = Instant::now();
        let mut sent: Option<Instant> = None;
        // Probes of many topics must not be a load themselves.
        let every = PROBE_EVERY.max(PROBE_TIME * u32::try_from(self.plan.topics).unwrap_or(1));
        while self.ready < self.subscribers.len() {
            if begun.elapsed() > PROBE_TIMEOUT {
                let silent = self.subscribers.len() - self.ready;
                return Err(format!("{silent} subscribers receive nothing"));
            }
            if sent.is_none_or(|sent| sent.elapsed() >= every) {
                self.send_probes(0)?;
                sent = Some(Instant::now());
            }
            self.poll_once(events, PROBE_EVERY)?;
        }
        self.send_probes(LAST_PROBE)?;
        begun = Instant::now();
        while self.last_probes < self.followers.iter().sum() {
            if begun.elapsed() > PROBE_TIMEOUT {
                return Err("not every subscriber receives all of its topics".into());
            }
            self.poll_once(events, PROBE_EVERY)?;
        }
        self.tally.told = 0;
        Ok(())
    }

    fn send_probes(&mut self, sequence: u64) -> Result<(), String> {
        let due_nanos = nanos(self.begun.elapsed());
        let stamp = Stamp { publisher: PROBE, sequence, number: 0, due_nanos };
        for topic in 0..self.plan.topics {
            self.push_publish(0, topic, &stamp);
        }
        self.publishers[0].wire.flush()
    }

    fn publish_due(&mut self) {
        let now = nanos(self.begun.elapsed());
        while !self.is_all_published() && self.may_publish() {
            let due_nanos = match self.plan.due_nanos(self.published) {
                Some(due) if due > now => break,
                Some(due) => due,
                None if self.flow.as_ref().is_some_and(|flow| !flow.has_room()) => break,
                None => now,
            };
            self.publish(due_nanos);
        }
        for index in 0..self.publishers.len() {
            let flushed = self.publishers[index].wire.flush();
            self.note(flushed, "publisher", index);
        }
    }

    fn publish(&mut self, due_nanos: u64) {
        let number = self.published;
        let topic = self.plan.topic_of_message(number);
        let publisher = self.plan.publisher_of_message(number);
        let sequence = &mut self.sequences[publisher][topic];
        let stamp = Stamp {
            publisher: u32::try_from(publisher).unwrap_or(PROBE),
            sequence: *sequence,
            number,
            due_nanos,
        };
        *sequence += 1;
        self.published += 1;
        let deliveries = self.followers[topic];
        self.expected += deliveries as u64;
        if let Some(flow) = &mut self.flow {
            flow.publish(deliveries);
        }
        self.push_publish(publisher, topic, &stamp);
    }

    fn push_publish(&mut self, publisher: usize, topic: usize, stamp: &Stamp) {
        let out = self.publishers[publisher].wire.unsent();
        self.dialect.push_publish(out, topic, stamp);
        self.unanswered += 1;
    }

    /// Some servers run the publishes of a connection in any order: there one waits for another.
    fn may_publish(&self) -> bool {
        self.dialect.unanswered_max().is_none_or(|max| self.unanswered < max)
    }

    /// Waits for sockets, but not beyond the time at which the next message is due.
    fn turn(&mut self, events: &mut Events) -> Result<(), String> {
        let due = self.plan.due_nanos(self.published).filter(|_| !self.is_all_published());
        let wait = machine::patience(due.map(Duration::from_nanos), self.begun.elapsed());
        self.poll_once(events, wait)
    }

    fn poll_once(&mut self, events: &mut Events, wait: Duration) -> Result<(), String> {
        machine::wait(&mut self.poll, events, wait)?;
        for event in events.iter() {
            let Token(index) = event.token();
            if let Some(publisher) = index.checked_sub(self.subscribers.len()) {
                let outcome = self.read_publisher(publisher);
                self.note(outcome, "publisher", publisher);
            } else if event.is_readable() {
                let outcome = self.read_subscriber(index);
                self.note(outcome, "subscriber", index);
            }
        }
        self.trouble.take().map_or(Ok(()), Err)
    }

    fn read_subscriber(&mut self, index: usize) -> Result<(), String> {
        let Self { plan, dialect, subscribers, scratch, inflated, begun, flow, tally, .. } = self;
        let Subscriber { wire, begun: rest, first, checker, hint, ready } = &mut subscribers[index];
        let (mut refused, mut asked, mut now) = (None, Vec::new(), None);
        let mut each = |heard: Heard<'_>| {
            let text = match heard {
                Heard::Message(text) => text,
                Heard::Ask(frame) => return asked.extend_from_slice(frame),
            };
            let Some(stamp) = Stamp::find(text, hint) else {
                refused = Some(String::from_utf8_lossy(text).into_owned());
                return;
            };
            if plan.max_per_second.is_some() {
                tally.told += dropped(text);
            }
            if stamp.publisher == PROBE {
                self.ready += usize::from(!std::mem::replace(ready, true));
                self.last_probes += usize::from(stamp.sequence == LAST_PROBE);
                return;
            }
            let now = *now.get_or_insert_with(|| nanos(begun.elapsed()));
            let verdict = checker.see(plan.stream(*first, &stamp), stamp.sequence);
            let first = tally.count(verdict, now.saturating_sub(stamp.due_nanos));
            if let (true, Some(flow)) = (first, flow.as_mut()) {
                flow.arrive(stamp.number);
            }
        };
        let mut wrong = Ok(());
        let bytes = wire.read(scratch, inflated, |payload| {
            wrong = std::mem::replace(&mut wrong, Ok(()))
                .and_then(|()| dialect.cut(payload, rest, &mut each));
        })?;
        tally.wire_bytes += bytes as u64;
        tally.reads += u64::from(bytes > 0);
        if !asked.is_empty() {
            wire.send(&asked)?;
        }
        wrong.and(refused.map_or(Ok(()), Err))
    }

    fn read_publisher(&mut self, index: usize) -> Result<(), String> {
        let Self { dialect, publishers, scratch, inflated, unanswered, .. } = self;
        let Publisher { wire, begun } = &mut publishers[index];
        let mut asked = Vec::new();
        let mut taken = Ok(0);
        wire.read(scratch, inflated, |payload| {
            let cut = dialect.cut(payload, begun, &mut |heard| match heard {
                Heard::Message(answer) => add(&mut taken, dialect.taken(answer)),
                Heard::Ask(frame) => asked.extend_from_slice(frame),
            });
            add(&mut taken, cut.map(|()| 0));
        })?;
        *unanswered = unanswered.saturating_sub(taken?);
        wire.send(&asked)
    }

    fn note(&mut self, outcome: Result<(), String>, who: &str, index: usize) {
        if let (Err(reason), None) = (outcome, &self.trouble) {
            self.trouble = Some(format!("{who} {index}: {reason}"));
        }
    }

    /// What was published before the end is still on its way.
    fn drain(&mut self, events: &mut Events) -> Result<(), String> {
        let mut stall = Stall::new();
        while !self.is_idle() && !stall.is_stalled() {
            self.poll_once(events, Duration::from_millis(50))?;
            stall.see(self.tally.settled(), false);
        }
        Ok(())
    }

    fn lost(&self) -> u64 {
        let lost = |(index, subscriber): (usize, &Subscriber)| {
            let topics = self.plan.layout().topics_of(index);
            let sent = topics.flat_map(|topic| self.sequences.iter().map(move |of| of[topic]));
            subscriber.checker.lost(sent)
        };
        self.subscribers.iter().enumerate().map(lost).sum()
    }

    fn is_all_published(&self) -> bool {
        matches!(self.plan.until, Until::Messages(count) if self.published >= count)
    }

    fn is_complete(&self) -> bool {
        self.is_all_published() && self.is_idle()
    }

    /// Nothing is under way, so that nothing arriving means nothing.
    fn is_idle(&self) -> bool {
        self.tally.settled() >= self.expected
    }

    /// For the progress bar: messages or milliseconds.
    fn position(&self, now: Duration) -> u64 {
        match self.plan.until {
            Until::Messages(_) => self.published,
            Until::Time(_) => nanos(now) / 1_000_000,
        }
    }
}

/// Counts until something goes wrong.
fn add(sum: &mut Result<u64, String>, more: Result<u64, String>) {
    match (&mut *sum, more) {
        (Ok(sum), Ok(more)) => *sum += more,
        (Ok(_), Err(reason)) => *sum = Err(reason),
        (Err(_), _) => {}
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
