//! What changes for connections that are open: their limits, and the types that are served.

use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::operation::Slot;
use super::receive::operations_max;
use super::shard::Shard;
use super::state::{Key, State};
use super::{Options, Terms};
use crate::graphql::error::to_json;
use crate::plan::Uses;
use crate::protocol::Settled;

impl Shard {
    /// Runs for as long as the shard: takes over other limits and types, and says so.
    pub(super) async fn run_changes(
        self: Rc<Self>,
        mut terms: watch::Receiver<Terms>,
        follows: watch::Sender<u64>,
    ) {
        while terms.changed().await.is_ok() {
            let Terms { number, options } = *terms.borrow_and_update();
            self.attempt(|| {
                self.set_options(options);
                self.look_at_schema();
            });
            follows.send_replace(number);
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

    /// Ends the subscriptions that the schema does not serve any more, if it is another one than at
    /// the last look. Also called before something is delivered: what was published by another
    /// schema never reaches a subscription of before.
    #[inline]
    pub(super) fn look_at_schema(&self) {
        let newest = self.schema.generation();
        if self.generation.replace(newest) != newest {
            self.end_unserved(&mut self.state.borrow_mut());
        }
    }

    #[cold]
    fn end_unserved(&self, state: &mut State) {
        for (key, slot, errors) in self.unserved(state) {
            self.settle(state, key, slot, Settled::Refused(&errors), "type_changed");
        }
        self.wake_flusher(state);
    }

    /// The subscriptions that are not served any more, and why.
    fn unserved(&self, state: &State) -> Vec<(Key, Slot, Arc<str>)> {
        // Most rely on the same.
        let mut verdicts: FxHashMap<Arc<Uses>, Option<Arc<str>>> = FxHashMap::default();
        let mut judge = |uses: &Arc<Uses>| {
            let verdict = verdicts.entry(uses.clone());
            let serves = || Some(to_json(&[self.schema.serves(uses).err()?]).into());
            verdict.or_insert_with(serves).clone()
        };
        let mut found = Vec::new();
        for (index, connection) in &state.connections {
            let key = connection.key(index);
            for (place, operation) in &connection.operations {
                let uses = operation.uses.as_ref().filter(|_| !operation.is_over);
                if let Some(errors) = uses.and_then(&mut judge) {
                    // Operations of one connection are bounded far below u32 by the session.
                    let place = u32::try_from(place).unwrap_or(u32::MAX);
                    found.push((key, Slot { index: place, serial: operation.serial }, errors));
                }
            }
        }
        found
    }
}
