//! A tiny file beside the store that says how far the log was acknowledged: the store takes a
//! damaged stretch of its journal for the torn end of a crash, and forgets what comes after it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file, open for the whole time.
///
/// It is written after each commit but not synced by itself: a killed process leaves it as it was
/// written, and after a power loss an older mark is a weaker check, not a wrong one.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    turn: u64,
    is_told: bool,
}

/// Two records take turns, so that one of them is whole at any moment.
const RECORD: usize = 16;
/// Mixed into the check, so that a file of zeros is no mark.
const SALT: u64 = 0x7469_6469_6e67_7331;

impl Mark {
    pub(super) fn open(path: &Path) -> io::Result<(Self, u64)> {
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = options?;
        let mut bytes = [0; 2 * RECORD];
        let length = file.read_at(&mut bytes, 0)?;
        let newest = newest(&bytes[..length]);
        Ok((Self { file, turn: 0, is_told: false }, newest))
    }

    /// Everything up to this place is on disk.
    pub(super) fn note(&mut self, head: u64) {
        self.turn += 1;
        let offset = (self.turn % 2) * RECORD as u64;
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&head.to_be_bytes());
        record[8..].copy_from_slice(&check(head).to_be_bytes());
        // The mark only serves to find damage later: without it the log is as good as before.
        if let Err(error) = self.file.write_all_at(&record, offset)
            && !std::mem::replace(&mut self.is_told, true)
        {
            tracing::warn!("the mark of the data folder cannot be written: {error}");
        }
    }
}

fn newest(bytes: &[u8]) -> u64 {
    let record = |record: &[u8]| {
        let (head, rest) = record.split_first_chunk::<8>()?;
        let head = u64::from_be_bytes(*head);
        (rest == check(head).to_be_bytes()).then_some(head)
    };
    bytes.chunks(RECORD).filter_map(record).max().unwrap_or_default()
}

/// Not a secret and no more than a check: a multiplication that spreads every bit.
fn check(head: u64) -> u64 {
    (head ^ SALT).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ SALT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_record_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let (mut mark, before) = Mark::open(&path).unwrap();
        assert_eq!(before, 0);
        (1..=5).for_each(|head| mark.note(head));
        assert_eq!(Mark::open(&path).unwrap().1, 5);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[RECORD + 3] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Mark::open(&path).unwrap().1, 4);
        std::fs::write(&path, [0; 2 * RECORD]).unwrap();
        assert_eq!(Mark::open(&path).unwrap().1, 0);
        std::fs::write(&path, &bytes[..RECORD - 1]).unwrap();
        assert_eq!(Mark::open(&path).unwrap().1, 0);
    }
}
