//! Headers of an opening handshake: one answer, whatever they hold, that does not depend on how
//! lists are spread over lines, and that a client takes for right.

use axum::http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, Method, Version};
use tidings::protocol::Dialect;
use tidings::websocket::deflate::offer;
use tidings::websocket::handshake::{self, Accepted, Refusal};

const LISTS: [HeaderName; 4] = [UPGRADE, CONNECTION, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION];

/// One input: a line with a method and a version, then one header a line.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let (method, version) = request_line(lines.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let name = HeaderName::from_bytes(name);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let answer = handshake::check(&method, version, &headers);
    assert_eq!(answer, handshake::check(&method, version, &on_one_line(&headers)));
    match &answer {
        Ok(accepted) => check_accepted(accepted, version, &headers),
        Err(refusal) => check_refusal(*refusal),
    }
    check_deflate(&headers);
}

fn request_line(line: &[u8]) -> (Method, Version) {
    let line = String::from_utf8_lossy(line);
    let (method, version) = line.split_once(' ').unwrap_or((&line, ""));
    let version = match version {
        "1.0" => Version::HTTP_10,
        "2" => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    (Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET), version)
}

/// The same headers, each list on one line. Lines that are not text count as not sent.
fn on_one_line(headers: &HeaderMap) -> HeaderMap {
    let mut joined = headers.clone();
    for name in LISTS {
        let lines = headers.get_all(&name).iter().filter_map(|line| line.to_str().ok());
        let list = lines.collect::<Vec<_>>().join(" , ");
        joined.remove(&name);
        if let Ok(list) = HeaderValue::try_from(list) {
            joined.insert(name, list);
        }
    }
    joined
}

fn check_accepted(accepted: &Accepted, version: Version, headers: &HeaderMap) {
    assert_eq!(accepted.accept.is_none(), version == Version::HTTP_2);
    if let Some(accept) = &accepted.accept {
        let keys: Vec<_> = headers.get_all(SEC_WEBSOCKET_KEY).iter().collect();
        let [key] = keys[..] else { panic!("{} keys were accepted", keys.len()) };
        let key = key.to_str().map(str::trim).unwrap_or_default();
        let answer = HeaderMap::from_iter([(SEC_WEBSOCKET_ACCEPT, accept.clone())]);
        assert_eq!(handshake::check_accept(key, &answer), Ok(()));
        assert!(handshake::check_accept(&format!("{key}="), &answer).is_err());
    }
    for protocol in &accepted.protocols {
        assert!(!protocol.is_empty() && !protocol.contains(',') && protocol.trim() == protocol);
    }
    let offers = || accepted.protocols.iter().map(String::as_str);
    if let Some(dialect) = Dialect::choose(offers()) {
        assert!(offers().any(|offer| offer == dialect.subprotocol()));
    }
}

fn check_deflate(headers: &HeaderMap) {
    let agreed = offer::agree(headers);
    // What is offered after it is not looked at, and before it only by who knows it.
    let mut more = HeaderMap::new();
    more.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("x-unknown; a=\"b, c\""));
    for line in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        more.append(SEC_WEBSOCKET_EXTENSIONS, line.clone());
    }
    more.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(offer::OFFER));
    let agreed_of_more = offer::agree(&more);
    assert!(agreed_of_more.is_some() && (agreed.is_none() || agreed == agreed_of_more));
    // Clients other than ours may offer what ours does not, so that only some answers suit it.
    let suits = |answer: &str| {
        answer.contains("server_no_context_takeover") && !answer.contains("client_max_window_bits")
    };
    if let Some(agreed) = agreed {
        let text = agreed.answer.to_str().unwrap_or_default();
        let answer = HeaderMap::from_iter([(SEC_WEBSOCKET_EXTENSIONS, agreed.answer.clone())]);
        assert_eq!(offer::check_answer(&answer).is_ok(), suits(text), "{text}");
        assert_eq!(offer::agree(&answer).map(|again| again.window), Some(agreed.window), "{text}");
    }
    let answered = offer::check_answer(headers);
    assert!(answered.is_ok() || headers.contains_key(SEC_WEBSOCKET_EXTENSIONS));
}

fn check_refusal(refusal: Refusal) {
    let status = refusal.status();
    assert!(status.is_client_error() && !refusal.to_string().is_empty());
    assert_eq!(matches!(status.as_u16(), 405 | 426), refusal.header().is_some());
}
