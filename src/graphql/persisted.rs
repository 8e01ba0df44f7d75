//! Automatic persisted queries: a client sends a document's hash, and its text only once.

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::error::{Code, Error};
use super::request::Request;

/// Texts by hash, as clients have registered them.
pub struct Persisted(Cache<[u8; 32], Arc<str>, ByBytes>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    version: u32,
    sha256_hash: String,
}

impl Persisted {
    /// Nothing registered, room for so many bytes of texts.
    pub fn new(bytes: u64) -> Self {
        const USUAL_BYTES: u64 = 512;
        let items = usize::try_from(bytes / USUAL_BYTES).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(items, bytes, ByBytes))
    }

    /// The text that a request names by its hash alone; `None` when the request has it itself,
    /// which registers it if it comes with its hash.
    pub fn text(&self, request: &Request<'_>) -> Result<Option<Arc<str>>, Error> {
        let Some(extension) = request.extension("persistedQuery") else { return Ok(None) };
        let extension: Extension = serde_json::from_str(extension.get()).map_err(|error| {
            bad(format!("`persistedQuery` must have `version` and `sha256Hash`: {error}"))
        })?;
        if extension.version != 1 {
            return Err(bad("Unsupported persisted query version".to_owned()));
        }
        let hash = parse_hash(&extension.sha256_hash)
            .ok_or_else(|| bad("`sha256Hash` must be 64 hexadecimal digits".to_owned()))?;
        let Some(text) = &request.query else {
            // Apollo's clients look for this very message.
            let unknown = || Error::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound");
            return self.0.get(&hash).map(Some).ok_or_else(unknown);
        };
        if <[u8; 32]>::from(Sha256::digest(text.as_bytes())) != hash {
            let message = "provided sha does not match query";
            return Err(Error::new(Code::PersistedQueryMismatch, message));
        }
        self.0.insert(hash, text.as_ref().into());
        Ok(None)
    }
}

fn parse_hash(text: &str) -> Option<[u8; 32]> {
    let bytes = text.as_bytes();
    if bytes.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut hash = [0; 32];
    for (byte, digits) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(hash)
}

fn bad(message: String) -> Error {
    Error::new(Code::BadRequest, message)
}

/// A text weighs its bytes and what holds it.
#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<[u8; 32], Arc<str>> for ByBytes {
    fn weight(&self, _: &[u8; 32], text: &Arc<str>) -> u64 {
        const ENTRY: u64 = 96;
        ENTRY + text.len() as u64
    }
}
