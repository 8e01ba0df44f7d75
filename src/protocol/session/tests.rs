use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

const OPTIONS: Options = Options {
    init_timeout: Duration::from_secs(10),
    keep_alive: Duration::from_secs(25),
    operations_max: 3,
};

/// A session on the other side of a dialogue.
struct Stage {
    session: Session,
    now: Instant,
    started: HashMap<String, OperationId>,
    /// What came out and was not mentioned yet, in the notation of the dialogues.
    heard: Vec<String>,
}

impl Stage {
    fn new(dialect: Dialect) -> Self {
        let now = Instant::now();
        let session = Session::new(dialect, OPTIONS, now);
        Self { session, now, started: HashMap::new(), heard: Vec::new() }
    }

    /// What the layer above, or the clock, does.
    fn act(&mut self, words: &str) {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "ack" if first == "resume" => self.session.acknowledge(second, true, self.now),
            "ack" => self.session.acknowledge(rest, false, self.now),
            "close" => {
                let code = CloseCode::from_number(first.parse().unwrap()).unwrap();
                let reason = if second.is_empty() { code.reason() } else { second };
                self.session.close(code, reason.to_owned());
            }
            "answer" => self.session.settle(&self.started[first], Settled::Answered(second)),
            "refuse" => self.session.settle(&self.started[first], Settled::Refused(second)),
            "finish" => self.session.settle(&self.started[first], Settled::Finished),
            "ping" => self.session.ping(rest),
            "wait" => {
                let seconds = rest.strip_suffix('s').unwrap().parse().unwrap();
                self.now += Duration::from_secs(seconds);
                self.session.expire(self.now);
            }
            _ => panic!("no such act: {words}"),
        }
    }

    fn listen(&mut self) {
        while let Some(action) = self.session.poll() {
            self.heard.push(match action {
                Action::Authenticate { payload: None } => "^ authenticate".to_owned(),
                Action::Authenticate { payload: Some(payload) } => {
                    format!("^ authenticate {payload}")
                }
                Action::Start { id, request } => {
                    let line = format!("^ start {id} {request}");
                    self.started.insert(id.as_str().to_owned(), id);
                    line
                }
                Action::Stop { id } => format!("^ stop {id}"),
                Action::Send(text) => format!("< {text}"),
                Action::KeepAlive => "^ keep-alive".to_owned(),
                Action::Close { code, reason } => format!("! {} {reason}", code.number()),
            });
        }
        self.heard.reverse();
    }
}

fn is_like(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(expected), Value::Object(found)) => {
            expected.len() == found.len()
                && expected.iter().zip(found).all(|(a, b)| a.0 == b.0 && is_like(a.1, b.1))
        }
        (expected, found) => expected == found,
    }
}

fn same(expected: &str, found: &str) -> bool {
    let json = |line: &str| {
        line.strip_prefix("< ").map(|json| serde_json::from_str::<Value>(json).unwrap())
    };
    match (json(expected), json(found)) {
        (Some(expected), Some(found)) => is_like(&expected, &found),
        _ => expected == found,
    }
}

fn check(dialect: Dialect, dialogues: &str) -> usize {
    let mut count = 0;
    let (mut stage, mut name) = (Stage::new(dialect), "");
    for line in dialogues.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mark, rest) = line.split_at(1);
        let words = rest.strip_prefix(' ').unwrap_or(rest);
        if matches!(mark, "<" | "!" | "^") {
            let found = stage.heard.pop();
            let fits = found.as_deref().is_some_and(|found| same(line, found));
            assert!(fits, "in {name:?}\nexpected {line}\nfound    {found:?}");
            continue;
        }
        assert!(
            stage.heard.is_empty(),
            "in {name:?} before {line}\nnot expected {:?}",
            stage.heard
        );
        match mark {
            "=" => {
                (stage, name) = (Stage::new(dialect), words);
                count += 1;
            }
            ">" => stage.session.receive(words),
            _ => stage.act(words),
        }
        stage.listen();
    }
    assert!(stage.heard.is_empty(), "at the end of {name:?}: {:?}", stage.heard);
    count
}

#[test]
fn dialogues_of_transport_ws() {
    let text = include_str!("../../../tests/it/dialogues/transport_ws.txt");
    assert_eq!(check(Dialect::TransportWs, text), text.matches("\n= ").count());
}

#[test]
fn dialogues_of_legacy_ws() {
    let text = include_str!("../../../tests/it/dialogues/legacy_ws.txt");
    assert_eq!(check(Dialect::LegacyWs, text), text.matches("\n= ").count());
}

#[test]
fn the_client_chooses_the_dialect() {
    let (new, old) = (Some(Dialect::TransportWs), Some(Dialect::LegacyWs));
    let table: [(&[&str], Option<Dialect>); 5] = [
        (&["graphql-transport-ws", "graphql-ws"], new),
        (&["graphql-ws", "graphql-transport-ws"], old),
        (&["mqtt", "wamp.2.json", "graphql-ws"], old),
        (&["GRAPHQL-WS", "soap"], None),
        (&[], None),
    ];
    for (offers, dialect) in table {
        assert_eq!(Dialect::choose(offers.iter().copied()), dialect, "{offers:?}");
    }
}

/// A session that was let in, with one operation of this id.
fn started(dialect: Dialect, id: &str) -> (Session, OperationId) {
    let now = Instant::now();
    let mut session = Session::new(dialect, OPTIONS, now);
    session.receive(r#"{"type":"connection_init"}"#);
    session.acknowledge("{}", false, now);
    let kind = if dialect == Dialect::TransportWs { "subscribe" } else { "start" };
    session.receive(&format!(r#"{{"id":{},"type":"{kind}","payload":{{}}}}"#, Quoted(id)));
    loop {
        if let Action::Start { id, .. } = session.poll().unwrap() {
            return (session, id);
        }
    }
}

#[test]
fn head_and_tail_make_the_message_of_an_answer() {
    for dialect in [Dialect::TransportWs, Dialect::LegacyWs] {
        for id in ["1", "\"\\\u{1}é"] {
            let (mut session, id) = started(dialect, id);
            let mut spliced = Vec::new();
            dialect.next_head(&id, &mut spliced);
            spliced.extend_from_slice(br#"{"data":null}"#);
            spliced.extend_from_slice(crate::protocol::NEXT_TAIL);
            session.settle(&id, Settled::Answered(r#"{"data":null}"#));
            let Some(Action::Send(text)) = session.poll() else { panic!("no answer") };
            assert_eq!(text.as_bytes(), spliced);
        }
    }
}

#[test]
fn a_late_answer_does_not_reach_the_next_use_of_its_id() {
    let (mut session, first) = started(Dialect::TransportWs, "1");
    session.receive(r#"{"id":"1","type":"complete"}"#);
    session.receive(r#"{"id":"1","type":"subscribe","payload":{}}"#);
    let actions: Vec<_> = std::iter::from_fn(|| session.poll()).collect();
    let [Action::Stop { id: stopped }, Action::Start { id: second, .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(*stopped, first);
    assert!(!session.operations.holds(&first) && session.operations.holds(second));
    session.settle(&first, Settled::Answered("{}"));
    assert!(session.poll().is_none());
    session.settle(second, Settled::Finished);
    assert!(matches!(session.poll(), Some(Action::Send(_))));
}

#[test]
fn long_ids_and_long_waits_are_refused() {
    let message = |kind: &str, id: &str, query: &str| {
        format!(r#"{{"id":"{id}","type":"{kind}","payload":{{"query":"{query}"}}}}"#)
    };
    let mut session = Session::new(Dialect::TransportWs, OPTIONS, Instant::now());
    session.receive(&message("subscribe", &"i".repeat(257), ""));
    let Some(Action::Close { code, reason }) = session.poll() else { panic!("not closed") };
    assert_eq!(code, CloseCode::Malformed);
    assert!(reason.contains("256 bytes"), "{reason}");

    let mut session = Session::new(Dialect::LegacyWs, OPTIONS, Instant::now());
    let half = "q".repeat(WAITING_BYTES_MAX / 2);
    session.receive(&message("start", "1", &half));
    assert!(session.poll().is_none());
    session.receive(&message("start", "2", &half));
    let Some(Action::Send(error)) = session.poll() else { panic!("no error") };
    assert!(error.contains(r#""id":"2","type":"error""#) && error.contains("LIMIT_EXCEEDED"));
    assert_eq!(session.operations.len(), 1);
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<Session>() <= 200, "{}", size_of::<Session>());
}

/// A step of the client (as text) or of the layer above (`None`: to be chosen from `pick`).
fn any_step() -> impl Strategy<Value = (Option<String>, u8)> {
    let kinds = [
        "connection_init",
        "subscribe",
        "start",
        "complete",
        "stop",
        "ping",
        "pong",
        "next",
        "connection_terminate",
    ];
    let kind = prop::sample::select(kinds.to_vec());
    let payload = prop::sample::select(vec!["{}", "null", r#"{"query":"{ a }"}"#, "7"]);
    let message = (kind, 0..5_u8, payload).prop_map(|(kind, id, payload)| {
        format!(r#"{{"id":"{id}","type":"{kind}","payload":{payload}}}"#)
    });
    let text = prop_oneof![20 => message, 1 => "\\PC{0,20}"];
    (prop::option::weighted(0.7, text), any::<u8>())
}

/// Follows what a session says about its operations.
#[derive(Default)]
struct Witness {
    active: Vec<OperationId>,
    ended: Vec<OperationId>,
    closed: bool,
}

impl Witness {
    fn watch(&mut self, action: Action) {
        assert!(!self.closed, "{action:?} after the close");
        match action {
            Action::Start { id, .. } => {
                assert!(self.active.iter().all(|active| active.as_str() != id.as_str()));
                self.active.push(id);
            }
            Action::Stop { id } => self.end(&id),
            Action::Close { .. } => {
                self.closed = true;
                self.ended.append(&mut self.active);
            }
            Action::Authenticate { .. } | Action::Send(_) | Action::KeepAlive => {}
        }
    }

    fn end(&mut self, id: &OperationId) {
        let at = self.active.iter().position(|active| active == id).unwrap();
        self.ended.push(self.active.remove(at));
    }
}

fn play(dialect: Dialect, steps: Vec<(Option<String>, u8)>) {
    let mut now = Instant::now();
    let mut session = Session::new(dialect, OPTIONS, now);
    let mut witness = Witness::default();
    for (text, pick) in steps {
        let end = [Settled::Answered("{}"), Settled::Refused("[]"), Settled::Finished];
        let end = end[usize::from(pick) % 3];
        let choose = |ids: &[OperationId]| ids.get(usize::from(pick) % ids.len().max(1)).cloned();
        match (text, pick % 8) {
            (Some(text), _) => session.receive(&text),
            (None, 0) => session.close(CloseCode::Policy, "test"),
            (None, 1) => {
                now += Duration::from_secs(5);
                session.expire(now);
            }
            (None, 2..=4) => session.acknowledge("{}", pick % 2 == 0, now),
            (None, 5) => {
                if let Some(id) = choose(&witness.ended) {
                    session.settle(&id, end);
                    assert!(session.poll().is_none(), "a second end for {id}");
                }
            }
            (None, _) => {
                if let Some(id) = choose(&witness.active) {
                    session.settle(&id, end);
                    assert!(matches!(session.poll(), Some(Action::Send(_))));
                    witness.end(&id);
                }
            }
        }
        std::iter::from_fn(|| session.poll()).for_each(|action| witness.watch(action));
        assert!(session.operations.len() <= OPTIONS.operations_max);
        assert!(witness.active.iter().all(|id| session.operations.holds(id)));
        if (session.state == State::Acknowledged) || witness.closed {
            assert_eq!(session.operations.len(), witness.active.len());
        }
    }
}

proptest! {
    #[test]
    fn ids_never_leak_and_operations_end_once(
        legacy: bool,
        steps in prop::collection::vec(any_step(), 0..60),
    ) {
        // Most sequences begin well, or they would all end at the first message.
        let mut all = vec![(Some(r#"{"type":"connection_init"}"#.to_owned()), 0), (None, 2)];
        all.extend(steps);
        play(if legacy { Dialect::LegacyWs } else { Dialect::TransportWs }, all);
    }

    #[test]
    fn from_the_first_message_on(
        legacy: bool,
        steps in prop::collection::vec(any_step(), 0..20),
    ) {
        play(if legacy { Dialect::LegacyWs } else { Dialect::TransportWs }, steps);
    }
}
