//! The console: the files of `web/`, carried in the binary.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "web/"]
#[exclude = "yjs/*"]
struct Files;

/// Pages load nothing from elsewhere, and nobody frames them.
const POLICY: &str =
    "default-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// `/`
pub(super) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// Any other file of the console.
pub(super) async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    serve(&path, &headers)
}

/// Another method than GET on a path of the console, or on one that is none.
pub(super) async fn other(Path(path): Path<String>) -> Response {
    match Files::get(&path) {
        Some(_) => (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response(),
        None => not_found(),
    }
}

fn not_found() -> Response {
    let apis = "not found; the API is at /graphql, topics are at /topics/NAME\n";
    (StatusCode::NOT_FOUND, apis).into_response()
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = Files::get(path) else { return not_found() };
    let tag = etag(&file);
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let kind = file.metadata.mimetype().to_owned();
    let headers = [
        (CONTENT_TYPE, kind),
        (ETAG, tag),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, file.data).into_response()
}

/// 64 bits of the file's hash tell its versions apart.
fn etag(file: &EmbeddedFile) -> String {
    let hash: Vec<String> =
        file.metadata.sha256_hash().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{}\"", hash.concat())
}
