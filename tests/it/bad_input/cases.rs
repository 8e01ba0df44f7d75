//! The table of wrong inputs.

use super::Case;
use super::Input::{
    File, Filter, Frames, Handshake, Http, Message, OldMessage, Operation, Request, Setting, Topic,
};
use super::Refusal::{self, Close, Exit, Status};
use crate::harness::raw::{
    BINARY, CLOSE, CONTINUATION, LENGTH_16, MASKED, PING, PONG, TEXT, frame, frame_with, request,
};

pub(super) fn all() -> Vec<Case> {
    [
        names(),
        arguments(),
        queries(),
        documents(),
        requests(),
        messages(),
        frames(),
        http(),
        configuration(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn code(code: &'static str) -> Refusal {
    Refusal::Code(code.into())
}

fn kind(kind: &'static str) -> Refusal {
    Refusal::Type(kind.into())
}

fn names() -> Vec<Case> {
    let text = str::to_owned;
    let long = "x".repeat(256);
    let many = ["t"; 33].join(".");
    vec![
        Case(Topic(text("")), code("BAD_TOPIC"), "empty"),
        Case(Topic(text(".")), code("BAD_TOPIC"), "token 1 is empty"),
        Case(Topic(text("a..b")), code("BAD_TOPIC"), "token 2 is empty"),
        Case(Topic(text("a.")), code("BAD_TOPIC"), "token 2 is empty"),
        Case(Topic(text(".a")), code("BAD_TOPIC"), "token 1 is empty"),
        Case(Topic(text("a b")), code("BAD_TOPIC"), "white space"),
        Case(Topic(text("a\u{a0}b")), code("BAD_TOPIC"), "white space"),
        Case(Topic(text("a\tb")), code("BAD_TOPIC"), "control"),
        Case(Topic(text("a.b\u{0}")), code("BAD_TOPIC"), "token 2"),
        Case(Topic(text("a.*")), code("BAD_TOPIC"), "wildcard"),
        Case(Topic(text("a.>")), code("BAD_TOPIC"), "wildcard"),
        Case(Topic(text("a>b")), code("BAD_TOPIC"), "wildcard"),
        Case(Topic(text("$sys.a")), code("BAD_TOPIC"), "$"),
        Case(Topic(long.clone()), code("BAD_TOPIC"), "256 bytes; at most 255"),
        Case(Topic("é".repeat(128)), code("BAD_TOPIC"), "256 bytes; at most 255"),
        Case(Topic(many.clone()), code("BAD_TOPIC"), "33 tokens; at most 32"),
        Case(Filter(text("")), code("BAD_FILTER"), "empty"),
        Case(Filter(text("a.>.b")), code("BAD_FILTER"), "not the last"),
        Case(Filter(text(">.>")), code("BAD_FILTER"), "not the last"),
        Case(Filter(text("a*")), code("BAD_FILTER"), "stand alone"),
        Case(Filter(text("a.**")), code("BAD_FILTER"), "stand alone"),
        Case(Filter(text("*>")), code("BAD_FILTER"), "stand alone"),
        Case(Filter(text("a..*")), code("BAD_FILTER"), "token 2 is empty"),
        Case(Filter(text("$sys.>")), code("BAD_FILTER"), "$"),
        Case(Filter(text("a .b")), code("BAD_FILTER"), "white space"),
        Case(Filter(long), code("BAD_FILTER"), "255"),
        Case(Filter(many), code("BAD_FILTER"), "32"),
    ]
}

/// A subscription of messages with these arguments.
macro_rules! messages {
    ($arguments:literal) => {
        Operation(concat!("subscription { messages(", $arguments, ") { topic } }"), "null")
    };
}

/// A publish with these arguments beside its topic.
macro_rules! publish {
    ($arguments:literal) => {
        Operation(
            concat!("mutation { publish(topic: \"bad\", ", $arguments, ") { topic } }"),
            "null",
        )
    };
}

fn arguments() -> Vec<Case> {
    vec![
        Case(messages!("topics: []"), code("BAD_ARGUMENT"), "at least one filter"),
        Case(messages!("topics: \"a\", after: \"x\""), code("BAD_CURSOR"), "is not a cursor"),
        Case(messages!("topics: \"a\", after: \"\""), code("BAD_CURSOR"), "earliest"),
        Case(messages!("topics: \"a\", after: \"a-01\""), code("BAD_CURSOR"), "exactly"),
        Case(messages!("topics: \"a\", after: \"abc-1\""), code("CURSOR_EXPIRED"), "earliest"),
        Case(messages!("topics: \"a\", since: \"yesterday\""), code("BAD_ARGUMENT"), "since"),
        Case(messages!("topics: \"a\", since: \"2026-13-01T00:00:00Z\""), code("BAD_ARGUMENT"), ""),
        Case(messages!("topics: \"a\", since: \"2026-11-21\""), code("BAD_ARGUMENT"), "since"),
        Case(messages!("topics: \"a\", last: -1"), code("BAD_ARGUMENT"), "negative"),
        Case(
            messages!("topics: \"a\", last: 1, after: \"earliest\""),
            code("BAD_ARGUMENT"),
            "exclude",
        ),
        Case(messages!("topics: \"a\", last: 1, snapshot: true"), code("BAD_ARGUMENT"), "exclude"),
        Case(
            messages!("topics: \"a\", maxPerSecond: 0"),
            code("BAD_ARGUMENT"),
            "at least 0.000001",
        ),
        Case(
            messages!("topics: \"a\", maxPerSecond: -2.5"),
            code("BAD_ARGUMENT"),
            "at least 0.000001",
        ),
        Case(
            messages!("topics: \"a\", where: {path: \"n\", eq: 1}"),
            code("BAD_ARGUMENT"),
            "where",
        ),
        Case(messages!("topics: \"a\", where: {path: \"/a~2\", eq: 1}"), code("BAD_ARGUMENT"), "~"),
        Case(publish!("payload: null"), code("GRAPHQL_VALIDATION_FAILED"), "payload"),
        Case(publish!("payload: 1, headers: [1]"), code("BAD_ARGUMENT"), "object of strings"),
        Case(publish!("payload: 1, headers: {a: 1}"), code("BAD_ARGUMENT"), "not a string"),
        Case(publish!("payload: 1, headers: {a: null}"), code("BAD_ARGUMENT"), "not a string"),
        Case(publish!("payload: 1, ifLast: \"nonsense\""), code("BAD_CURSOR"), "ifLast"),
    ]
}

fn queries() -> Vec<Case> {
    vec![
        Case(
            Operation("{ topics(match: \"a..b\") { nodes { name } } }", "null"),
            code("BAD_FILTER"),
            "token 2",
        ),
        Case(
            Operation("{ topics(first: -1) { nodes { name } } }", "null"),
            code("BAD_ARGUMENT"),
            "negative",
        ),
        Case(
            Operation("{ topics(first: 100000) { nodes { name } } }", "null"),
            code("LIMIT_EXCEEDED"),
            "at most",
        ),
        Case(
            Operation("{ history(topics: \"a\", first: 1, last: 1) { nodes { topic } } }", "null"),
            code("BAD_ARGUMENT"),
            "exclude",
        ),
        Case(
            Operation("{ history(topics: \"a\", before: \"x\") { nodes { topic } } }", "null"),
            code("BAD_CURSOR"),
            "before",
        ),
        Case(
            Operation("mutation { purge(topic: \"a.>\") }", "null"),
            code("BAD_TOPIC"),
            "wildcard",
        ),
        Case(Operation("mutation { disconnect }", "null"), code("BAD_ARGUMENT"), "connection"),
        Case(
            Operation("subscription { join(topic: \"a.*\") { kind } }", "null"),
            code("BAD_TOPIC"),
            "wildcard",
        ),
        Case(
            Operation("subscription { stats(every: 0) { at } }", "null"),
            code("BAD_ARGUMENT"),
            "every",
        ),
    ]
}

const NAMED: &str = "query ($n: String!) { topic(name: $n) { name } }";
const FIRST: &str = "query ($f: Int) { topics(first: $f) { nodes { name } } }";
const WHERE: &str =
    "subscription ($w: [Condition!]) { messages(topics: \"a\", where: $w) { topic } }";

fn documents() -> Vec<Case> {
    let parse = || code("GRAPHQL_PARSE_FAILED");
    let invalid = || code("GRAPHQL_VALIDATION_FAILED");
    vec![
        Case(Operation("", "null"), parse(), ""),
        Case(Operation("{", "null"), parse(), "Syntax"),
        Case(Operation("{ }", "null"), parse(), ""),
        Case(Operation("query { topic(name: ) { name } }", "null"), parse(), ""),
        Case(Operation("{ a: __typename } \u{7}", "null"), parse(), ""),
        Case(Operation("type X { y: Int }", "null"), parse(), ""),
        Case(Operation("{ nothing }", "null"), invalid(), "nothing"),
        Case(Operation("{ topic(name: \"a\") }", "null"), invalid(), "topic"),
        Case(Operation("{ broker { node { id } } }", "null"), invalid(), "node"),
        Case(Operation("{ topic { name } }", "null"), invalid(), "name"),
        Case(Operation("{ topic(name: 7) { name } }", "null"), invalid(), "name"),
        Case(Operation("{ topic(name: \"a\", nope: 1) { name } }", "null"), invalid(), "nope"),
        Case(Operation("{ ...Missing }", "null"), invalid(), "Missing"),
        Case(Operation("{ ...A } fragment A on Query { ...A }", "null"), invalid(), "A"),
        Case(
            Operation("{ a: broker { node } a: topics { nodes { name } } }", "null"),
            invalid(),
            "a",
        ),
        Case(Operation("{ topic(name: $n) { name } }", "null"), invalid(), "n"),
        Case(Operation("query ($n: Nope) { broker { node } }", "null"), invalid(), "Nope"),
        Case(Operation("{ broker { node @nope } }", "null"), invalid(), "nope"),
        Case(
            Operation(
                "subscription { a: presence(topic: \"a\") { kind } b: stats { at } }",
                "null",
            ),
            invalid(),
            "only one",
        ),
        Case(Operation("subscription { __typename }", "null"), invalid(), "__typename"),
        Case(Operation(NAMED, "null"), code("BAD_ARGUMENT"), "$n"),
        Case(Operation(NAMED, r#"{"n":null}"#), code("BAD_ARGUMENT"), "$n"),
        Case(Operation(NAMED, r#"{"n":7}"#), code("BAD_ARGUMENT"), "$n"),
        Case(Operation(NAMED, r#"{"n":["a"]}"#), code("BAD_ARGUMENT"), "$n"),
        Case(Operation(FIRST, r#"{"f":"1"}"#), code("BAD_ARGUMENT"), "$f"),
        Case(Operation(FIRST, r#"{"f":1.5}"#), code("BAD_ARGUMENT"), "$f"),
        Case(Operation(FIRST, r#"{"f":2147483648}"#), code("BAD_ARGUMENT"), "$f"),
        Case(Operation(WHERE, r#"{"w":[{"eq":1}]}"#), code("BAD_ARGUMENT"), "path"),
        Case(Operation(WHERE, r#"{"w":[{"path":"/a","like":1}]}"#), code("BAD_ARGUMENT"), "like"),
        Case(
            Operation(WHERE, r#"{"w":[{"path":"/a","in":1},{"path":1}]}"#),
            code("BAD_ARGUMENT"),
            "w[1].path",
        ),
    ]
}

/// A subscription that resumes after this JSON.
macro_rules! resuming {
    ($after:literal) => {
        Request(concat!(
            r#"{"query":"subscription { messages(topics: \"a\") { topic } }","#,
            r#""extensions":{"after":"#,
            $after,
            "}}"
        ))
    };
}

fn requests() -> Vec<Case> {
    vec![
        Case(Request("{}"), code("BAD_REQUEST"), "query"),
        Case(Request(r#"{"query":7}"#), code("BAD_REQUEST"), "string"),
        Case(
            Request(r#"{"query":"{ a: __typename }","variables":[]}"#),
            code("BAD_REQUEST"),
            "object",
        ),
        Case(
            Request(r#"{"query":"query A { a: __typename }","operationName":"B"}"#),
            code("BAD_REQUEST"),
            "B",
        ),
        Case(
            Request(r#"{"query":"query A { a: __typename } query B { b: __typename }"}"#),
            code("BAD_REQUEST"),
            "operation",
        ),
        Case(resuming!("7"), code("BAD_CURSOR"), "string"),
        Case(resuming!("\"x\""), code("BAD_CURSOR"), "cursor"),
        Case(
            Request(r#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}"#),
            code("BAD_REQUEST"),
            "64 hexadecimal",
        ),
    ]
}

fn messages() -> Vec<Case> {
    let subscribe = |id: &str| {
        format!(r#"{{"id":"{id}","type":"subscribe","payload":{{"query":"{{ a: __typename }}"}}}}"#)
    };
    vec![
        Case(Message("nonsense".to_owned()), Close(4400), "not valid JSON"),
        Case(Message("[".repeat(1000)), Close(4400), ""),
        Case(Message(r#"{"type":"nope"}"#.to_owned()), Close(4400), "nope"),
        Case(Message(format!(r#"{{"type":"{}"}}"#, "x".repeat(5000))), Close(4400), "xxxx"),
        Case(
            Message(r#"{"type":"connection_init","payload":[]}"#.to_owned()),
            Close(4400),
            "object",
        ),
        Case(Message(subscribe("1")), Close(4401), "Unauthorized"),
        Case(Message(subscribe(&"i".repeat(257))), Close(4400), "256"),
        Case(OldMessage("nonsense"), kind("connection_error"), "not valid JSON"),
        Case(OldMessage(r#"{"type":"subscribe","id":"1"}"#), kind("connection_error"), "subscribe"),
    ]
}

fn frames() -> Vec<Case> {
    let long_control = frame(PING, &[0; 126]);
    let mut unmasked = vec![0x81, 4];
    unmasked.extend(b"{}{}");
    let continued = [frame_with(TEXT, b"{"), frame(TEXT, b"}")].concat();
    let not_shortest = vec![0x81, MASKED | LENGTH_16, 0, 1, 0, 0, 0, 0, b'x'];
    let split_character = [frame_with(TEXT, b"\"\xc3"), frame(CONTINUATION, b"x\"")].concat();
    vec![
        Case(Frames(frame(BINARY, b"{}")), Close(1003), "text"),
        Case(Frames(frame(TEXT, b"\"\xff\"")), Close(1007), "UTF-8"),
        Case(Frames(frame(TEXT, b"\xed\xa0\x80")), Close(1007), "UTF-8"),
        Case(Frames(split_character), Close(1007), "UTF-8"),
        Case(Frames(unmasked), Close(1002), "mask"),
        Case(Frames(frame_with(0xc1, b"{}")), Close(1002), "reserved bit"),
        Case(Frames(frame_with(0x91, b"{}")), Close(1002), "reserved bit"),
        Case(Frames(frame(3, b"")), Close(1002), "opcode"),
        Case(Frames(frame(11, b"")), Close(1002), "opcode"),
        Case(Frames(frame(CONTINUATION, b"{}")), Close(1002), "continuation"),
        Case(Frames(continued), Close(1002), "last fragment"),
        Case(Frames(frame_with(PING, b"")), Close(1002), "fragmented"),
        Case(Frames(frame_with(PONG, b"x")), Close(1002), "fragmented"),
        Case(Frames(long_control), Close(1002), "125"),
        Case(Frames(not_shortest), Close(1002), "shortest"),
        Case(
            Frames(vec![0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
            Close(1002),
            "topmost",
        ),
        Case(Frames(frame(TEXT, &vec![b' '; (64 << 10) + 1])), Close(1009), "65536"),
        Case(Frames(frame(CLOSE, &[3])), Close(1002), "two-byte"),
        Case(Frames(frame(CLOSE, &999_u16.to_be_bytes())), Close(1002), "999"),
        Case(Frames(frame(CLOSE, &1005_u16.to_be_bytes())), Close(1002), "1005"),
        Case(Frames(frame(CLOSE, &5000_u16.to_be_bytes())), Close(1002), "5000"),
        Case(Frames(frame(CLOSE, b"\x03\xe8\xff")), Close(1007), "UTF-8"),
        Case(Frames(request("GET / HTTP/1.1", &[]).into_bytes()), Close(1002), ""),
    ]
}

fn http() -> Vec<Case> {
    vec![
        Case(Handshake("Upgrade", "h2c"), Status(400), "Upgrade: websocket"),
        Case(Handshake("Connection", "close"), Status(400), "Connection: Upgrade"),
        Case(Handshake("Sec-WebSocket-Version", "12"), Status(426), "13"),
        Case(Handshake("Sec-WebSocket-Key", "short"), Status(400), "16 bytes"),
        Case(Handshake("Origin", "https://evil.example"), Status(403), "--origin"),
        Case(Http("nonsense\n\n"), Status(400), ""),
        Case(Http("GET /graphql HTTP/9.9\nHost: x\n\n"), Status(400), ""),
        Case(
            Http("GET /graphql HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
            Status(400),
            "query",
        ),
        Case(
            Http("POST /topics/a/b HTTP/1.1\nHost: localhost\nConnection: close\n\n"),
            Status(404),
            "/graphql",
        ),
        Case(
            Http("TRACE /graphql HTTP/1.1\nHost: x\nConnection: close\n\n"),
            Status(405),
            "GET, POST",
        ),
        Case(
            Http("POST /graphql HTTP/1.1\nHost: x\nConnection: close\nContent-Length: 2\n\n{}"),
            Status(415),
            "application/json",
        ),
        Case(
            Http(
                "POST /graphql HTTP/1.1\nConnection: close\nHost: x\n\
                 Content-Type: application/json\nContent-Length: 2\n\n{}",
            ),
            Status(400),
            "query",
        ),
        Case(Http("POST /graphql HTTP/1.1\nHost: x\nContent-Length: x\n\n{}"), Status(400), ""),
    ]
}

fn configuration() -> Vec<Case> {
    vec![
        Case(Setting("limits.conections=1"), Exit(1), "limits.connections"),
        Case(Setting("nothing.at_all=1"), Exit(1), "unknown key"),
        Case(Setting("limits.connections=many"), Exit(1), "whole number"),
        Case(Setting("limits.connections=0"), Exit(1), "at least 1"),
        Case(Setting("limits.connections=-1"), Exit(1), "whole number"),
        Case(Setting("limits.init_timeout=10"), Exit(1), "unit"),
        Case(Setting("limits.init_timeout=0s"), Exit(1), "more than 0"),
        Case(Setting("limits.message_bytes=1 parsec"), Exit(1), "MiB"),
        Case(Setting("server.listen=here"), Exit(1), "address"),
        Case(Setting("server.origins=https://a.example/path"), Exit(1), "without a path"),
        Case(Setting("server.insecure=maybe"), Exit(1), "true or false"),
        Case(Setting("log.level=loud"), Exit(1), "debug"),
        Case(Setting("topics=[{match = \"a..b\"}]"), Exit(1), "token 2"),
        Case(Setting("topics=[{match = \"a\", overflow = \"PANIC\"}]"), Exit(1), "DROP_OLDEST"),
        Case(Setting("topics=[{overflow = \"CONFLATE\"}]"), Exit(1), "match"),
        Case(Setting("topics=7"), Exit(1), "list of tables"),
        Case(File("limits = 7\n"), Exit(1), "tidings.toml:1:"),
        Case(File("[limits]\nconnections = \"x\"\n"), Exit(1), "tidings.toml:2:"),
        Case(File("[limits]\n\nidle_timeuot = \"1s\"\n"), Exit(1), "limits.idle_timeout"),
        Case(File("[limits\n"), Exit(1), "TOML"),
        Case(File("[[topics]]\nmatch = \"a\"\nkepe = {last = 1}\n"), Exit(1), "topics.keep"),
    ]
}
