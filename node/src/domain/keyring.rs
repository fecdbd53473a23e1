//! The replicated signing keys, as every node holds them: public parts in the clear, private parts wrapped.

use super::Moment;
use super::tagged::tagged;
use serde::{Deserialize, Serialize};

tagged! {
    /// A signature algorithm (RFC 7518).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum Alg {
        /// ECDSA with P-256 and SHA-256.
        1 => Es256(()),
    }
}

tagged! {
    /// Where a key stands in its life.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum KeyState {
        /// Published, does not sign yet.
        1 => Next(()),
        /// Signs.
        2 => Signing(()),
        /// Only verifies what it has signed.
        3 => Verifying(()),
        /// Neither signs nor verifies.
        4 => Retired(()),
        /// Taken back in an emergency.
        5 => Withdrawn(()),
    }
}

/// A private key under the cluster secret (AEAD; the nonce and the tag are part of it).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Which cluster secret wraps it: the first bytes of a derived label, not of the secret.
    pub secret_id: [u8; 8],
    /// Unique per wrap.
    pub nonce: [u8; 12],
    /// The encrypted PKCS#8 document with its tag.
    pub ciphertext: Vec<u8>,
}

impl std::fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WrappedKey(..)")
    }
}

/// One key of the keyring.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeyRecord {
    /// RFC 7638 thumbprint, base64url.
    pub kid: String,
    /// Its one algorithm.
    pub alg: Alg,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Moment,
    /// From when it signed.
    pub signs_from: Option<Moment>,
    /// Until when it signed.
    pub signed_until: Option<Moment>,
    /// From when it is of no use.
    pub retires_at: Option<Moment>,
    /// The longest life of a JWT that it signed, seconds.
    pub max_jwt_ttl_seconds: u64,
    /// The public point, uncompressed (65 bytes: 4, x, y).
    pub public: Vec<u8>,
    /// The private part.
    pub wrapped: WrappedKey,
}

/// All keys; `generation` counts its changes, so that a command made for another one is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Keyring {
    /// Rises with every change.
    pub generation: u64,
    /// In the order of their making.
    pub keys: Vec<KeyRecord>,
}

impl Keyring {
    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> Option<&KeyRecord> {
        self.keys.iter().find(|key| matches!(key.state, KeyState::Signing(())))
    }

    /// The keys that are published: next, signing and verifying.
    pub fn published(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.iter().filter(|key| matches!(key.state, KeyState::Next(()) | KeyState::Signing(()) | KeyState::Verifying(())))
    }
}
