//! The words of the older protocol, called `graphql-ws` (PROTOCOL.md of
//! subscriptions-transport-ws; where it is silent, what that server does).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::OperationId;
use super::read::{Envelope, Input, Malformed};
use super::write::Quoted;

pub(super) const KEEP_ALIVE: &str = r#"{"type":"ka"}"#;

pub(super) fn read(text: &str) -> Result<Input<'_>, Malformed> {
    let message = Envelope::read(text)?;
    match &*message.kind()? {
        "start" => {
            let id = message.id("start")?;
            Ok(match message.object("start") {
                Ok(request) => Input::Start { id, request },
                Err(why) => Input::BadStart { id, why },
            })
        }
        "stop" => Ok(Input::Stop { id: message.id("stop")? }),
        "connection_init" => {
            Ok(Input::Init { payload: message.optional_object("connection_init")? })
        }
        "connection_terminate" => Ok(Input::Terminate),
        other => Err(Malformed::unknown_type(other)),
    }
}

/// A failure of the connection as a whole.
pub(super) fn connection_error(message: &str) -> String {
    format!(r#"{{"type":"connection_error","payload":{{"message":{}}}}}"#, Quoted(message))
}

pub(super) fn next(id: &OperationId, result: &str) -> String {
    format!(r#"{{"id":{},"type":"data","payload":{result}}}"#, Quoted(id.as_str()))
}

pub(super) fn error(id: &str, errors: &str) -> String {
    format!(r#"{{"id":{},"type":"error","payload":{}}}"#, Quoted(id), one_error(errors))
}

/// This protocol has one error where the newer has a list. Its own client looks for more of them
/// in a field `errors`; all others read the first.
fn one_error(errors: &str) -> Cow<'_, str> {
    match serde_json::from_str::<Vec<&RawValue>>(errors).as_deref() {
        Ok([only]) => Cow::Borrowed(only.get()),
        Ok([first, _, ..]) => match first.get().strip_prefix('{') {
            Some(fields) => Cow::Owned(format!(r#"{{"errors":{errors},{fields}"#)),
            None => Cow::Borrowed(errors),
        },
        Ok([]) | Err(_) => Cow::Borrowed(errors),
    }
}
