//! `publish` and `publishMany`.

use serde_json::json;

use super::{Fixture, joined, request};

fn check(cases: &[(&str, &str, &str)]) {
    let fixture = Fixture::new();
    for (document, variables, expected) in cases {
        let result = fixture.send(&request(document, variables));
        assert_eq!(result, joined(expected), "{document}");
    }
}

#[test]
fn a_receipt_is_what_was_selected_of_it() {
    check(&[
        (
            r#"mutation { publish(topic: "a.b", payload: {x: [1, 2.50, "\"", null, RED]}) {
                topic cursor publishedAt duplicate __typename } }"#,
            "{}",
            r#"{"data":{"publish":{"topic":"a.b","cursor":"1-1",
                "publishedAt":"1970-01-01T00:00:00.000000Z","duplicate":false,
                "__typename":"Receipt"}}}"#,
        ),
        (
            r#"mutation { a: publish(topic: "t", payload: 1) { c: cursor } __typename
                b: publish(topic: "t", payload: 2) { ...R } } fragment R on Receipt { cursor }"#,
            "{}",
            r#"{"data":{"a":{"c":"1-2"},"__typename":"Mutation","b":{"cursor":"1-3"}}}"#,
        ),
        (
            r#"mutation($full: Boolean!) { publish(topic: "t", payload: 1) {
                cursor topic @include(if: $full) } }"#,
            r#"{"full":false}"#,
            r#"{"data":{"publish":{"cursor":"1-4"}}}"#,
        ),
        (
            r#"mutation($full: Boolean!) { publish(topic: "t", payload: 1) {
                cursor topic @include(if: $full) } }"#,
            r#"{"full":true}"#,
            r#"{"data":{"publish":{"cursor":"1-5","topic":"t"}}}"#,
        ),
    ]);
}

#[test]
fn payloads_keep_their_digits() {
    let payload =
        r#"{"big":18446744073709551615,"small":-9223372036854775808,"huge":1e400,"money":1.10}"#;
    let read = r#"{ last(topics: "t") { payload headers key } }"#;
    let one = "mutation($p: JSON!, $h: JSON) { publish(topic: \"t\", payload: $p, headers: $h) {
        topic } }";
    let variables = format!(r#"{{"p":{payload},"h":{{"a":"b"}}}}"#);
    let many = "mutation($m: [PublishInput!]!) { publishMany(messages: $m) { topic } }";
    let list = format!(r#"{{"m":{{"topic":"t","key":"k","payload":{payload}}}}}"#);
    let seen = format!(
        r#"{{"data":{{"last":[{{"payload":{payload},"headers":{{"a":"b"}},"key":"t"}}]}}}}"#
    );
    let seen_many =
        format!(r#"{{"data":{{"last":[{{"payload":{payload},"headers":null,"key":"k"}}]}}}}"#);
    check(&[
        (one, &variables, r#"{"data":{"publish":{"topic":"t"}}}"#),
        (read, "{}", &seen),
        (many, &list, r#"{"data":{"publishMany":[{"topic":"t"}]}}"#),
        (read, "{}", &seen_many),
    ]);
}

#[test]
fn a_variable_inside_a_literal_payload_is_put_in() {
    check(&[
        (
            r#"mutation($x: Int, $j: JSON, $none: String) {
                publish(topic: "t", payload: {a: $x, b: [$j], c: $none}) { topic } }"#,
            r#"{"x":5,"j":{"d":1.10}}"#,
            r#"{"data":{"publish":{"topic":"t"}}}"#,
        ),
        (
            r#"{ last(topics: "t") { payload } }"#,
            "{}",
            r#"{"data":{"last":[{"payload":{"a":5,"b":[{"d":1.10}],"c":null}}]}}"#,
        ),
    ]);
}

#[test]
fn a_refused_publish_nulls_the_data() {
    let fixture = Fixture::new();
    let long = format!("\"{}\"", "x".repeat(2000));
    let table = [
        (r#"topic: "a.*", payload: 1"#, "BAD_TOPIC"),
        (r#"topic: "$sys", payload: 1"#, "BAD_TOPIC"),
        (r#"topic: "", payload: 1"#, "BAD_TOPIC"),
        (r#"topic: "t", payload: 1, headers: {a: 1}"#, "BAD_ARGUMENT"),
        (r#"topic: "t", payload: 1, headers: "x""#, "BAD_ARGUMENT"),
        (r#"topic: "t", payload: 1, ifLast: "nonsense""#, "BAD_CURSOR"),
        (r#"topic: "t", payload: 1, ifLast: "1-9""#, "CONFLICT"),
        (&format!(r#"topic: "t", payload: {long}"#), "PAYLOAD_TOO_LARGE"),
    ];
    for (arguments, code) in table {
        let result = fixture.ask(&format!("mutation {{ p: publish({arguments}) {{ topic }} }}"));
        let result: serde_json::Value = serde_json::from_str(&result).unwrap();
        assert_eq!(result["data"], serde_json::Value::Null, "{result}");
        assert_eq!(super::codes(&result), [code], "{result}");
        assert_eq!(result["errors"][0]["path"], serde_json::json!(["p"]));
        assert_eq!(result["errors"][0]["locations"][0]["column"], 12);
    }
    let headers =
        fixture.ask(r#"mutation { publish(topic: "t", payload: 1, headers: 1) { topic } }"#);
    assert!(headers.contains(r#""argument":"headers""#), "{headers}");
}

#[test]
fn if_last_and_id_hold() {
    check(&[
        (
            r#"mutation { publish(topic: "t", payload: 1, ifLast: "", id: "a") { cursor duplicate }
                }"#,
            "{}",
            r#"{"data":{"publish":{"cursor":"1-1","duplicate":false}}}"#,
        ),
        (
            r#"mutation { publish(topic: "t", payload: 1, id: "a") { cursor duplicate } }"#,
            "{}",
            r#"{"data":{"publish":{"cursor":"1-1","duplicate":true}}}"#,
        ),
        (
            r#"mutation { publish(topic: "t", payload: 2, ifLast: "") { cursor } }"#,
            "{}",
            r#"{"data":null,
                "errors":[{"message":"the topic's last message is not the one given in ifLast",
                "locations":[{"line":1,"column":12}],"path":["publish"],
                "extensions":{"code":"CONFLICT","last":"1-1"}}]}"#,
        ),
    ]);
}

#[test]
fn of_many_the_refused_are_null() {
    check(&[(
        r"mutation($m: [PublishInput!]!) { all: publishMany(messages: $m) { cursor } }",
        r#"{"m":[{"topic":"a","payload":1},{"topic":">","payload":2},{"topic":"a","payload":3,
            "ifLast":""},{"topic":"a","payload":4}]}"#,
        concat!(
            r#"{"data":{"all":[{"cursor":"1-1"},null,null,{"cursor":"1-2"}]},"errors":["#,
            r#"{"message":"the topic \">\" is not valid: token 1 holds a wildcard "#,
            r#"(`*` or `>`); only filters may have them","locations":[{"line":1,"column":34}],"#,
            r#""path":["all",1],"extensions":{"code":"BAD_TOPIC"}},"#,
            r#"{"message":"the topic's last message is not the one given in ifLast",
                "locations":[{"line":1,"column":34}],"path":["all",2],
                "extensions":{"code":"CONFLICT","last":"1-1"}}]}"#
        ),
    )]);
}

#[test]
fn every_fault_of_the_variables_is_told() {
    let fixture = Fixture::new();
    let document = r"mutation($m: [PublishInput!]!, $n: Int!) { publishMany(messages: $m) { cursor }
        publish(topic: $n, payload: 1) { topic } }";
    // `$n` does not fit where it is used, so that the document itself is refused.
    let refused = fixture.send(&request(document, r#"{"m":[],"n":1}"#));
    assert_eq!(super::refusal(&refused), ["GRAPHQL_VALIDATION_FAILED"]);
    let document = "mutation($m: [PublishInput!]!) { publishMany(messages: $m) { cursor } }";
    let variables =
        r#"{"m":[{"topic":5,"payload":1},{"payload":null},null,{"topic":"t","payload":1,"x":1}]}"#;
    let refused = fixture.send(&request(document, variables));
    let codes = ["BAD_ARGUMENT", "BAD_ARGUMENT", "BAD_PAYLOAD", "BAD_ARGUMENT", "BAD_ARGUMENT"];
    assert_eq!(super::refusal(&refused), codes, "{refused}");
    for part in [
        r#"at \"m[0].topic\": String cannot represent 5"#,
        r#"at \"m[1].topic\": is required but was not given"#,
        r#"at \"m[1].payload\": must not be null"#,
        r#"at \"m[2]\": must not be null"#,
        r#"at \"m[3].x\": is no field of PublishInput"#,
    ] {
        assert!(refused.contains(part), "{part}\n{refused}");
    }
}

#[test]
fn the_time_to_every_receipt_is_measured_and_nothing_else() {
    let fixture = Fixture::new();
    let table = [
        (r#"mutation { publish(topic: "t", payload: 1) { cursor } }"#, 1),
        (r#"mutation { publish(topic: "*", payload: 1) { cursor } }"#, 1),
        (r#"mutation { publish(topic: "t", payload: 1, ifLast: "") { cursor } }"#, 1),
        (
            r#"mutation { publishMany(messages: [{topic: "t", payload: 1},
                {topic: "*", payload: 1}, {topic: "u", payload: 1}]) { cursor } }"#,
            3,
        ),
        (r#"mutation { purge(topic: "t") }"#, 3),
        (r#"mutation { purge(topic: "t") publish(topic: "t", payload: 1) { cursor } }"#, 4),
        ("{ broker { version } }", 4),
    ];
    for (document, expected) in table {
        fixture.ask(document);
        let times = fixture.schema.services.broker.counters().publish_seconds.snapshot();
        let count: u64 = times.buckets.iter().map(|(_, count)| count).sum();
        assert_eq!(count, expected, "{document}");
    }
}

#[test]
fn a_payload_that_does_not_fit_says_where() {
    let fixture = Fixture::new();
    let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
    let inner = &deep[1..deep.len() - 1];
    let one = "mutation($v: JSON!) { publish(topic: \"t\", payload: $v) { topic } }";
    let within = "mutation($v: JSON!) { publish(topic: \"t\", payload: {a: [$v]}) { topic } }";
    let item =
        "mutation($v: JSON!) { publishMany(messages: {topic: \"t\", payload: $v}) { topic } }";
    let many = "mutation($v: [PublishInput!]!) { publishMany(messages: $v) { topic } }";
    let input = |payload: &str| format!(r#"{{"topic":"t","payload":{payload}}}"#);
    let header = "mutation($v: JSON) { publish(topic: \"t\", payload: 1, headers: $v) { topic } }";
    let table = [
        (one, deep.clone(), "BAD_PAYLOAD", json!([])),
        (one, "null".to_owned(), "BAD_PAYLOAD", json!([])),
        (within, deep.clone(), "BAD_PAYLOAD", json!(["a", 0])),
        (within, inner.to_owned(), "BAD_PAYLOAD", json!([])),
        (item, deep.clone(), "BAD_PAYLOAD", json!([])),
        (many, input(&deep), "BAD_PAYLOAD", json!([])),
        (many, input("null"), "BAD_PAYLOAD", json!([])),
        (header, deep.clone(), "BAD_ARGUMENT", json!(null)),
    ];
    for (document, value, code, path) in table {
        let response = fixture.send(&request(document, &format!(r#"{{"v":{value}}}"#)));
        let response: serde_json::Value = serde_json::from_str(&response).unwrap();
        assert_eq!(super::codes(&response), [code], "{document} {response}");
        let extensions = &response["errors"][0]["extensions"];
        assert!(extensions["argument"].is_string(), "{response}");
        if code == "BAD_PAYLOAD" {
            assert_eq!(extensions["path"], path, "{response}");
            let fault = &extensions["faults"][0];
            assert_eq!(fault["path"], extensions["path"], "{response}");
            let words = fault["message"].as_str().unwrap();
            assert!(words.contains("127 levels") || words.contains("null"), "{response}");
        }
    }
    assert!(
        fixture.send(&request(one, &format!(r#"{{"v":{inner}}}"#))).contains("\"topic\":\"t\"")
    );
}
