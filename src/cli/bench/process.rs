//! A child process of this program, which ends with it.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::machine;

/// A child process; killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    first_line: Receiver<String>,
}

const START_TIMEOUT: Duration = Duration::from_secs(10);

impl Process {
    /// Starts this program with other arguments, and without the variables that configure it, on
    /// a core of its own; this thread moves to another one.
    pub(super) fn start(arguments: &[String]) -> io::Result<Self> {
        let cores = machine::two_cores();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(crate::config::keys::PREFIX) {
                command.env_remove(name);
            }
        }
        if let Some((server, _)) = cores {
            machine::pin(server);
        }
        let child = command.spawn();
        if let Some((_, load)) = cores {
            machine::pin(load);
        }
        let mut child = child?;
        let (sender, first_line) = sync_channel(1);
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let process = Self { child, stdin, first_line };
        if let Some(stdout) = stdout {
            std::thread::spawn(move || {
                let mut stdout = BufReader::new(stdout);
                let mut line = String::new();
                if stdout.read_line(&mut line).is_ok_and(|length| length > 0) {
                    // Nobody may wait for it any more.
                    let _ = sender.send(line);
                }
                // A child that may not write would end; what it writes is of no interest.
                let _ = io::copy(&mut stdout, &mut io::sink());
            });
        }
        Ok(process)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first line that it writes: it is ready.
    pub(super) fn first_line(&mut self) -> Result<String, String> {
        let line = self.first_line.recv_timeout(START_TIMEOUT);
        line.map_err(|_| match self.child.try_wait() {
            Ok(Some(status)) => format!("it ended with {status}"),
            Ok(None) | Err(_) => "it did not say that it is ready".to_owned(),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(bytes).and_then(|()| stdin.flush())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It keeps nothing, so there is nothing to drain; if it is gone already, good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
