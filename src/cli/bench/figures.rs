//! What a run measured, and what it says to people.

use std::time::Duration;

use hdrhistogram::Histogram;
use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;

use super::machine;
use super::tally::Tally;

/// A look at the processes involved.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// Processor time of the server so far, in seconds.
    server_cpu: Option<f64>,
    server_rss: Option<u64>,
    /// The same of the load.
    load_cpu: Option<f64>,
}

/// Figures of one measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Of the measurement.
    pub seconds: f64,
    /// Published in it.
    pub messages: u64,
    /// Messages times those who received them.
    pub deliveries: u64,
    /// In one second.
    pub deliveries_per_second: f64,
    /// Bytes of a delivery on the wire.
    pub frame_bytes: f64,
    /// How many one read of a subscriber brought.
    pub deliveries_per_read: f64,
    /// User and system time of the server.
    pub server_cpu_micros_per_delivery: Option<f64>,
    /// The same by message published.
    pub server_cpu_micros_per_message: Option<f64>,
    /// 1 is one core.
    pub server_busy: Option<f64>,
    /// Memory at the end.
    pub server_rss_bytes: Option<u64>,
    /// The same of the load itself.
    pub load_busy: Option<f64>,
    /// Of the deliveries.
    pub latency: Latency,
    /// Deliveries that never came.
    pub lost: u64,
    /// Deliveries that came again.
    pub duplicates: u64,
    /// Deliveries that came after a later message.
    pub reordered: u64,
    /// Deliveries of messages that nobody published.
    pub unknown: u64,
    /// Deliveries that newer messages stood for; of the whole run.
    pub conflated: u64,
    /// The same, as the server told it.
    pub conflated_told: u64,
}

/// From the time at which a message was due to be sent until a subscriber has read it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Latency {
    /// The median.
    pub p50_millis: f64,
    /// Exceeded by one in a hundred.
    pub p99_millis: f64,
    /// Exceeded by one in a thousand.
    pub p99_9_millis: f64,
    /// The slowest.
    pub max_millis: f64,
}

/// Above this share of a core the load, and not the server, may set the pace.
const LOAD_BOUND: f64 = 0.9;

impl Sample {
    /// Looks at the server's processes, if they are known, and at this one.
    pub(super) fn of(server: impl IntoIterator<Item = u32, IntoIter: Clone>) -> Self {
        let server = server.into_iter();
        let is_known = server.clone().next().is_some();
        let cpu: Option<f64> = server.clone().map(machine::cpu_seconds).sum();
        let rss: Option<u64> = server.map(machine::rss_bytes).sum();
        Self {
            server_cpu: cpu.filter(|_| is_known),
            server_rss: rss.filter(|_| is_known),
            load_cpu: machine::cpu_seconds(std::process::id()),
        }
    }

    pub(super) fn server_rss(&self) -> Option<u64> {
        self.server_rss
    }

    /// Processor time of this process since an earlier sample.
    pub(super) fn load_cpu_since(&self, before: &Self) -> Option<f64> {
        Some(self.load_cpu? - before.load_cpu?)
    }

    /// Processor time of the server since an earlier sample.
    pub(super) fn server_cpu_since(&self, before: &Self) -> Option<f64> {
        Some(self.server_cpu? - before.server_cpu?)
    }
}

impl Figures {
    /// The figures of a measurement that has just ended.
    pub(super) fn measured(tally: &Tally, seconds: f64, before: &Sample, after: &Sample) -> Self {
        let (deliveries, cpu) = (tally.deliveries, after.server_cpu_since(before));
        let by_delivery = |amount: f64| amount / float(deliveries.max(1));
        Self {
            seconds,
            messages: 0,
            deliveries,
            deliveries_per_second: float(deliveries) / seconds,
            frame_bytes: by_delivery(float(tally.wire_bytes)),
            deliveries_per_read: float(deliveries) / float(tally.reads.max(1)),
            server_cpu_micros_per_delivery: cpu.map(|cpu| by_delivery(cpu * 1e6)),
            server_cpu_micros_per_message: None,
            server_busy: cpu.map(|cpu| cpu / seconds),
            server_rss_bytes: after.server_rss,
            load_busy: after.load_cpu_since(before).map(|cpu| cpu / seconds),
            latency: Latency::default(),
            lost: 0,
            duplicates: 0,
            reordered: 0,
            unknown: 0,
            conflated: 0,
            conflated_told: 0,
        }
    }

    /// So many messages were published in the measurement.
    pub(super) fn count_messages(&mut self, messages: u64) {
        self.messages = messages;
        let cpu_micros = self.server_busy.map(|busy| busy * self.seconds * 1e6);
        let by_message = |micros| micros / float(messages.max(1));
        self.server_cpu_micros_per_message = cpu_micros.map(by_message);
    }

    /// What is known when nothing is under way any more: slow messages count as well.
    pub(super) fn conclude(&mut self, tally: &Tally, lost: u64) {
        self.latency = Latency::of(&tally.latency);
        self.lost = lost;
        self.duplicates = tally.duplicates;
        self.reordered = tally.late;
        self.unknown = tally.strangers;
        (self.conflated, self.conflated_told) = (tally.conflated, tally.told);
    }

    /// Every subscriber saw every message once and in order, or was told that a newer one stood for
    /// it.
    pub fn is_clean(&self) -> bool {
        let faults = self.lost + self.duplicates + self.reordered + self.unknown;
        faults == 0 && self.conflated == self.conflated_told
    }

    /// Lines for people; `from` is where the latencies begin.
    pub(super) fn lines(&self, from: &str, is_rate: bool) -> Vec<String> {
        let busy = |share: Option<f64>| share.map_or("?".into(), percent);
        let cpu = self.server_cpu_micros_per_delivery;
        let by_message = self.server_cpu_micros_per_message;
        let by_message = by_message.map(|cpu| format!("{cpu:.2} us/message in, "));
        let cpu = cpu.map_or("unknown: no --server-pid".into(), |cpu| {
            let by_message = by_message.unwrap_or_default();
            format!("{cpu:.2} us/delivery, {by_message}{} of a core", busy(self.server_busy))
        });
        let rss = self.server_rss_bytes.map(|bytes| format!(", RSS {}", BinaryBytes(bytes)));
        let mut lines = vec![
            format!(
                "delivered     {}/s ({} messages/s), {:.0} B a frame, {:.1} a read",
                HumanCount(whole(self.deliveries_per_second)),
                HumanCount(whole(float(self.messages) / self.seconds)),
                self.frame_bytes,
                self.deliveries_per_read,
            ),
            format!("server        {cpu}{}", rss.unwrap_or_default()),
            format!("latency       {}", self.latency.line(from, "read")),
            format!(
                "checked       lost {}, duplicates {}, reordered {}, unknown {}",
                self.lost, self.duplicates, self.reordered, self.unknown,
            ),
            format!("load          {} of a core", busy(self.load_busy)),
        ];
        if self.conflated + self.conflated_told > 0 {
            lines.push(format!(
                "conflated     {}, the server told of {}; every subscriber ended on the newest",
                HumanCount(self.conflated),
                HumanCount(self.conflated_told),
            ));
        }
        if !is_rate && self.load_busy.is_some_and(|busy| busy > LOAD_BOUND) {
            lines.push("the load was the limit: the server can deliver more than this".to_owned());
        }
        lines
    }
}

/// What became of the same load in another form, beside the first.
#[derive(Debug, Serialize)]
pub(super) struct Beside {
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// Of the first one's.
    cpu_ratio: Option<f64>,
    frame_bytes_ratio: f64,
}

impl Beside {
    pub(super) fn new(figures: Figures, first: &Figures) -> Self {
        let cpu = |figures: &Figures| figures.server_cpu_micros_per_delivery;
        let cpu_ratio = cpu(&figures).zip(cpu(first)).map(|(own, first)| own / first);
        let frame_bytes_ratio = figures.frame_bytes / first.frame_bytes;
        Self { figures, cpu_ratio, frame_bytes_ratio }
    }

    /// A line for people.
    pub(super) fn line(&self, name: &str, first_name: &str) -> String {
        let Self { figures, cpu_ratio, frame_bytes_ratio } = self;
        let cpu = figures.server_cpu_micros_per_delivery.zip(*cpu_ratio);
        let cpu = cpu.map_or("unknown: no --server-pid".to_owned(), |(own, ratio)| {
            format!("{own:.2} us/delivery, {ratio:.2} of {first_name}")
        });
        format!(
            "{name:13} {cpu}; {:.0} B a frame, {frame_bytes_ratio:.2} of {first_name}; {}/s, \
             {:.1} a read; p50 {:.2} ms, p99 {:.2} ms; lost {}, duplicates {}, reordered {}",
            figures.frame_bytes,
            HumanCount(whole(figures.deliveries_per_second)),
            figures.deliveries_per_read,
            figures.latency.p50_millis,
            figures.latency.p99_millis,
            figures.lost,
            figures.duplicates,
            figures.reordered,
        )
    }
}

impl Latency {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let millis = |nanos: u64| Duration::from_nanos(nanos).as_secs_f64() * 1e3;
        Self {
            p50_millis: millis(histogram.value_at_quantile(0.5)),
            p99_millis: millis(histogram.value_at_quantile(0.99)),
            p99_9_millis: millis(histogram.value_at_quantile(0.999)),
            max_millis: millis(histogram.max()),
        }
    }

    pub(super) fn line(&self, from: &str, to: &str) -> String {
        let Self { p50_millis, p99_millis, p99_9_millis, max_millis } = self;
        format!(
            "p50 {p50_millis:.2} ms, p99 {p99_millis:.2} ms, p99.9 {p99_9_millis:.2} ms, max \
             {max_millis:.2} ms, from {from} to {to}"
        )
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people, never negative"
)]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}
