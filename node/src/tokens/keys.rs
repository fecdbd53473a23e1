//! The keyring, opened: what signs, what verifies, what is published. Decoded once, shared by all threads.

use super::jws::{JwsError, VerifyingKey};
use crate::domain::{Alg, KeyRecord, KeyState, Keyring, Moment, Policy};
use crate::secret::{SecretRing, UnwrapError};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse,
    ThumbprintHash,
};
use jsonwebtoken::{Algorithm, EncodingKey};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Why a keyring cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The public part is not an uncompressed point of P-256, or the kid is not its thumbprint.
    #[error("signing key {0}: its public part does not belong to its kid")]
    Public(String),
    /// The private part cannot be unwrapped.
    #[error("signing key {kid}: {source}")]
    Unwrap {
        /// The key.
        kid: String,
        /// Why.
        source: UnwrapError,
    },
    /// The private part does not sign what the public part verifies.
    #[error("signing key {0}: its private part does not belong to its public part")]
    Pair(String),
    /// A kid occurs twice.
    #[error("signing key {0} occurs twice in the keyring")]
    Twice(String),
    /// More than one key is said to sign.
    #[error("the keyring has more than one signer")]
    Signers,
}

/// Makes a key pair for ES256: its kid is the RFC 7638 thumbprint of its public part, its private part is wrapped under the first secret.
/// `nonce` must be drawn anew for each key. A key made to sign signs from `now`; what life its JWTs have is for the caller to note.
///
/// # Panics
/// When the operating system gives no random bytes.
#[must_use]
pub fn make_key(ring: &SecretRing, now: Moment, state: KeyState, nonce: [u8; 12]) -> KeyRecord {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the operating system gives random bytes");
    let private = pair.to_pkcs8v1().expect("a key that was just made can be written");
    let public = pair.public_key().as_ref().to_vec();
    let kid = point(&public).and_then(thumbprint).expect("the public part of a P-256 key is a point of 65 bytes");
    let wrapped = ring.wrap(&kid, private.as_ref(), nonce);
    let signs_from = matches!(state, KeyState::Signing(())).then_some(now);
    KeyRecord {
        kid,
        alg: Alg::Es256(()),
        state,
        created_at: now,
        signs_from,
        signed_until: None,
        retires_at: None,
        max_jwt_ttl_seconds: 0,
        public,
        wrapped,
    }
}

/// The keyring that a cluster begins with: a key that signs and the next one. The two nonces must be drawn anew.
#[must_use]
pub fn first_keyring(ring: &SecretRing, now: Moment, policy: &Policy, nonces: [[u8; 12]; 2]) -> Keyring {
    let [one, two] = nonces;
    let signing = KeyRecord { max_jwt_ttl_seconds: policy.jwt_ttl_seconds, ..make_key(ring, now, KeyState::Signing(()), one) };
    Keyring { generation: 1, keys: vec![signing, make_key(ring, now, KeyState::Next(()), two)] }
}

/// An opened keyring. Cloning it copies a pointer.
#[derive(Clone)]
pub struct Keys(Arc<Opened>);

struct Opened {
    signer: Option<Signer>,
    known: BTreeMap<String, Known>,
    jwks: String,
}

/// The key that signs.
pub(super) struct Signer {
    pub(super) kid: Arc<str>,
    key: EncodingKey,
    /// The encoded header of every JWT that it signs, and the dot behind it.
    pub(super) header: String,
}

/// What the keyring says of a kid.
pub(super) enum Known {
    /// It verifies.
    Verifies(VerifyingKey),
    /// It has been retired.
    Retired,
    /// It was taken back.
    Withdrawn,
}

impl Keys {
    /// Opens a keyring. The key that signs and the next one are unwrapped and tried, so that a node that could not sign after the next
    /// rotation says so now.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn open(keyring: &Keyring, ring: &SecretRing) -> Result<Self, KeyError> {
        let mut known = BTreeMap::new();
        let mut signer = None;
        for record in &keyring.keys {
            let (entry, private) = open_record(record, ring)?;
            if known.insert(record.kid.clone(), entry).is_some() {
                return Err(KeyError::Twice(record.kid.clone()));
            }
            if let (KeyState::Signing(()), Some(key)) = (record.state, private)
                && signer.replace(Signer::new(&record.kid, key)).is_some()
            {
                return Err(KeyError::Signers);
            }
        }
        let published = keyring.published().map(public_jwk).collect::<Result<Vec<_>, _>>()?;
        let jwks = serde_json::to_string(&JwkSet { keys: published }).expect("a JWK is text and text alone");
        Ok(Self(Arc::new(Opened { signer, known, jwks })))
    }

    /// The kid of the key that signs; `None` before the cluster has its keys.
    #[must_use]
    pub fn signing_kid(&self) -> Option<&str> {
        self.0.signer.as_ref().map(|signer| &*signer.kid)
    }

    /// The JWK Set (RFC 7517) as JSON text: next, signing and verifying keys, one algorithm, in the order of their making. The same text on
    /// all nodes with the same keyring.
    #[must_use]
    pub fn jwks(&self) -> &str {
        &self.0.jwks
    }

    pub(super) fn signer(&self) -> Option<&Signer> {
        self.0.signer.as_ref()
    }

    pub(super) fn known(&self, kid: &str) -> Option<&Known> {
        self.0.known.get(kid)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("signing", &self.signing_kid()).field("known", &self.0.known.keys()).finish()
    }
}

impl Signer {
    fn new(kid: &str, key: EncodingKey) -> Self {
        // A thumbprint is base64url, so it needs no escaping.
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{kid}"}}"#));
        Self { kid: kid.into(), key, header: header + "." }
    }

    /// The signature of `message`, in base64url. ECDSA's nonce comes from aws-lc's generator, which each process seeds from the operating
    /// system, so two nodes that sign at once share none (RFC 8725 section 3.2).
    pub(super) fn sign(&self, message: &str) -> Option<String> {
        sign(message, &self.key)
    }
}

fn sign(message: &str, key: &EncodingKey) -> Option<String> {
    jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::ES256).ok()
}

fn open_record(record: &KeyRecord, ring: &SecretRing) -> Result<(Known, Option<EncodingKey>), KeyError> {
    let verifying = VerifyingKey::from_jwk(&public_jwk(record)?).map_err(|_| KeyError::Public(record.kid.clone()))?;
    match record.state {
        KeyState::Signing(()) | KeyState::Next(()) => {
            let key = open_private(record, ring, &verifying)?;
            Ok((Known::Verifies(verifying), Some(key)))
        }
        KeyState::Verifying(()) => Ok((Known::Verifies(verifying), None)),
        KeyState::Retired(()) => Ok((Known::Retired, None)),
        KeyState::Withdrawn(()) => Ok((Known::Withdrawn, None)),
    }
}

fn open_private(record: &KeyRecord, ring: &SecretRing, verifying: &VerifyingKey) -> Result<EncodingKey, KeyError> {
    let kid = &record.kid;
    let pkcs8 = ring.unwrap(kid, &record.wrapped).map_err(|source| KeyError::Unwrap { kid: kid.clone(), source })?;
    let key = EncodingKey::from_ec_der(&pkcs8);
    let trial = sign(kid, &key).ok_or(JwsError::Signature).and_then(|signature| verifying.check_signature(kid.as_bytes(), &signature));
    trial.map_err(|_| KeyError::Pair(kid.clone()))?;
    Ok(key)
}

/// The public part as a JWK, after proof that the kid is its thumbprint.
fn public_jwk(record: &KeyRecord) -> Result<Jwk, KeyError> {
    let Alg::Es256(()) = record.alg;
    let parameters = point(&record.public).filter(|parameters| thumbprint(parameters.clone()).as_deref() == Some(&record.kid));
    let algorithm = parameters.ok_or_else(|| KeyError::Public(record.kid.clone()))?;
    let common = CommonParameters {
        public_key_use: Some(PublicKeyUse::Signature),
        key_algorithm: Some(KeyAlgorithm::ES256),
        key_id: Some(record.kid.clone()),
        ..CommonParameters::default()
    };
    Ok(Jwk { common, algorithm })
}

/// Reads an uncompressed point of P-256 (SEC 1 section 2.3.3).
fn point(public: &[u8]) -> Option<AlgorithmParameters> {
    let (4, coordinates) = public.split_first().map(|(form, rest)| (*form, rest))? else { return None };
    let (x, y) = coordinates.split_at_checked(32)?;
    let encode = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    (y.len() == 32).then(|| {
        AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
            key_type: EllipticCurveKeyType::EC,
            curve: EllipticCurve::P256,
            x: encode(x),
            y: encode(y),
        })
    })
}

fn thumbprint(algorithm: AlgorithmParameters) -> Option<String> {
    Jwk { common: CommonParameters::default(), algorithm }.thumbprint(ThumbprintHash::SHA256).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice;
    use crate::secret::ClusterSecret;
    use crate::tokens::fixtures::{NOW, keyring, ring};
    use serde_json::{Value, json};

    #[test]
    fn the_first_keyring_has_a_signer_and_a_next_key() {
        let keyring = keyring();
        let [signing, next] = keyring.keys.as_slice() else { panic!("two keys") };
        assert_eq!((signing.state, signing.signs_from, signing.max_jwt_ttl_seconds), (KeyState::Signing(()), Some(NOW), 300));
        assert_eq!((next.state, next.signs_from, next.max_jwt_ttl_seconds), (KeyState::Next(()), None, 0));
        assert_ne!(signing.kid, next.kid);
        let keys = Keys::open(&keyring, &ring()).unwrap();
        assert_eq!(keys.signing_kid(), Some(&*signing.kid));
    }

    #[test]
    fn an_empty_keyring_opens_and_publishes_nothing() {
        let keys = Keys::open(&Keyring::default(), &ring()).unwrap();
        assert_eq!((keys.signing_kid(), keys.jwks()), (None, r#"{"keys":[]}"#));
    }

    #[test]
    fn what_is_published_says_all_that_a_verifier_needs_and_nothing_private() {
        let mut keyring = keyring();
        keyring.keys.extend((0..3).map(|_| make_key(&ring(), NOW, KeyState::Verifying(()), dice::bytes())));
        keyring.keys[3].state = KeyState::Retired(());
        keyring.keys[4].state = KeyState::Withdrawn(());
        let jwks: Value = serde_json::from_str(Keys::open(&keyring, &ring()).unwrap().jwks()).unwrap();
        let expected: Vec<Value> = keyring.keys[..3]
            .iter()
            .map(|key| {
                let (x, y) = (URL_SAFE_NO_PAD.encode(&key.public[1..33]), URL_SAFE_NO_PAD.encode(&key.public[33..]));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": key.kid})
            })
            .collect();
        assert_eq!(jwks, json!({ "keys": expected }));
    }

    #[test]
    fn nodes_with_the_same_keyring_publish_the_same_text() {
        let keyring = keyring();
        let other_order = SecretRing::new(vec![ClusterSecret::from_bytes(&[8; 32]).unwrap(), ClusterSecret::from_bytes(&[7; 32]).unwrap()]);
        let (one, other) = (Keys::open(&keyring, &ring()).unwrap(), Keys::open(&keyring, &other_order.unwrap()).unwrap());
        assert_eq!(one.jwks(), other.jwks());
    }

    /// RFC 7638 by hand: the members in the order of their names, no spaces, SHA-256.
    #[test]
    fn a_kid_is_the_thumbprint_of_its_key() {
        let key = make_key(&ring(), NOW, KeyState::Next(()), dice::bytes());
        let (x, y) = (URL_SAFE_NO_PAD.encode(&key.public[1..33]), URL_SAFE_NO_PAD.encode(&key.public[33..]));
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        assert_eq!(key.kid, URL_SAFE_NO_PAD.encode(hash));
    }

    #[test]
    fn a_keyring_that_is_not_whole_does_not_open() {
        type Damage = fn(&mut Keyring);
        /// From the kids of the signing and of the next key.
        type Expected = fn(&str, &str) -> KeyError;
        let table: &[(&str, Damage, Expected)] = &[
            ("another public key", |ring| ring.keys[0].public[40] ^= 1, |kid, _| KeyError::Public(kid.into())),
            ("a short public key", |ring| ring.keys[0].public.truncate(64), |kid, _| KeyError::Public(kid.into())),
            ("a long public key", |ring| ring.keys[0].public.push(0), |kid, _| KeyError::Public(kid.into())),
            ("no public key", |ring| ring.keys[0].public.clear(), |kid, _| KeyError::Public(kid.into())),
            ("a compressed public key", |ring| ring.keys[0].public[0] = 2, |kid, _| KeyError::Public(kid.into())),
            ("a kid twice", |ring| ring.keys[1] = ring.keys[0].clone(), |kid, _| KeyError::Twice(kid.into())),
            ("two signers", |ring| ring.keys[1].state = KeyState::Signing(()), |_, _| KeyError::Signers),
            (
                "a flipped bit in the private part",
                |ring| ring.keys[1].wrapped.ciphertext[20] ^= 1,
                |_, next| KeyError::Unwrap { kid: next.into(), source: UnwrapError::Damaged },
            ),
            (
                "the private part of the other key",
                |ring| ring.keys[0].wrapped = ring.keys[1].wrapped.clone(),
                |kid, _| KeyError::Unwrap { kid: kid.into(), source: UnwrapError::Damaged },
            ),
        ];
        for (name, damage, expected) in table {
            let whole = keyring();
            let mut damaged = whole.clone();
            damage(&mut damaged);
            let error = Keys::open(&damaged, &ring()).err();
            assert_eq!(error, Some(expected(&whole.keys[0].kid, &whole.keys[1].kid)), "{name}");
        }
    }

    #[test]
    fn a_private_part_that_does_not_fit_is_found_before_it_signs() {
        let mut keyring = keyring();
        let kid = keyring.keys[0].kid.clone();
        for wrong in [b"no PKCS#8".to_vec(), ring().unwrap(&keyring.keys[1].kid, &keyring.keys[1].wrapped).unwrap()] {
            keyring.keys[0].wrapped = ring().wrap(&kid, &wrong, dice::bytes());
            assert_eq!(Keys::open(&keyring, &ring()).err(), Some(KeyError::Pair(kid.clone())));
        }
    }

    #[test]
    fn another_cluster_secret_opens_nothing() {
        let stranger = SecretRing::new(vec![ClusterSecret::from_bytes(&[9; 32]).unwrap()]).unwrap();
        let error = Keys::open(&keyring(), &stranger).unwrap_err();
        assert!(matches!(error, KeyError::Unwrap { source: UnwrapError::UnknownSecret(_), .. }), "{error}");
    }

    #[test]
    fn nothing_private_is_printed() {
        let keyring = keyring();
        let keys = Keys::open(&keyring, &ring()).unwrap();
        let kids: Vec<&str> = std::collections::BTreeSet::from([&*keyring.keys[0].kid, &*keyring.keys[1].kid]).into_iter().collect();
        assert_eq!(format!("{keys:?}"), format!("Keys {{ signing: Some({:?}), known: {kids:?} }}", keyring.keys[0].kid));
    }
}
