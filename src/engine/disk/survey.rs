//! What a read is to look at: decided under the lock of the view, read from the disk without it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::record::{Span, TopicId};
use super::view::View;
use crate::engine::topics::Looks;
use crate::engine::topics::Slot;
use crate::engine::tree::Start;
use crate::engine::{Error, ReadFrom};
use crate::message::cursor::{Epoch, Sequence};
use crate::message::filter::Filters;
use crate::message::topic::Topic;

/// A read, as the log was when it began.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) epoch: Epoch,
    pub(super) after: u64,
    /// The last place to look at.
    pub(super) end: u64,
    pub(super) moment: u64,
    /// No message before this one is kept.
    pub(super) lowest: u64,
    /// The topics to read one by one; `None`: the log itself.
    pub(super) courses: Option<Vec<Course>>,
    /// Places up to `end` of messages that newer ones stand for, in order.
    pub(super) replaced: Vec<u64>,
    /// Forgotten messages that may still be on disk.
    pub(super) remains: Arc<FxHashMap<TopicId, u64>>,
}

/// A topic that is read, and where its messages are.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) id: TopicId,
    pub(super) topic: Topic,
    pub(super) span: Span,
}

impl View {
    /// A read forward, as [`Engine::read`](crate::engine::Engine::read) says.
    pub(super) fn survey(
        &self,
        filters: &Filters,
        from: ReadFrom,
        looks: Looks,
    ) -> Result<Survey, Error> {
        let is_stale =
            || self.topics.any(filters, &self.stale, looks.topics_max, looks.entries_max);
        let start = self.topics.tree.start(filters, from, self.head, self.moment, is_stale);
        let start = start.map_err(|earliest| Error::Expired {
            earliest: earliest.map(|earliest| self.cursor(earliest)),
        })?;
        let entries = self.head - start.after;
        let mut survey = self.survey_any(filters, (start.after, self.head), entries, looks);
        self.find_replaced(filters, start, looks, &mut survey);
        Ok(survey)
    }

    /// A read back from before a place; `None` is the newest.
    pub(super) fn survey_back(
        &self,
        filters: &Filters,
        before: Option<Sequence>,
        looks: Looks,
    ) -> Survey {
        let before = before.map_or(self.head + 1, |before| before.0);
        let end = self.head.min(before.saturating_sub(1));
        self.survey_any(filters, (0, end), before, looks)
    }

    /// The newest messages of all topics that match, however many there are.
    pub(super) fn survey_last(&self, filters: &Filters) -> Survey {
        let looks = Looks { topics_max: usize::MAX, ..Looks::default() };
        self.survey_any(filters, (0, self.head), u64::MAX, looks)
    }

    /// A look at the whole log.
    pub(super) fn survey_all(&self) -> Survey {
        self.survey_of(None, 0, self.head)
    }

    fn survey_any(
        &self,
        filters: &Filters,
        (after, end): (u64, u64),
        entries: u64,
        looks: Looks,
    ) -> Survey {
        // It is not worth while to look at more topics than there are entries to come.
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        let slots = self.topics.matching(filters, looks.topics_max.min(entries));
        let course = |slot: &Slot| {
            let shown = &self.topics[*slot];
            let span = shown.span.filter(|span| span.last > after && span.first <= end)?;
            Some(Course { id: shown.id, topic: shown.topic.clone(), span })
        };
        self.survey_of(slots.map(|slots| slots.iter().filter_map(course).collect()), after, end)
    }

    fn survey_of(&self, courses: Option<Vec<Course>>, after: u64, end: u64) -> Survey {
        Survey {
            epoch: self.epoch,
            after,
            end,
            moment: self.moment,
            lowest: self.lowest,
            courses,
            replaced: Vec::new(),
            remains: Arc::clone(&self.remains),
        }
    }

    /// Finds what the reader misses because newer messages stand for it, and ends the read early
    /// where that is much.
    fn find_replaced(&self, filters: &Filters, start: Start, looks: Looks, survey: &mut Survey) {
        let mut verdicts: FxHashMap<Slot, bool> = FxHashMap::default();
        let mut matches = |slot: Slot| {
            let verdict = || filters.matches(&self.topics[slot].topic);
            *verdicts.entry(slot).or_insert_with(verdict)
        };
        for (seen, (sequence, replaced)) in self.replaced_after(start.after).enumerate() {
            if seen == looks.entries_max {
                survey.end = survey.end.min(sequence - 1);
                return;
            }
            if replaced.moment > start.moment && matches(replaced.slot) {
                survey.replaced.push(sequence);
            }
        }
    }
}
