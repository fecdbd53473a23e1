//! The road that every command takes, as the actors see it.

use crate::command::Command;
use crate::domain::{CommandId, Moment};
use crate::propose::{Done, ProposeError};
use crate::raft::Cluster;
use crate::state::View;
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// What the actors need of the cluster.
pub trait Road: Send + Sync + 'static {
    /// Proposes a command; ends within a bounded time, in one of three ways.
    fn propose(&self, id: CommandId, command: Command) -> BoxFuture<'static, Result<Done, ProposeError>>;
    /// Cluster time.
    fn now(&self) -> Moment;
    /// Cluster time as far as others stand behind it too.
    fn vouched(&self) -> Moment;
    /// The state of this node.
    fn view(&self) -> &View;
    /// Whether this node leads.
    fn is_leader(&self) -> bool;
}

impl Road for Cluster {
    fn propose(&self, id: CommandId, command: Command) -> BoxFuture<'static, Result<Done, ProposeError>> {
        let cluster = self.clone();
        async move { cluster.propose(id, command).await }.boxed()
    }

    fn now(&self) -> Moment {
        self.now()
    }

    fn vouched(&self) -> Moment {
        self.vouched()
    }

    fn view(&self) -> &View {
        self.view()
    }

    fn is_leader(&self) -> bool {
        self.is_leader()
    }
}
