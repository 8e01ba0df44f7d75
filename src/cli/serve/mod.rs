//! `tidings serve`: the configuration becomes the options of each folder, the layers are put
//! together from the bottom up, and signals change or end it.

mod inputs;
mod options;
mod reload;
mod signals;
mod watch;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::Args;

use super::settings::Settings;
use super::{Error, folder, output, tls};
use crate::broker::{Base, Broker};
use crate::config::Config;
use crate::connection::registry::Registry;
use crate::connection::{self, Shards};
use crate::engine::Engine;
use crate::engine::disk::Disk;
use crate::engine::memory::{self, Memory};
use crate::graphql::Schema;
use crate::graphql::definition::Definition;
use crate::graphql::sdl::model::Model;
use crate::message::cursor::Epoch;
use crate::message::time::Timestamp;
use crate::server::{Handle, Layers};
use crate::telemetry;
use reload::Running;
use signals::{Asked, Signals};
use watch::Watch;

/// Serves until it is asked to stop; so does no command at all
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidings                                        on 127.0.0.1:4000, messages in memory
  tidings serve --listen 127.0.0.1:0             a free port; the line it prints has it
  tidings serve --config /etc/tidings.toml --set limits.connections=200000
  tidings serve --data /var/lib/tidings          messages survive restarts and power losses
  tidings serve --schema schema/ --watch         typed topics, reloaded when a file changes")]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    let config = arguments.settings.load()?;
    let log = telemetry::start_log(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(serve(&arguments.settings, config, log)).map_err(Error::Failed)
}

async fn serve(
    settings: &Settings,
    config: Config,
    log: telemetry::LogLevel,
) -> Result<(), String> {
    let mut signals =
        Signals::new().map_err(|error| format!("cannot wait for signals: {error}"))?;
    let mut running = Running::start(settings, config, log)?;
    let Handle { address, admin_address, .. } = running.handle;
    let admin = admin_address.map(|admin| format!(" (admin on http://{admin})"));
    let scheme = if running.config.server.tls_cert.is_some() { "https" } else { "http" };
    let line = format!("tidings serves on {scheme}://{address}{}", admin.unwrap_or_default());
    if output::print(&format!("{line}\n")).is_err() {
        tracing::info!("{line}");
    }
    change(&mut running, &mut signals).await;
    tracing::info!("draining; a second signal stops at once");
    tokio::select! {
        () = running.handle.drain() => {}
        () = signals.stop() => {}
    }
    Ok(())
}

/// Reloads when a signal or a file says so, until it is to stop.
async fn change(running: &mut Running<'_>, signals: &mut Signals) {
    let mut watch = Watch::new();
    loop {
        let folders = running.watched();
        watch.follow(&folders);
        // Watched before it is looked at: no change falls between the two.
        if !folders.is_empty() && running.is_outdated() {
            watch.stir();
        }
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return,
                Asked::Reload => running.reload().await,
            },
            () = watch.changed() => running.reload_if_outdated().await,
        }
    }
}

/// Puts the layers together and listens.
pub fn start(config: &Config) -> Result<Handle, String> {
    start_with(config, &connection_options(config))
}

/// The same, with connections held to something else.
pub fn start_with(config: &Config, connection: &connection::Options) -> Result<Handle, String> {
    listen(config, Declared::load(config)?.definition, connection)
}

/// What connections are held to.
pub fn connection_options(config: &Config) -> connection::Options {
    options::connection(config)
}

/// What the schema's folder declares, ready to be served.
pub(super) struct Declared {
    model: Model,
    definition: Definition,
}

impl Declared {
    fn load(config: &Config) -> Result<Self, String> {
        let model = folder::model(config.schema.dir.as_deref())?;
        let definition = Definition::new(&model).map_err(|error| error.to_string())?;
        Ok(Self { model, definition })
    }
}

fn listen(
    config: &Config,
    definition: Definition,
    connection: &connection::Options,
) -> Result<Handle, String> {
    let layers = assemble(config, definition)?;
    let Layers { broker, schema, registry } = &layers;
    let shards = Shards::start(options::shards(config), broker, schema, registry, connection)
        .map_err(|error| error.to_string())?;
    let exposition = telemetry::exposition(broker.clone());
    let server = options::server(config, tls::server(config)?);
    Handle::start(layers, shards, server, exposition).map_err(|error| error.to_string())
}

/// The layers below the sockets.
fn assemble(config: &Config, definition: Definition) -> Result<Layers, String> {
    let node = format!("{:08x}", random()? >> 32);
    let options = options::broker(config, &definition.typed, node.into());
    let base = Base::new(&options, Instant::now());
    let memory = memory::Options {
        epoch: Epoch::new(random()?),
        retention: options::retention(config, &definition.typed),
        bounds: options::bounds(config),
        clock: Arc::new(system_time),
    };
    let sink = base.feeds.clone();
    let engine: Arc<dyn Engine> = match &config.data.dir {
        None => Memory::new(memory, sink),
        Some(folder) => {
            let options = options::disk(config, folder, memory);
            Disk::open(options, sink).map_err(|error| error.to_string())?
        }
    };
    let broker = Arc::new(Broker::new(engine, base, options, system_time()));
    let shards = options::shards(config);
    let registry = Arc::new(Registry::new(options::registry(config), shards));
    let graphql = options::graphql(config);
    let schema = Schema::new(broker.clone(), registry.clone(), definition, &graphql);
    Ok(Layers { broker, schema, registry })
}

fn random() -> Result<u64, String> {
    getrandom::u64().map_err(|error| format!("the system gives no random numbers: {error}"))
}

fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
