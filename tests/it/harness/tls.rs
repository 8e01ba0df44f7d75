//! Certificates of an authority of our own, and clients that trust it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::broker::Broker;
use super::peer::{Peer, TRANSPORT_WS};
use super::wait;

/// A connection by TLS; a session is too large to be moved around.
pub(crate) type Secure = Box<TlsStream<TcpStream>>;

/// An authority, and files with what it has issued.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    directory: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), &pem).unwrap();
        let authority = Self { issuer: Issuer::new(params, key), pem, directory };
        authority.issue(&["localhost", "127.0.0.1"]);
        authority
    }

    /// Writes a new certificate and key over the old ones; returns the certificate.
    pub(crate) fn issue(&self, names: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file("cert.pem"), cert.pem()).unwrap();
        std::fs::write(self.file("key.pem"), key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    /// `ca.pem`, `cert.pem`, `key.pem`, or a file for the test to write.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Settings of a broker that serves by TLS.
    pub(crate) fn settings(&self) -> [String; 2] {
        ["tls_cert=cert.pem", "tls_key=key.pem"].map(|pair| {
            let (key, file) = pair.split_once('=').unwrap();
            format!("server.{key}={}", self.file(file).display())
        })
    }

    /// A broker that serves by TLS, with more settings.
    pub(crate) fn broker(&self, settings: &[&str]) -> Broker {
        let own = self.settings();
        let own = own.iter().map(String::as_str);
        Broker::with(&own.chain(settings.iter().copied()).collect::<Vec<_>>())
    }

    /// What a client that trusts this authority is set to.
    pub(crate) fn client(&self, alpn: &[&str]) -> ClientConfig {
        self.client_of(rustls::DEFAULT_VERSIONS, alpn)
    }

    /// The same, with these versions of TLS only.
    pub(crate) fn client_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// A connection by TLS, as browsers make it for a WebSocket.
    pub(crate) async fn connect(&self, address: SocketAddr) -> Secure {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        greet(stream, self.client(&["http/1.1"])).await.unwrap()
    }

    /// A client by TLS that has been acknowledged.
    pub(crate) async fn peer(&self, broker: &Broker) -> Peer<Secure> {
        let stream = self.connect(broker.address).await;
        Peer::open_on(stream, TRANSPORT_WS).await.acknowledged(&serde_json::json!({})).await
    }
}

/// The client's side of a handshake.
pub(crate) async fn greet(stream: TcpStream, config: ClientConfig) -> std::io::Result<Secure> {
    let name = ServerName::try_from("localhost").unwrap();
    let greeting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    wait::within("a TLS handshake", greeting).await.map(Box::new)
}
