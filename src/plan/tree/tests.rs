use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Place};
use crate::plan::projection::{Piece, Projection, quoted};

fn message(payload: &str) -> Message {
    let topic = Topic::parse("quotes.ACME").unwrap();
    let payload = Json::parse(payload).unwrap();
    let draft = Draft { topic, payload, key: None, headers: None };
    let cursor = Cursor { epoch: Epoch::new(1), sequence: Sequence(2) };
    Message::new(draft, Place { cursor, previous: None, published_at: Timestamp::from_micros(0) })
}

/// One selected field and, where it is an object, what is selected of it.
#[derive(Debug, Clone)]
struct Selected(String, Option<Vec<Self>>);

fn tree(selection: &[Selected]) -> Tree {
    let mut parts = vec![Part::Text("{".into())];
    for (index, Selected(name, inner)) in selection.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        parts.push(Part::Text(format!("{comma}\"k{index}\":").into()));
        parts.push(match inner {
            Some(inner) => Part::Object(name.as_str().into(), tree(inner)),
            None => Part::Leaf(name.as_str().into()),
        });
    }
    parts.push(Part::Text("}".into()));
    Tree::new(parts)
}

fn written(tree: &Tree, payload: &str) -> String {
    let mut out = Vec::new();
    tree.write(&message(payload), &mut out);
    String::from_utf8(out).unwrap()
}

fn leaf(name: &str) -> Selected {
    Selected(name.into(), None)
}

fn inner(name: &str, selection: &[Selected]) -> Selected {
    Selected(name.into(), Some(selection.to_vec()))
}

#[test]
fn values_keep_their_digits_and_their_order() {
    let selection = [leaf("ask"), leaf("bid"), leaf("ask"), leaf("none")];
    let payload = r#"{"x":{"bid":1},"bid":1.10,"ask":100e-2}"#;
    let expected = r#"{"k0":100e-2,"k1":1.10,"k2":100e-2,"k3":null}"#;
    assert_eq!(written(&tree(&selection), payload), expected);
}

#[test]
fn keys_are_compared_by_what_they_say() {
    let selection = [leaf("a\"b"), leaf("ü"), leaf("\u{1f600}")];
    let payload = r#"{"\u0061\u0022b":1,"\u00fc":2,"\ud83d\ude00":3,"\ud83d":4,"\ude00":5}"#;
    assert_eq!(written(&tree(&selection), payload), r#"{"k0":1,"k1":2,"k2":3}"#);
}

#[test]
fn what_no_tree_can_hold_goes_out_as_it_is() {
    let selection = [leaf("a"), leaf("b")];
    let payload = r#"{"c":1e999,"a":"\ud83d","b":[-1e999]}"#;
    assert_eq!(written(&tree(&selection), payload), r#"{"k0":"\ud83d","k1":[-1e999]}"#);
}

#[test]
fn of_a_repeated_name_the_first_counts() {
    let payload = r#"{"a":1,"a":2,"b":[],"a":3,"b":null}"#;
    assert_eq!(written(&tree(&[leaf("a")]), payload), r#"{"k0":1}"#);
    assert_eq!(written(&tree(&[leaf("b"), leaf("a")]), payload), r#"{"k0":[],"k1":1}"#);
}

#[test]
fn lists_of_objects_keep_their_nesting_and_their_nulls() {
    let selection = [inner("list", &[leaf("a")])];
    let payload = r#"{"list":[{"a":1},null,[[],[{"a":2,"b":3},{}]],7]}"#;
    let expected = r#"{"k0":[{"k0":1},null,[[],[{"k0":2},{"k0":null}]],null]}"#;
    assert_eq!(written(&tree(&selection), payload), expected);
}

#[test]
fn a_payload_that_is_no_object_has_no_values() {
    let selection = [leaf("a"), inner("b", &[leaf("c")])];
    for payload in ["null", "1e999", "[]", r#"[{"a":1}]"#, r#""a""#, "{}", r#"{"b":"c"}"#] {
        assert_eq!(written(&tree(&selection), payload), r#"{"k0":null,"k1":null}"#, "{payload}");
    }
}

#[test]
fn the_message_around_it_can_be_selected_at_any_depth() {
    let around = Tree::new(
        [Part::Text(r#"{"topic":"#.into()), Part::Message(Field::Topic)]
            .into_iter()
            .chain([Part::Text("}".into())]),
    );
    let tree = Tree::new([
        Part::Text(r#"{"list":"#.into()),
        Part::Object("list".into(), around),
        Part::Text(r#","snapshot":"#.into()),
        Part::Message(Field::Snapshot),
        Part::Text("}".into()),
    ]);
    let expected = r#"{"list":[{"topic":"quotes.ACME"}],"snapshot":false}"#;
    assert_eq!(written(&tree, r#"{"list":[{}]}"#), expected);
}

#[test]
fn equal_selections_are_equal_projections() {
    let projection = |selection: &[Selected], texts: &[&str]| {
        let texts = texts.iter().map(|text| Piece::Text((*text).into()));
        Projection::new(texts.chain([Piece::Payload(tree(selection))]), true)
    };
    let selection = [leaf("a"), inner("b", &[leaf("a")])];
    let whole = projection(&selection, &[r#"{"data":{"quote":"#]);
    assert_eq!(whole, projection(&selection, &[r#"{"data":"#, r#"{"quote":"#]));
    assert_ne!(whole, projection(&selection[..1], &[r#"{"data":{"quote":"#]));
    let encoded = whole.encode(&message(r#"{"a":1.0,"b":{"a":2}}"#));
    assert_eq!(encoded.data(), br#"{"data":{"quote":{"k0":1.0,"k1":{"k0":2}}"#);
}

fn selections() -> impl Strategy<Value = Vec<Selected>> {
    let leaf = "[abcü]".prop_map(|name| Selected(name, None));
    let selected = leaf.prop_recursive(3, 16, 4, |inner| {
        ("[abcü]", proptest::collection::vec(inner, 0..4))
            .prop_map(|(name, inner)| Selected(name, Some(inner)))
    });
    proptest::collection::vec(selected, 0..5)
}

fn payloads() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 5, |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => proptest::collection::vec(("[abcdü\"]", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same selection, over a tree.
fn naive(selection: &[Selected], value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| naive(selection, item)).collect(),
        Value::Object(fields) => {
            let of = |(index, Selected(name, inner)): (usize, &Selected)| {
                let value = fields.get(name).unwrap_or(&Value::Null);
                let value = inner.as_ref().map_or(value.clone(), |inner| naive(inner, value));
                (format!("k{index}"), value)
            };
            Value::Object(selection.iter().enumerate().map(of).collect())
        }
        _ => Value::Null,
    }
}

/// JSON text in which some characters of strings and keys are escapes.
fn escaped(text: &str) -> String {
    let escape = |character| match character {
        'a' => "\\u0061".to_owned(),
        'ü' => "\\u00FC".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

proptest! {
    #[test]
    fn the_result_is_that_of_a_selection_of_the_tree(
        selection in selections(), payload in payloads(), escapes: bool
    ) {
        let text = payload.to_string();
        // `a` is also in `false`, which has no escapes.
        let text = if escapes && !text.contains("false") { escaped(&text) } else { text };
        let result = written(&tree(&selection), &text);
        let result: Value = serde_json::from_str(&result).unwrap();
        let payload: Value = serde_json::from_str(&text).unwrap();
        // At the root there is no list to select from.
        let root = if payload.is_object() { payload } else { json!({}) };
        prop_assert_eq!(result, naive(&selection, &root));
    }

    #[test]
    fn any_json_gives_json(
        selection in selections(), text in "[\\[\\]{}:,\"\\\\abu1eE.\\-d8]{0,40}"
    ) {
        if Json::parse(&text).is_ok() {
            let result = written(&tree(&selection), &text);
            prop_assert!(Json::parse(&result).is_ok(), "{} of {}", result, text);
        }
    }
}

#[test]
fn constants_are_quoted_as_json() {
    let tree = Tree::new([Part::Text(quoted("a\"\n").into())]);
    assert_eq!(written(&tree, "{}"), r#""a\"\n""#);
}
