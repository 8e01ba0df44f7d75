//! The schema over a broker with the memory engine: requests in, results out, as tables.

mod documents;
mod messages;
mod operations;
mod oracle;
mod publishes;
mod typed;
mod typed_changes;
mod typed_extremes;
mod typed_filters;
mod typed_fits;
mod typed_oracle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};

use super::definition::Definition;
use super::limits::Limits;
use super::request::Request;
use super::sdl::model::Model;
use super::{Caller, Options, Schema, Started, error};
use crate::broker::directory::{ConnectionPage, ConnectionReport, Directory};
use crate::broker::{self, Base, Broker, Options as BrokerOptions};
use crate::engine::Bounds;
use crate::engine::memory::{Memory, Options as MemoryOptions};
use crate::engine::retention::{Keep, Retention};
use crate::message::cursor::Epoch;
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::plan::Plan;

/// A schema with a broker whose clock stands still: cursors are `1-1`, `1-2` and so on.
struct Fixture {
    schema: Arc<Schema>,
    caller: Arc<Caller>,
}

/// One connection, named `c1`, of `ann`.
struct OneConnection;

impl Directory for OneConnection {
    fn connections(&self, first: usize, _: Option<&str>) -> ConnectionPage {
        let report = ConnectionReport {
            id: "c1".into(),
            subject: Some("ann".into()),
            remote: "127.0.0.1:1".into(),
            protocol: "graphql-transport-ws",
            since: Timestamp::from_micros(0),
            subscriptions: u64::MAX,
            outbox_bytes: 0,
            dropped: 0,
        };
        ConnectionPage { connections: vec![report; first.min(1)], total: 1, has_next: false }
    }

    fn disconnect(&self, connection: Option<&str>, subject: Option<&str>, _: &str) -> u64 {
        u64::from(connection == Some("c1") || subject == Some("ann"))
    }
}

impl Fixture {
    fn new() -> Self {
        Self::with(Limits { depth: 12, complexity: 1000, aliases: 100 })
    }

    fn with(limits: Limits) -> Self {
        Self::of(&Model::default(), limits)
    }

    fn of(model: &Model, limits: Limits) -> Self {
        let definition = Definition::new(model).unwrap();
        let options = BrokerOptions {
            publishes_per_second_max: 0,
            shards: 1,
            payload_bytes_max: 1000,
            encodings_bytes: 1 << 20,
            topic_rules: definition.typed.topic_rules(),
            node: "n1".into(),
        };
        let base = Base::new(&options, Instant::now());
        let keep = Keep { last: Some(1000), age: None, bytes: None };
        let memory = MemoryOptions {
            epoch: Epoch::new(1),
            retention: Retention { rules: Vec::new(), default: keep },
            bounds: Bounds {
                memory_bytes: 1 << 30,
                volatile_bytes: 1 << 30,
                idempotency_window: Duration::from_mins(2),
                idempotency_ids_max: 1000,
            },
            clock: Arc::new(|| Timestamp::from_micros(0)),
        };
        let engine = Memory::new(memory, base.feeds.clone());
        let broker = Arc::new(Broker::new(engine, base, options, Timestamp::from_micros(0)));
        let options = Options { limits, ..self::options() };
        let schema = Schema::new(broker, Arc::new(OneConnection), definition, &options);
        let caller = Caller {
            connection: "c1".into(),
            subject: Some("ann".into()),
            admin: true,
            resume: false,
            client: broker::admission::Admission::new(0).connection(),
        };
        Self { schema, caller: Arc::new(caller) }
    }

    fn start(&self, request: &str) -> Started {
        self.schema.start(&Request::parse(request).unwrap(), &self.caller, Instant::now())
    }

    /// The result of a request; of a subscription that streams, the first one.
    fn send(&self, request: &str) -> String {
        let bytes = match self.start(request) {
            Started::Subscribe(plan, _) => return format!("{plan:?}"),
            Started::Stream(mut stream) => stream.next().now_or_never().unwrap().unwrap(),
            Started::Publish(publishing) => publishing.submit().now_or_never().unwrap(),
            Started::Mutation(answer) | Started::Query(answer) => answer.now_or_never().unwrap(),
            Started::Refused(errors) => error::response(&errors),
        };
        let text = String::from_utf8(bytes).unwrap();
        assert!(Json::parse(&text).is_ok(), "{text}");
        text
    }

    /// The result of a document without variables.
    fn ask(&self, document: &str) -> String {
        self.send(&request(document, "{}"))
    }

    fn plan(&self, document: &str, variables: &str) -> Plan {
        match self.start(&request(document, variables)) {
            Started::Subscribe(plan, _) => plan,
            Started::Refused(errors) => panic!("{errors}"),
            _ => panic!("not a plan: {document}"),
        }
    }

    /// Publishes to topics, each time the number of the message.
    fn publish(&self, topics: &[&str]) {
        for (index, topic) in topics.iter().enumerate() {
            let document =
                r"mutation($t: String!, $p: JSON!) { publish(topic: $t, payload: $p) { cursor } }";
            let variables = format!(r#"{{"t":"{topic}","p":{{"n":{}}}}}"#, index + 1);
            let result = self.send(&request(document, &variables));
            assert!(!result.contains("errors"), "{result}");
        }
    }
}

fn options() -> Options {
    Options {
        limits: Limits { depth: 12, complexity: 1000, aliases: 100 },
        documents_bytes: 1 << 26,
        persisted_bytes: 1 << 20,
        shown_limits: Json::parse(r#"{"query_depth":12}"#).unwrap(),
    }
}

fn request(document: &str, variables: &str) -> String {
    let document = serde_json::Value::from(document);
    format!(r#"{{"query":{document},"variables":{variables}}}"#)
}

/// Text that was broken into lines to be read.
fn joined(text: &str) -> String {
    text.lines().map(str::trim_start).collect()
}

/// Codes of the errors in a response that has no data.
fn refusal(response: &str) -> Vec<String> {
    let response: serde_json::Value = serde_json::from_str(response).unwrap();
    assert!(response.get("data").is_none(), "{response}");
    codes(&response)
}

fn codes(response: &serde_json::Value) -> Vec<String> {
    let errors = response["errors"].as_array().unwrap();
    let code = |error: &serde_json::Value| error["extensions"]["code"].as_str().unwrap().to_owned();
    errors.iter().map(code).collect()
}
