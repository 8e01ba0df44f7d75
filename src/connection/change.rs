//! What changes for connections that are open: their limits.

use std::rc::Rc;

use tokio::sync::watch;

use super::Options;
use super::receive::operations_max;
use super::shard::Shard;
use super::state::Key;

impl Shard {
    /// Runs for as long as the shard: takes over other limits.
    pub(super) async fn run_options(self: Rc<Self>, mut options: watch::Receiver<Options>) {
        while options.changed().await.is_ok() {
            let newest = *options.borrow_and_update();
            self.attempt(|| self.set_options(newest));
        }
    }

    fn set_options(&self, options: Options) {
        self.options.set(options);
        let mut state = self.state.borrow_mut();
        let keys: Vec<Key> = state.connections.iter().map(|(index, c)| c.key(index)).collect();
        for key in keys {
            if let Some(connection) = state.connection(key) {
                connection.assembler.set_message_bytes_max(options.message_bytes_max);
                connection.session.set_operations_max(operations_max(options));
                connection.socket.set_patience(options.idle_timeout);
                // Who waits for room may have it under the new bound.
                connection.tell_room();
            }
            self.schedule(&mut state, key);
        }
    }
}
