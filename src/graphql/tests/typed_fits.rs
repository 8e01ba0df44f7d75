//! What is accepted by its type fits it afterwards: no publish is skipped by typed subscribers.

use proptest::prelude::*;
use proptest::sample::select;

use super::typed::model;
use super::{Fixture, request};
use crate::graphql::limits::Limits;

/// Fields with texts of values that are near the edge of what their types take.
const FIELDS: [(&str, &[&str]); 9] = [
    ("symbol", &["7", r#""7""#, r#""\u0037""#]),
    ("bid", &["1", "1.0", "-0", "-0.0", "1e2", "1e308", "1e999", "9007199254740993", r#""1""#]),
    ("size", &["1", "1.0", "1e2", "-0", "-0.0", "2147483647", "2147483648", "1.5", "null"]),
    ("side", &[r#""BUY""#, r#""\u0042UY""#, r#""buy""#, "null"]),
    (
        "at",
        &[
            r#""2026-11-21T15:00:00.5+01:00""#,
            r#""2026-11-21t15:00:00z""#,
            r#""2026-11-21T23:59:60Z""#,
            r#""2026-11-21T15:00:00.1234567891Z""#,
            r#""9999-12-31T23:59:59Z""#,
            r#""9999-12-30T22:00:00.9Z""#,
            r#""0000-01-01T00:00:00Z""#,
            r#""-000001-01-01T00:00:00Z""#,
            "null",
        ],
    ),
    ("price", &["1e999", r#""\ud83d""#, "[null]", r#"{"a":1,"a":2}"#, "null", "false"]),
    ("tags", &[r#""a""#, r#"["\ud83d"]"#, r#"["\ud83d\ude00"]"#, "[]", "[null]", "null"]),
    ("venue", &[r#"{"name":"x"}"#, r#"{"open":true,"name":"\u0000"}"#, "{}", "null"]),
    ("legs", &[r#"{"px":1}"#, r#"[{"px":-0,"grid":[[1.0,null],null]}]"#, "[[]]", r#""""#]),
];

fn payload() -> impl Strategy<Value = String> {
    let field = |(name, texts): (&'static str, &'static [&'static str])| {
        let given = prop::option::of(select(texts));
        given.prop_map(move |text| text.map(|text| format!("\"{name}\":{text}")))
    };
    let required = (select(FIELDS[0].1), select(FIELDS[1].1))
        .prop_map(|(symbol, bid)| vec![Some(format!("\"symbol\":{symbol},\"bid\":{bid}"))]);
    let optional: Vec<_> = FIELDS[2..].iter().map(|one| field(*one)).collect();
    (required, optional).prop_map(|(mut fields, optional)| {
        fields.extend(optional);
        format!("{{{}}}", fields.into_iter().flatten().collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_accepted_is_not_skipped(payloads in prop::collection::vec(payload(), 1..24)) {
        let limits = Limits { depth: 12, complexity: 1000, aliases: 100 };
        let fixture = Fixture::of(&model(), limits);
        let mut accepted = 0;
        for payload in &payloads {
            let document =
                r#"mutation($p: JSON!) { publish(topic: "quotes.7", payload: $p) { cursor } }"#;
            let answer = fixture.send(&request(document, &format!(r#"{{"p":{payload}}}"#)));
            accepted += usize::from(!answer.contains("errors"));
        }
        let history = "{ quoteHistory(symbol: 7, first: 100) { nodes { __typename } } }";
        let kept = fixture.ask(history).matches("Quote\"").count();
        prop_assert_eq!(kept, accepted, "{:?}", payloads);
    }
}
