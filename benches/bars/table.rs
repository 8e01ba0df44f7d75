//! The bars, in the order of their issue.

use super::Bar;
use super::Check;
use super::Limit::{AtLeast, AtMost, Below, None as Shown};
use super::run::Command::{Bench, Load, Peers};
use super::run::Round;

/// User and system time of the server for a delivery.
const CPU: &str = "/server_cpu_micros_per_delivery";
const RATIO: &str = "/ceiling/0/server_ratio";

pub(crate) const BARS: &[Bar] = &[
    Bar {
        name: "saturated",
        commands: &[
            Load("--ceiling"),
            Load("--subscribers 5000 --ceiling"),
            Load("--window 8 --ceiling"),
            Peers,
        ],
        checks: &[
            Check {
                what: "1,000 subscribers: CPU by the bare loop's, 8 frames a write",
                limit: AtMost(1.2),
                figure: |round| round.at(0, RATIO),
            },
            Check {
                what: "5,000 subscribers: the same",
                limit: AtMost(1.2),
                figure: |round| round.at(1, RATIO),
            },
            Check {
                what: "1,000 subscribers, 8 messages under way: the same",
                limit: Shown,
                figure: |round| round.at(2, RATIO),
            },
            Check {
                what: "1,000 subscribers: CPU by nats-server's",
                limit: AtMost(0.6),
                figure: |round| by_peer(round, 3, "nats-server", "/saturated/cpu_micros"),
            },
        ],
    },
    Bar {
        name: "steady",
        commands: &[
            Load("--rate 20 --ceiling"),
            Load("--rate 50 --ceiling"),
            Load("--subscribers 5000 --rate 20 --ceiling"),
        ],
        checks: &[
            Check {
                what: "1,000 subscribers, 20 messages/s: CPU by the bare single write's",
                limit: AtMost(1.2),
                figure: |round| round.at(0, RATIO),
            },
            Check {
                what: "1,000 subscribers, 50 messages/s: the same",
                limit: AtMost(1.2),
                figure: |round| round.at(1, RATIO),
            },
            Check {
                what: "5,000 subscribers, 20 messages/s: the same",
                limit: AtMost(1.2),
                figure: |round| round.at(2, RATIO),
            },
        ],
    },
];

/// What the broker measured by what another server measured in the same run.
fn by_peer(round: &Round, command: usize, peer: &str, pointer: &str) -> Option<f64> {
    let of = |server: &str| round.at(command, &format!("/{server}{pointer}"));
    Some(of("tidings")? / of(peer)?)
}
