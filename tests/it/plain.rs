//! `/topics/…`: publishing and subscribing without GraphQL.

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::http::{self, Answer};
use crate::harness::stream::Stream;

const JSON: (&str, &str) = ("Content-Type", "application/json");
const EVENTS: (&str, &str) = ("Accept", "text/event-stream");

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn publish(broker: &Broker, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    http::fetch(broker.address, "POST", path, headers, body).await
}

async fn number(broker: &Broker, topic: &str, number: u64) -> String {
    let path = format!("/topics/{topic}");
    let answer = publish(broker, &path, &[JSON], &number.to_string()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["cursor"].as_str().unwrap().to_owned()
}

async fn events(broker: &Broker, path: &str, headers: &[(&str, &str)]) -> Stream {
    let headers: Vec<_> = [EVENTS].iter().chain(headers).copied().collect();
    let stream = Stream::open(broker.address, "GET", path, &headers, "").await;
    assert_eq!(stream.head.status, 200, "{:?}", stream.head);
    stream
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_publish_is_answered_with_its_receipt() {
    let broker = Broker::start();
    let path = "/topics/plain.a?key=k%20%C3%A9&headers=%7B%22trace%22:%221%22%7D";
    let big = r#" {"big": 9007199254740993, "exact": 1.10} "#;
    let answer = publish(&broker, path, &[JSON, ("Idempotency-Key", "\"once\"")], big).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let receipt = answer.json();
    assert_eq!((&receipt["topic"], &receipt["duplicate"]), (&json!("plain.a"), &json!(false)));
    assert_eq!(answer.header("etag"), receipt["cursor"].to_string());
    let query = json!({"query": "{ last(topics: \">\") { key headers payload cursor } }"});
    let kept = broker.post(&query).await;
    let fields = r#""key":"k é","headers":{"trace":"1"}"#;
    let payload = r#""payload":{"big":9007199254740993,"exact":1.10}"#;
    let cursor = &receipt["cursor"];
    let expected = format!(r#"{{"data":{{"last":[{{{fields},{payload},"cursor":{cursor}}}]}}}}"#);
    assert_eq!(kept.body, expected);
    // The same id again, quoted or not, is the same message.
    let again = publish(&broker, path, &[JSON, ("Idempotency-Key", "once")], "2").await;
    assert_eq!((again.status, &again.json()["cursor"]), (200, &receipt["cursor"]));
    assert_eq!(again.json()["duplicate"], true);
}

#[tokio::test]
async fn conditions_are_those_of_http() {
    let broker = Broker::start();
    let empty = [JSON, ("If-None-Match", "*")];
    let first = publish(&broker, "/topics/c", &empty, "1").await;
    assert_eq!(first.status, 201);
    let refused = publish(&broker, "/topics/c", &empty, "2").await;
    assert_eq!((refused.status, code(&refused)), (412, "CONFLICT".to_owned()));
    let last = first.json()["cursor"].clone();
    assert_eq!(refused.json()["errors"][0]["extensions"]["last"], last);
    let tag = first.header("etag").to_owned();
    let second = publish(&broker, "/topics/c", &[JSON, ("If-Match", &tag)], "2").await;
    assert_eq!(second.status, 201, "{second:?}");
    let refused = publish(&broker, "/topics/c", &[JSON, ("If-Match", &tag)], "3").await;
    assert_eq!(refused.status, 412);
    let unquoted = tag.trim_matches('"').to_owned();
    let table: [&[(&str, &str)]; 6] = [
        &[("If-Match", &unquoted)],
        &[("If-Match", "*")],
        &[("If-Match", "\"a\", \"b\"")],
        &[("If-Match", "\"no-cursor!\"")],
        &[("If-None-Match", "\"a\"")],
        &[("If-Match", &tag), ("If-None-Match", "*")],
    ];
    for headers in table {
        let headers = [&[JSON], headers].concat();
        let answer = publish(&broker, "/topics/c", &headers, "3").await;
        assert_eq!(answer.status, 400, "{headers:?}: {answer:?}");
        assert!(code(&answer).starts_with("BAD_"), "{answer:?}");
    }
}

#[tokio::test]
async fn every_refusal_has_its_status() {
    let broker = Broker::with(&["limits.payload_bytes=100", "limits.message_bytes=1000"]);
    let (long, longer) = (format!("\"{}\"", "x".repeat(200)), format!("\"{}\"", "x".repeat(2000)));
    let (deep, id) = (format!("{}1{}", "[".repeat(130), "]".repeat(130)), "i".repeat(300));
    let plain = ("Content-Type", "text/plain");
    let table: &[(&str, &str, Headers<'_>, &str, u16, &str)] = &[
        ("POST", "/topics/a..b", &[JSON], "1", 400, "BAD_TOPIC"),
        ("POST", "/topics/$sys", &[JSON], "1", 400, "BAD_TOPIC"),
        ("POST", "/topics/a.*", &[JSON], "1", 400, "BAD_TOPIC"),
        ("POST", "/topics/%FF", &[JSON], "1", 400, "BAD_TOPIC"),
        ("POST", "/topics/a", &[JSON], "{", 400, "BAD_PAYLOAD"),
        ("POST", "/topics/a", &[JSON], "", 400, "BAD_PAYLOAD"),
        ("POST", "/topics/a", &[JSON], "null", 400, "BAD_PAYLOAD"),
        ("POST", "/topics/a", &[JSON], &deep, 400, "BAD_PAYLOAD"),
        ("POST", "/topics/a?headers=1", &[JSON], "1", 400, "BAD_ARGUMENT"),
        ("POST", "/topics/a?headers=x", &[JSON], "1", 400, "BAD_ARGUMENT"),
        ("POST", "/topics/a?kye=x", &[JSON], "1", 400, "BAD_ARGUMENT"),
        ("POST", "/topics/a", &[JSON, ("Idempotency-Key", &id)], "1", 400, "BAD_ARGUMENT"),
        ("POST", "/topics/a", &[JSON], &long, 413, "PAYLOAD_TOO_LARGE"),
        ("POST", "/topics/a", &[JSON], &longer, 413, "PAYLOAD_TOO_LARGE"),
        ("POST", "/topics/a", &[], "1", 415, "BAD_REQUEST"),
        ("POST", "/topics/a", &[plain], "1", 415, "BAD_REQUEST"),
        ("PUT", "/topics/a", &[JSON], "1", 405, "BAD_REQUEST"),
        ("DELETE", "/topics/a", &[], "", 405, "BAD_REQUEST"),
        ("GET", "/topics/a", &[], "", 406, "BAD_REQUEST"),
        ("GET", "/topics/a", &[("Accept", "application/json, */*")], "", 406, "BAD_REQUEST"),
        ("GET", "/topics/a*", &[EVENTS], "", 400, "BAD_FILTER"),
        ("GET", "/topics/%3E.a", &[EVENTS], "", 400, "BAD_FILTER"),
        ("GET", "/topics/a?topics=b*", &[EVENTS], "", 400, "BAD_FILTER"),
        ("GET", "/topics/a?after=nonsense", &[EVENTS], "", 400, "BAD_CURSOR"),
        ("GET", "/topics/a?last=-1", &[EVENTS], "", 400, "BAD_ARGUMENT"),
        ("GET", "/topics/a?last=x", &[EVENTS], "", 400, "BAD_ARGUMENT"),
        ("GET", "/topics/a?since=yesterday", &[EVENTS], "", 400, "BAD_ARGUMENT"),
        ("GET", "/topics/a?last=1&after=earliest", &[EVENTS], "", 400, "BAD_ARGUMENT"),
        ("GET", "/topics/a?aftr=earliest", &[EVENTS], "", 400, "BAD_ARGUMENT"),
        ("GET", "/topics/a?after=zzz-1", &[EVENTS], "", 410, "CURSOR_EXPIRED"),
        ("GET", "/topics/a", &[EVENTS, ("Last-Event-ID", "zzz-1")], "", 410, "CURSOR_EXPIRED"),
    ];
    for (method, path, headers, body, status, expected) in table {
        let answer = http::fetch(broker.address, method, path, headers, body).await;
        assert_eq!((answer.status, code(&answer).as_str()), (*status, *expected), "{answer:?}");
        let error = &answer.json()["errors"][0];
        assert!(error["message"].as_str().unwrap().len() > 10, "{error}");
        assert_eq!((error.get("path"), error.get("locations")), (None, None), "{error}");
        let allow = if *status == 405 { "GET, POST" } else { "" };
        assert_eq!(answer.header("allow"), allow);
    }
    assert_eq!(http::fetch(broker.address, "GET", "/topics/a/b", &[EVENTS], "").await.status, 404);
}

#[tokio::test]
async fn a_publisher_over_its_rate_is_told_when_to_come_back() {
    let broker = Broker::with(&["limits.publish_per_second=1"]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = publish(&broker, "/topics/r", &[JSON], "1").await;
        if answer.status == 429 {
            assert_eq!(code(&answer), "RATE_LIMITED");
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        }
        statuses.push(answer.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn foreign_pages_may_not_and_listed_ones_may() {
    let broker = Broker::with(&["server.origins=https://app.example"]);
    let foreign = ("Origin", "https://evil.example");
    let listed = ("Origin", "https://app.example");
    for (method, headers) in [("POST", [JSON, foreign]), ("GET", [EVENTS, foreign])] {
        let answer = http::fetch(broker.address, method, "/topics/o", &headers, "1").await;
        assert_eq!((answer.status, code(&answer)), (403, "FORBIDDEN".to_owned()));
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let answer = publish(&broker, "/topics/o", &[JSON, listed], "1").await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("access-control-allow-origin"), listed.1);
    assert!(answer.header("access-control-expose-headers").contains("etag"));
    let asked = http::fetch(broker.address, "OPTIONS", "/topics/o", &[listed], "").await;
    assert_eq!(asked.status, 204);
    assert_eq!(asked.header("access-control-allow-methods"), "GET, POST");
    for name in ["idempotency-key", "if-match", "if-none-match", "content-type"] {
        assert!(asked.header("access-control-allow-headers").contains(name), "{asked:?}");
    }
}

#[tokio::test]
async fn a_message_is_an_event_with_all_its_fields() {
    let broker = Broker::start();
    let mut stream = events(&broker, "/topics/e.%3E", &[]).await;
    let head = &stream.head;
    assert_eq!(head.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(head.header("cache-control"), "no-cache, no-transform");
    assert_eq!(head.header("x-accel-buffering"), "no");
    // A position to come back to is there before the first message.
    let begin = stream.event().await.unwrap();
    assert!(begin.id.is_some() && begin.data.is_none(), "{begin:?}");
    let cursor = number(&broker, "e.x", 1).await;
    let event = stream.message().await;
    assert_eq!((event.kind.as_str(), event.id.as_deref()), ("", Some(cursor.as_str())));
    let message = event.json();
    let names: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
    let fields =
        ["topic", "cursor", "previous", "publishedAt", "key", "headers", "payload", "snapshot"];
    assert_eq!(names, fields);
    let query = json!({"query": "{ connections { nodes { protocol subscriptions } } }"});
    let shown = &broker.post(&query).await.json()["data"]["connections"]["nodes"];
    assert_eq!(*shown, json!([{"protocol": "sse", "subscriptions": 1}]));
}

#[tokio::test]
async fn paths_are_percent_decoded() {
    let broker = Broker::start();
    let mut everything = events(&broker, "/topics/%3E", &[]).await;
    let mut some = events(&broker, "/topics/p.*?topics=q.%3E&topics=r%2Fs", &[]).await;
    let paths = [
        "/topics/p.a%2Bb",
        "/topics/p.a+b",
        "/topics/q.%C3%A9.x",
        "/topics/r%2Fs",
        "/topics/other",
    ];
    for path in paths {
        let answer = publish(&broker, path, &[JSON], "1").await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    let topics = ["p.a+b", "p.a+b", "q.é.x", "r/s", "other"];
    for topic in topics {
        assert_eq!(everything.message().await.json()["topic"], topic);
    }
    for topic in &topics[..4] {
        assert_eq!(some.message().await.json()["topic"], *topic);
    }
}

#[tokio::test]
async fn a_stream_begins_where_it_is_asked_to() {
    let broker = Broker::start();
    let mut cursors = Vec::new();
    for value in 1..=3 {
        cursors.push(number(&broker, "w", value).await);
    }
    let (first, second) = (cursors[0].as_str(), cursors[1].as_str());
    let after = format!("/topics/w?after={second}");
    let by_parameter = format!("/topics/w?lastEventId={second}");
    let table: [(&str, Headers<'_>, &[u64]); 9] = [
        ("/topics/w?after=earliest", &[], &[1, 2, 3]),
        ("/topics/w?last=2", &[], &[2, 3]),
        ("/topics/w?since=2020-01-01T00:00:00Z", &[], &[1, 2, 3]),
        (&after, &[], &[3]),
        (&by_parameter, &[], &[3]),
        ("/topics/w", &[("Last-Event-ID", second)], &[3]),
        // What a client comes back with is newer than what its address says.
        (&after, &[("Last-Event-ID", first)], &[2, 3]),
        ("/topics/w?last=1", &[("Last-Event-ID", first)], &[2, 3]),
        ("/topics/w", &[("Last-Event-ID", "")], &[]),
    ];
    let mut streams = Vec::new();
    for (path, headers, expected) in table {
        let mut stream = events(&broker, path, headers).await;
        for value in expected {
            let payload = &stream.message().await.json()["payload"];
            assert_eq!(payload, &Value::from(*value), "{path} {headers:?}");
        }
        streams.push(stream);
    }
    number(&broker, "w", 4).await;
    for stream in &mut streams {
        assert_eq!(stream.message().await.json()["payload"], 4);
    }
}

#[tokio::test]
async fn what_was_kept_back_is_told() {
    let broker = Broker::start();
    let mut stream = events(&broker, "/topics/d?maxPerSecond=2", &[]).await;
    for value in 1..=5 {
        number(&broker, "d", value).await;
    }
    // The next event after the loss has its count, whether that is the first message or the last.
    let (mut payloads, mut dropped) = (Vec::new(), 0);
    while payloads.last() != Some(&json!(5)) {
        let event = stream.message().await;
        match event.kind.as_str() {
            "dropped" => {
                assert_eq!(event.id, None);
                dropped += event.json()["dropped"].as_u64().unwrap();
            }
            _ => payloads.push(event.json()["payload"].clone()),
        }
    }
    assert_eq!(payloads.len() as u64 + dropped, 5, "{payloads:?}");
    assert!(payloads[0] == 1 && dropped > 0, "{payloads:?}");
}
