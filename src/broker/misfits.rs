//! Messages that do not fit the type of their topic: typed subscribers do not get them, operators
//! hear of them.

use std::time::{Duration, Instant};

use dashmap::DashMap;

use super::rules::TopicType;
use crate::message::Message;

/// What was skipped, by type.
#[derive(Debug, Default)]
pub struct Misfits {
    types: DashMap<Box<str>, Skipped>,
}

/// What was skipped of one type.
#[derive(Debug, Default)]
struct Skipped {
    count: u64,
    /// When the last line was written.
    told_at: Option<Instant>,
    /// Skipped since then, without a line.
    untold: u64,
}

/// One log line per type in this time: a topic full of old messages must not fill the disk.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Misfits {
    /// Does the message fit the type of its topic? A topic without a type has nothing to fit. Each
    /// call that finds a misfit counts it.
    pub fn fits(&self, ty: Option<&TopicType>, message: &Message) -> bool {
        let Some(ty) = ty else { return false };
        let Err(misfit) = ty.shape.fits(message.payload.as_str()) else { return true };
        if let Some(left_out) = self.count(&ty.name, Instant::now()) {
            // Never a part of the payload: logs are read by more people than topics are.
            tracing::warn!(
                "type" = &*ty.name,
                topic = message.topic.as_str(),
                cursor = %message.cursor,
                path = misfit.path,
                reason = misfit.reason,
                left_out,
                "a message does not fit its type: typed subscriptions and queries skip it"
            );
        }
        false
    }

    /// Messages skipped, by the name of the type. A message is counted at each place that skips
    /// it: once when it is published, and once for every read of it later.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let count = |entry: dashmap::mapref::multiple::RefMulti<'_, Box<str>, Skipped>| {
            (entry.key().to_string(), entry.count)
        };
        let mut counts: Vec<_> = self.types.iter().map(count).collect();
        counts.sort();
        counts
    }

    /// Counts one; says how many went without a line before it when this one is to have one.
    fn count(&self, ty: &str, now: Instant) -> Option<u64> {
        let mut skipped = self.types.entry(ty.into()).or_default();
        skipped.count += 1;
        let is_quiet = |told_at: Instant| now.saturating_duration_since(told_at) >= LINE_EVERY;
        if skipped.told_at.is_none_or(is_quiet) {
            skipped.told_at = Some(now);
            return Some(std::mem::take(&mut skipped.untold));
        }
        skipped.untold += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_each_type_in_ten_seconds() {
        let (misfits, start) = (Misfits::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(misfits.count("Quote", at(0)), Some(0));
        assert_eq!(misfits.count("Quote", at(1)), None);
        assert_eq!(misfits.count("Quote", at(9)), None);
        assert_eq!(misfits.count("Order", at(9)), Some(0));
        assert_eq!(misfits.count("Quote", at(10)), Some(2));
        assert_eq!(misfits.count("Quote", at(19)), None);
        assert_eq!(misfits.count("Quote", at(40)), Some(1));
        assert_eq!(misfits.counts(), [("Order".into(), 1), ("Quote".into(), 6)]);
    }
}
