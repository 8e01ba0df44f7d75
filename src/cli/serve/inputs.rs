//! The files that a broker is made of, and whether they are still what they were.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::Settings;
use crate::config::Config;

/// Which files: they need not be there.
#[derive(Debug)]
pub(super) struct Inputs {
    /// The configuration and the certificate.
    files: Vec<PathBuf>,
    /// The schema's.
    folder: Option<PathBuf>,
}

/// What is in each file, as a hash; files that cannot be read have none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(BTreeMap<PathBuf, u64>);

impl Inputs {
    pub(super) fn of(settings: &Settings, config: &Config) -> Self {
        let server = &config.server;
        let certificate = [&server.tls_cert, &server.tls_key].into_iter().flatten().cloned();
        let files = certificate.chain([settings.possible_file()]).collect();
        Self { files, folder: config.schema.dir.clone() }
    }

    /// The folders in which something may happen to the files.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().filter_map(|file| file.parent());
        parents.map(in_place).chain(self.folder.clone()).collect()
    }

    /// What is in the files now.
    pub(super) fn stamp(&self) -> Stamp {
        let mut stamps = BTreeMap::new();
        let entries = self.folder.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        let listed = entries.flatten().map(|entry| entry.path());
        let declared = listed.filter(|path| path.extension().is_some_and(|end| end == "graphql"));
        for path in self.files.iter().cloned().chain(declared) {
            if let Ok(text) = fs::read(&path) {
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                stamps.insert(path, hasher.finish());
            }
        }
        Stamp(stamps)
    }
}

/// The folder of a file that is named without one is the working directory.
fn in_place(parent: &Path) -> PathBuf {
    if parent.as_os_str().is_empty() { ".".into() } else { parent.to_owned() }
}
