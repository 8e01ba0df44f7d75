//! Where a broker is, as people write it: `http://127.0.0.1:4000` and what is like it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::Error;

/// A broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Name or IP address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Of the GraphQL endpoint.
    pub(super) path: String,
    /// By TLS.
    pub(super) is_secure: bool,
    /// The authorities that are trusted; `None`: those of this system.
    pub(super) authorities: Option<PathBuf>,
}

/// Where a broker listens when nobody says otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:4000";
/// Holds the address of the broker that the client commands talk to.
const URL_VARIABLE: &str = "TIDINGS_URL";
const DEFAULT_PATH: &str = "/graphql";

impl Address {
    /// For the `Host` header and for messages.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let is_secure = match scheme {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err(format!("unknown scheme {scheme:?}; use https:// or http://")),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (host, port) = split_authority(authority, if is_secure { "443" } else { "80" });
        let port = port.parse().ok().filter(|_| is_host(host));
        let port = port.ok_or_else(|| format!("expected an address as in {DEFAULT_URL}"))?;
        let path = if path.is_empty() || path == "/" { DEFAULT_PATH } else { path };
        let (host, path) = (host.to_owned(), path.to_owned());
        Ok(Self { host, port, path, is_secure, authorities: None })
    }
}

/// Host and port; without one, that of the scheme.
fn split_authority<'a>(authority: &'a str, usual: &'a str) -> (&'a str, &'a str) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, if rest.is_empty() { usual } else { rest.trim_start_matches(':') });
    }
    authority.split_once(':').unwrap_or((authority, usual))
}

/// Good enough to keep control characters and spaces out of a request's head.
fn is_host(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    !host.is_empty() && host.chars().all(fits)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// Which broker to talk to.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[arg(long, help = "The broker [default: http://127.0.0.1:4000; variable: TIDINGS_URL]")]
    url: Option<Address>,
    /// Trusts the authorities in this PEM file, for https:// [default: those of this system]
    #[arg(long, value_name = "PEM")]
    tls_ca: Option<PathBuf>,
}

impl Target {
    pub(super) fn address(&self) -> Result<Address, Error> {
        let mut address = self.named()?;
        if self.tls_ca.is_some() && !address.is_secure {
            let reason = format!("--tls-ca is for https://, and the broker's address is {address}");
            return Err(Error::Usage(reason));
        }
        address.authorities.clone_from(&self.tls_ca);
        Ok(address)
    }

    fn named(&self) -> Result<Address, Error> {
        if let Some(address) = &self.url {
            return Ok(address.clone());
        }
        #[expect(clippy::disallowed_methods, reason = "this is the command line")]
        let text = std::env::var(URL_VARIABLE).unwrap_or_else(|_| DEFAULT_URL.to_owned());
        let wrong = |reason| Error::Usage(format!("variable {URL_VARIABLE}: {text:?}: {reason}"));
        text.parse().map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let table = [
            (DEFAULT_URL, "http://127.0.0.1:4000/graphql"),
            ("ws://localhost:4000/graphql", "http://localhost:4000/graphql"),
            ("example.com", "http://example.com:80/graphql"),
            ("127.0.0.1:9", "http://127.0.0.1:9/graphql"),
            ("http://[::1]:4000/", "http://[::1]:4000/graphql"),
            ("http://[::1]", "http://[::1]:80/graphql"),
            ("http://a/b/c", "http://a:80/b/c"),
            ("https://a", "https://a:443/graphql"),
            ("wss://[::1]/x", "https://[::1]:443/x"),
            ("https://127.0.0.1:4000", "https://127.0.0.1:4000/graphql"),
        ];
        for (text, address) in table {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), address, "{text}");
        }
        let bad =
            ["", "https://", "ftp://a", "http://", "http://a:b", "http://:1", "a b", "a:70000"];
        for text in bad {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
