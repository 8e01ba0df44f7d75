//! A GraphQL request as clients send it, taken apart no further than needed.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::{Code, Error};
use super::raw;

/// What a client asks; borrows from the text that brought it.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// The document; may be absent when its hash is given.
    pub query: Option<Cow<'a, str>>,
    /// Which operation of the document.
    pub operation_name: Option<Cow<'a, str>>,
    /// An object.
    pub variables: Option<&'a RawValue>,
    /// An object.
    pub extensions: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    /// Reads the JSON of a request: a body, or the payload of a `subscribe`.
    pub fn parse(json: &'a str) -> Result<Self, Error> {
        let members = raw::parse_object(json).map_err(|error| {
            bad(format!("the request is not a JSON object with a `query`: {error}"))
        })?;
        let mut request = Self::default();
        for (name, value) in members {
            if value.get() == "null" {
                continue;
            }
            match &*name {
                "query" => request.query = Some(string("query", value)?),
                "operationName" => request.operation_name = Some(string("operationName", value)?),
                "variables" => request.variables = Some(object("variables", value)?),
                "extensions" => request.extensions = Some(object("extensions", value)?),
                // Clients add members of their own, which the specification allows.
                _ => {}
            }
        }
        Ok(request)
    }

    /// A member of the extensions that is not null.
    pub fn extension(&self, name: &str) -> Option<&'a RawValue> {
        let members = raw::object(self.extensions?);
        let member = members.into_iter().rfind(|(member, _)| member == name);
        member.map(|(_, value)| value).filter(|value| value.get() != "null")
    }
}

fn string<'a>(name: &str, value: &'a RawValue) -> Result<Cow<'a, str>, Error> {
    raw::string(value).ok_or_else(|| bad(format!("`{name}` must be a string")))
}

fn object<'a>(name: &str, value: &'a RawValue) -> Result<&'a RawValue, Error> {
    let is_object = value.get().starts_with('{');
    if is_object { Ok(value) } else { Err(bad(format!("`{name}` must be an object"))) }
}

fn bad(message: String) -> Error {
    Error::new(Code::BadRequest, message)
}
