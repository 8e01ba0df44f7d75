//! Who is measured.

use tidings::cli::bench::dialect::Dialect;

use crate::dialects::graphql::{GraphQl, Schema};
use crate::dialects::mosquitto::Mosquitto;
use crate::dialects::nats::Nats;
use crate::dialects::nchan::Nchan;

/// A server of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Peer {
    /// On the command line and in JSON.
    pub name: &'static str,
    /// In the table.
    pub title: &'static str,
    /// What runs.
    pub server: Kind,
    /// How it is talked to.
    language: Language,
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Frames written to sockets and nothing else, so many in one write.
    Bare { batch: usize },
    /// This program itself.
    Tidings,
    /// The start script of a folder beside this one.
    Script(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Tidings,
    Nats,
    Nchan,
    Mosquitto,
    /// A stock GraphQL server.
    Stock {
        one_at_a_time: bool,
        answers_ping: bool,
    },
}

/// What the others are compared with when they are saturated.
pub const BARE_GATHERED: &str = "bare-8";
/// What the others are compared with at a fixed rate.
pub const BARE_SINGLE: &str = "bare-1";

const STOCK: Language = Language::Stock { one_at_a_time: false, answers_ping: true };

/// In the order of the table.
pub const ROSTER: [Peer; 10] = [
    Peer {
        name: BARE_GATHERED,
        title: "bare loop, 8 frames a write (limit)",
        server: Kind::Bare { batch: 8 },
        language: Language::Tidings,
    },
    Peer {
        name: BARE_SINGLE,
        title: "bare loop, one frame a write (limit)",
        server: Kind::Bare { batch: 1 },
        language: Language::Tidings,
    },
    Peer {
        name: "tidings",
        title: "**Tidings**",
        server: Kind::Tidings,
        language: Language::Tidings,
    },
    Peer {
        name: "nats",
        title: "nats-server, WebSocket",
        server: Kind::Script("nats"),
        language: Language::Nats,
    },
    Peer {
        name: "nchan",
        title: "nginx + nchan",
        server: Kind::Script("nchan"),
        language: Language::Nchan,
    },
    Peer {
        name: "mosquitto",
        title: "mosquitto, WebSocket",
        server: Kind::Script("mosquitto"),
        language: Language::Mosquitto,
    },
    Peer {
        name: "afternoon",
        title: "axum + async-graphql-axum, an afternoon",
        server: Kind::Script("afternoon"),
        language: Language::Stock { one_at_a_time: true, answers_ping: true },
    },
    Peer {
        name: "afternoon-pipelined",
        title: "axum + async-graphql-axum, mutations pipelined",
        server: Kind::Script("afternoon"),
        language: STOCK,
    },
    Peer {
        name: "node-graphql-ws",
        title: "Node graphql-ws + ws",
        server: Kind::Script("node-graphql-ws"),
        language: STOCK,
    },
    Peer {
        name: "mercurius",
        title: "Mercurius",
        server: Kind::Script("mercurius"),
        language: Language::Stock { one_at_a_time: false, answers_ping: false },
    },
];

impl Peer {
    /// How it is talked to, with payloads of `size` bytes.
    pub fn dialect(&self, size: usize, for_intake: bool) -> Box<dyn Dialect> {
        let graphql = |schema, one_at_a_time, answers_ping| {
            Box::new(GraphQl { schema, size, one_at_a_time, answers_ping })
        };
        match self.language {
            Language::Tidings => graphql(Schema::Tidings, false, true),
            Language::Nats => Box::new(Nats::new(size, for_intake)),
            Language::Nchan => Box::new(Nchan { size }),
            Language::Mosquitto => Box::new(Mosquitto { size }),
            Language::Stock { one_at_a_time, answers_ping } => {
                graphql(Schema::Stock, one_at_a_time, answers_ping)
            }
        }
    }

    /// Publishes without subscribers are compared between these two.
    pub fn has_intake(&self) -> bool {
        matches!(self.language, Language::Nats) || self.server == Kind::Tidings
    }

    /// The bare loop accepts connections and nothing more: there is nothing to compare.
    pub fn has_idle(&self) -> bool {
        !matches!(self.server, Kind::Bare { .. })
    }

    /// Gathering at a low rate would be waiting.
    pub fn has_pace(&self) -> bool {
        self.name != BARE_GATHERED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_the_anchors_are_there() {
        for (index, peer) in ROSTER.iter().enumerate() {
            assert!(ROSTER[..index].iter().all(|other| other.name != peer.name));
        }
        for anchor in [BARE_GATHERED, BARE_SINGLE] {
            assert!(ROSTER.iter().any(|peer| peer.name == anchor));
        }
    }
}
