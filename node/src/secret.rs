//! The cluster secret: what every node of a cluster knows and nobody else, and the keys that are derived from it.
//!
//! Each use has a key of its own (HKDF-SHA256, RFC 5869, one label each), so that none can be turned against another. This room must not
//! know what it wraps, whom it proves itself to, or where the secret was read from.

use crate::domain::WrappedKey;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use std::collections::BTreeMap;
use std::fmt;

/// The shortest cluster secret, bytes.
pub const SECRET_MIN_BYTES: usize = 32;
/// The most cluster secrets that a node may be given at once.
pub const SECRETS_MAX: usize = 8;

const LABEL_WRAP: &[u8] = b"curfew wrap v1";
const LABEL_PEER: &[u8] = b"curfew peer v1";
const LABEL_LOG: &[u8] = b"curfew log v1";
const LABEL_ID: &[u8] = b"curfew secret-id v1";

/// Why what the operator configured cannot be the cluster's secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too short to be worth anything.
    #[error("a cluster secret has at least {SECRET_MIN_BYTES} bytes; this one has {0}")]
    TooShort(usize),
    /// None given.
    #[error("no cluster secret is given")]
    None,
    /// More than the bound.
    #[error("at most {SECRETS_MAX} cluster secrets may be given; these are {0}")]
    TooMany(usize),
    /// One of them twice.
    #[error("the same cluster secret is given twice")]
    Twice,
}

/// Why a wrapped key could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// Wrapped under a secret that this node was not given; its id in hexadecimal digits.
    #[error("the key is wrapped under cluster secret {0}, which this node was not given")]
    UnknownSecret(String),
    /// The bytes are not what was wrapped under this kid.
    #[error("the wrapped key is damaged, or belongs to another kid")]
    Damaged,
}

/// One secret of the cluster. Its bytes cannot be got back from it.
pub struct ClusterSecret {
    id: [u8; 8],
    wrap: LessSafeKey,
    peer: [u8; 32],
    log: [u8; 32],
}

impl ClusterSecret {
    /// Takes at least [`SECRET_MIN_BYTES`] bytes.
    ///
    /// # Errors
    /// [`SecretError::TooShort`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        if bytes.len() < SECRET_MIN_BYTES {
            return Err(SecretError::TooShort(bytes.len()));
        }
        let root = hkdf::Salt::none(hkdf::HKDF_SHA256).extract(bytes);
        let wrap = UnboundKey::new(&AES_256_GCM, &derive::<32>(&root, LABEL_WRAP)).expect("a key of AES-256 has 32 bytes");
        Ok(Self { id: derive(&root, LABEL_ID), wrap: LessSafeKey::new(wrap), peer: derive(&root, LABEL_PEER), log: derive(&root, LABEL_LOG) })
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterSecret({})", hex(&self.id))
    }
}

/// How many bytes HKDF is asked for.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive<const N: usize>(root: &hkdf::Prk, label: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    let info = [label];
    root.expand(&info, Length(N)).and_then(|okm| okm.fill(&mut key)).expect("HKDF-SHA256 yields up to 8160 bytes");
    key
}

/// The secrets that a node was given: the first wraps, all unwrap. Nodes with the same set prove themselves to each other, whatever the order.
#[derive(Debug)]
pub struct SecretRing {
    secrets: Vec<ClusterSecret>,
}

impl SecretRing {
    /// Takes 1 to [`SECRETS_MAX`] different secrets.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn new(secrets: Vec<ClusterSecret>) -> Result<Self, SecretError> {
        if secrets.is_empty() {
            return Err(SecretError::None);
        }
        if secrets.len() > SECRETS_MAX {
            return Err(SecretError::TooMany(secrets.len()));
        }
        let ring = Self { secrets };
        if ring.by_id().len() < ring.secrets.len() { Err(SecretError::Twice) } else { Ok(ring) }
    }

    /// What names each secret without telling it, the one that wraps first.
    #[must_use]
    pub fn ids(&self) -> Vec<[u8; 8]> {
        self.secrets.iter().map(|secret| secret.id).collect()
    }

    /// The key by which nodes prove that they know the whole set.
    #[must_use]
    pub fn peer_key(&self) -> PeerKey {
        PeerKey(self.shared(|secret| &secret.peer))
    }

    /// The key that makes ids in logs comparable but not guessable; the same on all nodes with the same set.
    #[must_use]
    pub fn log_key(&self) -> LogKey {
        LogKey(self.shared(|secret| &secret.log))
    }

    /// Encrypts a private key under the first secret, bound to its `kid`. `nonce` must never have been used before: drawn anew each time.
    ///
    /// # Panics
    /// When `pkcs8` exceeds 64 GiB, the limit of AES-GCM.
    #[must_use]
    pub fn wrap(&self, kid: &str, pkcs8: &[u8], nonce: [u8; 12]) -> WrappedKey {
        let secret = self.secrets.first().expect("a ring has at least one secret");
        let mut ciphertext = pkcs8.to_vec();
        secret
            .wrap
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(kid), &mut ciphertext)
            .expect("a private key is shorter than the limit of AES-GCM");
        WrappedKey { secret_id: secret.id, nonce, ciphertext }
    }

    /// Decrypts what [`wrap`](Self::wrap) encrypted under the same `kid`, on any node that was given the same secret.
    ///
    /// # Errors
    /// See [`UnwrapError`].
    pub fn unwrap(&self, kid: &str, wrapped: &WrappedKey) -> Result<Vec<u8>, UnwrapError> {
        let unknown = || UnwrapError::UnknownSecret(hex(&wrapped.secret_id));
        let secret = self.secrets.iter().find(|secret| secret.id == wrapped.secret_id).ok_or_else(unknown)?;
        let mut bytes = wrapped.ciphertext.clone();
        let opened = secret.wrap.open_in_place(Nonce::assume_unique_for_key(wrapped.nonce), Aad::from(kid), &mut bytes);
        let length = opened.map_err(|_| UnwrapError::Damaged)?.len();
        bytes.truncate(length);
        Ok(bytes)
    }

    /// One key of the whole set: with one secret its own, with several all of them in the order of their ids.
    fn shared(&self, part: impl Fn(&ClusterSecret) -> &[u8; 32]) -> hmac::Key {
        let parts: Vec<u8> = self.by_id().values().flat_map(|secret| *part(secret)).collect();
        hmac::Key::new(hmac::HMAC_SHA256, &parts)
    }

    fn by_id(&self) -> BTreeMap<[u8; 8], &ClusterSecret> {
        self.secrets.iter().map(|secret| (secret.id, secret)).collect()
    }
}

/// Proves to a peer that this node knows the cluster's secrets, and checks the peer's proof.
#[derive(Clone)]
pub struct PeerKey(hmac::Key);

impl PeerKey {
    /// HMAC-SHA256 of what both sides have said.
    #[must_use]
    pub fn prove(&self, transcript: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, transcript);
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    /// Whether `proof` is the proof of `transcript`; in constant time.
    #[must_use]
    pub fn verify(&self, transcript: &[u8], proof: &[u8]) -> bool {
        hmac::verify(&self.0, transcript, proof).is_ok()
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerKey(..)")
    }
}

/// Turns ids into what may stand in a log.
#[derive(Clone)]
pub struct LogKey(hmac::Key);

impl LogKey {
    /// Twelve hexadecimal digits that stand for `bytes`.
    #[must_use]
    pub fn tag(&self, bytes: &[u8]) -> String {
        let tag = hmac::sign(&self.0, bytes);
        hex(tag.as_ref().get(..6).expect("HMAC-SHA256 has 32 bytes"))
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogKey(..)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(byte: u8) -> ClusterSecret {
        ClusterSecret::from_bytes(&[byte; 32]).unwrap()
    }

    fn ring(bytes: &[u8]) -> SecretRing {
        SecretRing::new(bytes.iter().copied().map(secret).collect()).unwrap()
    }

    #[test]
    fn secrets_that_are_none_are_refused() {
        assert_eq!(ClusterSecret::from_bytes(&[1; 31]).unwrap_err(), SecretError::TooShort(31));
        assert_eq!(SecretRing::new(Vec::new()).unwrap_err(), SecretError::None);
        assert_eq!(SecretRing::new(vec![secret(1), secret(2), secret(1)]).unwrap_err(), SecretError::Twice);
        assert_eq!(SecretRing::new((0..9).map(secret).collect()).unwrap_err(), SecretError::TooMany(9));
    }

    /// What is derived is a promise: stored keys are wrapped under it, and nodes of two releases must understand each other.
    /// The values were computed by another implementation (Python: hmac, cryptography).
    #[test]
    fn derived_values_are_what_hkdf_says() {
        let ring = ring(&[7]);
        assert_eq!(hex(&ring.ids()[0]), "17395f7048c3b61b");
        assert_eq!(hex(&ring.peer_key().prove(b"hello")), "a7837c5ec3b1120a56b2856699f81c0a88faecf8b61d458d677999cf51e561b3");
        assert_eq!(ring.log_key().tag(b"ses_"), "7a27be4e0db9");
        assert_eq!(hex(&ring.wrap("kid", b"pkcs8", [9; 12]).ciphertext), "4c9689be0f5d182836b5a81435d72c42b56af307ae");
    }

    #[test]
    fn the_first_secret_wraps_and_all_unwrap() {
        let wrapped = ring(&[1, 2]).wrap("kid", b"private", [3; 12]);
        assert_eq!(wrapped.secret_id, secret(1).id);
        assert_eq!(ring(&[2, 1]).unwrap("kid", &wrapped).unwrap(), b"private");
        assert_eq!(ring(&[2]).unwrap("kid", &wrapped), Err(UnwrapError::UnknownSecret(hex(&secret(1).id))));
        assert_eq!(ring(&[1]).unwrap("other", &wrapped), Err(UnwrapError::Damaged));
    }

    #[test]
    fn peers_need_the_same_set_but_not_the_same_order() {
        let proof = ring(&[1, 2]).peer_key().prove(b"challenge");
        assert!(ring(&[2, 1]).peer_key().verify(b"challenge", &proof));
        assert!(!ring(&[2, 1]).peer_key().verify(b"challenge!", &proof));
        assert!(!ring(&[2, 1]).peer_key().verify(b"challenge", &proof[..31]));
        assert!(!ring(&[1]).peer_key().verify(b"challenge", &proof));
        assert!(!ring(&[1, 2, 3]).peer_key().verify(b"challenge", &proof));
        assert_eq!(ring(&[1, 2]).log_key().tag(b"a"), ring(&[2, 1]).log_key().tag(b"a"));
        assert_ne!(ring(&[1]).log_key().tag(b"a"), ring(&[2]).log_key().tag(b"a"));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let ring = ring(&[1]);
        let id = hex(&secret(1).id);
        assert_eq!(format!("{ring:?}"), format!("SecretRing {{ secrets: [ClusterSecret({id})] }}"));
        assert_eq!(format!("{:?} {:?}", ring.peer_key(), ring.log_key()), "PeerKey(..) LogKey(..)");
    }

    proptest! {
        #[test]
        fn what_is_wrapped_comes_back_and_no_flipped_bit_passes(kid in "[A-Za-z0-9_-]{1,64}", body: Vec<u8>, nonce: [u8; 12], flip: prop::sample::Index) {
            let ring = ring(&[1]);
            let wrapped = ring.wrap(&kid, &body, nonce);
            prop_assert_eq!(ring.unwrap(&kid, &wrapped), Ok(body));

            let mut flipped = wrapped.clone();
            let bit = flip.index(8 * (wrapped.nonce.len() + wrapped.ciphertext.len()));
            let (byte, mask) = (bit / 8, 1 << (bit % 8));
            match byte.checked_sub(wrapped.nonce.len()) {
                None => flipped.nonce[byte] ^= mask,
                Some(at) => flipped.ciphertext[at] ^= mask,
            }
            prop_assert_eq!(ring.unwrap(&kid, &flipped), Err(UnwrapError::Damaged));
        }

        #[test]
        fn unwrapping_any_bytes_never_panics(kid in ".*", ciphertext: Vec<u8>, nonce: [u8; 12]) {
            let wrapped = WrappedKey { secret_id: secret(1).id, nonce, ciphertext };
            prop_assert!(ring(&[1]).unwrap(&kid, &wrapped).is_err());
        }
    }
}
