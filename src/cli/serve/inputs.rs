//! The files that a broker is made of, and whether they are still what they were.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::Settings;
use crate::cli::folder;
use crate::config::Config;

/// Which files: they need not be there.
#[derive(Debug)]
pub(super) struct Inputs {
    /// The configuration.
    file: PathBuf,
    /// The certificate and its key.
    certificate: Vec<PathBuf>,
    /// The schema's.
    folder: Option<PathBuf>,
}

/// What is in each file, as a hash; files that cannot be read have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(BTreeMap<PathBuf, u64>);

impl Inputs {
    pub(super) fn of(settings: &Settings, config: &Config) -> Self {
        let server = &config.server;
        let certificate = [&server.tls_cert, &server.tls_key].into_iter().flatten().cloned();
        Self {
            file: settings.possible_file(),
            certificate: certificate.collect(),
            folder: config.schema.dir.clone(),
        }
    }

    /// The folders in which something may happen to the files.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        let parents = self.files().filter_map(|file| file.parent());
        let inner = self.folder.iter().flat_map(|folder| folder::contents(folder).folders);
        parents.map(in_place).chain(inner).collect()
    }

    /// The same for a configuration that was read after this stamp was taken.
    pub(super) fn stamp_after(&self, earlier: &Stamp) -> Stamp {
        let Stamp(mut stamps) = self.stamp();
        stamps.remove(&self.file);
        let file = earlier.0.get(&self.file).map(|stamp| (self.file.clone(), *stamp));
        stamps.extend(file);
        Stamp(stamps)
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.certificate.iter().chain([&self.file])
    }

    /// What is in the files now.
    pub(super) fn stamp(&self) -> Stamp {
        let mut stamps = BTreeMap::new();
        let declared = self.folder.iter().flat_map(|folder| folder::contents(folder).files);
        for path in self.files().cloned().chain(declared) {
            if let Ok(text) = fs::read(&path) {
                let mut hasher = DefaultHasher::new();
                text.hash(&mut hasher);
                stamps.insert(path, hasher.finish());
            }
        }
        Stamp(stamps)
    }
}

impl Stamp {
    /// Is this file another one?
    pub(super) fn differs(&self, other: &Self, file: &Path) -> bool {
        self.0.get(file) != other.0.get(file)
    }
}

/// The folder of a file that is named without one is the working directory.
fn in_place(parent: &Path) -> PathBuf {
    if parent.as_os_str().is_empty() { ".".into() } else { parent.to_owned() }
}
