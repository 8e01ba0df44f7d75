//! Typed selections against async-graphql's executor over the same payload.

use std::sync::Arc;

use async_graphql::dynamic::{
    Field, FieldFuture, FieldValue, Object, ResolverContext, Scalar, Schema, SchemaBuilder, TypeRef,
};
use async_graphql::{Request as OracleRequest, Value as OracleValue, Variables};
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Fixture;
use super::typed::model;
use crate::graphql::limits::Limits;
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Place};

/// A field of the model: its name and, for objects and lists of them, their type.
type Known = (&'static str, Option<&'static str>);

const QUOTE: &[Known] = &[
    ("symbol", None),
    ("bid", None),
    ("size", None),
    ("side", None),
    ("at", None),
    ("price", None),
    ("tags", None),
    ("venue", Some("Venue")),
    ("legs", Some("Leg")),
    ("__typename", None),
];
const VENUE: &[Known] = &[("name", None), ("open", None), ("__typename", None)];
const LEG: &[Known] =
    &[("px", None), ("venue", Some("Venue")), ("grid", None), ("__typename", None)];

fn fields(ty: &str) -> &'static [Known] {
    match ty {
        "Quote" => QUOTE,
        "Venue" => VENUE,
        _ => LEG,
    }
}

const DIRECTIVES: [&str; 5] =
    ["", "@skip(if: true)", "@include(if: $yes)", "@skip(if: $yes)", "@include(if: true)"];

/// One item of a selection, whatever the type: numbers that choose among its fields.
#[derive(Debug, Clone)]
enum Item {
    Field { choice: usize, alias: usize, directive: usize, items: Vec<Self> },
    Inline { typed: bool, directive: usize, items: Vec<Self> },
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let field = |items| {
        (0..60_usize, 0..3_usize, 0..DIRECTIVES.len(), items).prop_map(
            |(choice, alias, directive, items)| Item::Field { choice, alias, directive, items },
        )
    };
    let item = field(Just(Vec::new()).boxed()).prop_recursive(4, 24, 5, move |inner| {
        let items = prop::collection::vec(inner, 1..5).boxed();
        prop_oneof![
            3 => field(items.clone()),
            1 => (any::<bool>(), 0..DIRECTIVES.len(), items)
                .prop_map(|(typed, directive, items)| Item::Inline { typed, directive, items }),
        ]
    });
    prop::collection::vec(item, 1..7)
}

/// The selection as text. An alias has the field in its name, so that none means two fields.
fn write(items: &[Item], ty: &str) -> String {
    let one = |item: &Item| match item {
        Item::Field { choice, alias, directive, items } => {
            let (name, inner) = fields(ty)[choice % fields(ty).len()];
            let alias = if *alias == 0 { String::new() } else { format!("{name}{alias}: ") };
            let selection = match inner {
                Some(inner) => format!("{{ __typename {} }}", write(items, inner)),
                None => String::new(),
            };
            format!("{alias}{name} {} {selection}", DIRECTIVES[*directive])
        }
        Item::Inline { typed, directive, items } => {
            let on = if *typed { format!("on {ty} ") } else { String::new() };
            let directive = DIRECTIVES[*directive];
            format!("... {on}{directive} {{ __typename {} }}", write(items, ty))
        }
    };
    items.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn nullable(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 4 => value].boxed()
}

fn venue() -> BoxedStrategy<Value> {
    let open = nullable(any::<bool>().prop_map(Value::from));
    ("\\PC{0,6}", open).prop_map(|(name, open)| json!({ "open": open, "name": name })).boxed()
}

fn leg() -> BoxedStrategy<Value> {
    let row = prop::collection::vec(nullable(any::<i32>().prop_map(Value::from)), 0..3);
    let row = nullable(row.prop_map(Value::from));
    let grid = nullable(prop::collection::vec(row, 0..3).prop_map(Value::from));
    (any::<f32>(), nullable(venue()), grid)
        .prop_map(|(px, venue, grid)| json!({ "px": px, "venue": venue, "grid": grid }))
        .boxed()
}

/// A payload; each of its optional fields may be missing, and the fields come in any order.
fn payload() -> impl Strategy<Value = Value> {
    let any_price = nullable(prop_oneof![
        any::<i64>().prop_map(Value::from),
        Just(json!({ "amount": "1.10", "a": [null] })),
    ]);
    let tags = prop::collection::vec("\\PC{0,4}".prop_map(Value::from), 0..3);
    let legs = prop::collection::vec(leg(), 0..3);
    let optional = (
        nullable(any::<i32>().prop_map(Value::from)),
        nullable(Just(json!("BUY"))),
        any_price,
        nullable(tags.prop_map(Value::from)),
        nullable(venue()),
        nullable(legs.prop_map(Value::from)),
    );
    let order = Just(vec![0, 1, 2, 3, 4, 5, 6, 7, 8]).prop_shuffle();
    (any::<f64>(), optional, any::<[bool; 9]>(), order).prop_map(
        |(bid, (size, side, price, tags, venue, legs), given, order)| {
            let at = json!("2026-11-21T14:00:00.000000Z");
            let all = [
                ("symbol", json!("a")),
                ("bid", json!(bid)),
                ("size", size),
                ("side", side),
                ("at", at),
                ("price", price),
                ("tags", tags),
                ("venue", venue),
                ("legs", legs),
            ];
            let is_given = |index: &&usize| **index < 2 || given[**index];
            let chosen = order.iter().filter(is_given).map(|index| all[*index].clone());
            Value::Object(chosen.map(|(name, value)| (name.to_owned(), value)).collect())
        },
    )
}

fn message(payload: &Value) -> Message {
    let cursor = Cursor { epoch: Epoch::new(5), sequence: Sequence(1) };
    let draft = Draft {
        topic: Topic::parse("quotes.a").unwrap(),
        payload: Json::from_value(payload),
        key: None,
        headers: None,
    };
    let place = Place { cursor, previous: None, published_at: Timestamp::from_micros(0) };
    Message::new(draft, place)
}

/// What the executor is to walk on: objects as they are, lists item by item, leaves as values.
fn resolved(value: Value, is_object: bool) -> Option<FieldValue<'static>> {
    match value {
        Value::Null => None,
        Value::Array(items) if is_object => {
            Some(FieldValue::list(items.into_iter().filter_map(|item| resolved(item, true))))
        }
        object if is_object => Some(FieldValue::owned_any(object)),
        leaf => Some(FieldValue::value(OracleValue::from_json(leaf).unwrap())),
    }
}

fn object(ty: &'static str) -> Object {
    let own = fields(ty).iter().filter(|(name, _)| *name != "__typename");
    own.fold(Object::new(ty), |object, (name, inner)| {
        let declared = match inner {
            Some(inner) if *name == "legs" => TypeRef::named_list(*inner),
            Some(inner) => TypeRef::named(*inner),
            None => TypeRef::named("Any"),
        };
        object.field(Field::new(*name, declared, move |context: ResolverContext<'_>| {
            let parent = context.parent_value.try_downcast_ref::<Value>().unwrap();
            let value = parent.get(name).cloned().unwrap_or_default();
            FieldFuture::Value(resolved(value, inner.is_some()))
        }))
    })
}

fn oracle() -> Schema {
    let quote = TypeRef::named_nn("Quote");
    let root = Field::new("quote", quote, |context: ResolverContext<'_>| {
        let payload = Value::clone(context.data::<Arc<Value>>().unwrap());
        FieldFuture::Value(Some(FieldValue::owned_any(payload)))
    });
    let query = Object::new("Query").field(root);
    let schema = Schema::build("Query", None, None).register(query).register(Scalar::new("Any"));
    let objects = ["Quote", "Venue", "Leg"].map(object);
    objects.into_iter().fold(schema, SchemaBuilder::register).finish().unwrap()
}

/// Random items multiply.
const UNLIMITED: Limits = Limits { depth: 64, complexity: usize::MAX, aliases: usize::MAX };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_typed_selection_gives_what_the_executor_gives(items in items(), payload in payload()) {
        thread_local! {
            static BOTH: (Fixture, Schema) = (Fixture::of(&model(), UNLIMITED), oracle());
        }
        BOTH.with(|(fixture, oracle)| {
            let selection = write(&items, "Quote");
            let used = "used: symbol @include(if: $yes)";
            let selection = format!("{{ quote {{ {used} {selection} }} }}");
            let ours = format!("subscription($yes: Boolean!) {selection}");
            let plan = fixture.plan(&ours, r#"{"yes":true}"#);
            let encoded = plan.projection.encode(&message(&payload));
            let ours: Value = serde_json::from_slice(encoded.bytes()).unwrap();

            let request = OracleRequest::new(format!("query($yes: Boolean!) {selection}"))
                .variables(Variables::from_json(json!({ "yes": true })))
                .data(Arc::new(payload));
            let response = oracle.execute(request).now_or_never().unwrap();
            prop_assert!(response.errors.is_empty(), "{:?}", response.errors);
            let theirs = json!({ "data": response.data.into_json().unwrap() });
            // As text, because trees are equal in any order of their keys.
            prop_assert_eq!(ours.to_string(), theirs.to_string());
            Ok(())
        })?;
    }

    #[test]
    fn what_fits_is_published_as_it_is(payload in payload()) {
        thread_local! {
            static TYPED: Fixture = Fixture::of(&model(), UNLIMITED);
        }
        TYPED.with(|fixture| {
            let document =
                r#"mutation($p: JSON!) { publish(topic: "quotes.a", payload: $p) { topic } }"#;
            let variables = json!({ "p": payload }).to_string();
            let answer = fixture.send(&super::request(document, &variables));
            prop_assert!(!answer.contains("errors"), "{}", answer);
            let read = r#"{ last(topics: "quotes.a") { payload } quote(symbol: "a") { symbol } }"#;
            let read = fixture.ask(read);
            let read: Value = serde_json::from_str(&read).unwrap();
            let kept = &read["data"]["last"][0]["payload"];
            prop_assert_eq!(kept, &payload);
            prop_assert_eq!(&read["data"]["quote"]["symbol"], "a");
            Ok(())
        })?;
    }
}
