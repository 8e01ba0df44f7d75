//! Typed topics at their limits: what is nested, long, many or malformed harms nobody.

use serde_json::{Value, json};

use super::{Fixture, codes, request};
use crate::graphql::limits::Limits;
use crate::graphql::sdl;
use crate::graphql::sdl::source::Source;

const SDL: &str = r#"
type Tree @topic(name: "trees.{id}") @key(fields: "id n") {
  id: ID!
  n: Int
  colour: Colour
  any: Anything
  names: [ID!]
  times: [DateTime!]
  p: Part
  parts: [Tree]
}
type Part { p: Part any: Anything }
enum Colour { C00 C01 C02 C03 C04 C05 C06 C07 C08 C09 C10 C11 C12 C13 C14 C15 C16 C17 C18 C19 C20
  C21 C22 C23 C24 C25 C26 C27 C28 C29 C30 C31 C32 C33 C34 C35 C36 C37 C38 C39 C40 }
scalar Anything
"#;

fn fixture() -> Fixture {
    let source = Source { name: "tree.graphql".into(), text: SDL.into() };
    let model = sdl::read(&[source]).unwrap();
    Fixture::of(&model, Limits { depth: 12, complexity: 1000, aliases: 100 })
}

/// What becomes of a payload on its ways in: the typed field and the generic one.
fn published(fixture: &Fixture, payload: &str) -> [Value; 2] {
    let typed = "mutation($p: TreeInput!) { publishTree(tree: $p) { topic } }";
    let generic = r#"mutation($p: JSON!) { publish(topic: "trees.t", payload: $p) { topic } }"#;
    [typed, generic].map(|document| {
        let answer = fixture.send(&request(document, &format!(r#"{{"p":{payload}}}"#)));
        serde_json::from_str(&answer).unwrap()
    })
}

fn newest(fixture: &Fixture) -> String {
    fixture.ask(r#"{ last(topics: ["trees.t"]) { payload } }"#)
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    let fixture = fixture();
    let parts = |count: usize, inner: &str| {
        let (open, close) = (r#"{"p":"#.repeat(count), "}".repeat(count));
        format!(r#"{{"id":"t","p":{open}{inner}{close}}}"#)
    };
    let lists = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let anything = |count| parts(99, &format!(r#"{{"any":{}}}"#, lists(count)));
    for fits in [parts(125, "{}"), anything(26)] {
        for answer in published(&fixture, &fits) {
            assert_eq!(answer["errors"], Value::Null);
        }
    }
    for payload in [parts(126, "{}"), anything(27), parts(20_000, "null"), anything(100)] {
        for answer in published(&fixture, &payload) {
            assert_eq!(codes(&answer), ["BAD_PAYLOAD"]);
        }
    }
    let filter = format!("{}{{}}{}", r#"{"not":"#.repeat(20_000), "}".repeat(20_000));
    let document = "query($w: TreeFilter) { treeHistory(where: $w) { nodes { id } } }";
    let answer = fixture.send(&request(document, &format!(r#"{{"w":{filter}}}"#)));
    assert_eq!(super::refusal(&answer), ["BAD_ARGUMENT"]);
}

#[test]
fn a_name_that_is_no_text_makes_no_others_disappear() {
    let fixture = fixture();
    for payload in [r#"{"id":"t","p":{"\ud800":1,"any":2}}"#, r#"{"\udc00":1,"id":"t"}"#] {
        for answer in published(&fixture, payload) {
            assert_eq!(codes(&answer), ["BAD_PAYLOAD"]);
            let faults = &answer["errors"][0]["extensions"]["faults"];
            assert_eq!(faults.as_array().unwrap().len(), 1, "{faults}");
            let message = faults[0]["message"].as_str().unwrap();
            assert!(message.starts_with("is no field of "), "{message}");
        }
    }
    assert!(!newest(&fixture).contains("payload"));
}

#[test]
fn the_least_integer_may_be_written_as_a_float() {
    let fixture = fixture();
    for payload in [r#"{"id":"t","n":-2147483648.0}"#, r#"{"id":"t","n":-2.147483648e9}"#] {
        for answer in published(&fixture, payload) {
            assert_eq!(answer["errors"], Value::Null);
        }
        assert!(newest(&fixture).contains(r#""n":-2147483648}"#));
    }
    for answer in published(&fixture, r#"{"id":"t","n":-2147483649.0}"#) {
        assert_eq!(codes(&answer), ["BAD_PAYLOAD"]);
    }
}

#[test]
fn what_is_kept_is_no_longer_than_allowed() {
    let fixture = fixture();
    // The fixture allows 1000 bytes; in normal form each of these is longer than it was sent.
    let numbers = vec!["1"; 400].join(",");
    let times = vec![r#""2026-11-21T00:00:00Z""#; 40].join(",");
    for fields in [format!(r#""names":[{numbers}]"#), format!(r#""times":[{times}]"#)] {
        let payload = format!(r#"{{"id":"t",{fields}}}"#);
        assert!(payload.len() < 1000);
        for answer in published(&fixture, &payload) {
            assert_eq!(codes(&answer), ["PAYLOAD_TOO_LARGE"]);
        }
    }
}

#[test]
fn many_faults_are_a_short_answer() {
    let fixture = fixture();
    let wrong = vec![r#"{"id":"x","colour":"RED"}"#; 500].join(",");
    let payload = format!(r#"{{"id":"t","parts":[{wrong}]}}"#);
    let [typed, _] = published(&fixture, &payload);
    let faults = &typed["errors"][0]["extensions"]["faults"];
    assert_eq!(faults.as_array().unwrap().len(), 100);
    let names = (0..30).map(|number| format!("C{number:02}")).collect::<Vec<_>>().join(", ");
    let message =
        format!(r#"Colour cannot represent "RED"; it must be one of {names} and 11 more"#);
    assert_eq!(faults[99], json!({"path": ["parts", 99, "colour"], "message": message}));
}

#[test]
fn every_test_of_a_filter_counts() {
    let fixture = fixture();
    let tests = [r#"{"p":{"isNull":true}}"#, r#"{"parts":{"any":{}}}"#, r#"{"n":{"eq":1}}"#];
    let document = "query($w: TreeFilter) { treeHistory(where: $w) { nodes { id } } }";
    for test in tests {
        for (count, code) in [(100, None), (101, Some("LIMIT_EXCEEDED"))] {
            let filter = format!(r#"{{"or":[{}]}}"#, vec![test; count].join(","));
            let answer = fixture.send(&request(document, &format!(r#"{{"w":{filter}}}"#)));
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let found = answer["errors"][0]["extensions"]["code"].as_str();
            assert_eq!(found, code, "{count} times {test}");
        }
    }
}

#[test]
fn a_topic_has_one_spelling() {
    let fixture = fixture();
    let publish = |topic: &str, payload: &str| {
        let document = format!(
            r#"mutation($p: JSON!) {{ publish(topic: "{topic}", payload: $p) {{ topic }} }}"#
        );
        let answer = fixture.send(&request(&document, &format!(r#"{{"p":{payload}}}"#)));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let extensions = &answer["errors"][0]["extensions"];
        extensions["faults"][0]["message"].as_str().unwrap_or_default().to_owned()
    };
    for (topic, id) in [("trees.%41", "A"), ("trees.a%2eb", "a.b"), ("trees.%FF", "x")] {
        let own = id.replace('.', "%2E");
        let expected = format!(
            "has no value that makes the topic `{topic}`; these values belong to `trees.{own}`"
        );
        assert_eq!(publish(topic, &format!(r#"{{"id":"{id}"}}"#)), expected);
        assert_eq!(publish(&format!("trees.{own}"), &format!(r#"{{"id":"{id}"}}"#)), "");
    }
    let expected =
        r#"must be "B", because the topic is `trees.B`; these values belong to `trees.A`"#;
    assert_eq!(publish("trees.B", r#"{"id":"A"}"#), expected);
}

#[test]
fn a_key_that_is_null_is_that_of_a_missing_field() {
    let fixture = fixture();
    let entity = |payload: &str, n: &str| {
        published(&fixture, payload);
        let document = r"query($r: [_Any!]!) { _entities(representations: $r) { __typename } }";
        let reference = format!(r#"{{"r":[{{"__typename":"Tree","id":"t","n":{n}}}]}}"#);
        let answer = fixture.send(&request(document, &reference));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["_entities"][0]["__typename"] == "Tree"
    };
    assert!(!entity(r#"{"id":"t"}"#, "1"));
    assert!(entity(r#"{"id":"t"}"#, "null"));
    assert!(entity(r#"{"id":"t","n":null}"#, "null"));
    assert!(!entity(r#"{"id":"u","n":null}"#, "0"));
}
