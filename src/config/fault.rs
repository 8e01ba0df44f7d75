//! What can be wrong with a configuration, where, and what would be right.

use std::fmt;
use std::net::SocketAddr;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it is the default.
    Default,
    /// A file; line and column count from 1.
    File {
        /// As it was named.
        name: String,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// `--set SECTION.KEY`.
    Set(String),
    /// A flag of its own.
    Flag(&'static str),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file is not there or not readable.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system says.
        reason: String,
    },
    /// The text is no TOML.
    #[error("{place}: not valid TOML: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser says.
        reason: String,
    },
    /// A key or section that does not exist.
    #[error("{place}: unknown key `{key}`; the nearest known one is `{nearest}`")]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key as written.
        key: String,
        /// What was probably meant.
        nearest: String,
    },
    /// A variable that looks like ours and is not.
    #[error("{place}: no key has this name; the nearest known variable is {nearest}")]
    UnknownVariable {
        /// The variable.
        place: Place,
        /// What was probably meant.
        nearest: String,
    },
    /// A value that does not fit its key.
    #[error("{place}: {key} = {value}: expected {fits}")]
    Value {
        /// Where.
        place: Place,
        /// The key.
        key: String,
        /// The value as written.
        value: String,
        /// What would be right.
        fits: String,
    },
    /// A `[[topics]]` table without its filter.
    #[error(
        "{place}: this topics rule has no `match`; name its topics, as in match = \"quotes.*\""
    )]
    NoMatch {
        /// Where.
        place: Place,
    },
    /// Others could reach a broker that asks nobody for a token.
    #[error(
        "{key} = {address}: not a loopback address, and no key is configured to check clients \
         with; listen on 127.0.0.1, or pass --insecure to serve everybody"
    )]
    Exposed {
        /// The key.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
    },
    /// One of the two files that TLS needs.
    #[error("{given} is set and {missing} is not: TLS needs a certificate and its private key")]
    HalfTls {
        /// The key that is set.
        given: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
}

/// All faults of one configuration, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// True when only flags of the command line are at fault: its usage, not the configuration.
    pub fn are_usage(&self) -> bool {
        self.0.iter().all(|fault| matches!(fault, Fault::Value { place: Place::Flag(_), .. }))
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Set(key) => write!(f, "--set {key}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}
