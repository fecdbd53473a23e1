//! Bad input: every bound, every malformed body, and what the answer says of it.

use crate::client::{send, send_raw};
use crate::node::{KEY, node};
use serde_json::{Value, json};

fn post_raw(target: &str, content_type: Option<&str>, body: &[u8]) -> crate::client::Reply {
    let bearer = format!("Bearer {KEY}");
    let mut headers = vec![("Authorization", bearer.as_str())];
    headers.extend(content_type.map(|value| ("Content-Type", value)));
    send(node().api, "POST", target, &headers, body)
}

#[test]
fn a_body_is_json_of_its_type() {
    let good = json!({"user_id": "input-1"}).to_string();
    for accepted in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\""] {
        post_raw("/v1/sessions", Some(accepted), good.as_bytes()).expect(201, "");
    }
    for refused in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("application/json; charset=latin1"),
        Some("application/jsonx"),
        Some(""),
    ] {
        post_raw("/v1/sessions", refused, good.as_bytes()).expect(415, "unsupported_media_type");
    }
    let bearer = format!("Bearer {KEY}");
    let gzip = [("Authorization", bearer.as_str()), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
    send(node().api, "POST", "/v1/sessions", &gzip, good.as_bytes()).expect(415, "unsupported_media_type");
}

#[test]
fn a_body_is_one_strict_object() {
    let deep = format!("{{\"user_id\":\"u\",\"claims\":{}{}}}", "{\"a\":".repeat(10_000), "1".to_owned() + &"}".repeat(10_000));
    let malformed: [&[u8]; 14] = [
        b"",
        b" ",
        b"[]",
        b"null",
        b"\"user_id\"",
        b"{",
        b"{\"user_id\":\"u\"",
        b"{\"user_id\":\"u\"}}",
        b"{\"user_id\":\"u\"} {\"user_id\":\"u\"}",
        b"{'user_id':'u'}",
        b"{\"user_id\":\"u\",\"user_id\":\"v\"}",
        b"{\"user_id\":\"u\",\"\\u0075ser_id\":\"v\"}",
        b"{\"user_id\":\"\xff\xfe\"}",
        b"\xef\xbb\xbf{\"user_id\":\"u\"}",
    ];
    for body in malformed.into_iter().chain([deep.as_bytes()]) {
        post_raw("/v1/sessions", Some("application/json"), body).expect(400, "invalid_json");
    }
}

#[test]
fn a_body_too_large_is_413_announced_or_not() {
    let node = node();
    let body = |bytes: usize| format!("{{\"user_id\":\"u\",\"x\":\"{}\"}}", "y".repeat(bytes - 22)).into_bytes();
    assert_eq!(body(65_536).len(), 65_536);
    post_raw("/v1/sessions", Some("application/json"), &body(65_536)).expect(400, "unknown_field");
    let reply = post_raw("/v1/sessions", Some("application/json"), &body(65_537)).expect(413, "body_too_large");
    assert!(reply.detail().contains("65536"));
    let head =
        format!("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
    let announced = format!("{head}Content-Length: 18446744073709551615\r\n\r\n{{}}");
    assert!(matches!(send_raw(node.api, announced.as_bytes()).status, 400 | 413));
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..20 {
        chunked.extend_from_slice(format!("1000\r\n{}\r\n", " ".repeat(0x1000)).as_bytes());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    send_raw(node.api, &chunked).expect(413, "body_too_large");
}

#[test]
fn what_takes_no_body_says_so() {
    let node = node();
    let session = node.start("input-2");
    let target = format!("/v1/sessions/{}", session.id);
    for method in ["GET", "DELETE"] {
        node.ask(method, &target, Some(&json!({"reason": "logout"}))).expect(400, "invalid_request");
    }
    node.get(&target).expect(200, "");
    node.ask("POST", "/admin/v1/cluster/snapshots", Some(&json!({"name": "x"}))).expect(400, "unknown_field");
}

/// Members that no body knows, on every route that reads one.
#[test]
fn members_that_are_not_known_are_refused_by_name() {
    let node = node();
    let session = node.start("input-3");
    let one = format!("/v1/sessions/{}", session.id);
    for (method, target, body) in [
        ("POST", "/v1/sessions", json!({"user_id": "u"})),
        ("POST", "/v1/sessions/authenticate", json!({"session_token": session.token})),
        ("POST", "/v1/sessions/revoke", json!({"user_id": "input-3"})),
        ("PATCH", one.as_str(), json!({"claims": {}})),
        ("POST", "/v1/revocations/ack", json!({"subscriber": "s", "index": 1})),
        ("POST", "/admin/v1/cluster/init", json!({})),
        ("POST", "/admin/v1/cluster/members", json!({"node_id": 9, "peer": "127.0.0.1:1", "api": "127.0.0.1:2"})),
        ("POST", "/admin/v1/cluster/members/9/promote", json!({})),
        ("POST", "/admin/v1/cluster/leader/transfer", json!({})),
        ("POST", "/admin/v1/cluster/snapshots", json!({})),
    ] {
        let mut body = body;
        body["suprise"] = Value::Null;
        let reply = node.ask(method, target, Some(&body));
        // Even as null: a misspelt member must never be passed over.
        let reply = reply.expect(400, "unknown_field");
        assert!(reply.detail().contains("suprise"), "{reply:?}");
    }
    node.get(&one).expect(200, "");
}

#[test]
fn every_bound_of_a_start_is_kept() {
    let node = node();
    let of = |member: &str, value: Value| json!({"user_id": "input-4", member: value});
    let factor = |method: &str| json!([{"method": method, "at": "2020-01-01T00:00:00.000Z"}]);
    let bounds = [
        (json!({"user_id": "u".repeat(255)}), json!({"user_id": "u".repeat(256)}), "user_id"),
        (of("attributes", json!({"a": "x".repeat(4_088)})), of("attributes", json!({"a": "x".repeat(4_089)})), "attributes"),
        (of("claims", json!({"a": "x".repeat(4_088)})), of("claims", json!({"a": "x".repeat(4_089)})), "4096"),
        (of("factors", json!(vec![factor("pwd")[0].clone(); 16])), of("factors", json!(vec![factor("pwd")[0].clone(); 17])), "factors"),
        (of("factors", factor(&"m".repeat(64))), of("factors", factor(&"m".repeat(65))), "factors[0].method"),
        (of("audience", json!(vec!["a"; 16])), of("audience", json!(vec!["a"; 17])), "audience"),
        (of("audience", json!(["a".repeat(255)])), of("audience", json!(["a".repeat(256)])), "audience[0]"),
    ];
    for (allowed, beyond, names) in bounds {
        node.post("/v1/sessions", &allowed).expect(201, "");
        let reply = node.post("/v1/sessions", &beyond).expect(400, "invalid_field");
        assert!(reply.detail().contains(names), "{reply:?} does not name {names}");
    }
    node.post("/v1/sessions", &of("ttl_seconds", json!(2_592_000))).expect(201, "");
    let reply = node.post("/v1/sessions", &of("ttl_seconds", json!(2_592_001))).expect(400, "above_policy_cap");
    assert!(reply.detail().contains("2592000"), "{reply:?}");
    node.post("/v1/sessions", &of("factors", json!([{"method": "pwd", "at": "2999-01-01T00:00:00.000Z"}]))).expect(400, "invalid_field");
    node.post("/v1/sessions", &of("claims", json!({"sub": "somebody else"}))).expect(400, "invalid_field");
    // Each within its bound, and too much together.
    let all = json!({"user_id": "u".repeat(255), "claims": {"a": "x".repeat(4_088)}, "audience": vec!["a".repeat(255); 16]});
    assert!(node.post("/v1/sessions", &all).expect(400, "invalid_field").detail().contains("too large together"));
}

#[test]
fn texts_that_no_log_can_bear_are_refused() {
    let node = node();
    for user in ["", "a\nb", "a\u{0}b", "\u{7f}", "\u{85}"] {
        node.post("/v1/sessions", &json!({"user_id": user})).expect(400, "invalid_field");
        node.post("/v1/sessions/revoke", &json!({"user_id": user})).expect(400, "invalid_field");
    }
    let session = node.start("input-5");
    for reason in ["", "a\nb", &"r".repeat(256)] {
        node.post("/v1/sessions/revoke", &json!({"session_id": session.id, "reason": reason})).expect(400, "invalid_field");
    }
    node.get(&format!("/v1/sessions/{}", session.id)).expect(200, "");
}

#[test]
fn lists_have_bounds_and_cursors_of_their_own() {
    let node = node();
    let list = |query: &str| node.get(&format!("/v1/users/input-6/sessions?{query}"));
    for _ in 0..3 {
        node.start("input-6");
    }
    let first = list("limit=2").expect(200, "");
    assert_eq!(first.body["sessions"].as_array().map(Vec::len), Some(2));
    let cursor = first.text_of("/next_cursor");
    let second = list(&format!("limit=2&cursor={cursor}")).expect(200, "");
    assert_eq!((second.body["sessions"].as_array().map(Vec::len), &second.body["next_cursor"]), (Some(1), &Value::Null));
    for wrong in ["limit=0", "limit=1001", "limit=-1", "limit=x", "cursor=x", "cursor=", "status=ended"] {
        list(wrong).expect(400, "invalid_field");
    }
    node.get(&format!("/v1/revocations?cursor={cursor}")).expect(400, "invalid_field");
    for wrong in ["after=x", "after=7f3ac210", "nonce=a%20b", "nonce="] {
        node.get(&format!("/v1/revocations?{wrong}")).expect(400, "invalid_field");
    }
}

#[test]
fn user_ids_are_taken_from_the_path_as_they_are() {
    let node = node();
    for (user, encoded) in [("a/b", "a%2Fb"), ("50%", "50%25"), ("é ü", "%C3%A9%20%C3%BC"), ("a+b", "a+b"), ("x?y#z", "x%3Fy%23z"), ("%2F", "%252F")]
    {
        let user = format!("input-7-{user}");
        let session = node.start(&user);
        let reply = node.get(&format!("/v1/users/input-7-{encoded}/sessions")).expect(200, "");
        assert_eq!(reply.text_of("/sessions/0/session_id"), session.id, "{user}");
    }
    for malformed in ["%ff", "%00", "%0a", "%zz"] {
        node.get(&format!("/v1/users/{malformed}/sessions")).expect(400, "invalid_field");
    }
}
