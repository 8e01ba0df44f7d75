//! Multipart subscriptions, byte by byte.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::http::query_string;
use crate::harness::stream::Stream;

const ACCEPT: &str = "multipart/mixed;subscriptionSpec=1.0, application/json";
const FOLLOW: &str = "subscription { messages(topics: \"m\") { payload } }";

async fn open(broker: &Broker, accept: &str, query: &str) -> Stream {
    let headers = [("Accept", accept), ("Content-Type", "application/json")];
    let body = json!({ "query": query }).to_string();
    Stream::open(broker.address, "POST", "/graphql", &headers, &body).await
}

/// The JSON of the next part, once its end is there; `None` when there are no more.
async fn part(stream: &mut Stream) -> Option<Value> {
    let text = stream.block("\r\n--graphql").await.expect("the stream broke off");
    if text == "--\r\n" {
        return None;
    }
    let body = text.strip_prefix("\r\nContent-Type: application/json\r\n\r\n").unwrap();
    Some(serde_json::from_str(body).unwrap())
}

async fn begin(stream: &mut Stream) {
    assert_eq!(stream.head.status, 200, "{:?}", stream.head);
    let kind = r#"multipart/mixed;boundary="graphql";subscriptionSpec=1.0"#;
    assert_eq!(stream.head.header("content-type"), kind);
    assert_eq!(stream.head.header("x-accel-buffering"), "no");
    assert_eq!(stream.block("\r\n--graphql").await.as_deref(), Some(""));
}

#[tokio::test]
async fn results_are_parts() {
    let broker = Broker::start();
    let mut publisher = broker.peer().await;
    let mut stream = open(&broker, ACCEPT, FOLLOW).await;
    begin(&mut stream).await;
    let parameters = query_string(&[("query", FOLLOW)]);
    let accept = [("Accept", "multipart/mixed; boundary=x; SubscriptionSpec=\"1.0\"")];
    let path = format!("/graphql{parameters}");
    let mut by_get = Stream::open(broker.address, "GET", &path, &accept, "").await;
    begin(&mut by_get).await;
    for number in 1..=3 {
        publisher.publish("m", json!({"n": number, "text": "\r\n--graphql"})).await;
        for stream in [&mut stream, &mut by_get] {
            let payload = json!({"n": number, "text": "\r\n--graphql"});
            let expected = json!({"payload": {"data": {"messages": {"payload": payload}}}});
            assert_eq!(part(stream).await, Some(expected));
        }
    }
    let query = "{ connections { nodes { protocol } } }";
    let shown = publisher.ask(query, json!({})).await["connections"]["nodes"].to_string();
    assert_eq!(shown.matches("multipart").count(), 2, "{shown}");
}

#[tokio::test]
async fn errors_of_an_operation_are_in_its_payload() {
    let broker = Broker::start();
    let mut stream =
        open(&broker, ACCEPT, "subscription { messages(topics: \"m\", after: \"zz-1\") { key } }")
            .await;
    begin(&mut stream).await;
    let refused = part(&mut stream).await.unwrap();
    assert_eq!(refused["payload"]["errors"][0]["extensions"]["code"], "CURSOR_EXPIRED");
    assert_eq!(part_end(&mut stream).await, "--\r\n");
    // What was never a subscription is answered in JSON.
    let stream = open(&broker, ACCEPT, "subscription { nothing }").await;
    assert_eq!(stream.head.header("content-type"), "application/json; charset=utf-8");
    // In the type that the client likes best, with the status that belongs to it.
    let modern = "multipart/mixed;subscriptionSpec=1.0, application/graphql-response+json, \
                  application/json;q=0.9";
    let stream = open(&broker, modern, "subscription { nothing }").await;
    let kind = "application/graphql-response+json; charset=utf-8";
    assert_eq!((stream.head.status, stream.head.header("content-type")), (400, kind));
    let only = "multipart/mixed;subscriptionSpec=1.0";
    let mut stream = open(&broker, only, "{ broker { engine } }").await;
    begin(&mut stream).await;
    let answer = part(&mut stream).await.unwrap();
    assert_eq!(answer, json!({"payload": {"data": {"broker": {"engine": "memory"}}}}));
    assert_eq!(part_end(&mut stream).await, "--\r\n");
}

/// What stands behind the last boundary.
async fn part_end(stream: &mut Stream) -> String {
    stream.rest().await
}

#[tokio::test]
async fn the_end_of_a_connection_is_an_error_of_the_transport() {
    let mut broker = Broker::with(&["limits.drain_timeout=1s"]);
    let mut stream = open(&broker, ACCEPT, FOLLOW).await;
    begin(&mut stream).await;
    broker.signal("TERM");
    let last = part(&mut stream).await.unwrap();
    assert_eq!(last["payload"], Value::Null);
    assert_eq!(last["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert_eq!(part_end(&mut stream).await, "--\r\n");
    assert!(broker.exit().await.success());
}
