//! JSON text: taken when `serde_json` takes it, kept in value and order; and pointers into it.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;
use tidings::message::json::Json;
use tidings::plan::pointer::Pointer;

/// One input: a text that may be JSON, and after a line that is just `@` a pointer into it.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, pointer) = text.split_once("\n@\n").unwrap_or((text, ""));
    let (json, value) = (Json::parse(text), serde_json::from_str::<Value>(text));
    match (json, value) {
        (Ok(json), Ok(value)) => {
            check(&json, &value);
            check_pointer(pointer, &value);
        }
        (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
        // Numbers beyond doubles and halves of surrogates are kept, and have a tree of our own.
        (Ok(json), Err(error)) => {
            assert!(is_like(json.as_str(), &json.to_value()), "{json}: {error}");
        }
        (json, value) => panic!("{json:?} but {value:?}"),
    }
}

fn check(json: &Json, value: &Value) {
    assert_eq!(json.to_value(), *value);
    assert_eq!(Json::parse(json.as_str()).as_ref(), Ok(json), "not the same once more");
    assert_eq!(without_strings(json.as_str()).find([' ', '\t', '\r', '\n']), None);
    let written = Json::from_value(value);
    assert_eq!(Json::parse(written.as_str()).as_ref(), Ok(&written));
    // `serde_json` reads the shortest form of some doubles as one of their neighbours.
    assert!(written.to_value() == *value || has_double(value), "{json} became {written}");
}

/// Whether a tree says what a text says, with the nearest in place of what no tree can hold.
fn is_like(text: &str, value: &Value) -> bool {
    if let Ok(exact) = serde_json::from_str::<Value>(text) {
        return exact == *value;
    }
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(number) => {
            let last = if text.starts_with('-') { f64::MIN } else { f64::MAX };
            number.as_f64() == Some(last)
        }
        Value::String(found) => text.starts_with('"') && found.contains('\u{fffd}'),
        Value::Array(items) => serde_json::from_str::<Vec<&RawValue>>(text).is_ok_and(|texts| {
            let mut pairs = texts.iter().zip(items);
            texts.len() == items.len() && pairs.all(|(text, item)| is_like(text.get(), item))
        }),
        Value::Object(members) => match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
            Ok(texts) => {
                let is_found =
                    |(name, value)| texts.get(name).is_some_and(|t| is_like(t.get(), value));
                texts.len() == members.len() && members.iter().all(is_found)
            }
            // A name may hold half of a surrogate too.
            Err(_) => text.starts_with('{'),
        },
    }
}

fn has_double(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_double),
        Value::Object(members) => members.values().any(has_double),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// What stands outside of the strings of valid JSON.
fn without_strings(text: &str) -> String {
    let plain = text.replace(r"\\", "").replace(r#"\""#, "");
    plain.split('"').step_by(2).collect()
}

fn check_pointer(text: &str, value: &Value) {
    let is_pointer = text.is_empty() || text.starts_with('/');
    let escapes = text.matches('~').count();
    let is_escaped = escapes == text.matches("~0").count() + text.matches("~1").count();
    let pointer = Pointer::parse(text);
    assert_eq!(pointer.is_ok(), is_pointer && is_escaped, "{text:?}: {pointer:?}");
    if let Ok(pointer) = pointer {
        assert_eq!(pointer.find(value), value.pointer(text));
    }
}
