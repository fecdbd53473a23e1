//! The feed over HTTP: list, stream, acknowledgement.

use crate::node::{KEY, Node, node};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// An open stream of events.
struct Events {
    lines: BufReader<TcpStream>,
    head: String,
}

/// One event.
#[derive(Debug)]
struct Event {
    id: Option<String>,
    name: String,
    data: Value,
}

impl Events {
    fn open(node: Node, query: &str, header: &str) -> Self {
        let mut socket = TcpStream::connect(node.api).expect("the node listens");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let request = format!("GET /v1/revocations/stream{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n{header}\r\n");
        socket.write_all(request.as_bytes()).expect("the request");
        let mut lines = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        Self { lines, head: head.to_ascii_lowercase() }
    }

    /// The next event; lines that are none, such as the sizes of chunks, are passed over.
    fn next(&mut self) -> Event {
        let mut event = Event { id: None, name: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("a line") > 0, "the stream ended");
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => {
                    event.data = serde_json::from_str(data).expect("JSON");
                    return event;
                }
                _ => {}
            }
        }
    }

    fn next_named(&mut self, name: &str) -> Event {
        loop {
            let event = self.next();
            if event.name == name {
                return event;
            }
        }
    }
}

#[test]
fn a_stream_says_hello_beats_and_tells_every_revocation() {
    let node = node();
    let mut events = Events::open(node, "?ack=1&stale=fail_closed&nonce=n-1", "");
    for header in ["200 ok", "content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
        assert!(events.head.contains(header), "{header} is not in {}", events.head);
    }
    let hello = events.next();
    assert_eq!((hello.name.as_str(), &hello.data["nonce"]), ("hello", &json!("n-1")));
    assert!(events.next_named("heartbeat").data["fresh"].is_boolean());
    let session = node.start("feed-1");
    let ended = node.post("/v1/sessions/revoke", &json!({"session_id": session.id, "reason": "logout"})).expect(200, "");
    let told = loop {
        let event = events.next_named("revocation");
        if event.data["index"] == ended.body["index"] {
            break event;
        }
    };
    assert_eq!(told.id, Some(ended.text_of("/position")));
    let revocation = &told.data["revocations"][0];
    assert_eq!((&revocation["scope"], &revocation["session_id"], &revocation["reason"]), (&json!("session"), &json!(session.id), &json!("logout")));

    let subscriber = hello.data["subscriber"].as_str().expect("a subscriber");
    let ack = json!({"subscriber": subscriber, "index": ended.body["index"], "nonce": "n-2"});
    let reply = node.post("/v1/revocations/ack", &ack).expect(200, "");
    assert_eq!((&reply.body["nonce"], &reply.body["boot"]), (&json!("n-2"), &hello.data["boot"]));
    assert!(["index", "fresh", "staleness_ms", "max_staleness_ms", "t_ms", "now"].iter().all(|member| !reply.body[member].is_null()), "{reply:?}");
    node.post("/v1/revocations/ack", &json!({"subscriber": "another", "index": 1})).expect(404, "subscriber_not_found");
    node.post("/v1/revocations/ack", &json!({"subscriber": subscriber, "index": 1_u64 << 52})).expect(400, "invalid_field");
}

#[test]
fn a_stream_resumes_where_it_is_told_to() {
    let node = node();
    let (first, second) = (node.start("feed-2"), node.start("feed-2"));
    let one = node.post("/v1/sessions/revoke", &json!({"session_id": first.id})).expect(200, "");
    let two = node.post("/v1/sessions/revoke", &json!({"session_id": second.id})).expect(200, "");
    let after = one.text_of("/position");
    let is_second = |mut events: Events| {
        loop {
            let event = events.next_named("revocation");
            assert_ne!(event.data["index"], one.body["index"], "what was seen came again");
            if event.data["index"] == two.body["index"] {
                return;
            }
        }
    };
    is_second(Events::open(node, &format!("?after={after}"), ""));
    is_second(Events::open(node, "", &format!("Last-Event-ID: {after}\r\n")));
    // A browser sends the old address again: the header is newer than the parameter.
    is_second(Events::open(node, &format!("?after={}", first.position), &format!("Last-Event-ID: {after}\r\n")));
    assert_eq!(Events::open(node, "?after=00000001.1", "").next_named("resync").name, "resync");
}

#[test]
fn a_stream_that_cannot_be_meant_is_refused() {
    let node = node();
    for query in ["after=x", "after=7f3ac210.01", "ack=yes", "stale=ask", "ack=1&stale=open", "ack=1&stale=accept", "nonce=a%0Ab"] {
        node.get(&format!("/v1/revocations/stream?{query}")).expect(400, "invalid_field");
    }
    node.ask_with("GET", "/v1/revocations/stream", &[("Last-Event-ID", "x")], None).expect(400, "invalid_field");
    assert_eq!(node.ask("HEAD", "/v1/revocations/stream", None).header("content-type"), Some("text/event-stream"), "a head, and no stream behind it");
}

#[test]
fn the_list_is_what_a_verifier_begins_with() {
    let node = node();
    let session = node.start("feed-3");
    let ended = node.post("/v1/sessions/revoke", &json!({"session_id": session.id, "reason": "stolen"})).expect(200, "");
    let mut cursor = None::<String>;
    let found = loop {
        let page = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let reply = node.get(&format!("/v1/revocations?limit=2&nonce=n{page}")).expect(200, "");
        assert_eq!(reply.body["nonce"], "n");
        assert!(["position", "boot", "t_ms", "now", "fresh", "staleness_ms", "max_staleness_ms"].iter().all(|member| !reply.body[member].is_null()));
        let listed = reply.body["revocations"].as_array().expect("revocations").clone();
        if let Some(found) = listed.into_iter().find(|one| one["session_id"] == *session.id) {
            break found;
        }
        cursor = Some(reply.text_of("/next_cursor"));
    };
    assert_eq!((&found["index"], &found["reason"], &found["user_id"]), (&ended.body["index"], &json!("stolen"), &json!("feed-3")));
    let later = node.get(&format!("/v1/revocations?after={}", ended.text_of("/position"))).expect(200, "");
    assert!(later.body["revocations"].as_array().is_some_and(|all| all.iter().all(|one| one["index"].as_u64() > ended.body["index"].as_u64())));
}
