//! What the system says about processes, which core they run on, and how it waits. Linux tells;
//! where another system does not, the figures are missing.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use mio::{Events, Poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The system wakes a sleeper with about this precision.
const SLEEP_PRECISION: Duration = Duration::from_millis(2);
/// Clocks and progress bars are looked at as often as this.
const SLEEP_MAX: Duration = Duration::from_millis(50);

/// How long to wait for sockets when something is due at a time, if anything is: what is due soon
/// is waited for awake, because a late start would count as the server's delay.
pub(super) fn patience(due: Option<Duration>, now: Duration) -> Duration {
    due.map_or(SLEEP_MAX, |due| due.saturating_sub(now + SLEEP_PRECISION).min(SLEEP_MAX))
}

/// Waits for sockets; being interrupted by a signal is not an error.
pub(super) fn wait(poll: &mut Poll, events: &mut Events, wait: Duration) -> Result<(), String> {
    match poll.poll(events, Some(wait)) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error.to_string()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Processor time a process has used so far, in seconds.
pub(super) fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold spaces; user and system time are the 12th and 13th after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some((f64::from(user) + f64::from(system)) / f64::from(ticks))
}

/// Memory of a process, in bytes.
pub(super) fn rss_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The process that listens on a port of this machine, if it may be looked at.
pub(super) fn listening_pid(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inode = tables.iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| listening_inode(line, port).map(str::to_owned))
    })?;
    let socket = format!("socket:[{inode}]");
    let holds = |process: &Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files
            .map(|file| fs::read_link(file.path()))
            .any(|link| link.is_ok_and(|link| link.to_str() == Some(&socket)))
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        holds(&process.path()).then_some(pid)
    })
}

/// The inode of a line of `/proc/net/tcp`, if that socket listens on the port.
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local = fields.get(1)?.rsplit_once(':')?.1;
    let listens = u16::from_str_radix(local, 16) == Ok(port) && *fields.get(3)? == LISTEN;
    fields.get(9).copied().filter(|_| listens)
}

/// Lets this process, and those it starts, open as many files as the system allows it.
pub fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused the connections that do not fit will say so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// One core for the server and another for the load, as this process was given them.
pub fn two_cores() -> Option<(usize, usize)> {
    static CORES: OnceLock<Option<(usize, usize)>> = OnceLock::new();
    // Asked once: after the first pinning the system would name only that core.
    *CORES.get_or_init(allowed_cores)
}

#[cfg(target_os = "linux")]
fn allowed_cores() -> Option<(usize, usize)> {
    let allowed = rustix::thread::sched_getaffinity(None).ok()?;
    let mut cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let first = cores.next()?;
    Some((first, cores.next_back()?))
}

/// Keeps this thread, and processes that it starts from now on, on one core.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    // Where it is refused the figures are a little less steady.
    let _ = rustix::thread::sched_setaffinity(None, &cores);
}

/// Other systems do not let a process choose.
#[cfg(not(target_os = "linux"))]
fn allowed_cores() -> Option<(usize, usize)> {
    None
}

/// Other systems do not let a process choose.
#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_can_be_looked_at() {
        let pid = std::process::id();
        assert!(cpu_seconds(pid).is_some_and(|seconds| seconds < 3_600.0));
        assert!(rss_bytes(pid).is_some_and(|bytes| bytes > 100_000));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening_pid(port), Some(pid));
        drop(listener);
        assert_eq!(listening_pid(port), None);
    }
}
