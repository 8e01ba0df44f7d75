//! A GraphQL request as text, whichever way it came: a body, or the parameters of a GET.

use std::time::Duration;

use axum::body::{HttpBody, to_bytes};
use axum::extract::{Query, Request};
use axum::http::{Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::App;
use super::media::is_json;
use super::reply::Answer;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The parameters of a GET.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// The same as the body of a POST.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Box<RawValue>>,
}

/// The text of a request, or of a batch of them; whether it is one is not looked at.
pub(super) async fn text(app: &App, request: Request) -> Result<String, Answer> {
    if request.method() == Method::GET {
        parameters(request.uri())
    } else {
        body(app, request).await
    }
}

fn parameters(uri: &Uri) -> Result<String, Answer> {
    let bad = |reason: &str| Answer::refuse(StatusCode::BAD_REQUEST, reason);
    let Query(parameters) =
        Query::<Parameters>::try_from_uri(uri).map_err(|error| bad(&error.body_text()))?;
    let raw = |name: &str, text: Option<String>| {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
        match RawValue::from_string(text) {
            Ok(value) if value.get() == "null" => Ok(None),
            Ok(value) if value.get().starts_with('{') => Ok(Some(value)),
            Ok(_) => Err(bad(&format!("the parameter {name} must be a JSON object"))),
            Err(error) => Err(bad(&format!("the parameter {name} is not JSON: {error}"))),
        }
    };
    let body = Body {
        query: parameters.query.as_deref(),
        operation_name: parameters.operation_name.as_deref(),
        variables: raw("variables", parameters.variables)?,
        extensions: raw("extensions", parameters.extensions)?,
    };
    // Cannot fail: texts, and JSON that was checked.
    Ok(serde_json::to_string(&body).unwrap_or_default())
}

/// The text of a JSON body.
pub(super) async fn body(app: &App, request: Request) -> Result<String, Answer> {
    if !is_json(request.headers()) {
        let reason = "send the body as Content-Type: application/json";
        return Err(Answer::refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let most = app.options.load().body_bytes_max;
    let too_large = || {
        let reason = format!("the body must arrive whole and have at most {most} bytes");
        Answer::refuse(StatusCode::PAYLOAD_TOO_LARGE, &reason)
    };
    // What is announced to be too large is not waited for.
    if request.body().size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let bytes = match timeout(BODY_TIMEOUT, to_bytes(request.into_body(), most)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(too_large()),
        Err(_) => {
            let seconds = BODY_TIMEOUT.as_secs();
            let reason = format!("the body did not arrive within {seconds} seconds");
            return Err(Answer::refuse(StatusCode::REQUEST_TIMEOUT, &reason));
        }
    };
    String::from_utf8(bytes.into())
        .map_err(|_| Answer::refuse(StatusCode::BAD_REQUEST, "the body is not UTF-8"))
}
