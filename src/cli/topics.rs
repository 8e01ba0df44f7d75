//! `tidings topics`: what there is, as a table that follows the broker.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Error;
use super::address::Target;
use super::client::{self, Client, Operation};
use super::output::{Output, print};

/// Shows topics: a live table on a terminal, one table and out elsewhere
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings topics
  tidings topics 'quotes.>' --once
  tidings topics --json | jq .name")]
pub(super) struct Arguments {
    /// Only topics that match
    #[arg(value_name = "MATCH", default_value = ">")]
    matching: String,
    /// Prints one table and ends, on a terminal too
    #[arg(long)]
    once: bool,
    /// Prints one JSON object a topic and ends
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

const QUERY: &str = "query Topics($match: String!, $first: Int!, $after: String) { topics(match: \
                     $match, first: $first, after: $after) { nodes { name messages bytes \
                     subscribers publishedPerSecond deliveredPerSecond lastPublishedAt } pageInfo \
                     { hasNextPage endCursor } } }";

const PAGE: usize = 100;
const EVERY: Duration = Duration::from_secs(1);
/// Lines of a terminal that the table's head and foot take.
const FRAME_LINES: usize = 3;

#[derive(Serialize)]
struct Variables<'a> {
    #[serde(rename = "match")]
    matching: &'a str,
    first: usize,
    after: Option<&'a str>,
}

#[derive(Deserialize)]
struct Data {
    topics: Page,
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

/// One line of the table.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Topic {
    name: String,
    messages: u64,
    bytes: u64,
    subscribers: u64,
    published_per_second: f64,
    delivered_per_second: f64,
    last_published_at: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Error> {
    let (mut client, _) = Client::connect(&arguments.target.address()?).await?;
    if arguments.json {
        let nodes = read(&mut client, &arguments.matching, usize::MAX).await?.0;
        let mut output = Output::new();
        nodes.iter().try_for_each(|node| output.line(node.get()))?;
        client.close().await;
        return output.flush();
    }
    if arguments.once || !std::io::stdout().is_terminal() {
        let (nodes, _) = read(&mut client, &arguments.matching, usize::MAX).await?;
        client.close().await;
        return print(&table(&nodes)?);
    }
    tokio::select! {
        ended = follow(&mut client, &arguments.matching) => ended,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.map_err(|error| Error::Failed(format!("no signals: {error}")))
        }
    }
}

async fn follow(client: &mut Client, matching: &str) -> Result<(), Error> {
    loop {
        let room = terminal_lines().saturating_sub(FRAME_LINES).max(1);
        let (nodes, more) = read(client, matching, room).await?;
        let foot = if more { "… and more" } else { "" };
        // Home, the table, and away with what was below it.
        print(&format!("\x1b[H\x1b[2J{}{foot}", table(&nodes)?))?;
        tokio::time::sleep(EVERY).await;
    }
}

fn terminal_lines() -> usize {
    const USUAL: u16 = 24;
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    usize::from(size.map_or(USUAL, |size| size.ws_row))
}

/// The topics, at most so many, and whether there are more.
async fn read(
    client: &mut Client,
    matching: &str,
    most: usize,
) -> Result<(Vec<Box<RawValue>>, bool), Error> {
    let mut nodes = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let first = PAGE.min(most - nodes.len());
        let variables = Variables { matching, first, after: after.as_deref() };
        let operation = Operation { query: QUERY, variables, extensions: None };
        let data = client.ask("1", &operation).await?;
        let Page { nodes: page, page_info } = parse::<Data>(&data)?.topics;
        nodes.extend(page);
        let PageInfo { has_next_page, end_cursor } = page_info;
        if !has_next_page || end_cursor.is_none() || nodes.len() >= most {
            return Ok((nodes, has_next_page));
        }
        after = end_cursor;
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a RawValue) -> Result<T, client::Error> {
    let strange = |_| client::Error::Protocol(text.get().chars().take(200).collect());
    serde_json::from_str(text.get()).map_err(strange)
}

fn table(nodes: &[Box<RawValue>]) -> Result<String, Error> {
    let head =
        ["TOPIC", "MESSAGES", "BYTES", "SUBSCRIBERS", "PUB/S", "DELIVER/S", "LAST PUBLISHED"];
    let mut rows = vec![head.map(str::to_owned)];
    for node in nodes {
        let topic: Topic = parse(node)?;
        rows.push([
            topic.name,
            topic.messages.to_string(),
            indicatif::BinaryBytes(topic.bytes).to_string(),
            topic.subscribers.to_string(),
            format!("{:.1}", topic.published_per_second),
            format!("{:.1}", topic.delivered_per_second),
            topic.last_published_at.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    Ok(aligned(&rows))
}

/// Names to the left, figures to the right, two spaces between.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            let left = column == 0 || column == N - 1;
            if left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let cells: Vec<String> = cells.collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["TOPIC", "N", "LAST"], ["quotes.AAPL", "10", "-"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "TOPIC         N  LAST\nquotes.AAPL  10  -\n");
    }
}
