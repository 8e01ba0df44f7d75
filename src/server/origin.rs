//! Which pages may talk to the broker from a browser.

use std::net::IpAddr;

use axum::http::header::{HOST, HeaderMap, ORIGIN};
use axum::http::{HeaderValue, Uri};

/// May a request with these headers come from its page? Programs that are not browsers send no
/// `Origin` and may; a page may when it was served by the same host or is on the allow-list.
pub(super) fn is_allowed(headers: &HeaderMap, authority: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Some(origin) = origin.to_str().ok() else { return false };
    let is_listed = |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(origin);
    if allowed.iter().any(is_listed) {
        return true;
    }
    let host = authority.or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()));
    let from: Option<Uri> = origin.parse().ok();
    let from = from.as_ref().and_then(|uri| uri.authority());
    match (from, host) {
        (Some(from), Some(host)) => from.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// The origin to name in `Access-Control-Allow-Origin`, for a page of another host that may.
pub(super) fn cross_origin(headers: &HeaderMap, allowed: &[String]) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    let is_listed = |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(text);
    allowed.iter().any(is_listed).then(|| origin.clone())
}

/// Does the request come from this machine itself, and not through a proxy on it? Until tokens are
/// configured, that is what makes an administrator.
pub(super) fn is_local(remote: IpAddr, headers: &HeaderMap) -> bool {
    let is_forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|n| headers.contains_key(*n));
    remote.is_loopback() && !is_forwarded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_same_host_and_of_the_list_may() {
        let list = ["https://app.example.com".to_owned()];
        let table = [
            (None, true),
            (Some("http://127.0.0.1:4000"), true),
            (Some("HTTPS://APP.example.com"), true),
            (Some("http://127.0.0.1:4001"), false),
            (Some("http://127.0.0.1"), false),
            (Some("http://evil.example"), false),
            (Some("https://app.example.com.evil"), false),
            (Some("null"), false),
            (Some(""), false),
        ];
        for (origin, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:4000"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_allowed(&headers, None, &list), expected, "{origin:?}");
        }
    }
}
