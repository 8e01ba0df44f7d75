//! Which pages may talk to the broker from a browser.

use std::net::IpAddr;

use axum::http::header::{HOST, HeaderMap, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Uri};

/// May a request with these headers come from its page? Programs that are not browsers send no
/// `Origin` and may; a page may when it was served by the same host or is on the allow-list.
///
/// Over loopback the same host has to be called `localhost` or by its address: a foreign page whose
/// name is made to resolve to 127.0.0.1 would otherwise pass for one of ours.
pub(super) fn is_allowed(
    headers: &HeaderMap,
    authority: Option<&str>,
    remote: IpAddr,
    allowed: &[String],
) -> bool {
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
        (Some(from), Some(host)) => {
            let is_ours = !is_local(remote, headers) || is_local_name(from.host());
            is_ours && from.as_str().eq_ignore_ascii_case(host)
        }
        _ => false,
    }
}

/// Is it a request that a foreign page makes without seeing the answer, as for an image? It has no
/// `Origin`; browsers tell it by other headers (Fetch Metadata) to hosts with TLS and to loopback.
pub(super) fn is_blind(headers: &HeaderMap) -> bool {
    let is = |name, value: &str| headers.get(name).is_some_and(|found| found == value);
    !headers.contains_key(ORIGIN)
        && is("sec-fetch-mode", "no-cors")
        && (is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site"))
}

/// May a GET be answered that names no `Origin`? Browsers leave it out when a page asks its own
/// host, so the page whose name is made to resolve to 127.0.0.1 is known by that name only.
pub(super) fn may_read(
    headers: &HeaderMap,
    authority: Option<&str>,
    remote: IpAddr,
    allowed: &[String],
) -> bool {
    if headers.contains_key(ORIGIN) || !is_local(remote, headers) {
        return true;
    }
    let host = authority.or_else(|| headers.get(HOST).and_then(|host| host.to_str().ok()));
    // Only programs name no host.
    let Some(host) = host else { return true };
    let is_listed = |allowed: &String| {
        let listed: Option<Uri> = allowed.parse().ok();
        let listed = listed.as_ref().and_then(|uri| uri.authority());
        allowed == "*" || listed.is_some_and(|listed| listed.as_str().eq_ignore_ascii_case(host))
    };
    let named: Option<Authority> = host.parse().ok();
    named.is_some_and(|named| is_local_name(named.host())) || allowed.iter().any(is_listed)
}

fn is_local_name(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok()
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
    fn a_foreign_name_for_this_machine_is_not_its_own_host() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("evil.example:4000"));
        headers.insert(ORIGIN, HeaderValue::from_static("http://evil.example:4000"));
        let (here, elsewhere) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
        assert!(!is_allowed(&headers, None, here, &[]));
        assert!(is_allowed(&headers, None, elsewhere, &[]));
        headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        assert!(is_allowed(&headers, None, here, &[]));
    }

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
            let here = IpAddr::from([127, 0, 0, 1]);
            assert_eq!(is_allowed(&headers, None, here, &list), expected, "{origin:?}");
        }
    }
}
