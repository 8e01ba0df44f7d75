//! GraphQL requests to a broker in memory: each gets an answer or errors that tell the client what
//! was wrong, never a fault of ours.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;
use serde_json::value::RawValue;
use tidings::broker::conflate::Conflater;
use tidings::broker::directory::{ConnectionPage, Directory};
use tidings::broker::feed::ShardId;
use tidings::broker::{Base, Broker, Next, Options as BrokerOptions};
use tidings::engine::memory::{Memory, Options as MemoryOptions};
use tidings::engine::retention::{Keep, Retention};
use tidings::engine::{Bounds, Engine, Publish};
use tidings::graphql::definition::Definition;
use tidings::graphql::limits::Limits;
use tidings::graphql::request::Request;
use tidings::graphql::sdl::model::Model;
use tidings::graphql::{Caller, Options, Place, Schema, Started, error};
use tidings::message::cursor::{Cursor, Epoch, Sequence};
use tidings::message::filter::Filter;
use tidings::message::json::Json;
use tidings::message::time::Timestamp;
use tidings::message::topic::Topic;
use tidings::message::{Draft, Message};
use tidings::plan::{Plan, Position};

const REQUESTS_MAX: usize = 6;
const SHARD: ShardId = ShardId(0);
const HOST_INPUTS_MAX: usize = 500;
/// What the broker keeps before the first request. Inputs call their cursors `1-1` to `1-5`.
const KEPT: [(&str, &str); 5] = [
    ("quotes.AAPL", r#"{"bid":1.10,"ask":2,"symbol":"AAPL"}"#),
    ("quotes.MSFT", r#"{"bid":400,"ask":null,"symbol":"MSFT"}"#),
    ("chat.room1", r#"{"text":"hello \"you\"","tags":["a","b"],"n":9007199254740993}"#),
    ("quotes.AAPL", r#"{"bid":1.2e0,"ask":2,"symbol":"AAPL"}"#),
    ("log", "0"),
];
/// Codes that blame the server.
const OURS: [&str; 2] = ["INTERNAL", "UNAVAILABLE"];

/// One input: requests, with a line that is just `====` between them. In each stands the document,
/// and after a line that is just `----` the other members of the request, or after `raw:` the
/// JSON of all. A first line `#resume` asks for cursors.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    HOST.with_borrow_mut(|host| {
        if host.inputs == HOST_INPUTS_MAX {
            *host = Host::new();
        }
        host.inputs += 1;
        let before = host.prepare();
        let text = with_cursors(&text, before);
        let caller = host.caller(text.starts_with("#resume"));
        text.split("\n====\n").take(REQUESTS_MAX).for_each(|request| host.ask(request, &caller));
    });
}

thread_local! {
    /// Schemas are costly, so one serves many inputs; only what is kept is forgotten in between.
    static HOST: RefCell<Host> = RefCell::new(Host::new());
}

/// A schema over a broker whose clock stands still.
struct Host {
    schema: Arc<Schema>,
    broker: Arc<Broker>,
    engine: Arc<Memory>,
    inputs: usize,
    runtime: tokio::runtime::Runtime,
}

/// No connections.
struct Nobody;

impl Directory for Nobody {
    fn connections(&self, _: usize, _: Option<&str>) -> ConnectionPage {
        ConnectionPage { connections: Vec::new(), total: 0, has_next: false }
    }

    fn disconnect(&self, _: Option<&str>, _: Option<&str>, _: &str) -> u64 {
        0
    }
}

impl Host {
    fn new() -> Self {
        let (broker, engine) = broker();
        let options = Options {
            limits: Limits { depth: 12, complexity: 1000, aliases: 100 },
            documents_bytes: 1 << 20,
            persisted_bytes: 1 << 20,
            shown_limits: Json::from_value(&serde_json::json!({ "query_depth": 12 })),
        };
        let definition = Definition::new(&Model::default());
        let definition = definition.unwrap_or_else(|error| panic!("{error}"));
        let schema = Schema::new(broker.clone(), Arc::new(Nobody), definition, &options);
        // Streams may wait for a timer.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
        Self { schema, broker, engine, inputs: 0, runtime }
    }

    /// Forgets what earlier inputs left and publishes what all of them begin with; returns the
    /// place before it.
    fn prepare(&self) -> Sequence {
        let everything = Filter::parse(">").unwrap_or_else(|error| panic!("{error}"));
        for kept in self.engine.topics(&everything, None, usize::MAX) {
            assert!(now(self.broker.purge(&kept.topic)).is_some_and(|purged| purged.is_ok()));
        }
        self.broker.sweep(Instant::now());
        let before = self.engine.head();
        for (topic, payload) in KEPT {
            let publish = Publish { draft: draft(topic, payload), id: None, if_last: None };
            assert!(now(self.broker.publish(publish)).is_some_and(|receipt| receipt.is_ok()));
        }
        before
    }

    fn caller(&self, resume: bool) -> Arc<Caller> {
        Arc::new(Caller {
            connection: "c1".into(),
            subject: Some("ann".into()),
            admin: true,
            resume,
            client: self.broker.admission().connection(),
        })
    }

    fn ask(&self, text: &str, caller: &Arc<Caller>) {
        let json = request(text);
        let request = match Request::parse(&json) {
            Ok(request) => request,
            Err(error) => return check_errors(&error::to_json(&[error])),
        };
        let _timers = self.runtime.enter();
        match self.schema.start(&request, caller, Instant::now()) {
            Started::Refused(errors) => check_errors(&errors),
            Started::Publish(publishing) => check_response(now(publishing.submit())),
            Started::Mutation(answer) | Started::Query(answer) => check_response(now(answer)),
            Started::Stream(mut results) => {
                let first = tokio::time::timeout(Duration::from_millis(2), results.next());
                if let Ok(Some(result)) = self.runtime.block_on(first) {
                    check_response(Some(result));
                }
            }
            Started::Subscribe(plan, place) => self.follow(plan, place),
        }
    }

    /// Everything that a subscription brings until it is live.
    fn follow(&self, plan: Plan, place: Place) {
        let feed = self.broker.feed(plan.select, &plan.projection);
        let mut messages: Vec<Arc<Message>> = Vec::new();
        if plan.position == Position::Live {
            let joined = self.broker.join_live(&feed, SHARD);
            let (id, _) = joined.unwrap_or_else(|| panic!("a live join cannot come too late"));
            self.broker.leave(id, SHARD);
        } else {
            let mut caught = now(self.broker.begin(plan.position, &feed.select));
            loop {
                let step = match caught.take() {
                    Some(Ok(step)) => step,
                    Some(Err(error)) => return check_errors(&place.errors(error)),
                    None => panic!("the engine does not answer"),
                };
                messages.extend(step.messages);
                match step.next {
                    Next::Live { feed: id, .. } => break self.broker.leave(id, SHARD),
                    Next::Read(next) => {
                        caught = now(self.broker.catch_up(next, &feed, SHARD));
                    }
                }
            }
        }
        let mut conflater = Conflater::new(plan.pace);
        for message in &messages {
            assert!(feed.select.filters.matches(&message.topic));
            let encoded = self.broker.encode(&feed, message);
            check_response(Some(encoded.bytes().to_vec()));
            let mut for_one = encoded.data().to_vec();
            encoded.end_for_one(3, message.cursor.sequence, &mut for_one);
            check_response(Some(for_one));
            if let Some(conflater) = &mut conflater {
                conflater.offer(message, Instant::now());
                conflater.repeats(message, encoded.data(), Instant::now());
            }
        }
    }
}

fn broker() -> (Arc<Broker>, Arc<Memory>) {
    let options = BrokerOptions {
        publishes_per_second_max: 0,
        shards: 1,
        payload_bytes_max: 10_000,
        encodings_bytes: 1 << 16,
        topic_rules: Vec::new(),
        node: "n1".into(),
    };
    let base = Base::new(&options, Instant::now());
    let keep = Keep { last: Some(3), age: None, bytes: Some(20_000) };
    let memory = MemoryOptions {
        epoch: Epoch::new(1),
        retention: Retention { rules: Vec::new(), default: keep },
        bounds: Bounds {
            memory_bytes: 1 << 20,
            volatile_bytes: 1 << 20,
            idempotency_window: Duration::from_mins(2),
            idempotency_ids_max: 100,
        },
        clock: Arc::new(|| Timestamp::from_micros(0)),
    };
    let engine = Memory::new(memory, base.feeds.clone());
    let broker = Broker::new(engine.clone(), base, options, Timestamp::from_micros(0));
    (Arc::new(broker), engine)
}

fn draft(topic: &str, payload: &str) -> Draft {
    let topic = Topic::parse(topic).unwrap_or_else(|error| panic!("{error}"));
    let payload = Json::parse(payload).unwrap_or_else(|error| panic!("{error}"));
    Draft { topic, payload, key: None, headers: None }
}

/// The cursors that an input names, as the broker has them now.
fn with_cursors(text: &str, before: Sequence) -> String {
    // From the largest on: what was put in is not looked at again.
    (0..10).rev().fold(text.to_owned(), |text, number| {
        let sequence = Sequence(before.0 + number);
        let cursor = Cursor { epoch: Epoch::new(1), sequence };
        text.replace(&format!("\"1-{number}\""), &format!("\"{cursor}\""))
    })
}

/// The JSON of a request.
fn request(text: &str) -> String {
    if let Some(raw) = text.strip_prefix("raw:") {
        return raw.to_owned();
    }
    let (document, members) = text.split_once("\n----\n").unwrap_or((text, ""));
    let separator = if members.trim().is_empty() { "" } else { "," };
    format!("{{\"query\":{}{separator}{members}}}", Value::from(document))
}

/// What a future comes to that waits for nothing; some of them give way to others meanwhile.
fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..1000).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

/// A response of GraphQL: `data`, or errors, or both. Payloads in it may be deeper than a tree.
fn check_response(response: Option<Vec<u8>>) {
    let text = response.unwrap_or_else(|| panic!("no answer"));
    let text = String::from_utf8(text).unwrap_or_else(|error| panic!("{error}"));
    let members: HashMap<String, &RawValue> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (data, errors) = (members.get("data"), members.get("errors"));
    let data = data.unwrap_or_else(|| panic!("no data: {text}")).get();
    assert!(data.starts_with('{') || (data == "null" && errors.is_some()), "{text}");
    if let Some(errors) = errors {
        check_errors(errors.get());
    }
}

/// A list of errors of which none blames the server.
fn check_errors(errors: &str) {
    let errors: Value = serde_json::from_str(errors).unwrap_or_else(|e| panic!("{e}: {errors}"));
    let list = errors.as_array().filter(|list| !list.is_empty());
    for error in list.unwrap_or_else(|| panic!("no list of errors: {errors}")) {
        let code = error["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{error}"));
        assert!(!OURS.contains(&code), "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    }
}
