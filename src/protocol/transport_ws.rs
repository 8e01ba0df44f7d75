//! The words of `graphql-transport-ws` (PROTOCOL.md of graphql-ws).

use super::OperationId;
use super::read::{Envelope, Input, Malformed};
use super::write::Quoted;

pub(super) fn read(text: &str) -> Result<Input<'_>, Malformed> {
    let message = Envelope::read(text)?;
    match &*message.kind()? {
        "subscribe" => {
            Ok(Input::Start { id: message.id("subscribe")?, request: message.object("subscribe")? })
        }
        "complete" => Ok(Input::Stop { id: message.id("complete")? }),
        "ping" => Ok(Input::Ping { payload: message.optional_object("ping")? }),
        "pong" => message.optional_object("pong").map(|_| Input::Pong),
        "connection_init" => {
            Ok(Input::Init { payload: message.optional_object("connection_init")? })
        }
        other => Err(Malformed::unknown_type(other)),
    }
}

pub(super) fn ping(payload: &str) -> String {
    format!(r#"{{"type":"ping","payload":{payload}}}"#)
}

pub(super) fn pong(payload: Option<&str>) -> String {
    match payload {
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#),
        None => r#"{"type":"pong"}"#.to_owned(),
    }
}

pub(super) fn next(id: &OperationId, result: &str) -> String {
    format!(r#"{{"id":{},"type":"next","payload":{result}}}"#, Quoted(id.as_str()))
}

pub(super) fn error(id: &str, errors: &str) -> String {
    format!(r#"{{"id":{},"type":"error","payload":{errors}}}"#, Quoted(id))
}
