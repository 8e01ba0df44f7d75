//! The data folder: whose it is, which format, and that only one process uses it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

/// The folder, ours until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Locked: another process is refused.
    _lock: File,
}

/// Why a data folder cannot be used, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// It holds something else.
    #[error(
        "{path}: holds files of another program ({file}); name an empty folder, or one that does \
         not exist yet"
    )]
    Foreign {
        /// The folder.
        path: String,
        /// One of its files.
        file: String,
    },
    /// It is no folder.
    #[error("{path}: is a file; name a folder")]
    NoFolder {
        /// The path.
        path: String,
    },
    /// Written by another version.
    #[error(
        "{path}: holds a log of format {found}; this version reads {FORMAT}: use the version that \
         wrote it, or another folder"
    )]
    OtherFormat {
        /// The folder.
        path: String,
        /// Its format.
        found: String,
    },
    /// Another process has it.
    #[error("{path}: is in use by another tidings; a data folder serves one process at a time")]
    InUse {
        /// The folder.
        path: String,
    },
    /// The system says no.
    #[error("{path}: {reason}")]
    System {
        /// The folder, or a file in it.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// The store is damaged beyond reading.
    #[error(
        "{path}: its files are damaged: {reason}; restore the folder from a backup, or move it \
         away to begin a new log"
    )]
    Damaged {
        /// The folder.
        path: String,
        /// What the store says.
        reason: String,
    },
    /// The log ends too early.
    #[error(
        "{path}: the log ends at message {found}, but message {acknowledged} had been \
         acknowledged: its newest files are damaged; restore the folder from a backup, or set \
         data.accept_loss = true once to go on without the messages in between"
    )]
    Short {
        /// The folder.
        path: String,
        /// The newest message found.
        found: u64,
        /// The newest message that was acknowledged.
        acknowledged: u64,
    },
}

/// What this version writes.
const FORMAT: &str = "1";
const FORMAT_FILE: &str = "tidings-log";
const FORMAT_TEXT: &str = "tidings log, format ";
const LOCK_FILE: &str = "lock";
const MARK_FILE: &str = "acknowledged";
const BOOT_FILE: &str = "boot";
const STORE_FOLDER: &str = "store";

impl Folder {
    /// Makes the folder ours; a new one is prepared.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        let fault = |error: io::Error| system(path, &error);
        look(path)?;
        fs::create_dir_all(path).map_err(fault)?;
        if read_format(path)?.is_none() {
            write_format(path).map_err(fault)?;
        }
        let lock = path.join(LOCK_FILE);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(lock);
        let lock = lock.map_err(fault)?;
        try_lock(path, &lock)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn store(&self) -> PathBuf {
        self.path.join(STORE_FOLDER)
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.path.join(MARK_FILE)
    }

    pub(super) fn boot(&self) -> PathBuf {
        self.path.join(BOOT_FILE)
    }

    /// As messages name it.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Bytes that may still be written there; `None` when the system does not say.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        let space = statvfs(&self.path).ok()?;
        Some(space.f_bavail.saturating_mul(space.f_frsize))
    }
}

/// Could the folder be used? Nothing is changed.
pub(super) fn check(path: &Path) -> Result<(), FolderError> {
    look(path)?;
    let nearest = path.ancestors().find(|path| path.exists() && !path.as_os_str().is_empty());
    let nearest = nearest.unwrap_or_else(|| Path::new("."));
    access(nearest, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| system(nearest, &error.into()))?;
    match OpenOptions::new().write(true).open(path.join(LOCK_FILE)) {
        Ok(lock) => try_lock(path, &lock),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(system(path, &error)),
    }
}

/// Is it ours, or can it become ours?
fn look(path: &Path) -> Result<(), FolderError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(path, &error)),
        Ok(metadata) if !metadata.is_dir() => {
            return Err(FolderError::NoFolder { path: path.display().to_string() });
        }
        Ok(_) => {}
    }
    if read_format(path)?.is_some() {
        return Ok(());
    }
    let mut entries = fs::read_dir(path).map_err(|error| system(path, &error))?;
    // The root of a file system has a folder of its own.
    let foreign = entries.find_map(|entry| {
        let name = entry.ok()?.file_name().to_string_lossy().into_owned();
        (name != "lost+found" && !name.starts_with(FORMAT_FILE)).then_some(name)
    });
    match foreign {
        Some(file) => Err(FolderError::Foreign { path: path.display().to_string(), file }),
        None => Ok(()),
    }
}

/// The format of the log in it; `None` when there is none.
fn read_format(path: &Path) -> Result<Option<()>, FolderError> {
    let text = match fs::read_to_string(path.join(FORMAT_FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(system(&path.join(FORMAT_FILE), &error)),
    };
    match text.trim_end().strip_prefix(FORMAT_TEXT) {
        Some(FORMAT) => Ok(Some(())),
        found => Err(FolderError::OtherFormat {
            path: path.display().to_string(),
            found: found.unwrap_or("unknown").chars().take(20).collect(),
        }),
    }
}

/// The file is there as a whole or not at all.
fn write_format(path: &Path) -> io::Result<()> {
    let new = path.join(format!("{FORMAT_FILE}.new"));
    let mut file = File::create(&new)?;
    writeln!(file, "{FORMAT_TEXT}{FORMAT}")?;
    file.sync_all()?;
    fs::rename(&new, path.join(FORMAT_FILE))?;
    File::open(path)?.sync_all()
}

fn try_lock(path: &Path, lock: &File) -> Result<(), FolderError> {
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => FolderError::InUse { path: path.display().to_string() },
        TryLockError::Error(error) => system(path, &error),
    })
}

pub(super) fn system(path: &Path, error: &io::Error) -> FolderError {
    FolderError::System { path: path.display().to_string(), reason: error.to_string() }
}
