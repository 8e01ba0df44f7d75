//! What is measured: who subscribes to what, and what is published.

/// One kind of load. A message is delivered to every subscriber, unless the case says otherwise.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// The document of a subscriber.
    pub(crate) document: fn(usize) -> String,
    /// The topic of a message.
    pub(crate) topic: fn(u64) -> String,
    /// Bytes of filler in a payload.
    pub(crate) filler: usize,
    /// Do the subscribers offer permessage-deflate?
    pub(crate) is_deflated: bool,
    /// Messages that are published in one write; the next ones follow when these are delivered.
    pub(crate) burst: u64,
    /// Topics that share the subscribers evenly.
    pub(crate) rooms: u64,
    /// Are messages kept back? Then nobody waits for deliveries, and bursts follow by the clock.
    pub(crate) is_paced: bool,
    /// The two numbers of subscribers whose allocations are compared.
    pub(crate) subscribers: [u64; 2],
}

const PLAIN: Case = Case {
    name: "one feed, gathered",
    document: |_| of("\"hot.0\"", "payload"),
    topic: |_| "hot.0".to_owned(),
    filler: 64,
    is_deflated: false,
    burst: 16,
    rooms: 1,
    is_paced: false,
    subscribers: [100, 1_000],
};

pub(crate) const CASES: &[Case] = &[
    PLAIN,
    Case { name: "one feed, message by message", burst: 1, ..PLAIN },
    Case { name: "one feed, many subscribers", subscribers: [1_000, 8_000], ..PLAIN },
    Case {
        name: "100 selections",
        document: |index| of("\"hot.0\"", &format!("s{}: payload", index % 100)),
        ..PLAIN
    },
    Case {
        name: "as many filters as subscribers",
        document: |index| of(&format!("[\"hot.0\", \"own.{index}.*\"]"), "payload"),
        ..PLAIN
    },
    Case {
        name: "as many conditions as subscribers",
        document: |index| {
            let condition = format!("\"hot.0\", where: {{path: \"/n\", ne: -{}}}", index + 1);
            of(&condition, "payload")
        },
        ..PLAIN
    },
    Case {
        name: "typed topics",
        document: |_| "subscription { hot(room: \"0\") { room n x } }".to_owned(),
        ..PLAIN
    },
    Case { name: "permessage-deflate", filler: 1_000, is_deflated: true, ..PLAIN },
    Case {
        name: "20 rooms",
        document: |index| of(&format!("\"hot.{}\"", index % 20), "payload"),
        topic: |number| format!("hot.{}", number % 20),
        burst: 20,
        rooms: 20,
        ..PLAIN
    },
    Case {
        name: "conflated, 20 topics, most messages at once",
        document: |_| of("\"hot.*\", maxPerSecond: 200", "payload"),
        topic: |number| format!("hot.{}", number % 20),
        burst: 1,
        is_paced: true,
        ..PLAIN
    },
    Case {
        name: "conflated, 20 topics, most messages held back",
        document: |_| of("\"hot.*\", maxPerSecond: 5", "payload"),
        topic: |number| format!("hot.{}", number % 20),
        burst: 1,
        is_paced: true,
        ..PLAIN
    },
];

/// Every case serves this schema: a message of a type may be followed by `messages` as well.
pub(crate) const SCHEMA: &str = "\
type Hot @topic(name: \"hot.{room}\") {
  room: ID!
  n: Int!
  x: String!
}
";

fn of(topics: &str, selection: &str) -> String {
    format!("subscription {{ messages(topics: {topics}) {{ {selection} }} }}")
}

impl Case {
    /// The payload of a message, which fits the type.
    pub(crate) fn payload(&self, number: u64) -> String {
        let topic = (self.topic)(number);
        let room = topic.trim_start_matches("hot.");
        // Words that differ from message to message, as compressed text has them.
        let words = (0..).map(|word| format!("{:05x} price ", number.wrapping_mul(7919 + word)));
        let mut filler = String::new();
        words
            .take_while(|word| {
                filler.push_str(word);
                filler.len() < self.filler
            })
            .for_each(drop);
        filler.truncate(self.filler);
        format!(r#"{{"room":"{room}","n":{number},"x":"{filler}"}}"#)
    }
}
