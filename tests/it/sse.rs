//! GraphQL over server-sent events: one operation a stream, and many operations on one stream.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::http::{self, Answer, query_string};
use crate::harness::raw::Raw;
use crate::harness::stream::Stream;
use crate::harness::wait;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");
const TOKEN: &str = "X-GraphQL-Event-Stream-Token";
const FOLLOW: &str = "subscription { messages(topics: \"s.*\") { payload } }";

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn post(broker: &Broker, headers: &[(&str, &str)], body: &Value) -> Stream {
    let headers: Vec<_> = [EVENTS, JSON].iter().chain(headers).copied().collect();
    Stream::open(broker.address, "POST", "/graphql", &headers, &body.to_string()).await
}

async fn get(broker: &Broker, headers: &[(&str, &str)], query: &str) -> Stream {
    let headers: Vec<_> = [EVENTS].iter().chain(headers).copied().collect();
    let path = format!("/graphql{}", query_string(&[("query", query)]));
    Stream::open(broker.address, "GET", &path, &headers, "").await
}

async fn connections(broker: &Broker) -> Vec<Value> {
    let query = json!({"query": "{ connections { nodes { id protocol subscriptions } } }"});
    let answer = broker.post(&query).await.json();
    answer["data"]["connections"]["nodes"].as_array().unwrap().clone()
}

async fn nobody_is_connected(broker: &Broker) {
    let look = async || connections(broker).await.is_empty().then_some(());
    wait::until("the connections are gone", look).await;
}

fn payload(result: &Value) -> &Value {
    &result["data"]["messages"]["payload"]
}

#[tokio::test]
async fn one_operation_one_stream() {
    let broker = Broker::start();
    let mut streams =
        [post(&broker, &[], &json!({"query": FOLLOW})).await, get(&broker, &[], FOLLOW).await];
    let mut publisher = broker.peer().await;
    for number in 1..=3 {
        let cursor = publisher.publish("s.a", number).await["cursor"].clone();
        for stream in &mut streams {
            let event = stream.message().await;
            assert_eq!(event.kind, "next");
            let expected = json!({"data": {"messages": {"payload": number}}});
            assert_eq!((event.json(), json!(event.id)), (expected, cursor.clone()));
        }
    }
    let protocols = connections(&broker).await;
    assert_eq!(protocols.iter().filter(|one| one["protocol"] == "sse").count(), 2);
    drop((streams, publisher));
    nobody_is_connected(&broker).await;
}

#[tokio::test]
async fn queries_mutations_and_refusals_come_as_events_too() {
    let broker = Broker::start();
    let mutation = "mutation { publish(topic: \"s.b\", payload: 1) { topic } }";
    let expired = "subscription { messages(topics: \"a\", after: \"zz-1\") { topic } }";
    let table = [
        ("{ broker { engine } }", "/data/broker/engine", "memory"),
        (mutation, "/data/publish/topic", "s.b"),
        ("{ nothing }", "/errors/0/extensions/code", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "/errors/0/extensions/code", "GRAPHQL_PARSE_FAILED"),
        (
            "subscription { messages(topics: \"a*\") { topic } }",
            "/errors/0/extensions/code",
            "BAD_FILTER",
        ),
        (expired, "/errors/0/extensions/code", "CURSOR_EXPIRED"),
    ];
    for (query, pointer, expected) in table {
        let mut stream = post(&broker, &[], &json!({ "query": query })).await;
        assert_eq!(stream.head.status, 200, "{query}");
        assert_eq!(stream.head.header("content-type"), "text/event-stream; charset=utf-8");
        let next = stream.message().await;
        assert_eq!(next.kind, "next");
        let found = next.json().pointer(pointer).cloned();
        assert_eq!(found, Some(expected.into()), "{query}: {next:?}");
        let end = stream.message().await;
        assert_eq!((end.kind.as_str(), end.data.as_deref()), ("complete", Some("")));
        assert_eq!(stream.event().await, None);
    }
    // What is no request of GraphQL is refused as everywhere.
    let refused = get(&broker, &[], mutation).await;
    assert_eq!((refused.head.status, refused.head.header("allow")), (405, "POST"));
    assert_eq!(post(&broker, &[], &json!({"variables": {}})).await.head.status, 400);
    assert_eq!(post(&broker, &[], &json!([])).await.head.status, 400);
}

#[tokio::test]
async fn a_stream_that_broke_off_goes_on_where_it_was() {
    let broker = Broker::start();
    let mut publisher = broker.peer().await;
    let mut stream = get(&broker, &[], FOLLOW).await;
    // Before the first message there is a position already.
    let begin = stream.event().await.unwrap().id.unwrap();
    drop(stream);
    publisher.publish("s.a", 1).await;
    publisher.publish("s.b", 2).await;
    for method in ["GET", "POST"] {
        let headers = [("Last-Event-ID", begin.as_str())];
        let mut stream = match method {
            "GET" => get(&broker, &headers, FOLLOW).await,
            _ => post(&broker, &headers, &json!({"query": FOLLOW, "extensions": {"x": 1}})).await,
        };
        assert_eq!(payload(&stream.message().await.json()), 1);
        assert_eq!(payload(&stream.message().await.json()), 2);
    }
}

#[tokio::test]
async fn limits_are_those_of_connections() {
    let broker = Broker::with(&["limits.connections=1"]);
    let mut first = get(&broker, &[], FOLLOW).await;
    let begin = first.event().await.unwrap().id.unwrap();
    for path in ["/graphql", "/topics/s"] {
        let refused = match path {
            "/graphql" => get(&broker, &[], FOLLOW).await,
            _ => Stream::open(broker.address, "GET", path, &[EVENTS], "").await,
        };
        assert_eq!(refused.head.status, 503);
        assert_eq!(refused.head.header("retry-after"), "5");
    }
    // An EventSource takes a 503 as final: one that comes back is told when.
    let mut back = get(&broker, &[("Last-Event-ID", &begin)], FOLLOW).await;
    assert_eq!(back.head.status, 200);
    assert_eq!(back.event().await.unwrap().retry.as_deref(), Some("5000"));
    assert_eq!(back.event().await, None);
    drop(first);
    let open = async || {
        let stream = get(&broker, &[], FOLLOW).await;
        (stream.head.status == 200).then_some(())
    };
    wait::until("there is room again", open).await;
}

#[tokio::test]
async fn a_drain_ends_streams_and_nothing_is_lost() {
    let mut broker = Broker::with(&["limits.drain_timeout=3s"]);
    let mut plain = Stream::open(broker.address, "GET", "/topics/s.a", &[EVENTS], "").await;
    let mut stream = get(&broker, &[], FOLLOW).await;
    let mut publisher = broker.peer().await;
    let cursor = publisher.publish("s.a", 1).await["cursor"].as_str().unwrap().to_owned();
    assert_eq!(stream.message().await.id.as_ref(), Some(&cursor));
    assert_eq!(plain.message().await.id.as_ref(), Some(&cursor));
    let id = connections(&broker).await[0]["id"].as_str().unwrap().to_owned();
    broker.signal("TERM");
    // Neither `complete` nor an error: the client comes back.
    assert_eq!(stream.event().await, None);
    assert_eq!(plain.event().await, None);
    let mut back = get(&broker, &[("Last-Event-ID", &cursor)], FOLLOW).await;
    assert_eq!(back.event().await.unwrap().retry.as_deref(), Some("5000"));
    assert_eq!(get(&broker, &[], FOLLOW).await.head.status, 503, "{id}");
    drop(publisher);
    assert!(broker.exit().await.success());
}

#[tokio::test]
async fn an_administrator_ends_a_stream_for_good() {
    let broker = Broker::start();
    let mut stream = get(&broker, &[], FOLLOW).await;
    let id = connections(&broker).await[0]["id"].clone();
    let query = "mutation ($c: String) { disconnect(connection: $c, reason: \"enough\") }";
    let answer = broker.post(&json!({"query": query, "variables": {"c": id}})).await;
    assert_eq!(answer.json()["data"]["disconnect"], 1);
    let error = &stream.message().await.json()["errors"][0];
    assert_eq!(
        (&error["message"], &error["extensions"]["code"]),
        (&json!("enough"), &json!("FORBIDDEN"))
    );
    assert_eq!(stream.message().await.kind, "complete");
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_resumes_without_loss() {
    const MESSAGES: u64 = 300;
    let broker = Broker::with(&["limits.outbox_bytes=256KiB", "keep.bytes=16MiB"]);
    let narrow = Raw::connect_narrow(broker.address).await.stream;
    let mut stream = Stream::on(narrow, "GET", "/topics/slow", &[EVENTS], "").await;
    let mut publisher = broker.peer().await;
    for number in 0..MESSAGES {
        publisher.publish("slow", json!([number, "x".repeat(8 << 10)])).await;
    }
    nobody_reads(&broker).await;
    let (mut expected, mut last) = (0, None);
    while let Some(event) = stream.event().await {
        if event.data.is_some() {
            assert_eq!(event.json()["payload"][0], expected);
            expected += 1;
        }
        last = event.id.or(last);
    }
    println!("{expected} of {MESSAGES} messages came before the slow reader was cut off");
    assert!(expected < MESSAGES);
    let headers = [EVENTS, ("Last-Event-ID", last.as_deref().unwrap())];
    let mut stream = Stream::open(broker.address, "GET", "/topics/slow", &headers, "").await;
    while expected < MESSAGES {
        assert_eq!(stream.message().await.json()["payload"][0], expected);
        expected += 1;
    }
}

/// Waits until no stream is left among the connections.
async fn nobody_reads(broker: &Broker) {
    let look = async || {
        let open = connections(broker).await;
        open.iter().all(|one| one["protocol"] != "sse").then_some(())
    };
    wait::until("the slow reader is cut off", look).await;
}

/// A stream of many operations.
struct Many {
    token: String,
    stream: Stream,
}

impl Many {
    async fn reserve(broker: &Broker) -> String {
        let answer = http::fetch(broker.address, "PUT", "/graphql", &[], "").await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
        assert!(answer.body.len() >= 32, "{answer:?}");
        answer.body
    }

    async fn open(broker: &Broker) -> Self {
        let token = Self::reserve(broker).await;
        let path = format!("/graphql?token={token}");
        let stream = Stream::open(broker.address, "GET", &path, &[EVENTS], "").await;
        assert_eq!(stream.head.status, 200);
        Self { token, stream }
    }

    async fn start(&self, broker: &Broker, id: &str, query: &str) -> Answer {
        start(broker, &self.token, &json!({"query": query, "extensions": {"operationId": id}}))
            .await
    }

    async fn stop(&self, broker: &Broker, id: &str) -> Answer {
        let path = format!("/graphql{}", query_string(&[("operationId", id)]));
        http::fetch(broker.address, "DELETE", &path, &[(TOKEN, &self.token)], "").await
    }
}

async fn start(broker: &Broker, token: &str, body: &Value) -> Answer {
    let headers = [JSON, (TOKEN, token)];
    http::fetch(broker.address, "POST", "/graphql", &headers, &body.to_string()).await
}

#[tokio::test]
async fn many_operations_on_one_stream() {
    let broker = Broker::start();
    let mut many = Many::open(&broker).await;
    let odd = "a \"quoted\"\nid,\"type\":\"next\"";
    let replay = "subscription { messages(topics: \"s.*\", after: \"earliest\") { payload } }";
    for id in [odd, "other"] {
        assert_eq!(many.start(&broker, id, replay).await.status, 202);
    }
    let mutation = "mutation { publish(topic: \"s.a\", payload: 1) { topic } }";
    assert_eq!(many.start(&broker, "m", mutation).await.status, 202);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let event = many.stream.message().await;
        seen.push((event.kind.clone(), event.json()));
    }
    let result = json!({"data": {"messages": {"payload": 1}}});
    let published = json!({"data": {"publish": {"topic": "s.a"}}});
    for (kind, data) in [
        ("next", json!({"id": odd, "payload": result})),
        ("next", json!({"id": "other", "payload": result})),
        ("next", json!({"id": "m", "payload": published})),
        ("complete", json!({"id": "m"})),
    ] {
        assert!(seen.contains(&(kind.to_owned(), data.clone())), "{data} in {seen:?}");
    }
    // A name in use is refused and disturbs nothing; one that was stopped is free again.
    assert_eq!(many.start(&broker, "other", replay).await.status, 409);
    assert_eq!(many.stop(&broker, odd).await.status, 200);
    assert_eq!(many.stop(&broker, "never was").await.status, 200);
    assert_eq!(connections(&broker).await.len(), 1);
    broker
        .post(&json!({"query": "mutation { publish(topic: \"s.a\", payload: 2) { topic } }"}))
        .await;
    let event = many.stream.message().await;
    assert_eq!(event.json()["id"], "other");
    assert_eq!(many.start(&broker, odd, "{ broker { engine } }").await.status, 202);
    assert_eq!(many.stream.message().await.json()["id"], odd);
    let token = many.token.clone();
    drop(many);
    nobody_is_connected(&broker).await;
    let late = json!({"query": "{ a: __typename }", "extensions": {"operationId": "x"}});
    let look = async || (start(&broker, &token, &late).await.status == 404).then_some(());
    wait::until("the token has ended with its stream", look).await;
}

#[tokio::test]
async fn results_wait_for_a_reserved_stream() {
    let broker = Broker::start();
    let token = Many::reserve(&broker).await;
    let query = json!({"query": "{ broker { engine } }", "extensions": {"operationId": "q"}});
    assert_eq!(start(&broker, &token, &query).await.status, 202);
    let headers = [EVENTS, (TOKEN, token.as_str())];
    let mut stream = Stream::open(broker.address, "GET", "/graphql", &headers, "").await;
    assert_eq!(stream.message().await.json()["id"], "q");
    assert_eq!(stream.message().await.kind, "complete");
    // Nobody else can listen.
    let second = Stream::open(broker.address, "GET", "/graphql", &headers, "").await;
    assert_eq!(second.head.status, 409);
}

#[tokio::test]
async fn what_a_stream_of_many_refuses() {
    let broker = Broker::start();
    let many = Many::open(&broker).await;
    let token = many.token.as_str();
    let id = json!({"operationId": "a"});
    let long = json!({"operationId": "a".repeat(257)});
    let table = [
        (token, json!({"query": "{ nothing }", "extensions": id}), 200),
        (token, json!({"query": "{ a: __typename }"}), 400),
        (token, json!({"query": "{ a: __typename }", "extensions": {"operationId": ""}}), 400),
        (token, json!({"query": "{ a: __typename }", "extensions": long}), 400),
        (token, json!({"extensions": id}), 400),
        ("unknown", json!({"query": "{ a: __typename }", "extensions": id}), 404),
    ];
    for (token, body, status) in table {
        let answer = start(&broker, token, &body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(answer.json()["errors"][0]["message"].is_string(), "{answer:?}");
    }
    let unknown = [EVENTS, (TOKEN, "unknown")];
    let table: [(&str, &str, Headers<'_>, u16); 4] = [
        ("GET", "/graphql", &unknown, 404),
        ("DELETE", "/graphql?operationId=a", &unknown, 404),
        ("DELETE", "/graphql?operationId=a", &[], 400),
        ("DELETE", "/graphql", &[(TOKEN, token)], 400),
    ];
    for (method, path, headers, status) in table {
        let answer = http::fetch(broker.address, method, path, headers, "").await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_reservation_that_nobody_uses_ends() {
    let broker = Broker::start();
    let started = Instant::now();
    Many::reserve(&broker).await;
    wait::until("it is there", async || (connections(&broker).await.len() == 1).then_some(()))
        .await;
    while !connections(&broker).await.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(45), "it is there still");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(started.elapsed() > Duration::from_secs(25), "after {:?}", started.elapsed());
}

/// Signs of life, every 25 seconds: so long it takes.
#[tokio::test]
async fn quiet_streams_are_kept_alive_and_get_positions() {
    let broker = Broker::start();
    let multipart = [("Accept", "multipart/mixed;subscriptionSpec=1.0"), JSON];
    let body = json!({ "query": FOLLOW }).to_string();
    let mut parts = Stream::open(broker.address, "POST", "/graphql", &multipart, &body).await;
    let mut plain = Stream::open(broker.address, "GET", "/topics/s.a", &[EVENTS], "").await;
    let mut one = get(&broker, &[], FOLLOW).await;
    let mut many = Many::open(&broker).await.stream;
    parts.block("\r\n--graphql").await;
    assert_eq!(many.block("\n\n").await.as_deref(), Some(":"));
    let mut publisher = broker.peer().await;
    let cursor = publisher.publish("other", 1).await["cursor"].as_str().unwrap().to_owned();
    for stream in [&mut plain, &mut one] {
        assert_eq!(stream.block("\n\n").await.as_deref(), Some(":"));
        assert_ne!(stream.event().await.unwrap().id.as_ref(), Some(&cursor));
    }
    let started = Instant::now();
    let heartbeat = "\r\nContent-Type: application/json\r\n\r\n{}";
    assert_eq!(parts.block("\r\n--graphql").await.as_deref(), Some(heartbeat));
    assert_eq!(many.block("\n\n").await.as_deref(), Some(":"));
    for stream in [&mut plain, &mut one] {
        let blocks = [stream.block("\n\n").await.unwrap(), stream.block("\n\n").await.unwrap()];
        assert!(blocks.contains(&":".to_owned()), "{blocks:?}");
        assert!(blocks.contains(&format!("id: {cursor}")), "{blocks:?}");
    }
    assert!(started.elapsed() > Duration::from_secs(20), "after {:?}", started.elapsed());
}
