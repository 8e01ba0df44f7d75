//! The threads that read the disk for others: few, with a bounded queue before them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::writer::unavailable;
use crate::engine::{Error, Reply};

type Job = Box<dyn FnOnce() + Send>;

/// The threads.
pub(super) struct Readers {
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// Reads that wait for a thread.
const WAITING_MAX: usize = 4096;

impl Readers {
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        let start = |number| {
            let waiting = Arc::clone(&waiting);
            let thread = std::thread::Builder::new().name(format!("disk-read-{number}"));
            thread.spawn(move || work(&waiting))
        };
        let threads = (0..count).map(start).collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), threads })
    }

    /// Has a read done; it is refused when too many wait.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Reply<T> {
        let (answer, later) = oneshot::channel();
        // Who does not wait any more does not get it.
        let job: Job = Box::new(move || drop(answer.send(read())));
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Ok(())) => Reply::Later(later),
            _ => Reply::now(Err(unavailable("too many reads wait for the disk".into(), false))),
        }
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        // One of the threads waits at the queue, and the others for its place: the job itself is
        // done without the lock.
        let job = waiting.lock().recv();
        match job {
            // A fault in one read, as damaged files may cause, must not cost the thread: who asked
            // is told that there is no answer.
            Ok(job) => drop(std::panic::catch_unwind(AssertUnwindSafe(job))),
            Err(_) => return,
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.jobs = None;
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
