//! What of a schema may change under a live subscription.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Fixture, Request, Started, options, request};
use crate::graphql::definition::Definition;
use crate::graphql::limits::Limits;
use crate::graphql::sdl;
use crate::graphql::sdl::model::Model;
use crate::graphql::sdl::source::Source;

const SDL: &str = r#"
type Quote @topic(name: "quotes.{symbol}") {
  symbol: ID!
  side: Side
  price: Price
  legs: [Leg!]
}
type Leg { side: Side }
enum Side { BUY SELL }
scalar Price
"#;

fn model(text: &str) -> Model {
    sdl::read(&[Source { name: "quote.graphql".into(), text: text.into() }]).unwrap()
}

/// Why a subscription ends when this part of the schema becomes that; "" if it lives on.
fn end(selection: &str, was: &str, is: &str) -> String {
    let fixture = Fixture::of(&model(SDL), Limits { depth: 12, complexity: 1000, aliases: 100 });
    let plan = fixture.plan(&format!("subscription {{ quote{selection} }}"), "{}");
    assert!(SDL.contains(was), "{was}");
    let newer = Definition::new(&model(&SDL.replace(was, is))).unwrap();
    let verdict = newer.serves(&plan.uses.unwrap()).map_err(|error| error.message);
    let error = verdict.err().unwrap_or_default();
    error.split(';').next().unwrap().to_owned()
}

#[test]
fn a_name_that_stays_may_name_something_else() {
    let (scalar, object) = ("scalar Price", "type Price { amount: Int }");
    let (one_of, any) = ("enum Side { BUY SELL }", "scalar Side");
    let table = [
        ("{ price }", scalar, object, "`Price` is no longer a scalar in the schema"),
        ("(where: {price: {gt: 1}}) { symbol }", scalar, object, "`Price` is no longer a scalar"),
        ("{ price }", scalar, "enum Price { LOW }", "`Price` is no longer a scalar in the schema"),
        ("{ legs { side } }", one_of, any, "`Side` is no longer an enum in the schema"),
        ("{ legs { side } }", "side: Side }", "side: Int }", "`Leg.side` is no longer `Side`"),
        (
            "(symbol: 7) { side }",
            "symbol: ID!",
            "symbol: Int!",
            "`Quote.symbol` is no longer `ID!`",
        ),
        ("{ side }", "symbol: ID!", "symbol: Int!", ""),
        ("{ symbol _message { payload } }", scalar, object, ""),
        ("{ side }", scalar, object, ""),
        ("{ side }", "BUY SELL", "SELL HOLD", ""),
    ];
    for (selection, was, is, expected) in table {
        let found = end(selection, was, is);
        let is_expected = found.starts_with(expected) && found.is_empty() == expected.is_empty();
        assert!(is_expected, "{selection}: {is}: {found}");
    }
}

#[test]
fn nothing_starts_before_the_broker_knows_the_types() {
    let fixture = Fixture::of(&model(SDL), Limits { depth: 12, complexity: 1000, aliases: 100 });
    let (schema, caller) = (fixture.schema.clone(), fixture.caller.clone());
    let (started, has_started) = mpsc::sync_channel(1);
    let start = move || {
        let text = request("subscription { quote { size } }", "{}");
        let plan = schema.start(&Request::parse(&text).unwrap(), &caller, Instant::now());
        started.send(matches!(plan, Started::Subscribe(..))).unwrap();
    };
    let newer = Definition::new(&model(&SDL.replace("price: Price", "size: Int"))).unwrap();
    let follow = || {
        thread::spawn(start);
        // Long enough for what does not wait, and no matter where nobody does.
        let early = has_started.recv_timeout(Duration::from_millis(100));
        assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout));
    };
    fixture.schema.replace(newer, &options(), follow);
    assert_eq!(has_started.recv(), Ok(true));
}
