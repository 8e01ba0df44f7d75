//! `tidings pub`: one message, or one of every line of standard input.

use std::io::{BufRead, IsTerminal, Read};
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::Error;
use super::address::{Address, Target};
use super::client::{self, Client, Event, Operation};
use super::output::{Output, complain, say};

/// Publishes to a topic
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings pub greetings '\"hello\"'                a JSON string needs its quotes, for the shell too
  tidings pub quotes.AAPL '{\"bid\": 189.5}'
  tidings pub readings - < reading.json          one message
  tidings pub readings --ndjson < readings.ndjson  one message a line, in order")]
pub(super) struct Arguments {
    /// Where to publish
    topic: String,
    /// The message, as JSON; `-` reads it from standard input
    #[arg(
        required_unless_present = "ndjson",
        conflicts_with = "ndjson",
        allow_negative_numbers = true
    )]
    payload: Option<String>,
    /// Publishes every line of standard input
    #[arg(long)]
    ndjson: bool,
    /// Conflation key [default: the topic]
    #[arg(long)]
    key: Option<String>,
    /// Idempotency key: publishing twice with one id gives the first receipt again
    #[arg(long, conflicts_with = "ndjson")]
    id: Option<String>,
    /// Prints receipts as JSON, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// All that a receipt has, in the order of the schema.
const MUTATION: &str = "mutation Publish($topic: String!, $payload: JSON!, $key: String, $id: \
                        String) { publish(topic: $topic, payload: $payload, key: $key, id: $id) \
                        { topic cursor publishedAt duplicate } }";

/// Publishes under way at once: enough to hide the way there and back.
const WINDOW: usize = 256;

#[derive(Serialize)]
struct Variables<'a> {
    topic: &'a str,
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Published {
    publish: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    topic: String,
    cursor: String,
    published_at: String,
    duplicate: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    let address = arguments.target.address()?;
    let Some(payload) = &arguments.payload else {
        return Stream::new(&arguments, &address).await?.run().await;
    };
    let payload = if payload == "-" {
        let text = read_all()?;
        json(&text).map_err(|reason| Error::Failed(format!("standard input is not JSON: {reason}")))
    } else {
        json(payload).map_err(|reason| Error::Usage(advice(&arguments.topic, payload, &reason)))
    }?;
    let (mut client, _) = Client::connect(&address).await?;
    let receipt = client.ask("1", &operation(&arguments, &payload)).await?;
    client.close().await;
    let mut output = Output::new();
    output.line(&receipt_line(&receipt, arguments.json)?)?;
    output.flush()
}

fn operation<'a>(arguments: &'a Arguments, payload: &'a RawValue) -> Operation<'a, Variables<'a>> {
    let variables = Variables {
        topic: &arguments.topic,
        payload,
        key: arguments.key.as_deref(),
        id: arguments.id.as_deref(),
    };
    Operation { query: MUTATION, variables, extensions: None }
}

fn read_all() -> Result<String, Error> {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| Error::Failed(format!("cannot read standard input: {error}")))?;
    Ok(text)
}

fn json(text: &str) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::from_str(text)
}

/// What is wrong with a payload, and how the shell would have passed it on.
fn advice(topic: &str, text: &str, reason: &serde_json::Error) -> String {
    let shown: String = text.chars().take(60).collect();
    let wrong = format!("the payload {shown:?} is not JSON: {reason}");
    if text.trim_start().starts_with(['{', '[', '"']) {
        return format!("{wrong}; as in: tidings pub {topic} '{{\"bid\": 189.5}}'");
    }
    let quoted = serde_json::Value::from(shown).to_string().replace('\'', r"'\''");
    format!("{wrong}; a JSON string needs its quotes: tidings pub {topic} '{quoted}'")
}

fn receipt_line(data: &RawValue, as_json: bool) -> Result<String, Error> {
    let strange = |_| client::Error::Protocol(data.get().chars().take(200).collect());
    let Published { publish } = serde_json::from_str(data.get()).map_err(strange)?;
    if as_json {
        return Ok(publish.get().to_owned());
    }
    let receipt: Receipt = serde_json::from_str(publish.get()).map_err(strange)?;
    let Receipt { topic, cursor, published_at, duplicate } = receipt;
    let mark = if duplicate { "  (published before under this id)" } else { "" };
    Ok(format!("{topic}  {cursor}  {published_at}{mark}"))
}

/// Lines on their way to the broker, many at once, in order.
struct Stream<'a> {
    arguments: &'a Arguments,
    client: Client,
    lines: mpsc::Receiver<Result<String, String>>,
    output: Output,
    bar: ProgressBar,
    /// Lines read, and those of them that need nothing more.
    sent: u64,
    done: u64,
    published: u64,
    failed: u64,
}

impl<'a> Stream<'a> {
    async fn new(arguments: &'a Arguments, address: &Address) -> Result<Self, Error> {
        let (client, _) = Client::connect(address).await?;
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner().with_style(style())
        } else {
            ProgressBar::hidden()
        };
        let (lines, output) = (read_lines(), Output::new());
        Ok(Self {
            arguments,
            client,
            lines,
            output,
            bar,
            sent: 0,
            done: 0,
            published: 0,
            failed: 0,
        })
    }

    async fn run(mut self) -> Result<(), Error> {
        let begun = Instant::now();
        let mut open = true;
        while open || self.done < self.sent {
            let room = open && self.sent - self.done < WINDOW as u64;
            tokio::select! {
                line = self.lines.recv(), if room => match line {
                    Some(line) => self.send(line).await?,
                    None => open = false,
                },
                event = self.client.next(), if self.done < self.sent => self.receive(event?)?,
            }
        }
        self.bar.finish_and_clear();
        self.output.flush()?;
        self.client.close().await;
        let seconds = begun.elapsed().as_secs_f64();
        say(&format!("published {} messages in {seconds:.2} s", self.published));
        if self.failed == 0 {
            return Ok(());
        }
        Err(Error::Failed(format!("{} lines were not published", self.failed)))
    }

    async fn send(&mut self, line: Result<String, String>) -> Result<(), Error> {
        self.sent += 1;
        let line = line.map_err(Error::Failed)?;
        match json(&line) {
            Ok(payload) => {
                let operation = operation(self.arguments, &payload);
                self.client.start(&self.sent.to_string(), &operation).await?;
            }
            Err(_) if line.trim().is_empty() => self.done += 1,
            Err(reason) => {
                self.done += 1;
                self.fail(&self.sent.to_string(), &format!("not JSON: {reason}"));
            }
        }
        Ok(())
    }

    fn receive(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Next { id, result } => match result.data {
                Some(data) if result.errors.is_empty() => {
                    self.published += 1;
                    if self.arguments.json {
                        self.output.line(&receipt_line(&data, true)?)?;
                    }
                }
                _ => self.fail(&id, &client::listed(&result.errors)),
            },
            Event::Refused { id, errors } => {
                self.fail(&id, &client::listed(&errors));
                self.done += 1;
            }
            Event::Complete => {
                self.done += 1;
                self.bar.set_position(self.published);
            }
            Event::Position(_) => {}
        }
        if !self.client.has_unread() {
            self.output.flush()?;
        }
        Ok(())
    }

    fn fail(&mut self, line: &str, reason: &str) {
        self.failed += 1;
        self.bar.suspend(|| complain(&format!("line {line}: {reason}")));
    }
}

fn style() -> ProgressStyle {
    let plain = |_| ProgressStyle::default_spinner();
    ProgressStyle::with_template("{spinner} {human_pos} published, {per_sec}").unwrap_or_else(plain)
}

/// Standard input can only be waited for by a thread of its own.
fn read_lines() -> mpsc::Receiver<Result<String, String>> {
    let (sender, receiver) = mpsc::channel(WINDOW);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| format!("cannot read standard input: {error}"));
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
