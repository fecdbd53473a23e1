//! One node in this process, shared by all stories: each uses users of its own.

use crate::client::{Reply, send};
use curfew_node::clock::Clock;
use curfew_node::config::{Config, Listen};
use curfew_node::telemetry::Telemetry;
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

/// Longer than a node needs to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// The root key of the node.
pub(crate) const KEY: &str = "a-root-key-for-the-stories-of-http";

/// Where the node listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// The node, started with the first story.
pub(crate) fn node() -> Node {
    static NODE: OnceLock<Node> = OnceLock::new();
    *NODE.get_or_init(start)
}

/// The node lives as long as the process.
fn start() -> Node {
    start_in("http").0
}

/// Says a node to stop, and hears how it ended.
pub(crate) struct Stopper {
    stop: tokio::sync::oneshot::Sender<()>,
    stopped: mpsc::Receiver<Result<(), String>>,
}

impl Stopper {
    /// Stops the node.
    pub(crate) fn stop(self) -> Result<(), String> {
        self.stop.send(()).expect("the node runs");
        self.stopped.recv_timeout(PATIENCE).expect("the node stopped")
    }
}

/// Starts a node with an empty directory of this name, on threads of its own; its ports are whatever is free.
pub(crate) fn start_in(name: &str) -> (Node, Stopper) {
    let config = config(&fresh_dir(name));
    let (tell, addresses) = mpsc::channel();
    let (stop, told) = tokio::sync::oneshot::channel();
    let (ended, stopped) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let telemetry = Telemetry::metrics_only().expect("the only recorder of this process");
            let running = curfew_node::boot::Node::start(config, telemetry).await.expect("the node starts");
            tell.send(running.addresses()).expect("the story waits");
            if told.await.is_err() {
                // Nobody will stop it.
                std::future::pending::<()>().await;
            }
            let _ = ended.send(running.stop().await);
        });
    });
    let addresses = addresses.recv_timeout(PATIENCE).expect("the node started");
    let node = Node { api: addresses.api, admin: addresses.admin };
    wait_until("the node is ready", || send(node.api, "GET", "/readyz", &[], b"").status == 200);
    (node, Stopper { stop, stopped })
}

/// Looks until something has become true.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut fact: impl FnMut() -> bool) {
    let clock = Clock::system();
    let until = clock.boot().plus_ms(PATIENCE.as_secs() * 1000);
    while !fact() {
        assert!(clock.boot() < until, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

fn config(dir: &Path) -> Config {
    let key_file = dir.join("root.key");
    std::fs::write(&key_file, KEY).expect("the key is written");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).expect("the key is closed");
    let mut config = Config::default();
    config.node.data_dir = dir.join("data");
    config.cluster.root_key_file = Some(key_file);
    for listen in [&mut config.api.listen, &mut config.admin.listen, &mut config.peer.listen] {
        *listen = Listen::loopback(0);
    }
    config.store.ballast_bytes = 0;
    config
}

/// An empty directory; the one that an earlier run left is taken away.
fn fresh_dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

impl Node {
    /// A request with the root key, and a JSON body if there is one.
    pub(crate) fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Reply {
        self.ask_with(method, target, &[], body)
    }

    /// The same with more headers.
    pub(crate) fn ask_with(&self, method: &str, target: &str, more: &[(&str, &str)], body: Option<&Value>) -> Reply {
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
    pub(crate) fn post(&self, target: &str, body: &Value) -> Reply {
        self.ask("POST", target, Some(body))
    }

    /// A GET.
    pub(crate) fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, None)
    }

    /// Starts a session of this user.
    #[track_caller]
    pub(crate) fn start(&self, user: &str) -> Started {
        self.start_with(&serde_json::json!({ "user_id": user }))
    }

    /// Starts a session with this body.
    #[track_caller]
    pub(crate) fn start_with(&self, body: &Value) -> Started {
        let reply = self.post("/v1/sessions", body).expect(201, "");
        let position = reply.header("curfew-position").expect("a write says where it stands").to_owned();
        Started { id: reply.text_of("/session/session_id"), token: reply.text_of("/session_token"), jwt: reply.text_of("/session_jwt"), position }
    }

    /// Authenticates with this body.
    pub(crate) fn authenticate(&self, body: &Value) -> Reply {
        self.post("/v1/sessions/authenticate", body)
    }
}

/// A session that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) jwt: String,
    pub(crate) position: String,
}
