//! Files that change: the system tells of their folders, because editors and installers put new
//! files in the place of old ones. What has changed, if anything, others find out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// A watch over folders.
pub(super) struct Watch {
    /// `None` where the system gives none, and before it is needed.
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    /// Room for one: that something happened is all that is told.
    teller: mpsc::Sender<()>,
    told: mpsc::Receiver<()>,
    /// Something has happened; it is told when nothing more has happened for a moment.
    stir: Option<Stir>,
    /// The system refused, and that was said.
    is_refused: bool,
}

/// Something happens in the folders.
#[derive(Debug, Clone, Copy)]
struct Stir {
    began: Instant,
    last: Instant,
}

/// A writer is done when nothing has happened for so long,
const QUIET: Duration = Duration::from_millis(200);
/// and a folder in which something happens all the time is looked at so often.
const STIR_MAX: Duration = Duration::from_secs(2);

impl Stir {
    /// When it is told.
    fn due(self) -> Instant {
        (self.last + QUIET).min(self.began + STIR_MAX)
    }
}

impl Watch {
    /// Over nothing.
    pub(super) fn new() -> Self {
        let (teller, told) = mpsc::channel(1);
        let (watched, stir) = (BTreeSet::new(), None);
        Self { watcher: None, watched, teller, told, stir, is_refused: false }
    }

    /// Watches these folders from now on, and what is above them: a folder may go and come back.
    /// To be called again when something has happened; what happened before the call is not told.
    pub(super) fn follow(&mut self, folders: &BTreeSet<PathBuf>) {
        let outcome = self.try_follow(folders);
        if let Err(error) = &outcome
            && !self.is_refused
        {
            tracing::warn!("files cannot be watched, only SIGHUP reloads them: {error}");
        }
        self.is_refused = outcome.is_err();
    }

    fn try_follow(&mut self, folders: &BTreeSet<PathBuf>) -> notify::Result<()> {
        let Some(watcher) = &mut self.watcher else {
            if folders.is_empty() {
                return Ok(());
            }
            let teller = self.teller.clone();
            self.watcher = Some(notify::recommended_watcher(move |event| tell(&event, &teller))?);
            return self.try_follow(folders);
        };
        for path in std::mem::take(&mut self.watched) {
            // A folder that is gone has taken its watch along.
            let _ = watcher.unwatch(&path);
        }
        self.watched = places(folders);
        for path in &self.watched {
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // Gone since it was looked at, which the one above it tells.
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        if places(folders) != self.watched {
            // A folder came or went before the one above it was watched.
            self.stir();
        }
        Ok(())
    }

    /// Something happens in the folders: a writer may be at work, so it is told in a moment.
    pub(super) fn stir(&mut self) {
        let now = Instant::now();
        let began = self.stir.map_or(now, |stir| stir.began);
        self.stir = Some(Stir { began, last: now });
    }

    /// Waits until something has happened in the folders and is over. May be dropped and called
    /// again.
    pub(super) async fn changed(&mut self) {
        loop {
            let Some(stir) = self.stir else {
                self.told.recv().await;
                self.stir();
                continue;
            };
            tokio::select! {
                biased;
                () = sleep_until(stir.due()) => {
                    self.stir = None;
                    return;
                }
                _ = self.told.recv() => self.stir(),
            }
        }
    }
}

/// Tells what may have changed a file: not that somebody reads it, as we do ourselves.
fn tell(event: &notify::Result<notify::Event>, teller: &mpsc::Sender<()>) {
    let is_written = |kind| kind == AccessKind::Close(AccessMode::Write);
    let is_told = match event {
        Ok(notify::Event { kind: EventKind::Access(kind), .. }) => is_written(*kind),
        // What is not known may have changed.
        Ok(_) | Err(_) => true,
    };
    if is_told {
        // Full: it is told already.
        let _ = teller.try_send(());
    }
}

/// Each of the folders if it is there, and the nearest one above it that is.
fn places(folders: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let is_folder = |path: &&Path| fs::metadata(path).is_ok_and(|found| found.is_dir());
    let mut places = BTreeSet::new();
    for folder in folders {
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
        let above = folder.ancestors().skip(1).find(is_folder);
        let itself = Some(folder.as_path()).filter(is_folder);
        places.extend(above.into_iter().chain(itself).map(Path::to_owned));
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn settled(watch: &mut Watch, what: &str) {
        let told = tokio::time::timeout(Duration::from_secs(30), watch.changed()).await;
        assert!(told.is_ok(), "{what}");
    }

    #[tokio::test]
    async fn a_folder_that_goes_and_comes_back_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/schema");
        let folders = BTreeSet::from([folder.clone()]);
        let mut watch = Watch::new();
        watch.follow(&folders);
        for _ in 0..3 {
            fs::create_dir_all(&folder).unwrap();
            settled(&mut watch, "it comes").await;
            watch.follow(&folders);
            fs::write(folder.join("x"), "1").unwrap();
            settled(&mut watch, "a file is written").await;
            fs::write(root.path().join("a/y"), "1").unwrap();
            fs::rename(root.path().join("a/y"), folder.join("x")).unwrap();
            settled(&mut watch, "a file takes its place").await;
            fs::remove_dir_all(root.path().join("a")).unwrap();
            settled(&mut watch, "it goes").await;
            watch.follow(&folders);
        }
    }

    #[test]
    fn who_reads_changes_nothing() {
        let (teller, mut told) = mpsc::channel(1);
        let read = [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Close(AccessMode::Read),
            AccessKind::Read,
        ];
        for kind in read {
            tell(&Ok(notify::Event::new(EventKind::Access(kind))), &teller);
            assert!(told.try_recv().is_err(), "{kind:?}");
        }
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        for kind in [written, EventKind::Any, EventKind::Other] {
            tell(&Ok(notify::Event::new(kind)), &teller);
            assert!(told.try_recv().is_ok(), "{kind:?}");
        }
        // More than there is room for is told once.
        (0..9).for_each(|_| tell(&Err(notify::Error::generic("overflow")), &teller));
        assert!(told.try_recv().is_ok() && told.try_recv().is_err());
    }

    #[test]
    fn what_happens_all_the_time_is_told_now_and_then() {
        let began = Instant::now();
        let table = [(0, 200), (150, 350), (1700, 1900), (1900, 2000), (5000, 2000)];
        for (last, due) in table {
            let stir = Stir { began, last: began + Duration::from_millis(last) };
            assert_eq!(stir.due(), began + Duration::from_millis(due), "{last} ms");
        }
    }
}
