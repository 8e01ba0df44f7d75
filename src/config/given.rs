//! A value as somebody gave it, and its way to the type that a key wants.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::fault::{Fault, Place};
use crate::message::units;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) place: Place,
    pub(super) raw: Raw,
}

/// A value before its type is known.
#[derive(Debug, Clone)]
pub(super) enum Raw {
    /// From a variable or flag: every type is written without quotes.
    Bare(String),
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Given>),
    Table(Vec<Entry>),
    /// Of a type that no key has.
    Other(String),
}

/// A key and its value inside a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) value: Given,
}

impl Given {
    /// The fault of a value that does not fit.
    pub(super) fn misfit(&self, key: &str, fits: &str) -> Fault {
        let value = self.raw.to_string();
        let value = match value.char_indices().nth(VALUE_SHOWN_CHARS) {
            Some((end, _)) => format!("{}…", &value[..end]),
            None => value,
        };
        Fault::Value { place: self.place.clone(), key: key.into(), value, fits: fits.into() }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.raw {
            Raw::Bare(text) | Raw::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool, Fault> {
        match &self.raw {
            Raw::Flag(flag) => Ok(*flag),
            Raw::Bare(text) => text.parse().map_err(|_| self.misfit(key, FLAG_FITS)),
            _ => Err(self.misfit(key, FLAG_FITS)),
        }
    }

    /// A file's name; an empty one is none.
    pub(super) fn file(&self, key: &str) -> Result<Option<PathBuf>, Fault> {
        self.path(key, "the name of a PEM file, as in \"/etc/tidings/cert.pem\"")
    }

    /// A folder's name; an empty one is none.
    pub(super) fn folder(&self, key: &str) -> Result<Option<PathBuf>, Fault> {
        self.path(key, "the name of a folder, as in \"/etc/tidings/schema\"")
    }

    fn path(&self, key: &str, fits: &str) -> Result<Option<PathBuf>, Fault> {
        let name = self.text().ok_or_else(|| self.misfit(key, fits))?;
        Ok(Some(name).filter(|name| !name.is_empty()).map(PathBuf::from))
    }

    pub(super) fn count(&self, key: &str, least: u64) -> Result<u64, Fault> {
        let count = match &self.raw {
            Raw::Integer(number) => u64::try_from(*number).ok(),
            Raw::Bare(text) => text.parse().ok(),
            _ => None,
        };
        let fits = || format!("a whole number, at least {least}");
        count.filter(|count| *count >= least).ok_or_else(|| self.misfit(key, &fits()))
    }

    pub(super) fn size(&self, key: &str, least: u64) -> Result<u64, Fault> {
        let size = match &self.raw {
            Raw::Integer(number) => u64::try_from(*number).ok(),
            _ => self.text().and_then(units::parse_size),
        };
        let fits = || match least {
            0 | 1 => units::SIZE_FITS.to_owned(),
            _ => format!("{}, at least {least}", units::SIZE_FITS),
        };
        size.filter(|size| *size >= least).ok_or_else(|| self.misfit(key, &fits()))
    }

    pub(super) fn duration(&self, key: &str) -> Result<Duration, Fault> {
        let duration = self.text().and_then(units::parse_duration);
        duration.ok_or_else(|| self.misfit(key, units::DURATION_FITS))
    }

    /// A duration that is more than nothing.
    pub(super) fn time_limit(&self, key: &str) -> Result<Duration, Fault> {
        let fits = format!("{}, more than 0", units::DURATION_FITS);
        let some = |duration: &Duration| !duration.is_zero();
        Some(self.duration(key)?).filter(some).ok_or_else(|| self.misfit(key, &fits))
    }

    pub(super) fn address(&self, key: &str) -> Result<SocketAddr, Fault> {
        let local = |text: &str| text.replace("localhost:", "127.0.0.1:");
        let address = self.text().and_then(|text| local(text).parse().ok());
        address.ok_or_else(|| self.misfit(key, ADDRESS_FITS))
    }

    /// An address, or `off`.
    pub(super) fn address_or_off(&self, key: &str) -> Result<Option<SocketAddr>, Fault> {
        if self.text() == Some("off") {
            return Ok(None);
        }
        let fits = format!("{ADDRESS_FITS}, or \"off\"");
        self.address(key).map(Some).map_err(|_| self.misfit(key, &fits))
    }

    /// One of the words of a table.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<T, Fault> {
        let named = |text: &str| words.iter().find(|(word, _)| *word == text);
        let found = self.text().and_then(named).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let quoted: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.misfit(key, &format!("one of {}", quoted.join(", ")))
        })
    }

    /// The items of a list; a bare text is split at its commas.
    pub(super) fn list(&self, key: &str) -> Result<Vec<Self>, Fault> {
        match &self.raw {
            Raw::List(items) => Ok(items.clone()),
            Raw::Bare(text) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                let given = |item: &str| Self {
                    place: self.place.clone(),
                    raw: Raw::Text(item.to_owned()),
                };
                Ok(items.map(given).collect())
            }
            _ => Err(self.misfit(key, "a list, as in [\"a\", \"b\"]")),
        }
    }
}

const VALUE_SHOWN_CHARS: usize = 60;
const FLAG_FITS: &str = "true or false";
const ADDRESS_FITS: &str =
    "an address and a port, as in \"127.0.0.1:4000\" or \"[::1]:4000\" (port 0 takes a free one)";

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bare(text) | Self::Other(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::List(_) => f.write_str("[…]"),
            Self::Table(_) => f.write_str("{…}"),
        }
    }
}
