//! The only place that draws randomness: ids, tokens, nonces.
//!
//! It must not know what its bytes are for beyond their shape. All of it comes from the operating system through aws-lc's generator, so
//! that everything drawn here is good enough for a secret.

use crate::domain::{ClusterId, CommandId, SessionId, StoreUuid};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `N` random bytes.
///
/// # Panics
/// When the operating system gives no random bytes: nothing that this process does would be safe without them.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// The id of a new command.
#[must_use]
pub fn command_id() -> CommandId {
    CommandId(bytes())
}

/// The id of a new session.
#[must_use]
pub fn session_id() -> SessionId {
    SessionId(bytes())
}

/// The 256 bits of a new session token.
#[must_use]
pub fn token_bytes() -> [u8; 32] {
    bytes()
}

/// The identity of a new data directory.
#[must_use]
pub fn store_uuid() -> StoreUuid {
    StoreUuid(bytes())
}

/// The identity of a new cluster; never zero.
#[must_use]
pub fn cluster_id() -> ClusterId {
    loop {
        let id = u32::from_le_bytes(bytes());
        if id != 0 {
            return ClusterId(id);
        }
    }
}

/// A nonce for a question whose answer must echo it: 16 bytes, base64url.
#[must_use]
pub fn nonce() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<16>())
}

/// An id for a request that brought none: 16 bytes, base64url.
#[must_use]
pub fn request_id() -> String {
    nonce()
}

/// A number below `n`, each equally likely; 0 when `n` is 0.
#[must_use]
pub fn below(n: u64) -> u64 {
    if n == 0 {
        return 0;
    }
    // The numbers at the top that would favour the small remainders are drawn again.
    let biased_from = u64::MAX - u64::MAX % n;
    loop {
        let drawn = u64::from_le_bytes(bytes());
        if drawn < biased_from {
            return drawn % n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_draws_are_alike() {
        let drawn: BTreeSet<[u8; 16]> = (0..1_000).map(|_| bytes()).collect();
        assert_eq!(drawn.len(), 1_000);
        assert_ne!(nonce(), nonce());
        assert_eq!(request_id().len(), 22);
    }

    #[test]
    fn a_number_below_n_is_below_n_and_every_one_of_them_comes() {
        assert_eq!(below(0), 0);
        assert_eq!(below(1), 0);
        let seen: BTreeSet<u64> = (0..500).map(|_| below(5)).collect();
        assert_eq!(seen, BTreeSet::from([0, 1, 2, 3, 4]));
        assert!((0..100).all(|_| below(u64::MAX) < u64::MAX));
    }

    #[test]
    fn a_cluster_id_can_be_read_back() {
        let id = cluster_id();
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
