//! Certificates from files: the broker's own, by the keys `server.tls_cert` and `server.tls_key`,
//! and those of the authorities that our own client trusts.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

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

/// What a client is set to that trusts the authorities in this file, or those of this system.
pub(super) fn client(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let (found, whose) = if let Some(path) = authorities {
        (read("--tls-ca", path, tls::certificates)?, path.display().to_string())
    } else {
        (rustls_native_certs::load_native_certs().certs, "this system".to_owned())
    };
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(found).0 == 0 {
        return Err(format!(
            "{whose}: no usable certificate of an authority; name a PEM file that has one with \
             --tls-ca"
        ));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What TLS itself found wrong in a handshake, in words for who started it; `None`: nothing, the
/// connection broke.
pub(super) fn fault(error: &std::io::Error) -> Option<String> {
    use rustls::{CertificateError as Wrong, Error};
    Some(match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => {
            "its certificate is of an authority that is not trusted here; name that authority's \
             certificate with --tls-ca"
                .to_owned()
        }
        Error::InvalidMessage(_) => "it does not speak TLS; try http://".to_owned(),
        other => other.to_string(),
    })
}
