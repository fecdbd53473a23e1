//! Forged JWTs over HTTP: whatever is wrong with them, the answer is the same.

use crate::node::node;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn read(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

/// A good JWT, taken apart.
struct Good {
    head: Value,
    claims: Value,
    parts: [String; 3],
}

impl Good {
    fn of(jwt: &str) -> Self {
        let parts: Vec<String> = jwt.split('.').map(ToOwned::to_owned).collect();
        let parts: [String; 3] = parts.try_into().expect("three parts");
        Self { head: read(&parts[0]), claims: read(&parts[1]), parts }
    }

    fn with_head(&self, member: &str, value: Value) -> String {
        let mut head = self.head.clone();
        head[member] = value;
        format!("{}.{}.{}", part(&head), self.parts[1], self.parts[2])
    }

    fn with_claim(&self, member: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[member] = value;
        format!("{}.{}.{}", self.parts[0], part(&claims), self.parts[2])
    }

    fn with_signature(&self, signature: &str) -> String {
        format!("{}.{}.{signature}", self.parts[0], self.parts[1])
    }

    fn forgeries(&self) -> Vec<String> {
        let [head, claims, signature] = &self.parts;
        let jwt = self.parts.join(".");
        let mut forged: Vec<String> =
            ["none", "None", "NONE", "", "HS256", "RS256", "PS256", "ES384", "EdDSA"].map(|alg| self.with_head("alg", json!(alg))).to_vec();
        forged.extend([Value::Null, json!(1), json!(["ES256"])].map(|alg| self.with_head("alg", alg)));
        forged.extend(["none", "None"].map(|alg| {
            let mut head = self.head.clone();
            head["alg"] = json!(alg);
            format!("{}.{claims}.", part(&head))
        }));
        let kids = [json!("../../dev/null"), json!("' OR 1=1--"), json!("a\u{0}b"), json!("k".repeat(10_000)), json!(1), Value::Null, json!("")];
        forged.extend(kids.map(|kid| self.with_head("kid", kid)));
        let injected = [
            ("jwk", json!({"kty": "EC"})),
            ("jku", json!("https://example.com/jwks")),
            ("x5u", json!("https://example.com")),
            ("x5c", json!(["AA"])),
        ];
        forged.extend(injected.map(|(name, value)| self.with_head(name, value)));
        let extensions = [("crit", json!(["exp"])), ("b64", json!(false)), ("zip", json!("DEF")), ("cty", json!("JWT"))];
        forged.extend(extensions.map(|(name, value)| self.with_head(name, value)));
        forged.extend(["JWT", "secevent+jwt", "dpop+jwt", "logout+jwt"].map(|typ| self.with_head("typ", json!(typ))));
        let claims_changed = [
            ("sub", json!("somebody else")),
            ("exp", json!(9_999_999_999_u64)),
            ("exp", json!("soon")),
            ("exp", Value::Null),
            ("iss", json!(["http://127.0.0.1:7400"])),
            ("aud", json!([])),
            ("sid", json!("ses_AAAAAAAAAAAAAAAAAAAAAA")),
            ("rev", json!(0)),
        ];
        forged.extend(claims_changed.map(|(name, value)| self.with_claim(name, value)));
        let zero = URL_SAFE_NO_PAD.encode([0; 64]);
        let padded = STANDARD.encode(URL_SAFE_NO_PAD.decode(signature).expect("base64url"));
        forged
            .extend(["", "AAAA", &zero, &padded, &signature[..signature.len() - 4], &format!("{signature}AAAA")].map(|sig| self.with_signature(sig)));
        forged.extend([
            format!("{head}.{claims}"),
            format!("{jwt}."),
            format!(".{jwt}"),
            format!("{jwt}.{signature}.AA"),
            format!(" {jwt}"),
            format!("{jwt}\n"),
            format!("{head}=.{claims}.{signature}"),
            format!("{head}.{claims}{}.{signature}", "A".repeat(1_024)),
            json!({"protected": head, "payload": claims, "signature": signature}).to_string(),
            "a".repeat(60_000),
            "..".to_owned(),
            String::new(),
        ]);
        forged
    }
}

#[test]
fn no_forgery_is_accepted_and_none_is_told_from_another() {
    let node = node();
    let session = node.start("attacks-1");
    let forged = Good::of(&session.jwt).forgeries();
    assert!(forged.len() > 50);
    for jwt in &forged {
        let reply = node.authenticate(&json!({"session_jwt": jwt})).expect(401, "token_invalid");
        assert_eq!(reply.detail(), "the JWT is malformed, forged, or of another cluster");
        assert!(reply.header("www-authenticate").is_some_and(|challenge| challenge.contains("invalid_token")));
        assert!(jwt.len() < 8 || !reply.text.contains(jwt.as_str()), "a credential was repeated");
        let revoke = node.post("/v1/sessions/revoke", &json!({"session_jwt": jwt})).expect(400, "invalid_field");
        assert!(revoke.detail().contains("session_jwt"));
    }
    node.authenticate(&json!({"session_jwt": session.jwt})).expect(200, "");
}

#[test]
fn no_malformed_token_is_looked_up() {
    let node = node();
    let session = node.start("attacks-2");
    let body = session.token.trim_start_matches("cft_");
    let last = if session.token.ends_with('A') { "B" } else { "A" };
    for token in [
        String::new(),
        "cft_".to_owned(),
        body.to_owned(),
        format!("CFT_{body}"),
        format!("cft_{body}="),
        format!(" {}", session.token),
        format!("{}\n", session.token),
        format!("cft_{}", &body[1..]),
        format!("cft_{body}{last}"),
        format!("cft_{}", "+".repeat(43)),
        "x".repeat(60_000),
    ] {
        let reply = node.authenticate(&json!({"session_token": token})).expect(401, "token_invalid");
        assert!(token.len() < 8 || !reply.text.contains(&token), "a credential was repeated");
    }
}
