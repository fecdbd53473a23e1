//! A node that stops, and clients that do not come to the point.

use crate::client::send;
use crate::node::{KEY, node, start_in, wait_until};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

fn open(to: SocketAddr, bytes: &str) -> TcpStream {
    let mut socket = TcpStream::connect(to).expect("the node listens");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    socket.write_all(bytes.as_bytes()).expect("sent");
    socket
}

fn rest(mut socket: TcpStream) -> String {
    let mut text = String::new();
    let _ = socket.read_to_string(&mut text);
    text
}

/// Streams end as a body ends, not as a connection breaks, so that no client takes the end for an error or a half event for a whole one.
#[test]
fn a_node_that_stops_ends_its_streams_cleanly() {
    let (node, stopper) = start_in("http-stopping");
    let session = node.start("stopping-1");
    let stream = open(node.api, &format!("GET /v1/revocations/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"));
    wait_until("the stream is open", || {
        node.get("/metrics").text.lines().any(|line| line.starts_with("curfew_feed_subscribers") && line.ends_with(" 1"))
    });
    node.post("/v1/sessions/revoke", &json!({"session_id": session.id})).expect(200, "");
    let reader = std::thread::spawn(move || rest(stream));
    stopper.stop().expect("a clean stop");
    let told = reader.join().expect("the reader");
    assert!(told.contains("event: revocation") && told.contains(&session.id), "the last revocation was not told: {told}");
    assert!(told.ends_with("\r\n0\r\n\r\n"), "the body was broken off: {told:?}");
    assert!(TcpStream::connect(node.api).is_err(), "it still listens");
}

/// A head or a body that trickles in holds its connection for seconds, not for ever, and holds up nobody else.
#[test]
fn a_client_that_dawdles_is_let_go() {
    let node = node();
    let half_a_head = open(node.api, "GET /livez HTTP/1.1\r\nHost: x\r\n");
    let head = format!("POST /v1/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n");
    let half_a_body = open(node.api, &format!("{head}Content-Length: 100\r\n\r\n{{\"user_id\":"));
    let ends = [half_a_head, half_a_body].map(|socket| std::thread::spawn(move || rest(socket)));
    assert_eq!(send(node.api, "GET", "/livez", &[], b"").status, 200);
    let [head, body] = ends.map(|end| end.join().expect("the reader"));
    assert!(head.starts_with("HTTP/1.1 408"), "{head:?}");
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("request_timeout"), "{body:?}");
}
