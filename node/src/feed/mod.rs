//! The feed: every revocation that this node has applied, in order, to whoever follows it (protocol G8).
//!
//! One ring of encoded frames is shared by all streams and bounded; a stream that the ring has overtaken reads what it missed from the
//! replicated state, where the retained revocations are. So nobody who is slow costs memory or makes another wait, nothing is skipped in
//! silence, and what can no longer be made up for is said by `resync`.
//!
//! This room knows neither HTTP nor actors nor Raft: it is told what was applied ([`Hub::publish`], [`Hub::installed`]) and how fresh the
//! node is ([`Hub::beat`]), and hands out bytes ([`Stream::next`]). The shapes of its JSON are the feed's part of the HTTP contract; they
//! live here because each is encoded once for all streams.

mod body;
mod frame;
mod hub;
mod list;
mod pulse;
mod ring;
mod roll;
mod stream;
mod subscription;
#[cfg(test)]
mod tests;

pub use body::ListedRevocation;
pub use hub::{Hub, HubStats, Settings, node_of_subscriber};
pub use list::ListPage;
pub use pulse::{HeartbeatFacts, Pulse};
pub use stream::Stream;
pub use subscription::{AckError, StaleMode, SubscribeError, Subscription};
