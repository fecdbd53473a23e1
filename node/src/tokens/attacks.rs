//! The attack corpus: what has broken other verifiers, each signed by our own key wherever the attack allows it, and refused for its
//! own reason. The groups have the numbers of section 6 of the token standards.

use super::fixtures::{AUDIENCE, ISSUER, NOW_SECONDS, claims, encode, expect, header, keyring, keys, object, ring, sign, sign_text, with, without};
use super::{JsonError, JwsError, Keys, VerifyError};
use crate::domain::KeyState;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// One attack: what it is called, the token, the one reason for which it must be refused.
type Attack = (String, String, VerifyError);

const ALG: VerifyError = VerifyError::Jws(JwsError::Alg);
const NOT_COMPACT: VerifyError = VerifyError::Jws(JwsError::NotCompact);
const ENCODING: VerifyError = VerifyError::Jws(JwsError::Encoding);
const SIGNATURE: VerifyError = VerifyError::Jws(JwsError::Signature);
const TOO_LONG: VerifyError = VerifyError::Jws(JwsError::TooLong);

const fn bad_header(error: JsonError) -> VerifyError {
    VerifyError::Jws(JwsError::Header(error))
}

struct Corpus {
    keys: Keys,
    kid: String,
    attacks: Vec<Attack>,
}

impl Corpus {
    fn new() -> Self {
        let keys = keys();
        let kid = keys.signing_kid().unwrap().to_owned();
        Self { keys, kid, attacks: Vec::new() }
    }

    fn good(&self) -> String {
        sign(&self.keys, object(&header(&self.kid)).as_bytes(), object(&claims()).as_bytes())
    }

    fn token(&mut self, name: &str, token: String, reason: VerifyError) {
        self.attacks.push((name.to_owned(), token, reason));
    }

    fn raw_header(&mut self, name: &str, json: &[u8], reason: VerifyError) {
        self.token(name, sign(&self.keys, json, object(&claims()).as_bytes()), reason);
    }

    fn header(&mut self, member: &'static str, json: &str, reason: VerifyError) {
        let text = object(&with(header(&self.kid), member, json));
        self.raw_header(&format!("header {member}: {json:.60}"), text.as_bytes(), reason);
    }

    fn raw_claims(&mut self, name: &str, json: &[u8], reason: VerifyError) {
        self.token(name, sign(&self.keys, object(&header(&self.kid)).as_bytes(), json), reason);
    }

    fn claim(&mut self, member: &'static str, json: &str, reason: VerifyError) {
        let text = object(&with(claims(), member, json));
        self.raw_claims(&format!("claim {member}: {json}"), text.as_bytes(), reason);
    }

    /// Every attack must be refused for its reason by the whole verification, and for some reason by the one in two steps.
    fn all_are_refused(self) {
        assert!(self.keys.verify(&self.good(), expect()).is_ok(), "the token from which the attacks are made must be good");
        for (name, token, reason) in self.attacks {
            assert_eq!(self.keys.verify(&token, expect()).as_ref(), Err(&reason), "{name}");
            let in_two_steps = self.keys.inspect(&token, expect()).and_then(|unproven| unproven.prove(None));
            assert!(in_two_steps.is_err(), "{name}: accepted in two steps");
        }
    }
}

#[test]
fn group_1_alg() {
    let mut corpus = Corpus::new();
    for alg in ["none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "PS256", "HS256"] {
        corpus.header("alg", &format!("\"{alg}\""), ALG);
        let unsigned = format!("{}.{}.", encode(object(&with(header(&corpus.kid), "alg", &format!("\"{alg}\""))).as_bytes()), encode(b"{}"));
        corpus.token(&format!("alg {alg:?} and an empty signature"), unsigned, NOT_COMPACT);
    }
    for json in ["null", "1", r#"["ES256"]"#, "true", "{}"] {
        corpus.header("alg", json, VerifyError::Jws(JwsError::Member("alg")));
    }
    let absent = object(&without(header(&corpus.kid), "alg"));
    corpus.raw_header("alg absent", absent.as_bytes(), ALG);
    corpus.all_are_refused();
}

#[test]
fn group_2_confusion_of_public_key_and_shared_secret() {
    let mut corpus = Corpus::new();
    let public = keyring_public(&corpus.keys);
    let spki = [&spki_prefix()[..], &public].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&spki));
    let jwks = corpus.keys.jwks().to_owned();
    let jwk = serde_json::from_str::<serde_json::Value>(&jwks).unwrap()["keys"][0].to_string();
    let secrets: [(&str, &[u8]); 6] =
        [("PEM", pem.as_bytes()), ("DER", &spki), ("JWK", jwk.as_bytes()), ("JWKS", jwks.as_bytes()), ("point", &public), ("x and y", &public[1..])];
    for (name, secret) in secrets {
        let head = object(&with(header(&corpus.kid), "alg", r#""HS256""#));
        let message = format!("{}.{}", encode(head.as_bytes()), encode(object(&claims()).as_bytes()));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        corpus.token(&format!("HS256 keyed by our public key as {name}"), format!("{message}.{}", encode(mac.as_ref())), ALG);
        // The same bytes under the right name of the algorithm: 32 bytes are no signature.
        let message = format!("{}.{}", encode(object(&header(&corpus.kid)).as_bytes()), encode(object(&claims()).as_bytes()));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        corpus.token(&format!("a MAC called ES256, keyed by {name}"), format!("{message}.{}", encode(mac.as_ref())), SIGNATURE);
    }
    corpus.all_are_refused();
}

/// The signing key's public point, read back from what is published.
fn keyring_public(keys: &Keys) -> Vec<u8> {
    let set: serde_json::Value = serde_json::from_str(keys.jwks()).unwrap();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(set["keys"][0][name].as_str().unwrap()).unwrap();
    [vec![4], coordinate("x"), coordinate("y")].concat()
}

/// What stands before a P-256 point in a SubjectPublicKeyInfo (RFC 5480).
fn spki_prefix() -> Vec<u8> {
    STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap()
}

#[test]
fn group_3_kid() {
    let mut corpus = Corpus::new();
    let long = "a".repeat(5_000);
    let look_alike = corpus.kid.chars().rev().collect::<String>() + "\u{430}";
    for kid in ["../../dev/null", "' OR 1=1--", "a\\u0000", "", " ", "a b", "kid.pem", &long, &look_alike, &"a".repeat(65)] {
        corpus.header("kid", &format!("\"{kid}\""), VerifyError::Kid);
    }
    corpus.header("kid", &format!("\"{}\"", "a".repeat(10_000)), TOO_LONG);
    corpus.header("kid", "7", VerifyError::Jws(JwsError::Member("kid")));
    corpus.header("kid", "null", VerifyError::Jws(JwsError::Member("kid")));
    let absent = object(&without(header(&corpus.kid), "kid"));
    corpus.raw_header("kid absent", absent.as_bytes(), VerifyError::Kid);

    let stranger = keys();
    let theirs = stranger.signing_kid().unwrap();
    let token = sign(&stranger, object(&header(theirs)).as_bytes(), object(&claims()).as_bytes());
    corpus.token("the kid and the key of another cluster", token, VerifyError::UnknownKey);
    let token = sign(&stranger, object(&header(&corpus.kid)).as_bytes(), object(&claims()).as_bytes());
    corpus.token("our kid and the key of another cluster", token, SIGNATURE);
    corpus.all_are_refused();
}

#[test]
fn group_3_kid_of_a_key_that_is_no_longer_good() {
    let mut ring_of_keys = keyring();
    let keys = Keys::open(&ring_of_keys, &ring()).unwrap();
    let token = sign(&keys, object(&header(keys.signing_kid().unwrap())).as_bytes(), object(&claims()).as_bytes());
    for (state, expected) in [
        (KeyState::Verifying(()), None),
        (KeyState::Retired(()), Some(VerifyError::RetiredKey)),
        (KeyState::Withdrawn(()), Some(VerifyError::WithdrawnKey)),
    ] {
        ring_of_keys.keys[0].state = state;
        let keys = Keys::open(&ring_of_keys, &ring()).unwrap();
        assert_eq!(keys.verify(&token, expect()).err(), expected, "{state:?}");
        let for_exchange = super::Expect { allow_expired: true, ..expect() };
        assert_eq!(keys.verify(&token, for_exchange).err(), expected, "{state:?}, for exchange");
    }
}

#[test]
fn groups_4_and_5_members_that_change_the_key_or_the_meaning() {
    let mut corpus = Corpus::new();
    let jwk = serde_json::from_str::<serde_json::Value>(corpus.keys.jwks()).unwrap()["keys"][0].to_string();
    let members: &[(&'static str, &str)] = &[
        ("jwk", &jwk),
        ("jwk", "null"),
        ("jku", r#""http://attacker.example/jwks.json""#),
        ("jku", r#""https://attacker.example/jwks.json""#),
        ("jku", r#""file:///etc/passwd""#),
        ("jku", r#""http://169.254.169.254/latest/meta-data""#),
        ("jku", r#""https://sessions.example.com/redirect?to=https://attacker.example""#),
        ("x5u", r#""https://attacker.example/cert.pem""#),
        ("x5c", r#"["MIIB"]"#),
        ("crit", r#"["x"]"#),
        ("crit", r#"["b64"]"#),
        ("crit", "[]"),
        ("crit", "null"),
        ("b64", "false"),
        ("b64", "true"),
        ("zip", r#""DEF""#),
        ("cty", r#""JWT""#),
        ("enc", r#""A256GCM""#),
        ("p2c", "1000000000"),
    ];
    for (name, json) in members {
        corpus.header(name, json, VerifyError::Jws(JwsError::Forbidden(name)));
    }
    // RFC 7515 appendix E: alg none and an unknown crit.
    let appendix_e =
        "eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9VTkRFRklORUQiOnRydWUNCn0.RkFJTA";
    corpus.token("RFC 7515 appendix E", format!("{appendix_e}."), NOT_COMPACT);
    corpus.token("RFC 7515 appendix E, signed", sign_text(&corpus.keys, appendix_e), VerifyError::Jws(JwsError::Forbidden("crit")));
    corpus.all_are_refused();
}

#[test]
fn group_6_structure() {
    let mut corpus = Corpus::new();
    let good = corpus.good();
    let parts: Vec<&str> = good.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    let not_compact = [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        head.to_owned(),
        format!("{head}.{payload}"),
        format!("{head}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}..{signature}"),
        format!("{head}..{payload}.{signature}"),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("\u{feff}{good}"),
        format!("{head}=.{payload}.{signature}"),
        format!("{good}=="),
        good.replacen(head, &format!("{head}+"), 1),
        good.replacen(head, &format!("{head}/"), 1),
        format!("{head}.{payload}.{signature}%"),
        format!(r#"{{"payload":"{payload}","signatures":[{{"protected":"{head}","signature":"{signature}"}}]}}"#),
        format!(r#"{{"payload":"{payload}","protected":"{head}","signature":"{signature}"}}"#),
        format!(r#"{{"payload":"{payload}","protected":"{head}.{payload}.{signature}"}}"#),
    ];
    for token in not_compact {
        corpus.token(&format!("structure {token:.80}"), token, NOT_COMPACT);
    }
    corpus.token("an empty payload", sign_text(&corpus.keys, &format!("{head}.")), VerifyError::Claims(JsonError::Malformed));
    // 64 bytes leave four unused bits in the last character of their base64url.
    corpus.token("unused bits of the signature", last_changed(&good), ENCODING);
    let padded = (0..3).map(|spaces| encode(format!("{}{}", object(&claims()), " ".repeat(spaces)).as_bytes())).find(|text| text.len() % 4 != 0);
    let unused = last_changed(&padded.unwrap());
    corpus.token("unused bits of the payload", sign_text(&corpus.keys, &format!("{head}.{unused}")), ENCODING);
    corpus.token("a part of one character", sign_text(&corpus.keys, &format!("{head}.A")), ENCODING);
    corpus.token("1 MB", "a".repeat(1 << 20), TOO_LONG);
    corpus.token("1 MB, signed", sign(&corpus.keys, &b" ".repeat(1 << 20), b"{}"), TOO_LONG);
    corpus.token("8193 bytes", format!("{good}{}", "A".repeat(8193 - good.len())), TOO_LONG);

    let headers: &[(&str, &[u8], JsonError)] = &[
        ("BOM", b"\xef\xbb\xbf{\"alg\":\"ES256\"}", JsonError::Malformed),
        ("bad UTF-8", b"{\"alg\":\"ES256\",\"x\":\"\xff\"}", JsonError::Malformed),
        ("no JSON", b"alg=ES256", JsonError::Malformed),
        ("an array", b"[\"ES256\"]", JsonError::NotAnObject),
        ("text", b"\"ES256\"", JsonError::NotAnObject),
        ("two objects", br#"{"alg":"ES256"}{"alg":"ES256"}"#, JsonError::Malformed),
        ("five levels", br#"{"alg":"ES256","x":[[[[1]]]]}"#, JsonError::TooDeep),
    ];
    for (name, bytes, error) in headers {
        corpus.raw_header(&format!("header: {name}"), bytes, bad_header(*error));
    }
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(2_000), "]".repeat(2_000));
    corpus.raw_header("header: 2,000 levels", deep.as_bytes(), bad_header(JsonError::TooDeep));
    corpus.raw_claims("claims: 2,000 levels", deep.as_bytes(), VerifyError::Claims(JsonError::TooDeep));
    corpus.raw_claims("claims: BOM", format!("\u{feff}{}", object(&claims())).as_bytes(), VerifyError::Claims(JsonError::Malformed));
    corpus.raw_claims("claims: bad UTF-8", b"{\"iss\":\"\xc3\x28\"}", VerifyError::Claims(JsonError::Malformed));
    corpus.raw_claims("claims: an array", b"[]", VerifyError::Claims(JsonError::NotAnObject));
    corpus.raw_claims("claims: empty", b"{}", VerifyError::Claim("iss"));
    corpus.all_are_refused();
}

/// The text with the unused bits of its last character set.
fn last_changed(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let value = ALPHABET.iter().position(|letter| *letter == last.as_bytes()[0]).unwrap();
    format!("{rest}{}", char::from(ALPHABET[value | 1]))
}

#[test]
fn group_7_duplicates() {
    let mut corpus = Corpus::new();
    let head = object(&header(&corpus.kid));
    for more in [r#""alg":"ES256""#, r#""alg":"none""#, r#""\u0061lg":"none""#, r#""kid":"x""#, r#""typ":"at+jwt""#, r#""a":1,"\u0061":1"#] {
        let doubled = head.replace('}', &format!(",{more}}}"));
        corpus.raw_header(&format!("header twice {more}"), doubled.as_bytes(), bad_header(JsonError::Duplicate));
    }
    let body = object(&claims());
    for more in [r#""exp":9999999999"#, r#""e\u0078p":9999999999"#, r#""aud":"billing""#, r#""sub":"root""#, r#""x":{"y":1,"y":2}"#] {
        let doubled = body.replace('}', &format!(",{more}}}"));
        corpus.raw_claims(&format!("claims twice {more}"), doubled.as_bytes(), VerifyError::Claims(JsonError::Duplicate));
    }
    corpus.all_are_refused();
}

#[test]
fn group_8_numbers() {
    let mut corpus = Corpus::new();
    let no_integers = [
        "\"1767261900\"",
        "1767261900.5",
        "1767261900.0",
        "1.7672619e9",
        "-1",
        "-0",
        "9223372036854775808",
        "18446744073709551616",
        "9007199254740993",
        "null",
        "true",
        "[]",
        "{}",
    ];
    for name in ["exp", "iat", "rev", "nbf"] {
        for json in no_integers {
            corpus.claim(name, json, VerifyError::Claim(name));
        }
        corpus.claim(name, "1e400", VerifyError::Claims(JsonError::Malformed));
        corpus.claim(name, "01", VerifyError::Claims(JsonError::Malformed));
        corpus.claim(name, "NaN", VerifyError::Claims(JsonError::Malformed));
    }
    for name in ["exp", "iat", "rev"] {
        corpus.raw_claims(&format!("{name} absent"), object(&without(claims(), name)).as_bytes(), VerifyError::Claim(name));
    }
    corpus.claim("iat", &(NOW_SECONDS + 6).to_string(), VerifyError::IssuedInFuture);
    corpus.claim("iat", &(NOW_SECONDS - 1).to_string(), VerifyError::Life);
    corpus.claim("iat", &(NOW_SECONDS + 300).to_string(), VerifyError::Life);
    corpus.claim("exp", &(NOW_SECONDS + 301).to_string(), VerifyError::Life);
    corpus.claim("exp", "9007199254740992", VerifyError::Life);
    corpus.claim("nbf", &(NOW_SECONDS + 6).to_string(), VerifyError::NotYet);
    let expired = with(with(claims(), "iat", &(NOW_SECONDS - 300).to_string()), "exp", &(NOW_SECONDS - 5).to_string());
    corpus.raw_claims("expired", object(&expired).as_bytes(), VerifyError::Expired);
    corpus.all_are_refused();
}

#[test]
fn group_9_audience_issuer_subject() {
    let mut corpus = Corpus::new();
    for json in ["null", "[]", "7", "{}", "\"\"", r#"["billing",7]"#, r#"["billing",""]"#, r#"[["billing"]]"#, r#"{"billing":1}"#, "true"] {
        corpus.claim("aud", json, VerifyError::Claim("aud"));
    }
    for json in [r#""bill""#, r#""billing2""#, r#""Billing""#, r#""billing ""#, r#"["x","BILLING"]"#, r#""*""#] {
        corpus.claim("aud", json, VerifyError::Audience);
    }
    for json in ["null", "7", "\"\"", &format!("[\"{ISSUER}\"]"), "{}"] {
        corpus.claim("iss", json, VerifyError::Claim("iss"));
    }
    for issuer in [format!("{ISSUER}/"), ISSUER.to_uppercase(), ISSUER.replace("https", "http"), format!("{ISSUER}.attacker.example")] {
        corpus.claim("iss", &format!("\"{issuer}\""), VerifyError::Issuer);
    }
    for name in ["sub", "client_id", "jti", "sid"] {
        for json in ["null", "7", "\"\"", "[\"a\"]", "{}"] {
            corpus.claim(name, json, VerifyError::Claim(name));
        }
    }
    for sid in ["user-123", "ses_", "ses_AAAAAAAAAAAAAAAAAAAAAB", "SES_AQEBAQEBAQEBAQEBAQEBAQ", "../../x"] {
        corpus.claim("sid", &format!("\"{sid}\""), VerifyError::Claim("sid"));
    }
    for name in ["iss", "aud", "sub", "client_id", "jti", "sid"] {
        corpus.raw_claims(&format!("{name} absent"), object(&without(claims(), name)).as_bytes(), VerifyError::Claim(name));
    }
    for json in [r#"{"jkt":"x"}"#, "null", "{}"] {
        corpus.claim("cnf", json, VerifyError::Bound);
    }
    corpus.all_are_refused();
}

#[test]
fn group_10_type() {
    let mut corpus = Corpus::new();
    let others = [
        "JWT",
        "jwt",
        "",
        "at+jwt ",
        "at jwt",
        "secevent+jwt",
        "statuslist+jwt",
        "logout+jwt",
        "dpop+jwt",
        "dbsc+jwt",
        "token-introspection+jwt",
        "application/jwt",
        "text/at+jwt",
        "application/at+jwt;x=y",
        "application/application/at+jwt",
    ];
    for typ in others {
        corpus.header("typ", &format!("\"{typ}\""), VerifyError::Typ);
    }
    for json in ["null", "7", r#"["at+jwt"]"#] {
        corpus.header("typ", json, VerifyError::Jws(JwsError::Member("typ")));
    }
    // An ID token, as an identity provider makes it.
    corpus.raw_header("typ absent", object(&without(header(&corpus.kid), "typ")).as_bytes(), VerifyError::Typ);
    corpus.all_are_refused();
}

/// The order of P-256 (FIPS 186-4 D.1.2.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
    0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn group_11_signatures() {
    let mut corpus = Corpus::new();
    let good = corpus.good();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = bytes.split_at(32);
    let zero = [0; 32];
    let one = [&[0; 31][..], &[1]].concat();
    let forged: Vec<(&str, Vec<u8>)> = vec![
        ("r and s are 0", [zero, zero].concat()),
        ("r is 0", [&zero[..], s].concat()),
        ("s is 0", [r, &zero].concat()),
        ("r and s are 1", [&one[..], &one].concat()),
        ("r is n", [&ORDER[..], s].concat()),
        ("s is n", [r, &ORDER].concat()),
        ("r and s are n", [ORDER, ORDER].concat()),
        ("r and s are changed about", [s, r].concat()),
        ("DER", der(r, s)),
        ("truncated by one byte", bytes[..63].to_vec()),
        ("half", r.to_vec()),
        ("one byte", vec![0]),
        ("extended by zero", [&bytes[..], &[0]].concat()),
        ("extended in front", [&[0], &bytes[..]].concat()),
        ("r and s of 33 bytes", [&[0], r, &[0], s].concat()),
        ("twice", [&bytes[..], &bytes].concat()),
        ("all ones", vec![0xff; 64]),
    ];
    for (name, signature) in forged {
        corpus.token(&format!("signature: {name}"), format!("{message}.{}", encode(&signature)), SIGNATURE);
    }
    let (head, _) = message.split_once('.').unwrap();
    let other = encode(object(&with(claims(), "sub", r#""root""#)).as_bytes());
    corpus.token("the signature of other claims", format!("{head}.{other}.{signature}"), SIGNATURE);
    corpus.all_are_refused();
}

/// The two numbers as an ECDSA signature of X.509.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let sign: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
        let length = u8::try_from(sign.len() + number.len()).unwrap();
        [&[2, length], sign, number].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

/// Not attacks: look-alikes that a strict verifier must accept.
#[test]
fn look_alikes_are_accepted() {
    let corpus = Corpus::new();
    let (head, body) = (header(&corpus.kid), claims());
    let mut good = Vec::new();
    for typ in ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"] {
        good.push((format!("typ {typ}"), object(&with(head.clone(), "typ", &format!("\"{typ}\""))), object(&body)));
    }
    good.push(("an unknown header member (RFC 7515 section 4)".to_owned(), object(&with(head.clone(), "x", "[[1]]")), object(&body)));
    good.push(("spaces".to_owned(), object(&head).replace(',', " ,\n\t"), object(&body).replace("\":", "\" : ")));
    good.push(("an escaped name".to_owned(), object(&head).replace("alg", "\\u0061lg"), object(&body)));
    let more = [
        ("aud", r#"["billing"]"#),
        ("aud", r#"["x","billing"]"#),
        ("nbf", &NOW_SECONDS.to_string()),
        ("nbf", &(NOW_SECONDS + 5).to_string()),
        ("rev", "0"),
        ("rev", "9007199254740992"),
        ("role", r#"{"a":[1,2.5,null]}"#),
        ("auth_time", "1"),
    ];
    for (name, json) in more {
        good.push((format!("claim {name}: {json}"), object(&head), object(&with(body.clone(), name, json))));
    }
    for (name, head, body) in good {
        let verified = corpus.keys.verify(&sign(&corpus.keys, head.as_bytes(), body.as_bytes()), expect());
        assert!(verified.is_ok_and(|verified| verified.audience.contains(&AUDIENCE.to_owned())), "{name}");
    }
}

/// ECDSA: (r, n - s) verifies wherever (r, s) does, and JWS allows it. So a JWT's text must never be used as its identity.
#[test]
fn the_other_s_is_accepted() {
    let corpus = Corpus::new();
    let good = corpus.good();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let (r, s) = bytes.split_at(32);
    let other = [r, &order_minus(s)].concat();
    assert_ne!(other, bytes);
    assert!(corpus.keys.verify(&format!("{message}.{}", encode(&other)), expect()).is_ok());
}

fn order_minus(s: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference = vec![0; 32];
    for at in (0..32).rev() {
        let digit = 256 + i32::from(ORDER[at]) - i32::from(s[at]) - borrow;
        difference[at] = u8::try_from(digit % 256).unwrap();
        borrow = i32::from(digit < 256);
    }
    difference
}
