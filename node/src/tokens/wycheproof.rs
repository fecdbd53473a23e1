//! The public Wycheproof vectors through the layer that ships: `Jws::parse` and `VerifyingKey::check`.
//!
//! The vectors are not part of the repository. They are looked for in `CURFEW_VECTORS`, else in `../shared/vectors` beside the workspace;
//! where they are absent the tests say so aloud and prove nothing.

use super::jws::{Jws, VerifyingKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// Defects of the vectors, where the strict verifier is right.
const JWS_EXCEPTIONS: &[(u64, &str)] = &[
    (346, "the key says PS256, the token PS384"),
    (347, "the key says ES521, which is no algorithm"),
    (350, "the key says PS256, the token PS384"),
    (351, "the key says ES521, which is no algorithm"),
    (367, "marked invalid, but well-formed and correctly signed"),
    (370, "marked invalid, but well-formed and correctly signed"),
    (372, "marked valid, but has a question mark in its header"),
    (373, "marked valid, but has a question mark in its payload"),
];

/// Key vectors that this layer does not judge: sets are judged by `Keys::open`, and a cluster's keys are ES256 alone.
const KEY_EXCEPTIONS: &[(u64, &str)] = &[
    (1, "a set with shared secrets and public keys"),
    (4, "a set with one kid twice"),
    (7, "an RSA key of the ROCA generator"),
    (10, "a short HMAC key"),
    (11, "a short HMAC key"),
    (12, "a short HMAC key"),
    (16, "an empty HMAC key"),
    (17, "an empty HMAC key"),
    (18, "an empty HMAC key"),
];

#[derive(Deserialize)]
struct Vectors {
    #[serde(rename = "numberOfTests")]
    number_of_tests: usize,
    #[serde(rename = "testGroups")]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    /// Of symmetric keys there is only the private form.
    private: Option<Value>,
    public: Option<Value>,
    #[serde(rename = "publicKey")]
    public_key: Option<Value>,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(rename = "tcId")]
    id: u64,
    comment: String,
    result: String,
    jws: Option<Value>,
    msg: Option<String>,
    sig: Option<String>,
}

fn vectors(file: &str) -> Option<Vectors> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
    let path = std::env::var_os("CURFEW_VECTORS").map_or_else(beside, PathBuf::from).join("wycheproof").join(file);
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("skipped: no vectors at {}", path.display());
        return None;
    };
    let vectors: Vectors = serde_json::from_slice(&text).expect("the vectors have their known form");
    let found: usize = vectors.groups.iter().map(|group| group.tests.len()).sum();
    assert_eq!(found, vectors.number_of_tests, "vectors are missing");
    Some(vectors)
}

fn accepts(key: &VerifyingKey, jws: &str) -> bool {
    Jws::parse(jws).and_then(|jws| key.check(&jws)).is_ok()
}

#[test]
fn all_jws_vectors_but_the_eight_defective_ones_match() {
    let Some(vectors) = vectors("json_web_signature_test.json") else { return };
    only_these_disagree(vectors, JWS_EXCEPTIONS);
}

#[test]
fn all_key_vectors_but_those_of_sets_and_of_other_algorithms_match() {
    let Some(vectors) = vectors("json_web_key_test.json") else { return };
    only_these_disagree(vectors, KEY_EXCEPTIONS);
}

fn only_these_disagree(vectors: Vectors, exceptions: &[(u64, &str)]) {
    let mut disagreements = Vec::new();
    for group in vectors.groups {
        let keys = keys_of(group.public.or(group.private).expect("each group has a key"));
        for test in group.tests {
            let jws = test.jws.expect("a JWS vector has a JWS");
            // The JSON serialization is no compact JWS; as text it must be refused all the same.
            let text = jws.as_str().map_or_else(|| jws.to_string(), ToOwned::to_owned);
            if keys.iter().any(|key| accepts(key, &text)) != (test.result == "valid") {
                disagreements.push((test.id, test.comment));
            }
        }
    }
    let expected: Vec<u64> = exceptions.iter().map(|(id, _)| *id).collect();
    let found: Vec<u64> = disagreements.iter().map(|(id, _)| *id).collect();
    assert_eq!(found, expected, "disagreements: {disagreements:?}");
}

/// The keys of a JWK or a JWK Set that can be used at all.
fn keys_of(mut jwk: Value) -> Vec<VerifyingKey> {
    let jwks = jwk.get_mut("keys").map(Value::take).and_then(|keys| keys.as_array().cloned()).unwrap_or_else(|| vec![jwk]);
    let usable = |jwk| serde_json::from_value::<Jwk>(jwk).ok().and_then(|jwk| VerifyingKey::from_jwk(&jwk).ok());
    jwks.into_iter().filter_map(usable).collect()
}

#[test]
fn all_p1363_signatures_of_p256_match() {
    let Some(vectors) = vectors("ecdsa_secp256r1_sha256_p1363_test.json") else { return };
    for group in vectors.groups {
        let key = es256_key(&group.public_key.expect("each group has a key"));
        for test in group.tests {
            let (message, signature) = (hex(&test.msg.expect("a message")), hex(&test.sig.expect("a signature")));
            let accepted = key.check_signature(&message, &URL_SAFE_NO_PAD.encode(signature)).is_ok();
            assert_eq!(accepted, test.result == "valid", "{} {}", test.id, test.comment);
        }
    }
}

fn es256_key(key: &Value) -> VerifyingKey {
    let point = hex(key["uncompressed"].as_str().expect("an uncompressed point"));
    let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = serde_json::json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": coordinate(&point[1..33]), "y": coordinate(&point[33..])});
    VerifyingKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("a hexadecimal digit");
    text.as_bytes().chunks(2).map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap()).collect()
}
