//! How a cluster comes to be (protocol G1, "Forming").
//!
//! Only an empty node with the lowest configured id forms, and only when every configured peer answers "empty, same list". Everybody else
//! waits to be named by a membership. A wrong list therefore keeps the cluster from forming, and the log says where it differs.

use super::cluster::Inner;
use super::handshake::dial;
use super::local::{Advertised, Local};
use super::types::Member;
use super::wire::{Hello, Lane};
use crate::dice;
use crate::domain::NodeId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Milliseconds between two looks at the peers.
const LOOK_MS: u64 = 250;

/// Why the cluster was not formed by a call.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InitError {
    /// It exists.
    #[error("this node is already part of a cluster")]
    AlreadyFormed,
    /// A peer does not allow it.
    #[error("{0}")]
    NotYet(String),
    /// The disk or the engine failed.
    #[error("the cluster could not be formed: {0}")]
    Failed(String),
}

/// Forms the cluster, or waits until another node has.
pub(crate) async fn form_or_wait(inner: Arc<Inner>) {
    let mut said = String::new();
    while inner.local.members().is_empty() {
        let why = match try_form(&inner).await {
            Ok(()) | Err(InitError::AlreadyFormed) => return inner.set_waiting_for(None),
            Err(why) => why.to_string(),
        };
        if why != said {
            tracing::info!(reason = %why, "waiting for the cluster to form");
            said.clone_from(&why);
        }
        inner.set_waiting_for(Some(why));
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
    inner.set_waiting_for(None);
}

/// One try, by the rule; also what `init` by call does.
pub(crate) async fn try_form(inner: &Inner) -> Result<(), InitError> {
    let local = &inner.local;
    if !local.is_empty() {
        return Err(InitError::AlreadyFormed);
    }
    let settings = &local.settings;
    if !settings.join.is_empty() {
        return Err(InitError::NotYet(format!(
            "this node joins: add it as node {} with peer address {} and store {}",
            settings.node_id,
            settings.advertised.peer,
            local.store_uuid()
        )));
    }
    let peers = look_at_peers(local).await?;
    let lowest = settings.peers.iter().map(|peer| peer.node_id).min().unwrap_or(settings.node_id);
    if settings.node_id != lowest {
        return Err(InitError::NotYet(format!("node {lowest} has the lowest id and forms the cluster")));
    }
    let mut members: BTreeMap<NodeId, Member> = BTreeMap::new();
    let Advertised { peer, api } = settings.advertised.clone();
    members.insert(settings.node_id, Member { peer, api, store_uuid: local.store_uuid() });
    for peer in settings.peers.iter().filter(|peer| peer.node_id != settings.node_id) {
        let hello = peers.get(&peer.node_id).ok_or_else(|| InitError::NotYet(format!("node {} did not answer", peer.node_id)))?;
        members.insert(peer.node_id, Member { peer: peer.peer.clone(), api: peer.api.clone(), store_uuid: hello.store_uuid });
    }
    form(inner, members).await
}

/// Asks every configured peer who it is; one that is not empty, or has another list, stops everything.
async fn look_at_peers(local: &Local) -> Result<BTreeMap<NodeId, Hello>, InitError> {
    let mut own: Vec<_> = local.settings.peers.iter().map(|peer| (peer.node_id, peer.peer.clone())).collect();
    own.sort();
    let others = local.settings.peers.iter().filter(|peer| peer.node_id != local.node_id());
    let looks = others.map(|peer| async move { (peer, dial(local, Some(peer.node_id), &peer.peer, Lane::Calls(())).await) });
    let mut answers = BTreeMap::new();
    for (peer, answer) in futures::future::join_all(looks).await {
        let id = peer.node_id;
        let hello = answer.map_err(|error| InitError::NotYet(format!("node {id} at {} did not answer: {error}", peer.peer)))?.hello;
        if hello.members.contains(&(local.node_id(), local.store_uuid())) {
            return Err(InitError::NotYet(format!("node {id} has formed the cluster with this node; its log is on the way")));
        }
        if !hello.empty {
            return Err(InitError::NotYet(format!("node {id} is not empty{}", belongs(&hello))));
        }
        if hello.configured != own {
            return Err(InitError::NotYet(difference(id, &own, &hello.configured)));
        }
        answers.insert(id, hello);
    }
    Ok(answers)
}

fn belongs(hello: &Hello) -> String {
    hello.cluster.map_or_else(String::new, |cluster| format!(": it belongs to cluster {cluster}, whose membership does not name this node's store"))
}

fn difference(id: NodeId, own: &[(NodeId, String)], theirs: &[(NodeId, String)]) -> String {
    let missing: Vec<_> = own.iter().filter(|one| !theirs.contains(one)).map(|(id, at)| format!("{id}={at}")).collect();
    let extra: Vec<_> = theirs.iter().filter(|one| !own.contains(one)).map(|(id, at)| format!("{id}={at}")).collect();
    let or_nothing = |list: Vec<String>| if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
    format!("node {id} has another list of peers: it lacks {} and has instead {}", or_nothing(missing), or_nothing(extra))
}

async fn form(inner: &Inner, members: BTreeMap<NodeId, Member>) -> Result<(), InitError> {
    let failed = |error: &dyn std::fmt::Display| InitError::Failed(error.to_string());
    let cluster = match inner.local.cluster_id() {
        Some(cluster) => cluster,
        None => {
            let cluster = dice::cluster_id();
            let identity = inner.local.identity.clone();
            let written = tokio::task::spawn_blocking(move || identity.set_cluster_id(cluster)).await;
            written.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
            cluster
        }
    };
    let raft = inner.local.raft().ok_or_else(|| failed(&"the engine is starting"))?;
    let nodes = members.len();
    match raft.initialize(members).await {
        Ok(()) => {
            tracing::info!(%cluster, nodes, "formed the cluster");
            Ok(())
        }
        Err(openraft::error::RaftError::APIError(openraft::error::InitializeError::NotAllowed(_))) => Err(InitError::AlreadyFormed),
        Err(error) => Err(failed(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g1_a_wrong_list_is_named_with_its_difference() {
        let own = [(1, "a:1".to_owned()), (2, "b:2".to_owned())];
        let theirs = [(1, "a:1".to_owned()), (2, "b:9".to_owned())];
        assert_eq!(difference(2, &own, &theirs), "node 2 has another list of peers: it lacks 2=b:2 and has instead 2=b:9");
    }
}
