//! What is wrong with a request or a document, introspection, and persisted queries.

use std::collections::BTreeSet;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    InputValueDefinition, ServiceDocument, TypeKind, TypeSystemDefinition,
};
use sha2::{Digest, Sha256};

use super::super::registry::Registry;
use super::super::request::Request;
use super::{Fixture, refusal, request};

#[test]
fn requests_of_a_wrong_shape_are_told_so() {
    for (json, message) in [
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        (r#"{"query":5}"#, "`query` must be a string"),
        (r#"{"query":"{a}","variables":[]}"#, "`variables` must be an object"),
        (r#"{"query":"{a}","extensions":"x"}"#, "`extensions` must be an object"),
        (r#"{"query":"{a}","operationName":{}}"#, "`operationName` must be a string"),
    ] {
        let error = Request::parse(json).unwrap_err();
        assert!(error.message.contains(message), "{json}: {error:?}");
    }
    let fine =
        r#" {"query":"{\u0061}","variables":null,"extensions":null,"operationName":null,"id":1} "#;
    assert_eq!(Request::parse(fine).unwrap().query.as_deref(), Some("{a}"));
}

#[test]
fn documents_that_do_not_fit_are_refused() {
    let fixture = Fixture::new();
    let table = [
        ("", "GRAPHQL_PARSE_FAILED", r#""message":"Syntax Error: expected executable_definition""#),
        ("{ a(", "GRAPHQL_PARSE_FAILED", r#""locations":[{"line":1,"column":5}]"#),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED", r#"Unknown field \"nothing\""#),
        ("{ broker }", "GRAPHQL_VALIDATION_FAILED", r#""locations":[{"line":1,"column":3}]"#),
        ("{ last(topics: 5) { topic } }", "GRAPHQL_VALIDATION_FAILED", "topics"),
        ("{ last { topic } }", "GRAPHQL_VALIDATION_FAILED", "topics"),
        ("query($a: Int) { broker { node } }", "GRAPHQL_VALIDATION_FAILED", "a"),
        ("{ ...F } fragment F on Query { ...F }", "GRAPHQL_VALIDATION_FAILED", "within itself"),
        (
            "query($a: Nope) { topics(first: $a) { __typename } }",
            "GRAPHQL_VALIDATION_FAILED",
            "Nope",
        ),
        ("{ broker @foo(a: 1) { node } }", "GRAPHQL_VALIDATION_FAILED", "foo"),
        (
            r#"{ history(topics: "a", where: 5) { __typename } }"#,
            "GRAPHQL_VALIDATION_FAILED",
            "found 5.",
        ),
        (
            "{ broker { a: node ... on Broker { a: version } } }",
            "GRAPHQL_VALIDATION_FAILED",
            "conflict",
        ),
    ];
    for (document, code, part) in table {
        let result = fixture.ask(document);
        assert_eq!(refusal(&result), [code], "{result}");
        assert!(result.contains(part), "{result}");
    }
    assert_eq!(refusal(&fixture.send("{}")), ["BAD_REQUEST"]);
}

#[test]
fn variables_stand_only_where_their_types_may() {
    let fixture = Fixture::new();
    let table = [
        ("$v: Int!", "last(topics: $v) { __typename }", false),
        ("$v: String!", "last(topics: $v) { __typename }", false),
        ("$v: String", "last(topics: [$v]) { __typename }", false),
        ("$v: String!", "last(topics: [$v]) { __typename }", true),
        ("$v: [String!]", "last(topics: $v) { __typename }", false),
        (r#"$v: [String!] = "a""#, "last(topics: $v) { __typename }", true),
        ("$v: [String]!", "last(topics: $v) { __typename }", false),
        ("$v: [Condition!]!", r#"history(topics: "a", where: $v) { __typename }"#, true),
        ("$v: Condition!", r#"history(topics: "a", where: [$v]) { __typename }"#, true),
        ("$v: String", r#"history(topics: "a", where: {path: $v}) { __typename }"#, false),
        ("$v: JSON", r#"history(topics: "a", where: {path: "", eq: $v}) { __typename }"#, true),
        ("$v: Int", r#"history(topics: "a", where: {path: "", eq: [$v]}) { __typename }"#, true),
        ("$v: Boolean", "broker { node @skip(if: $v) }", false),
        ("$v: Boolean!", "broker { ...F @skip(if: $v) } } fragment F on Broker { node", true),
        ("$v: Int!", "broker { ...F } } fragment F on Broker { node @skip(if: $v)", false),
    ];
    for (variable, field, ok) in table {
        let result = fixture.ask(&format!("query({variable}) {{ {field} }}"));
        let message = r#"Variable \"$v\" of type"#;
        assert_eq!(
            !result.contains(message) || result.contains("required"),
            ok,
            "{field}: {result}"
        );
    }
}

#[test]
fn the_operation_is_the_one_named() {
    let fixture = Fixture::new();
    let ask = |name: &str| {
        let document = "query A { broker { node } } query B { __typename }";
        fixture.send(&format!(r#"{{"query":"{document}","operationName":{name}}}"#))
    };
    assert_eq!(ask(r#""A""#), r#"{"data":{"broker":{"node":"n1"}}}"#);
    assert_eq!(ask(r#""B""#), r#"{"data":{"__typename":"Query"}}"#);
    assert!(
        ask("null").contains("Must provide operation name if query contains multiple operations.")
    );
    assert!(ask(r#""C""#).contains(r#"Unknown operation named \"C\"."#));
}

#[test]
fn limits_hold_before_anything_recurses() {
    let fixture = Fixture::new();
    let many = |count: usize, item: &dyn Fn(usize) -> String| {
        format!("{{ broker {{ {} }} }}", (0..count).map(item).collect::<String>())
    };
    let laugh = |levels: usize| {
        let fragment =
            |level: usize| format!("fragment F{level} on Broker {{ ...F{0} ...F{0} }} ", level + 1);
        let all: String = (0..levels).map(fragment).collect();
        format!("{{ broker {{ ...F0 }} }} {all} fragment F{levels} on Broker {{ node }}")
    };
    let chain = |levels: usize| {
        let fragment =
            |level: usize| format!("fragment F{level} on Broker {{ ...F{} }} ", level + 1);
        let all: String = (0..levels).map(fragment).collect();
        format!("{{ broker {{ ...F0 }} }} {all} fragment F{levels} on Broker {{ node }}")
    };
    let deep = format!("{}a{}", "{ a ".repeat(100_000), "}".repeat(100_000));
    let deep_value = format!("{{ a(b: {}) }}", "[".repeat(100_000));
    let lists = "{ __schema { types { fields { type { fields { type { fields { type { fields { name
        } } } } } } } } } }";
    let refused = [
        many(1001, &|_| "node ".to_owned()),
        many(101, &|index| format!("a{index}: node ")),
        format!("{}node{}", "{ broker ".repeat(13), "}".repeat(13)),
        laugh(60),
        chain(10_000),
        deep,
        deep_value,
        lists.to_owned(),
        format!("{{ broker {{ node }} }} #{}", " ".repeat(300_000)),
    ];
    for document in refused {
        let result = fixture.ask(&document);
        let start: String = document.chars().take(60).collect();
        assert_eq!(refusal(&result), ["LIMIT_EXCEEDED"], "{start}: {result}");
    }
    let allowed = [
        many(999, &|_| "node ".to_owned()),
        many(100, &|index| format!("a{index}: node ")),
        laugh(8),
        "{ broker { node } } # {{{{ \" [[[\n".to_owned(),
    ];
    for document in allowed {
        assert!(!fixture.ask(&document).contains("errors"), "{document}");
    }
}

#[test]
fn the_deepest_document_allowed_fits_the_stack() {
    // Sixty-four brackets in every place the grammar recurses, on a thread as small as a shard's.
    let deep = |open: &str, close: &str| format!("{}a{}", open.repeat(61), close.repeat(61));
    let documents = [
        format!("{{ a {} }}", deep("{ a ", "}")),
        format!("{{ a(b: {}) }}", deep("[", "]")),
        format!("{{ a(b: {}) }}", deep("{a:", "}")),
        format!("query($a: {}) {{ a }}", deep("[", "]")),
        format!("{{ a {} }}", deep("...{", "}")),
    ];
    let run = move || {
        let fixture = Fixture::new();
        for document in documents {
            refusal(&fixture.ask(&document));
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn introspection_serves_what_the_file_says() {
    let fixture = Fixture::new();
    let file = parse_schema(fixture.schema.sdl()).unwrap();
    let served = parse_schema(Registry::new(&file).unwrap().sdl()).unwrap();
    let (file, served) = (declared(&file), declared(&served));
    assert_eq!(file, served);
    assert!(file.contains("Subscription.stats(every: Float = 1): Stats!"));
    let result = fixture.ask(INTROSPECTION);
    assert!(!result.contains("errors"), "{result}");
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    let types = result["data"]["__schema"]["types"].as_array().unwrap();
    let described = |value: &serde_json::Value| {
        value["description"].as_str().is_some_and(|text| !text.is_empty())
    };
    let ours = |ty: &serde_json::Value| {
        let name = format!("{}.", ty["name"].as_str().unwrap());
        file.iter().any(|field| field.starts_with(&name))
    };
    assert_eq!(types.iter().filter(|ty| ours(ty)).count(), 21);
    for ty in types.iter().filter(|ty| ours(ty)) {
        assert!(described(ty), "{ty}");
        for field in ty["fields"].as_array().into_iter().flatten() {
            assert!(described(field), "{field}");
        }
    }
    let named = fixture.ask(
        r#"query Q { t: __type(name: "Topic") { name } broker { node } ...F } fragment F on Query {
            no: __type(name: "No") { name } }"#,
    );
    assert_eq!(named, r#"{"data":{"t":{"name":"Topic"},"broker":{"node":"n1"},"no":null}}"#);
}

#[test]
fn a_persisted_query_is_sent_once() {
    let fixture = Fixture::new();
    let text = "{ __typename }";
    let digits: Vec<_> = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = digits.concat();
    let extension =
        format!(r#""extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}}}}"#);
    let by_hash = format!("{{{extension}}}");
    let unknown = fixture.send(&by_hash);
    assert_eq!(refusal(&unknown), ["PERSISTED_QUERY_NOT_FOUND"]);
    assert!(unknown.contains(r#""message":"PersistedQueryNotFound""#));
    let wrong = format!(r#"{{"query":"{{ broker {{ node }} }}",{extension}}}"#);
    assert_eq!(refusal(&fixture.send(&wrong)), ["PERSISTED_QUERY_HASH_MISMATCH"]);
    assert_eq!(refusal(&fixture.send(&by_hash)), ["PERSISTED_QUERY_NOT_FOUND"]);
    let both = format!(r#"{{"query":"{text}",{extension}}}"#);
    assert_eq!(fixture.send(&both), r#"{"data":{"__typename":"Query"}}"#);
    assert_eq!(fixture.send(&by_hash), r#"{"data":{"__typename":"Query"}}"#);
    let short =
        fixture.send(r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"ab"}}}"#);
    assert_eq!(refusal(&short), ["BAD_REQUEST"]);
}

#[test]
fn variables_are_coerced_by_their_types() {
    let fixture = Fixture::new();
    let document = "query($t: [String!]! = [\"x\"], $f: Int = 3, $s: DateTime) {
        history(topics: $t, first: $f, since: $s) { nodes { topic } } }";
    for (variables, ok) in [
        ("{}", true),
        (r#"{"t":"a"}"#, true),
        (r#"{"t":["a"],"f":1.0}"#, true),
        (r#"{"f":null}"#, true),
        (r#"{"t":null}"#, false),
        (r#"{"t":[null]}"#, false),
        (r#"{"t":[["a"]]}"#, false),
        (r#"{"f":1.5}"#, false),
        (r#"{"f":"1"}"#, false),
        (r#"{"f":2147483648}"#, false),
        (r#"{"s":5}"#, false),
    ] {
        let result = fixture.send(&request(document, variables));
        assert_eq!(!result.contains("errors"), ok, "{variables}: {result}");
    }
    let missing = "query($t: [String!]!) { last(topics: $t) { topic } }";
    let result = fixture.send(&request(missing, "{}"));
    let message = r#"Variable \"$t\" of required type \"[String!]!\" was not provided."#;
    assert!(result.contains(message), "{result}");
}

/// Every field with its arguments and types, as text.
fn declared(document: &ServiceDocument) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for definition in &document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = &definition.node.name.node;
        let input = |input: &InputValueDefinition| {
            let default = input.default_value.as_ref().map(|value| format!(" = {}", value.node));
            format!("{}: {}{}", input.name.node, input.ty.node, default.unwrap_or_default())
        };
        match &definition.node.kind {
            TypeKind::Object(object) => all.extend(object.fields.iter().map(|field| {
                let field = &field.node;
                let arguments = field.arguments.iter().map(|argument| input(&argument.node));
                let arguments: Vec<String> = arguments.collect();
                let open = if arguments.is_empty() { ["", ""] } else { ["(", ")"] };
                let arguments = format!("{}{}{}", open[0], arguments.join(", "), open[1]);
                format!("{name}.{}{arguments}: {}", field.name.node, field.ty.node)
            })),
            TypeKind::InputObject(object) => {
                all.extend(
                    object.fields.iter().map(|field| format!("{name}.{}", input(&field.node))),
                );
            }
            TypeKind::Enum(values) => {
                let values = values.values.iter().map(|value| value.node.value.node.clone());
                all.extend(values.map(|value| format!("{name}.{value}")));
            }
            _ => drop(all.insert(name.to_string())),
        }
    }
    all
}

/// What `GraphiQL` and code generators send.
const INTROSPECTION: &str =
    "query IntrospectionQuery { __schema { queryType { name } mutationType {
    name }
    subscriptionType { name } types { ...FullType } directives { name description isRepeatable
    locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue
        }
        type { ...TypeRef } isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated
    deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name } } } } } } } } } }";
