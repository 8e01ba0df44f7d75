//! Has one subscriber seen every message of every stream, once and in order?

use std::ops::Range;

/// What one subscriber has seen.
#[derive(Debug)]
pub(super) struct Checker {
    /// For each stream, the sequence that comes next.
    next: Box<[u64]>,
    /// Sequences that others have overtaken, by stream.
    missing: Vec<(usize, Range<u64>)>,
    /// Newer messages may stand for older ones, which then never come.
    is_conflated: bool,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should.
    InOrder,
    /// As it should, in place of so many before it.
    Newest(u64),
    /// The first time, but after one that was sent later.
    Late,
    /// Again.
    Duplicate,
    /// From nobody we know.
    Stranger,
}

impl Checker {
    /// Expects so many streams; see [`Plan::stream`](super::plan::Plan::stream).
    pub(super) fn new(streams: usize, is_conflated: bool) -> Self {
        Self { next: vec![0; streams].into(), missing: Vec::new(), is_conflated }
    }

    /// A message has come, in a stream that this subscriber follows.
    pub(super) fn see(&mut self, stream: Option<usize>, sequence: u64) -> Verdict {
        let known = stream.and_then(|stream| Some((stream, self.next.get_mut(stream)?)));
        let Some((stream, next)) = known else { return Verdict::Stranger };
        if sequence < *next {
            return self.see_again(stream, sequence);
        }
        let skipped = *next..sequence;
        *next = sequence + 1;
        if skipped.is_empty() {
            return Verdict::InOrder;
        }
        if self.is_conflated {
            return Verdict::Newest(skipped.end - skipped.start);
        }
        self.missing.push((stream, skipped));
        Verdict::InOrder
    }

    /// How many of those sent never came; `sent` has a count for every stream.
    pub(super) fn lost(&self, sent: impl IntoIterator<Item = u64>) -> u64 {
        let overtaken: u64 = self.missing.iter().map(|(_, range)| range.end - range.start).sum();
        let unseen =
            sent.into_iter().zip(&self.next).map(|(sent, next)| sent.saturating_sub(*next));
        overtaken + unseen.sum::<u64>()
    }

    fn see_again(&mut self, stream: usize, sequence: u64) -> Verdict {
        if self.is_conflated && sequence + 1 < self.next[stream] {
            // It may have come before; that it comes now is wrong in any case.
            return Verdict::Late;
        }
        let holds =
            |(owner, range): &(usize, Range<u64>)| *owner == stream && range.contains(&sequence);
        let Some(at) = self.missing.iter().position(holds) else { return Verdict::Duplicate };
        let (_, range) = self.missing.swap_remove(at);
        let parts = [range.start..sequence, sequence + 1..range.end];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        self.missing.extend(parts.map(|part| (stream, part)));
        Verdict::Late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(seen: &[u64]) -> (Vec<Verdict>, u64) {
        let mut checker = Checker::new(2, false);
        let verdicts = seen.iter().map(|sequence| checker.see(Some(1), *sequence)).collect();
        (verdicts, checker.lost([0, 6]))
    }

    #[test]
    fn a_lost_a_doubled_and_a_swapped_message_are_told_apart() {
        use Verdict::{Duplicate, InOrder, Late};
        let clean = vec![InOrder; 6];
        assert_eq!(verdicts(&[0, 1, 2, 3, 4, 5]), (clean.clone(), 0));
        // Lost at the beginning, in the middle, at the end.
        assert_eq!(verdicts(&[1, 2, 3, 4, 5]), (clean[1..].to_vec(), 1));
        assert_eq!(verdicts(&[0, 1, 4, 5]), (clean[2..].to_vec(), 2));
        assert_eq!(verdicts(&[0, 1, 2, 3]), (clean[2..].to_vec(), 2));
        // Doubled at once, and later.
        let doubled = [InOrder, InOrder, Duplicate, InOrder, InOrder, InOrder, InOrder, Duplicate];
        assert_eq!(verdicts(&[0, 1, 1, 2, 3, 4, 5, 0]), (doubled.to_vec(), 0));
        // Swapped: late, and not lost; again, and it is a duplicate.
        let swapped = [InOrder, InOrder, InOrder, Late, Late, InOrder, Late, Duplicate];
        assert_eq!(verdicts(&[0, 1, 4, 3, 2, 6, 5, 5]), (swapped.to_vec(), 0));
    }

    #[test]
    fn streams_are_checked_apart() {
        let mut checker = Checker::new(2, false);
        for (stream, sequence) in [(0, 0), (1, 0), (1, 1), (0, 1)] {
            assert_eq!(checker.see(Some(stream), sequence), Verdict::InOrder);
        }
        assert_eq!(checker.see(Some(2), 0), Verdict::Stranger);
        assert_eq!(checker.see(None, 0), Verdict::Stranger);
        assert_eq!(checker.lost([3, 2]), 1);
    }

    #[test]
    fn what_newer_messages_stand_for_is_not_lost_but_counted() {
        use Verdict::{Duplicate, InOrder, Late, Newest};
        let mut checker = Checker::new(1, true);
        let seen = [0, 3, 4, 9, 9, 5].map(|sequence| checker.see(Some(0), sequence));
        assert_eq!(seen, [InOrder, Newest(2), InOrder, Newest(4), Duplicate, Late]);
        assert_eq!(checker.lost([10]), 0);
        assert_eq!(checker.lost([12]), 2, "the newest never came");
    }
}
