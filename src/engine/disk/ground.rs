//! What the writer and the readers share: the view, the store, and whether it can be written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::folder::Folder;
use super::inbox::{Inbox, Request};
use super::read::Reading;
use super::store::{Shared, StoreError};
use super::survey::Survey;
use super::view::View;
use crate::engine::Error;
use crate::engine::histogram::Histogram;
use crate::engine::topics::Looks;
use crate::message::cursor::Epoch;
use crate::message::time::Timestamp;

/// What the writer and the readers share.
pub(super) struct Ground {
    /// Guards what readers may see, and with it the order in which the sink is called. No file is
    /// touched under it.
    pub(super) view: Mutex<View>,
    pub(super) store: Shared,
    pub(super) folder: Folder,
    pub(super) epoch: Epoch,
    pub(super) looks: Looks,
    pub(super) free_bytes_min: u64,
    /// Why nothing can be written any more.
    pub(super) failure: OnceLock<String>,
    pub(super) is_crowded: AtomicBool,
    /// How long writes took.
    pub(super) commits: Histogram,
}

impl Ground {
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// From now on nothing is written; a start may find the disk well again.
    pub(super) fn fail(&self, error: &StoreError) -> String {
        let failure = self.failure.get_or_init(|| {
            tracing::error!(
                "{}: cannot be written: {error}; publishes are refused until a restart",
                self.folder.name()
            );
            "the disk cannot be written".into()
        });
        failure.clone()
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.is_crowded.load(Ordering::Relaxed)
    }

    /// Stops publishes before the disk is full, and lets them in again when there is room.
    pub(super) fn look_for_room(&self) {
        let free = self.folder.free_bytes();
        let is_crowded = free.is_some_and(|free| free < self.free_bytes_min);
        if self.is_crowded.swap(is_crowded, Ordering::Relaxed) != is_crowded {
            let name = self.folder.name();
            if is_crowded {
                tracing::error!("{name}: the disk is nearly full; publishes are refused");
            } else {
                tracing::info!("{name}: the disk has room again");
            }
        }
    }

    /// Waits until the writer has forgotten what is past its age.
    pub(super) fn freshen(&self, inbox: &Inbox, now: Timestamp) {
        let is_due = self.view.lock().due.is_some_and(|due| due <= now);
        if !is_due || self.failure.get().is_some() {
            return;
        }
        let (answer, later) = oneshot::channel();
        if inbox.push(Request::Expire(answer)).is_ok() {
            // A writer that is gone forgets nothing.
            let _ = later.blocking_recv();
        }
    }

    /// A survey, and the disk of that moment: what the survey finds kept is on it.
    pub(super) fn survey(
        &self,
        survey: impl FnOnce(&View) -> Result<Survey, Error>,
    ) -> Result<Reading, Error> {
        let view = self.view.lock();
        let survey = survey(&view)?;
        Ok(Reading { survey, disk: Arc::clone(&view.disk), looks: self.looks })
    }
}
