//! What a person who has just started a node wants to know, on standard output.

use super::Addresses;
use super::secrets::RootKey;
use crate::raft::Cluster;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds between two looks whether the node can be used.
const LOOK_MS: u64 = 20;

pub(super) async fn when_ready(cluster: Cluster, addresses: Addresses, data_dir: PathBuf, resumed: bool, root_key: Arc<RootKey>) {
    let state = if resumed { "resumed" } else { "new" };
    let mut text = String::new();
    let _ = writeln!(text, "curfew {} node {}", env!("CARGO_PKG_VERSION"), cluster.node_id());
    let _ = writeln!(text, "  data   {} ({state})", data_dir.display());
    let _ = writeln!(text, "  api    http://{}\n  admin  http://{}\n  peer   {}", addresses.api, addresses.admin, addresses.peer);
    say(&text);
    while cluster.view().read().cluster().is_none() || !cluster.freshness().fresh {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    say(&ready(&cluster, addresses, &root_key));
}

fn ready(cluster: &Cluster, addresses: Addresses, root_key: &RootKey) -> String {
    let mut text = String::new();
    if let Some(id) = cluster.cluster_id() {
        let _ = writeln!(text, "  cluster {id} is ready");
    }
    let theirs = cluster.view().read().root_key().copied();
    if theirs != root_key.hash_if_known() {
        let _ = writeln!(text, "  this node does not hold the cluster's root API key: it is where the cluster was formed");
        return text;
    }
    match root_key.take_made() {
        Some(key) if std::io::stdout().is_terminal() => {
            let _ = writeln!(text, "  root API key, shown once: {}\n  kept in {}", key.reveal(), root_key.place());
        }
        _ => {
            let _ = writeln!(text, "  root API key in {}", root_key.place());
        }
    }
    text + &examples(addresses, &root_key.shell_source())
}

/// Three lines that work as pasted; the key is read where it is kept.
fn examples(addresses: Addresses, key: &str) -> String {
    let api = addresses.api;
    let auth = format!("-H \"Authorization: Bearer {key}\"");
    let json = "-H 'Content-Type: application/json'";
    format!(
        "\nStart a session, list the user's sessions, end them all:\n\
         \x20 curl -sS {auth} {json} -d '{{\"user_id\":\"user-123\"}}' http://{api}/v1/sessions\n\
         \x20 curl -sS {auth} http://{api}/v1/users/user-123/sessions\n\
         \x20 curl -sS {auth} {json} -d '{{\"user_id\":\"user-123\",\"reason\":\"logout\"}}' http://{api}/v1/sessions/revoke\n"
    )
}

/// A closed pipe is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
