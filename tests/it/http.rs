//! GraphQL over HTTP: methods, media types, status codes, batches, persisted queries; the console.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::broker::Broker;
use crate::harness::http::{self, Answer, query_string};
use crate::harness::raw::Raw;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const RESPONSE_JSON: &str = "application/graphql-response+json";

async fn get(broker: &Broker, parameters: &[(&str, &str)]) -> Answer {
    let path = format!("/graphql{}", query_string(parameters));
    http::fetch(broker.address, "GET", &path, &[], "").await
}

async fn post(broker: &Broker, headers: &[(&str, &str)], body: &str) -> Answer {
    http::fetch(broker.address, "POST", "/graphql", headers, body).await
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn get_is_for_queries() {
    let broker = Broker::start();
    let answer = get(&broker, &[("query", "{ a: __typename }")]).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"data": {"a": "Query"}})));
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let several =
        "query A($m: String!) { topics(match: $m) { nodes { name } } } query B { broker { node } }";
    let parameters = [
        ("query", several),
        ("operationName", "A"),
        ("variables", r#"{"m":"é.*"}"#),
        ("extensions", "{}"),
    ];
    let answer = get(&broker, &parameters).await;
    assert_eq!(answer.json(), json!({"data": {"topics": {"nodes": []}}}));
    let empty = [("query", "{ a: __typename }"), ("variables", ""), ("operationName", "")];
    let answer = get(&broker, &empty).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    for document in [
        "mutation { publish(topic: \"g\", payload: 1) { topic } }",
        "mutation { purge(topic: \"g\") }",
    ] {
        let answer = get(&broker, &[("query", document)]).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{answer:?}");
    }
    let last = get(&broker, &[("query", "{ last(topics: \">\") { topic } }")]).await;
    assert_eq!(last.json(), json!({"data": {"last": []}}), "a GET has published");
    let subscription =
        get(&broker, &[("query", "subscription { messages(topics: \"a\") { topic } }")]).await;
    assert_eq!(subscription.status, 400);
    assert!(subscription.body.contains("graphql-transport-ws"), "{subscription:?}");
}

#[tokio::test]
async fn post_is_for_everything_but_subscriptions() {
    let broker = Broker::start();
    let publish = json!({
        "query": "mutation ($p: JSON!) { publish(topic: \"h.a\", payload: $p) { topic cursor } }",
        "variables": {"p": {"big": 9_007_199_254_740_993_i64}},
    });
    let answer = broker.post(&publish).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["data"]["publish"]["topic"], "h.a");
    let query = json!({"query": "{ last(topics: \"h.*\") { payload } }", "variables": null,
        "operationName": null, "extensions": null, "id": 7});
    let answer = broker.post(&query).await;
    assert_eq!(answer.body, r#"{"data":{"last":[{"payload":{"big":9007199254740993}}]}}"#);
    // What HTTP has published, sockets see.
    let mut peer = broker.peer().await;
    let id = peer.follow("topics: \"h.>\", last: 1").await;
    assert_eq!(peer.next_message(&id).await["payload"]["big"], 9_007_199_254_740_993_i64);
    // Nobody has joined over HTTP.
    let update = json!({"query": "mutation { updatePresence(topic: \"r\", state: 1) }"});
    assert_eq!(broker.post(&update).await.json()["data"]["updatePresence"], false);
    let subscription = json!({"query": "subscription { messages(topics: \"a\") { topic } }"});
    assert_eq!(broker.post(&subscription).await.status, 400);
}

#[tokio::test]
async fn the_accepted_media_type_decides() {
    let broker = Broker::start();
    let json = "application/json";
    let table = [
        ("", 200, json),
        ("application/json", 200, json),
        ("application/json; charset=utf-8", 200, json),
        ("APPLICATION/JSON", 200, json),
        ("*/*", 200, json),
        ("application/*", 200, json),
        (RESPONSE_JSON, 200, RESPONSE_JSON),
        (
            "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
            200,
            RESPONSE_JSON,
        ),
        ("application/json, application/graphql-response+json", 200, json),
        ("application/json;q=0.5, application/graphql-response+json;q=0.9", 200, RESPONSE_JSON),
        ("text/html, application/json;q=0.1", 200, json),
        ("application/json;q=0, application/graphql-response+json", 200, RESPONSE_JSON),
        ("text/html", 406, json),
        ("application/xml, text/*", 406, json),
    ];
    for (accept, status, media) in table {
        let headers = [JSON, ("Accept", accept)];
        let headers = if accept.is_empty() { &headers[..1] } else { &headers[..] };
        let answer = post(&broker, headers, r#"{"query":"{ a: __typename }"}"#).await;
        assert_eq!(answer.status, status, "{accept}: {answer:?}");
        let found = answer.header("content-type").split(';').next().unwrap();
        assert_eq!(found, media, "{accept}");
        assert!(answer.header("content-type").ends_with("; charset=utf-8"), "{accept}");
    }
}

#[tokio::test]
async fn the_status_says_whether_it_was_executed() {
    let broker = Broker::start();
    // Body; status for application/json; for application/graphql-response+json; code.
    let table = [
        (r#"{"query":"{ a: __typename }"}"#, 200, 200, ""),
        (r#"{"query":"{ topic(name: \"a..b\") { name } }"}"#, 200, 200, "BAD_TOPIC"),
        (r#"{"query":"{"}"#, 200, 400, "GRAPHQL_PARSE_FAILED"),
        (r#"{"query":"{ nothing }"}"#, 200, 400, "GRAPHQL_VALIDATION_FAILED"),
        (
            r#"{"query":"query ($m: String!) { topics(match: $m) { nodes { name } } }"}"#,
            200,
            400,
            "BAD_ARGUMENT",
        ),
        (r#"{"query":"query A { a: __typename }","operationName":"B"}"#, 200, 400, "BAD_REQUEST"),
        ("{}", 400, 400, "BAD_REQUEST"),
        (r#"{"query":null}"#, 400, 400, "BAD_REQUEST"),
        (r#"{"query":7}"#, 400, 400, "BAD_REQUEST"),
        (r#"{"query":"{ a: __typename }","variables":[]}"#, 400, 400, "BAD_REQUEST"),
        (r#"{"query":"{ a: __typename }","variables":"{}"}"#, 400, 400, "BAD_REQUEST"),
        (r#"{"query":"{ a: __typename }","operationName":1}"#, 400, 400, "BAD_REQUEST"),
        (r#"{"query":"{ a: __typename }","extensions":"x"}"#, 400, 400, "BAD_REQUEST"),
        ("", 400, 400, "BAD_REQUEST"),
        ("not json", 400, 400, "BAD_REQUEST"),
        ("\"text\"", 400, 400, "BAD_REQUEST"),
        (r#"{"query":"{ a: __typename }""#, 400, 400, "BAD_REQUEST"),
        ("[]", 400, 400, "BAD_REQUEST"),
        ("[", 400, 400, "BAD_REQUEST"),
    ];
    for (body, plain, strict, expected) in table {
        for (accept, status) in [("application/json", plain), (RESPONSE_JSON, strict)] {
            let answer = post(&broker, &[JSON, ("Accept", accept)], body).await;
            assert_eq!(answer.status, status, "{accept} {body}: {answer:?}");
            assert_eq!(code(&answer), expected, "{accept} {body}");
            assert_eq!(
                answer.json().get("data").is_some(),
                matches!(expected, "" | "BAD_TOPIC"),
                "{body}"
            );
        }
    }
    for (name, value) in
        [("variables", "{"), ("variables", "[]"), ("variables", "7"), ("extensions", "x")]
    {
        let answer = get(&broker, &[("query", "{ a: __typename }"), (name, value)]).await;
        assert_eq!((answer.status, code(&answer).as_str()), (400, "BAD_REQUEST"), "{name}={value}");
    }
    assert_eq!(get(&broker, &[]).await.status, 400);
    assert_eq!(
        get(&broker, &[("query", "{ a: __typename }"), ("query", "{ b: __typename }")])
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn methods_and_content_types() {
    let broker = Broker::start();
    let body = r#"{"query":"{ a: __typename }"}"#;
    for method in ["PATCH", "TRACE", "PROPFIND"] {
        let answer = http::fetch(broker.address, method, "/graphql", &[JSON], body).await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, POST, PUT, DELETE"));
    }
    let table = [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON;charset=UTF-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/graphql", 415),
        ("application/jsonp", 415),
    ];
    for (kind, status) in table {
        let answer = post(&broker, &[("Content-Type", kind)], body).await;
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
        assert!(status == 200 || answer.body.contains("application/json"), "{answer:?}");
    }
    assert_eq!(post(&broker, &[], body).await.status, 415);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let broker = Broker::with(&["limits.message_bytes=1KiB"]);
    let body = |bytes: usize| {
        let frame = json!({"query": "{ a: __typename }", "x": ""}).to_string();
        json!({"query": "{ a: __typename }", "x": "x".repeat(bytes - frame.len())}).to_string()
    };
    assert_eq!(post(&broker, &[JSON], &body(1024)).await.status, 200);
    let answer = post(&broker, &[JSON], &body(1025)).await;
    assert_eq!(answer.status, 413);
    assert!(answer.body.contains("1024"), "{answer:?}");
    // Without an announced length, too.
    let chunk = format!("401\r\n{}\r\n", body(1025));
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"
    );
    assert_eq!(http::exchange(broker.address, request.as_bytes()).await.status, 413);
    // What is announced to be too large is refused before it comes.
    let announced = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                     Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n";
    assert_eq!(http::exchange(broker.address, announced.as_bytes()).await.status, 413);
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item_in_order() {
    let broker = Broker::start();
    let publish = |n: i32| {
        let query =
            format!("mutation {{ publish(topic: \"batch\", payload: {n}) {{ duplicate }} }}");
        json!({"query": query})
    };
    let batch = json!([publish(1), {"query": "{ nothing }"}, {"no": "query"}, publish(2),
        {"query": "{ last(topics: \"batch\") { payload } }"}]);
    for accept in ["application/json", RESPONSE_JSON] {
        let answer = post(&broker, &[JSON, ("Accept", accept)], &batch.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let items = answer.json();
        assert_eq!(items.as_array().unwrap().len(), 5);
        assert_eq!(items[0]["data"]["publish"]["duplicate"], false);
        assert_eq!(items[1]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(items[2]["errors"][0]["extensions"]["code"], "BAD_REQUEST");
        assert_eq!(items[4]["data"]["last"][0]["payload"], 2);
    }
    let many = |count: usize| Value::from(vec![json!({"query": "{ a: __typename }"}); count]);
    assert_eq!(broker.post(&many(100)).await.json().as_array().unwrap().len(), 100);
    let answer = broker.post(&many(101)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("101"), "{answer:?}");
}

#[tokio::test]
async fn a_document_may_be_named_by_its_hash() {
    let broker = Broker::start();
    let document = "query ($m: String) { topics(match: $m) { nodes { name } } }";
    let digest = Sha256::digest(document);
    let hash = digest.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let extensions = json!({"persistedQuery": {"version": 1, "sha256Hash": hash}});
    let by_hash = json!({"extensions": extensions, "variables": {"m": "x.*"}});
    let answer = broker.post(&by_hash).await;
    assert_eq!(code(&answer), "PERSISTED_QUERY_NOT_FOUND");
    // Apollo's clients look for this very text.
    assert_eq!(answer.json()["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(answer.status, 200);

    let wrong = json!({"query": "{ a: __typename }", "extensions": extensions});
    assert_eq!(code(&broker.post(&wrong).await), "PERSISTED_QUERY_HASH_MISMATCH");
    assert_eq!(code(&broker.post(&by_hash).await), "PERSISTED_QUERY_NOT_FOUND");

    let both = json!({"query": document, "extensions": extensions});
    assert_eq!(broker.post(&both).await.json()["data"]["topics"]["nodes"], json!([]));
    let expected = json!({"data": {"topics": {"nodes": []}}});
    assert_eq!(broker.post(&by_hash).await.json(), expected);
    let answer = get(&broker, &[("extensions", &extensions.to_string())]).await;
    assert_eq!(answer.json(), expected);
    // A socket knows it as well.
    let mut peer = broker.peer().await;
    let id = peer.start_with(by_hash).await;
    assert_eq!(peer.next(&id).await, expected);

    for bad in [
        json!({"version": 2, "sha256Hash": hash}),
        json!({"version": 1, "sha256Hash": "abc"}),
        json!({"version": 1}),
        json!("x"),
    ] {
        let answer = broker.post(&json!({"extensions": {"persistedQuery": bad}})).await;
        assert_eq!(code(&answer), "BAD_REQUEST", "{bad}");
    }
}

#[tokio::test]
async fn pages_elsewhere_need_the_allow_list() {
    let broker = Broker::with(&["server.origins=https://app.example.com"]);
    let ask = async |method: &str, origin: &str| {
        let headers = [JSON, ("Origin", origin)];
        http::fetch(
            broker.address,
            method,
            "/graphql",
            &headers,
            r#"{"query":"{ a: __typename }"}"#,
        )
        .await
    };
    let allowed = ask("POST", "https://app.example.com").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example.com");
    assert!(allowed.header("vary").eq_ignore_ascii_case("origin"));
    let preflight = ask("OPTIONS", "https://app.example.com").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://app.example.com");
    assert!(preflight.header("access-control-allow-methods").contains("POST"));
    assert!(preflight.header("access-control-allow-headers").contains("content-type"));
    for origin in ["https://evil.example", "null", "http://app.example.com"] {
        for method in ["POST", "OPTIONS"] {
            let refused = ask(method, origin).await;
            assert_eq!(refused.status, 403, "{method} {origin}");
            assert_eq!(refused.header("access-control-allow-origin"), "");
        }
    }
    assert_eq!(broker.post(&json!({"query": "{ a: __typename }"})).await.status, 200);
}

#[tokio::test]
async fn one_connection_takes_one_request_after_the_other() {
    let broker = Broker::start();
    let mut raw = Raw::connect(broker.address).await;
    let request = |n: usize| {
        let body = json!({"query": format!("{{ a{n}: __typename }}")}).to_string();
        let length = body.len();
        format!(
            "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    // Two of them in one write, and the third after their answers.
    raw.write([request(1), request(2)].concat().as_bytes()).await;
    for n in 1..3 {
        assert_eq!(raw.answer().await.body, format!(r#"{{"data":{{"a{n}":"Query"}}}}"#));
    }
    raw.write(request(3).as_bytes()).await;
    assert_eq!(raw.answer().await.body, r#"{"data":{"a3":"Query"}}"#);
}

#[tokio::test]
async fn tools_may_ask_for_the_schema() {
    let broker = Broker::start();
    let answer = broker.post(&json!({"query": INTROSPECTION})).await;
    let schema = &answer.json()["data"]["__schema"];
    assert_eq!(schema["queryType"]["name"], "Query");
    assert_eq!(schema["subscriptionType"]["name"], "Subscription");
    let types = schema["types"].as_array().unwrap();
    let message = types.iter().find(|found| found["name"] == "Message").unwrap();
    let fields = message["fields"].as_array().unwrap().iter().map(|field| &field["name"]);
    let expected =
        ["topic", "cursor", "previous", "publishedAt", "key", "headers", "payload", "snapshot"];
    assert!(fields.eq(expected.iter()), "{message}");
    let subscription = types.iter().find(|found| found["name"] == "Subscription").unwrap();
    let messages = &subscription["fields"][0];
    assert_eq!(messages["args"][0]["type"]["kind"], "NON_NULL");
    assert!(messages["description"].as_str().is_some_and(|text| !text.is_empty()));
}

/// What graphql-js and the tools on it ask.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description
    queryType { name kind } mutationType { name } subscriptionType { name }
    types { ...FullType } directives { name description isRepeatable locations
    args { ...InputValue } } } }
    fragment FullType on __Type { kind name description specifiedByURL
        fields(includeDeprecated: true) { name description args { ...InputValue }
            type { ...TypeRef } isDeprecated deprecationReason }
        inputFields { ...InputValue } interfaces { ...TypeRef }
        enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
        possibleTypes { ...TypeRef } }
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name
        ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
        kind name ofType { kind name } } } } } } } } } }";

#[tokio::test]
async fn the_console_is_served_with_the_program() {
    let broker = Broker::start();
    let page = http::fetch(broker.address, "GET", "/", &[], "").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let tag = page.header("etag").to_owned();
    let again = http::fetch(broker.address, "GET", "/", &[("If-None-Match", &tag)], "").await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    for path in ["/nothing.js", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "/metrics", "/readyz"] {
        let answer = http::fetch(broker.address, "GET", path, &[], "").await;
        assert_eq!(answer.status, 404, "{path}");
    }
}
