//! One node in this process, shared by all stories: each uses users of its own.

use crate::client::{Reply, send};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::OnceLock;

/// The root key of the node.
pub const KEY: &str = "a-root-key-for-the-stories-of-http";

/// Where the node listens.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    pub api: SocketAddr,
    pub admin: SocketAddr,
}

/// The node, started with the first story.
pub fn node() -> Node {
    static NODE: OnceLock<Node> = OnceLock::new();
    *NODE.get_or_init(start)
}

fn start() -> Node {
    todo()
}

impl Node {
    /// A request with the root key, and a JSON body if there is one.
    pub fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Reply {
        self.ask_with(method, target, &[], body)
    }

    /// The same with more headers.
    pub fn ask_with(&self, method: &str, target: &str, more: &[(&str, &str)], body: Option<&Value>) -> Reply {
        let to = if target.starts_with("/admin") || target.starts_with("/metrics") { self.admin } else { self.api };
        let bearer = format!("Bearer {KEY}");
        let mut headers = vec![("Authorization", bearer.as_str())];
        let text = body.map(Value::to_string).unwrap_or_default();
        if body.is_some() && !more.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            headers.push(("Content-Type", "application/json"));
        }
        headers.extend_from_slice(more);
        send(to, method, target, &headers, text.as_bytes())
    }

    /// A POST with a body.
    pub fn post(&self, target: &str, body: &Value) -> Reply {
        self.ask("POST", target, Some(body))
    }

    /// A GET.
    pub fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, None)
    }

    /// Starts a session of this user.
    #[track_caller]
    pub fn start(&self, user: &str) -> Started {
        self.start_with(&serde_json::json!({ "user_id": user }))
    }

    /// Starts a session with this body.
    #[track_caller]
    pub fn start_with(&self, body: &Value) -> Started {
        let reply = self.post("/v1/sessions", body).expect(201, "");
        let position = reply.header("curfew-position").expect("a write says where it stands").to_owned();
        Started { id: reply.text_of("/session/session_id"), token: reply.text_of("/session_token"), jwt: reply.text_of("/session_jwt"), position }
    }

    /// Authenticates with this body.
    pub fn authenticate(&self, body: &Value) -> Reply {
        self.post("/v1/sessions/authenticate", body)
    }
}

/// A session that was started.
#[derive(Debug)]
pub struct Started {
    pub id: String,
    pub token: String,
    pub jwt: String,
    pub position: String,
}
