use proptest::prelude::*;
use serde_json::json;

use super::*;

fn holds(path: &str, comparison: Comparison) -> bool {
    let payload = json!({
        "bid": 9_007_199_254_740_993_i64, "ask": 1.0, "name": "Ärger", "none": null,
        "list": [1, {"x": 1}], "deep": {"a": [true]}
    });
    let test = Test { pointer: Pointer::parse(path).unwrap(), comparison };
    Condition::all(vec![test]).unwrap().holds(&payload)
}

#[test]
fn equality_is_by_value() {
    assert!(holds("/ask", Comparison::Eq(json!(1))));
    assert!(!holds("/bid", Comparison::Eq(json!(9_007_199_254_740_992_i64))));
    assert!(holds("/list", Comparison::Eq(json!([1.0, {"x": 1.0}]))));
    assert!(!holds("/list", Comparison::Eq(json!([1]))));
    assert!(holds("/none", Comparison::Eq(json!(null))));
    assert!(holds("/name", Comparison::In(vec![json!(1), json!("Ärger")])));
    assert!(!holds("/name", Comparison::In(vec![])));
    assert!(holds("/name", Comparison::Ne(json!("Arger"))));
}

#[test]
fn a_missing_value_passes_only_ne_and_exists_false() {
    assert!(holds("/x", Comparison::Ne(json!(null))));
    assert!(holds("/x", Comparison::Exists(false)));
    assert!(holds("/none", Comparison::Exists(true)));
    assert!(!holds("/none", Comparison::Exists(false)));
    for failing in [
        Comparison::Eq(json!(null)),
        Comparison::In(vec![json!(null)]),
        Comparison::Order(Bound::Less, json!(1)),
        Comparison::Exists(true),
        Comparison::StartsWith(String::new()),
        Comparison::Contains(String::new()),
    ] {
        assert!(!holds("/x", failing));
    }
}

#[test]
fn order_never_crosses_types() {
    assert!(holds("/bid", Comparison::Order(Bound::Greater, json!(9_007_199_254_740_992_i64))));
    assert!(holds("/ask", Comparison::Order(Bound::LessOrEqual, json!(1))));
    assert!(!holds("/ask", Comparison::Order(Bound::Less, json!(1))));
    assert!(holds("/name", Comparison::Order(Bound::GreaterOrEqual, json!("Z"))));
    for bound in [Bound::Less, Bound::LessOrEqual, Bound::Greater, Bound::GreaterOrEqual] {
        assert!(!holds("/ask", Comparison::Order(bound, json!("1"))));
        assert!(!holds("/none", Comparison::Order(bound, json!(null))));
    }
}

#[test]
fn text_tests_take_strings_only() {
    assert!(holds("/name", Comparison::StartsWith("Är".into())));
    assert!(holds("/name", Comparison::Contains("rg".into())));
    assert!(!holds("/list", Comparison::Contains("1".into())));
}

fn test(keys: &[&str], comparison: Comparison) -> Expression {
    Expression::Test(Test { pointer: Pointer::of(keys.iter().copied()), comparison })
}

fn not(expression: Expression) -> Expression {
    Expression::Not(Box::new(expression))
}

fn element(keys: &[&str], of: Expression) -> Expression {
    Expression::Element(Pointer::of(keys.iter().copied()), Box::new(of))
}

fn verdict(expression: Expression, payload: &Value) -> bool {
    Condition::new(expression).is_none_or(|condition| condition.holds(payload))
}

#[test]
fn nothing_to_hold_is_no_condition() {
    let always = [
        Expression::All(vec![]),
        not(Expression::Any(vec![])),
        Expression::Any(vec![test(&["a"], Comparison::Exists(true)), Expression::All(vec![])]),
        Expression::All(vec![Expression::All(vec![]), not(not(Expression::All(vec![])))]),
    ];
    for expression in always {
        assert!(Condition::new(expression).is_none());
    }
    assert!(Condition::all(vec![]).is_none());
}

#[test]
fn any_of_nothing_never_holds() {
    let never = [
        Expression::Any(vec![]),
        not(Expression::All(vec![])),
        Expression::All(vec![test(&["a"], Comparison::Exists(true)), Expression::Any(vec![])]),
        element(&["list"], Expression::Any(vec![])),
    ];
    let payload = json!({"a": 1, "list": [1]});
    let conditions: Vec<_> = never.into_iter().map(|e| Condition::new(e).unwrap()).collect();
    for condition in &conditions {
        assert!(!condition.holds(&payload));
        assert_eq!(condition, &conditions[0]);
    }
}

#[test]
fn not_holds_of_what_is_missing() {
    let equals = || test(&["a"], Comparison::Eq(json!(1)));
    for payload in [json!({}), json!({"a": null}), json!({"a": "1"}), json!([1]), json!(null)] {
        assert!(verdict(not(equals()), &payload), "{payload}");
        assert!(!verdict(not(not(equals())), &payload), "{payload}");
    }
    assert!(!verdict(not(equals()), &json!({"a": 1.0})));
}

#[test]
fn numbers_are_not_their_texts() {
    let payload = json!({"a": "10", "b": 10});
    let table = [
        (test(&["a"], Comparison::Eq(json!(10))), false),
        (test(&["b"], Comparison::Eq(json!("10"))), false),
        (test(&["a"], Comparison::Order(Bound::Greater, json!(9))), false),
        // Texts are in the order of their characters.
        (test(&["a"], Comparison::Order(Bound::Less, json!("9"))), true),
        (test(&["b"], Comparison::StartsWith("1".into())), false),
        (test(&["b"], Comparison::In(vec![json!("10"), json!(10.0)])), true),
    ];
    for (expression, expected) in table {
        assert_eq!(verdict(expression.clone(), &payload), expected, "{expression:?}");
    }
}

#[test]
fn one_element_is_enough_and_none_is_not() {
    let big = || test(&[], Comparison::Order(Bound::Greater, json!(2)));
    let table = [
        (json!({"list": [1, 2, 3]}), true),
        (json!({"list": [1, 2, "3", null, [3]]}), false),
        (json!({"list": []}), false),
        (json!({"list": 3}), false),
        (json!({"list": {"0": 3}}), false),
        (json!({"list": null}), false),
        (json!({}), false),
        (json!([3]), false),
    ];
    for (payload, expected) in table {
        assert_eq!(verdict(element(&["list"], big()), &payload), expected, "{payload}");
        assert_eq!(verdict(not(element(&["list"], big())), &payload), !expected, "{payload}");
    }
    // It says of which element both have to hold, and that there is one.
    let both = Expression::All(vec![
        test(&["x"], Comparison::Eq(json!(1))),
        test(&["y", "z"], Comparison::Eq(json!(2))),
    ]);
    let apart = json!({"list": [{"x": 1}, {"y": {"z": 2}}]});
    assert!(!verdict(element(&["list"], both.clone()), &apart));
    let together = json!({"list": [{}, {"x": 1, "y": {"z": 2}}]});
    assert!(verdict(element(&["list"], both), &together));
    let exists = || element(&["list"], Expression::All(vec![]));
    assert!(!verdict(exists(), &json!({"list": []})));
    assert!(verdict(exists(), &json!({"list": [null]})));
    let nested = element(&["list"], element(&[], big()));
    assert!(verdict(nested.clone(), &json!({"list": [[1], 4, [0, 3]]})));
    assert!(!verdict(nested, &json!({"list": [[1], 4, []]})));
}

#[test]
fn what_says_the_same_is_one_feed() {
    let (a, b) =
        (|| test(&["a"], Comparison::Exists(true)), || test(&["b"], Comparison::Eq(json!(1))));
    let (all, any) = (Expression::All, Expression::Any);
    let same = |left, right| Condition::new(left) == Condition::new(right);
    assert!(same(all(vec![a(), b()]), all(vec![b(), a(), b()])));
    assert!(same(all(vec![a(), all(vec![b(), all(vec![])])]), all(vec![b(), a()])));
    assert!(same(any(vec![any(vec![b()]), a(), any(vec![])]), any(vec![a(), b()])));
    assert!(same(not(not(not(a()))), not(a())));
    assert!(same(all(vec![any(vec![a()])]), a()));
    assert!(same(element(&["l"], all(vec![a(), b()])), element(&["l"], all(vec![b(), a()]))));
    assert!(!same(all(vec![a(), b()]), any(vec![a(), b()])));
    assert!(!same(element(&["l"], a()), a()));
    assert!(!same(element(&["l"], a()), element(&["m"], a())));
    assert!(!same(not(a()), a()));
}

fn payloads() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!("1")),
        (0..3_i32).prop_map(|number| json!(number)),
        Just(json!(1.0)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec(("[ab]", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn expressions() -> impl Strategy<Value = Expression> {
    let comparison = prop_oneof![
        (0..3_i32).prop_map(|number| Comparison::Eq(json!(number))),
        Just(Comparison::Ne(json!(null))),
        any::<bool>().prop_map(Comparison::Exists),
        Just(Comparison::Order(Bound::Greater, json!(1))),
    ];
    let pointer = || proptest::collection::vec("[ab0]", 0..2).prop_map(Pointer::of);
    let test = (pointer(), comparison)
        .prop_map(|(pointer, comparison)| Expression::Test(Test { pointer, comparison }));
    test.prop_recursive(4, 24, 4, move |inner| {
        let list = || proptest::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            list().prop_map(Expression::All),
            list().prop_map(Expression::Any),
            inner.clone().prop_map(|part| Expression::Not(Box::new(part))),
            (pointer(), inner.clone())
                .prop_map(|(pointer, part)| Expression::Element(pointer, Box::new(part))),
        ]
    })
}

/// The same with the operands in another order, some of them twice, and some in brackets.
fn stirred(expression: &Expression) -> Expression {
    let list = |parts: &[Expression], bracket: fn(Vec<Expression>) -> Expression| {
        let mut parts: Vec<_> = parts.iter().rev().map(stirred).collect();
        parts.extend(parts.first().cloned());
        let tail = parts.split_off(parts.len() / 2);
        parts.push(bracket(tail));
        bracket(parts)
    };
    match expression {
        Expression::All(parts) => list(parts, Expression::All),
        Expression::Any(parts) => list(parts, Expression::Any),
        Expression::Not(part) => not(not(not(stirred(part)))),
        Expression::Test(_) => expression.clone(),
        Expression::Element(pointer, part) => {
            Expression::Element(pointer.clone(), Box::new(stirred(part)))
        }
    }
}

proptest! {
    #[test]
    fn normal_forms_give_the_verdict_of_what_was_written(
        expression in expressions(), payload in payloads()
    ) {
        let plain = expression.holds(&mut Probe::new(&payload));
        prop_assert_eq!(verdict(expression, &payload), plain);
    }

    #[test]
    fn conditions_that_share_a_probe_do_not_disturb_each_other(
        expressions in proptest::collection::vec(expressions(), 1..6), payload in payloads()
    ) {
        let mut shared = Probe::new(&payload);
        for expression in &expressions {
            let alone = expression.holds(&mut Probe::new(&payload));
            prop_assert_eq!(expression.holds(&mut shared), alone);
        }
    }

    #[test]
    fn order_repetition_and_brackets_make_no_other_condition(expression in expressions()) {
        let other = stirred(&expression);
        prop_assert_eq!(Condition::new(expression), Condition::new(other));
    }
}
