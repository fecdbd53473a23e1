//! Who acts: session actors, their registry, the keeper (protocol G5, G7; ARCHITECTURE.md "Actors act, readers read").
//!
//! A session actor lives while its session is in use on this node and does what nothing else does: it owns the session's present JWT, mints
//! it once for all who wait, and lets this node's changes of the session take turns. Readers do not hop: they look into the slot that the
//! actor fills. The keeper notes when sessions were seen, one entry a second for all of them, and on the leader ends and forgets what is due.
//!
//! No promise rests on an actor: Raft orders the writes, and whoever finds no actor acts without one. This room knows nothing of HTTP.
//! Mailboxes are bounded, and what does not fit is said; `do_send` ignores the bound and is banned.

mod duties;
mod handle;
mod keeper;
mod mint;
mod registry;
mod road;
mod seen;
mod session;
mod slots;
#[cfg(test)]
mod tests;
mod touches;
mod turn;

pub use handle::{ActError, Actors, Settings};
pub use road::Road;
pub use seen::ActorsSeen;
pub use turn::PatchError;
