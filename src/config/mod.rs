//! The configuration: `tidings.toml`, variables and flags become one typed [`Config`].
//!
//! Comes in: a file, variables, flags. Goes out: a [`Config`] of checked values, or every fault at
//! once, with its place. Knows nothing of: the folders whose options are made from it.

pub mod change;
pub mod defaults;
pub mod fault;
mod file;
mod given;
pub mod keys;
mod slot;
mod topics;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use crate::message::filter::Filter;
use fault::{Fault, Faults, Place};
use given::{Given, Raw};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[data]`
    pub data: Data,
    /// `[schema]`
    pub schema: Schema,
    /// `[keep]`: how much of a generic topic is kept when no `[[topics]]` rule says otherwise.
    pub keep: Keep,
    /// `[[topics]]`, in the order of the file: the first rule that matches a topic holds.
    pub topics: Vec<TopicRule>,
    /// `[log]`
    pub log: Log,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Metrics and health; `None` serves none.
    pub admin_listen: Option<SocketAddr>,
    /// Origins of pages that may connect beside the broker's own; `*` is any.
    pub origins: Vec<String>,
    /// Serve other than loopback addresses without a key.
    pub insecure: bool,
    /// Are messages compressed for clients that offer it?
    pub compression: bool,
    /// Threads that own connections; 0 is one per core.
    pub shards: u64,
    /// The server's certificate and those between it and its authority, as PEM; with `tls_key`
    /// clients connect by TLS.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM.
    pub tls_key: Option<PathBuf>,
}

/// `[limits]`; [`keys::KEYS`] has what is in force when nothing is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Open connections.
    pub connections: u64,
    /// Open connections of one peer address.
    pub connections_per_address: u64,
    /// Until `connection_init` must have come.
    pub init_timeout: Duration,
    /// A peer silent for so long is dropped.
    pub idle_timeout: Duration,
    /// Running operations of one connection.
    pub subscriptions_per_connection: u64,
    /// A client's frame or request body.
    pub message_bytes: u64,
    /// One payload.
    pub payload_bytes: u64,
    /// Bytes that wait for one slow subscriber.
    pub outbox_bytes: u64,
    /// Messages that wait for one slow subscriber.
    pub outbox_messages: u64,
    /// Nesting of a document.
    pub query_depth: u64,
    /// Selected fields of a document.
    pub query_complexity: u64,
    /// Aliases of a document.
    pub query_aliases: u64,
    /// Publishes of one client in a second; 0 is no limit.
    pub publish_per_second: u64,
    /// All messages kept.
    pub memory_bytes: u64,
    /// Over which a drain closes the connections.
    pub drain_timeout: Duration,
    /// How long a publish's id is remembered.
    pub idempotency_window: Duration,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data {
    /// The folder of the durable log; `None` keeps messages in memory.
    pub dir: Option<PathBuf>,
    /// When an acknowledged message is on disk.
    pub sync: Sync,
    /// How much later, for [`Sync::Interval`].
    pub sync_interval: Duration,
    /// All messages kept.
    pub bytes: u64,
    /// Publishes are refused while less is free.
    pub free_bytes: u64,
    /// Go on although acknowledged messages are missing.
    pub accept_loss: bool,
}

/// When an acknowledged message is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// At once.
    #[default]
    Always,
    /// So much later.
    Interval,
    /// When the system writes it.
    Never,
}

/// `[schema]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// The folder of the typed topics; `None` serves the generic schema only.
    pub dir: Option<PathBuf>,
    /// Reload when a file changes?
    pub watch: bool,
}

/// How much of each topic is kept; what is `None` is not limited by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Messages.
    pub last: Option<u64>,
    /// Since a message was accepted.
    pub age: Option<Duration>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// One `[[topics]]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRule {
    /// The topics that it is for.
    pub matching: Filter,
    /// How much of each is kept; `None` is as `[keep]` says.
    pub keep: Option<Keep>,
    /// What happens to a subscriber that is slower than the feed.
    pub overflow: Overflow,
    /// False: `join` is refused.
    pub presence: bool,
}

/// What happens to a subscriber that is slower than the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overflow {
    /// Its connection is closed with 1013; it may resume.
    #[default]
    Disconnect,
    /// It misses the oldest messages and is told how many.
    DropOldest,
    /// It gets the newest message of each key and is told how many were left out.
    Conflate,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The value of a flag that stands for a key, such as `--listen`.
#[derive(Debug, Clone)]
pub struct Flag {
    /// What was written: the flag itself, or `--set limits.connections`.
    pub place: Place,
    /// The key that it sets.
    pub key: String,
    /// Its text.
    pub value: String,
}

impl Config {
    /// Reads everything; a flag beats a variable beats the file beats the default.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        flags: Vec<Flag>,
    ) -> Result<Self, Faults> {
        let text = file.map(|path| (path, std::fs::read_to_string(path)));
        let mut loader = Loader::new();
        match text {
            Some((path, Ok(text))) => loader.file(&path.display().to_string(), &text),
            Some((path, Err(error))) => loader.faults.push(Fault::Unreadable {
                file: path.display().to_string(),
                reason: error.to_string(),
            }),
            None => {}
        }
        loader.variables(variables);
        loader.flags(flags);
        loader.finish()
    }

    /// Before the defaults of the table are set; no value of it is ever seen.
    fn blank() -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server {
            listen: nowhere,
            admin_listen: None,
            origins: Vec::new(),
            insecure: false,
            compression: true,
            shards: 0,
            tls_cert: None,
            tls_key: None,
        };
        let log = Log { level: LevelFilter::OFF, format: LogFormat::Text };
        let (limits, keep) = (Limits::default(), Keep::default());
        let (data, schema, topics) = (Data::default(), Schema::default(), Vec::new());
        Self { server, limits, data, schema, keep, topics, log }
    }

    /// What is wrong with the values together.
    fn check(&self) -> Vec<Fault> {
        let mut faults = self.exposed();
        faults.extend(self.half_tls());
        faults
    }

    fn half_tls(&self) -> Option<Fault> {
        let (cert, key) = ("server.tls_cert", "server.tls_key");
        match (&self.server.tls_cert, &self.server.tls_key) {
            (Some(_), None) => Some(Fault::HalfTls { given: cert, missing: key }),
            (None, Some(_)) => Some(Fault::HalfTls { given: key, missing: cert }),
            _ => None,
        }
    }

    fn exposed(&self) -> Vec<Fault> {
        if self.server.insecure {
            return Vec::new();
        }
        let listeners = [
            ("server.listen", Some(self.server.listen)),
            ("server.admin_listen", self.server.admin_listen),
        ];
        let exposed = listeners.into_iter().filter_map(|(key, address)| {
            let address = address.filter(|address| !address.ip().is_loopback())?;
            Some(Fault::Exposed { key, address })
        });
        exposed.collect()
    }
}

/// Values laid over each other, the strongest last, and the faults met on the way.
struct Loader {
    config: Config,
    faults: Vec<Fault>,
}

impl Loader {
    fn new() -> Self {
        let mut loader = Self { config: Config::blank(), faults: Vec::new() };
        for key in keys::KEYS {
            let default = Given { place: Place::Default, raw: Raw::Bare(key.default.to_owned()) };
            loader.set(key, &default);
        }
        loader
    }

    fn file(&mut self, name: &str, text: &str) {
        match file::read(name, text) {
            Ok(settings) => {
                for (key, given) in settings {
                    match key {
                        Ok(key) => self.set(key, &given),
                        Err(fault) => self.faults.push(fault),
                    }
                }
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn variables(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in variables {
            match keys::by_variable(&name) {
                keys::Lookup::Key(key) => {
                    let raw = Raw::Bare(value);
                    self.set(key, &Given { place: Place::Variable(name), raw });
                }
                keys::Lookup::Nearest(nearest) => {
                    let place = Place::Variable(name);
                    self.faults.push(Fault::UnknownVariable { place, nearest });
                }
                keys::Lookup::Foreign => {}
            }
        }
    }

    fn flags(&mut self, flags: Vec<Flag>) {
        for Flag { place, key, value } in flags {
            match keys::by_name(&key) {
                Some(key) => self.set(key, &Given { place, raw: Raw::Bare(value) }),
                None => self.faults.push(keys::unknown(place, key)),
            }
        }
    }

    fn set(&mut self, key: &keys::Key, given: &Given) {
        if let Err(faults) = key.set(&mut self.config, given) {
            self.faults.extend(faults);
        }
    }

    fn finish(mut self) -> Result<Config, Faults> {
        if self.faults.is_empty() {
            self.faults = self.config.check();
        }
        if self.faults.is_empty() { Ok(self.config) } else { Err(Faults(self.faults)) }
    }
}

#[cfg(test)]
mod tests;
