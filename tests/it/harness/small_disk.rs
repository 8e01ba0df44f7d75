//! A file system of a few megabytes, which can be full, and can be unwritable.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Mounted until it is dropped. The tests need root for it, as installing what they need does.
pub(crate) struct SmallDisk(TempDir);

impl SmallDisk {
    pub(crate) fn new(mebibytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], folder.path());
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes so many megabytes away; deleting the file gives them back.
    pub(crate) fn ballast(&self, mebibytes: usize) -> std::path::PathBuf {
        let file = self.path().join("ballast");
        std::fs::write(&file, vec![1; mebibytes << 20]).unwrap();
        file
    }

    /// Nothing can be written there any more.
    pub(crate) fn seal(&self) {
        mount(&["-o", "remount,ro"], self.path());
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let mounted = Command::new("mount").args(arguments).arg(at).status().unwrap();
    assert!(mounted.success(), "mount {arguments:?}: the tests of full disks need root");
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a broker that is being killed may have files open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
