//! `tidings import`: publishes what `tidings export` wrote.

mod lines;

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use self::lines::{Line, Lines, Numbered};
use super::Error;
use super::address::Target;
use super::client::{self, Client, Event, Fault, Operation};
use super::output::say;

/// Publishes the messages of an export, in their order
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings import backup.ndjson
  tidings import --dry-run backup.ndjson       reads it, and says what would be published
  tidings export --url http://127.0.0.1:5000 | tidings import

A file is read as a whole before its first message is published. Topics that keep messages already
are refused, unless --append is given; within limits.idempotency_window the same import again
publishes only what is missing. Snapshots become snapshots again. Messages get new cursors and
times.")]
pub(super) struct Arguments {
    /// The export; `-` or nothing is standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Publishes nothing, and needs no broker
    #[arg(long)]
    dry_run: bool,
    /// Adds to topics that keep messages already
    #[arg(long)]
    append: bool,
    #[command(flatten)]
    target: Target,
}

const PUBLISH: &str = "mutation Import($topic: String!, $payload: JSON!, $key: String, $headers: \
                       JSON, $id: String, $ifLast: Cursor) { publish(topic: $topic, payload: \
                       $payload, key: $key, headers: $headers, id: $id, ifLast: $ifLast) { cursor \
                       duplicate } }";
const COMPACT: &str = "mutation Import($topic: String!, $upTo: Cursor!, $snapshot: JSON!) { \
                       compact(topic: $topic, upTo: $upTo, snapshot: $snapshot) { duplicate } }";

/// Publishes under way at once: enough to hide the way there and back.
const WINDOW: usize = 256;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Variables<'a> {
    topic: &'a str,
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_last: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compaction<'a> {
    topic: &'a str,
    up_to: &'a str,
    snapshot: &'a RawValue,
}

#[derive(Deserialize)]
struct Published {
    publish: Receipt,
}

#[derive(Deserialize)]
struct Receipt {
    cursor: String,
    duplicate: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    let path = arguments.file.as_deref().filter(|path| *path != Path::new("-"));
    if path.is_some() || arguments.dry_run {
        let counted = check(Lines::open(path)?)?;
        if arguments.dry_run {
            say(&format!("{counted}: nothing was published"));
            return Ok(());
        }
    }
    let address = arguments.target.address()?;
    let lines = Lines::open(path)?;
    let (client, _) = Client::connect(&address).await?;
    let begun = Instant::now();
    let mut import = Import {
        client,
        append: arguments.append,
        bar: bar(path),
        under_way: HashMap::new(),
        known: HashSet::new(),
        done: Done::default(),
    };
    let ended = tokio::select! {
        ended = import.run(in_thread(lines)) => ended,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Error::Failed(format!("no signals: {error}")))
                .and(Err(Error::Failed("interrupted".to_owned())))
        }
    };
    import.bar.finish_and_clear();
    let Import { client, under_way, done, .. } = import;
    let seconds = begun.elapsed().as_secs_f64();
    let Done { published, duplicates, snapshots } = done;
    say(&format!(
        "imported {published} messages, {snapshots} of them snapshots, in {seconds:.2} s; \
         {duplicates} were there already"
    ));
    if ended.is_ok() {
        client.close().await;
    } else if !under_way.is_empty() {
        say(&format!("tidings: {} more were under way and may be there", under_way.len()));
    }
    ended
}

/// What an import is made of.
#[derive(Default)]
struct Counted {
    messages: u64,
    snapshots: u64,
    topics: HashSet<String>,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { messages, snapshots, topics } = self;
        write!(f, "{messages} messages, {snapshots} of them snapshots, of {} topics", topics.len())
    }
}

fn check(lines: Lines) -> Result<Counted, Error> {
    let mut counted = Counted::default();
    for line in lines {
        let Numbered { line, .. } = line.map_err(Error::Failed)?;
        counted.messages += 1;
        counted.snapshots += u64::from(line.snapshot);
        if !counted.topics.contains(&line.topic) {
            counted.topics.insert(line.topic);
        }
    }
    Ok(counted)
}

/// Files and standard input are waited for by a thread of their own.
fn in_thread(lines: Lines) -> mpsc::Receiver<Result<Numbered, String>> {
    let (sender, receiver) = mpsc::channel(WINDOW);
    std::thread::spawn(move || {
        for line in lines {
            let is_wrong = line.is_err();
            if sender.blocking_send(line).is_err() || is_wrong {
                return;
            }
        }
    });
    receiver
}

fn bar(path: Option<&Path>) -> ProgressBar {
    const REDRAW: Duration = Duration::from_millis(100);
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bytes = path.and_then(|path| std::fs::metadata(path).ok()).map(|file| file.len());
    let style = |template, otherwise: fn() -> ProgressStyle| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| otherwise())
    };
    let bar = match bytes {
        Some(bytes) => ProgressBar::new(bytes).with_style(style(
            "{wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
            ProgressStyle::default_bar,
        )),
        None => ProgressBar::new_spinner().with_style(style(
            "{spinner} {binary_bytes} read, {binary_bytes_per_sec}",
            ProgressStyle::default_spinner,
        )),
    };
    bar.enable_steady_tick(REDRAW);
    bar
}

/// An import on its way.
struct Import {
    client: Client,
    append: bool,
    bar: ProgressBar,
    /// Lines that have no receipt yet.
    under_way: HashMap<u64, UnderWay>,
    /// Topics that have a message of this import; with `append`, that may have others, too.
    known: HashSet<String>,
    done: Done,
}

/// A line that has been sent.
struct UnderWay {
    topic: String,
    /// It is the first of its topic: the next ones wait for it.
    is_first: bool,
}

/// How far it has come.
#[derive(Default)]
struct Done {
    published: u64,
    duplicates: u64,
    snapshots: u64,
}

impl Import {
    async fn run(
        &mut self,
        mut lines: mpsc::Receiver<Result<Numbered, String>>,
    ) -> Result<(), Error> {
        loop {
            let line = tokio::select! {
                event = self.client.next() => {
                    self.receive(event?)?;
                    continue;
                }
                line = lines.recv(), if self.under_way.len() < WINDOW => line,
            };
            let Some(line) = line else { return self.drain().await };
            let line = line.map_err(Error::Failed)?;
            self.bar.set_position(line.read);
            self.take(line).await?;
        }
    }

    async fn take(&mut self, numbered: Numbered) -> Result<(), Error> {
        let Numbered { number, line, .. } = numbered;
        let is_waited_for = |sent: &UnderWay| sent.is_first && sent.topic == line.topic;
        if line.snapshot || self.under_way.values().any(is_waited_for) {
            self.drain().await?;
        }
        if line.snapshot {
            return self.snapshot(number, &line).await;
        }
        let is_first = self.known.insert(line.topic.clone());
        let if_last = (is_first && !self.append).then_some("");
        self.client.start(&number.to_string(), &publish(&line, if_last)).await?;
        self.under_way.insert(number, UnderWay { topic: line.topic, is_first });
        Ok(())
    }

    /// A message, and then itself in its place: nothing else of the topic may be there, for it
    /// would be replaced.
    async fn snapshot(&mut self, number: u64, line: &Line) -> Result<(), Error> {
        let is_first = self.known.insert(line.topic.clone());
        if !is_first && self.append {
            let reason = "a snapshot would replace what the topic kept before: import it without \
                          --append";
            return Err(Error::Failed(format!("line {number}: {reason}")));
        }
        let if_last = is_first.then_some("");
        let data = match self.client.ask("snapshot", &publish(line, if_last)).await {
            Err(client::Error::Refused(errors)) => {
                return Err(refused(number, &errors, is_first));
            }
            data => data?,
        };
        let Receipt { cursor, duplicate } = self.receipt(&data)?;
        let variables = Compaction { topic: &line.topic, up_to: &cursor, snapshot: &line.payload };
        let operation = Operation { query: COMPACT, variables, extensions: None };
        match self.client.ask("snapshot", &operation).await {
            // Where it was imported before, the topic may have gone on since.
            Err(client::Error::Refused(errors)) if !(duplicate && is_replaced(&errors)) => {
                return Err(refused(number, &errors, false));
            }
            Err(client::Error::Refused(_)) => {}
            compacted => drop(compacted?),
        }
        self.done.snapshots += 1;
        Ok(())
    }

    /// Waits for all receipts.
    async fn drain(&mut self) -> Result<(), Error> {
        while !self.under_way.is_empty() {
            let event = self.client.next().await?;
            self.receive(event)?;
        }
        Ok(())
    }

    fn receive(&mut self, event: Event) -> Result<(), Error> {
        let (id, errors) = match event {
            Event::Next { id, result } => match result.data {
                Some(data) if result.errors.is_empty() => {
                    self.receipt(&data)?;
                    self.under_way.remove(&number(&id));
                    return Ok(());
                }
                _ => (id, result.errors),
            },
            Event::Refused { id, errors } => (id, errors),
            Event::Complete | Event::Position(_) => return Ok(()),
        };
        let number = number(&id);
        let sent = self.under_way.remove(&number);
        let is_first = sent.is_some_and(|sent| sent.is_first && !self.append);
        Err(refused(number, &errors, is_first))
    }

    fn receipt(&mut self, data: &RawValue) -> Result<Receipt, Error> {
        let strange = |_| client::Error::Protocol(data.get().chars().take(200).collect());
        let Published { publish } = serde_json::from_str(data.get()).map_err(strange)?;
        if publish.duplicate {
            self.done.duplicates += 1;
        } else {
            self.done.published += 1;
        }
        Ok(publish)
    }
}

fn publish<'a>(line: &'a Line, if_last: Option<&'static str>) -> Operation<'a, Variables<'a>> {
    let variables = Variables {
        topic: &line.topic,
        payload: &line.payload,
        key: line.own_key(),
        headers: line.headers.as_deref(),
        id: line.id(),
        if_last,
    };
    Operation { query: PUBLISH, variables, extensions: None }
}

fn is_replaced(errors: &[Fault]) -> bool {
    let is_gone = |fault: &Fault| matches!(fault.code(), Some("CONFLICT" | "CURSOR_EXPIRED"));
    errors.iter().all(is_gone)
}

/// Ids are numbers of lines; no line is 0.
fn number(id: &str) -> u64 {
    id.parse().unwrap_or_default()
}

fn refused(number: u64, errors: &[Fault], is_first: bool) -> Error {
    let is_conflict = errors.iter().any(|fault| fault.code() == Some("CONFLICT"));
    let reason = if is_first && is_conflict {
        "its topic keeps messages already; purge it, or add to what it keeps with --append"
            .to_owned()
    } else {
        client::listed(errors)
    };
    Error::Failed(format!("line {number}: {reason}"))
}
