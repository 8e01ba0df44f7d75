//! `where` of typed topics: which of a few payloads pass.

use serde_json::Value;

use super::Fixture;
use super::typed::model;
use crate::graphql::limits::Limits;

/// Quotes by their symbols; what is left out is missing.
const PAYLOADS: [&str; 5] = [
    r#"{"symbol":"10","bid":10,"size":1,"side":"BUY","at":"2026-01-01T00:00:00Z","price":"9",
        "tags":["x","y"],"venue":{"name":"N","open":true},
        "legs":[{"px":1},{"px":5,"venue":{"name":"L"},"grid":[[1,2],[null]]}]}"#,
    r#"{"symbol":"9","bid":9.5,"size":null,"side":"SELL","at":"2026-01-01T02:00:00+01:00",
        "price":10,"tags":[],"venue":{"name":"M","open":null},"legs":[]}"#,
    r#"{"symbol":"a.b","bid":-0.0,"price":{"amount":1},"venue":null,"tags":null}"#,
    r#"{"symbol":"Ab","bid":9007199254740993,"size":-2147483648,"price":[1]}"#,
    r#"{"symbol":"ab","bid":1e2,"price":true,"legs":[{"px":3,"venue":null,"grid":[null]}]}"#,
];

fn fixture() -> Fixture {
    let limits = Limits { depth: 12, complexity: 1000, aliases: 100 };
    let fixture = Fixture::of(&model(), limits);
    for payload in PAYLOADS {
        let document = "mutation($p: QuoteInput!) { publishQuote(quote: $p) { cursor } }";
        let answer = fixture.send(&super::request(document, &format!(r#"{{"p":{payload}}}"#)));
        assert!(!answer.contains("errors"), "{answer}");
    }
    fixture
}

fn passing(fixture: &Fixture, filter: &str) -> Vec<String> {
    let answer =
        fixture.ask(&format!("{{ quoteHistory(where: {filter}) {{ nodes {{ symbol }} }} }}"));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let nodes = answer["data"]["quoteHistory"]["nodes"].as_array();
    let nodes = nodes.unwrap_or_else(|| panic!("{filter}: {answer}")).iter();
    nodes.map(|node| node["symbol"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_test_passes_what_it_says() {
    let fixture = fixture();
    let all: &[&str] = &["10", "9", "a.b", "Ab", "ab"];
    let table: &[(&str, &[&str])] = &[
        ("{}", all),
        ("{and: []}", all),
        ("{or: []}", &[]),
        ("{not: {}}", &[]),
        ("{and: [{bid: {gt: 0}}, {size: {isNull: false}}]}", &["10", "Ab"]),
        ("{or: [{bid: {lt: 0}}, {side: {eq: SELL}}]}", &["9"]),
        ("{bid: {gt: 9, lt: 100}}", &["10", "9"]),
        ("{bid: {eq: 100}}", &["ab"]),
        ("{bid: {eq: 0}}", &["a.b"]),
        ("{bid: {gt: 9007199254740992}}", &["Ab"]),
        ("{bid: {in: [9.5, 10, 11]}}", &["10", "9"]),
        ("{bid: {in: []}}", &[]),
        ("{size: {isNull: true}}", &["9", "a.b", "ab"]),
        ("{size: {eq: null}}", &["9", "a.b", "ab"]),
        ("{size: {ne: null}}", &["10", "Ab"]),
        ("{size: {ne: 1}}", &["9", "a.b", "Ab", "ab"]),
        ("{size: {lt: 1}}", &["Ab"]),
        ("{not: {size: {lt: 1}}}", &["10", "9", "a.b", "ab"]),
        ("{side: {in: [BUY, SELL]}}", &["10", "9"]),
        ("{side: {ne: BUY}}", &["9", "a.b", "Ab", "ab"]),
        (r#"{symbol: {startsWith: "a"}}"#, &["a.b", "ab"]),
        (r#"{symbol: {contains: "b"}}"#, &["a.b", "Ab", "ab"]),
        ("{symbol: {eq: 10}}", &["10"]),
        // Times are compared as times, wherever they were written.
        (r#"{at: {lte: "2026-01-01T00:00:00Z"}}"#, &["10"]),
        (r#"{at: {gte: "2026-01-01T02:00:00+01:00"}}"#, &["9"]),
        (r#"{at: {eq: "2026-01-01T01:00:00.000Z"}}"#, &["9"]),
        // Custom scalars by their JSON: strings with strings, numbers with numbers.
        (r#"{price: {gt: "10"}}"#, &["10"]),
        ("{price: {gte: 10}}", &["9"]),
        ("{price: {eq: {amount: 1.0}}}", &["a.b"]),
        ("{price: {in: [true, [1]]}}", &["Ab", "ab"]),
        (r#"{tags: {any: {eq: "y"}}}"#, &["10"]),
        ("{tags: {any: {}}}", &["10"]),
        (r#"{not: {tags: {any: {eq: "y"}}}}"#, &["9", "a.b", "Ab", "ab"]),
        ("{tags: {eq: []}}", &["9"]),
        (r#"{tags: {eq: ["x", "y"]}}"#, &["10"]),
        ("{tags: {isNull: true}}", &["a.b", "Ab", "ab"]),
        (r#"{venue: {name: {in: ["M", "N"]}}}"#, &["10", "9"]),
        ("{venue: {isNull: true}}", &["a.b", "Ab", "ab"]),
        ("{venue: {isNull: false, open: {isNull: true}}}", &["9"]),
        ("{venue: {open: {eq: true}}}", &["10"]),
        (r#"{venue: {or: [{name: {eq: "M"}}, {open: {eq: true}}]}}"#, &["10", "9"]),
        ("{legs: {any: {px: {gt: 2}}}}", &["10", "ab"]),
        // Of one element, not of several together.
        ("{legs: {any: {px: {lt: 2}, venue: {isNull: false}}}}", &[]),
        (r#"{legs: {any: {venue: {name: {eq: "L"}}}}}"#, &["10"]),
        ("{legs: {any: {venue: {isNull: true}}}}", &["10", "ab"]),
        ("{legs: {any: {grid: {any: {any: {eq: 2}}}}}}", &["10"]),
        ("{legs: {any: {grid: {any: {any: {isNull: true}}}}}}", &["10"]),
        ("{legs: {any: {grid: {any: {isNull: true}}}}}", &["ab"]),
        ("{legs: {any: {grid: {eq: [[1, 2], [null]]}}}}", &["10"]),
    ];
    for (filter, expected) in table {
        assert_eq!(passing(&fixture, filter), *expected, "{filter}");
    }
}

#[test]
fn null_is_no_test() {
    let fixture = fixture();
    let table = [
        ("{bid: {lt: null}}", "lt"),
        ("{bid: {in: null}}", "in"),
        ("{symbol: {startsWith: null}}", "startsWith"),
        ("{size: {isNull: null}}", "isNull"),
        ("{bid: null}", "bid"),
        ("{venue: null}", "venue"),
        ("{tags: {any: null}}", "any"),
        ("{not: null}", "not"),
        ("{and: null}", "and"),
    ];
    for (filter, named) in table {
        let document = format!("subscription {{ quote(where: {filter}) {{ bid }} }}");
        let answer = fixture.ask(&document);
        assert!(answer.contains("BAD_ARGUMENT"), "{answer}");
        assert!(answer.contains(&format!("`{named}` is null in `where`")), "{answer}");
    }
    let tests = "{bid: {gt: 1}},".repeat(101);
    let answer =
        fixture.ask(&format!("subscription {{ quote(where: {{or: [{tests}]}}) {{ bid }} }}"));
    assert!(answer.contains("LIMIT_EXCEEDED"), "{answer}");
    let values = vec!["1"; 1001].join(",");
    for field in [
        format!("quote(where: {{bid: {{in: [{values}]}}}}) {{ bid }}"),
        format!(r#"messages(topics: "a", where: {{path: "/a", in: [{values}]}}) {{ topic }}"#),
    ] {
        let answer = fixture.ask(&format!("subscription {{ {field} }}"));
        assert!(answer.contains("LIMIT_EXCEEDED") && answer.contains("1001 values"), "{answer}");
    }
}

#[test]
fn equal_filters_are_one() {
    let fixture = fixture();
    let select = |filter: &str| {
        fixture.plan(&format!("subscription {{ quote(where: {filter}) {{ bid }} }}"), "{}").select
    };
    let one = select("{bid: {gt: 1}, size: {lt: 5, gte: 1}}");
    for other in [
        "{size: {gte: 1, lt: 5}, bid: {gt: 1}}",
        "{and: [{size: {gte: 1}}, {bid: {gt: 1}}, {size: {lt: 5}}]}",
        "{not: {not: {bid: {gt: 1}, size: {lt: 5, gte: 1}}}}",
        "{bid: {gt: 1}, and: {size: {lt: 5, gte: 1}}}",
    ] {
        assert_eq!(select(other), one, "{other}");
    }
    assert_ne!(select("{bid: {gt: 2}, size: {lt: 5, gte: 1}}"), one);
    assert_eq!(select("{}"), select("{and: []}"));
    assert!(select("{}").condition.is_none());
}
