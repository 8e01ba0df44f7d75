//! The opening handshake, seen from both sides (RFC 6455, section 4; RFC 8441 over HTTP/2).

use axum::http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::deflate::offer::{self, Agreed};

/// A request that may become a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// For `Sec-WebSocket-Accept`; HTTP/2 has none, its answer is a plain 200.
    pub accept: Option<HeaderValue>,
    /// The subprotocols offered, the one that the client likes best first.
    pub protocols: Vec<String>,
    /// How messages may be compressed, if the client offered it in a way that we can keep to.
    pub deflate: Option<Agreed>,
}

/// Why a request cannot become a WebSocket; the text is the body of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// HTTP/1.1 opens a WebSocket with GET only.
    #[error("a WebSocket is opened with GET (over HTTP/2 with extended CONNECT)")]
    Method,
    /// HTTP/1.0 cannot upgrade.
    #[error("a WebSocket needs HTTP/1.1 or HTTP/2")]
    HttpVersion,
    /// No `Upgrade`, or one to something else.
    #[error("this is a WebSocket endpoint; the request needs the header \"Upgrade: websocket\"")]
    Upgrade,
    /// The request asks for an upgrade but not of this connection.
    #[error("a WebSocket handshake needs the header \"Connection: Upgrade\"")]
    Connection,
    /// Another version of the protocol, or none.
    #[error("a WebSocket handshake needs the header \"Sec-WebSocket-Version: 13\"")]
    WebSocketVersion,
    /// No key, several, or one that is not 16 bytes.
    #[error(
        "a WebSocket handshake needs the header Sec-WebSocket-Key once, with the base64 of 16 bytes"
    )]
    Key,
}

impl Refusal {
    /// The status to answer with.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::HttpVersion | Self::Upgrade | Self::Connection | Self::Key => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    /// The header that says what would have been right, where HTTP has one for it.
    pub const fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("GET"))),
            Self::WebSocketVersion => Some((SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))),
            Self::HttpVersion | Self::Upgrade | Self::Connection | Self::Key => None,
        }
    }
}

/// Checks a request for a WebSocket.
///
/// Over HTTP/2 the caller has seen `:protocol` to be `websocket` (RFC 8441, section 4).
pub fn check(method: &Method, version: Version, headers: &HeaderMap) -> Result<Accepted, Refusal> {
    let accept = if version == Version::HTTP_2 && method == Method::CONNECT {
        check_version(headers)?;
        None
    } else {
        Some(check_upgrade(method, version, headers)?)
    };
    let protocols = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).map(str::to_owned).collect();
    Ok(Accepted { accept, protocols, deflate: offer::agree(headers) })
}

/// Does `Upgrade` name the WebSocket?
pub fn upgrades(headers: &HeaderMap) -> bool {
    tokens(headers, &UPGRADE).any(|item| item.eq_ignore_ascii_case("websocket"))
}

fn check_upgrade(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
) -> Result<HeaderValue, Refusal> {
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    if version != Version::HTTP_11 {
        return Err(Refusal::HttpVersion);
    }
    if !upgrades(headers) {
        return Err(Refusal::Upgrade);
    }
    if !tokens(headers, &CONNECTION).any(|item| item.eq_ignore_ascii_case("upgrade")) {
        return Err(Refusal::Connection);
    }
    check_version(headers)?;
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else { return Err(Refusal::Key) };
    let key = key.to_str().ok().map(str::trim).filter(|key| is_key(key)).ok_or(Refusal::Key)?;
    HeaderValue::try_from(accept_key(key)).map_err(|_| Refusal::Key)
}

fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut versions = tokens(headers, &SEC_WEBSOCKET_VERSION);
    match (versions.next(), versions.next()) {
        (Some("13"), None) => Ok(()),
        _ => Err(Refusal::WebSocketVersion),
    }
}

/// 16 bytes are 22 characters of base64 and two of padding. The key is never decoded (RFC 6455,
/// section 4.2.1), so the four bits that the last character has to spare may be anything.
fn is_key(key: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix("==").is_some_and(|key| key.len() == 22 && key.bytes().all(is_base64))
}

/// The items of a list header, over all lines that it was sent in.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// The proof that the server read the client's key (RFC 6455, section 4.2.2).
pub fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// A client's `Sec-WebSocket-Key` from fresh random bytes.
pub fn request_key(random: [u8; 16]) -> String {
    STANDARD.encode(random)
}

/// The server's answer does not prove that it read our key, so it may be no WebSocket at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server answered Sec-WebSocket-Accept {got:?}; {expected:?} would be right")]
pub struct WrongAccept {
    expected: String,
    got: Option<String>,
}

/// Checks the answer to a client's key.
pub fn check_accept(key: &str, headers: &HeaderMap) -> Result<(), WrongAccept> {
    let expected = accept_key(key);
    let got = headers.get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    match got {
        Some(got) if got == expected.as_bytes() => Ok(()),
        _ => Err(WrongAccept {
            expected,
            got: got.map(|got| String::from_utf8_lossy(got).into_owned()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    /// The request of RFC 6455, section 1.3, with headers of that name replaced by `lines`.
    fn request(lines: &str) -> HeaderMap {
        let base = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in base {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let split = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (HeaderName::try_from(name).unwrap(), value.trim().to_owned())
        };
        for (name, _) in lines.lines().map(split) {
            headers.remove(name);
        }
        for (name, value) in lines.lines().map(split).filter(|(_, value)| !value.is_empty()) {
            headers.append(name, HeaderValue::try_from(value).unwrap());
        }
        headers
    }

    fn get(lines: &str) -> Result<Accepted, Refusal> {
        check(&Method::GET, Version::HTTP_11, &request(lines))
    }

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept_key(KEY), ACCEPT);
        let accepted = get("Sec-WebSocket-Protocol: chat, superchat").unwrap();
        assert_eq!(accepted.accept.unwrap(), ACCEPT);
        assert_eq!(accepted.protocols, ["chat", "superchat"]);
    }

    #[test]
    fn lists_may_span_lines_in_any_letter_case() {
        let accepted =
            get("Connection: keep-alive\nConnection: x ,upGRADE\nUpgrade: h2c, WebSocket\n\
             Sec-WebSocket-Protocol: mqtt,,a\nSec-WebSocket-Protocol: B");
        assert_eq!(accepted.unwrap().protocols, ["mqtt", "a", "B"]);
    }

    #[test]
    fn an_offer_of_deflate_never_decides_about_the_handshake() {
        let answer = |lines| Some(get(lines).unwrap().deflate?.answer);
        assert_eq!(answer(""), None);
        assert_eq!(answer("Sec-WebSocket-Extensions: permessage-deflate; what=\"is this"), None);
        assert_eq!(
            answer("Sec-WebSocket-Extensions: x\nSec-WebSocket-Extensions: permessage-deflate")
                .unwrap(),
            "permessage-deflate; client_no_context_takeover"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = [
            ("Upgrade:", Refusal::Upgrade, 400),
            ("Upgrade: h2c", Refusal::Upgrade, 400),
            ("Connection:", Refusal::Connection, 400),
            ("Connection: keep-alive", Refusal::Connection, 400),
            ("Sec-WebSocket-Version:", Refusal::WebSocketVersion, 426),
            ("Sec-WebSocket-Version: 8", Refusal::WebSocketVersion, 426),
            ("Sec-WebSocket-Version: 13, 8", Refusal::WebSocketVersion, 426),
            ("Sec-WebSocket-Key:", Refusal::Key, 400),
            ("Sec-WebSocket-Key: SGVsbG8sIHdvcmxkIQ==", Refusal::Key, 400),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", Refusal::Key, 400),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q==", Refusal::Key, 400),
        ];
        for (lines, refusal, status) in table {
            assert_eq!(get(lines), Err(refusal), "{lines}");
            assert_eq!(refusal.status(), status);
        }
        let twice = format!("Sec-WebSocket-Key: {KEY}\nSec-WebSocket-Key: {KEY}");
        assert_eq!(get(&twice), Err(Refusal::Key));
        let (name, value) = Refusal::WebSocketVersion.header().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("sec-websocket-version", &b"13"[..]));
    }

    #[test]
    fn method_and_http_version() {
        let try_with = |method, version| check(&method, version, &request(""));
        assert_eq!(try_with(Method::POST, Version::HTTP_11), Err(Refusal::Method));
        assert_eq!(try_with(Method::CONNECT, Version::HTTP_11), Err(Refusal::Method));
        assert_eq!(try_with(Method::GET, Version::HTTP_10), Err(Refusal::HttpVersion));
        assert_eq!(try_with(Method::GET, Version::HTTP_2), Err(Refusal::HttpVersion));
    }

    #[test]
    fn extended_connect_has_no_key_and_no_upgrade() {
        let connect = |lines: &str| check(&Method::CONNECT, Version::HTTP_2, &request(lines));
        let bare = "Upgrade:\nConnection:\nSec-WebSocket-Key:";
        let accepted = connect(&format!("{bare}\nSec-WebSocket-Protocol: graphql-ws")).unwrap();
        assert_eq!(accepted.accept, None);
        assert_eq!(accepted.protocols, ["graphql-ws"]);
        assert_eq!(connect("Sec-WebSocket-Version: 12"), Err(Refusal::WebSocketVersion));
    }

    #[test]
    fn a_client_aborts_on_a_wrong_accept() {
        let key = request_key(*b"the sample nonce");
        assert_eq!(key, KEY);
        let mut headers = HeaderMap::new();
        let missing = check_accept(&key, &headers).unwrap_err();
        assert!(missing.to_string().contains(ACCEPT), "{missing}");
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(KEY));
        assert!(check_accept(&key, &headers).unwrap_err().to_string().contains(KEY));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(ACCEPT));
        assert_eq!(check_accept(&key, &headers), Ok(()));
    }
}
