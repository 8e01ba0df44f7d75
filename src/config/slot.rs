//! Where in the [`Config`] a key's value goes, and what type it has there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::fault::Fault;
use super::given::Given;
use super::{Config, LogFormat, Sync, TopicRule, topics};

/// The field that a key sets.
type Field<T> = fn(&mut Config) -> &mut T;

/// A field with the type of its value.
pub(super) enum Slot {
    Address(Field<SocketAddr>),
    AddressOrOff(Field<Option<SocketAddr>>),
    Origins(Field<Vec<String>>),
    Flag(Field<bool>),
    /// Nothing is none.
    File(Field<Option<PathBuf>>),
    /// Nothing is none.
    Folder(Field<Option<PathBuf>>),
    /// At least 1.
    Count(Field<u64>),
    /// 0 has a meaning of its own.
    CountOrZero(Field<u64>),
    Limit(Field<Option<u64>>),
    /// At least 1.
    Size(Field<u64>),
    /// 0 is no limit.
    SizeOrZero(Field<u64>),
    SizeLimit(Field<Option<u64>>),
    Sync(Field<Sync>),
    /// More than nothing.
    Time(Field<Duration>),
    /// Nothing is allowed.
    TimeOrZero(Field<Duration>),
    TimeLimit(Field<Option<Duration>>),
    Level(Field<LevelFilter>),
    Format(Field<LogFormat>),
    Topics(Field<Vec<TopicRule>>),
}

const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::OFF),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];
const SYNCS: [(&str, Sync); 3] =
    [("always", Sync::Always), ("interval", Sync::Interval), ("none", Sync::Never)];
const FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

impl Slot {
    /// Checks a value and puts it into its field.
    pub(super) fn set(
        &self,
        config: &mut Config,
        key: &str,
        given: &Given,
    ) -> Result<(), Vec<Fault>> {
        if let Self::Topics(field) = self {
            *field(config) = topics::rules(given)?;
            return Ok(());
        }
        self.set_one(config, key, given).map_err(|fault| vec![fault])
    }

    fn set_one(&self, config: &mut Config, key: &str, given: &Given) -> Result<(), Fault> {
        match self {
            Self::Address(field) => *field(config) = given.address(key)?,
            Self::AddressOrOff(field) => *field(config) = given.address_or_off(key)?,
            Self::Origins(field) => *field(config) = origins(key, given)?,
            Self::Flag(field) => *field(config) = given.flag(key)?,
            Self::File(field) => *field(config) = given.file(key)?,
            Self::Folder(field) => *field(config) = given.folder(key)?,
            Self::Count(field) => *field(config) = given.count(key, 1)?,
            Self::CountOrZero(field) => *field(config) = given.count(key, 0)?,
            Self::Limit(field) => *field(config) = Some(given.count(key, 0)?),
            Self::Size(field) => *field(config) = given.size(key, 1)?,
            Self::SizeOrZero(field) => *field(config) = given.size(key, 0)?,
            Self::SizeLimit(field) => *field(config) = Some(given.size(key, 0)?),
            Self::Sync(field) => *field(config) = given.word(key, &SYNCS)?,
            Self::Time(field) => *field(config) = given.time_limit(key)?,
            Self::TimeOrZero(field) => *field(config) = given.duration(key)?,
            Self::TimeLimit(field) => *field(config) = Some(given.duration(key)?),
            Self::Level(field) => *field(config) = given.word(key, &LEVELS)?,
            Self::Format(field) => *field(config) = given.word(key, &FORMATS)?,
            // Has many faults at once: `set` did it.
            Self::Topics(_) => {}
        }
        Ok(())
    }

    /// Exchanges the values of two configurations, and says whether they differ.
    pub(super) fn exchange(&self, left: &mut Config, right: &mut Config) -> bool {
        match self {
            Self::Address(field) => exchange(*field, left, right),
            Self::AddressOrOff(field) => exchange(*field, left, right),
            Self::Origins(field) => exchange(*field, left, right),
            Self::Flag(field) => exchange(*field, left, right),
            Self::File(field) | Self::Folder(field) => exchange(*field, left, right),
            Self::Count(field)
            | Self::CountOrZero(field)
            | Self::Size(field)
            | Self::SizeOrZero(field) => exchange(*field, left, right),
            Self::Sync(field) => exchange(*field, left, right),
            Self::Limit(field) | Self::SizeLimit(field) => exchange(*field, left, right),
            Self::Time(field) | Self::TimeOrZero(field) => exchange(*field, left, right),
            Self::TimeLimit(field) => exchange(*field, left, right),
            Self::Level(field) => exchange(*field, left, right),
            Self::Format(field) => exchange(*field, left, right),
            Self::Topics(field) => exchange(*field, left, right),
        }
    }

    /// True when a `tidings.toml` writes the value in quotes.
    pub(super) fn is_text(&self) -> bool {
        match self {
            Self::Origins(_)
            | Self::Flag(_)
            | Self::Count(_)
            | Self::CountOrZero(_)
            | Self::Limit(_)
            | Self::Topics(_) => false,
            Self::Address(_)
            | Self::AddressOrOff(_)
            | Self::File(_)
            | Self::Folder(_)
            | Self::Size(_)
            | Self::SizeOrZero(_)
            | Self::SizeLimit(_)
            | Self::Sync(_)
            | Self::Time(_)
            | Self::TimeOrZero(_)
            | Self::TimeLimit(_)
            | Self::Level(_)
            | Self::Format(_) => true,
        }
    }
}

fn exchange<T: PartialEq>(field: Field<T>, left: &mut Config, right: &mut Config) -> bool {
    std::mem::swap(field(left), field(right));
    field(left) != field(right)
}

/// Origins as browsers send them: scheme, host and port, without a path.
fn origins(key: &str, given: &Given) -> Result<Vec<String>, Fault> {
    let fits = "origins without a path, as in [\"https://app.example.com\"], or [\"*\"] for any";
    let items = given.list(key)?;
    let origin = |item: &Given| {
        let text = item.text().map(str::to_ascii_lowercase).filter(|text| is_origin(text));
        text.ok_or_else(|| item.misfit(key, fits))
    };
    items.iter().map(origin).collect()
}

fn is_origin(text: &str) -> bool {
    let host = text.split_once("://").map(|(_, host)| host);
    text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', ' ', '*']))
}
