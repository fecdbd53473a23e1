//! Who comes in, and how: routes, keys, scopes, headers.

use crate::client::{send, send_raw};
use crate::node::{KEY, node};
use curfew_node::api::{Access, Effect, Listener, ROUTES, Route};
use serde_json::json;

/// A path of the route with something in the place of each name.
fn path(route: &Route) -> String {
    let path = route.pattern.replace("{session_id}", "ses_AAAAAAAAAAAAAAAAAAAAAA");
    path.replace("{user_id}", "nobody").replace("{id}", "9")
}

#[test]
fn every_route_asks_for_a_key_and_knows_a_wrong_one() {
    let node = node();
    for route in ROUTES.iter().filter(|route| route.access != Access::Open) {
        let to = if route.listeners.contains(&Listener::Api) { node.api } else { node.admin };
        let (method, path) = (route.method.as_str(), path(route));
        let reply = send(to, method, &path, &[], b"").expect(401, "api_key_missing");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"curfew\""), "{method} {path}");
        let wrong = [("Authorization", "Bearer another-root-key-of-32-characters-or-more")];
        let reply = send(to, method, &path, &wrong, b"").expect(401, "api_key_invalid");
        assert!(reply.detail().contains("curfew api-keys reset-root"), "{method} {path}: {reply:?}");
        let basic = [("Authorization", "Basic cm9vdDpyb290")];
        send(to, method, &path, &basic, b"").expect(401, "api_key_missing");
    }
}

#[test]
fn a_route_stands_on_its_listener_only() {
    let node = node();
    for route in ROUTES.iter().filter(|route| route.listeners.len() == 1) {
        let other = if route.listeners.contains(&Listener::Api) { node.admin } else { node.api };
        send(other, route.method.as_str(), &path(route), &[], b"").expect(404, "not_found");
    }
}

#[test]
fn unknown_paths_are_404_and_unknown_methods_405_with_what_is_allowed() {
    let node = node();
    for target in [
        "/",
        "/v1",
        "/v1/sessions/",
        "/v2/sessions",
        "/v1/sessions/explain",
        "/v1/sessions/not-an-id",
        "/oauth2/introspect",
        "/openapi.json",
        "/v1/sessions/ses_x/y",
        "//v1/sessions",
    ] {
        node.get(target).expect(404, "not_found");
    }
    node.post("/v1/sessions/explain", &json!({})).expect(404, "not_found");
    for (method, target, allow) in [
        ("GET", "/v1/sessions", "POST"),
        ("PUT", "/v1/sessions/ses_AAAAAAAAAAAAAAAAAAAAAA", "GET, HEAD, PATCH, DELETE"),
        ("POST", "/.well-known/jwks.json", "GET, HEAD"),
        ("DELETE", "/v1/sessions/authenticate", "POST"),
        ("GET", "/admin/v1/cluster/init", "POST"),
        ("BREW", "/livez", "GET, HEAD"),
    ] {
        let reply = node.ask(method, target, None).expect(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {target}");
    }
}

#[test]
fn one_key_comes_in_one_header_in_one_form() {
    let node = node();
    let body = json!({"user_id": "doors-1"}).to_string();
    let ask = |lines: &str| {
        let head = format!("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{lines}");
        send_raw(node.api, format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
    };
    ask(&format!("authorization: bearer {KEY}\r\n")).expect(201, "");
    ask(&format!("Authorization: Bearer {KEY}\r\nAuthorization: Bearer {KEY}\r\n")).expect(400, "invalid_request");
    ask(&format!("Authorization: Bearer {KEY}\r\nAuthorization: Basic x\r\n")).expect(400, "invalid_request");
    ask(&format!("Authorization: Bearer  {KEY}\r\n")).expect(400, "invalid_request");
    ask(&format!("Authorization: Bearer {KEY}, Bearer {KEY}\r\n")).expect(400, "invalid_request");
    ask("Authorization: Bearer\r\n").expect(400, "invalid_request");
    ask(&format!("Curfew-Api-Key: {KEY}\r\n")).expect(401, "api_key_missing");
}

#[test]
fn a_credential_in_the_query_string_is_refused_before_everything_else() {
    let node = node();
    let session = node.start("doors-2");
    for query in ["access_token=x".to_owned(), format!("api_key={KEY}"), format!("consistency={}", session.token), format!("x={}", session.jwt)] {
        for target in [format!("/v1/sessions/{}?{query}", session.id), format!("/v1/revocations/stream?{query}"), format!("/livez?{query}")] {
            let reply = node.get(&target).expect(400, "credential_in_query");
            assert!(!reply.text.contains(&session.token) && !reply.text.contains(&session.jwt), "a credential was repeated");
        }
    }
}

#[test]
fn a_parameter_that_is_not_known_is_refused_by_name() {
    let node = node();
    for route in ROUTES.iter().filter(|route| route.access != Access::Open) {
        let reply = node.ask(route.method.as_str(), &format!("{}?consistancy=strict", path(route)), None).expect(400, "unknown_field");
        assert!(reply.detail().contains("consistancy"), "{reply:?}");
    }
    let session = node.start("doors-3");
    let show = |query: &str| node.get(&format!("/v1/sessions/{}?{query}", session.id));
    show("consistency=strict").expect(200, "");
    show("consistency=local").expect(200, "");
    show("consistency=eventual").expect(400, "invalid_field");
    show("consistency=strict&consistency=local").expect(400, "invalid_field");
    show("consistency=%ff").expect(400, "invalid_request");
}

#[test]
fn every_answer_carries_its_request_id_and_its_seals() {
    let node = node();
    let with = |id: &str| node.ask_with("GET", "/livez", &[("X-Request-Id", id)], None);
    assert_eq!(with("req-42").header("x-request-id"), Some("req-42"));
    assert_eq!(with(&"x".repeat(128)).header("x-request-id").map(str::len), Some(128));
    for replaced in ["two words", "", &"x".repeat(129)] {
        let id = with(replaced).header("x-request-id").map(ToOwned::to_owned).expect("an id is made");
        assert!(id != replaced && !id.is_empty() && id.bytes().all(|b| b.is_ascii_graphic()), "{id:?}");
    }
    let session = node.start("doors-4");
    for reply in [
        node.get(&format!("/v1/sessions/{}", session.id)),
        node.authenticate(&json!({"session_token": session.token})),
        node.get("/nowhere"),
        node.get("/admin/v1/cluster"),
        node.post("/v1/sessions", &json!({})),
    ] {
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
        let id = reply.header("x-request-id").expect("an id");
        if reply.status >= 400 {
            assert_eq!(reply.header("content-type"), Some("application/problem+json"));
            assert_eq!(reply.body["request_id"], *id);
            assert_eq!(reply.body["status"], reply.status);
            assert!(["type", "title", "detail", "code"].iter().all(|member| reply.body[member].is_string()), "{reply:?}");
        }
    }
}

#[test]
fn what_is_not_built_says_so_on_every_write() {
    let node = node();
    for route in ROUTES.iter().filter(|route| route.effect == Effect::Write) {
        let reply = node.ask_with(route.method.as_str(), &path(route), &[("Idempotency-Key", "k")], None);
        reply.expect(501, "not_implemented");
    }
    let session = node.start("doors-5");
    let extend = json!({"session_token": session.token, "extend_seconds": 60});
    node.ask_with("POST", "/v1/sessions/authenticate", &[("Idempotency-Key", "k")], Some(&extend)).expect(501, "not_implemented");
    node.ask_with("GET", &format!("/v1/sessions/{}", session.id), &[("Idempotency-Key", "k")], None).expect(200, "");
    node.post("/v1/sessions/revoke", &json!({"user_id": "doors-5", "confirm": "everywhere"})).expect(501, "not_implemented");
    node.post("/v1/sessions/revoke", &json!({"issued_before": "2026-01-01T00:00:00.000Z"})).expect(400, "unknown_field");
    node.get(&format!("/v1/sessions/{}", session.id)).expect(200, "");
}

#[test]
fn positions_are_waited_for_refused_or_passed_over() {
    let node = node();
    let session = node.start("doors-6");
    let show = |position: &str| node.ask_with("GET", &format!("/v1/sessions/{}", session.id), &[("Curfew-Position", position)], None);
    show(&session.position).expect(200, "");
    let (cluster, _) = session.position.split_once('.').expect("a position");
    show(&format!("{cluster}.9007199254740991")).expect(400, "position_ahead");
    show("00000001.9007199254740991").expect(200, "");
    show("00000000.9007199254740991").expect(200, "");
    // Whatever looks at the replicated state waits, the cluster page and a rehearsal too.
    let ahead = format!("{cluster}.9007199254740991");
    for (method, target, body) in [
        ("GET", "/admin/v1/cluster", None),
        ("GET", "/v1/revocations", None),
        ("GET", "/v1/users/doors-6/sessions", None),
        ("POST", "/v1/sessions/authenticate", Some(json!({"session_token": session.token}))),
        ("POST", "/v1/sessions/revoke?consistency=local", Some(json!({"user_id": "doors-6", "dry_run": true}))),
    ] {
        let ask = |position: &str| node.ask_with(method, target, &[("Curfew-Position", position)], body.as_ref());
        ask(&ahead).expect(400, "position_ahead");
        ask("no-position").expect(400, "invalid_field");
        ask(&session.position).expect(200, "");
    }
    for malformed in
        ["", "x", "4711", &format!("{cluster}."), &format!("{cluster}.01"), &format!("{cluster}.-1"), &format!("{}.1", cluster.to_uppercase() + "A")]
    {
        let reply = show(malformed).expect(400, "invalid_field");
        assert!(reply.detail().contains("Curfew-Position"), "{reply:?}");
    }
    let twice = [("Curfew-Position", session.position.as_str()), ("Curfew-Position", session.position.as_str())];
    node.ask_with("GET", &format!("/v1/sessions/{}", session.id), &twice, None).expect(400, "invalid_request");
}

#[test]
fn no_request_hides_in_another() {
    let node = node();
    for to in [node.api, node.admin] {
        let head = "POST /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let hidden = "GET /admin/v1/cluster HTTP/1.1\r\nHost: x\r\n\r\n";
        for both in [
            format!("{head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
            format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{hidden}"),
            format!("{head}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde{hidden}"),
            format!("{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
            format!("{head}Content-Length: +4\r\n\r\nabcd{hidden}"),
        ] {
            let reply = send_raw(to, both.as_bytes());
            assert_eq!(reply.status, 400, "{both:?}: {reply:?}");
            assert!(!reply.text.contains("HTTP/1.1"), "a second answer came: {reply:?}");
        }
    }
}
