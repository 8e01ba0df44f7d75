//! Streams over HTTP at their bounds: requests as large as they may be, and clients that stall.

use serde_json::json;

use crate::harness::broker::Broker;
use crate::harness::stream::Stream;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");
const FOLLOW: &str = "subscription { messages(topics: \"s.*\") { payload } }";

/// A request that is this long.
fn padded(query: &str, operation: &str, bytes: usize) -> String {
    let request = |pad: &str| {
        json!({"query": query, "extensions": {"operationId": operation, "pad": pad}}).to_string()
    };
    request(&"x".repeat(bytes - request("").len()))
}

#[tokio::test]
async fn a_large_request_begins_its_stream() {
    let broker = Broker::start();
    let body = padded(FOLLOW, "", 600 << 10);
    let mut stream = Stream::open(broker.address, "POST", "/graphql", &[EVENTS, JSON], &body).await;
    broker.peer().await.publish("s.a", 1).await;
    assert_eq!(stream.message().await.json()["data"]["messages"]["payload"], 1);
}
