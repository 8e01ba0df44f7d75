//! Standard output for results, standard error for everything else.

use std::io::{self, BufWriter, StdoutLock, Write};

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
