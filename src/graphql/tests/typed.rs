//! Typed topics: what is derived of a model, and that both views of a topic agree.

use async_graphql::parser::types::Type;
use serde_json::{Value, json};

use super::Fixture;
use crate::broker::rules::Overflow;
use crate::engine::retention::{Keep, Rule};
use crate::graphql::definition::Definition;
use crate::graphql::limits::Limits;
use crate::graphql::sdl::model::{
    EntityKey, Enum, EnumValue, Field, Model, Object, Scalar, TypedTopic,
};
use crate::message::filter::Filter;
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

/// Documents in their order, each with its whole answer.
fn check(fixture: &Fixture, table: &[(&str, &str)]) {
    for (document, expected) in table {
        assert_eq!(fixture.ask(document), super::joined(expected), "{document}");
    }
}

#[test]
fn both_views_of_a_topic_agree() {
    check(
        &fixture(),
        &[
            (
                r#"mutation { publishQuote(quote: {
                    bid: 1.10, symbol: "BRK.B", size: 3, side: BUY, price: "1.20", tags: "a",
                    at: "2026-11-21T15:00:00.5+01:00", venue: {name: "X", open: null}
                }) { topic cursor duplicate } }"#,
                r#"{"data":{"publishQuote":
                    {"topic":"quotes.BRK%2EB","cursor":"1-1","duplicate":false}}}"#,
            ),
            (
                r#"{ quote(symbol: "BRK.B") {
                    b: bid symbol size at price tags side legs { px } venue { open name __typename }
                    __typename _message { topic key payload }
                } topic(name: "quotes.BRK%2EB") { type } }"#,
                r#"{"data":{"quote":{"b":1.1,"symbol":"BRK.B","size":3,
                    "at":"2026-11-21T14:00:00.500000Z","price":"1.20","tags":["a"],"side":"BUY",
                    "legs":null,"venue":{"open":null,"name":"X","__typename":"Venue"},
                    "__typename":"Quote","_message":{"topic":"quotes.BRK%2EB",
                    "key":"quotes.BRK%2EB","payload":{"symbol":"BRK.B","bid":1.1,"size":3,
                    "side":"BUY","at":"2026-11-21T14:00:00.500000Z","price":"1.20","tags":["a"],
                    "venue":{"name":"X","open":null}}}},"topic":{"type":"Quote"}}}"#,
            ),
            (
                r#"mutation { publish(topic: "quotes.7", payload: {
                    symbol: 7, bid: 12345678901234567890, legs: [{px: 1, grid: [[1, null], null]}]
                }) { topic } }"#,
                r#"{"data":{"publish":{"topic":"quotes.7"}}}"#,
            ),
            (
                r#"{ quote(symbol: 7) { symbol bid legs { px grid venue { name } } }
                    last(topics: "quotes.7") { payload } }"#,
                r#"{"data":{"quote":{"symbol":"7","bid":12345678901234567890,
                    "legs":[{"px":1,"grid":[[1,null],null],"venue":null}]},
                    "last":[{"payload":{"symbol":"7","bid":12345678901234567890,
                    "legs":[{"px":1,"grid":[[1,null],null]}]}}]}}"#,
            ),
            ("{ beat { n } }", r#"{"data":{"beat":null}}"#),
        ],
    );
}

#[test]
fn whole_numbers_of_any_length_are_ids() {
    let document = "mutation($q: QuoteInput!) { publishQuote(quote: $q) { topic } }";
    for (id, is_one) in [("123456789012345678901234567890", true), ("-7", true), ("1.0", false)] {
        let variables = format!(r#"{{"q":{{"symbol":{id},"bid":1}}}}"#);
        let answer = fixture().send(&super::request(document, &variables));
        assert_eq!(answer.contains(&format!(r#""quotes.{id}""#)), is_one, "{answer}");
    }
}

#[test]
fn literals_are_checked_with_their_document() {
    let answer = fixture().ask("mutation { publishBeat(beat: {n: 1.0}) { topic } }");
    assert_eq!(super::refusal(&answer), ["GRAPHQL_VALIDATION_FAILED"]);
}

#[test]
fn publishes_are_checked_whole() {
    let fixture = fixture();
    let faults = |document: &str, variables: &str| {
        let answer = fixture.send(&super::request(document, variables));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "BAD_PAYLOAD", "{answer}");
        assert_eq!(extensions["path"], extensions["faults"][0]["path"], "{answer}");
        let faults = extensions["faults"].as_array().unwrap().iter();
        let one =
            |fault: &Value| format!("{} {}", fault["path"], fault["message"].as_str().unwrap());
        faults.map(one).collect::<Vec<_>>()
    };
    let payload = r#"{"symbol":"A","bid":"1","size":2147483648,"side":"UP","at":"now",
        "tags":["a",1],"venue":{"nme":"X"},"price":null}"#;
    let wrong = [
        r#"["bid"] Float cannot represent "1""#,
        r#"["size"] Int cannot represent 2147483648"#,
        r#"["side"] Side cannot represent "UP"; it must be one of BUY, SELL"#,
        concat!(
            r#"["at"] DateTime cannot represent "now"; write it by RFC 3339, "#,
            r#"as in "2026-11-21T14:30:00Z""#
        ),
        r#"["tags",1] String cannot represent 1"#,
        r#"["venue","name"] is required but was not given"#,
        r#"["venue","nme"] is no field of VenueInput; is `name` meant?"#,
    ];
    let generic = r#"mutation($p: JSON!) { publish(topic: "quotes.A", payload: $p) { topic } }"#;
    assert_eq!(faults(generic, &format!(r#"{{"p":{payload}}}"#)), wrong);
    let typed = "mutation($p: QuoteInput!) { publishQuote(quote: $p) { topic } }";
    assert_eq!(faults(typed, &format!(r#"{{"p":{payload}}}"#)), wrong);
    let part = r#"mutation($v: VenueInput) {
        publishQuote(quote: {symbol: "A", bid: 1, venue: $v}) { topic } }"#;
    let missing = [r#"["venue","name"] is required but was not given"#];
    assert_eq!(faults(part, r#"{"v":{}}"#), missing);
    let many = "mutation($q: [QuoteInput!]!) { publishManyQuote(quotes: $q) { topic } }";
    assert_eq!(
        faults(many, r#"{"q":[{"symbol":"A","bid":1},{"bid":2}]}"#),
        [r#"[1,"symbol"] is required but was not given"#]
    );
    let empty = "mutation($r: RoomInput!) { publishRoom(room: $r) { topic } }";
    assert_eq!(
        faults(empty, r#"{"r":{"house":"","number":1}}"#),
        [r#"["house"] is empty; it is part of the topic, and needs a character"#]
    );
    let long = format!(r#"{{"r":{{"house":"{}","number":1}}}}"#, ".".repeat(90));
    assert_eq!(faults(empty, &long), [r#"["house"] makes a topic of 282 bytes, over 255"#]);
    for either in ["{}", r#"{"left":1,"right":"x"}"#, r#"{"left":null}"#] {
        let variables = format!(r#"{{"r":{{"house":"a","number":1,"either":{either}}}}}"#);
        assert_eq!(
            faults(empty, &variables),
            [r#"["either"] must have exactly one of left, right, not null"#]
        );
    }
    let other = r#"mutation {
        publish(topic: "rooms.a%20b.2.now", payload: {house: "a b", number: 1}) { topic } }"#;
    assert_eq!(
        faults(other, "{}"),
        [concat!(
            r#"["number"] must be "2", because the topic is `rooms.a%20b.2.now`; "#,
            "these values belong to `rooms.a%20b.1.now`"
        )]
    );
    assert_eq!(
        faults(r#"mutation { publish(topic: "beat", payload: 5) { topic } }"#, "{}"),
        ["[] BeatInput cannot represent 5"]
    );
}

#[test]
fn arguments_name_topics() {
    let fixture = fixture();
    let filters = |arguments: &str| {
        let plan = fixture.plan(&format!("subscription {{ room{arguments} {{ house }} }}"), "{}");
        assert!(plan.select.typed);
        let filters = plan.select.filters.iter();
        filters.map(|filter| filter.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(filters(""), ["rooms.*.*.now"]);
    assert_eq!(filters("(house: null, number: [2, 1, 2])"), ["rooms.*.1.now", "rooms.*.2.now"]);
    assert_eq!(
        filters(r#"(house: ["a", "*"], number: [1, 2])"#),
        ["rooms.%2A.1.now", "rooms.%2A.2.now", "rooms.a.1.now", "rooms.a.2.now"]
    );
    for (arguments, part) in [
        ("(house: [])", "`house` is empty; name a value, or leave it out for all"),
        (r#"(house: "")"#, "`house` is empty; it is part of the topic"),
        ("(number: 1, last: 1, after: \"earliest\")", "exclude each other"),
    ] {
        let answer = fixture.ask(&format!("subscription {{ room{arguments} {{ house }} }}"));
        assert!(answer.contains("BAD_ARGUMENT") && answer.contains(part), "{answer}");
    }
    let many = (0..101).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let houses = many.replace(|c: char| c.is_ascii_digit(), "x");
    let quoted = houses.split(',').map(|_| "\"x\"").collect::<Vec<_>>().join(",");
    let document =
        format!("subscription {{ room(house: [{quoted}], number: [{many}]) {{ house }} }}");
    let answer = fixture.ask(&document);
    assert!(
        answer.contains("LIMIT_EXCEEDED") && answer.contains("10201 topics, over 100"),
        "{answer}"
    );
}

#[test]
fn entities_are_the_newest_messages() {
    let fixture = fixture();
    for bid in [1, 2] {
        let document = format!(
            r#"mutation {{ publishQuote(quote: {{symbol: "A", bid: {bid}}}) {{ topic }} }}"#
        );
        assert!(fixture.ask(&document).contains("quotes.A"));
    }
    let document = r"query($r: [_Any!]!) { _entities(representations: $r) {
        __typename ... on _Entity { ... on Quote { symbol bid } } ...More } }
        fragment More on Quote { size _message { cursor } }";
    let references = r#"{"r":[{"__typename":"Quote","symbol":"A","more":[1]},
        {"__typename":"Quote","symbol":"B"},{"__typename":"Venue","name":"A"},
        {"__typename":"Quote"},5,{"__typename":"Quote","symbol":{}}]}"#;
    let answer: Value =
        serde_json::from_str(&fixture.send(&super::request(document, references))).unwrap();
    let entity = json!({
        "__typename": "Quote", "symbol": "A", "bid": 2, "size": null, "_message": {"cursor": "1-2"}
    });
    let expected = json!([entity, null, null, null, null, null]);
    assert_eq!(answer["data"]["_entities"], expected, "{answer}");
    let errors = answer["errors"].as_array().unwrap();
    let paths = errors.iter().map(|error| error["path"].clone()).collect::<Vec<_>>();
    let at = |index: usize| json!(["_entities", index]);
    assert_eq!(paths, [at(2), at(3), at(4), at(5)], "{answer}");
    let sdl = fixture.ask("{ _service { sdl } }");
    for part in ["@link", r#"type Quote @key(fields: \"symbol\") {"#, "PageInfo @shareable"] {
        assert!(sdl.contains(part), "{sdl}");
    }
    assert!(!sdl.contains("_entities") && !sdl.contains("purge"), "{sdl}");
}

#[test]
fn what_a_type_does_not_say_of_its_topics_the_configuration_says() {
    let keep = |last| Keep { last: Some(last), ..Keep::EVERYTHING };
    let rule = |filter: &str, last, conflate| Rule {
        filter: Filter::parse(filter).unwrap(),
        keep: keep(last),
        conflate,
        durable: true,
    };
    let mut model = model();
    let [quote, room, .., beat] = model.topics.as_mut_slice() else { panic!("topics") };
    quote.keep = Some(keep(1));
    room.overflow = Overflow::Conflate;
    beat.durable = false;
    let typed = Definition::new(&model).unwrap().typed;
    let general =
        [rule("rooms.a.>", 2, false), rule("quotes.>", 3, false), rule("*.b.>", 4, false)];
    let expected = [
        rule("quotes.*", 1, false),
        rule("rooms.a.*.now", 2, true),
        rule("rooms.b.*.now", 4, true),
        rule("rooms.*.*.now", 5, true),
        Rule { durable: false, ..rule("beat", 5, false) },
    ];
    assert_eq!(typed.retention(&general, keep(5)), expected);
}
