//! Standard output for results, standard error for everything else.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Error;

/// Results, in lines, written when [`flush`](Self::flush) is called.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), Error> {
        let written = self.0.write_all(line.as_bytes()).and_then(|()| self.0.write_all(b"\n"));
        written.map_err(Error::Output)
    }

    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().map_err(Error::Output)
    }
}

/// Prints one text at once.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(Error::Output)
}

/// How often [`closed`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Waits until nobody reads standard output any more, which a program that only waits for
/// messages would not notice: `tidings sub … | head -1`.
pub(super) async fn closed() {
    let stdout = io::stdout();
    loop {
        // Nothing is asked for: errors and hang-ups are always told.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        if poll(&mut watched, Some(&Timespec::default())).is_ok_and(|told| told > 0) {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Says something that is no result.
pub(super) fn say(text: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what went wrong.
pub(super) fn complain(text: &str) {
    if !text.is_empty() {
        say(&format!("tidings: {text}"));
    }
}
