//! What it costs to find the feeds of a message: `Routes::lookup`, once per accepted message.
//!
//! `cargo bench --bench routes` prints bar, figure and verdict; exit code 1 if one is missed.
//! `-- --json` only measures and prints JSON.
//! Topics are drawn at random, so that the tables are out of the caches as in a broker with many
//! topics; the topic itself is warm, as one that has just been parsed. A lookup begins when the
//! one before has ended.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints or ends")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tidings::broker::feed::FeedId;
use tidings::broker::routes::Routes;
use tidings::message::filter::{Filter, Filters};
use tidings::message::topic::Topic;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EXACT: u32 = 1_000_000;
const WILDCARD: u32 = 100_000;
/// The figure is the median of so many batches: others on the machine hardly count.
const BATCHES: usize = 1_001;
/// Topics that are made together and then looked up: few enough to be warm.
const BATCH: usize = 1_000;

/// One table of filters, and what a lookup in it may cost.
struct Case {
    name: &'static str,
    exact: u32,
    wildcard: u32,
    bar: Option<Duration>,
}

fn main() -> ExitCode {
    let (nanos, micros) = (Duration::from_nanos, Duration::from_micros);
    let cases = [
        Case { name: "1,000,000 exact filters", exact: EXACT, wildcard: 0, bar: Some(nanos(300)) },
        Case {
            name: "100,000 wildcard filters",
            exact: 0,
            wildcard: WILDCARD,
            bar: Some(micros(2)),
        },
        Case { name: "both together", exact: EXACT, wildcard: WILDCARD, bar: None },
    ];
    let measured: Vec<Measured<'_>> = cases.iter().map(Case::measure).collect();
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", measured.iter().map(Measured::keep).collect::<serde_json::Value>());
        return ExitCode::SUCCESS;
    }
    println!("| filters | feeds found | bar | figure | verdict |");
    println!("| --- | --- | --- | --- | --- |");
    measured.iter().for_each(Measured::tell);
    let is_met = measured.iter().all(Measured::is_met);
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What a lookup cost.
struct Measured<'a> {
    case: &'a Case,
    nanos: f64,
    /// In the mean.
    feeds: f64,
}

impl Measured<'_> {
    fn is_met(&self) -> bool {
        self.case.bar.is_none_or(|bar| self.nanos <= bar.as_secs_f64() * 1e9)
    }

    fn tell(&self) {
        let Self { case: Case { name, bar, .. }, nanos, feeds } = self;
        let verdict = match bar {
            None => "-",
            Some(_) if self.is_met() => "met",
            Some(_) => "missed",
        };
        let bar = bar.map_or("-".to_owned(), |bar| format!("{} ns", bar.as_nanos()));
        println!("| {name} | {feeds:.1} | {bar} | {nanos:.0} ns | {verdict} |");
    }

    fn keep(&self) -> serde_json::Value {
        serde_json::json!({"name": self.case.name, "nanos": self.nanos, "is_met": self.is_met()})
    }
}

impl Case {
    fn measure(&self) -> Measured<'_> {
        let (routes, mut random, mut found) = (self.routes(), Random(7), 0);
        let batch = |_| self.batch(&routes, &mut random, &mut found);
        let mut figures: Vec<f64> = (0..BATCHES).map(batch).collect();
        figures.sort_by(f64::total_cmp);
        let feeds = float(found) / float(BATCHES * BATCH);
        Measured { case: self, nanos: figures[BATCHES / 2], feeds }
    }

    fn routes(&self) -> Routes {
        let mut routes = Routes::default();
        let exact = (0..self.exact).map(exact_filter);
        let wildcard = (0..self.wildcard).map(wildcard_filter);
        for (feed, text) in exact.chain(wildcard).enumerate() {
            let feed = FeedId(u32::try_from(feed).unwrap());
            routes.insert(&Filters::from(Filter::parse(&text).unwrap()), feed);
        }
        routes
    }

    /// Nanoseconds of a lookup; adds the feeds that were found.
    fn batch(&self, routes: &Routes, random: &mut Random, found: &mut usize) -> f64 {
        let topics: Vec<Topic> = (0..BATCH).map(|_| self.topic(random)).collect();
        let start = Instant::now();
        for number in 0..BATCH {
            // Nothing is added; but the processor cannot begin before it knows that.
            let feeds = routes.lookup(&topics[number + (*found & black_box(0))]);
            *found += black_box(feeds.len());
        }
        start.elapsed().as_secs_f64() * 1e9 / float(BATCH)
    }

    /// About half of the topics match a filter.
    fn topic(&self, random: &mut Random) -> Topic {
        let most = 2 * self.exact.max(self.wildcard);
        let number = random.below(most);
        let is_exact = self.wildcard == 0 || (self.exact > 0 && random.below(2) == 0);
        let text = if is_exact { exact_filter(number) } else { wildcard_topic(number, random) };
        Topic::parse(&text).unwrap()
    }
}

/// Symbols, rooms and sensors.
fn exact_filter(number: u32) -> String {
    match number % 3 {
        0 => format!("quotes.SYM{number}"),
        1 => format!("rooms.{number}.messages"),
        _ => format!("plants.{}.lines.{}.sensor-{number}", number % 50, number % 1_000),
    }
}

/// Few follow much: dashboards, archives, bots in all rooms.
const WIDE: [&str; 6] = [
    "quotes.>",
    "rooms.*.messages",
    "rooms.>",
    "plants.*.lines.>",
    "events.*.*.*.>",
    "*.*.messages",
];

/// The same with wildcards on every level: first, in the middle, last, and tails.
fn wildcard_filter(number: u32) -> String {
    if let Some(text) = WIDE.get(number as usize) {
        return (*text).to_owned();
    }
    match number % 8 {
        0 => format!("quotes.SYM{number}.*"),
        1 => format!("rooms.*.member-{number}"),
        2 => format!("rooms.{number}.>"),
        3 => format!("*.{number}.messages"),
        4 => format!("plants.*.lines.{}.sensor-{number}", number % 1_000),
        5 => format!("plants.{}.lines.*.sensor-{number}", number % 50),
        6 => format!("users.{number}.*.inbox.>"),
        _ => format!("events.{}.*.{number}.>", number % 50),
    }
}

/// A topic that the filter of this number matches, if there is one.
fn wildcard_topic(number: u32, random: &mut Random) -> String {
    let any = random.below(1_000);
    match number % 8 {
        0 => format!("quotes.SYM{number}.{any}"),
        1 => format!("rooms.{any}.member-{number}"),
        2 => format!("rooms.{number}.messages"),
        3 => format!("users.{number}.messages"),
        4 => format!("plants.{any}.lines.{}.sensor-{number}", number % 1_000),
        5 => format!("plants.{}.lines.{any}.sensor-{number}", number % 50),
        6 => format!("users.{number}.{any}.inbox.unread"),
        _ => format!("events.{}.{any}.{number}.opened", number % 50),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of some millions")]
fn float(count: usize) -> f64 {
    count as f64
}

/// Knuth's linear congruential generator of 64 bits: the same topics on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = u32::try_from(self.0 >> 32).unwrap();
        high % end
    }
}
