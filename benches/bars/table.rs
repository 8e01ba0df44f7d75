//! The bars, in the order of their issue.

use serde_json::Value;

use super::Limit::{AtLeast, AtMost, Below, Reported};
use super::run::Command::{Bench, Load, Peers};
use super::run::{Command, Figure, Round};
use super::{Bar, Check};

/// User and system time of the server for a delivery.
const CPU: &str = "/server_cpu_micros_per_delivery";
/// The same, divided by the bare loop's of the same run.
const RATIO: &str = "/ceiling/0/server_ratio";
const P99: &str = "/latency/p99_millis";

/// This server and two others in turn, by the same load: all that is measured of them.
const BESIDE: Command = Peers("tidings nats nchan");
const SATURATED: Figure = ("saturated", "/figures/server_cpu_micros_per_delivery");
const PACED_P50: Figure = ("paced", "/figures/latency/p50_millis");
const PACED_P99: Figure = ("paced", "/figures/latency/p99_millis");
const CONNECTS: Figure = ("idle", "/idle/connects_per_second");
const PUBLISHES: Figure = ("intake", "/intake/publishes_per_second");

pub(crate) const BARS: &[Bar] = &[
    Bar {
        name: "saturated",
        commands: &[
            Load("--window 64 --ceiling"),
            Load("--subscribers 5000 --window 64 --ceiling"),
            Load("--ceiling"),
            Load("--window 8 --ceiling"),
            BESIDE,
            Peers("--subscribers 5000 tidings nats"),
        ],
        checks: &[
            Check {
                what: "CPU, 1,000 subscribers / bare loop, 8 frames a write, 64 under way in both",
                limit: AtMost(1.2),
                figure: |round| round.at(0, RATIO),
            },
            Check {
                what: "CPU, 5,000 subscribers / the same",
                limit: AtMost(1.2),
                figure: |round| round.at(1, RATIO),
            },
            Check {
                what: "CPU, 1,000 subscribers, 16 under way / the same with 64",
                limit: Reported,
                figure: |round| round.at(2, RATIO),
            },
            Check {
                what: "CPU, 1,000 subscribers, 8 under way / the same with 64",
                limit: Reported,
                figure: |round| round.at(3, RATIO),
            },
            Check {
                what: "CPU, 1,000 subscribers / nats-server",
                limit: AtMost(0.6),
                figure: |round| round.by_peer(4, "nats", SATURATED),
            },
            Check {
                what: "CPU, 5,000 subscribers / nats-server",
                limit: AtMost(0.6),
                figure: |round| round.by_peer(5, "nats", SATURATED),
            },
        ],
    },
    Bar {
        name: "steady",
        commands: &[
            Load("--rate 20 --ceiling"),
            Load("--rate 50 --ceiling"),
            Load("--subscribers 5000 --rate 20 --ceiling"),
            Load("--subscribers 5000 --rate 50 --ceiling"),
        ],
        checks: &[
            Check {
                what: "CPU, 1,000 subscribers, 20 messages/s / bare single write",
                limit: AtMost(1.2),
                figure: |round| round.at(0, RATIO),
            },
            Check {
                what: "CPU, 1,000 subscribers, 50 messages/s / bare single write",
                limit: AtMost(1.2),
                figure: |round| round.at(1, RATIO),
            },
            Check {
                what: "CPU, 5,000 subscribers, 20 messages/s / bare single write",
                limit: AtMost(1.2),
                figure: |round| round.at(2, RATIO),
            },
            Check {
                what: "CPU, 5,000 subscribers, 50 messages/s / bare single write",
                limit: AtMost(1.2),
                figure: |round| round.at(3, RATIO),
            },
        ],
    },
    Bar {
        name: "latency",
        commands: &[BESIDE],
        checks: &[
            Check {
                what: "p50, 1,000 subscribers, 50 messages/s / nats-server",
                limit: Below(1.0),
                figure: |round| round.by_peer(0, "nats", PACED_P50),
            },
            Check {
                what: "p99, the same / nats-server",
                limit: Below(1.0),
                figure: |round| round.by_peer(0, "nats", PACED_P99),
            },
            Check {
                what: "p50, the same / nchan",
                limit: Below(1.0),
                figure: |round| round.by_peer(0, "nchan", PACED_P50),
            },
            Check {
                what: "p99, the same / nchan",
                limit: Below(1.0),
                figure: |round| round.by_peer(0, "nchan", PACED_P99),
            },
        ],
    },
    Bar {
        name: "filters",
        commands: &[Load("--filters 1"), Load("--filters 1000"), Load("")],
        checks: &[
            Check {
                what: "CPU, 1,000 filters / one",
                limit: AtMost(1.15),
                figure: |round| round.ratio((1, CPU), (0, CPU)),
            },
            Check {
                what: "CPU, 1,000 filters / no filter at all",
                limit: Reported,
                figure: |round| round.ratio((1, CPU), (2, CPU)),
            },
        ],
    },
    Bar {
        name: "selections",
        commands: &[Load(""), Load("--selections 100")],
        checks: &[Check {
            what: "CPU, 100 selections / one",
            limit: AtMost(1.5),
            figure: |round| round.ratio((1, CPU), (0, CPU)),
        }],
    },
    Bar {
        name: "deflate",
        commands: &[Load("--size 1024 --deflate")],
        checks: &[
            Check {
                what: "CPU, 1 KiB compressed / plain",
                limit: AtMost(1.25),
                figure: |round| {
                    round.ratio((0, "/deflate/server_cpu_micros_per_delivery"), (0, CPU))
                },
            },
            Check {
                what: "bytes, 1 KiB compressed / plain",
                limit: AtMost(0.5),
                figure: |round| round.ratio((0, "/deflate/frame_bytes"), (0, "/frame_bytes")),
            },
        ],
    },
    Bar {
        name: "typed",
        commands: &[Load("--typed"), Load("--typed --rate 50")],
        checks: &[
            Check {
                what: "CPU, typed topics / generic ones",
                limit: AtMost(1.1),
                figure: |round| round.ratio((0, "/typed/server_cpu_micros_per_delivery"), (0, CPU)),
            },
            Check {
                what: "CPU, the same at 50 messages/s",
                limit: AtMost(1.1),
                figure: |round| round.ratio((1, "/typed/server_cpu_micros_per_delivery"), (1, CPU)),
            },
        ],
    },
    Bar {
        name: "flat",
        commands: &[
            Load("--subscribers 100 --rate 500 --ceiling"),
            Load("--subscribers 1000 --rate 50 --ceiling"),
            Load("--subscribers 10000 --rate 5 --ceiling"),
            Load("--subscribers 100 --window 64"),
            Load("--subscribers 1000 --window 64"),
            Load("--subscribers 10000 --window 64"),
        ],
        checks: &[
            Check {
                what: "CPU, saturated: highest of 100, 1,000, 10,000 / lowest",
                limit: AtMost(1.15),
                figure: |round| spread(round, [3, 4, 5], CPU),
            },
            Check {
                what: "CPU / bare single write, 50,000 deliveries/s: rise with subscribers",
                limit: AtMost(1.15),
                figure: |round| rise(round, [0, 1, 2], RATIO),
            },
            Check {
                what: "CPU / bare single write, 50,000 deliveries/s: highest / lowest",
                limit: Reported,
                figure: |round| spread(round, [0, 1, 2], RATIO),
            },
            Check {
                what: "CPU, 50,000 deliveries/s: highest / lowest",
                limit: Reported,
                figure: |round| spread(round, [0, 1, 2], CPU),
            },
            Check {
                what: "CPU of the bare single write, 50,000 deliveries/s: highest / lowest",
                limit: Reported,
                figure: |round| spread(round, [0, 1, 2], "/ceiling/0/cpu_micros_per_delivery"),
            },
        ],
    },
    Bar {
        name: "rooms",
        commands: &[Load("--subscribers 10000 --topics 2000 --rate 10000 --ceiling")],
        checks: &[Check {
            what: "CPU, 2,000 topics of 5 members, 10,000 messages/s / bare loop",
            limit: AtMost(2.0),
            figure: |round| round.at(0, RATIO),
        }],
    },
    Bar {
        name: "market",
        commands: &[Load("--market --duration 20s")],
        checks: &[
            Check {
                what: "CPU, us for a delivery",
                limit: Reported,
                figure: |round| round.at(0, CPU),
            },
            Check { what: "p99, ms", limit: Reported, figure: |round| round.at(0, P99) },
            Check {
                what: "bytes in outboxes, mean of the second half / first half",
                limit: AtMost(GROWTH_MAX),
                figure: |round| growth(round, "outbox_bytes"),
            },
            Check {
                what: "events in inboxes, mean of the second half / first half",
                limit: AtMost(GROWTH_MAX),
                figure: |round| growth(round, "inbox_events"),
            },
        ],
    },
    Bar {
        name: "idle",
        commands: &[Load("--idle 10000")],
        checks: &[Check {
            what: "RSS of an idle connection, KiB",
            limit: AtMost(3.0),
            figure: |round| Some(round.at(0, "/server_rss_bytes_per_connection")? / 1024.0),
        }],
    },
    Bar {
        name: "connects",
        commands: &[BESIDE],
        checks: &[Check {
            what: "connections/s / nats-server",
            limit: AtLeast(2.0),
            figure: |round| round.by_peer(0, "nats", CONNECTS),
        }],
    },
    Bar {
        name: "resume",
        commands: &[Load("--subscribers 10000 --resume 100 --ceiling")],
        checks: &[
            Check {
                what: "time, 10,000 clients with 100 messages each / bare loop, 100 frames a write",
                limit: AtMost(2.0),
                figure: |round| round.at(0, "/ceiling/0/server_time_ratio"),
            },
            Check {
                what: "time / bare loop, 8 frames a write",
                limit: Reported,
                figure: |round| round.at(0, "/ceiling/1/server_time_ratio"),
            },
            Check {
                what: "encodings of a message and selection",
                limit: AtMost(1.0),
                figure: |round| round.at(0, "/encoded_ratio"),
            },
        ],
    },
    Bar {
        name: "publish",
        commands: &[Load("--publish"), BESIDE],
        checks: &[
            Check {
                what: "publishes/s / the lower of 100,000 and half of nats-server",
                limit: AtLeast(1.0),
                figure: |round| {
                    let half = round.of(1, "nats", PUBLISHES)? / 2.0;
                    Some(round.at(0, "/publishes_per_second")? / half.min(100_000.0))
                },
            },
            Check {
                what: "publishes/s",
                limit: Reported,
                figure: |round| round.at(0, "/publishes_per_second"),
            },
        ],
    },
    Bar {
        name: "routes",
        commands: &[Bench("routes")],
        checks: &[
            Check {
                what: "ns, lookup among 1,000,000 exact filters",
                limit: AtMost(300.0),
                figure: |round| round.at(0, "/0/nanos"),
            },
            Check {
                what: "ns, lookup among 100,000 wildcard filters",
                limit: AtMost(2000.0),
                figure: |round| round.at(0, "/1/nanos"),
            },
        ],
    },
    Bar {
        name: "allocations",
        commands: &[Bench("allocations")],
        checks: &[Check {
            what: "loads that allocate for each delivery",
            limit: AtMost(0.0),
            figure: |round| count(round, |load| load["is_met"] == false),
        }],
    },
];

/// Half as much again is noise; a queue that grows doubles in the second half.
const GROWTH_MAX: f64 = 1.5;

fn growth(round: &Round, queue: &str) -> Option<f64> {
    let half = |half: &str| round.at(0, &format!("/queues/{queue}/{half}_mean"));
    // A queue that was empty may hold one thing without growing.
    Some(half("second")?.max(1.0) / half("first")?.max(1.0))
}

fn spread(round: &Round, commands: [usize; 3], pointer: &str) -> Option<f64> {
    let mut costs = costs(round, commands, pointer)?;
    costs.sort_by(f64::total_cmp);
    Some(costs[2] / costs[0])
}

/// The most by which one is more than one before it; below 1 if each is less.
fn rise(round: &Round, commands: [usize; 3], pointer: &str) -> Option<f64> {
    let [few, more, most] = costs(round, commands, pointer)?;
    Some((more / few).max(most / few).max(most / more))
}

fn costs(round: &Round, commands: [usize; 3], pointer: &str) -> Option<[f64; 3]> {
    let [first, second, third] = commands;
    let cost = |command| round.at(command, pointer);
    Some([cost(first)?, cost(second)?, cost(third)?])
}

fn count(round: &Round, counted: fn(&Value) -> bool) -> Option<f64> {
    let rows = round.json(0)?.as_array().filter(|rows| !rows.is_empty())?;
    let count = rows.iter().filter(|row| counted(row)).count();
    Some(f64::from(u32::try_from(count).ok()?))
}
