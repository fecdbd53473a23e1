//! Read levels: what a node makes sure of before it looks at its state.

use super::Shared;
use super::error::{Kind, Problem};
use crate::domain::Moment;

/// How sure a read has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// Answered from memory, while the node is fresh (G3).
    Local,
    /// Linearizable with every acknowledged revocation (G2).
    Strict,
}

impl Level {
    /// Reads the name of a level.
    ///
    /// # Errors
    /// A field error that lists the levels.
    pub(crate) fn parse(text: Option<&str>, default: Self) -> Result<Self, Problem> {
        match text {
            None => Ok(default),
            Some("local") => Ok(Self::Local),
            Some("strict") => Ok(Self::Strict),
            Some(_) => Err(Problem::field("consistency must be local or strict")),
        }
    }

    /// Makes sure that the state may be looked at, and says what time it is. The state must be loaded after this, never before:
    /// freshness that was gained between a look and a check would prove nothing about the look.
    ///
    /// # Errors
    /// [`Kind::NodeStale`] when it may not.
    pub(crate) async fn ready(self, shared: &Shared) -> Result<Moment, Problem> {
        match self {
            Self::Strict => shared.cluster.barrier().await.map(|_| ()).map_err(Problem::from)?,
            Self::Local => fresh(shared)?,
        }
        Ok(shared.cluster.now())
    }
}

fn fresh(shared: &Shared) -> Result<(), Problem> {
    let freshness = shared.cluster.freshness();
    if freshness.fresh {
        return Ok(());
    }
    let detail = format!("this node cannot show that its state is at most {} ms old; ask another node", freshness.max_staleness_ms);
    Err(Problem::new(Kind::NodeStale, detail))
}
