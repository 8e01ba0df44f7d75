//! The server under load: one of our own as a child process, or one that runs already.

use std::io;
use std::path::PathBuf;

use super::machine;
use super::peers::Target;
use super::process::Process;
use crate::cli::Error;
use crate::cli::address::Address;

/// A server.
#[derive(Debug)]
pub struct Server {
    pub(super) address: Address,
    /// Where its metrics are, if that is known.
    pub(super) admin: Option<Address>,
    /// Its process, if it is known.
    pub(super) pid: Option<u32>,
    /// Our own ends when this is dropped.
    _own: Option<Process>,
    /// Its schema's folder goes with it.
    _folder: Option<Folder>,
}

/// A folder for one file, removed when this is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn with(schema: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tidings-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        let folder = Self(path);
        std::fs::write(folder.0.join("bench.graphql"), schema)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where configuration files are not: our own server has the defaults.
const NO_FILE: &str = "/dev/null";
/// Beside the load's own connections.
const SPARE_CONNECTIONS: usize = 100;

impl Server {
    /// Where it is, and its process.
    pub fn target(&self) -> Target {
        Target { address: self.address.clone(), pids: self.pid.into_iter().collect() }
    }

    /// One of our own with nothing set, with room for so many connections.
    pub fn stock(connections: usize) -> Result<Self, String> {
        Self::start(connections, &[], None).map_err(|error| error.to_string())
    }

    /// One that runs already; its process is looked for when it is on this machine.
    pub(super) fn running(address: Address, admin: Option<Address>, pid: Option<u32>) -> Self {
        let local = matches!(address.host.as_str(), "127.0.0.1" | "::1" | "localhost");
        let found = || if local { machine::listening_pid(address.port) } else { None };
        Self { pid: pid.or_else(found), address, admin, _own: None, _folder: None }
    }

    /// Starts one on a free port, with room for so many connections and maybe typed topics.
    pub(super) fn start(
        connections: usize,
        settings: &[String],
        schema: Option<&str>,
    ) -> Result<Self, Error> {
        let failed = |reason: String| Error::Failed(format!("cannot start a server: {reason}"));
        let room = connections + SPARE_CONNECTIONS;
        let own = [
            "server.listen=127.0.0.1:0".to_owned(),
            "server.admin_listen=127.0.0.1:0".to_owned(),
            "server.shards=1".to_owned(),
            "log.level=warn".to_owned(),
            format!("limits.connections={room}"),
            format!("limits.connections_per_address={room}"),
        ];
        let mut arguments = vec!["serve".to_owned(), "--config".to_owned(), NO_FILE.to_owned()];
        let folder = schema.map(Folder::with).transpose();
        let folder = folder.map_err(|error| failed(error.to_string()))?;
        let dir = folder.as_ref().map(|folder| format!("schema.dir={}", folder.0.display()));
        for setting in own.iter().chain(&dir).chain(settings) {
            arguments.extend(["--set".to_owned(), setting.clone()]);
        }
        let mut process = Process::start(&arguments).map_err(|error| failed(error.to_string()))?;
        let line = process.first_line().map_err(failed)?;
        let mut found = addresses(&line);
        let address = found.next().ok_or_else(|| failed(format!("it said {line:?}")))?;
        let (admin, pid) = (found.next(), Some(process.pid()));
        Ok(Self { address, admin, pid, _own: Some(process), _folder: folder })
    }
}

/// The addresses in the line that a server prints when it is ready: its own, then its admin's.
fn addresses(line: &str) -> impl Iterator<Item = Address> {
    let words = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')'));
    words.filter(|word| word.starts_with("http://")).filter_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_found_in_the_line() {
        let line = "tidings serves on http://127.0.0.1:4321 (admin on http://127.0.0.1:1)\n";
        let found: Vec<String> = addresses(line).map(|address| address.authority()).collect();
        assert_eq!(found, ["127.0.0.1:4321", "127.0.0.1:1"]);
        assert_eq!(addresses("tidings: no").count(), 0);
    }
}
