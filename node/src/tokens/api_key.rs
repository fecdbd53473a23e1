//! API keys: stored only as a hash, compared in constant time.

use super::session_token::sha256;
use crate::domain::KeyHash;
use aws_lc_rs::constant_time::verify_slices_are_equal;

/// What the API keys that Curfew makes begin with, for secret scanners.
pub const API_KEY_PREFIX: &str = "cfk_";

/// SHA-256 of an API key. Whoever takes one from outside sees to it that it has at least 32 characters.
#[must_use]
pub fn hash_key(key: &str) -> KeyHash {
    KeyHash(sha256(key.as_bytes()))
}

/// Whether two API keys are the same, by their hashes, in constant time.
#[must_use]
pub fn keys_equal(one: &KeyHash, other: &KeyHash) -> bool {
    verify_slices_are_equal(&one.0, &other.0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_equals_itself_and_no_other() {
        let key = hash_key("0123456789abcdef0123456789abcdef");
        assert!(keys_equal(&key, &hash_key("0123456789abcdef0123456789abcdef")));
        assert!(!keys_equal(&key, &hash_key("0123456789abcdef0123456789abcdeF")));
        assert!(!keys_equal(&key, &hash_key("")));
        assert_eq!(hash_key("abc").0[..4], [0xba, 0x78, 0x16, 0xbf], "SHA-256 of abc, FIPS 180-2");
    }
}
