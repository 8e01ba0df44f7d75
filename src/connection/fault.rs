//! What a fault of ours may take down: its own connection; or, where the work was for many, the
//! connections of the shard, whose clients come back and resume. Never the shard.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use futures_util::FutureExt;
use tokio::task::AbortHandle;

use super::shard::Shard;
use super::state::Key;

impl Shard {
    /// Starts a task for one connection. A panic in it is the end of that connection.
    pub(super) fn spawn<W: Future<Output = ()> + 'static>(
        &self,
        key: Key,
        work: impl FnOnce(Rc<Self>) -> W,
    ) -> Option<AbortHandle> {
        // Gone only when the shard is: then there is nothing to work for.
        let this = self.this.upgrade()?;
        let work = AssertUnwindSafe(work(this.clone())).catch_unwind().map(move |ended| {
            if ended.is_err() {
                this.lost(&mut this.state.borrow_mut(), key);
            }
        });
        Some(tokio::task::spawn_local(work).abort_handle())
    }

    /// Does work for many connections. What a panic left undone is not known, so all connections
    /// are dropped: none misses a message without a word, and publishers do not wait for ever for
    /// a shard that delivers no more.
    pub(super) fn attempt(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_ok() {
            return;
        }
        tracing::error!(shard = self.id.0, "a fault of the broker ends a shard's connections");
        let mut state = self.state.borrow_mut();
        let keys: Vec<Key> = state.connections.iter().map(|(index, c)| c.key(index)).collect();
        for key in keys {
            // One that cannot be dropped either must not keep the others.
            let _ = catch_unwind(AssertUnwindSafe(|| self.lost(&mut state, key)));
        }
        state.dirty.clear();
        state.slow.clear();
    }
}

#[cfg(test)]
mod tests;
