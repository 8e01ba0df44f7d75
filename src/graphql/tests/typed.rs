//! Typed topics: what is derived of a model, and that both views of a topic agree.

use async_graphql::parser::types::Type;

use super::Fixture;
use crate::broker::rules::Overflow;
use crate::graphql::limits::Limits;
use crate::graphql::sdl::model::{
    EntityKey, Enum, EnumValue, Field, Model, Object, Scalar, TypedTopic,
};
use crate::message::template::Template;

fn field(name: &str, ty: &str) -> Field {
    Field {
        name: name.into(),
        description: None,
        ty: Type::new(ty).unwrap(),
        deprecated: None,
        federation: Vec::new(),
    }
}

fn object(name: &str, fields: &[(&str, &str)]) -> Object {
    Object {
        name: name.into(),
        description: Some(format!("A {name}.")),
        is_one_of: false,
        keys: Vec::new(),
        fields: fields.iter().map(|(name, ty)| field(name, ty)).collect(),
        federation: Vec::new(),
    }
}

fn topic(object: &str, stem: &str, template: &str) -> TypedTopic {
    TypedTopic {
        object: object.into(),
        stem: stem.into(),
        template: Template::parse(template).unwrap(),
        keep: None,
        durable: true,
        overflow: Overflow::Disconnect,
        key: None,
        presence: true,
    }
}

pub(super) fn model() -> Model {
    let mut quote = object(
        "Quote",
        &[
            ("symbol", "ID!"),
            ("bid", "Float!"),
            ("size", "Int"),
            ("side", "Side"),
            ("at", "DateTime"),
            ("price", "Price"),
            ("tags", "[String!]"),
            ("venue", "Venue"),
            ("legs", "[Leg!]"),
        ],
    );
    quote.keys = vec![EntityKey { fields: vec!["symbol".into()], is_resolvable: true }];
    let mut either = object("Either", &[("left", "Int"), ("right", "String")]);
    either.is_one_of = true;
    let value = |name: &str| EnumValue { name: name.into(), description: None, deprecated: None };
    Model {
        topics: vec![
            topic("Quote", "quote", "quotes.{symbol}"),
            topic("Room", "room", "rooms.{house}.{number}.now"),
            topic("Beat", "beat", "beat"),
        ],
        objects: vec![
            quote,
            object("Venue", &[("name", "String!"), ("open", "Boolean")]),
            object("Leg", &[("px", "Float!"), ("venue", "Venue"), ("grid", "[[Int]]")]),
            object("Room", &[("house", "String!"), ("number", "Int!"), ("either", "Either")]),
            object("Beat", &[("n", "Int!")]),
            either,
        ],
        enums: vec![Enum {
            name: "Side".into(),
            description: None,
            values: vec![value("BUY"), value("SELL")],
            federation: Vec::new(),
        }],
        scalars: vec![Scalar {
            name: "Price".into(),
            description: None,
            specified_by: Some("https://example.org/price".into()),
            federation: Vec::new(),
        }],
    }
}

fn fixture() -> Fixture {
    Fixture::of(&model(), Limits { depth: 12, complexity: 1000, aliases: 100 })
}

#[test]
fn derived() {
    let fixture = fixture();
    println!("{}", fixture.schema.sdl());
    for document in [
        r#"mutation { publishQuote(quote: {symbol: "BRK.B", bid: 1.10, size: 3, side: BUY, at: "2026-11-21T15:00:00+01:00", price: "1.20", tags: ["a"], venue: {name: "X"}, legs: {px: 5}}) { topic cursor duplicate } }"#,
        r#"{ quote(symbol: "BRK.B") { symbol bid s: size side at price tags venue { name open __typename } legs { px } __typename _message { topic payload } } }"#,
        r#"{ quoteHistory(where: {legs: {any: {px: {gt: 4}}}, not: {size: {isNull: true}}}) { nodes { bid } edges { node { symbol } cursor } pageInfo { endCursor } } }"#,
        r#"{ quoteHistory(where: {legs: {any: {px: {gt: 5}}}}) { nodes { bid } } }"#,
        r#"mutation { publish(topic: "quotes.A", payload: {symbol: "B", bid: 1}) { cursor } }"#,
        r#"mutation { publish(topic: "quotes.A", payload: {symbol: 5, bid: "x", foo: 1, side: "X"}) { cursor } }"#,
        r#"subscription { quote(symbol: ["a", "b.c"], where: {or: [{bid: {gte: 1}}, {side: {eq: BUY}}]}, last: 1) { bid } }"#,
        r#"{ _entities(representations: [{__typename: "Quote", symbol: "BRK.B"}, {__typename: "Quote", symbol: "none"}, {__typename: "X"}]) { __typename ... on Quote { bid } } }"#,
        r#"mutation { publishManyRoom(rooms: [{house: "a b", number: 1, either: {left: 1}}, {house: "", number: 2}]) { topic } }"#,
        r#"{ beat { n } topic(name: "quotes.BRK%2EB") { type messages } }"#,
    ] {
        println!("{document}\n   {}", fixture.ask(document));
    }
}
