//! The handshake of two nodes: each proves the cluster secret over both introductions, then each judges the other.
//!
//! A node id names a seat, a store uuid the disk on it. A known id with another uuid is refused by whoever notices it: an empty disk under
//! an old id must neither vote nor be counted (protocol G1, "Who you are").

use super::local::{Local, RELEASE};
use super::wire::{FRAME_MAX_BYTES, Frames, Hello, Lane, PROTOCOL, Proof, Verdict, WireError, frames, receive, send, within};
use crate::codec;
use crate::dice;
use crate::domain::{ClusterId, NodeId, StoreUuid};
use tokio::net::TcpStream;

/// How long connecting may take, milliseconds.
pub(crate) const CONNECT_TIMEOUT_MS: u64 = 500;
/// How long a handshake may take, milliseconds.
pub(crate) const HANDSHAKE_TIMEOUT_MS: u64 = 1_000;

/// A connection whose far side has proven itself, and what it said of itself.
pub(crate) struct Proven {
    pub(crate) frames: Frames,
    pub(crate) hello: Hello,
}

/// Dials a node and shakes hands.
///
/// # Errors
/// When it cannot be reached, fails to prove itself, or either side refuses the other.
pub(crate) async fn dial(local: &Local, expected: Option<NodeId>, address: &str, lane: Lane) -> Result<Proven, WireError> {
    let address = expected.map_or_else(|| address.to_owned(), |id| local.address_of(id, address));
    let stream = within(CONNECT_TIMEOUT_MS, async { Ok(TcpStream::connect(&address).await?) }).await?;
    within(HANDSHAKE_TIMEOUT_MS, initiate(local, expected, frames(stream), lane)).await
}

/// Answers a node that has dialled this one.
///
/// # Errors
/// When it fails to prove itself, or either side refuses the other.
pub(crate) async fn answer(local: &Local, stream: TcpStream) -> Result<Proven, WireError> {
    within(HANDSHAKE_TIMEOUT_MS, respond(local, frames(stream))).await
}

async fn initiate(local: &Local, expected: Option<NodeId>, mut frames: Frames, lane: Lane) -> Result<Proven, WireError> {
    let mine = introduce(local, lane);
    send(&mut frames, &mine).await?;
    let theirs: Hello = receive(&mut frames).await?;
    let proof: Proof = receive(&mut frames).await?;
    check_protocol(&mine, &theirs)?;
    let key = local.secret.peer_key();
    if !key.verify(&transcript(b"answers", &mine, &theirs), &proof.0) {
        return Err(WireError::Refused("the peer does not hold the cluster secret".to_owned()));
    }
    send(&mut frames, &Proof(key.prove(&transcript(b"dials", &mine, &theirs)))).await?;
    if let Verdict::Refused(why) = receive(&mut frames).await? {
        return Err(WireError::Refused(format!("the peer refused this node: {why}")));
    }
    if expected.is_some_and(|id| id != theirs.node_id) {
        return Err(WireError::Refused(format!("node {} answered at this address", theirs.node_id)));
    }
    conclude(local, frames, theirs).await
}

async fn respond(local: &Local, mut frames: Frames) -> Result<Proven, WireError> {
    let theirs: Hello = receive(&mut frames).await?;
    let mine = introduce(local, theirs.lane);
    send(&mut frames, &mine).await?;
    let key = local.secret.peer_key();
    send(&mut frames, &Proof(key.prove(&transcript(b"answers", &theirs, &mine)))).await?;
    check_protocol(&mine, &theirs)?;
    let proof: Proof = receive(&mut frames).await?;
    if !key.verify(&transcript(b"dials", &theirs, &mine), &proof.0) {
        return Err(WireError::Refused("the peer does not hold the cluster secret".to_owned()));
    }
    let retired = local.view.read().retired(theirs.node_id);
    match judge(&facts(local), &theirs, retired) {
        Ok(()) => send(&mut frames, &Verdict::Welcome(())).await?,
        Err(why) => {
            send(&mut frames, &Verdict::Refused(why.clone())).await?;
            return Err(WireError::Refused(why));
        }
    }
    conclude(local, frames, theirs).await
}

/// Judges from the dialling side too, adopts the cluster if that is due, and lifts the bound on frames.
async fn conclude(local: &Local, mut frames: Frames, theirs: Hello) -> Result<Proven, WireError> {
    let retired = local.view.read().retired(theirs.node_id);
    judge(&facts(local), &theirs, retired).map_err(WireError::Refused)?;
    adopt(local, &theirs).await?;
    local.note_release(theirs.node_id, &theirs.release);
    frames.codec_mut().set_max_frame_length(FRAME_MAX_BYTES);
    Ok(Proven { frames, hello: theirs })
}

fn introduce(local: &Local, lane: Lane) -> Hello {
    let mut configured: Vec<_> = local.settings.peers.iter().map(|peer| (peer.node_id, peer.peer.clone())).collect();
    configured.sort();
    Hello {
        protocol: PROTOCOL,
        release: RELEASE.to_owned(),
        lane,
        cluster: local.cluster_id(),
        node_id: local.node_id(),
        store_uuid: local.store_uuid(),
        nonce: dice::bytes(),
        secret_ids: local.secret.ids(),
        empty: local.is_empty(),
        configured,
        members: local.members(),
    }
}

fn transcript(side: &[u8], dialler: &Hello, answerer: &Hello) -> Vec<u8> {
    [side, &codec::encode(dialler), &codec::encode(answerer)].concat()
}

fn check_protocol(mine: &Hello, theirs: &Hello) -> Result<(), WireError> {
    if theirs.protocol != mine.protocol {
        return Err(WireError::Refused(format!("node {} speaks peer protocol {}, this node {}", theirs.node_id, theirs.protocol, mine.protocol)));
    }
    let sorted = |ids: &[[u8; 8]]| {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids
    };
    if sorted(&theirs.secret_ids) != sorted(&mine.secret_ids) {
        return Err(WireError::Refused(format!("node {} holds another set of cluster secrets", theirs.node_id)));
    }
    Ok(())
}

/// What judging rests on.
struct Facts {
    node_id: NodeId,
    store_uuid: StoreUuid,
    cluster: Option<ClusterId>,
    members: Vec<(NodeId, StoreUuid)>,
}

fn facts(local: &Local) -> Facts {
    Facts { node_id: local.node_id(), store_uuid: local.store_uuid(), cluster: local.cluster_id(), members: local.members() }
}

/// Whether the other side may be spoken to at all.
fn judge(me: &Facts, other: &Hello, retired: Option<StoreUuid>) -> Result<(), String> {
    if other.node_id == me.node_id {
        return Err(format!("both nodes have the id {}", me.node_id));
    }
    if let (Some(mine), Some(theirs)) = (me.cluster, other.cluster)
        && mine != theirs
    {
        return Err(format!("node {} belongs to cluster {theirs}, node {} to cluster {mine}", other.node_id, me.node_id));
    }
    if retired.is_some() {
        return Err(format!("node {} was removed from the cluster; an id is never used again, add the node under a new one", other.node_id));
    }
    same_disk(&me.members, other.node_id, other.store_uuid)?;
    same_disk(&other.members, me.node_id, me.store_uuid)
}

fn same_disk(members: &[(NodeId, StoreUuid)], id: NodeId, disk: StoreUuid) -> Result<(), String> {
    match members.iter().find(|(member, _)| *member == id) {
        Some((_, known)) if *known != disk => Err(format!(
            "the cluster knows node {id} with store {known}, but its data directory now holds store {disk}: remove node {id}, and add this one under a new id"
        )),
        _ => Ok(()),
    }
}

/// Adopts the cluster of a proven peer whose membership names this node and its disk.
async fn adopt(local: &Local, other: &Hello) -> Result<(), WireError> {
    let (None, Some(cluster)) = (local.cluster_id(), other.cluster) else { return Ok(()) };
    if !other.members.contains(&(local.node_id(), local.store_uuid())) {
        return Ok(());
    }
    let identity = local.identity.clone();
    let written = tokio::task::spawn_blocking(move || identity.set_cluster_id(cluster)).await;
    written.map_err(|error| WireError::Refused(error.to_string()))??;
    tracing::info!(%cluster, from = other.node_id, "adopted the cluster");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId(7);
    const DISK_1: StoreUuid = StoreUuid([1; 16]);
    const DISK_2: StoreUuid = StoreUuid([2; 16]);
    const OTHER_DISK: StoreUuid = StoreUuid([9; 16]);

    fn me() -> Facts {
        Facts { node_id: 1, store_uuid: DISK_1, cluster: Some(CLUSTER), members: vec![(1, DISK_1), (2, DISK_2)] }
    }

    fn node_2() -> Hello {
        Hello {
            protocol: PROTOCOL,
            release: RELEASE.to_owned(),
            lane: Lane::Calls(()),
            cluster: Some(CLUSTER),
            node_id: 2,
            store_uuid: DISK_2,
            nonce: [0; 32],
            secret_ids: vec![],
            empty: false,
            configured: vec![],
            members: vec![(1, DISK_1), (2, DISK_2)],
        }
    }

    #[test]
    fn g1_a_known_id_on_another_disk_is_refused_by_both_sides() {
        assert_eq!(judge(&me(), &node_2(), None), Ok(()));
        let wiped = Hello { store_uuid: OTHER_DISK, cluster: None, members: vec![], empty: true, ..node_2() };
        assert!(judge(&me(), &wiped, None).is_err_and(|why| why.contains("under a new id")));
        let wiped_me = Facts { store_uuid: OTHER_DISK, cluster: None, members: vec![], ..me() };
        assert!(judge(&wiped_me, &node_2(), None).is_err_and(|why| why.contains("under a new id")));
    }

    #[test]
    fn another_cluster_the_own_id_and_a_removed_node_are_refused() {
        assert!(judge(&me(), &Hello { cluster: Some(ClusterId(8)), ..node_2() }, None).is_err());
        assert!(judge(&me(), &Hello { node_id: 1, ..node_2() }, None).is_err());
        assert!(judge(&me(), &node_2(), Some(DISK_2)).is_err());
    }

    #[test]
    fn another_set_of_secrets_is_named_as_the_reason() {
        let other = Hello { secret_ids: vec![[1; 8]], ..node_2() };
        assert!(check_protocol(&node_2(), &other).is_err_and(|why| why.to_string().contains("set of cluster secrets")));
        assert!(check_protocol(&node_2(), &Hello { protocol: 2, ..node_2() }).is_err());
    }
}
