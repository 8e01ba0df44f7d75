//! What the two sides agree on (RFC 7692, sections 5 and 7.1), in `Sec-WebSocket-Extensions`.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::mem;

use axum::http::header::SEC_WEBSOCKET_EXTENSIONS;
use axum::http::{HeaderMap, HeaderValue};

use super::WindowBits;

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What our client offers. An [`Inflater`](super::inflate::Inflater) keeps no window between
/// messages, and our [`Deflater`](super::Deflater) needs none.
pub const OFFER: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// What a server keeps to when it compresses, and tells the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The window that what we send must fit into.
    pub window: WindowBits,
    /// Our `Sec-WebSocket-Extensions`.
    pub answer: HeaderValue,
}

/// The first offer of a request that we can take up; the client lists the best one first.
///
/// One that is not as it must be is passed over like an extension that we do not know (RFC 7692,
/// section 7.1): without any that is left, the connection opens uncompressed.
pub fn agree(headers: &HeaderMap) -> Option<Agreed> {
    let params = extensions(headers).find_map(Params::read)?;
    let window = params.server_bits.map_or(WindowBits::MAX, WindowBits::nearest);
    let answer = HeaderValue::try_from(params.answer()).ok()?;
    Some(Agreed { window, answer })
}

/// The server took up what was not offered, or did not answer it as it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server answered Sec-WebSocket-Extensions {got:?}, which does not fit {OFFER:?}")]
pub struct WrongAnswer {
    got: String,
}

/// Whether the server took up [`OFFER`].
pub fn check_answer(headers: &HeaderMap) -> Result<bool, WrongAnswer> {
    let lines = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    let got: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
    let got = got.join(", ");
    let answers: Vec<Option<Params>> = list(&got).map(Params::read).collect();
    match answers.as_slice() {
        [] => Ok(false),
        // What window the server uses is its own business: ours is the largest.
        [Some(Params { server_no_context_takeover: true, client_bits: None, .. })] => Ok(true),
        _ => Err(WrongAnswer { got }),
    }
}

/// The parameters of one permessage-deflate.
#[derive(Debug, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_bits: Option<u8>,
    client_bits: Option<u8>,
}

impl Params {
    /// `None` for another extension, and for one with a parameter that is unknown, given twice or
    /// not what it must be (RFC 7692, section 7.1).
    fn read(extension: &str) -> Option<Self> {
        let mut parts = split(extension, ';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(NAME) {
            return None;
        }
        let mut params = Self::default();
        parts.all(|part| params.take(part).unwrap_or(false)).then_some(params)
    }

    /// Whether the parameter is right and new; `None` if its value cannot be read.
    fn take(&mut self, part: &str) -> Option<bool> {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start())?)),
            None => (part, None),
        };
        Some(match (name.to_ascii_lowercase().as_str(), value) {
            (SERVER_NO_CONTEXT_TAKEOVER, None) => {
                !mem::replace(&mut self.server_no_context_takeover, true)
            }
            (CLIENT_NO_CONTEXT_TAKEOVER, None) => {
                !mem::replace(&mut self.client_no_context_takeover, true)
            }
            (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                self.server_bits.replace(bits(&value)?).is_none()
            }
            // Leaves the number to us. Our inflater has the largest window anyway.
            (CLIENT_MAX_WINDOW_BITS, None) => {
                self.client_bits.replace(WindowBits::MAX.bits()).is_none()
            }
            (CLIENT_MAX_WINDOW_BITS, Some(value)) => {
                self.client_bits.replace(bits(&value)?).is_none()
            }
            _ => false,
        })
    }

    /// Clients are always asked to compress each message by itself, so that none of their windows
    /// has to be kept. The other parameters may only be answered where they were offered.
    fn answer(&self) -> String {
        let mut answer = format!("{NAME}; {CLIENT_NO_CONTEXT_TAKEOVER}");
        if self.server_no_context_takeover {
            answer.push_str("; ");
            answer.push_str(SERVER_NO_CONTEXT_TAKEOVER);
        }
        let numbers = [
            (SERVER_MAX_WINDOW_BITS, self.server_bits),
            (CLIENT_MAX_WINDOW_BITS, self.client_bits),
        ];
        for (name, bits) in numbers {
            if let Some(bits) = bits {
                // Writing into a string cannot fail.
                let _ = write!(answer, "; {name}={bits}");
            }
        }
        answer
    }
}

/// 8 to 15, without a leading zero (RFC 7692, section 7.1.2).
fn bits(value: &str) -> Option<u8> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    value.parse().ok().filter(|bits| is_number && (8..=15).contains(bits))
}

/// A token as it is, a quoted string without its quotes and escapes.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.into()) };
    let mut text = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => break,
            '\\' => text.push(chars.next()?),
            plain => text.push(plain),
        }
    }
    chars.as_str().is_empty().then_some(text.into())
}

/// The extensions of all header lines.
fn extensions(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(list)
}

fn list(line: &str) -> impl Iterator<Item = &str> {
    split(line, ',').map(str::trim).filter(|extension| !extension.is_empty())
}

/// Splits at a separator that stands outside quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |found| {
        let was_escaped = mem::replace(&mut is_escaped, false);
        match found {
            '\\' if is_quoted => is_escaped = !was_escaped,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        found == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests;
