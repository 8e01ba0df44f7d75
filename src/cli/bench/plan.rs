//! What a run does: who subscribes to what, and what is published when.

use std::time::Duration;

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

    /// Messages go round the topics, and the publishers take turns at each.
    pub(super) fn topic_of_message(&self, number: u64) -> usize {
        position(number, self.topics)
    }

    pub(super) fn publisher_of_message(&self, number: u64) -> usize {
        position(number / self.topics as u64, self.publishers)
    }

    pub(super) fn topic_of_subscriber(&self, index: usize) -> usize {
        index % self.topics
    }

    /// Who sees the messages of a topic.
    pub(super) fn subscribers_of_topic(&self, topic: usize) -> usize {
        (self.subscribers + self.topics - 1 - topic) / self.topics
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
        let rest = index / self.topics;
        let topic = self.topic(self.topic_of_subscriber(index));
        let condition = match self.filters {
            0 => String::new(),
            filters => {
                let unlike = rest / self.selections % filters;
                format!(r#", where: [{{path: "/x", ne: {unlike}}}]"#)
            }
        };
        let selection = match self.selections {
            1 => "payload".to_owned(),
            selections => format!("s{}: payload", rest % selections),
        };
        format!(r#"subscription {{ messages(topics: ["{topic}"]{condition}) {{ {selection} }} }}"#)
    }

    /// The same of the field that the type has: its result is as long.
    fn typed_document(&self, index: usize) -> String {
        let (rest, run) = (index / self.topics, &self.run);
        let topic = self.topic_of_subscriber(index);
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
        let text = format!(r#"{{"id":"1","type":"subscribe","payload":{{"query":{query}}}}}"#);
        let mut frame = Vec::new();
        push_frame(&mut frame, Opcode::Text, text.as_bytes(), MASK);
        frame
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

/// Any key does: masking guards proxies from scripts, and there are neither.
const MASK: [u8; 4] = [0x9e, 0x37, 0x79, 0xb9];

fn position(number: u64, of: usize) -> usize {
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
    fn every_subscriber_is_counted_once() {
        let plan = plan();
        let counted: Vec<usize> = (0..3).map(|topic| plan.subscribers_of_topic(topic)).collect();
        let owned = |topic| (0..10).filter(|i| plan.topic_of_subscriber(*i) == topic).count();
        assert_eq!(counted, [owned(0), owned(1), owned(2)]);
        assert_eq!(counted.iter().sum::<usize>(), 10);
    }

    #[test]
    fn every_publisher_serves_every_topic() {
        let plan = plan();
        let route = |number| (plan.topic_of_message(number), plan.publisher_of_message(number));
        assert_eq!((0..6).map(route).collect::<HashSet<_>>().len(), 6);
        assert_eq!(plan.due_nanos(2), Some(500_000_000));
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
        let typed = Plan { view: Some(View::Typed), ..wide };
        let documents: HashSet<String> = (0..8).map(|index| typed.document(index)).collect();
        assert_eq!(documents.len(), 4);
        let one = r#"(run: "r", topic: "0", where: {x: {ne: "1"}}) { run topic b s1: x } }"#;
        assert!(documents.contains(&format!("subscription {{ bench{one}")));
    }
}
