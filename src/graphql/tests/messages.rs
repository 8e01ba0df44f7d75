//! `messages`: arguments to a plan, the selection to bytes.

use std::sync::Arc;

use super::{Fixture, joined, refusal, request};
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::filter::Filter;
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Place};
use crate::plan::{Pace, Position};

fn message(payload: &str) -> Message {
    let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(7) };
    let draft = Draft {
        topic: Topic::parse("a.\"b\"").unwrap(),
        payload: Json::parse(payload).unwrap(),
        key: None,
        headers: Some(Json::parse(r#"{"h":"v"}"#).unwrap()),
    };
    let published_at = Timestamp::from_micros(1);
    Message::new(draft, Place { cursor, previous: None, published_at })
}

fn bytes(document: &str, variables: &str) -> String {
    let plan = Fixture::new().plan(document, variables);
    let encoded = plan.projection.encode(&message(r#"{"x":1.0}"#));
    String::from_utf8(encoded.bytes().to_vec()).unwrap()
}

#[test]
fn the_selection_is_the_result() {
    let table = [
        (
            r#"subscription { messages(topics: "a") { topic cursor previous publishedAt key headers
                payload snapshot __typename } }"#,
            r#"{"messages":{"topic":"a.\"b\"","cursor":"1-7","previous":null,
                "publishedAt":"1970-01-01T00:00:00.000001Z","key":"a.\"b\"","headers":{"h":"v"},
                "payload":{"x":1.0},"snapshot":false,"__typename":"Message"}}"#,
        ),
        (
            r#"subscription { m: messages(topics: "a") { c: cursor ... { t: topic } ...F } }
                fragment F on Message { c: cursor p: payload }"#,
            r#"{"m":{"c":"1-7","t":"a.\"b\"","p":{"x":1.0}}}"#,
        ),
        (
            r#"subscription { ...S } fragment S on Subscription { messages(topics: "a") { cursor }
                ... on Subscription { messages(topics: "a") { key cursor } } }"#,
            r#"{"messages":{"cursor":"1-7","key":"a.\"b\""}}"#,
        ),
    ];
    for (document, data) in table {
        let expected = format!(r#"{{"data":{}}}"#, joined(data));
        assert_eq!(bytes(document, "{}"), expected, "{document}");
    }
}

#[test]
fn directives_follow_the_variables() {
    let document = r#"subscription($yes: Boolean!, $no: Boolean = false) {
        messages(topics: "a") { cursor @include(if: $yes) topic @include(if: $no) key @skip(if:
            true) snapshot @skip(if: $no) } }"#;
    let fixture = Fixture::new();
    for (variables, data) in [
        (r#"{"yes":true}"#, r#"{"data":{"messages":{"cursor":"1-7","snapshot":false}}}"#),
        (r#"{"yes":false,"no":true}"#, r#"{"data":{"messages":{"topic":"a.\"b\""}}}"#),
    ] {
        let plan = fixture.plan(document, variables);
        let encoded = plan.projection.encode(&message("1"));
        assert_eq!(encoded.bytes(), data.as_bytes());
    }
}

#[test]
fn the_cursor_comes_with_those_who_resume() {
    let mut fixture = Fixture::new();
    Arc::make_mut(&mut fixture.caller).resume = true;
    let plan = fixture.plan(r#"subscription { messages(topics: "a") { snapshot } }"#, "{}");
    let expected = br#"{"data":{"messages":{"snapshot":false}},"extensions":{"cursor":"1-7"}}"#;
    assert_eq!(plan.projection.encode(&message("1")).bytes(), expected);
}

#[test]
fn equal_selections_are_equal_projections() {
    let fixture = Fixture::new();
    let plan = |document| fixture.plan(document, r#"{"t":["x"]}"#);
    let one = plan(r#"subscription A { messages(topics: "a") { cursor topic } }"#);
    let two = plan(
        "subscription B($t: [String!]!) { messages(topics: $t, last: 1) { ... { cursor } topic } }",
    );
    assert_eq!(one.projection, two.projection);
    assert_ne!(one.select, two.select);
}

#[test]
fn positions_and_pace() {
    let fixture = Fixture::new();
    let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(3) };
    let free = Pace::default();
    let table = [
        ("", Position::Live, free),
        ("after: null, last: null, snapshot: false", Position::Live, free),
        (r#"after: "1-3""#, Position::After(cursor), free),
        (r#"after: "earliest""#, Position::Earliest, free),
        (
            r#"since: "1970-01-01T01:00:01+01:00""#,
            Position::Since(Timestamp::from_micros(1_000_000)),
            free,
        ),
        ("last: 5", Position::Last(5), free),
        ("snapshot: true", Position::Snapshot, free),
        (
            "maxPerSecond: 2, distinct: true",
            Position::Live,
            Pace { max_per_second: Some(2.0), distinct: true },
        ),
    ];
    for (arguments, position, pace) in table {
        let document =
            format!(r#"subscription {{ messages(topics: "a", {arguments}) {{ topic }} }}"#);
        let plan = fixture.plan(&document, "{}");
        assert_eq!((plan.position, plan.pace), (position, pace), "{arguments}");
    }
}

#[test]
fn the_extension_takes_the_place_of_the_position() {
    let fixture = Fixture::new();
    let document = r#"subscription { messages(topics: \"a\", last: 1, snapshot: true) { topic } }"#;
    let request =
        |after: &str| format!(r#"{{"query":"{document}","extensions":{{"after":{after}}}}}"#);
    assert!(fixture.send(&request("\"1-3\"")).contains("Sequence(3)"));
    assert!(fixture.send(&request("\"earliest\"")).contains("Earliest"));
    assert_eq!(refusal(&fixture.send(&request("null"))), ["BAD_ARGUMENT"]);
    assert_eq!(refusal(&fixture.send(&request("5"))), ["BAD_CURSOR"]);
    assert_eq!(refusal(&fixture.send(&request("\"x\""))), ["BAD_CURSOR"]);
}

#[test]
fn wrong_arguments_say_which() {
    let fixture = Fixture::new();
    let table = [
        (r#"topics: "a..b""#, "BAD_FILTER", ""),
        (r#"topics: ["a", ">.b"]"#, "BAD_FILTER", ""),
        ("topics: []", "BAD_ARGUMENT", "topics"),
        (r#"topics: "a", after: "1-1", last: 1"#, "BAD_ARGUMENT", "last"),
        (
            r#"topics: "a", since: "2001-01-01T00:00:00Z", snapshot: true"#,
            "BAD_ARGUMENT",
            "snapshot",
        ),
        (r#"topics: "a", last: -1"#, "BAD_ARGUMENT", "last"),
        (r#"topics: "a", since: "yesterday""#, "BAD_ARGUMENT", "since"),
        (r#"topics: "a", after: "nonsense""#, "BAD_CURSOR", "after"),
        (r#"topics: "a", where: {path: "bid", eq: 1}"#, "BAD_ARGUMENT", "where"),
        (r#"topics: "a", maxPerSecond: 0"#, "BAD_ARGUMENT", "maxPerSecond"),
        (r#"topics: "a", maxPerSecond: 1e-19"#, "BAD_ARGUMENT", "maxPerSecond"),
        (r#"topics: "a", maxPerSecond: -1"#, "BAD_ARGUMENT", "maxPerSecond"),
        (r#"topics: "a", last: 3000000000"#, "BAD_ARGUMENT", "last"),
    ];
    for (arguments, code, argument) in table {
        let result =
            fixture.ask(&format!("subscription {{ m: messages({arguments}) {{ topic }} }}"));
        assert_eq!(refusal(&result), [code], "{result}");
        assert!(result.contains(r#""path":["m"]"#), "{result}");
        let named = format!(r#""argument":"{argument}""#);
        assert!(argument.is_empty() || result.contains(&named), "{result}");
    }
}

#[test]
fn conditions_come_from_literals_and_variables_alike() {
    let fixture = Fixture::new();
    let literal = fixture.plan(
        r#"subscription { messages(topics: ["b", "a", "b"], where: [
            {path: "/x", eq: 9007199254740993, in: [1, "a"], exists: true}, {path: "/s", startsWith:
                "p"}]) { topic } }"#,
        "{}",
    );
    let variables = fixture.plan(
        "subscription($t: [String!]!, $w: [Condition!], $n: JSON) { messages(topics: $t, where: $w)
            { topic }
         more: messages(topics: $t, where: {path: \"/\", eq: $n}) @skip(if: true) { topic } }",
        r#"{"t":["a","b"],"w":[{"path":"/x","eq":9007199254740993,"in":[1,"a"],"exists":true},
            {"path":"/s","startsWith":"p"}]}"#,
    );
    assert_eq!(literal.select, variables.select);
    let filters: Vec<_> = literal.select.filters.iter().map(Filter::as_str).collect();
    assert_eq!(filters, ["a", "b"]);
    let condition = literal.select.condition.unwrap();
    let holds = |text: &str| condition.holds(&serde_json::from_str(text).unwrap());
    assert!(!holds(r#"{"x":9007199254740992,"s":"p"}"#));
    assert!(!holds(r#"{"x":1,"s":"p"}"#));
}

#[test]
fn null_is_compared_with_where_the_type_is_json() {
    let fixture = Fixture::new();
    let holds = |tests: &str, payload: &str| {
        let document = format!(
            r#"subscription($absent: JSON) {{ messages(topics: "a", where: {{path: "/x", {tests}}})
                {{ topic }} }}"#
        );
        let condition = fixture.plan(&document, "{}").select.condition;
        condition.is_none_or(|condition| condition.holds(&serde_json::from_str(payload).unwrap()))
    };
    assert!(holds("eq: null, ne: $absent", r#"{"x":null}"#));
    assert!(!holds("eq: null, ne: $absent", r#"{"x":1}"#));
    assert!(holds("exists: null, startsWith: null, in: null, eq: $absent", "1"));
}

#[test]
fn one_field_at_the_root() {
    let fixture = Fixture::new();
    let two = r#"subscription S { a: messages(topics: "a") { topic } ...F } fragment F on
        Subscription { b: messages(topics: "a") { topic } }"#;
    let none = r#"subscription { messages(topics: "a") @skip(if: true) { topic } }"#;
    for (document, message) in [
        (two, r#"Subscription \"S\" must select only one top level field."#),
        (none, "Anonymous Subscription must select only one top level field."),
        ("subscription { __typename }", r#"Unknown field \"__typename\""#),
    ] {
        let result = fixture.send(&request(document, "{}"));
        assert!(refusal(&result).iter().all(|code| code == "GRAPHQL_VALIDATION_FAILED"));
        assert!(result.contains(message), "{result}");
    }
}
