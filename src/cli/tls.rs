//! Certificates from files: the broker's own, by the keys `server.tls_cert` and `server.tls_key`.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::Config;
use crate::server::tls;

/// What the configuration says of TLS, its files read; `None`: nothing.
pub(super) fn server(config: &Config) -> Result<Option<Arc<ServerConfig>>, String> {
    let server = &config.server;
    let (Some(cert), Some(key)) = (&server.tls_cert, &server.tls_key) else { return Ok(None) };
    let chain = read("server.tls_cert", cert, tls::certificates)?;
    let secret = read("server.tls_key", key, tls::private_key)?;
    let (cert, key) = (cert.display(), key.display());
    let wrong = |error| format!("server.tls_cert = {cert}, server.tls_key = {key}: {error}");
    tls::config(chain, secret).map(Some).map_err(wrong)
}

fn read<T>(
    key: &str,
    path: &Path,
    parse: impl Fn(&[u8]) -> Result<T, tls::Error>,
) -> Result<T, String> {
    let wrong = |reason: String| format!("{key} = {}: {reason}", path.display());
    let text = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    parse(&text).map_err(|error| wrong(error.to_string()))
}
