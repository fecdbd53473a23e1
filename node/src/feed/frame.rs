//! Server-Sent Events: the bytes of each message.

use super::body;
use super::pulse::Pulse;
use crate::domain::{ClusterId, LogIndex, Position, RevocationEntry};
use bytes::Bytes;
use serde::Serialize;
use std::fmt::Write as _;

/// How long a client waits before it connects again, milliseconds.
const RETRY_MS: u64 = 1_000;

/// One message. The line with its id comes first, so that the same bytes serve without it.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    bytes: Bytes,
    id_len: usize,
}

impl Frame {
    /// The whole message.
    pub(super) fn with_id(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The message for a stream that stands further on than its id: it must not move the client back.
    pub(super) fn without_id(&self) -> Bytes {
        self.bytes.slice(self.id_len..)
    }

    fn new(id: Option<Position>, event: &str, data: &impl Serialize) -> Self {
        let mut text = String::new();
        if let Some(id) = id {
            push(&mut text, format_args!("id: {id}\n"));
        }
        let id_len = text.len();
        let data = serde_json::to_string(data).expect("the bodies of the feed are maps of texts and numbers");
        push(&mut text, format_args!("event: {event}\ndata: {data}\n\n"));
        Self { bytes: text.into(), id_len }
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a string does not fail");
}

/// What `hello` says; first in every stream.
#[derive(Serialize)]
pub(super) struct Hello<'a> {
    pub(super) subscriber: &'a str,
    #[serde(serialize_with = "body::as_text")]
    pub(super) cluster: ClusterId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nonce: Option<&'a str>,
    pub(super) heartbeat_ms: u64,
    #[serde(flatten)]
    pub(super) pulse: Pulse,
}

/// The first message, and how soon to come back. Without an id when a `resync` follows: a client that is cut off between the two must
/// not come back from a position that hides what it missed.
pub(super) fn hello(id: Option<LogIndex>, hello: &Hello<'_>) -> Bytes {
    let id = id.map(|index| Position { cluster: hello.cluster, index });
    let frame = Frame::new(id, "hello", hello).with_id();
    [format!("retry: {RETRY_MS}\n").as_bytes(), &frame].concat().into()
}

/// All revocations of one log entry.
pub(super) fn revocation(cluster: ClusterId, entry: &RevocationEntry) -> Frame {
    #[derive(Serialize)]
    struct Data<'a> {
        index: LogIndex,
        revocations: body::All<'a>,
    }
    let id = Position { cluster, index: entry.index };
    Frame::new(Some(id), "revocation", &Data { index: entry.index, revocations: body::All(entry) })
}

/// The regular sign of life.
pub(super) fn heartbeat(cluster: ClusterId, pulse: &Pulse) -> Frame {
    Frame::new(Some(Position { cluster, index: pulse.index }), "heartbeat", pulse)
}

/// The signer or the published keys changed.
pub(super) fn keys() -> Frame {
    #[derive(Serialize)]
    struct Data {}
    Frame::new(None, "keys", &Data {})
}

/// What was asked for can no longer be told; where the stream goes on from. It has no id: only what is read after it may move the client.
pub(super) fn resync(cluster: ClusterId, index: LogIndex) -> Bytes {
    #[derive(Serialize)]
    struct Data {
        #[serde(serialize_with = "body::as_text")]
        position: Position,
    }
    Frame::new(None, "resync", &Data { position: Position { cluster, index } }).with_id()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Moment;

    const CLUSTER: ClusterId = ClusterId(0x7f3a_c210);

    fn pulse() -> Pulse {
        Pulse { index: 4711, fresh: true, staleness_ms: 3, max_staleness_ms: 2000, boot: "b".into(), t_ms: 9, now: Moment(1_767_261_600_000) }
    }

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_heartbeat_is_one_event_and_can_be_told_without_its_id() {
        let frame = heartbeat(CLUSTER, &pulse());
        let data = r#"{"index":4711,"fresh":true,"staleness_ms":3,"max_staleness_ms":2000,"boot":"b","t_ms":9,"now":"2026-01-01T10:00:00.000Z"}"#;
        assert_eq!(text(&frame.with_id()), format!("id: 7f3ac210.4711\nevent: heartbeat\ndata: {data}\n\n"));
        assert_eq!(text(&frame.without_id()), format!("event: heartbeat\ndata: {data}\n\n"));
    }

    #[test]
    fn hello_echoes_the_nonce_and_no_text_of_the_caller_breaks_the_event() {
        let hello_of = |nonce| Hello { subscriber: "s", cluster: CLUSTER, nonce, heartbeat_ms: 250, pulse: pulse() };
        let bytes = hello(Some(7), &hello_of(Some("a\n\nevent: revocation")));
        let head = "retry: 1000\nid: 7f3ac210.7\nevent: hello\ndata: {\"subscriber\":\"s\",\"cluster\":\"7f3ac210\",";
        assert!(text(&bytes).starts_with(&format!("{head}\"nonce\":\"a\\n\\nevent: revocation\",\"heartbeat_ms\":250,\"index\":4711,")));
        assert_eq!(text(&bytes).lines().count(), 5);
        assert!(
            text(&hello(None, &hello_of(None)))
                .starts_with("retry: 1000\nevent: hello\ndata: {\"subscriber\":\"s\",\"cluster\":\"7f3ac210\",\"heartbeat_ms\"")
        );
    }

    #[test]
    fn what_moves_nobody_has_no_id() {
        assert_eq!(text(&keys().with_id()), "event: keys\ndata: {}\n\n");
        assert_eq!(text(&resync(CLUSTER, 12)), "event: resync\ndata: {\"position\":\"7f3ac210.12\"}\n\n");
    }
}
