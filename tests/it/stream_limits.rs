//! Streams over HTTP at their bounds: requests as large as they may be, and clients that stall.

use serde_json::json;

use crate::harness::broker::Broker;
use crate::harness::http;
use crate::harness::stream::Stream;
use crate::harness::wait;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");
const FOLLOW: &str = "subscription { messages(topics: \"s.*\") { payload } }";

/// `limits.message_bytes`, unless it is set.
const MESSAGE_BYTES: usize = 1 << 20;

/// A request that is this long.
fn padded(query: &str, operation: &str, bytes: usize) -> String {
    let request = |pad: &str| {
        json!({"query": query, "extensions": {"operationId": operation, "pad": pad}}).to_string()
    };
    request(&"x".repeat(bytes - request("").len()))
}

/// Is one subscription live?
async fn follows(broker: &Broker) -> Option<()> {
    let query = json!({"query": "{ connections { nodes { subscriptions } } }"});
    let answer = broker.post(&query).await.json();
    (answer["data"]["connections"]["nodes"][0]["subscriptions"] == 1).then_some(())
}

#[tokio::test]
async fn a_large_request_begins_its_stream() {
    let broker = Broker::start();
    let body = padded(FOLLOW, "", 600 << 10);
    let mut stream = Stream::open(broker.address, "POST", "/graphql", &[EVENTS, JSON], &body).await;
    broker.peer().await.publish("s.a", 1).await;
    assert_eq!(stream.message().await.json()["data"]["messages"]["payload"], 1);
}

#[tokio::test]
async fn a_request_that_is_too_large_for_a_stream_leaves_the_stream_alone() {
    let broker = Broker::start();
    let token = http::fetch(broker.address, "PUT", "/graphql", &[], "").await.body;
    let token = ("X-GraphQL-Event-Stream-Token", token.as_str());
    let mut stream = Stream::open(broker.address, "GET", "/graphql", &[EVENTS, token], "").await;
    let start = async |body: String| {
        http::fetch(broker.address, "POST", "/graphql", &[JSON, token], &body).await
    };
    assert_eq!(start(padded(FOLLOW, "a", 200)).await.status, 202);
    // A body may be so long, but on a stream there are words around it.
    let refused = start(padded("{ broker { node } }", "b", MESSAGE_BYTES)).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    // Accepted is not yet live.
    wait::until("it follows", async || follows(&broker).await).await;
    broker.peer().await.publish("s.a", 1).await;
    let event = stream.message().await;
    assert_eq!(event.json()["payload"]["data"]["messages"]["payload"], 1, "{event:?}");
}

#[tokio::test]
async fn a_stop_that_found_no_room_can_be_tried_again() {
    let broker = Broker::start();
    let token = http::fetch(broker.address, "PUT", "/graphql", &[], "").await.body;
    let token = ("X-GraphQL-Event-Stream-Token", token.as_str());
    let start = async |body: String| {
        http::fetch(broker.address, "POST", "/graphql", &[JSON, token], &body).await.status
    };
    let stop = async || {
        let path = "/graphql?operationId=a";
        http::fetch(broker.address, "DELETE", path, &[token], "").await.status
    };
    assert_eq!(start(padded(FOLLOW, "a", 200)).await, 202);
    let subscribers = async |count: u64| {
        let query = json!({"query": "{ topic(name: \"s.a\") { subscribers } }"});
        let answer = broker.post(&query).await.json();
        (answer["data"]["topic"]["subscribers"] == count).then_some(())
    };
    let mut publisher = broker.peer().await;
    // The outbox is half full, so no more is read of the stream; then what is sent to it waits.
    let payload = "x".repeat(200 << 10);
    for _ in 0..4 {
        publisher.publish("s.a", payload.as_str()).await;
    }
    wait::until("one follows", async || subscribers(1).await).await;
    let mut count = 0;
    wait::until("the lane is full", async || {
        count += 1;
        let query = padded("{ broker { node } }", &format!("q{count}"), 200 << 10);
        (start(query).await == 503).then_some(())
    })
    .await;
    assert_eq!(stop().await, 503);
    let mut stream = Stream::open(broker.address, "GET", "/graphql", &[EVENTS, token], "").await;
    for _ in 0..4 {
        stream.message().await;
    }
    wait::until("there is room", async || (stop().await == 200).then_some(())).await;
    wait::until("nobody follows", async || subscribers(0).await).await;
}
