//! `tidings serve`: the configuration becomes the options of each folder, the layers are put
//! together from the bottom up, and signals end it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::settings::Settings;
use super::{Error, output, tls};
use crate::broker::rules::{Overflow, TopicRule};
use crate::broker::{self, Base, Broker};
use crate::config::{self, Config};
use crate::connection::registry::{self, Registry};
use crate::connection::{self, Shards};
use crate::engine::memory::{self, Memory};
use crate::engine::retention::{Keep, Retention, Rule};
use crate::graphql::definition::Definition;
use crate::graphql::sdl::model::Model;
use crate::graphql::{self, Schema};
use crate::message::cursor::Epoch;
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::server::{self, Handle, Layers};
use crate::telemetry;

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

/// Serves until it is asked to stop; so does no command at all
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings                                        on 127.0.0.1:4000, messages in memory
  tidings serve --listen 127.0.0.1:0             a free port; the line it prints has it
  tidings serve --config /etc/tidings.toml --set limits.connections=200000")]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = arguments.settings.load()?;
    telemetry::start_log(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(serve(&config)).map_err(Error::Failed)
}

async fn serve(config: &Config) -> Result<(), String> {
    let mut signals =
        Signals::new(config).map_err(|error| format!("cannot wait for signals: {error}"))?;
    let handle = start(config)?;
    let admin = handle.admin_address.map(|admin| format!(" (admin on http://{admin})"));
    let scheme = if config.server.tls_cert.is_some() { "https" } else { "http" };
    let (address, admin) = (handle.address, admin.unwrap_or_default());
    let line = format!("tidings serves on {scheme}://{address}{admin}");
    if output::print(&format!("{line}\n")).is_err() {
        tracing::info!("{line}");
    }
    while signals.next().await == Asked::Reload {
        reload(config, &handle);
    }
    tracing::info!("draining; a second signal stops at once");
    tokio::select! {
        () = handle.drain() => {}
        () = signals.stop() => {}
    }
    Ok(())
}

/// Reads anew what can change while it serves. What is wrong changes nothing.
fn reload(config: &Config, handle: &Handle) {
    match tls::server(config) {
        Ok(Some(tls)) => {
            handle.renew_tls(tls);
            tracing::info!("the certificate was read anew; new connections get it");
        }
        Ok(None) => {}
        Err(error) => tracing::error!("the certificate stays as it was: {error}"),
    }
}

/// Puts the layers together and listens.
pub fn start(config: &Config) -> Result<Handle, String> {
    start_with(config, &connection_options(config))
}

/// The same, with connections held to something else.
pub fn start_with(config: &Config, connection: &connection::Options) -> Result<Handle, String> {
    let layers = assemble(config)?;
    let Layers { broker, schema, registry } = &layers;
    let shards = Shards::start(shards(config), broker, schema, registry, connection)
        .map_err(|error| error.to_string())?;
    let exposition = telemetry::exposition(broker.clone());
    let server = server::Options {
        listen: config.server.listen,
        admin_listen: config.server.admin_listen,
        origins: config.server.origins.clone(),
        compression: config.server.compression,
        body_bytes_max: size(config.limits.message_bytes),
        request_timeout: config.limits.init_timeout,
        idle_timeout: config.limits.idle_timeout,
        drain_timeout: config.limits.drain_timeout,
        tls: tls::server(config)?,
    };
    Handle::start(layers, shards, server, exposition).map_err(|error| error.to_string())
}

/// The layers below the sockets.
pub(super) fn assemble(config: &Config) -> Result<Layers, String> {
    let shards = shards(config);
    let definition = Definition::new(&Model::default()).map_err(|error| error.to_string())?;
    let options = broker_options(config, &definition, shards)?;
    let base = Base::new(&options, Instant::now());
    let engine = Memory::new(engine_options(config, &definition)?, base.feeds.clone());
    let broker = Arc::new(Broker::new(engine, base, options, system_time()));
    let registry = Arc::new(Registry::new(registry_limits(config), shards));
    let schema =
        Schema::new(broker.clone(), registry.clone(), definition, &graphql_options(config));
    Ok(Layers { broker, schema, registry })
}

fn shards(config: &Config) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = size(config.server.shards);
    if asked == 0 { cores } else { asked }.min(broker::feed::SHARDS_MAX)
}

fn broker_options(
    config: &Config,
    definition: &Definition,
    shards: usize,
) -> Result<broker::Options, String> {
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
    Ok(broker::Options {
        shards,
        payload_bytes_max: size(config.limits.payload_bytes),
        publishes_per_second_max: u32::try_from(config.limits.publish_per_second)
            .unwrap_or(u32::MAX),
        encodings_bytes: ENCODINGS_BYTES,
        // What a schema says of its topics comes before what the file says of filters.
        topic_rules: definition
            .typed
            .topic_rules()
            .into_iter()
            .chain(config.topics.iter().map(rule))
            .collect(),
        node: format!("{:08x}", random()? >> 32).into(),
    })
}

fn engine_options(config: &Config, definition: &Definition) -> Result<memory::Options, String> {
    let keep = |keep: config::Keep| Keep { last: keep.last, age: keep.age, bytes: keep.bytes };
    let rule = |rule: &config::TopicRule| Rule {
        filter: rule.matching.clone(),
        keep: keep(rule.keep.unwrap_or(config.keep)),
        conflate: rule.overflow == config::Overflow::Conflate,
    };
    Ok(memory::Options {
        epoch: Epoch::new(random()?),
        retention: Retention {
            rules: definition
                .typed
                .retention(keep(config.keep))
                .into_iter()
                .chain(config.topics.iter().map(rule))
                .collect(),
            default: keep(config.keep),
        },
        memory_bytes: config.limits.memory_bytes,
        idempotency_window: config.limits.idempotency_window,
        idempotency_ids_max: IDEMPOTENCY_IDS_MAX,
        clock: Arc::new(system_time),
    })
}

fn registry_limits(config: &Config) -> registry::Limits {
    registry::Limits {
        connections: size(config.limits.connections),
        connections_per_address: size(config.limits.connections_per_address),
    }
}

fn graphql_options(config: &Config) -> graphql::Options {
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
pub fn connection_options(config: &Config) -> connection::Options {
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

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn random() -> Result<u64, String> {
    getrandom::u64().map_err(|error| format!("the system gives no random numbers: {error}"))
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Stop,
    Reload,
}

/// The signals that ask for something.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Only where there is something to read anew: otherwise it ends the program, as it ends
    /// others when their terminal is closed.
    hangup: Option<Signal>,
}

impl Signals {
    fn new(config: &Config) -> std::io::Result<Self> {
        let can_reload = config.server.tls_cert.is_some();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: can_reload.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = hangup => Asked::Reload,
        }
    }

    async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
