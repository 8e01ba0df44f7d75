//! `tidings export`: what topics keep, one message a line.

mod sink;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::sink::Sink;
use super::Error;
use super::address::{Address, Target};
use super::client::{self, Client, Fault, Operation};
use super::output::say;
use super::subscribe::{may_pass, reconnect};

/// Writes the messages that topics keep, one JSON object a line
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings export --output backup.ndjson        everything, as of now
  tidings export 'documents.>' > documents.ndjson
  tidings export | tidings import --url http://127.0.0.1:5000

Each line has topic, cursor, publishedAt, key, headers, payload and snapshot, in the order of the
log. `tidings import` takes it back.")]
pub(super) struct Arguments {
    /// Topics; `*` stands for one token, a last `>` for the rest
    #[arg(value_name = "FILTER", default_value = ">")]
    filters: Vec<String>,
    /// Writes to this file, which is replaced when the export is whole
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

const PAGE: &str = "query Export($topics: [String!]!, $first: Int!, $after: Cursor, $since: \
                    DateTime) { history(topics: $topics, first: $first, after: $after, since: \
                    $since) { nodes { topic cursor publishedAt key headers payload snapshot } \
                    pageInfo { hasNextPage endCursor } } }";
const NEWEST: &str = "query Newest($topics: [String!]!) { history(topics: $topics, last: 1) { \
                      nodes { cursor } pageInfo { hasNextPage endCursor } } }";
const COUNTS: &str = "query Counts($match: String!, $after: String) { topics(match: $match, first: \
                      1000, after: $after) { nodes { messages } pageInfo { hasNextPage endCursor \
                      } } }";

/// Messages in one answer; the broker ends a page at 16 MiB, too.
const PAGE_MESSAGES: usize = 1000;
/// How often in a row the broker may forget what is just being read.
const LOSSES_MAX: u32 = 20;
/// Pages of topics that are counted to draw a bar; a spinner does for more.
const COUNTED_PAGES_MAX: usize = 20;

#[derive(Serialize, Default)]
struct Variables<'a> {
    topics: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<&'a str>,
}

#[derive(Serialize)]
struct Matching<'a> {
    #[serde(rename = "match")]
    filter: &'a str,
    after: Option<&'a str>,
}

#[derive(Deserialize)]
struct History {
    history: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    nodes: Vec<Box<RawValue>>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    topics: CountsPage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CountsPage {
    nodes: Vec<Count>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
struct Count {
    messages: u64,
}

/// What of a message decides where the export stands.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node<'a> {
    #[serde(borrow)]
    cursor: Cow<'a, str>,
    #[serde(borrow)]
    published_at: Cow<'a, str>,
    snapshot: bool,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    let address = arguments.target.address()?;
    let begun = Instant::now();
    let export = Export::new(&arguments, &address).await?;
    let done = tokio::select! {
        done = export.run() => done?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Error::Failed(format!("no signals: {error}")))?;
            return Err(Error::Failed("interrupted: the export is not whole".to_owned()));
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let Done { messages, snapshots, losses } = done;
    say(&format!("exported {messages} messages, {snapshots} of them snapshots, in {seconds:.2} s"));
    if losses > 0 {
        say(
            "tidings: while this ran, the broker forgot messages or put snapshots in their place; \
             what was not exported by then is missing, or stands in its snapshot",
        );
    }
    Ok(())
}

/// How an export went.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    messages: u64,
    snapshots: u64,
    losses: u32,
}

/// An export on its way.
struct Export<'a> {
    filters: &'a [String],
    address: &'a Address,
    client: Client,
    sink: Sink,
    bar: ProgressBar,
    /// It ends with this message, the newest when it began: or when all later ones are out, too,
    /// if this one goes meanwhile.
    end: Option<String>,
    place: Place,
    done: Done,
}

/// How far an export has come.
#[derive(Default)]
struct Place {
    /// The next page comes after this message,
    after: Option<String>,
    /// or, where others have gone, it has what was accepted since the newest message that is out.
    /// So often in a row it was not served.
    lost: u32,
    /// When the newest message that is out was accepted,
    published_at: String,
    /// and all that are out and were accepted then.
    cursors: Vec<String>,
}

impl<'a> Export<'a> {
    async fn new(arguments: &'a Arguments, address: &'a Address) -> Result<Self, Error> {
        let (mut client, _) = Client::connect(address).await?;
        let filters = &arguments.filters;
        let bar = if std::io::stderr().is_terminal() {
            bar(count(&mut client, filters).await?)
        } else {
            ProgressBar::hidden()
        };
        Ok(Self {
            filters,
            address,
            sink: Sink::new(arguments.output.as_deref())?,
            end: newest(&mut client, filters).await?,
            client,
            bar,
            place: Place::default(),
            done: Done::default(),
        })
    }

    async fn run(mut self) -> Result<Done, Error> {
        let mut is_over = self.end.is_none();
        while !is_over {
            let overlaps = self.place.lost > 0;
            let Some(page) = self.page().await? else { continue };
            is_over = !page.page_info.has_next_page;
            for node in &page.nodes {
                if self.write(node, overlaps)? {
                    is_over = true;
                    break;
                }
            }
            self.place.after = page.page_info.end_cursor.or(self.place.after);
            self.sink.flush()?;
            self.bar.set_position(self.done.messages);
        }
        self.bar.finish_and_clear();
        self.sink.finish()?;
        self.client.close().await;
        Ok(self.done)
    }

    /// The next page; `None` when it has to be asked for again.
    async fn page(&mut self) -> Result<Option<Page>, Error> {
        let place = &self.place;
        let is_lost = place.lost > 0;
        let after = place.after.as_deref().filter(|_| !is_lost);
        let since = Some(&*place.published_at).filter(|time| is_lost && !time.is_empty());
        let variables =
            Variables { topics: self.filters, first: Some(PAGE_MESSAGES), after, since };
        match ask::<History, _>(&mut self.client, PAGE, variables).await {
            Ok(History { history }) => {
                self.place.lost = 0;
                Ok(Some(history))
            }
            Err(client::Error::Refused(errors)) => self.refused(errors).await.map(|()| None),
            Err(error) if may_pass(&error) => {
                self.bar.suspend(|| say(&format!("tidings: {error}; reconnecting")));
                self.client = reconnect(self.address).await?.0;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where a message after the last one out is gone, goes on with what is still kept.
    async fn refused(&mut self, errors: Vec<Fault>) -> Result<(), Error> {
        let Some(fault) = errors.iter().find(|fault| fault.code() == Some("CURSOR_EXPIRED")) else {
            return Err(client::Error::Refused(errors).into());
        };
        if fault.earliest().is_none() {
            let reason = "the broker was started anew, its log is another one: export again";
            return Err(Error::Failed(reason.to_owned()));
        }
        self.done.losses += 1;
        self.place.lost += 1;
        if self.place.lost > LOSSES_MAX {
            let reason = "the broker forgets messages faster than they are read";
            return Err(Error::Failed(reason.to_owned()));
        }
        // A snapshot may be beyond the end, and stand for what comes before it.
        self.end = newest(&mut self.client, self.filters).await?;
        Ok(())
    }

    /// Writes a message that is not out yet; true when it was the last one.
    fn write(&mut self, node: &RawValue, overlaps: bool) -> Result<bool, Error> {
        let Node { cursor, published_at, snapshot } = parse(node)?;
        if overlaps && self.place.is_out(&cursor, &published_at) {
            return Ok(false);
        }
        self.place.note(&cursor, &published_at);
        self.sink.line(node.get())?;
        self.done.messages += 1;
        self.done.snapshots += u64::from(snapshot);
        Ok(self.end.as_deref() == Some(&*cursor))
    }
}

impl Place {
    /// Times of one broker have one form, and order as texts.
    fn is_out(&self, cursor: &str, published_at: &str) -> bool {
        match published_at.cmp(&self.published_at) {
            Ordering::Less => true,
            Ordering::Equal => self.cursors.iter().any(|out| out == cursor),
            Ordering::Greater => false,
        }
    }

    fn note(&mut self, cursor: &str, published_at: &str) {
        if self.published_at != published_at {
            self.cursors.clear();
            published_at.clone_into(&mut self.published_at);
        }
        self.cursors.push(cursor.to_owned());
    }
}

async fn newest(client: &mut Client, filters: &[String]) -> Result<Option<String>, Error> {
    let variables = Variables { topics: filters, ..Variables::default() };
    let History { history } = ask(client, NEWEST, variables).await?;
    Ok(history.page_info.end_cursor)
}

/// How many messages there are; `None` where it takes long to count them.
async fn count(client: &mut Client, filters: &[String]) -> Result<Option<u64>, Error> {
    let (mut pages, mut messages) = (0, 0);
    for filter in filters {
        let mut after = None;
        loop {
            let variables = Matching { filter, after: after.as_deref() };
            let Counts { topics } = ask(client, COUNTS, variables).await?;
            messages += topics.nodes.iter().map(|node| node.messages).sum::<u64>();
            pages += 1;
            if pages > COUNTED_PAGES_MAX {
                return Ok(None);
            }
            if !topics.page_info.has_next_page {
                break;
            }
            after = topics.page_info.end_cursor;
        }
    }
    Ok(Some(messages))
}

async fn ask<T, V>(client: &mut Client, query: &str, variables: V) -> Result<T, client::Error>
where
    T: for<'d> Deserialize<'d>,
    V: Serialize,
{
    let operation = Operation { query, variables, extensions: None };
    let data = client.ask("1", &operation).await?;
    parse(&data)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a RawValue) -> Result<T, client::Error> {
    let strange = |_| client::Error::Protocol(text.get().chars().take(200).collect());
    serde_json::from_str(text.get()).map_err(strange)
}

const REDRAW: Duration = Duration::from_millis(100);

fn bar(messages: Option<u64>) -> ProgressBar {
    let style = |template, otherwise: fn() -> ProgressStyle| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| otherwise())
    };
    let bar = match messages {
        Some(messages) => ProgressBar::new(messages).with_style(style(
            "{wide_bar} {human_pos} of {human_len} messages, {per_sec}, {eta} left",
            ProgressStyle::default_bar,
        )),
        None => ProgressBar::new_spinner().with_style(style(
            "{spinner} {human_pos} messages, {per_sec}",
            ProgressStyle::default_spinner,
        )),
    };
    bar.enable_steady_tick(REDRAW);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_is_told_from_what_is_not() {
        let mut place = Place::default();
        assert!(!place.is_out("e-1", "2026-01-01T00:00:00.000000Z"));
        for (cursor, second) in [("e-1", 1), ("e-2", 2), ("e-4", 2)] {
            place.note(cursor, &format!("2026-01-01T00:00:0{second}.000000Z"));
        }
        let out =
            |cursor, second| place.is_out(cursor, &format!("2026-01-01T00:00:0{second}.000000Z"));
        assert!(out("e-1", 1) && out("e-2", 2) && out("e-4", 2));
        assert!(!out("e-3", 2) && !out("e-5", 2) && !out("e-6", 3));
    }
}
