//! The one table of keys: file, variables, `--set`, defaults and docs are read from it.

use super::Config;
use super::fault::{Fault, Place};
use super::given::Given;
use super::slot::Slot;

/// A key of `tidings.toml`.
pub struct Key {
    /// Its section and name, as in `limits.connections`.
    pub name: &'static str,
    /// Its default, as a variable would hold it.
    pub default: &'static str,
    /// What it is for.
    pub doc: &'static str,
    pub(super) slot: Slot,
}

/// What a variable's name stands for.
pub(super) enum Lookup {
    /// The variable of this key.
    Key(&'static Key),
    /// Meant to be a key, but there is none: the nearest variable.
    Nearest(String),
    /// None of our business.
    Foreign,
}

const fn key(name: &'static str, default: &'static str, slot: Slot, doc: &'static str) -> Key {
    Key { name, default, doc, slot }
}

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        "server.listen",
        "127.0.0.1:4000",
        Slot::Address(|c| &mut c.server.listen),
        "Where clients connect. Without a configured key only loopback addresses are served.",
    ),
    key(
        "server.admin_listen",
        "127.0.0.1:4001",
        Slot::AddressOrOff(|c| &mut c.server.admin_listen),
        "Metrics and health: /metrics, /healthz, /readyz. \"off\" serves none.",
    ),
    key(
        "server.origins",
        "",
        Slot::Origins(|c| &mut c.server.origins),
        "Origins of web pages that may connect; pages of the broker's own host always may.\n\
         [\"*\"] lets every page in.",
    ),
    key(
        "server.insecure",
        "false",
        Slot::Flag(|c| &mut c.server.insecure),
        "Serve other than loopback addresses although no key is configured.",
    ),
    key(
        "server.compression",
        "true",
        Slot::Flag(|c| &mut c.server.compression),
        "Compress messages (permessage-deflate) for clients that offer it.",
    ),
    key(
        "server.shards",
        "0",
        Slot::CountOrZero(|c| &mut c.server.shards),
        "Threads that own connections; 0 is one per core.",
    ),
    key(
        "server.tls_cert",
        "",
        Slot::File(|c| &mut c.server.tls_cert),
        "PEM file with the server's certificate, then those between it and its authority. With\n\
         it and tls_key clients connect by https:// and wss://.",
    ),
    key(
        "server.tls_key",
        "",
        Slot::File(|c| &mut c.server.tls_key),
        "PEM file with the private key of that certificate, not encrypted.",
    ),
    key(
        "limits.connections",
        "100000",
        Slot::Count(|c| &mut c.limits.connections),
        "Open connections.",
    ),
    key(
        "limits.connections_per_address",
        "10000",
        Slot::Count(|c| &mut c.limits.connections_per_address),
        "Open connections of one peer address.",
    ),
    key(
        "limits.init_timeout",
        "10s",
        Slot::Time(|c| &mut c.limits.init_timeout),
        "A socket on which no connection_init has come by then is closed with 4408. As long may\n\
         the handshake of TLS and the head of the first request take.",
    ),
    key(
        "limits.idle_timeout",
        "60s",
        Slot::Time(|c| &mut c.limits.idle_timeout),
        "A peer silent for so long is dropped; pings ask it for a sign of life before.",
    ),
    key(
        "limits.subscriptions_per_connection",
        "1000",
        Slot::Count(|c| &mut c.limits.subscriptions_per_connection),
        "Subscriptions of one connection; queries and mutations under way are bounded besides.",
    ),
    key(
        "limits.message_bytes",
        "1MiB",
        Slot::Size(|c| &mut c.limits.message_bytes),
        "A client's message or request body.",
    ),
    key(
        "limits.payload_bytes",
        "256KiB",
        Slot::Size(|c| &mut c.limits.payload_bytes),
        "One payload with its headers.",
    ),
    key(
        "limits.outbox_bytes",
        "1MiB",
        Slot::Size(|c| &mut c.limits.outbox_bytes),
        "Bytes that wait for one slow subscriber before its overflow policy acts.",
    ),
    key(
        "limits.outbox_messages",
        "10000",
        Slot::Count(|c| &mut c.limits.outbox_messages),
        "Messages that wait for one slow subscriber before its overflow policy acts.",
    ),
    key(
        "limits.query_depth",
        "12",
        Slot::Count(|c| &mut c.limits.query_depth),
        "Nesting of a document, introspection apart.",
    ),
    key(
        "limits.query_complexity",
        "1000",
        Slot::Count(|c| &mut c.limits.query_complexity),
        "Selected fields of a document.",
    ),
    key(
        "limits.query_aliases",
        "100",
        Slot::Count(|c| &mut c.limits.query_aliases),
        "Aliases of a document.",
    ),
    key(
        "limits.publish_per_second",
        "0",
        Slot::CountOrZero(|c| &mut c.limits.publish_per_second),
        "Publishes of one client in a second; 0 is no limit.",
    ),
    key(
        "limits.memory_bytes",
        "256MiB",
        Slot::Size(|c| &mut c.limits.memory_bytes),
        "All messages kept, of all topics; beyond it the oldest are forgotten.",
    ),
    key(
        "limits.drain_timeout",
        "10s",
        Slot::TimeOrZero(|c| &mut c.limits.drain_timeout),
        "Over which a broker asked to stop closes its connections.",
    ),
    key(
        "limits.idempotency_window",
        "2m",
        Slot::Time(|c| &mut c.limits.idempotency_window),
        "How long a publish's id is remembered: a second one gets the first receipt.",
    ),
    key(
        "data.dir",
        "",
        Slot::Folder(|c| &mut c.data.dir),
        "Folder of the durable log, made if it is not there. Without it messages are kept in\n\
         memory only.",
    ),
    key(
        "data.sync",
        "always",
        Slot::Sync(|c| &mut c.data.sync),
        "When an acknowledged message is on disk: always (a power loss takes none), interval (it\n\
         may take those of data.sync_interval) or none (whenever the system writes it). A killed\n\
         process loses none in any case.",
    ),
    key(
        "data.sync_interval",
        "1s",
        Slot::Time(|c| &mut c.data.sync_interval),
        "What data.sync = \"interval\" may leave unwritten.",
    ),
    key(
        "data.bytes",
        "10GiB",
        Slot::Size(|c| &mut c.data.bytes),
        "All messages kept where data.dir is set, of all topics; beyond it the oldest are\n\
         forgotten. Of those in memory, topics with durable: false, limits.memory_bytes holds.",
    ),
    key(
        "data.free_bytes",
        "256MiB",
        Slot::SizeOrZero(|c| &mut c.data.free_bytes),
        "Publishes are refused while the file system has less free: a disk that is quite full\n\
         cannot even forget.",
    ),
    key(
        "data.accept_loss",
        "false",
        Slot::Flag(|c| &mut c.data.accept_loss),
        "Go on although the log lacks acknowledged messages, because files were damaged.",
    ),
    key(
        "schema.dir",
        "",
        Slot::Folder(|c| &mut c.schema.dir),
        "Folder of *.graphql files that declare typed topics.",
    ),
    key(
        "schema.watch",
        "false",
        Slot::Flag(|c| &mut c.schema.watch),
        "Reload when a file of that folder, this file or the certificate changes, as on SIGHUP.",
    ),
    key(
        "keep.last",
        "1000",
        Slot::Limit(|c| &mut c.keep.last),
        "Messages kept of each topic for which no rule below says otherwise.",
    ),
    key("keep.age", "10m", Slot::TimeLimit(|c| &mut c.keep.age), "How long they are kept."),
    key(
        "keep.bytes",
        "1MiB",
        Slot::SizeLimit(|c| &mut c.keep.bytes),
        "Bytes that they may take, by topic.",
    ),
    key(
        "log.level",
        "info",
        Slot::Level(|c| &mut c.log.level),
        "off, error, warn, info, debug or trace. Logs go to stderr.",
    ),
    key(
        "log.format",
        "text",
        Slot::Format(|c| &mut c.log.format),
        "text for people, or json: one object a line.",
    ),
    key(
        "topics",
        "[]",
        Slot::Topics(|c| &mut c.topics),
        "Rules for topics, the first that matches holds.",
    ),
];

impl Key {
    /// Checks a value and puts it into its field.
    pub(super) fn set(&self, config: &mut Config, given: &Given) -> Result<(), Vec<Fault>> {
        self.slot.set(config, self.name, given)
    }

    /// The default as a `tidings.toml` writes it.
    pub fn default_toml(&self) -> String {
        match self.default {
            "" if !self.slot.is_text() => "[]".to_owned(),
            text if self.slot.is_text() => format!("{text:?}"),
            text => text.to_owned(),
        }
    }

    /// The variable that sets it.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.replace('.', "_").to_ascii_uppercase())
    }

    fn section(&self) -> &'static str {
        self.name.split_once('.').map_or("", |(section, _)| section)
    }
}

/// All our variables begin so.
pub const PREFIX: &str = "TIDINGS_";

pub(super) fn by_name(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.section() == name)
}

/// A variable is ours when it names a key, or so nearly that it must be meant.
pub(super) fn by_variable(name: &str) -> Lookup {
    let Some(rest) = name.strip_prefix(PREFIX) else { return Lookup::Foreign };
    if let Some(key) = KEYS.iter().find(|key| key.variable() == name) {
        return Lookup::Key(key);
    }
    if is_set_by_kubernetes(rest) {
        return Lookup::Foreign;
    }
    let variables: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let nearest = nearest(name, variables.iter().map(String::as_str));
    let section = rest.split('_').next().unwrap_or_default().to_ascii_lowercase();
    let meant = is_section(&section) || strsim::normalized_levenshtein(name, nearest) > MEANT;
    if meant { Lookup::Nearest(nearest.to_owned()) } else { Lookup::Foreign }
}

/// Similarity from which on a name is a slip and not another program's.
const MEANT: f64 = 0.8;

/// For a service named `tidings`, every pod gets `TIDINGS_PORT`, `TIDINGS_SERVICE_HOST` and more.
fn is_set_by_kubernetes(rest: &str) -> bool {
    let rest = format!("_{rest}_");
    rest.contains("_SERVICE_HOST_") || rest.contains("_SERVICE_PORT_") || rest.contains("_PORT_")
}

/// The fault of a key that does not exist.
pub(super) fn unknown(place: Place, key: String) -> Fault {
    let sections = KEYS.iter().map(Key::section).filter(|section| !section.is_empty());
    // A name without a dot may be a section; one with a dot is a key of some section.
    let sections = sections.filter(|_| !key.contains('.'));
    let known = KEYS.iter().map(|key| key.name).chain(sections);
    let nearest = nearest(&key, known).to_owned();
    Fault::UnknownKey { place, key, nearest }
}

/// The known name most like a wrong one: like all of it, or like its last part.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let likeness = |name: &str| {
        let whole = strsim::normalized_damerau_levenshtein(wrong, name);
        whole.max(strsim::normalized_damerau_levenshtein(&last(wrong), &last(name)) * 0.99)
    };
    let by_likeness = |a: &&str, b: &&str| likeness(a).total_cmp(&likeness(b));
    known.max_by(by_likeness).unwrap_or_default()
}
