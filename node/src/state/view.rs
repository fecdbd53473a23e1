//! What readers hold: the state behind a lock that all threads share.

use super::State;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The state as seen from outside. A reader holds the guard for a look, never across an await.
#[derive(Clone)]
pub struct View(Arc<RwLock<State>>);

impl View {
    /// Shares a state.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self(Arc::new(RwLock::new(state)))
    }

    /// A look at the state.
    ///
    /// # Panics
    /// When a thread panicked while it applied: what it left behind must not be read.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().expect("no thread panicked while it applied an entry")
    }

    /// For `raft` alone, once per batch of entries.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().expect("no thread panicked while it applied an entry")
    }
}
