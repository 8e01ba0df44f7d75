//! Two streams of entries as one: the log on disk and the log in memory, in the order of places.

use std::iter::Peekable;

use super::store::Entry;

/// Entries of both streams, each of which is in order.
pub(super) struct Merge<A: Iterator<Item = Entry>, B: Iterator<Item = Entry>> {
    one: Peekable<A>,
    other: Peekable<B>,
    is_backwards: bool,
}

impl<A: Iterator<Item = Entry>, B: Iterator<Item = Entry>> Merge<A, B> {
    pub(super) fn new(one: A, other: B, is_backwards: bool) -> Self {
        Self { one: one.peekable(), other: other.peekable(), is_backwards }
    }
}

impl<A: Iterator<Item = Entry>, B: Iterator<Item = Entry>> Iterator for Merge<A, B> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let is_next = match (self.one.peek(), self.other.peek()) {
            (Some(Ok((one, _))), Some(Ok((other, _)))) => (one < other) != self.is_backwards,
            // What cannot be read is told at once.
            (one, other) => other.is_none() || one.is_some_and(Result::is_err),
        };
        if is_next { self.one.next() } else { self.other.next() }
    }
}
