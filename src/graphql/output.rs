//! What the broker reports, as nodes of the schema's types.

use super::Services;
use super::node::Node;
use crate::broker::directory::{ConnectionPage, ConnectionReport};
use crate::broker::history::Page;
use crate::broker::presence::{Member, PresenceEvent, PresenceKind};
use crate::broker::report::Stats;
use crate::broker::topics::{TopicPage, TopicReport};
use crate::engine::histogram::HistogramSnapshot;
use crate::message::time::Timestamp;

/// `Broker`
pub fn broker(services: &Services) -> Node {
    let broker = &services.broker;
    let head = broker.head().to_string();
    // Every cursor begins with the epoch of its log.
    let epoch = head.split('-').next().unwrap_or_default();
    Node::Object(vec![
        ("version", Node::text(env!("CARGO_PKG_VERSION"))),
        ("node", Node::text(broker.node())),
        ("engine", Node::text(broker.engine_name())),
        ("startedAt", Node::plain(broker.started_at())),
        ("epoch", Node::plain(epoch)),
        ("limits", Node::optional_json(Some(&services.limits.load()))),
    ])
}

/// `Topic`
pub fn topic(report: &TopicReport) -> Node {
    Node::Object(vec![
        ("name", Node::text(report.topic.as_str())),
        ("messages", Node::count(report.messages)),
        ("bytes", Node::count(report.bytes)),
        ("first", Node::optional_plain(report.first)),
        ("last", Node::optional_plain(report.last)),
        ("lastPublishedAt", Node::optional_plain(report.last_published_at)),
        ("subscribers", Node::count(report.subscribers)),
        ("type", report.ty.as_ref().map_or(Node::Null, |ty| Node::text(&ty.name))),
        ("publishedPerSecond", rate(report.published_per_second)),
        ("deliveredPerSecond", rate(report.delivered_per_second)),
    ])
}

/// `TopicConnection`
pub fn topics(page: &TopicPage, has_previous: bool) -> Node {
    let items = page.topics.iter().map(|report| (topic(report), Node::text(report.topic.as_str())));
    connection(items, page.has_next, has_previous)
}

/// `MessageConnection`
pub fn messages(page: &Page) -> Node {
    let items = page.messages.iter();
    let items = items.map(|message| (Node::Message(message.clone()), Node::plain(message.cursor)));
    connection(items, page.has_next, page.has_previous)
}

/// `ConnectionConnection`
pub fn connections(page: &ConnectionPage, has_previous: bool) -> Node {
    let items = page.connections.iter().map(|report| (client(report), Node::text(&report.id)));
    let mut fields = connection_fields(items, page.has_next, has_previous);
    fields.push(("totalCount", Node::count(page.total)));
    Node::Object(fields)
}

/// `Member`
pub fn member(member: &Member) -> Node {
    Node::Object(vec![
        ("connection", Node::text(&member.connection)),
        ("subject", Node::optional_text(member.subject.as_deref())),
        ("state", Node::optional_json(member.state.as_ref())),
        ("joinedAt", Node::plain(member.joined_at)),
    ])
}

/// `PresenceEvent`
pub fn presence_event(event: &PresenceEvent) -> Node {
    let kind = match event.kind {
        PresenceKind::Present => "PRESENT",
        PresenceKind::Joined => "JOINED",
        PresenceKind::Updated => "UPDATED",
        PresenceKind::Left => "LEFT",
    };
    Node::Object(vec![("kind", Node::plain(kind)), ("member", member(&event.member))])
}

/// `Stats`, with the delivery times since an earlier report.
pub fn stats(stats: &Stats, at: Timestamp, before: &HistogramSnapshot) -> Node {
    const LONGEST_SECONDS: f64 = 3600.0;
    let millis = |share| {
        let seconds = stats.delivery_seconds.quantile_since(before, share);
        // The last bucket has no upper bound, but JSON has no infinity.
        Node::float(seconds.min(LONGEST_SECONDS) * 1e3)
    };
    Node::Object(vec![
        ("at", Node::plain(at)),
        ("connections", Node::count(stats.connections)),
        ("subscriptions", Node::count(stats.subscriptions)),
        ("feeds", Node::count(stats.feeds)),
        ("projections", Node::count(stats.projections)),
        ("topics", Node::count(stats.topics)),
        ("publishedPerSecond", rate(stats.published_per_second)),
        ("deliveredPerSecond", rate(stats.delivered_per_second)),
        ("droppedPerSecond", rate(stats.dropped_per_second)),
        ("outboxBytes", rate(stats.outbox_bytes)),
        ("keptBytes", rate(stats.kept_bytes)),
        ("deliveryP50Ms", millis(0.5)),
        ("deliveryP99Ms", millis(0.99)),
    ])
}

/// `Connection`
fn client(report: &ConnectionReport) -> Node {
    Node::Object(vec![
        ("id", Node::text(&report.id)),
        ("subject", Node::optional_text(report.subject.as_deref())),
        ("remote", Node::text(&report.remote)),
        ("protocol", Node::text(report.protocol)),
        ("since", Node::plain(report.since)),
        ("subscriptions", Node::count(report.subscriptions)),
        ("outboxBytes", Node::count(report.outbox_bytes)),
        ("dropped", Node::count(report.dropped)),
    ])
}

/// A connection of Relay's.
fn connection(
    items: impl Iterator<Item = (Node, Node)>,
    has_next: bool,
    has_previous: bool,
) -> Node {
    Node::Object(connection_fields(items, has_next, has_previous))
}

fn connection_fields(
    items: impl Iterator<Item = (Node, Node)>,
    has_next: bool,
    has_previous: bool,
) -> Vec<(&'static str, Node)> {
    let (nodes, cursors): (Vec<Node>, Vec<Node>) = items.unzip();
    let page_info = Node::Object(vec![
        ("hasNextPage", Node::flag(has_next)),
        ("hasPreviousPage", Node::flag(has_previous)),
        ("startCursor", cursors.first().cloned().unwrap_or(Node::Null)),
        ("endCursor", cursors.last().cloned().unwrap_or(Node::Null)),
    ]);
    let edges = nodes.iter().cloned().zip(cursors);
    let edges = edges.map(|(node, cursor)| Node::Object(vec![("node", node), ("cursor", cursor)]));
    let edges = Node::List(edges.collect());
    vec![("edges", edges), ("nodes", Node::List(nodes)), ("pageInfo", page_info)]
}

/// A count where the schema has a `Float`.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn rate(count: u64) -> Node {
    Node::float(count as f64)
}
