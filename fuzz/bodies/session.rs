//! Conversations in both subprotocols: any messages of a client and any reactions of the layer
//! above, in the notation of `tests/it/dialogues`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tidings::protocol::close::CloseCode;
use tidings::protocol::session::Session;
use tidings::protocol::{Action, Dialect, OperationId, Options, Settled};

const OPTIONS: Options = Options {
    init_timeout: Duration::from_secs(10),
    keep_alive: Duration::from_secs(25),
    operations_max: 3,
};
const ID_BYTES_MAX: usize = 256;

/// The members of a message.
type Members<'a> = HashMap<Cow<'a, str>, &'a RawValue>;

/// One input: lines. `>` is what the client sends, `~` what the layer above or the clock does;
/// others say nothing. Both dialects hear the same.
pub fn run(data: &[u8]) {
    let script = String::from_utf8_lossy(data);
    for dialect in [Dialect::TransportWs, Dialect::LegacyWs] {
        let mut stage = Stage::new(dialect);
        for line in script.split('\n') {
            if let Some(text) = line.strip_prefix('>') {
                stage.receive(text.strip_prefix(' ').unwrap_or(text));
            } else if let Some(act) = line.strip_prefix("~ ") {
                stage.act(act);
            }
        }
        stage.end();
    }
}

/// A session, and all that may be known of it from outside.
struct Stage {
    session: Session,
    dialect: Dialect,
    now: Instant,
    /// Operations that began and have not ended.
    active: Vec<OperationId>,
    ended: Vec<OperationId>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Opened,
    Deciding,
    Acknowledged,
    Closed,
}

impl Stage {
    fn new(dialect: Dialect) -> Self {
        let now = Instant::now();
        let session = Session::new(dialect, OPTIONS, now);
        let (active, ended) = (Vec::new(), Vec::new());
        Self { session, dialect, now, active, ended, progress: Progress::Opened }
    }

    fn receive(&mut self, text: &str) {
        self.session.receive(text);
        for action in self.actions() {
            if let Action::Send(sent) = &action {
                self.check_answer(text, sent);
            }
            self.watch(action);
        }
    }

    /// What the layer above, or the clock, does.
    fn act(&mut self, words: &str) {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let (first, _) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "ack" => return self.acknowledge(first == "resume"),
            "answer" => return self.settle(first, Settled::Answered(r#"{"data":null}"#)),
            "refuse" => return self.settle(first, Settled::Refused(r#"[{"message":"no"}]"#)),
            "finish" => return self.settle(first, Settled::Finished),
            "close" => {
                let code = first.parse().ok().and_then(CloseCode::from_number);
                self.session.close(code.unwrap_or(CloseCode::Policy), rest.to_owned());
            }
            "ping" => {
                self.session.ping("{}");
                let is_sent = self.progress == Progress::Acknowledged && self.is_new();
                return self.expect_sent(usize::from(is_sent), &["ping"]);
            }
            "wait" => {
                let seconds = first.trim_end_matches('s').parse().unwrap_or(25_u16);
                self.now += Duration::from_secs(seconds.into());
                let is_due = self.session.deadline().is_some_and(|due| due <= self.now);
                self.session.expire(self.now);
                assert!(self.session.deadline().is_none_or(|due| due > self.now));
                let actions = self.actions();
                assert_eq!(actions.is_empty(), !is_due, "{actions:?}");
                return self.watch_all(actions);
            }
            _ => {}
        }
        let actions = self.actions();
        self.watch_all(actions);
    }

    fn acknowledge(&mut self, resume: bool) {
        let was_deciding = self.progress == Progress::Deciding;
        self.session.acknowledge(r#"{"connection":"c1"}"#, resume, self.now);
        let actions = self.actions();
        if !was_deciding {
            return assert!(actions.is_empty(), "not asked: {actions:?}");
        }
        let Some(Action::Send(text)) = actions.first() else { panic!("no ack: {actions:?}") };
        assert_eq!(kind(text), "connection_ack");
        self.progress = Progress::Acknowledged;
        self.watch_all(actions);
    }

    /// Ends the newest operation with this text as its id; once more, if it has ended.
    fn settle(&mut self, id: &str, end: Settled<'_>) {
        let find = |ids: &[OperationId]| ids.iter().rposition(|found| found.as_str() == id);
        if let Some(at) = find(&self.active) {
            let id = self.active.remove(at);
            self.ended.push(id.clone());
            self.session.settle(&id, end);
            let expected: &[&str] = match (end, self.is_new()) {
                (Settled::Refused(_), _) => &["error"],
                (Settled::Finished, _) => &["complete"],
                (Settled::Answered(_), true) => &["next", "complete"],
                (Settled::Answered(_), false) => &["data", "complete"],
            };
            self.expect_sent(expected.len(), expected);
        } else if let Some(at) = find(&self.ended) {
            self.session.settle(&self.ended[at], end);
            self.expect_sent(0, &[]);
        }
    }

    fn expect_sent(&mut self, count: usize, kinds: &[&str]) {
        let actions = self.actions();
        assert_eq!(actions.len(), count, "{actions:?}");
        for (action, expected) in actions.iter().zip(kinds) {
            let Action::Send(text) = action else { panic!("not sent: {action:?}") };
            assert_eq!(kind(text), *expected);
        }
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    fn is_new(&self) -> bool {
        self.dialect == Dialect::TransportWs
    }

    fn watch_all(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.watch(action);
        }
    }

    /// What has to hold of every action.
    fn watch(&mut self, action: Action) {
        assert!(self.progress != Progress::Closed, "after the close: {action:?}");
        match action {
            Action::Authenticate { payload } => {
                assert_eq!(self.progress, Progress::Opened, "a second time");
                assert!(payload.is_none_or(|payload| payload.get().starts_with('{')));
                self.progress = Progress::Deciding;
            }
            Action::Start { id, request } => {
                assert_eq!(self.progress, Progress::Acknowledged, "{id} begins too early");
                assert!(request.get().starts_with('{'), "{request}");
                assert!((1..=ID_BYTES_MAX).contains(&id.as_str().len()));
                let in_use = self.active.iter().any(|active| active.as_str() == id.as_str());
                assert!(!in_use, "{id} is in use");
                self.active.push(id);
                assert!(self.active.len() <= OPTIONS.operations_max);
            }
            Action::Stop { id } => {
                let at = self.active.iter().position(|active| *active == id);
                let Some(at) = at else { panic!("{id} is not active") };
                self.ended.push(self.active.remove(at));
            }
            Action::Send(text) => drop(kind(&text)),
            Action::KeepAlive => {
                assert!(self.is_new() && self.progress == Progress::Acknowledged);
            }
            Action::Close { .. } => {
                self.progress = Progress::Closed;
                self.ended.append(&mut self.active);
                assert_eq!(self.session.deadline(), None);
            }
        }
    }

    /// What is sent in answer to a client's message.
    fn check_answer(&self, message: &str, answer: &str) {
        let answer_members = members(answer);
        let id = answer_members.get("id").map(|id| id.get());
        match (kind(answer).as_str(), self.is_new()) {
            ("pong", true) => {
                let asked = members(message);
                let payload = asked.get("payload").map(|payload| payload.get());
                let payload = payload.filter(|payload| *payload != "null");
                assert_eq!(answer_members.get("payload").map(|payload| payload.get()), payload);
            }
            ("error", _) | ("complete", false) => {
                let id: String =
                    id.and_then(|id| serde_json::from_str(id).ok()).unwrap_or_default();
                let is_active = self.active.iter().any(|active| active.as_str() == id);
                assert!(!is_active && !id.is_empty(), "{answer} to {message}");
            }
            ("connection_error", false) => assert!(id.is_none()),
            (other, _) => panic!("{other} in answer to {message}"),
        }
    }

    /// Whatever is left ends with the connection.
    fn end(&mut self) {
        self.session.close(CloseCode::GoingAway, "");
        let actions = self.actions();
        self.watch_all(actions);
        assert!(self.active.is_empty() && self.progress == Progress::Closed);
        self.receive(r#"{"type":"connection_init"}"#);
        self.act("wait 60s");
        self.act("ping");
    }
}

/// The members of a message that is sent: it has to be a JSON object.
fn members(text: &str) -> Members<'_> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn kind(text: &str) -> String {
    let members = members(text);
    let kind = members.get("type").and_then(|kind| serde_json::from_str(kind.get()).ok());
    kind.unwrap_or_else(|| panic!("no type: {text}"))
}
