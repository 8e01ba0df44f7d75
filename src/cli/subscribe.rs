//! `tidings sub`: messages of some topics, one a line, through every loss of the connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::address::{Address, Target};
use super::client::{self, After, Client, Event, Fault, Operation, Outcome};
use super::output::{Output, say};
use super::{Error, output, socket};
use crate::protocol::close::CloseCode;

/// Prints messages as they come; resumes where it was when the connection is lost
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings sub 'quotes.*'                       from now on; quote wildcards for the shell
  tidings sub quotes.AAPL --last 1             the current value first
  tidings sub '>' --after earliest --json      everything still kept, then live
  tidings sub --query averages.graphql         a subscription of your own")]
pub(super) struct Arguments {
    /// Topics; `*` stands for one token, a last `>` for the rest
    #[arg(value_name = "FILTER", required_unless_present = "query", conflicts_with = "query")]
    filters: Vec<String>,
    /// Begins after this cursor, or with `earliest`
    #[arg(long, value_name = "CURSOR", group = "position")]
    after: Option<String>,
    /// Begins at this time, as in 2026-11-21T14:30:00Z
    #[arg(long, value_name = "TIME", group = "position")]
    since: Option<String>,
    /// Begins with the newest N of every topic
    #[arg(long, value_name = "N", group = "position")]
    last: Option<u32>,
    /// Runs the operation in this file and prints its results as JSON; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "last"])]
    query: Option<PathBuf>,
    /// Prints every message as one JSON object a line
    #[arg(long)]
    json: bool,
    /// Ends after N messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    target: Target,
}

const SUBSCRIPTION: &str = "subscription Sub($topics: [String!]!, $after: Cursor, $since: \
                            DateTime, $last: Int) { messages(topics: $topics, after: $after, \
                            since: $since, last: $last) { topic cursor previous publishedAt key \
                            headers payload snapshot } }";

/// The subscription's id: it is the only operation of its connection.
const ID: &str = "1";

#[derive(Serialize)]
struct Variables<'a> {
    topics: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<u32>,
}

#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(borrow)]
    messages: &'a RawValue,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    topic: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Why one connection's part of the subscription is over.
enum End {
    /// The broker has no more, or enough was seen.
    Done,
    /// The connection went, for a reason that may pass.
    Lost(client::Error),
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    let address = arguments.target.address()?;
    let query = arguments.query.as_deref().map(read_query).transpose()?;
    let subscription = Subscription {
        query: query.as_deref().unwrap_or(SUBSCRIPTION),
        position: arguments.after.clone().filter(|_| query.is_some()),
        arguments: &arguments,
        output: Output::new(),
        seen: 0,
    };
    tokio::select! {
        ended = subscription.run(&address) => ended,
        () = output::closed() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Error::Failed(format!("no signals: {error}")))
        }
    }
}

fn read_query(path: &Path) -> Result<String, Error> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
}

/// A subscription that outlives its connections.
struct Subscription<'a> {
    arguments: &'a Arguments,
    query: &'a str,
    /// Where a new connection goes on; before the first one is there, nothing is missed.
    position: Option<String>,
    output: Output,
    seen: u64,
}

impl Subscription<'_> {
    async fn run(mut self, address: &Address) -> Result<(), Error> {
        let mut connection = Client::connect(address).await?;
        loop {
            match self.follow(connection).await? {
                End::Done => return Ok(()),
                End::Lost(reason) => say(&format!("tidings: {reason}; reconnecting")),
            }
            connection = reconnect(address).await?;
            let from = self.position.as_deref().unwrap_or("the beginning");
            say(&format!("tidings: connected again, going on from {from}"));
        }
    }

    /// Prints what one connection brings.
    async fn follow(&mut self, connection: (Client, Option<String>)) -> Result<End, Error> {
        let (mut client, newest) = connection;
        if let Err(error) = self.start(&mut client).await {
            return or_lost(error);
        }
        let Arguments { after, since, last, .. } = self.arguments;
        if after.is_none() && since.is_none() && last.is_none() && self.position.is_none() {
            // Live only: what the broker has by now is not asked for, what follows is.
            self.position = newest;
        }
        loop {
            match client.next().await {
                Ok(Event::Next { result, .. }) => self.print(&result)?,
                Ok(Event::Position(cursor)) => self.position = Some(cursor),
                Ok(Event::Refused { errors, .. }) => return Err(refused(errors)),
                Ok(Event::Complete) => {
                    self.output.flush()?;
                    client.close().await;
                    return Ok(End::Done);
                }
                Err(error) => {
                    self.output.flush()?;
                    return or_lost(error);
                }
            }
            if self.arguments.count.is_some_and(|count| self.seen >= count) {
                self.output.flush()?;
                client.close().await;
                return Ok(End::Done);
            }
            if !client.has_unread() {
                self.output.flush()?;
            }
        }
    }

    async fn start(&self, client: &mut Client) -> Result<(), client::Error> {
        let extensions = self.position.as_deref().map(|after| After { after });
        let Arguments { filters, after, since, last, .. } = self.arguments;
        let (query, arguments) = (self.query, self.arguments);
        if arguments.query.is_some() {
            return client.start(ID, &Operation { query, variables: (), extensions }).await;
        }
        let variables = Variables {
            topics: filters,
            after: after.as_deref(),
            since: since.as_deref(),
            last: *last,
        };
        client.start(ID, &Operation { query, variables, extensions }).await
    }

    fn print(&mut self, result: &Outcome) -> Result<(), Error> {
        if let Some(dropped) = result.extensions.dropped.filter(|dropped| *dropped > 0) {
            say(&format!("tidings: {dropped} messages before the next one were left out"));
        }
        if let Some(cursor) = &result.extensions.cursor {
            self.position = Some(cursor.clone());
        }
        if !result.errors.is_empty() {
            return Err(refused(result.errors.clone()));
        }
        let Some(data) = &result.data else { return Ok(()) };
        self.seen += 1;
        if self.arguments.query.is_some() {
            return self.output.line(data.get());
        }
        let strange = |_| client::Error::Protocol(data.get().chars().take(200).collect());
        let Messages { messages } = serde_json::from_str(data.get()).map_err(strange)?;
        if self.arguments.json {
            return self.output.line(messages.get());
        }
        let Line { topic, payload } = serde_json::from_str(messages.get()).map_err(strange)?;
        self.output.line(&format!("{topic}  {payload}"))
    }
}

/// What the broker says, and what can be done where a position is lost.
fn refused(errors: Vec<Fault>) -> Error {
    let expired = errors.iter().any(|error| error.code() == Some("CURSOR_EXPIRED"));
    let advice = "messages in between are lost; --after earliest begins with those still kept";
    if expired {
        say(&format!("tidings: {advice}"));
    }
    client::Error::Refused(errors).into()
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Tries until the broker is there again, less and less often.
pub(super) async fn reconnect(address: &Address) -> Result<(Client, Option<String>), Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(jittered(pause)).await;
        match Client::connect(address).await {
            Ok(connection) => return Ok(connection),
            Err(error) if may_pass(&error) => {}
            Err(error) => return Err(error.into()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Half to all of a pause, so that many clients do not come back in step.
fn jittered(pause: Duration) -> Duration {
    let mut random = [u8::MAX];
    // Without a source of randomness the whole pause is right.
    let _ = getrandom::fill(&mut random);
    pause / 2 + pause / 2 * u32::from(random[0]) / u32::from(u8::MAX)
}

fn or_lost(error: client::Error) -> Result<End, Error> {
    if may_pass(&error) { Ok(End::Lost(error)) } else { Err(error.into()) }
}

/// Is it worth to come back?
pub(super) fn may_pass(error: &client::Error) -> bool {
    match error {
        client::Error::Closed { code, .. } => match CloseCode::from_number(*code) {
            // Nothing more comes; and the token that was refused is the only one there is.
            Some(CloseCode::Normal | CloseCode::Forbidden) => false,
            Some(code) => code.may_return(),
            // Not the broker's: the connection broke, or a proxy's did.
            None => matches!(code, 1005 | 1006 | 1014),
        },
        client::Error::NoAck => true,
        client::Error::Socket(error) => match error {
            socket::Error::Refused(_)
            | socket::Error::Unreachable { .. }
            | socket::Error::Silent { .. }
            | socket::Error::Lost(_) => true,
            socket::Error::Status { status, .. } => status.starts_with("503"),
            socket::Error::Authorities(_)
            | socket::Error::Tls { .. }
            | socket::Error::Accept { .. }
            | socket::Error::Protocol(_) => false,
        },
        client::Error::Protocol(_) | client::Error::Refused(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again() {
        let closed = |code| client::Error::Closed { code, reason: String::new() };
        for code in [1001, 1005, 1006, 1012, 1013, 1014, 4408] {
            assert!(may_pass(&closed(code)), "{code}");
        }
        for code in [1000, 1002, 1008, 1011, 4400, 4401, 4403, 4406, 4409, 4429] {
            assert!(!may_pass(&closed(code)), "{code}");
        }
        let status = |status: &str| {
            let (authority, status, body) = (String::new(), status.to_owned(), String::new());
            client::Error::Socket(socket::Error::Status { authority, status, body })
        };
        assert!(may_pass(&status("503 Service Unavailable")));
        assert!(!may_pass(&status("403 Forbidden")));
    }

    #[test]
    fn a_pause_is_half_to_all_of_what_it_may_be() {
        for _ in 0..100 {
            let pause = jittered(LONGEST_PAUSE);
            assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&pause), "{pause:?}");
        }
    }
}
