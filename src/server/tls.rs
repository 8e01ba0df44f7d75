//! TLS of the listener: a certificate and its key become its settings, and a socket greets by them.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What is wrong with a certificate or a key, for those who made the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text has no certificate in it.
    #[error(
        "no certificate in it; a PEM file with -----BEGIN CERTIFICATE----- would be right, the \
         server's own first, then those between it and its authority"
    )]
    NoCertificate,
    /// The text has no key in it.
    #[error(
        "no private key in it; a PEM file with -----BEGIN PRIVATE KEY-----, RSA PRIVATE KEY or EC \
         PRIVATE KEY would be right, not encrypted"
    )]
    NoKey,
    /// The text begins as PEM does and is none.
    #[error("broken PEM: {0}")]
    Pem(String),
    /// The key is another certificate's.
    #[error(
        "the key does not belong to the first certificate of the chain; the server's own has to \
         come first, and the key has to be the one that it was made for"
    )]
    Mismatch,
    /// The certificate or the key is of a kind that is not known.
    #[error("not usable: {0}")]
    Unusable(String),
}

/// The protocols offered to clients by ALPN, the one that we like best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The certificates of a PEM text, at least one.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Error::NoCertificate),
        Ok(found) => Ok(found),
        Err(error) => Err(Error::Pem(error.to_string())),
    }
}

/// The private key of a PEM text.
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => Error::NoKey,
        other => Error::Pem(other.to_string()),
    })
}

/// Settings that serve with this certificate and key.
pub fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, Error> {
    let unusable = |error: rustls::Error| match error {
        rustls::Error::InconsistentKeys(_) => Error::Mismatch,
        other => Error::Unusable(other.to_string()),
    };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let mut config =
        builder.with_no_client_auth().with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    // Who comes back resumes by what it holds itself: no memory of ours for those who do not.
    config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    Ok(Arc::new(config))
}

/// Completes the handshake. A client that speaks plain HTTP is told what would be right.
pub(super) async fn greet(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    let count = stream.peek(&mut first).await?;
    // A method begins with a capital letter, a TLS record with 22.
    if count > 0 && first[0].is_ascii_uppercase() {
        turn_away(&mut stream).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP where TLS is spoken"));
    }
    TlsAcceptor::from(config).accept(stream).await
}

const PLAIN_HTTP: &str = "this port speaks TLS: use https:// or wss://\n";
/// Of a request that is turned away, the part that is read so that the answer arrives.
const REQUEST_BYTES_MAX: u64 = 64 << 10;

async fn turn_away(stream: &mut TcpStream) -> io::Result<()> {
    let length = PLAIN_HTTP.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{PLAIN_HTTP}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closed with unread bytes, the socket would take the answer back.
    let mut rest = stream.take(REQUEST_BYTES_MAX);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let table: [(&[u8], &str); 4] = [
            (b"", "no certificate in it; a PEM file with -----BEGIN CERTIFICATE-----"),
            (b"hello", "no certificate in it"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "broken PEM"),
            (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "broken PEM"),
        ];
        for (text, words) in table {
            let error = certificates(text).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        let error = private_key(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert_eq!(error.unwrap_err(), Error::NoKey);
    }

    #[test]
    fn a_certificate_of_another_key_is_told_from_its_own() {
        let [one, other] = ["one.example", "other.example"]
            .map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap());
        let serves = |cert: &str, key: &str| {
            let chain = certificates(cert.as_bytes()).unwrap();
            config(chain, private_key(key.as_bytes()).unwrap()).map(|_| ())
        };
        let (cert, key) = (one.cert.pem(), one.signing_key.serialize_pem());
        assert_eq!(serves(&cert, &key), Ok(()));
        assert_eq!(serves(&cert, &other.signing_key.serialize_pem()), Err(Error::Mismatch));
        assert_eq!(serves(&(other.cert.pem() + &cert), &key), Err(Error::Mismatch));
    }
}
