//! Wrong input, at every door: each is refused with the right code and words that help, and the
//! broker goes on.

mod cases;

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::harness::broker::Broker;
use crate::harness::http;
use crate::harness::peer::{Heard, LEGACY_WS, Peer, TRANSPORT_WS};
use crate::harness::raw::{Raw, handshake};

/// What is wrong, and where it comes in.
#[derive(Debug)]
enum Input {
    /// A document, and its variables as JSON.
    Operation(&'static str, &'static str),
    /// The payload of a `subscribe` message.
    Request(&'static str),
    /// The topic of a publish.
    Topic(String),
    /// A filter of a subscription.
    Filter(String),
    /// A message of `graphql-transport-ws`, before anything else is said.
    Message(String),
    /// A message of the older subprotocol.
    OldMessage(&'static str),
    /// Bytes after the handshake.
    Frames(Vec<u8>),
    /// A header of the handshake, replaced.
    Handshake(&'static str, &'static str),
    /// A request from its first byte on; the connection is closed after it.
    Http(&'static str),
    /// A setting that the program is started with.
    Setting(&'static str),
    /// The whole of a configuration file.
    File(&'static str),
}

/// What the answer has to be, or is.
#[derive(Debug, Clone, PartialEq)]
enum Refusal {
    /// `extensions.code` of a GraphQL error.
    Code(Cow<'static, str>),
    /// The code of a close frame.
    Close(u16),
    /// The status of an HTTP response.
    Status(u16),
    /// The exit code of the program.
    Exit(i32),
    /// A message of this type; the connection stays open.
    Type(Cow<'static, str>),
}

/// A row of the table: what comes in, what goes out, and words of the explanation.
struct Case(Input, Refusal, &'static str);

/// How the broker answered, and in which words.
#[derive(Debug)]
struct Found(Refusal, String);

fn owned(text: &Value) -> Cow<'static, str> {
    Cow::Owned(text.as_str().unwrap_or_default().to_owned())
}

async fn operation(broker: &Broker, payload: Value) -> Found {
    let mut peer = broker.peer().await;
    let id = peer.start_with(payload).await;
    let message = peer.message_for(&id).await;
    let errors = match message["type"].as_str().unwrap() {
        "error" => &message["payload"],
        _ => &message["payload"]["errors"],
    };
    assert!(errors.is_array(), "accepted: {message}");
    Found(Refusal::Code(owned(&errors[0]["extensions"]["code"])), errors[0].to_string())
}

async fn message(broker: &Broker, subprotocol: &str, text: &str) -> Found {
    let mut peer = Peer::open(broker.address, subprotocol).await;
    peer.send_text(text).await;
    match peer.hear().await {
        Heard::Closed(code, reason) => Found(Refusal::Close(code), reason),
        Heard::Text(text) => {
            let message: Value = serde_json::from_str(&text).unwrap();
            Found(Refusal::Type(owned(&message["type"])), text)
        }
        Heard::Gone => panic!("gone without a close frame"),
    }
}

async fn frames(broker: &Broker, bytes: &[u8]) -> Found {
    let mut raw = Raw::connect(broker.address).await.upgrade().await;
    raw.write(bytes).await;
    let (code, reason) = raw.closed().await;
    Found(Refusal::Close(code), reason)
}

async fn with_header(broker: &Broker, name: &'static str, value: &str) -> Found {
    let mut lines = handshake();
    lines.retain(|(known, _)| *known != name);
    lines.push((name, value.to_owned()));
    let answer = Raw::connect(broker.address).await.ask(&lines).await;
    let text = format!("{:?} {}", answer.headers, answer.body);
    Found(Refusal::Status(answer.status), text)
}

fn started_with(settings: &[&str], file: Option<&str>) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidings.toml");
    let (code, complaint) = match file {
        None => Broker::refuse(settings, None),
        Some(text) => {
            std::fs::write(&path, text).unwrap();
            Broker::refuse(settings, Some(&path))
        }
    };
    Found(Refusal::Exit(code.unwrap()), complaint)
}

async fn find(broker: &Broker, input: &Input) -> Found {
    match input {
        Input::Operation(query, variables) => {
            let variables: Value = serde_json::from_str(variables).unwrap();
            operation(broker, json!({"query": query, "variables": variables})).await
        }
        Input::Request(payload) => operation(broker, serde_json::from_str(payload).unwrap()).await,
        Input::Topic(topic) => {
            let query = "mutation ($t: String!) { publish(topic: $t, payload: 1) { topic } }";
            operation(broker, json!({"query": query, "variables": {"t": topic}})).await
        }
        Input::Filter(filter) => {
            let query = "subscription ($t: [String!]!) { messages(topics: $t) { topic } }";
            operation(broker, json!({"query": query, "variables": {"t": [filter]}})).await
        }
        Input::Message(text) => message(broker, TRANSPORT_WS, text).await,
        Input::OldMessage(text) => message(broker, LEGACY_WS, text).await,
        Input::Frames(bytes) => frames(broker, bytes).await,
        Input::Handshake(name, value) => with_header(broker, name, value).await,
        Input::Http(request) => {
            let request = request.replace('\n', "\r\n");
            let answer = http::exchange(broker.address, request.as_bytes()).await;
            let text = format!("{:?} {}", answer.headers, answer.body);
            Found(Refusal::Status(answer.status), text)
        }
        Input::Setting(setting) => started_with(&[setting], None),
        Input::File(text) => started_with(&[], Some(text)),
    }
}

/// What an explanation must never hold: where the program lives, or how it is made.
const SECRETS: [&str; 5] = ["src/", ".rs:", "panicked", "backtrace", env!("CARGO_MANIFEST_DIR")];

#[tokio::test]
async fn every_wrong_input_is_refused_and_explained() {
    let broker = Broker::with(&["limits.message_bytes=64KiB"]);
    let mut witness = broker.peer().await;
    let id = witness.follow("topics: \"witness\"").await;
    let cases = cases::all();
    let mut faults = Vec::new();
    for (number, Case(input, refusal, words)) in cases.iter().enumerate() {
        let Found(found, text) = find(&broker, input).await;
        let tells = SECRETS.iter().any(|secret| text.contains(secret));
        if found != *refusal || !text.contains(words) || tells {
            let expected = format!("{refusal:?} with {words:?}");
            faults.push(format!("{input:?}\n  expected {expected}\n  found {found:?}: {text}"));
        }
        // Nobody else notices.
        witness.publish("witness", number).await;
        assert_eq!(witness.next_message(&id).await["payload"], number);
    }
    println!("{} wrong inputs", cases.len());
    assert!(cases.len() >= 60);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
