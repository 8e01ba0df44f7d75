//! What a run does: who subscribes to what, and what is published when.

use std::time::Duration;

use super::layout::Layout;
use super::stamp::Stamp;
use crate::cli::socket::push_frame;
use crate::websocket::frame::Opcode;

/// One fan-out run.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Sets this run's topics apart from those of others.
    pub(super) run: String,
    pub(super) subscribers: usize,
    pub(super) publishers: usize,
    pub(super) topics: usize,
    /// Topics of one subscription.
    pub(super) topics_each: usize,
    /// How often a second a topic may be delivered to one subscriber: newer messages take the place
    /// of those that wait. `None` is every message.
    pub(super) max_per_second: Option<f64>,
    /// Distinct selections: each is encoded on its own.
    pub(super) selections: usize,
    /// Distinct conditions, all of which pass; 0 is none.
    pub(super) filters: usize,
    /// Bytes of a payload.
    pub(super) size: usize,
    /// How messages of typed topics are followed; `None`: the topics are generic.
    pub(super) view: Option<View>,
    pub(super) pace: Pace,
    pub(super) until: Until,
    /// Before the measurement begins.
    pub(super) warmup: Duration,
}

/// The two views of a typed topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// By `messages`.
    Generic,
    /// By the field of the type.
    Typed,
}

/// The type of typed topics.
pub(super) const SCHEMA: &str = "\
type Bench @topic(name: \"bench.{run}.{topic}\") {
  run: ID!
  topic: ID!
  b: String!
  x: String!
}
";

/// How fast messages are published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// As fast as they are delivered, with so many under way.
    Saturate { window: u64 },
    /// So many a second, whatever happens.
    Rate(f64),
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// After so many messages.
    Messages(u64),
    /// After so long.
    Time(Duration),
}

impl Plan {
    pub(super) fn topic(&self, index: usize) -> String {
        format!("bench.{}.{index}", self.run)
    }

    /// Who follows what.
    pub(super) fn layout(&self) -> Layout {
        let Self { subscribers, topics, topics_each, .. } = *self;
        Layout { subscribers, topics, topics_each }
    }

    /// Messages go round the topics, and the publishers take turns at each. Where some are left
    /// out, every other message is of a tenth of the topics: of a few there is more than is wanted.
    pub(super) fn topic_of_message(&self, number: u64) -> usize {
        match self.max_per_second {
            None => position(number, self.topics),
            Some(_) if number.is_multiple_of(2) => {
                position(number / 2, self.topics.div_ceil(HOT)) * HOT
            }
            Some(_) => position(number / 2, self.topics),
        }
    }

    pub(super) fn publisher_of_message(&self, number: u64) -> usize {
        match self.max_per_second {
            None => position(number / self.topics as u64, self.publishers),
            // Of several publishers nobody could tell which message of a topic was the newest.
            Some(_) => self.topic_of_message(number) % self.publishers,
        }
    }

    /// Messages that one publisher sends on one topic come in order. They are a stream; this is its
    /// number for a subscriber whose first topic is `first`, if he follows the topic.
    pub(super) fn stream(&self, first: usize, stamp: &Stamp) -> Option<usize> {
        let topic = self.topic_of_message(stamp.number);
        let publisher = usize::try_from(stamp.publisher).ok().filter(|p| *p < self.publishers)?;
        Some(self.layout().place(first, topic)? * self.publishers + publisher)
    }

    /// When a message is due, in nanoseconds since the load began; `None` is as soon as it may.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "53 bits of nanoseconds are 104 days, and a rate is positive"
    )]
    pub(super) fn due_nanos(&self, number: u64) -> Option<u64> {
        match self.pace {
            Pace::Saturate { .. } => None,
            Pace::Rate(rate) => Some((number as f64 * 1e9 / rate) as u64),
        }
    }

    /// The document of a subscriber. Topics, selections and conditions go round independently.
    pub(super) fn document(&self, index: usize) -> String {
        if self.view == Some(View::Typed) {
            return self.typed_document(index);
        }
        let arguments = self.arguments(index);
        format!("subscription {{ messages({arguments}) {{ {} }} }}", self.selection(index))
    }

    /// The same with each message's cursor. `after` makes a subscription that goes on after `$a`.
    fn document_with_cursors(&self, index: usize, after: bool) -> String {
        let (variables, after) = if after { ("($a: Cursor)", ", after: $a") } else { ("", "") };
        let (arguments, selection) = (self.arguments(index), self.selection(index));
        format!(
            "subscription{variables} {{ messages({arguments}{after}) {{ cursor {selection} }} }}"
        )
    }

    fn arguments(&self, index: usize) -> String {
        let topics = self.layout().topics_of(index).map(|topic| self.topic(topic));
        let topics: Vec<String> = topics.map(|topic| format!("\"{topic}\"")).collect();
        let condition = match self.filters {
            0 => String::new(),
            filters => {
                let unlike = index / self.topics / self.selections % filters;
                format!(r#", where: [{{path: "/x", ne: {unlike}}}]"#)
            }
        };
        let pace = self.max_per_second.map(|most| format!(", maxPerSecond: {most:?}"));
        format!("topics: [{}]{condition}{}", topics.join(", "), pace.unwrap_or_default())
    }

    fn selection(&self, index: usize) -> String {
        match self.selections {
            1 => "payload".to_owned(),
            selections => format!("s{}: payload", index / self.topics % selections),
        }
    }

    /// The same of the field that the type has: its result is as long.
    fn typed_document(&self, index: usize) -> String {
        let (rest, run) = (index / self.topics, &self.run);
        let topic = self.layout().first(index);
        let condition = match self.filters {
            0 => String::new(),
            filters => {
                let unlike = rest / self.selections % filters;
                format!(r#", where: {{x: {{ne: "{unlike}"}}}}"#)
            }
        };
        let last = match self.selections {
            1 => "x".to_owned(),
            selections => format!("s{}: x", rest % selections),
        };
        let arguments = format!(r#"run: "{run}", topic: "{topic}"{condition}"#);
        format!("subscription {{ bench({arguments}) {{ run topic b {last} }} }}")
    }

    /// The frame that subscribes.
    pub(super) fn subscribe_frame(&self, index: usize) -> Vec<u8> {
        let query = serde_json::Value::from(self.document(index));
        subscribe_frame(&format!(r#"{{"query":{query}}}"#))
    }

    /// The frame that subscribes to messages with their cursors, and maybe goes on after one.
    pub(super) fn resume_frame(&self, index: usize, after: Option<&str>) -> Vec<u8> {
        let query = serde_json::Value::from(self.document_with_cursors(index, after.is_some()));
        let variables = after.map(|after| format!(r#","variables":{{"a":"{after}"}}"#));
        subscribe_frame(&format!(r#"{{"query":{query}{}}}"#, variables.unwrap_or_default()))
    }

    /// Appends the frame that publishes a message under an operation id of its own.
    pub(super) fn push_publish(&self, out: &mut Vec<u8>, topic: usize, stamp: &Stamp) {
        const MUTATION: &str =
            "mutation P($t:String!,$p:JSON!){publish(topic:$t,payload:$p){cursor}}";
        let fields = match self.view {
            Some(_) => format!(r#""run":"{}","topic":"{topic}","#, self.run),
            None => String::new(),
        };
        let (id, topic) = (stamp.number, self.topic(topic));
        let mut text = Vec::with_capacity(self.size + 256);
        let head =
            format!(r#"{{"id":"{id:x}","type":"subscribe","payload":{{"query":"{MUTATION}""#);
        text.extend_from_slice(head.as_bytes());
        text.extend_from_slice(format!(r#","variables":{{"t":"{topic}","p":"#).as_bytes());
        stamp.push_payload(&mut text, &fields, self.size);
        text.extend_from_slice(b"}}}");
        push_frame(out, Opcode::Text, &text, MASK);
    }
}

/// One topic in so many has more messages than the others, where some are left out.
const HOT: usize = 10;

/// Any key does: masking guards proxies from scripts, and there are neither.
const MASK: [u8; 4] = [0x9e, 0x37, 0x79, 0xb9];

fn subscribe_frame(payload: &str) -> Vec<u8> {
    let text = format!(r#"{{"id":"1","type":"subscribe","payload":{payload}}}"#);
    let mut frame = Vec::new();
    push_frame(&mut frame, Opcode::Text, text.as_bytes(), MASK);
    frame
}

fn position(number: u64, of: usize) -> usize {
    // Divisions are slow, and this is asked for every delivery.
    if of == 1 {
        return 0;
    }
    usize::try_from(number % of as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn plan() -> Plan {
        Plan {
            run: "r".into(),
            subscribers: 10,
            publishers: 2,
            topics: 3,
            topics_each: 1,
            max_per_second: None,
            selections: 1,
            filters: 0,
            size: 100,
            view: None,
            pace: Pace::Rate(4.0),
            until: Until::Messages(1),
            warmup: Duration::ZERO,
        }
    }

    #[test]
    fn streams_are_told_apart_and_strangers_seen() {
        let plan = Plan { topics_each: 2, ..plan() };
        let stamp = |publisher, number| Stamp { publisher, sequence: 0, number, due_nanos: 0 };
        // A subscriber of topics 2 and 0: two publishers for each.
        let stream = |publisher, number| plan.stream(2, &stamp(publisher, number));
        let streams = [stream(0, 2), stream(1, 2), stream(0, 3), stream(1, 0)];
        assert_eq!(streams, [Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(stream(0, 1), None, "a topic that he does not follow");
        assert_eq!(stream(2, 2), None, "a publisher that there is not");
    }

    #[test]
    fn every_publisher_serves_every_topic() {
        let plan = plan();
        let route = |number| (plan.topic_of_message(number), plan.publisher_of_message(number));
        assert_eq!((0..6).map(route).collect::<HashSet<_>>().len(), 6);
        assert_eq!(plan.due_nanos(2), Some(500_000_000));
    }

    #[test]
    fn half_of_what_is_conflated_is_of_a_tenth_of_the_topics() {
        let plan = Plan { topics: 20, max_per_second: Some(5.0), ..plan() };
        let mut messages = vec![0; plan.topics];
        (0..4000).for_each(|number| messages[plan.topic_of_message(number)] += 1);
        let (hot, others) = (2000 / 2 + 2000 / 20, 2000 / 20);
        for (topic, count) in messages.into_iter().enumerate() {
            assert_eq!(count, if topic % HOT == 0 { hot } else { others }, "{topic}");
        }
    }

    #[test]
    fn documents_differ_as_asked() {
        let plain = r#"subscription { messages(topics: ["bench.r.1"]) { payload } }"#;
        assert_eq!(plan().document(1), plain);
        let wide = Plan { topics: 1, selections: 2, filters: 2, subscribers: 8, ..plan() };
        let documents: HashSet<String> = (0..8).map(|index| wide.document(index)).collect();
        assert_eq!(documents.len(), 4);
        let last = r#"(topics: ["bench.r.0"], where: [{path: "/x", ne: 1}]) { s1: payload } }"#;
        assert!(documents.contains(&format!("subscription {{ messages{last}")));
        let paced = Plan { topics_each: 2, max_per_second: Some(5.0), ..plan() };
        let two = r#"(topics: ["bench.r.2", "bench.r.0"], maxPerSecond: 5.0) { payload } }"#;
        assert_eq!(paced.document(1), format!("subscription {{ messages{two}"));
        let typed = Plan { view: Some(View::Typed), ..wide };
        let documents: HashSet<String> = (0..8).map(|index| typed.document(index)).collect();
        assert_eq!(documents.len(), 4);
        let one = r#"(run: "r", topic: "0", where: {x: {ne: "1"}}) { run topic b s1: x } }"#;
        assert!(documents.contains(&format!("subscription {{ bench{one}")));
    }
}
