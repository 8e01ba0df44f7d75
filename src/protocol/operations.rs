//! Which operation ids are taken, and by which use of them.

use std::borrow::Cow;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::OperationId;

/// The operations of one connection. An id is taken before anything waits for its operation, and
/// given back when that ends, whichever way it ends.
#[derive(Debug, Default)]
pub(super) struct Operations(FxHashSet<Arc<str>>);

/// Sets up to this size are kept for reuse when they are empty.
const KEPT_MAX: usize = 14;

impl Operations {
    /// Takes an id that is free.
    pub(super) fn take(&mut self, id: Cow<'_, str>) -> OperationId {
        let id: Arc<str> = id.into();
        self.0.replace(Arc::clone(&id));
        OperationId(id)
    }

    /// The use of the id that holds it.
    pub(super) fn find(&self, id: &str) -> Option<OperationId> {
        self.0.get(id).cloned().map(OperationId)
    }

    /// Whether this very use of the id still holds it.
    pub(super) fn holds(&self, id: &OperationId) -> bool {
        self.0.get(id.as_str()).is_some_and(|held| Arc::ptr_eq(held, &id.0))
    }

    /// Gives an id back; false if this use of it has ended before.
    pub(super) fn release(&mut self, id: &OperationId) -> bool {
        self.holds(id) && self.release_text(id.as_str()).is_some()
    }

    /// Gives back whatever use of the id there is.
    pub(super) fn release_text(&mut self, id: &str) -> Option<OperationId> {
        let released = self.0.take(id).map(OperationId);
        if self.0.is_empty() && self.0.capacity() > KEPT_MAX {
            self.0 = FxHashSet::default();
        }
        released
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0 = FxHashSet::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_use_is_another_id() {
        let mut operations = Operations::default();
        let first = operations.take("1".into());
        assert_eq!(operations.find("1"), Some(first.clone()));
        assert!(operations.release(&first));
        let second = operations.take("1".into());
        assert_ne!(first, second);
        assert!(!operations.holds(&first) && operations.holds(&second));
        assert!(!operations.release(&first));
        assert_eq!(operations.release_text("1"), Some(second));
        assert_eq!(operations.release_text("1"), None);
        assert_eq!(operations.len(), 0);
    }

    #[test]
    fn memory_is_given_back() {
        let mut operations = Operations::default();
        let ids: Vec<_> = (0..1000).map(|n| operations.take(n.to_string().into())).collect();
        assert!(ids.iter().all(|id| operations.release(id)));
        assert_eq!(operations.0.capacity(), 0);
    }
}
