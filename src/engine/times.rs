//! Which place the log had reached at which time, also where it keeps nothing any more.

use std::collections::VecDeque;
use std::time::Duration;

use super::retention::later;
use crate::message::time::Timestamp;

/// Marks in the order of the log: at each time the head had come to the place beside it.
#[derive(Debug, Default)]
pub(super) struct Times {
    newest: Option<(Timestamp, u64)>,
    marks: VecDeque<(Timestamp, u64)>,
}

/// Marks are this far apart at least,
const APART: Duration = Duration::from_millis(100);
/// and so many at most: 1.8 hours of a busy log in a mebibyte.
const MARKS_MAX: usize = 1 << 16;

impl Times {
    pub(super) fn note(&mut self, time: Timestamp, head: u64) {
        self.newest = Some((time, head));
        if self.marks.back().is_some_and(|&(marked, _)| time < later(marked, APART)) {
            return;
        }
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back((time, head));
    }

    /// A place up to which everything was accepted before this time.
    pub(super) fn before(&self, time: Timestamp) -> u64 {
        let count = self.marks.partition_point(|&(marked, _)| marked < time);
        let mark = count.checked_sub(1).and_then(|index| self.marks.get(index)).copied();
        self.newest.filter(|&(newest, _)| newest < time).or(mark).map_or(0, |(_, head)| head)
    }
}
