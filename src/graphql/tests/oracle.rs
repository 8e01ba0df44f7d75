//! Compiled selections against async-graphql's executor: same keys, same order, same values.

use std::sync::Arc;

use async_graphql::dynamic::{
    Field, FieldFuture, FieldValue, Object, ResolverContext, Scalar, Schema, TypeRef,
};
use async_graphql::{Request as OracleRequest, Value, Variables};
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::json;

use super::super::limits::Limits;
use super::Fixture;
use crate::message::cursor::{Cursor, Epoch, Sequence};
use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;
use crate::message::{Draft, Message, Place};

const FIELDS: [&str; 9] = [
    "topic",
    "cursor",
    "previous",
    "publishedAt",
    "key",
    "headers",
    "payload",
    "snapshot",
    "__typename",
];
const FRAGMENTS: usize = 3;

/// One item of a selection set.
#[derive(Debug, Clone)]
enum Item {
    Field { name: usize, alias: usize, directive: usize },
    Inline { typed: bool, directive: usize, items: Vec<Self> },
    Spread { fragment: usize, directive: usize },
}

const DIRECTIVES: [&str; 7] = [
    "",
    "@skip(if: true)",
    "@skip(if: false)",
    "@include(if: $yes)",
    "@include(if: $no)",
    "@skip(if: $yes)",
    "@include(if: true) @skip(if: $no)",
];

fn items() -> impl Strategy<Value = Vec<Item>> {
    let leaf = prop_oneof![
        4 => (0..FIELDS.len(), 0..3_usize, 0..DIRECTIVES.len())
            .prop_map(|(name, alias, directive)| Item::Field { name, alias, directive }),
        1 => (0..FRAGMENTS, 0..DIRECTIVES.len())
            .prop_map(|(fragment, directive)| Item::Spread { fragment, directive }),
    ];
    let item = leaf.prop_recursive(3, 24, 4, |inner| {
        let items = prop::collection::vec(inner, 1..4);
        (any::<bool>(), 0..DIRECTIVES.len(), items)
            .prop_map(|(typed, directive, items)| Item::Inline { typed, directive, items })
    });
    prop::collection::vec(item, 1..6)
}

/// The items as text; of the spreads only those of fragments after `after`, so that none is
/// spread in itself.
fn write(items: &[Item], after: usize, used: &mut [bool; FRAGMENTS]) -> String {
    let one = |item: &Item| match item {
        Item::Field { name, alias, directive } => {
            let (name, directive) = (FIELDS[*name], DIRECTIVES[*directive]);
            let alias = if *alias == 0 { String::new() } else { format!("{name}{alias}: ") };
            format!("{alias}{name} {directive}")
        }
        Item::Inline { typed, directive, items } => {
            let on = if *typed { "on Message " } else { "" };
            format!("... {on}{} {{ {} }}", DIRECTIVES[*directive], write(items, after, used))
        }
        Item::Spread { fragment, directive } if *fragment >= after => {
            used[*fragment] = true;
            format!("...F{fragment} {}", DIRECTIVES[*directive])
        }
        Item::Spread { .. } => "topic".to_owned(),
    };
    items.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// A selection of a message and the fragments that it needs.
fn document(selection: &[Item], fragments: &[Vec<Item>]) -> (String, String) {
    let mut used = [false; FRAGMENTS];
    let selection = write(selection, 0, &mut used);
    let mut definitions = String::new();
    for (index, items) in fragments.iter().enumerate() {
        if used[index] {
            let items = write(items, index + 1, &mut used);
            definitions.extend([format!(" fragment F{index} on Message {{ {items} }}")]);
        }
    }
    // Validation wants every variable to be used, and the oracle gives null for no field at all.
    (format!("{selection} y: topic @include(if: $yes) n: topic @skip(if: $no)"), definitions)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::vec(("\\PC{0,4}", inner), 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn message()(
        token in "[a-z\"\\\\]{1,6}", sequence: u64, previous: Option<u64>, micros: i64,
        key: Option<String>, headers: Option<String>, payload in json(),
    ) -> Arc<Message> {
        let cursor = |sequence| Cursor { epoch: Epoch::new(5), sequence: Sequence(sequence) };
        let draft = Draft {
            topic: Topic::parse(&token).unwrap(),
            payload: Json::from_value(&payload),
            key: key.map(Into::into),
            headers: headers.map(|value| Json::from_value(&json!({ "h": value }))),
        };
        Arc::new(Message::new(draft, Place {
            cursor: cursor(sequence),
            previous: previous.map(cursor),
            published_at: Timestamp::from_micros(micros),
        }))
    }
}

fn field(
    name: &'static str,
    ty: TypeRef,
    value: impl Fn(&Message) -> Value + Send + Sync + Clone + 'static,
) -> Field {
    Field::new(name, ty, move |context: ResolverContext<'_>| {
        let message = context.parent_value.try_downcast_ref::<Arc<Message>>();
        FieldFuture::from_value(message.ok().map(|message| value(message)))
    })
}

/// A schema whose only field is the message that comes with the request.
fn oracle() -> Schema {
    let string = || TypeRef::named(TypeRef::STRING);
    let text = |value: &dyn std::fmt::Display| Value::from(value.to_string());
    let tree = |json: &Json| Value::from_json(json.to_value()).unwrap();
    let message = Object::new("Message")
        .field(field("topic", string(), move |m| text(&m.topic)))
        .field(field("cursor", string(), move |m| text(&m.cursor)))
        .field(field("previous", string(), move |m| {
            m.previous.map_or(Value::Null, |previous| text(&previous))
        }))
        .field(field("publishedAt", string(), move |m| text(&m.published_at)))
        .field(field("key", string(), |m| Value::from(m.conflation_key())))
        .field(field("headers", TypeRef::named("JSON"), move |m| {
            m.headers.as_ref().map_or(Value::Null, tree)
        }))
        .field(field("payload", TypeRef::named("JSON"), move |m| tree(&m.payload)))
        .field(field("snapshot", TypeRef::named(TypeRef::BOOLEAN), |m| Value::from(m.snapshot)));
    let query = Object::new("Query").field(Field::new(
        "messages",
        TypeRef::named_nn("Message"),
        |context: ResolverContext<'_>| {
            let message = context.data::<Arc<Message>>().unwrap().clone();
            FieldFuture::new(async move { Ok(Some(FieldValue::owned_any(message))) })
        },
    ));
    let schema = Schema::build("Query", None, None);
    schema.register(Scalar::new("JSON")).register(message).register(query).finish().unwrap()
}

/// Random fragments multiply.
const UNLIMITED: Limits = Limits { depth: 12, complexity: usize::MAX, aliases: usize::MAX };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_projection_gives_what_the_executor_gives(
        selection in items(),
        fragments in prop::collection::vec(items(), FRAGMENTS),
        message in message(),
    ) {
        thread_local! {
            static BOTH: (Fixture, Schema) = (Fixture::with(UNLIMITED), oracle());
        }
        BOTH.with(|(fixture, oracle)| {
            let (selection, fragments) = document(&selection, &fragments);
            let variables = json!({ "yes": true, "no": false });
            let head = "($yes: Boolean!, $no: Boolean!)";
            let ours = format!(
                r#"subscription{head} {{ messages(topics: "a") {{ {selection} }} }}{fragments}"#
            );
            let plan = fixture.plan(&ours, &variables.to_string());
            let encoded = plan.projection.encode(&message);
            let ours: serde_json::Value = serde_json::from_slice(encoded.bytes()).unwrap();

            let theirs = format!("query{head} {{ messages {{ {selection} }} }}{fragments}");
            let request = OracleRequest::new(theirs)
                .variables(Variables::from_json(variables))
                .data(message.clone());
            let response = oracle.execute(request).now_or_never().unwrap();
            prop_assert!(response.errors.is_empty(), "{:?}", response.errors);
            let theirs = json!({ "data": response.data.into_json().unwrap() });
            // As text, because trees are equal in any order of their keys.
            prop_assert_eq!(ours.to_string(), theirs.to_string());
            Ok(())
        })?;
    }
}
