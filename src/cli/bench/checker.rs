//! Has one subscriber seen every message of every publisher, once and in order?

use std::ops::Range;

/// What one subscriber has seen.
#[derive(Debug)]
pub(super) struct Checker {
    /// For each publisher, the sequence that comes next.
    next: Box<[u64]>,
    /// Sequences that others have overtaken, by publisher.
    missing: Vec<(usize, Range<u64>)>,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it should.
    InOrder,
    /// The first time, but after one that was sent later.
    Late,
    /// Again.
    Duplicate,
    /// From nobody we know.
    Stranger,
}

impl Checker {
    pub(super) fn new(publishers: usize) -> Self {
        Self { next: vec![0; publishers].into(), missing: Vec::new() }
    }

    /// A message has come.
    pub(super) fn see(&mut self, publisher: u32, sequence: u64) -> Verdict {
        let index = usize::try_from(publisher).unwrap_or(usize::MAX);
        let Some(next) = self.next.get_mut(index) else { return Verdict::Stranger };
        if sequence < *next {
            return self.see_again(index, sequence);
        }
        if sequence > *next {
            self.missing.push((index, *next..sequence));
        }
        *next = sequence + 1;
        Verdict::InOrder
    }

    /// How many of those sent never came; `sent` has a count for every publisher.
    pub(super) fn lost(&self, sent: impl IntoIterator<Item = u64>) -> u64 {
        let overtaken: u64 = self.missing.iter().map(|(_, range)| range.end - range.start).sum();
        let unseen =
            sent.into_iter().zip(&self.next).map(|(sent, next)| sent.saturating_sub(*next));
        overtaken + unseen.sum::<u64>()
    }

    fn see_again(&mut self, publisher: usize, sequence: u64) -> Verdict {
        let holds =
            |(owner, range): &(usize, Range<u64>)| *owner == publisher && range.contains(&sequence);
        let Some(at) = self.missing.iter().position(holds) else { return Verdict::Duplicate };
        let (_, range) = self.missing.swap_remove(at);
        let parts = [range.start..sequence, sequence + 1..range.end];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        self.missing.extend(parts.map(|part| (publisher, part)));
        Verdict::Late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(seen: &[u64]) -> (Vec<Verdict>, u64) {
        let mut checker = Checker::new(2);
        let verdicts = seen.iter().map(|sequence| checker.see(1, *sequence)).collect();
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
    fn publishers_are_checked_apart() {
        let mut checker = Checker::new(2);
        for (publisher, sequence) in [(0, 0), (1, 0), (1, 1), (0, 1)] {
            assert_eq!(checker.see(publisher, sequence), Verdict::InOrder);
        }
        assert_eq!(checker.see(2, 0), Verdict::Stranger);
        assert_eq!(checker.lost([3, 2]), 1);
    }
}
