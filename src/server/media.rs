//! What a client accepts: which of the media types spoken here, and which of them it likes best.

use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};

/// A media type of an answer that is one JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: the status tells whether the request was executed.
    GraphqlResponse,
    /// `application/json`: 200 for all that was a GraphQL request.
    Json,
}

/// A way to send one result after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streaming {
    /// `text/event-stream`: server-sent events.
    Events,
    /// `multipart/mixed` with `subscriptionSpec=1.0`.
    Multipart,
}

/// The best of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) json: Option<Media>,
    pub(super) streaming: Option<Streaming>,
    /// The client likes the stream better than any JSON.
    pub(super) prefers_streaming: bool,
}

#[derive(Debug, Clone, Copy)]
enum Known {
    Json(Media),
    Streaming(Streaming),
}

impl Accepted {
    /// Reads `Accept`; without one, JSON. Of equals the first is the best.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let (mut json, mut streaming) = (None, None);
        let (mut json_weight, mut streaming_weight) = (0.0_f32, 0.0_f32);
        let mut prefers_streaming = false;
        let mut is_any_given = false;
        for range in lines.flat_map(|line| line.split(',')).filter(|range| !range.trim().is_empty())
        {
            is_any_given = true;
            let Some((known, weight)) = Known::read(range) else { continue };
            match known {
                Known::Json(media) if weight > json_weight => {
                    (json, json_weight) = (Some(media), weight);
                    prefers_streaming &= streaming_weight >= weight;
                }
                Known::Streaming(kind) if weight > streaming_weight => {
                    (streaming, streaming_weight) = (Some(kind), weight);
                    prefers_streaming = weight > json_weight;
                }
                Known::Json(_) | Known::Streaming(_) => {}
            }
        }
        let json = if is_any_given { json } else { Some(Media::Json) };
        Self { json, streaming, prefers_streaming }
    }
}

impl Known {
    fn read(range: &str) -> Option<(Self, f32)> {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<(&str, &str)> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        let parameter = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| *value)
        };
        let known = match name.as_str() {
            "application/graphql-response+json" => Self::Json(Media::GraphqlResponse),
            "application/json" | "application/*" | "*/*" => Self::Json(Media::Json),
            "text/event-stream" => Self::Streaming(Streaming::Events),
            "multipart/mixed" if parameter("subscriptionSpec") == Some("1.0") => {
                Self::Streaming(Streaming::Multipart)
            }
            _ => return None,
        };
        let weight = parameter("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
        (weight > 0.0).then_some((known, weight))
    }
}

impl Media {
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }
}

/// Is the body JSON? A page of a foreign origin cannot send that without asking first.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_each_kind() {
        let (events, multipart) = (Some(Streaming::Events), Some(Streaming::Multipart));
        let (json, response) = (Some(Media::Json), Some(Media::GraphqlResponse));
        let table = [
            ("text/event-stream", None, events, true),
            ("text/event-stream, application/json;q=0.9", json, events, true),
            ("application/json, text/event-stream", json, events, false),
            ("application/json;q=0.1, text/event-stream", json, events, true),
            ("text/event-stream, */*", json, events, true),
            ("text/event-stream;q=0", None, None, false),
            ("multipart/mixed;subscriptionSpec=1.0, application/json", json, multipart, true),
            (
                "multipart/mixed;boundary=graphql;subscriptionSpec=\"1.0\",\
                 application/graphql-response+json,application/json;q=0.9",
                response,
                multipart,
                true,
            ),
            (
                "Multipart/Mixed; SUBSCRIPTIONSPEC = 1.0; boundary=\"graphql\"",
                None,
                multipart,
                true,
            ),
            ("multipart/mixed;deferSpec=20220824, application/json", json, None, false),
            ("multipart/mixed", None, None, false),
            ("text/*", None, None, false),
        ];
        for (accept, json, streaming, prefers_streaming) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            let expected = Accepted { json, streaming, prefers_streaming };
            assert_eq!(Accepted::by(&headers), expected, "{accept}");
        }
    }
}
