//! The words of the product as types: ids, moments, the session and its life, the policy. Pure questions and answers.
//!
//! This room knows no clock, no dice, no disk, no network and no format; everything else may name it, it names nothing.

mod acr;
mod ids;
mod keyring;
mod moment;
mod policy;
mod revocation;
mod session;
pub(crate) mod tagged;
mod text;

pub use acr::{Acr, AcrTable};
pub use ids::{
    ClusterId, CommandId, InvalidId, KeyHash, LogIndex, NodeId, Position, SESSION_ID_PREFIX, SESSION_TOKEN_PREFIX, SessionId, StoreUuid, TokenHash,
    decode_exact,
};
pub use keyring::{Alg, KeyRecord, KeyState, Keyring, WrappedKey};
pub use moment::Moment;
pub use policy::{LimitMode, Policy, Preset, RefreshByExpiredJwt, SessionLimit};
pub use revocation::{AllScope, KeyScope, Revocation, RevocationEntry, Scope, SessionScope, UserScope};
pub use session::{Cause, Deadline, Ending, Evicted, Expired, Factor, Revoked, Session, Standing};
pub use text::{InvalidText, check_reason, check_user_id};
