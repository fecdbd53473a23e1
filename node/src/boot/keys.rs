//! The opened signing keys, exchanged whenever the replicated keyring changes.

use crate::api::KeySource;
use crate::secret::SecretRing;
use crate::state::View;
use crate::tokens::Keys;
use std::sync::Arc;

pub(super) struct KeyWatch {
    view: View,
    ring: Arc<SecretRing>,
    keys: KeySource,
}

impl KeyWatch {
    pub(super) fn new(view: View, ring: Arc<SecretRing>, keys: KeySource) -> Self {
        Self { view, ring, keys }
    }

    /// Opens the keyring that the state holds now. A keyring that cannot be opened leaves the node without keys: it answers, but signs
    /// and verifies nothing.
    pub(super) fn reload(&self) {
        let keyring = self.view.read().keyring().clone();
        if keyring.keys.is_empty() {
            return;
        }
        match Keys::open(&keyring, &self.ring) {
            Ok(keys) => self.keys.store(Some(Arc::new(keys))),
            Err(error) => {
                tracing::error!(%error, "the keyring cannot be opened with this node's cluster secrets");
                self.keys.store(None);
            }
        }
    }
}
