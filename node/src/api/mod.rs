//! HTTP: two listeners, one table of routes, one door.
//!
//! The only room that knows `actix-web`. It reads requests strictly, asks the rooms below in their own words, and says what came of it in
//! the words of the HTTP contract. It decides nothing about sessions, and keeps nothing between two requests.

mod admin;
mod auth;
mod call;
mod cursor;
mod endings;
mod error;
mod health;
mod json;
mod jwt;
mod keys;
mod level;
mod page;
mod position;
mod query;
mod revocations;
mod routes;
mod scope;
mod server;
mod sessions;
mod trace;

pub use error::{Kind, Problem};
pub use routes::{Access, Effect, Listener, ROUTES, Route};
pub use scope::{Scope, Scopes};
pub use server::{Serving, serve};

use crate::actors::Actors;
use crate::clock::Clock;
use crate::domain::KeyHash;
use crate::feed::Hub;
use crate::raft::Cluster;
use crate::secret::LogKey;
use crate::telemetry::Telemetry;
use crate::tokens::Keys;
use arc_swap::ArcSwapOption;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The keys that this node signs and verifies with; empty until its cluster has formed, exchanged whenever the keyring changes.
pub type KeySource = Arc<ArcSwapOption<Keys>>;

/// What the settings say of HTTP.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads of the `api` listener.
    pub workers: usize,
    /// The most bytes that a body may have.
    pub body_max_bytes: usize,
    /// Whether `/metrics` needs no key.
    pub metrics_public: bool,
}

/// All that this room needs from the others.
pub struct ApiDeps {
    /// Where the applications come in; bound already, so that a port in use was said before anything was written.
    pub api_listener: TcpListener,
    /// Where the operators come in.
    pub admin_listener: TcpListener,
    /// The replicated state, and the way to change it.
    pub cluster: Cluster,
    /// Who acts on sessions.
    pub actors: Actors,
    /// Who tells of revocations.
    pub hub: Hub,
    /// The signing keys.
    pub keys: KeySource,
    /// The time since start.
    pub clock: Clock,
    /// What ids are hashed with before they are logged.
    pub log_key: LogKey,
    /// The root key of this node's settings: it opens the node until the cluster has formed.
    pub own_root: Option<KeyHash>,
    /// Where metrics are read from.
    pub telemetry: Telemetry,
    /// The settings.
    pub settings: Settings,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    pub(crate) actors: Actors,
    pub(crate) hub: Hub,
    pub(crate) keys: KeySource,
    pub(crate) clock: Clock,
    pub(crate) log_key: LogKey,
    pub(crate) own_root: Option<KeyHash>,
    pub(crate) telemetry: Telemetry,
    pub(crate) settings: Settings,
    draining: AtomicBool,
}

impl Shared {
    /// Whether the node is shutting down.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
}
