//! One connection's side of the conversation.
//!
//! ```text
//!           connection_init                acknowledge
//!  Opened ───────────────────► Deciding ─────────────────► Acknowledged
//!    │                            │                             │
//!    │ init timeout (4408),       │ refused (4403),             │ id in use (4409),
//!    │ subscribe (4401)           │ second init (4429)          │ second init (4429)
//!    │                            ▼                             │
//!    └────────────────────────► Closed ◄────────────────────────┘
//!          from everywhere: malformed message (4400), connection_terminate (1000)
//! ```
//! The older protocol closes with none of 4400, 4401, 4409 and 4429: it answers with an error
//! message, lets operations wait for the acknowledgement, and ends the old use of an id in use.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::close::CloseCode;
use super::operations::Operations;
use super::read::Input;
use super::write::{self, Quoted};
use super::{Action, Dialect, OperationId, Options, Settled};
use super::{legacy_ws, transport_ws};

/// A client's conversation with the server, without its socket.
///
/// Call [`Session::poll`] until it returns `None` after every other call that takes `&mut self`.
#[derive(Debug)]
pub struct Session {
    /// What is to be done; seldom more than a result and the end of its operation.
    actions: SmallVec<[Action; 2]>,
    keep_alive: Duration,
    operations_max: usize,
    operations: Operations,
    /// Operations that came before the acknowledgement; the older protocol only.
    waiting: Vec<(OperationId, Box<RawValue>)>,
    deadline: Option<Instant>,
    dialect: Dialect,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opened,
    Deciding,
    Acknowledged,
    Closed,
}

/// Most bytes of requests that wait for the acknowledgement: what one client may make the server
/// keep before it is known who the client is.
const WAITING_BYTES_MAX: usize = 256 * 1024;

impl Session {
    /// A session whose socket was opened at `now`.
    pub fn new(dialect: Dialect, options: Options, now: Instant) -> Self {
        Self {
            actions: SmallVec::new(),
            keep_alive: options.keep_alive,
            operations_max: options.operations_max,
            operations: Operations::default(),
            waiting: Vec::new(),
            deadline: now.checked_add(options.init_timeout),
            dialect,
            state: State::Opened,
        }
    }

    /// Another limit of running operations; those that run go on.
    pub fn set_operations_max(&mut self, operations_max: usize) {
        self.operations_max = operations_max;
    }

    /// Takes one text message from the client.
    pub fn receive(&mut self, text: &str) {
        if self.state == State::Closed {
            return;
        }
        match self.dialect {
            Dialect::TransportWs => match transport_ws::read(text) {
                Ok(input) => self.act(input),
                Err(malformed) => self.close(CloseCode::Malformed, malformed.to_string()),
            },
            Dialect::LegacyWs => match legacy_ws::read(text) {
                Ok(input) => self.act(input),
                Err(malformed) => self.send(legacy_ws::connection_error(&malformed.to_string())),
            },
        }
    }

    fn act(&mut self, input: Input<'_>) {
        match input {
            Input::Init { payload } => self.init(payload),
            Input::Ping { payload } => self.send(transport_ws::pong(payload.map(RawValue::get))),
            Input::Pong => {}
            Input::Start { id, request } => self.start(id, request),
            Input::BadStart { id, why } => {
                self.end_use(&id);
                let errors = format!(r#"[{{"message":{}}}]"#, Quoted(&why.to_string()));
                self.send(self.error(&id, &errors));
            }
            Input::Stop { id } => self.stop(&id),
            Input::Terminate => self.close(CloseCode::Normal, CloseCode::Normal.reason()),
        }
    }

    fn init(&mut self, payload: Option<&RawValue>) {
        let second = CloseCode::SecondInit;
        match (self.state, self.dialect) {
            (State::Opened, _) => {
                self.state = State::Deciding;
                self.deadline = None;
                let payload = payload.map(ToOwned::to_owned);
                self.actions.push(Action::Authenticate { payload });
            }
            (_, Dialect::TransportWs) => self.close(second, second.reason()),
            (_, Dialect::LegacyWs) => self.send(legacy_ws::connection_error(second.reason())),
        }
    }

    fn start(&mut self, id: Cow<'_, str>, request: &RawValue) {
        let acknowledged = self.state == State::Acknowledged;
        match self.dialect {
            Dialect::TransportWs if !acknowledged => {
                let code = CloseCode::Unacknowledged;
                return self.close(code, code.reason());
            }
            Dialect::TransportWs if self.operations.find(&id).is_some() => {
                let reason = format!("Subscriber for {id} already exists");
                return self.close(CloseCode::IdInUse, reason);
            }
            Dialect::TransportWs => {}
            Dialect::LegacyWs => drop(self.end_use(&id)),
        }
        if self.operations.len() >= self.operations_max {
            let most = self.operations_max;
            return self.refuse_start(&id, &format!("at most {most} operations at a time"));
        }
        let waiting_bytes: usize = self.waiting.iter().map(|(_, text)| text.get().len()).sum();
        if !acknowledged && waiting_bytes + request.get().len() > WAITING_BYTES_MAX {
            let limit = "at most 256 KiB of operations may wait for connection_ack";
            return self.refuse_start(&id, limit);
        }
        let id = self.operations.take(id);
        if acknowledged {
            self.actions.push(Action::Start { id, request: request.to_owned() });
        } else {
            self.waiting.push((id, request.to_owned()));
        }
    }

    fn refuse_start(&mut self, id: &str, limit: &str) {
        let message =
            format!("One connection may have {limit}; end one, or use another connection");
        let extensions = r#"{"code":"LIMIT_EXCEEDED"}"#;
        let errors = format!(r#"[{{"message":"{message}","extensions":{extensions}}}]"#);
        self.send(self.error(id, &errors));
    }

    fn stop(&mut self, id: &str) {
        let ended = self.end_use(id);
        // The older protocol confirms; in the newer both sides just stop.
        if let (Some(id), Dialect::LegacyWs) = (ended, self.dialect) {
            self.send(write::complete(&id));
        }
    }

    /// Ends whatever use of the id there is, without a word to the client.
    fn end_use(&mut self, id: &str) -> Option<OperationId> {
        let id = self.operations.release_text(id)?;
        match self.waiting.iter().position(|(waiting, _)| *waiting == id) {
            Some(at) => drop(self.waiting.remove(at)),
            None => self.actions.push(Action::Stop { id: id.clone() }),
        }
        Some(id)
    }

    /// Lets the client in: the answer to [`Action::Authenticate`].
    ///
    /// `payload` is the text of a JSON object. With `resume` the client gets
    /// [`Action::KeepAlive`] from time to time.
    pub fn acknowledge(&mut self, payload: &str, resume: bool, now: Instant) {
        if self.state != State::Deciding {
            return;
        }
        self.state = State::Acknowledged;
        match self.dialect {
            Dialect::TransportWs => {
                self.send(write::ack(payload));
                self.deadline = resume.then(|| self.next_keep_alive(now)).flatten();
            }
            Dialect::LegacyWs => {
                self.send(write::ack(payload));
                self.send(legacy_ws::KEEP_ALIVE.to_owned());
                self.deadline = self.next_keep_alive(now);
            }
        }
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.actions.extend(waiting.map(|(id, request)| Action::Start { id, request }));
    }

    fn next_keep_alive(&self, now: Instant) -> Option<Instant> {
        now.checked_add(self.keep_alive)
    }

    /// Turns the client out, at any time. Nothing happens if the session is closed already.
    ///
    /// In the older protocol a client that was not let in yet is told by a message as well.
    pub fn close(&mut self, code: CloseCode, reason: impl Into<Cow<'static, str>>) {
        if self.state == State::Closed {
            return;
        }
        let reason = reason.into();
        let deciding = matches!(self.state, State::Opened | State::Deciding);
        if deciding && self.dialect == Dialect::LegacyWs && code == CloseCode::Forbidden {
            self.send(legacy_ws::connection_error(&reason));
        }
        self.state = State::Closed;
        self.deadline = None;
        self.operations.clear();
        self.waiting = Vec::new();
        self.actions.push(Action::Close { code, reason });
    }

    /// Tells how an operation ended. Nothing happens if the client has ended it before.
    pub fn settle(&mut self, id: &OperationId, end: Settled<'_>) {
        if !self.operations.release(id) {
            return;
        }
        match end {
            Settled::Refused(errors) => self.send(self.error(id.as_str(), errors)),
            Settled::Finished => self.send(write::complete(id)),
            Settled::Answered(result) => {
                self.send(match self.dialect {
                    Dialect::TransportWs => transport_ws::next(id, result),
                    Dialect::LegacyWs => legacy_ws::next(id, result),
                });
                self.send(write::complete(id));
            }
        }
    }

    fn error(&self, id: &str, errors: &str) -> String {
        match self.dialect {
            Dialect::TransportWs => transport_ws::error(id, errors),
            Dialect::LegacyWs => legacy_ws::error(id, errors),
        }
    }

    /// Sends a client of `graphql-transport-ws` a ping: the answer to [`Action::KeepAlive`].
    ///
    /// `payload` is the text of a JSON object. The older protocol has no such message.
    pub fn ping(&mut self, payload: &str) {
        if self.state == State::Acknowledged && self.dialect == Dialect::TransportWs {
            self.send(transport_ws::ping(payload));
        }
    }

    /// Does what is due at `now`.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match (self.state, self.dialect) {
            (State::Opened, _) => {
                let code = CloseCode::InitTimeout;
                return self.close(code, code.reason());
            }
            (_, Dialect::TransportWs) => self.actions.push(Action::KeepAlive),
            (_, Dialect::LegacyWs) => self.send(legacy_ws::KEEP_ALIVE.to_owned()),
        }
        self.deadline = self.next_keep_alive(now);
    }

    /// When to call [`Session::expire`] next. It changes with `connection_init` (the first
    /// `receive` calls), `acknowledge`, `expire` and whatever closes.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        if self.actions.is_empty() { None } else { Some(self.actions.remove(0)) }
    }

    /// Which protocol is spoken.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    fn send(&mut self, text: String) {
        self.actions.push(Action::Send(text));
    }
}

#[cfg(test)]
mod tests;
