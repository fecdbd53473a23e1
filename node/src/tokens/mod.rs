//! Credentials: session tokens, API keys, JWTs and the keys under which they are signed and verified.
//!
//! The one door to `jsonwebtoken`. Everything comes in: keys, time, random bytes; nothing here reads a clock, a disk or the network, and
//! nothing here knows whether a session is active. `jsonwebtoken` does the signatures and the JWKs; what a JWT may look like is decided by
//! the stricter rules of this room, because that library accepts unknown `crit`, any `typ`, an array as `iss` and more.

mod api_key;
mod expect;
mod json;
mod jws;
mod keys;
mod mint;
mod session_token;
mod verify;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod wycheproof;

pub use api_key::{API_KEY_PREFIX, hash_key, keys_equal};
pub use expect::{Expect, Verified};
pub use json::JsonError;
pub use jws::{JWT_MAX_BYTES, JwsError};
pub use keys::{KeyError, Keys, first_keyring, make_key};
pub use mint::{CLAIMS_DEPTH_MAX, MINTED_MAX_BYTES, Mint, MintError, Minted, RESERVED_CLAIMS};
pub use session_token::SessionToken;
pub use verify::{Unproven, VerifyError};
