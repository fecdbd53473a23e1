//! The life of a session, from its start to its endings.

use crate::node::{node, wait_until};
use serde_json::{Value, json};

#[test]
fn a_session_starts_is_authenticated_changes_and_ends() {
    let node = node();
    let body = json!({"user_id": "life-1", "ttl_seconds": 86_400, "idle_timeout_seconds": 1_800, "attributes": {"ip_address": "203.0.113.9"},
        "factors": [{"method": "pwd", "at": "2026-01-01T10:00:00.000Z"}], "claims": {"role": "admin"}, "audience": ["billing"]});
    let reply = node.post("/v1/sessions", &body).expect(201, "");
    let id = reply.text_of("/session/session_id");
    assert_eq!(reply.header("location"), Some(format!("/v1/sessions/{id}").as_str()));
    for member in ["attributes", "factors", "claims", "audience", "user_id"] {
        assert_eq!(reply.body["session"][member], body[member], "{member}");
    }
    assert_eq!((&reply.body["session"]["status"], &reply.body["session"]["version"]), (&json!("active"), &json!(1)));
    assert!(reply.text_of("/session_token").starts_with("cft_") && reply.text_of("/session_jwt").starts_with("eyJ"));

    let by_token = node.authenticate(&json!({"session_token": reply.text_of("/session_token")})).expect(200, "");
    assert_eq!(by_token.text_of("/session/session_id"), id);
    assert_eq!(by_token.text_of("/session_jwt"), reply.text_of("/session_jwt"), "more than half of its life is left");
    assert!(by_token.body.get("session_token").is_none(), "the token is shown once");
    let by_jwt = node.authenticate(&json!({"session_jwt": reply.text_of("/session_jwt"), "consistency": "strict"})).expect(200, "");
    assert_eq!(by_jwt.text_of("/session/session_id"), id);

    let target = format!("/v1/sessions/{id}");
    let patched = node.ask("PATCH", &target, Some(&json!({"claims": {"role": null, "team": "x"}}))).expect(200, "");
    assert_eq!((&patched.body["session"]["claims"], &patched.body["session"]["version"]), (&json!({"team": "x"}), &json!(2)));
    let fresh = node.authenticate(&json!({"session_token": reply.text_of("/session_token")})).expect(200, "");
    assert_ne!(fresh.text_of("/session_jwt"), reply.text_of("/session_jwt"), "changed claims are in the next JWT");

    let ended = node.ask("DELETE", &target, None).expect(200, "");
    assert_eq!(ended.body["revoked"], 1);
    assert_eq!(ended.header("curfew-position"), Some(ended.text_of("/position").as_str()));
    node.authenticate(&json!({"session_token": reply.text_of("/session_token")})).expect(401, "session_revoked");
    node.authenticate(&json!({"session_jwt": reply.text_of("/session_jwt")})).expect(401, "session_revoked");
    let shown = node.get(&target).expect(200, "");
    assert_eq!((&shown.body["session"]["status"], &shown.body["session"]["revoked"]["by"]), (&json!("revoked"), &json!("root")));
    assert_eq!(node.ask("DELETE", &target, None).expect(200, "").body["revoked"], 0, "what is ended ends no second time");
    node.ask("PATCH", &target, Some(&json!({"claims": {}}))).expect(409, "session_ended");
}

#[test]
fn a_revocation_is_of_one_session_by_any_name_or_of_a_user() {
    let node = node();
    for by in ["session_id", "session_token", "session_jwt"] {
        let session = node.start("life-2");
        let value = match by {
            "session_id" => &session.id,
            "session_token" => &session.token,
            _ => &session.jwt,
        };
        let rehearsed = node.post("/v1/sessions/revoke", &json!({by: value, "dry_run": true})).expect(200, "");
        assert_eq!((&rehearsed.body["revoked"], &rehearsed.body["dry_run"]), (&json!(1), &json!(true)));
        node.authenticate(&json!({"session_token": session.token})).expect(200, "");
        let reply = node.post("/v1/sessions/revoke", &json!({by: value, "reason": "logout", "confirm": "quorum"})).expect(200, "");
        assert_eq!(reply.body["revoked"], 1, "{by}");
        assert!(reply.body["index"].is_u64() && reply.body["elapsed_ms"].is_u64() && reply.body.get("confirmed").is_none());
        node.authenticate(&json!({"session_token": session.token})).expect(401, "session_revoked");
        assert_eq!(node.get(&format!("/v1/sessions/{}", session.id)).expect(200, "").body["session"]["revoked"]["reason"], "logout");
    }
    let (kept, other) = (node.start("life-3"), node.start("life-3"));
    let reply = node.post("/v1/sessions/revoke", &json!({"user_id": "life-3", "except_session_id": kept.id})).expect(200, "");
    assert_eq!(reply.body["revoked"], 1);
    node.authenticate(&json!({"session_token": kept.token})).expect(200, "");
    node.authenticate(&json!({"session_token": other.token})).expect(401, "session_revoked");
    node.start("life-3");
    let of = |query: &str| node.get(&format!("/v1/users/life-3/sessions{query}")).expect(200, "").body["sessions"].as_array().map(Vec::len);
    assert_eq!((of(""), of("?status=active"), of("?status=all")), (Some(2), Some(2), Some(3)));
}

#[test]
fn what_is_unknown_is_said_after_a_barrier() {
    let node = node();
    let token = format!("cft_{}", "A".repeat(43));
    for consistency in ["local", "strict"] {
        node.authenticate(&json!({"session_token": token, "consistency": consistency})).expect(401, "session_not_found");
    }
    node.get("/v1/sessions/ses_AAAAAAAAAAAAAAAAAAAAAA").expect(404, "session_not_found");
    node.get("/v1/sessions/ses_x").expect(400, "invalid_field");
    node.ask("PATCH", "/v1/sessions/ses_AAAAAAAAAAAAAAAAAAAAAA", Some(&json!({"claims": {}}))).expect(404, "session_not_found");
    for selector in [json!({"session_id": "ses_AAAAAAAAAAAAAAAAAAAAAA"}), json!({"session_token": token}), json!({"user_id": "life-nobody"})] {
        assert_eq!(node.post("/v1/sessions/revoke", &selector).expect(200, "").body["revoked"], 0, "{selector}");
    }
}

#[test]
fn versions_keep_changes_apart() {
    let node = node();
    let session = node.start("life-4");
    let target = format!("/v1/sessions/{}", session.id);
    let change = |version: &str, value: u64| node.ask_with("PATCH", &target, &[("If-Match", version)], Some(&json!({"attributes": {"a": value}})));
    assert_eq!(change("\"1\"", 1).expect(200, "").header("etag"), Some("\"2\""));
    change("\"1\"", 2).expect(412, "version_mismatch");
    change("*", 3).expect(200, "");
    for malformed in ["1", "W/\"3\"", "\"x\""] {
        change(malformed, 4).expect(400, "invalid_field");
    }
    let merge = [("Content-Type", "application/merge-patch+json")];
    let reply = node.ask_with("PATCH", &target, &merge, Some(&json!({"attributes": {"b": {"c": 1}}}))).expect(200, "");
    assert_eq!(reply.body["session"]["attributes"], json!({"a": 3, "b": {"c": 1}}));
    assert_eq!(node.get(&target).expect(200, "").header("etag"), Some("\"4\""));
}

#[test]
fn a_factor_added_gives_a_new_token_and_ends_the_old_one() {
    let node = node();
    let session = node.start("life-5");
    let factor = json!({"add_factor": {"method": "otp", "at": "2026-01-01T10:00:00.000Z"}});
    let reply = node.ask("PATCH", &format!("/v1/sessions/{}", session.id), Some(&factor)).expect(200, "");
    let token = reply.text_of("/session_token");
    assert_ne!(token, session.token);
    node.authenticate(&json!({"session_token": session.token})).expect(401, "session_not_found");
    node.authenticate(&json!({"session_token": token})).expect(200, "");
    node.authenticate(&json!({"session_jwt": session.jwt})).expect(200, "");
}

#[test]
fn step_up_asks_for_more_or_for_newer_factors() {
    let node = node();
    let factors = json!([{"method": "pwd", "at": "2026-01-01T10:00:00.000Z"}, {"method": "otp", "at": "2026-01-01T10:00:00.000Z"}]);
    let session = node.start_with(&json!({"user_id": "life-6", "factors": factors}));
    let ask = |more: (&str, Value)| {
        let mut body = json!({"session_token": session.token});
        body[more.0] = more.1;
        node.authenticate(&body)
    };
    ask(("required_acr", json!("aal2"))).expect(200, "");
    let reply = ask(("required_acr", json!("aal3"))).expect(401, "reauthentication_required");
    let challenge = reply.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains("insufficient_user_authentication") && challenge.contains("acr_values=\"aal3\""), "{challenge}");
    ask(("max_factor_age_seconds", json!(4_000_000_000_u64))).expect(200, "");
    ask(("max_factor_age_seconds", json!(60))).expect(401, "reauthentication_required");
}

#[test]
fn extending_moves_the_absolute_expiry_within_the_cap() {
    let node = node();
    let session = node.start_with(&json!({"user_id": "life-7", "ttl_seconds": 60}));
    let extend = |seconds: u64| node.authenticate(&json!({"session_token": session.token, "extend_seconds": seconds}));
    let before = node.get(&format!("/v1/sessions/{}", session.id)).expect(200, "").text_of("/session/expires_at");
    let reply = extend(3_600).expect(200, "");
    assert!(reply.text_of("/session/expires_at") > before);
    assert!(reply.header("curfew-position").is_some(), "an extension is a write");
    let refused = extend(2_592_001).expect(400, "above_policy_cap");
    assert!(refused.detail().contains("2592000"), "{refused:?}");
    extend(0).expect(400, "invalid_field");
}

#[test]
fn a_session_expires_by_itself_and_stays_so() {
    let node = node();
    let session = node.start_with(&json!({"user_id": "life-8", "ttl_seconds": 1}));
    let status = || node.get(&format!("/v1/sessions/{}", session.id)).expect(200, "").text_of("/session/status");
    wait_until("it has expired", || status() == "expired");
    node.authenticate(&json!({"session_token": session.token})).expect(401, "session_expired");
    node.authenticate(&json!({"session_jwt": session.jwt})).expect(401, "session_expired");
    assert_eq!(status(), "expired");
    assert_eq!(node.post("/v1/sessions/revoke", &json!({"session_id": session.id})).expect(200, "").body["revoked"], 0);
}
