//! The configuration becomes the options of each folder: at the start, and again at each reload.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::rules::{Overflow, TopicRule};
use crate::broker::{self, feed};
use crate::config::{self, Config};
use crate::connection::{self, registry};
use crate::engine::retention::{Keep, Retention, Rule};
use crate::engine::{Bounds, disk, memory};
use crate::graphql::typed::Typed;
use crate::message::json::Json;
use crate::{graphql, server};

/// Pings keep connections alive through proxies, whose usual patience is 30 s and more.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// How long a closing handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Publishes whose ids are remembered at once.
const IDEMPOTENCY_IDS_MAX: usize = 1_000_000;
/// Bytes of parsed documents, of documents known by hash, and of encoded results, that stay.
const DOCUMENTS_BYTES: u64 = 64 << 20;
const PERSISTED_BYTES: u64 = 8 << 20;
const ENCODINGS_BYTES: u64 = 32 << 20;

/// Threads that own connections.
pub(super) fn shards(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = size(config.server.shards);
    if asked == 0 { cores } else { asked }.min(feed::SHARDS_MAX)
}

pub(super) fn broker(config: &Config, typed: &Typed, node: Arc<str>) -> broker::Options {
    let rule = |rule: &config::TopicRule| TopicRule {
        filter: rule.matching.clone(),
        overflow: match rule.overflow {
            config::Overflow::Disconnect => Overflow::Disconnect,
            config::Overflow::DropOldest => Overflow::DropOldest,
            config::Overflow::Conflate => Overflow::Conflate,
        },
        presence: rule.presence,
        ty: None,
    };
    broker::Options {
        shards: shards(config),
        payload_bytes_max: size(config.limits.payload_bytes),
        publishes_per_second_max: u32::try_from(config.limits.publish_per_second)
            .unwrap_or(u32::MAX),
        encodings_bytes: ENCODINGS_BYTES,
        // What a schema says of its topics comes before what the file says of filters.
        topic_rules: typed
            .topic_rules()
            .into_iter()
            .chain(config.topics.iter().map(rule))
            .collect(),
        node,
    }
}

/// What is kept of each topic.
pub(super) fn retention(config: &Config, typed: &Typed) -> Retention {
    let keep = |keep: config::Keep| Keep { last: keep.last, age: keep.age, bytes: keep.bytes };
    let rule = |rule: &config::TopicRule| Rule {
        filter: rule.matching.clone(),
        keep: keep(rule.keep.unwrap_or(config.keep)),
        conflate: rule.overflow == config::Overflow::Conflate,
        durable: true,
    };
    let default = keep(config.keep);
    let general: Vec<Rule> = config.topics.iter().map(rule).collect();
    let rules = [typed.retention(&general, default), general].concat();
    Retention { rules, default }
}

/// What is kept of all topics together.
pub(super) fn bounds(config: &Config) -> Bounds {
    Bounds {
        memory_bytes: match config.data.dir {
            Some(_) => config.data.bytes,
            None => config.limits.memory_bytes,
        },
        volatile_bytes: config.limits.memory_bytes,
        idempotency_window: config.limits.idempotency_window,
        idempotency_ids_max: IDEMPOTENCY_IDS_MAX,
    }
}

/// The durable log, in its folder.
pub(super) fn disk(config: &Config, folder: &Path, memory: memory::Options) -> disk::Options {
    let memory::Options { epoch, retention, bounds, clock } = memory;
    let data = &config.data;
    disk::Options {
        folder: folder.to_owned(),
        epoch,
        retention,
        bounds,
        clock,
        sync: match data.sync {
            config::Sync::Always => disk::Sync::Always,
            config::Sync::Interval => disk::Sync::Interval(data.sync_interval),
            config::Sync::Never => disk::Sync::Never,
        },
        free_bytes_min: data.free_bytes,
        accept_loss: data.accept_loss,
    }
}

pub(super) fn registry(config: &Config) -> registry::Limits {
    registry::Limits {
        connections: size(config.limits.connections),
        connections_per_address: size(config.limits.connections_per_address),
    }
}

pub(super) fn graphql(config: &Config) -> graphql::Options {
    graphql::Options {
        limits: graphql::limits::Limits {
            depth: size(config.limits.query_depth),
            complexity: size(config.limits.query_complexity),
            aliases: size(config.limits.query_aliases),
        },
        documents_bytes: DOCUMENTS_BYTES,
        persisted_bytes: PERSISTED_BYTES,
        shown_limits: shown_limits(&config.limits),
    }
}

/// The limits as clients may see them: bytes, counts and seconds.
fn shown_limits(limits: &config::Limits) -> Json {
    Json::from_value(&serde_json::json!({
        "connections": limits.connections,
        "connections_per_address": limits.connections_per_address,
        "init_timeout": limits.init_timeout.as_secs_f64(),
        "idle_timeout": limits.idle_timeout.as_secs_f64(),
        "subscriptions_per_connection": limits.subscriptions_per_connection,
        "message_bytes": limits.message_bytes,
        "payload_bytes": limits.payload_bytes,
        "outbox_bytes": limits.outbox_bytes,
        "outbox_messages": limits.outbox_messages,
        "query_depth": limits.query_depth,
        "query_complexity": limits.query_complexity,
        "query_aliases": limits.query_aliases,
        "publish_per_second": limits.publish_per_second,
        "memory_bytes": limits.memory_bytes,
        "drain_timeout": limits.drain_timeout.as_secs_f64(),
        "idempotency_window": limits.idempotency_window.as_secs_f64(),
    }))
}

/// What connections are held to.
pub(super) fn connection(config: &Config) -> connection::Options {
    connection::Options {
        outbox_bytes_max: size(config.limits.outbox_bytes),
        outbox_messages_max: size(config.limits.outbox_messages),
        message_bytes_max: size(config.limits.message_bytes),
        subscriptions_max: size(config.limits.subscriptions_per_connection),
        init_timeout: config.limits.init_timeout,
        idle_timeout: config.limits.idle_timeout,
        ping_interval: PING_INTERVAL,
        close_timeout: CLOSE_TIMEOUT,
        echo: false,
        version: env!("CARGO_PKG_VERSION"),
    }
}

pub(super) fn server(config: &Config, tls: Option<Arc<rustls::ServerConfig>>) -> server::Options {
    server::Options {
        listen: config.server.listen,
        admin_listen: config.server.admin_listen,
        origins: config.server.origins.clone(),
        compression: config.server.compression,
        body_bytes_max: size(config.limits.message_bytes),
        request_timeout: config.limits.init_timeout,
        idle_timeout: config.limits.idle_timeout,
        drain_timeout: config.limits.drain_timeout,
        tls,
    }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
