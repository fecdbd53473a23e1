//! What needs no key, and what operators look at.

use crate::client::send;
use crate::node::node;
use serde_json::{Value, json};

#[test]
fn the_published_keys_can_be_cached_by_their_tag() {
    let node = node();
    let get = |headers: &[(&str, &str)]| send(node.api, "GET", "/.well-known/jwks.json", headers, b"");
    let reply = get(&[]);
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("public, max-age=300")));
    let keys = reply.body["keys"].as_array().expect("keys").clone();
    assert_eq!(keys.len(), 2, "the signing key and the next one");
    for key in &keys {
        assert_eq!((&key["kty"], &key["crv"], &key["alg"], &key["use"]), (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig")));
        assert!(key.get("d").is_none(), "a private key was published");
    }
    let tag = reply.header("etag").expect("a tag").to_owned();
    let again = get(&[("If-None-Match", &tag)]);
    assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", Some(tag.as_str())));
    assert_eq!(get(&[("If-None-Match", "\"another\"")]).status, 200);
    let head = send(node.api, "HEAD", "/.well-known/jwks.json", &[], b"");
    assert_eq!((head.status, head.text.as_str(), head.header("etag")), (200, "", Some(tag.as_str())));
}

#[test]
fn health_is_told_on_both_listeners() {
    let node = node();
    for to in [node.api, node.admin] {
        assert_eq!(send(to, "GET", "/livez", &[], b"").status, 200);
        let reply = send(to, "GET", "/readyz", &[], b"");
        assert_eq!((reply.status, &reply.body["status"]), (200, &json!("ready")));
        let verbose = send(to, "GET", "/readyz?verbose", &[], b"");
        let conditions = verbose.body["conditions"].as_array().expect("conditions");
        for name in ["formed", "keys", "fresh", "serving", "leader", "clock", "disk"] {
            assert!(conditions.iter().any(|condition| condition["name"] == name && condition["ok"] == true), "{name}: {verbose:?}");
        }
    }
}

#[test]
fn operators_see_the_cluster_the_actors_and_the_metrics() {
    let node = node();
    let session = node.start("public-1");
    let reply = node.get("/admin/v1/cluster").expect(200, "");
    // In a formed cluster these members, and no other: scripts hold on to them.
    let names = |pointer: &str| -> Vec<String> {
        let object = reply.body.pointer(pointer).and_then(Value::as_object).expect("an object");
        let mut names: Vec<_> = object.keys().cloned().collect();
        names.sort();
        names
    };
    let sorted = |list: &str| {
        let mut names: Vec<_> = list.split(' ').map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(""), sorted("cluster_id position node_id leader term members node"));
    assert_eq!(
        names("/node"),
        sorted("role last_log_index committed_index applied_index snapshot_index fresh staleness_ms digest version uptime_seconds")
    );
    assert_eq!(names("/members/0"), sorted("node_id role voter peer api store_uuid reachable matched_index lag_ms clock_offset_ms version"));
    assert_eq!((&reply.body["node"]["role"], &reply.body["node"]["fresh"]), (&json!("leader"), &json!(true)));
    assert_eq!(reply.text_of("/position").split_once('.').map(|(cluster, _)| cluster.to_owned()), Some(reply.text_of("/cluster_id")));
    assert_eq!(reply.body["members"].as_array().map(Vec::len), Some(1));
    assert_eq!(reply.text_of("/node/digest/sha256").len(), 64);
    node.authenticate(&json!({"session_token": session.token})).expect(200, "");
    assert!(node.get("/admin/v1/actors").expect(200, "").body.is_object());
    let metrics = node.get("/metrics");
    assert_eq!((metrics.status, metrics.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    for name in ["curfew_http_requests_total", "curfew_http_request_duration_seconds", "curfew_sessions_started_total"] {
        assert!(metrics.text.contains(name), "{name} is not measured");
    }
    assert!(metrics.text.contains("route=\"/v1/sessions/authenticate\""));
    for secret in [&session.id, &session.token, "public-1"] {
        assert!(!metrics.text.contains(secret), "the metrics know a session");
    }
}

#[test]
fn operators_change_the_cluster_by_rules() {
    let node = node();
    node.ask("POST", "/admin/v1/cluster/init", None).expect(409, "conflict");
    node.ask("DELETE", "/admin/v1/cluster/members/9", None).expect(404, "member_not_found");
    node.ask("POST", "/admin/v1/cluster/members/9/promote", None).expect(404, "member_not_found");
    node.ask("DELETE", "/admin/v1/cluster/members/x", None).expect(404, "not_found");
    node.ask("DELETE", "/admin/v1/cluster/members/99999999999999999999", None).expect(400, "invalid_field");
    for (body, names) in [
        (json!({}), "node_id"),
        (json!({"node_id": 9, "peer": "nowhere", "api": "127.0.0.1:1"}), "peer"),
        (json!({"node_id": 9, "peer": "127.0.0.1:1", "api": "127.0.0.1:1", "store_uuid": "x"}), "store_uuid"),
    ] {
        let reply = node.post("/admin/v1/cluster/members", &body).expect(400, "invalid_field");
        assert!(reply.detail().contains(names), "{reply:?}");
    }
    let reply = node.ask("POST", "/admin/v1/cluster/snapshots", None).expect(200, "");
    assert!(reply.body["snapshot_index"].is_u64());
}
