//! The dialogues of the protocol, spoken over a real socket. `dialogues/transport_ws.txt` explains
//! the notation; `dialogues/socket.txt` says what it means here.
//!
//! The layer above the protocol is the real one here. So documents that stand for any document
//! become real ones, and what that layer would answer is not compared but for its shape.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::harness::broker::Broker;
use crate::harness::peer::{Heard, LEGACY_WS, Peer, TRANSPORT_WS};

/// Dialogues that need what no client can bring about, and where their promise is tested instead.
type Skipped = &'static [(&'static str, &'static str)];

const AT_ONCE: &str = "without tokens the ack is there at once";
const TOKENS: &str = "tokens have their own tests";
const REAL: &str = "socket.txt has it with the real layer above";
const NOBODY: &str = "no request brings it about";

const SKIPPED_OF_TRANSPORT_WS: Skipped = &[
    ("a subscription", REAL),
    ("an operation that is refused has no complete", REAL),
    ("a client that stops hears no more of it", "the broker answers before it reads the stop"),
    ("an id is free after its operation, whoever ended it", REAL),
    ("ids are any text", REAL),
    ("pings are answered with their payload, before the ack too", AT_ONCE),
    ("a client that resumes is pinged with positions", "takes 50 s"),
    ("other clients are not", "takes 60 s"),
    ("4401 subscribe before the ack", AT_ONCE),
    ("4403 init rejected", TOKENS),
    ("4403 token expired", TOKENS),
    ("no 4408 while the layer above decides", AT_ONCE),
    ("4429 second init before the ack", AT_ONCE),
    ("too many operations", "limits.rs: over a socket the limit is one of subscriptions"),
    ("codes of the layer above: the server stops", NOBODY),
    ("codes of the layer above: a frame against RFC 6455", "bad_input.rs"),
    ("codes of the layer above: a binary message", "bad_input.rs"),
    ("codes of the layer above: not UTF-8", "bad_input.rs"),
    ("codes of the layer above: disconnected by an administrator", "drain.rs"),
    ("codes of the layer above: too big", "limits.rs"),
    ("codes of the layer above: a fault", NOBODY),
    ("codes of the layer above: restart", "drain.rs"),
    ("codes of the layer above: overload", "slow.rs"),
    ("codes of the layer above: no subprotocol", "handshake.rs"),
];

const SKIPPED_OF_LEGACY_WS: Skipped = &[
    ("a subscription", REAL),
    ("signs of life", "takes 50 s"),
    ("operations wait for the ack", AT_ONCE),
    ("what waited is gone with the connection", TOKENS),
    ("a stop is confirmed once", REAL),
    ("an id used again ends its operation", REAL),
    ("an operation that is refused", REAL),
    ("a second init changes nothing", AT_ONCE),
    ("too many operations", "limits.rs: over a socket the limit is one of subscriptions"),
    ("4403 token expired", TOKENS),
];

/// Documents of the dialogues, and real ones that are what those stand for.
const DOCUMENTS: [(&str, &str); 4] = [
    ("subscription { a }", "subscription { messages(topics: \\\"a\\\") { topic } }"),
    ("{ a }", "{ a: __typename }"),
    ("{ b }", "{ b: __typename }"),
    ("{ c }", "{ c: __typename }"),
];

struct Dialogue<'a> {
    name: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

fn read(text: &str) -> Vec<Dialogue<'_>> {
    let mut dialogues = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mark, words) = line.split_at(1);
        let words = words.strip_prefix(' ').unwrap_or(words);
        if mark == "=" {
            dialogues.push(Dialogue { name: words, lines: Vec::new() });
        } else {
            dialogues.last_mut().unwrap().lines.push((mark, words));
        }
    }
    dialogues
}

/// `*` in what is expected stands for any value.
fn is_like(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected
                    .iter()
                    .all(|(name, value)| found.get(name).is_some_and(|found| is_like(value, found)))
        }
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(expected, found)| is_like(expected, found))
        }
        (expected, found) => expected == found,
    }
}

/// One dialogue on its connection; a second one publishes.
struct Stage {
    peer: Peer,
    publisher: Option<Peer>,
    /// What the layer above answers in the dialogue: over a socket it has its own words.
    invented: Vec<Value>,
    is_closed: bool,
}

impl Stage {
    async fn play(&mut self, broker: &Broker, mark: &str, words: &str) -> Result<(), String> {
        match mark {
            ">" => self.say(words).await,
            "<" => {
                let expected: Value = serde_json::from_str(words).unwrap();
                return self.expect(&expected).await;
            }
            "!" => {
                let (code, reason) = words.split_once(' ').unwrap_or((words, ""));
                let heard = self.peer.hear().await;
                self.is_closed = true;
                return match &heard {
                    Heard::Closed(number, text)
                        if number.to_string() == code && (reason.is_empty() || reason == text) =>
                    {
                        Ok(())
                    }
                    other => Err(format!("{other:?}")),
                };
            }
            "~" => {
                let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
                self.arrange(broker, verb, rest).await;
            }
            // What the layer above is asked to do shows in what it answers.
            _ => assert_eq!(mark, "^", "no such mark"),
        }
        Ok(())
    }

    async fn say(&mut self, words: &str) {
        let mut words = words.to_owned();
        for (written, real) in DOCUMENTS {
            words = words.replace(&format!("\"{written}\""), &format!("\"{real}\""));
        }
        // A broker that has closed may have closed the socket as well.
        let _ = self.peer.socket.send(Message::text(words)).await;
    }

    async fn expect(&mut self, expected: &Value) -> Result<(), String> {
        let heard = self.peer.hear().await;
        let Heard::Text(text) = &heard else { return Err(format!("{heard:?}")) };
        let found: Value = serde_json::from_str(text).unwrap();
        let mut expected = expected.clone();
        if self.invented.contains(&expected["payload"]) || expected["type"] == "connection_ack" {
            expected["payload"] = json!("*");
        }
        if is_like(&expected, &found) { Ok(()) } else { Err(text.clone()) }
    }

    async fn arrange(&mut self, broker: &Broker, verb: &str, rest: &str) {
        let (_, second) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "answer" => self.invented.push(serde_json::from_str(second).unwrap()),
            // The broker acknowledges by itself, and what is due by a time comes by itself; after a
            // stop nothing is left to finish.
            "ack" | "wait" | "finish" => {}
            "publish" => {
                let (topic, payload) = rest.split_once(' ').unwrap();
                let payload: Value = serde_json::from_str(payload).unwrap();
                // What the other side has sent is done before this is published.
                self.settle().await;
                let publisher = match &mut self.publisher {
                    Some(publisher) => publisher,
                    None => self.publisher.insert(broker.peer().await),
                };
                publisher.publish(topic, payload).await;
            }
            _ => panic!("over a socket nobody can {verb} {rest}"),
        }
    }

    /// A ping of the WebSocket is answered after everything before it.
    async fn settle(&mut self) {
        self.peer.socket.send(Message::Ping("settle".into())).await.unwrap();
        let heard = self.peer.socket.next().await.unwrap().unwrap();
        assert_eq!(heard, Message::Pong("settle".into()));
    }

    /// Nothing more may come.
    async fn end(mut self) -> Result<(), String> {
        if !self.is_closed {
            self.peer.socket.send(Message::Ping("end".into())).await.map_err(|e| e.to_string())?;
            let heard = self.peer.socket.next().await;
            match &heard {
                Some(Ok(Message::Pong(payload))) if payload == "end" => {}
                other => return Err(format!("{other:?}")),
            }
            let close = CloseFrame { code: 1000.into(), reason: "".into() };
            self.peer.socket.close(Some(close)).await.map_err(|error| error.to_string())?;
            return match self.peer.hear().await {
                Heard::Closed(1000, _) => Ok(()),
                other => Err(format!("{other:?}")),
            };
        }
        match self.peer.hear().await {
            Heard::Gone => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }
}

async fn check(broker: &Broker, subprotocol: &str, text: &str, skipped: Skipped) {
    let dialogues = read(text);
    for (name, reason) in skipped {
        println!("not over a socket: {name}: {reason}");
        assert!(
            dialogues.iter().any(|dialogue| dialogue.name == *name),
            "no such dialogue: {name}"
        );
    }
    let is_skipped = |name: &str| skipped.iter().any(|(skipped, _)| *skipped == name);
    let mut played = 0;
    for dialogue in dialogues.iter().filter(|dialogue| !is_skipped(dialogue.name)) {
        let peer = Peer::open(broker.address, subprotocol).await;
        let mut stage = Stage { peer, publisher: None, invented: Vec::new(), is_closed: false };
        for (mark, words) in &dialogue.lines {
            if let Err(found) = stage.play(broker, mark, words).await {
                panic!("in {:?}\nexpected {mark} {words}\nfound    {found}", dialogue.name);
            }
        }
        if let Err(found) = stage.end().await {
            panic!("at the end of {:?}: {found}", dialogue.name);
        }
        played += 1;
    }
    println!("{played} dialogues in {subprotocol}");
    assert!(played > 0);
}

#[tokio::test]
async fn dialogues_of_transport_ws() {
    let broker = Broker::with(&["limits.init_timeout=2s"]);
    let text = include_str!("dialogues/transport_ws.txt");
    check(&broker, TRANSPORT_WS, text, SKIPPED_OF_TRANSPORT_WS).await;
}

#[tokio::test]
async fn dialogues_of_legacy_ws() {
    let broker = Broker::with(&["limits.init_timeout=2s"]);
    let text = include_str!("dialogues/legacy_ws.txt");
    check(&broker, LEGACY_WS, text, SKIPPED_OF_LEGACY_WS).await;
}

#[tokio::test]
async fn dialogues_with_the_real_layer_above() {
    let broker = Broker::start();
    check(&broker, TRANSPORT_WS, include_str!("dialogues/socket.txt"), &[]).await;
    check(&broker, LEGACY_WS, include_str!("dialogues/legacy_socket.txt"), &[]).await;
}
