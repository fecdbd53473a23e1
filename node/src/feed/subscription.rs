//! What a subscriber asks for, and why it may be refused.

use crate::domain::Position;

/// What a verifier does while it cannot show that its knowledge is fresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StaleMode {
    /// Refuses.
    FailClosed,
    /// Asks a node.
    Ask,
    /// Goes on accepting for a while: no bound can be promised for it.
    Accept {
        /// For so long.
        seconds: u64,
    },
}

/// What a subscriber asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// Resume after this position; `None`: from now on.
    pub after: Option<Position>,
    /// The name of the API key that it came with.
    pub key_name: String,
    /// Its stale mode, when it declares itself a verifier that acknowledges.
    pub verifier: Option<StaleMode>,
    /// Echoed in `hello`; its length is for the caller to bound.
    pub nonce: Option<String>,
}

/// Why there is no stream. The sentences are for the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubscribeError {
    /// There is no cluster yet, so there are no positions.
    #[error("the cluster has not formed")]
    NotFormed,
    /// The node is about to stop.
    #[error("the node is draining")]
    Draining,
    /// `subscribers_max` is reached.
    #[error("this node has {0} subscribers, which is its bound")]
    TooMany(usize),
    /// `streams_per_key_max` is reached.
    #[error("this API key has {0} streams on this node, which is its bound")]
    TooManyOfKey(usize),
}

/// Why an acknowledgement is refused. The sentences are for the operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AckError {
    /// No such stream, or it is another key's.
    #[error("no stream of this API key has that subscriber id on this node")]
    NotHere,
    /// Nobody can have applied what has not been told.
    #[error("index {acked} was acknowledged, {told} is the last that was told")]
    Ahead {
        /// What the subscriber says it has applied.
        acked: u64,
        /// What this node has told.
        told: u64,
    },
}
