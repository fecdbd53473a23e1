//! One compact JWS, by the strict rules: its shape, its header, the one algorithm of its key, its signature.
//!
//! This layer is the same for every algorithm, so that public test vectors run through the code that ships. It must not know what a claim
//! is, which keys a cluster has, or what time it is. Rules VER-1 to VER-7 of the token standards.

use super::json::{self, JsonError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// The longest JWT that is looked at, bytes.
pub const JWT_MAX_BYTES: usize = 8192;
/// How deep a header may be nested.
const HEADER_DEPTH_MAX: usize = 4;
/// Header members that would change what the signature covers, where the key comes from, or what the payload is. Each is refused.
const FORBIDDEN: &[&str] = &["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc", "cty", "p2c"];

/// Why a text is not a JWS that the key has signed. For the operator; the caller hears only that the token is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`JWT_MAX_BYTES`].
    #[error("the token is longer than {JWT_MAX_BYTES} bytes")]
    TooLong,
    /// Not three parts of characters of base64url, or without header or signature.
    #[error("the token is not three parts of base64url")]
    NotCompact,
    /// A part is not the one way to write its bytes.
    #[error("a part of the token is not canonical base64url")]
    Encoding,
    /// The header is no object that can be read in one way.
    #[error("the header of the token cannot be read: {0}")]
    Header(JsonError),
    /// The header has a member that it must not have.
    #[error("the header of the token has the member {0}")]
    Forbidden(&'static str),
    /// A header member has the wrong type.
    #[error("the header member {0} is not text")]
    Member(&'static str),
    /// `alg` is absent, or not the algorithm of the key.
    #[error("the algorithm of the token is not the algorithm of the key")]
    Alg,
    /// The key has not signed this.
    #[error("the signature does not verify")]
    Signature,
}

/// A compact JWS taken apart. Nothing of it is proven before [`VerifyingKey::check`].
#[derive(Debug)]
pub(super) struct Jws<'a> {
    /// What the header says `alg` is.
    alg: String,
    /// What the header says `kid` is.
    pub(super) kid: Option<String>,
    /// What the header says `typ` is.
    pub(super) typ: Option<String>,
    /// What the signature covers: header, dot, payload, as they came.
    message: &'a str,
    /// The decoded payload.
    pub(super) payload: Vec<u8>,
    signature: &'a str,
}

impl<'a> Jws<'a> {
    /// Takes a text apart.
    pub(super) fn parse(text: &'a str) -> Result<Self, JwsError> {
        if text.len() > JWT_MAX_BYTES {
            return Err(JwsError::TooLong);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(JwsError::NotCompact)?;
        let (header, payload) = message.split_once('.').ok_or(JwsError::NotCompact)?;
        // An empty payload is a JWS, though never a JWT: what reads claims refuses it.
        if header.is_empty() || signature.is_empty() || ![header, payload, signature].into_iter().all(is_base64url) {
            return Err(JwsError::NotCompact);
        }
        let header = json::object(&decode(header)?, HEADER_DEPTH_MAX).map_err(JwsError::Header)?;
        if let Some(name) = FORBIDDEN.iter().find(|name| header.contains_key(**name)) {
            return Err(JwsError::Forbidden(name));
        }
        let alg = text_member(&header, "alg")?.ok_or(JwsError::Alg)?;
        let payload = decode(payload)?;
        Ok(Self { alg, kid: text_member(&header, "kid")?, typ: text_member(&header, "typ")?, message, payload, signature })
    }
}

fn is_base64url(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The engine refuses padding and unused bits that are not zero.
fn decode(part: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsError::Encoding)
}

fn text_member(header: &Map<String, Value>, name: &'static str) -> Result<Option<String>, JwsError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(JwsError::Member(name)),
    }
}

/// Why a JWK cannot verify signatures here (VER-7).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JwkError {
    #[error("the key is not for verifying signatures")]
    Use,
    #[error("the key does not name one signature algorithm that fits its type")]
    Alg,
    #[error("the parameters of the key cannot be read")]
    Parameters,
}

/// A key that verifies, with its one algorithm.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    alg: Algorithm,
    key: DecodingKey,
}

impl VerifyingKey {
    /// Takes a JWK (RFC 7517) that says which algorithm it is for.
    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, JwkError> {
        let other_use = jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature);
        let other_operations = jwk.common.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify));
        if other_use || other_operations {
            return Err(JwkError::Use);
        }
        let alg = jwk.common.key_algorithm.and_then(|alg| Algorithm::try_from(alg).ok()).ok_or(JwkError::Alg)?;
        if !fits(alg, &jwk.algorithm) {
            return Err(JwkError::Alg);
        }
        let key = DecodingKey::from_jwk(jwk).map_err(|_| JwkError::Parameters)?;
        Ok(Self { alg, key })
    }

    /// Whether this key has signed `jws`, and under its own algorithm.
    pub(super) fn check(&self, jws: &Jws<'_>) -> Result<(), JwsError> {
        self.check_alg(jws)?;
        self.check_signature(jws.message.as_bytes(), jws.signature)
    }

    /// Whether `jws` claims the algorithm of this key, letter by letter. The key decides; the token can only agree (RFC 8725 section 3.1).
    pub(super) fn check_alg(&self, jws: &Jws<'_>) -> Result<(), JwsError> {
        let claimed: Result<Algorithm, _> = jws.alg.parse();
        if claimed.is_ok_and(|claimed| claimed == self.alg) { Ok(()) } else { Err(JwsError::Alg) }
    }

    /// Whether `signature`, in base64url, is this key's signature of `message`.
    pub(super) fn check_signature(&self, message: &[u8], signature: &str) -> Result<(), JwsError> {
        match jsonwebtoken::crypto::verify(signature, message, &self.key, self.alg) {
            Ok(true) => Ok(()),
            Ok(false) => Err(JwsError::Signature),
            Err(_) => Err(JwsError::Encoding),
        }
    }
}

/// One key type, and for curves one curve, for each algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
fn fits(alg: Algorithm, parameters: &AlgorithmParameters) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
    match parameters {
        AlgorithmParameters::EllipticCurve(key) => matches!((alg, &key.curve), (ES256, EllipticCurve::P256) | (ES384, EllipticCurve::P384)),
        AlgorithmParameters::RSA(_) => matches!(alg, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        AlgorithmParameters::OctetKeyPair(key) => matches!((alg, &key.curve), (EdDSA, EllipticCurve::Ed25519)),
        AlgorithmParameters::OctetKey(_) => matches!(alg, HS256 | HS384 | HS512),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(jwk: Value) -> Result<VerifyingKey, JwkError> {
        VerifyingKey::from_jwk(&serde_json::from_value(jwk).expect("a JWK"))
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    /// The public key of RFC 7515 appendix A.3.
    fn ec() -> Value {
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
    }

    /// The public key of RFC 8037 appendix A.2.
    fn ed() -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn rsa() -> Value {
        json!({"kty": "RSA", "alg": "RS256", "n": "AQAB", "e": "AQAB"})
    }

    const RFC_7515_A_3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
        DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const RFC_8037_A_4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
        hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    #[test]
    fn the_examples_of_the_standards_verify_under_their_keys_and_no_other() {
        let check = |key: Value, jws| self::key(key).unwrap().check(&Jws::parse(jws).unwrap());
        assert_eq!(check(ec(), RFC_7515_A_3), Ok(()));
        assert_eq!(check(ed(), RFC_8037_A_4), Ok(()));
        assert_eq!(check(ec(), RFC_8037_A_4), Err(JwsError::Alg));
        assert_eq!(check(rsa(), RFC_7515_A_3), Err(JwsError::Alg), "an ES256 token under an RSA key");
        let other = with(ec(), "x", json!("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
        assert_eq!(check(other, RFC_7515_A_3), Err(JwsError::Signature), "a point that is not on the curve");
    }

    #[test]
    fn a_key_must_say_what_it_is_for_and_mean_it() {
        assert!(key(ec()).is_ok() && key(ed()).is_ok() && key(rsa()).is_ok());
        assert!(key(with(ec(), "use", json!("sig"))).is_ok());
        assert!(key(with(ec(), "key_ops", json!(["verify"]))).is_ok());
        let table = [
            (with(ec(), "use", json!("enc")), JwkError::Use),
            (with(ec(), "use", json!("other")), JwkError::Use),
            (with(ec(), "key_ops", json!(["encrypt"])), JwkError::Use),
            (with(ec(), "key_ops", json!([])), JwkError::Use),
            (with(ec(), "alg", Value::Null), JwkError::Alg),
            (with(ec(), "alg", json!("ES521")), JwkError::Alg),
            (with(ec(), "alg", json!("ES384")), JwkError::Alg),
            (with(ec(), "alg", json!("RS256")), JwkError::Alg),
            (with(ec(), "alg", json!("HS256")), JwkError::Alg),
            (with(ec(), "alg", json!("EdDSA")), JwkError::Alg),
            (with(ec(), "crv", json!("P-384")), JwkError::Alg),
            (with(rsa(), "alg", json!("ES256")), JwkError::Alg),
            (with(rsa(), "alg", json!("HS256")), JwkError::Alg),
            (with(rsa(), "alg", json!("RSA1_5")), JwkError::Alg),
            (with(ed(), "alg", json!("ES256")), JwkError::Alg),
            (with(ec(), "x", json!("?")), JwkError::Parameters),
            (with(rsa(), "n", json!("AQAB=")), JwkError::Parameters),
        ];
        for (jwk, expected) in table {
            assert_eq!(key(jwk.clone()).unwrap_err(), expected, "{jwk}");
        }
    }
}
