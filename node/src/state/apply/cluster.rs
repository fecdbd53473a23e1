//! What concerns the cluster as a whole.

use super::remember::Done;
use crate::command::{Event, Init, Outcome, Refusal, ResetRoot, RetireNode};
use crate::state::rows::{Answer, ClusterFacts, RetiredNode, RootKey};
use crate::state::{RETIRED_NODES_MAX, State};

impl State {
    pub(super) fn init(&mut self, init: Init) -> Outcome {
        let Init { cluster_id, issuer, default_audience, format_level, policy, keyring, root_key } = init;
        self.tables.cluster.put(ClusterFacts { cluster_id, issuer, default_audience, format_level }, &mut self.ledger);
        self.tables.policy.put(policy, &mut self.ledger);
        self.tables.keyring.put(keyring, &mut self.ledger);
        self.tables.root_key.put(RootKey { hash: root_key }, &mut self.ledger);
        self.ledger.tell(Event::Keys);
        Outcome::Done(())
    }

    /// An id is retired once; the store that sat on it then is the one that is remembered.
    pub(super) fn retire_node(&mut self, retire: &RetireNode) -> Result<Done, Refusal> {
        let RetireNode { node_id, store_uuid } = *retire;
        if self.retired(node_id).is_none() {
            if self.tables.retired.len() >= RETIRED_NODES_MAX {
                return Err(Refusal::Overloaded("retired_nodes_max".to_owned()));
            }
            self.tables.retired.put(RetiredNode { node_id, store_uuid }, &mut self.ledger);
        }
        Ok(Done::once(Answer::Done(())))
    }

    pub(super) fn reset_root(&mut self, reset: &ResetRoot) -> Done {
        self.tables.root_key.put(RootKey { hash: reset.root_key }, &mut self.ledger);
        Done::once(Answer::Done(()))
    }
}
