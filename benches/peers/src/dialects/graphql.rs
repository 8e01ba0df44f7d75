//! graphql-transport-ws, of Tidings and of stock servers.

use tidings::cli::bench::dialect::{Dialect, Opening, Step, graphql_taken, push_masked};
use tidings::cli::bench::stamp::Stamp;
use tidings::websocket::frame::Opcode;

use super::{TOPIC, frame};

const PATH: &str = "/graphql";

/// A schema: how one subscribes and publishes in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// Payloads are JSON.
    Tidings,
    /// `message(topic)` and `publish(topic, payload)`; payloads are strings.
    Stock,
}

/// A GraphQL server.
#[derive(Debug, Clone)]
pub struct GraphQl {
    /// What it serves.
    pub schema: Schema,
    /// Bytes of a payload.
    pub size: usize,
    /// It runs the mutations of a connection in any order: each waits for the one before.
    pub one_at_a_time: bool,
    /// It answers `ping`, so that one knows when it has read a `subscribe`.
    pub answers_ping: bool,
}

impl Dialect for GraphQl {
    fn subscriber(&self, _index: usize) -> Opening {
        let query = match self.schema {
            Schema::Tidings => {
                format!(r#"subscription{{messages(topics:[\"{TOPIC}\"]){{payload}}}}"#)
            }
            Schema::Stock => format!(r#"subscription{{message(topic:\"{TOPIC}\"){{payload}}}}"#),
        };
        let text = format!(r#"{{"id":"1","type":"subscribe","payload":{{"query":"{query}"}}}}"#);
        let mut opening = Opening::graphql(PATH, frame(Opcode::Text, text.as_bytes()));
        if self.answers_ping {
            let send = frame(Opcode::Text, br#"{"type":"ping"}"#);
            opening.steps.push(Step { send, until: Some(b"\"pong\"") });
        }
        opening
    }

    fn publisher(&self) -> Opening {
        Opening::graphql(PATH, Vec::new())
    }

    fn push_publish(&self, out: &mut Vec<u8>, _topic: usize, stamp: &Stamp) {
        let query = match self.schema {
            Schema::Tidings => {
                "mutation P($t:String!,$p:JSON!){publish(topic:$t,payload:$p){cursor}}"
            }
            Schema::Stock => "mutation P($t:String!,$p:String!){publish(topic:$t,payload:$p)}",
        };
        // Messages that only probe share a number, and ids must differ.
        let (number, due) = (stamp.number, stamp.due_nanos);
        let (id, query) = (format!("{number:x}-{due:x}"), format!(r#""query":"{query}""#));
        let head = format!(r#"{{"id":"{id}","type":"subscribe","payload":{{{query}"#);
        let mut text = head.into_bytes();
        text.extend_from_slice(format!(r#","variables":{{"t":"{TOPIC}","p":"#).as_bytes());
        match self.schema {
            Schema::Tidings => stamp.push_payload(&mut text, "", self.size),
            Schema::Stock => {
                text.push(b'"');
                stamp.push_text(&mut text, self.size);
                text.push(b'"');
            }
        }
        text.extend_from_slice(b"}}}");
        push_masked(out, Opcode::Text, &text);
    }

    fn taken(&self, answer: &[u8]) -> Result<u64, String> {
        graphql_taken(answer)
    }

    fn unanswered_max(&self) -> Option<u64> {
        self.one_at_a_time.then_some(1)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tidings::websocket::mask;

    use super::super::heard;
    use super::*;

    fn graphql(schema: Schema) -> GraphQl {
        GraphQl { schema, size: 128, one_at_a_time: false, answers_ping: true }
    }

    /// The text of a short frame that a client sends.
    fn text(frame: &[u8]) -> Value {
        let start = if frame[1] & 0x7f < 126 { 2 } else { 4 };
        let (key, payload) = frame[start..].split_at(4);
        let mut payload = payload.to_vec();
        mask::apply(key.try_into().unwrap(), 0, &mut payload);
        serde_json::from_slice(&payload).unwrap()
    }

    #[test]
    fn what_is_sent_is_json_with_payloads_of_one_size() {
        let stamp = Stamp { publisher: 0, sequence: 7, number: 7, due_nanos: 9 };
        for schema in [Schema::Tidings, Schema::Stock] {
            let graphql = graphql(schema);
            let subscribe = text(&graphql.subscriber(0).steps[1].send);
            assert!(subscribe["payload"]["query"].as_str().unwrap().contains("(topic"));
            let mut publish = Vec::new();
            graphql.push_publish(&mut publish, 0, &stamp);
            let payload = &text(&publish)["payload"]["variables"]["p"];
            let length = match schema {
                Schema::Tidings => payload.to_string().len(),
                Schema::Stock => payload.as_str().unwrap().len(),
            };
            assert_eq!(length, 128, "{schema:?}");
            let delivery = serde_json::json!({"id": "1", "payload": payload}).to_string();
            let delivered = heard(&graphql, &[delivery.as_bytes()]).unwrap();
            assert_eq!(Stamp::find(delivered[0].as_bytes(), &mut 0), Some(stamp), "{schema:?}");
        }
    }

    #[test]
    fn receipts_and_refusals_are_told_apart() {
        let stock = graphql(Schema::Stock);
        let next = br#"{"id":"0","type":"next","payload":{"data":{"publish":true}}}"#;
        assert_eq!(stock.taken(next), Ok(1));
        assert_eq!(stock.taken(br#"{"id":"0","type":"complete"}"#), Ok(0));
        assert!(stock.taken(br#"{"id":"0","type":"error","payload":[]}"#).is_err());
        let errors = br#"{"id":"0","type":"next","payload":{"errors":[]}}"#;
        assert!(stock.taken(errors).is_err());
    }
}
