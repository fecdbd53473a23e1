//! Consensus: proposals, read barriers, freshness, membership; and the only door to openraft.
//!
//! Everything here runs on a runtime of its own, so that HTTP and consensus do not starve each other. The room knows neither HTTP nor
//! actors nor tokens; what it has to say upwards it says through [`Listener`].

mod acks;
mod calls;
mod cluster;
mod forming;
mod handshake;
mod local;
mod log_storage;
mod membership;
mod network;
mod reads;
mod server;
mod state_machine;
mod status;
#[cfg(test)]
mod suite;
mod types;
mod upkeep;
mod wire;
mod writes;

pub use cluster::{Cluster, MakeInit, Parts, Recovered, recover};
pub use forming::InitError;
#[cfg(feature = "faults")]
pub use local::reroute_from_environment;
pub use local::{Advertised, Peer, Settings};
pub use membership::{MembershipError, NewMember};
pub use reads::{BarrierError, CatchUpError, Freshness};
pub use state_machine::Listener;
pub use status::{ClusterStatus, MemberStatus, NodeStatus, Role};
pub use types::Member;
