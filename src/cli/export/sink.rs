//! Where an export goes: standard output, or a file that is replaced by a whole one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::cli::Error;
use crate::cli::output::Output;

/// Where lines go.
pub(super) enum Sink {
    Output(Output),
    File { file: BufWriter<File>, part: PathBuf, path: PathBuf },
}

impl Sink {
    /// A file comes to its name when it is whole: what had the name before stays until then.
    pub(super) fn new(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else { return Ok(Self::Output(Output::new())) };
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let (path, part) = (path.to_owned(), PathBuf::from(part));
        let file = File::create(&part).map_err(|error| cannot_write(&part, &error))?;
        Ok(Self::File { file: BufWriter::new(file), part, path })
    }

    pub(super) fn line(&mut self, line: &str) -> Result<(), Error> {
        match self {
            Self::Output(output) => output.line(line),
            Self::File { file, part, .. } => {
                writeln!(file, "{line}").map_err(|error| cannot_write(part, &error))
            }
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Error> {
        match self {
            Self::Output(output) => output.flush(),
            Self::File { file, part, .. } => {
                file.flush().map_err(|error| cannot_write(part, &error))
            }
        }
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        let Self::File { mut file, part, path } = self else { return Ok(()) };
        let written = file.flush().and_then(|()| file.get_ref().sync_all());
        let renamed = written.and_then(|()| std::fs::rename(&part, &path));
        renamed.map_err(|error| cannot_write(&path, &error))
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::Failed(format!("{}: cannot be written: {error}", path.display()))
}
