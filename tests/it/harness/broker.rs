//! The program, started on free ports and killed with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use super::peer::Peer;
use super::{http, wait};

/// A running broker.
pub(crate) struct Broker {
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Metrics and health.
    pub(crate) admin: SocketAddr,
    child: Child,
    /// Held open: a program whose output is gone would die of its next line.
    _stdout: BufReader<ChildStdout>,
}

/// The program: the one built with this test, or the one named by `TIDINGS_BIN`.
pub(crate) fn program() -> Command {
    let named = std::env::var_os("TIDINGS_BIN");
    Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_tidings").into()))
}

/// The command line that serves with these settings, each as `section.key=value`.
fn serve(settings: &[&str]) -> Command {
    let mut command = program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

impl Broker {
    /// With the defaults.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With settings as in `limits.init_timeout=1s`.
    pub(crate) fn with(settings: &[&str]) -> Self {
        Self::run(&mut serve(settings))
    }

    /// The same, with its log in a file.
    pub(crate) fn with_log(settings: &[&str], log: &Path) -> Self {
        Self::run(serve(settings).stderr(std::fs::File::create(log).unwrap()))
    }

    /// With the settings of a file and these flags, with its log in a file.
    pub(crate) fn of_file(file: &Path, flags: &[&str], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        Self::run(serve(&[]).arg("--config").arg(file).args(flags).stderr(log))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addresses: Vec<SocketAddr> = line
            .split("://")
            .skip(1)
            .map(|rest| rest.trim_end_matches(['\n', ')']).split(' ').next().unwrap())
            .map(|address| address.parse().unwrap())
            .collect();
        let [address, admin] = addresses[..] else { panic!("not ready: {line:?}") };
        Self { address, admin, child, _stdout: stdout }
    }

    /// Starts a broker that has to refuse: its exit code and what it complains of.
    pub(crate) fn refuse(settings: &[&str], file: Option<&Path>) -> (Option<i32>, String) {
        let mut command = serve(settings);
        if let Some(file) = file {
            command.arg("--config").arg(file);
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        if !line.is_empty() {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it serves with {settings:?} and {file:?}");
        }
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        (child.wait().unwrap().code(), complaint)
    }

    /// A client that has been acknowledged.
    pub(crate) async fn peer(&self) -> Peer {
        Peer::connect(self.address).await
    }

    /// Answers a GraphQL request sent by POST.
    pub(crate) async fn post(&self, body: &serde_json::Value) -> http::Answer {
        let headers = [("Content-Type", "application/json")];
        http::fetch(self.address, "POST", "/graphql", &headers, &body.to_string()).await
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until the process is gone.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        wait::until("the broker exits", async || self.child.try_wait().unwrap()).await
    }

    /// Has the process ended?
    pub(crate) fn is_gone(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Files and sockets that it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Memory that the process has resident.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kibibytes << 10
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
