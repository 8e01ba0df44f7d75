//! A peer's server: its start script as a child process with ports and a folder of its own.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tidings::cli::bench::machine;
use tidings::cli::bench::peers::Target;

/// A server that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    port: u16,
    folder: TempDir,
}

const START_TIMEOUT: Duration = Duration::from_secs(15);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A master may listen before its worker runs.
const SETTLE: Duration = Duration::from_millis(300);
const ERRORS: &str = "stderr";

/// What a start script says about its server. It installs and builds what can be, and fails with
/// what is missing.
pub fn version(folder: &str) -> Result<String, String> {
    let mut command = Command::new(script(folder));
    let output = command.arg("version").output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let last = last_line(&String::from_utf8_lossy(&output.stderr));
        return Err(last.unwrap_or_else(|| output.status.to_string()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" "))
}

impl Server {
    /// Starts a server on a core of its own; this thread moves to another one.
    pub fn start(folder: &str) -> Result<Self, String> {
        let run = TempDir::new().map_err(|error| error.to_string())?;
        let errors = File::create(run.path().join(ERRORS)).map_err(|error| error.to_string())?;
        let [port, second] = free_ports().map_err(|error| error.to_string())?;
        let mut command = Command::new(script(folder));
        command.env("PORT", port.to_string()).env("PORT_2", second.to_string());
        command.env("RUN", run.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let cores = machine::two_cores();
        if let Some((server, _)) = cores {
            machine::pin(server);
        }
        let child = command.spawn();
        if let Some((_, load)) = cores {
            machine::pin(load);
        }
        let mut server =
            Self { child: child.map_err(|error| error.to_string())?, port, folder: run };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Where it is, and all its processes.
    pub fn target(&self) -> Target {
        Target::local(self.port, family(self.child.id()))
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}: {}", self.complaint()));
            }
            if begun.elapsed() > START_TIMEOUT {
                return Err(format!("it does not listen: {}", self.complaint()));
            }
            rest(LOOK_EVERY);
        }
        rest(SETTLE);
        Ok(())
    }

    fn complaint(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join(ERRORS)).unwrap_or_default();
        last_line(&text).unwrap_or_else(|| "it said nothing".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A master that is killed would leave its workers behind; so it is asked first.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_TIMEOUT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            rest(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs, and a port tells no one")]
fn rest(time: Duration) {
    std::thread::sleep(time);
}

fn script(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("start.sh")
}

fn last_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

/// Held at once, so that they differ; free again when this returns.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

/// A process and all that descend from it.
fn family(first: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(process.path().join("stat")).ok()?;
            // After the name, in brackets, which may hold spaces: the state, then the parent.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut family = vec![first];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_belong_to_the_family() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(family(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_last_line_is_what_went_wrong() {
        assert_eq!(last_line("one\n two \n\n").as_deref(), Some("two"));
        assert_eq!(last_line("\n"), None);
    }
}
