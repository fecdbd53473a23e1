//! Key space 9: node ids out of use. Key: the node's id. Written when a node is removed, and there for good.

use crate::domain::{NodeId, StoreUuid};
use crate::state::table::Record;
use serde::{Deserialize, Serialize};

/// A node that will not come back under its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::state) struct RetiredNode {
    pub(in crate::state) node_id: NodeId,
    /// The store that sat on it.
    pub(in crate::state) store_uuid: StoreUuid,
}

impl Record for RetiredNode {
    const TAG: u8 = 9;
    type Key = NodeId;

    fn key(&self) -> NodeId {
        self.node_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::table::assert_order;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn retired_nodes_sort_by_their_id(one: u64, other: u64) {
            assert_order::<RetiredNode>(one, other);
        }
    }
}
