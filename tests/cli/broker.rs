//! A broker process for one test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running broker; it ends with the test.
pub(crate) struct Broker {
    child: Child,
    /// Where clients connect.
    pub(crate) url: String,
    admin: String,
}

impl Broker {
    /// On free ports.
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    /// At an address that is known already.
    pub(crate) fn start_at(address: &str) -> Self {
        Self::start_with(&["--listen", address])
    }

    /// With the typed topics of a folder.
    pub(crate) fn start_typed(schema: &str) -> Self {
        Self::start_with(&["--listen", "127.0.0.1:0", "--schema", schema])
    }

    /// With a setting of what topics keep.
    pub(crate) fn start_keeping(setting: &str) -> Self {
        Self::start_with(&["--listen", "127.0.0.1:0", "--set", setting])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let fixed = ["serve", "--admin-listen", "127.0.0.1:0", "--log", "warn"];
        let drain = ["--set", "limits.drain_timeout=100ms"];
        let all: Vec<&str> = fixed.iter().chain(&drain).chain(arguments).copied().collect();
        let mut child = super::tidings(&all).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let mut addresses = line.split_whitespace().filter_map(|word| word.strip_prefix("http://"));
        let url = format!("http://{}", addresses.next().unwrap());
        let admin = addresses.next().unwrap().trim_end_matches(')').to_owned();
        Self { child, url, admin }
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Asks it to stop, and tells its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }

    /// The answer to a request on the admin listener, head and all.
    pub(crate) fn admin(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have been stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
