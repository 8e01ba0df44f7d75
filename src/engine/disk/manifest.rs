//! The store's own manifests against their checksums: the library writes these and does not look
//! at them, and a manifest with a wrong bit in it may end the process.
//!
//! Format of lsm-tree 3: a folder of a map has a file `current`, which holds the number of the
//! manifest that counts (8 bytes, little-endian), its checksum (16) and the kind of the checksum
//! (1; 0 is XXH3); the manifest itself is the file `v` with that number.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use super::store::StoreError;

const MAPS_FOLDER: &str = "keyspaces";
const CURRENT_FILE: &str = "current";
const XXH3: u8 = 0;

/// Are the manifests as they were written? What is missing, or of another format, is left to the
/// store to judge.
pub(super) fn check(store: &Path) -> Result<(), StoreError> {
    let maps = match fs::read_dir(store.join(MAPS_FOLDER)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        maps => maps.map_err(|error| StoreError(error.to_string()))?,
    };
    for map in maps {
        let map = map.map_err(|error| StoreError(error.to_string()))?.path();
        if !is_whole(&map).map_err(|error| StoreError(error.to_string()))? {
            let map = map.file_name().unwrap_or_default().to_string_lossy();
            let reason = format!("the manifest in {MAPS_FOLDER}/{map} has another checksum");
            return Err(StoreError(reason));
        }
    }
    Ok(())
}

fn is_whole(map: &Path) -> io::Result<bool> {
    let Some(current) = read(&map.join(CURRENT_FILE))? else { return Ok(true) };
    let Some((&number, rest)) = current.split_first_chunk() else { return Ok(true) };
    let Some((&checksum, [XXH3])) = rest.split_first_chunk() else { return Ok(true) };
    let manifest = map.join(format!("v{}", u64::from_le_bytes(number)));
    let manifest = read(&manifest)?;
    Ok(manifest.is_none_or(|bytes| xxh3_128(&bytes) == u128::from_le_bytes(checksum)))
}

fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::disk::store::Store;

    #[test]
    fn each_changed_byte_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(check(folder.path()), Ok(()), "a folder that the store is yet to fill");
        drop(Store::open(folder.path()).unwrap());
        assert_eq!(check(folder.path()), Ok(()));
        let map = folder.path().join(MAPS_FOLDER).join("3");
        let current = fs::read(map.join(CURRENT_FILE)).unwrap();
        assert_eq!(current[..8], [0; 8], "the first manifest");
        let manifest = fs::read(map.join("v0")).unwrap();
        for at in 0..manifest.len() {
            let mut bytes = manifest.clone();
            bytes[at] ^= 1;
            fs::write(map.join("v0"), bytes).unwrap();
            let error = Store::open(folder.path()).err().unwrap();
            let StoreError(reason) = error;
            assert_eq!(reason, "the manifest in keyspaces/3 has another checksum", "byte {at}");
        }
        fs::write(map.join("v0"), manifest).unwrap();
        assert!(Store::open(folder.path()).is_ok());
    }
}
