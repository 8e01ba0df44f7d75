//! Queries, other mutations, and subscriptions that stream.

use futures_util::{FutureExt, StreamExt};

use super::super::Started;
use super::{Fixture, joined, request};

#[test]
fn queries_answer() {
    let fixture = Fixture::new();
    fixture.publish(&["a.x", "a.y", "b"]);
    let table = [
        (
            "{ broker { version node engine startedAt epoch limits __typename } }",
            r#"{"broker":{"version":"0.1.0","node":"n1","engine":"memory",
                "startedAt":"1970-01-01T00:00:00.000000Z","epoch":"1","limits":{"query_depth":12},
                "__typename":"Broker"}}"#,
        ),
        (
            r#"{ t: topic(name: "b") { name messages first last subscribers type } none: topic(name:
                "z") { name } }"#,
            r#"{"t":{"name":"b","messages":1,"first":"1-3","last":"1-3","subscribers":0,
                "type":null},"none":null}"#,
        ),
        (
            r#"{ topics(match: "a.*", first: 1) { nodes { name } edges { cursor node { messages } }
                pageInfo { hasNextPage hasPreviousPage endCursor } } }"#,
            r#"{"topics":{"nodes":[{"name":"a.x"}],"edges":[{"cursor":"a.x","node":{"messages":1}}],
                "pageInfo":{"hasNextPage":true,"hasPreviousPage":false,"endCursor":"a.x"}}}"#,
        ),
        (
            r#"{ topics(after: "a.x") { nodes { name } pageInfo { hasNextPage startCursor } } }"#,
            r#"{"topics":{"nodes":[{"name":"a.y"},{"name":"b"}],"pageInfo":{"hasNextPage":false,
                "startCursor":"a.y"}}}"#,
        ),
        (
            r#"{ last(topics: ["a.*", "a.>"]) { cursor payload } }"#,
            r#"{"last":[{"cursor":"1-1","payload":{"n":1}},{"cursor":"1-2","payload":{"n":2}}]}"#,
        ),
        (
            r#"{ history(topics: ">", first: 2) { edges { cursor node { topic } } pageInfo {
                hasNextPage endCursor } } }"#,
            r#"{"history":{"edges":[{"cursor":"1-1","node":{"topic":"a.x"}},{"cursor":"1-2",
                "node":{"topic":"a.y"}}],"pageInfo":{"hasNextPage":true,"endCursor":"1-2"}}}"#,
        ),
        (
            r#"{ history(topics: ">", last: 1, where: {path: "/n", lt: 3}) { nodes { cursor }
                pageInfo { hasPreviousPage } } }"#,
            r#"{"history":{"nodes":[{"cursor":"1-2"}],"pageInfo":{"hasPreviousPage":true}}}"#,
        ),
        (
            "{ connections { totalCount nodes { id subject subscriptions } } }",
            r#"{"connections":{"totalCount":1,"nodes":[{"id":"c1","subject":"ann",
                "subscriptions":2147483647}]}}"#,
        ),
        (
            r#"{ __typename presence(topic: "b") { connection } }"#,
            r#"{"__typename":"Query","presence":[]}"#,
        ),
        (r#"mutation { purge(topic: "b") }"#, r#"{"purge":1}"#),
        (r#"mutation { disconnect(subject: "ann") }"#, r#"{"disconnect":1}"#),
        (r#"mutation { updatePresence(topic: "b", state: 1) }"#, r#"{"updatePresence":false}"#),
        (
            r#"mutation { purge(topic: "none") publish(topic: "n", payload: 1) { cursor } }"#,
            r#"{"purge":0,"publish":{"cursor":"1-4"}}"#,
        ),
    ];
    for (document, data) in table {
        assert_eq!(fixture.ask(document), format!(r#"{{"data":{}}}"#, joined(data)), "{document}");
    }
}

#[test]
fn a_failed_field_is_null_where_its_type_allows_it() {
    let fixture = Fixture::new();
    let table = [
        (
            r#"{ topic(name: "*") { name } __typename }"#,
            r#"{"topic":null,"__typename":"Query"}"#,
            "BAD_TOPIC",
        ),
        (r#"{ last(topics: "a..b") { topic } __typename }"#, "null", "BAD_FILTER"),
        ("{ last(topics: []) { topic } }", "null", "BAD_ARGUMENT"),
        (
            r#"{ history(topics: ">", first: 1, last: 1) { nodes { topic } } }"#,
            "null",
            "BAD_ARGUMENT",
        ),
        (r#"{ history(topics: ">", first: -1) { nodes { topic } } }"#, "null", "BAD_ARGUMENT"),
        (r#"{ history(topics: ">", first: 10001) { nodes { topic } } }"#, "null", "LIMIT_EXCEEDED"),
        (r#"{ history(topics: ">", before: "x") { nodes { topic } } }"#, "null", "BAD_CURSOR"),
        (r#"{ history(topics: ">", after: "2-1") { nodes { topic } } }"#, "null", "CURSOR_EXPIRED"),
        (r#"{ history(topics: ">", since: "noon") { nodes { topic } } }"#, "null", "BAD_ARGUMENT"),
        (r#"mutation { disconnect(reason: "x") }"#, "null", "BAD_ARGUMENT"),
    ];
    for (document, data, code) in table {
        let text = fixture.ask(document);
        assert!(text.starts_with(&format!(r#"{{"data":{data},"errors":[{{"#)), "{text}");
        let result: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(super::codes(&result), [code], "{text}");
    }
}

#[test]
fn a_response_of_gigabytes_is_refused() {
    let fixture = Fixture::new();
    let payload = "x".repeat(900);
    let item = format!(r#"{{"topic":"t","payload":"{payload}"}}"#);
    let variables = format!(r#"{{"m":[{}]}}"#, vec![item; 1000].join(","));
    let document = "mutation($m: [PublishInput!]!) { publishMany(messages: $m) { __typename } }";
    fixture.send(&request(document, &variables));
    let aliases: Vec<_> = (0..50).map(|index| format!("p{index}: payload")).collect();
    let aliases = aliases.join(" ");
    let result = fixture
        .ask(&format!(r#"{{ history(topics: "t", last: 1000) {{ nodes {{ {aliases} }} }} }}"#));
    assert!(result.starts_with(r#"{"data":null,"#));
    assert!(result.contains("LIMIT_EXCEEDED"));
}

#[test]
fn administrators_alone_may_purge_disconnect_and_look() {
    let mut fixture = Fixture::new();
    std::sync::Arc::make_mut(&mut fixture.caller).admin = false;
    for document in [
        r#"mutation { purge(topic: "b") }"#,
        r#"mutation { disconnect(subject: "ann") }"#,
        "{ connections { totalCount } }",
        "subscription { stats { at } }",
    ] {
        assert!(fixture.ask(document).contains(r#""code":"FORBIDDEN""#), "{document}");
    }
    assert!(!fixture.ask("{ broker { node } }").contains("errors"));
}

#[test]
fn a_joiner_sees_itself_first_and_leaves_with_its_stream() {
    let fixture = Fixture::new();
    let join = r#"subscription { join(topic: "room", state: {name: "Ann"}) { kind member {
        connection subject state } } }"#;
    let Started::Stream(mut events) = fixture.start(&request(join, "{}")) else { panic!() };
    let mut next = || String::from_utf8(events.next().now_or_never().unwrap().unwrap()).unwrap();
    assert_eq!(
        next(),
        joined(
            r#"{"data":{"join":{"kind":"PRESENT","member":{"connection":"c1","subject":"ann",
            "state":{"name":"Ann"}}}}}"#
        )
    );
    let update = r#"mutation { updatePresence(topic: "room", state: {name: "Bea"}) }"#;
    assert_eq!(fixture.ask(update), r#"{"data":{"updatePresence":true}}"#);
    assert!(next().contains(
        r#""kind":"UPDATED","member":{"connection":"c1","subject":"ann","state":{"name":"Bea"}"#
    ));
    assert!(fixture.ask(r#"{ presence(topic: "room") { state } }"#).contains("Bea"));
    drop(events);
    assert_eq!(
        fixture.ask(r#"{ presence(topic: "room") { state } }"#),
        r#"{"data":{"presence":[]}}"#
    );
    let wildcard = fixture.ask(r#"subscription { join(topic: "room.*") { kind } }"#);
    assert_eq!(super::refusal(&wildcard), ["BAD_TOPIC"]);
}

#[tokio::test]
async fn stats_come_at_once_and_then_at_their_interval() {
    let fixture = Fixture::new();
    let document = "subscription { stats(every: 5) { topics publishedPerSecond deliveryP99Ms } }";
    let Started::Stream(mut stats) = fixture.start(&request(document, "{}")) else { panic!() };
    let first = String::from_utf8(stats.next().await.unwrap()).unwrap();
    assert_eq!(
        first,
        r#"{"data":{"stats":{"topics":0,"publishedPerSecond":0.0,"deliveryP99Ms":0.0}}}"#
    );
    assert!(stats.next().now_or_never().is_none());
    let refused = fixture.ask("subscription { stats(every: 0) { topics } }");
    assert_eq!(super::refusal(&refused), ["BAD_ARGUMENT"]);
}
