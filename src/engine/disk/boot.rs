//! Under which boot of the machine the log was written without waiting for the disk.
//!
//! Where `data.sync` is not `always`, a power loss takes acknowledged messages, and nothing in the
//! log tells: their places would be given out again. A file names the boot for as long as such
//! messages may be on their way. One that names another boot means that the machine went down
//! meanwhile, and the log goes on under another epoch. A killed process leaves the same boot.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;

use super::Sync;

/// The file.
#[derive(Debug)]
pub(super) struct Boot {
    path: PathBuf,
    now: String,
}

impl Boot {
    /// The file of this path, under the boot that the system names.
    pub(super) fn new(path: PathBuf) -> Self {
        // Where the system names none, every end that was not clean counts as another boot.
        let now = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { path, now: now.trim_end().to_owned() }
    }

    /// May the machine have gone down with messages on their way to the disk?
    pub(super) fn may_have_lost(&self) -> io::Result<bool> {
        match fs::read_to_string(&self.path) {
            Ok(left) => Ok(self.now.is_empty() || left.trim_end() != self.now),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes how the log is written from now on.
    pub(super) fn begin(&self, sync: Sync) -> io::Result<()> {
        if sync == Sync::Always {
            return self.end();
        }
        let mut file = File::create(&self.path)?;
        writeln!(file, "{}", self.now)?;
        file.sync_all()?;
        self.sync_folder()
    }

    /// Everything is on disk.
    pub(super) fn end(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync_folder(),
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}
