//! For operators: how the cluster is, who belongs to it, who leads it, what the actors observe of themselves.

use super::Shared;
use super::call::{Answer, Call};
use super::error::Problem;
use super::json::{Fields, required};
use super::sessions::shape::{display, display_if_there};
use super::{endings, position};
use crate::domain::{ClusterId, LogIndex, NodeId, StoreUuid};
use crate::raft::{ClusterStatus, MemberStatus, NewMember, NodeStatus, Role};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

/// The longest address of a member, bytes.
const ADDRESS_MAX_BYTES: usize = 255;

/// `GET /admin/v1/cluster`: as this node sees it; answered without a cluster and without a leader too.
pub(crate) async fn cluster(call: Call) -> Answer {
    let status = call.shared.cluster.status().await;
    Ok(HttpResponse::Ok().json(ClusterShape::of(&status)))
}

/// `POST /admin/v1/cluster/init`
pub(crate) async fn init(mut call: Call) -> Answer {
    call.optional_body().await?.finish()?;
    call.shared.cluster.init().await.map_err(Problem::from)?;
    let shared = call.shared.clone();
    // So that the answer shows the cluster at work; formed it is, whatever comes of the wait.
    let _ = shared.cluster.barrier().await;
    let mut response = cluster(call).await?;
    position::put(&mut response, position::of(&shared, shared.cluster.view().read().last_applied())?);
    Ok(response)
}

/// `POST /admin/v1/cluster/members`
pub(crate) async fn add_member(mut call: Call) -> Answer {
    let new = new_member(call.body().await?)?;
    let id = new.node_id;
    let index = call.shared.cluster.add_learner(new).await.map_err(Problem::from)?;
    changed(HttpResponse::Accepted(), &call.shared, index, Some(id)).await
}

/// `POST /admin/v1/cluster/members/{id}/promote`
pub(crate) async fn promote_member(mut call: Call) -> Answer {
    let id = member_id(&call)?;
    call.optional_body().await?.finish()?;
    let index = call.shared.cluster.promote(id).await.map_err(Problem::from)?;
    changed(HttpResponse::Ok(), &call.shared, index, Some(id)).await
}

/// `DELETE /admin/v1/cluster/members/{id}`
pub(crate) async fn remove_member(call: Call) -> Answer {
    let id = member_id(&call)?;
    let index = call.shared.cluster.remove(id).await.map_err(Problem::from)?;
    changed(HttpResponse::Ok(), &call.shared, index, None).await
}

/// `POST /admin/v1/cluster/leader/transfer`
pub(crate) async fn transfer(mut call: Call) -> Answer {
    let mut body = call.optional_body().await?;
    let to = body.number("node_id")?;
    body.finish()?;
    let index = call.shared.cluster.transfer(to).await.map_err(Problem::from)?;
    changed(HttpResponse::Ok(), &call.shared, index, None).await
}

/// `POST /admin/v1/cluster/snapshots`: of the node asked.
pub(crate) async fn snapshot(mut call: Call) -> Answer {
    #[derive(Serialize)]
    struct Built {
        snapshot_index: LogIndex,
    }
    call.optional_body().await?.finish()?;
    let snapshot_index = call.shared.cluster.snapshot().await.map_err(|reason| endings::no_snapshot(&reason))?;
    Ok(HttpResponse::Ok().json(Built { snapshot_index }))
}

/// `GET /admin/v1/actors`
pub(crate) async fn actors(call: Call) -> Answer {
    let seen = call.shared.actors.observe();
    Ok(HttpResponse::Ok().json(seen))
}

/// The answer to a change of the membership: where it stands in the log, and the member that it was about.
async fn changed(mut answer: HttpResponseBuilder, shared: &Shared, index: LogIndex, member: Option<NodeId>) -> Answer {
    #[derive(Serialize)]
    struct Changed<'a> {
        index: LogIndex,
        position: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<MemberShape<'a>>,
    }
    let at = position::of(shared, index)?;
    let status = shared.cluster.status().await;
    let member = status.members.iter().find(|known| Some(known.node_id) == member).map(MemberShape::of);
    let mut response = answer.json(Changed { index, position: at.to_string(), member });
    position::put(&mut response, at);
    Ok(response)
}

fn member_id(call: &Call) -> Result<NodeId, Problem> {
    call.part("id")?.parse().map_err(|_| Problem::field("id must be the number of a node"))
}

fn new_member(mut body: Fields) -> Result<NewMember, Problem> {
    let new = NewMember {
        node_id: required("node_id", body.number("node_id")?)?,
        peer: address(&mut body, "peer")?,
        api: address(&mut body, "api")?,
        store_uuid: store_uuid(&mut body)?,
    };
    body.finish()?;
    if new.node_id == 0 {
        return Err(Problem::field("node_id must be at least 1"));
    }
    Ok(new)
}

fn address(body: &mut Fields, member: &str) -> Result<String, Problem> {
    let text = required(member, body.text(member)?)?;
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    let well_formed = text.len() <= ADDRESS_MAX_BYTES && text.bytes().all(|b| b.is_ascii_graphic()) && port.is_some_and(|port| port > 0);
    if well_formed { Ok(text) } else { Err(Problem::field(format!("{member} must be a host and a port, as in 10.0.0.4:7402"))) }
}

fn store_uuid(body: &mut Fields) -> Result<Option<StoreUuid>, Problem> {
    let text = body.text("store_uuid")?;
    text.map(|text| text.parse()).transpose().map_err(|error| Problem::field(format!("store_uuid: {error}")))
}

#[derive(Serialize)]
struct ClusterShape<'a> {
    #[serde(serialize_with = "display_if_there")]
    cluster_id: Option<ClusterId>,
    position: Option<String>,
    node_id: NodeId,
    leader: Option<LeaderShape<'a>>,
    term: u64,
    members: Vec<MemberShape<'a>>,
    node: NodeShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<&'a str>,
}

impl<'a> ClusterShape<'a> {
    fn of(status: &'a ClusterStatus) -> Self {
        let applied = status.node.applied_index.unwrap_or(0);
        let leader =
            status.leader.map(|id| LeaderShape { node_id: id, api: status.members.iter().find(|m| m.node_id == id).map(|m| m.api.as_str()) });
        Self {
            cluster_id: status.cluster_id,
            position: status.cluster_id.map(|cluster| crate::domain::Position { cluster, index: applied }.to_string()),
            node_id: status.node_id,
            leader,
            term: status.term,
            members: status.members.iter().map(MemberShape::of).collect(),
            node: NodeShape::of(&status.node),
            // What a member has waited for while its cluster formed is no news once it has.
            waiting_for: status.waiting_for.as_deref().filter(|_| status.cluster_id.is_none()),
        }
    }
}

#[derive(Serialize)]
struct LeaderShape<'a> {
    node_id: NodeId,
    api: Option<&'a str>,
}

#[derive(Serialize)]
struct MemberShape<'a> {
    node_id: NodeId,
    role: &'static str,
    voter: bool,
    peer: &'a str,
    api: &'a str,
    #[serde(serialize_with = "display")]
    store_uuid: StoreUuid,
    reachable: Option<bool>,
    matched_index: Option<LogIndex>,
    lag_ms: Option<u64>,
    clock_offset_ms: Option<i64>,
    version: Option<&'a str>,
}

impl<'a> MemberShape<'a> {
    fn of(member: &'a MemberStatus) -> Self {
        Self {
            node_id: member.node_id,
            role: role(member.role),
            voter: member.voter,
            peer: &member.peer,
            api: &member.api,
            store_uuid: member.store_uuid,
            reachable: member.reachable,
            matched_index: member.matched_index,
            lag_ms: member.lag_ms,
            clock_offset_ms: member.clock_offset_ms,
            version: member.version.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct NodeShape {
    role: &'static str,
    last_log_index: Option<LogIndex>,
    committed_index: Option<LogIndex>,
    applied_index: Option<LogIndex>,
    snapshot_index: Option<LogIndex>,
    fresh: bool,
    staleness_ms: Option<u64>,
    digest: DigestShape,
    version: &'static str,
    uptime_seconds: u64,
}

#[derive(Serialize)]
struct DigestShape {
    index: LogIndex,
    sha256: String,
}

impl NodeShape {
    fn of(node: &NodeStatus) -> Self {
        Self {
            role: role(node.role),
            last_log_index: node.last_log_index,
            committed_index: node.committed_index,
            applied_index: node.applied_index,
            snapshot_index: node.snapshot_index,
            fresh: node.freshness.fresh,
            // Before its first proof a node cannot say how old its knowledge is.
            staleness_ms: Some(node.freshness.staleness_ms).filter(|ms| *ms != u64::MAX),
            digest: DigestShape { index: node.digest_index, sha256: hex(&node.digest) },
            version: node.version,
            uptime_seconds: node.uptime_seconds,
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Shutdown => "shutdown",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::json;
    use crate::raft::Freshness;
    use serde_json::{Value, json};

    const UUID: &str = "01020304-0506-0708-090a-0b0c0d0e0f10";

    fn status() -> ClusterStatus {
        let member = MemberStatus {
            node_id: 1,
            role: Role::Leader,
            voter: true,
            peer: "127.0.0.1:7412".to_owned(),
            api: "127.0.0.1:7410".to_owned(),
            store_uuid: UUID.parse().expect("a uuid"),
            reachable: Some(true),
            matched_index: Some(4711),
            lag_ms: Some(2),
            clock_offset_ms: Some(1),
            version: Some("0.1.0".to_owned()),
        };
        let node = NodeStatus {
            role: Role::Follower,
            last_log_index: Some(4711),
            committed_index: Some(4711),
            applied_index: Some(4711),
            snapshot_index: Some(4000),
            purged_index: None,
            freshness: Freshness { fresh: true, staleness_ms: 12, max_staleness_ms: 2000 },
            digest_index: 4711,
            digest: [0xab; 32],
            version: "0.1.0",
            uptime_seconds: 61,
        };
        let cluster_id = Some(ClusterId(0x7f3a_c210));
        let waiting_for = Some("node 1 has the lowest id and forms the cluster".to_owned());
        ClusterStatus { cluster_id, node_id: 2, leader: Some(1), term: 3, members: vec![member], node, waiting_for }
    }

    #[test]
    fn the_cluster_is_shown_as_the_contract_says() {
        let shown = serde_json::to_value(ClusterShape::of(&status())).expect("a shape is JSON");
        let expected = json!({"cluster_id": "7f3ac210", "position": "7f3ac210.4711", "node_id": 2,
            "leader": {"node_id": 1, "api": "127.0.0.1:7410"}, "term": 3,
            "members": [{"node_id": 1, "role": "leader", "voter": true, "peer": "127.0.0.1:7412", "api": "127.0.0.1:7410", "store_uuid": UUID,
                "reachable": true, "matched_index": 4711, "lag_ms": 2, "clock_offset_ms": 1, "version": "0.1.0"}],
            "node": {"role": "follower", "last_log_index": 4711, "committed_index": 4711, "applied_index": 4711, "snapshot_index": 4000,
                "fresh": true, "staleness_ms": 12, "digest": {"index": 4711, "sha256": "ab".repeat(32)},
                "version": "0.1.0", "uptime_seconds": 61}});
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_node_without_a_cluster_says_what_it_waits_for() {
        let unproven = Freshness { fresh: false, staleness_ms: u64::MAX, max_staleness_ms: 2000 };
        let waiting_for = Some("node 2 does not answer".to_owned());
        let node = NodeStatus { applied_index: None, freshness: unproven, ..status().node };
        let alone = ClusterStatus { cluster_id: None, leader: None, members: Vec::new(), node, waiting_for, ..status() };
        let shown = serde_json::to_value(ClusterShape::of(&alone)).expect("a shape is JSON");
        assert_eq!((&shown["cluster_id"], &shown["position"], &shown["leader"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!((&shown["waiting_for"], &shown["node"]["staleness_ms"]), (&json!("node 2 does not answer"), &Value::Null));
    }

    #[test]
    fn a_new_member_is_read_strictly() {
        let read = |body: Value| new_member(json::parse_object(body.to_string().as_bytes()).expect("an object"));
        let good = json!({"node_id": 4, "peer": "10.0.0.4:7402", "api": "[::1]:7400", "store_uuid": UUID});
        let member = read(good.clone()).expect("a member");
        assert_eq!((member.node_id, member.store_uuid.is_some()), (4, true));
        for (name, wrong) in [
            ("node_id", json!(0)),
            ("node_id", json!("4")),
            ("node_id", Value::Null),
            ("peer", json!("10.0.0.4")),
            ("peer", json!(":7402")),
            ("peer", json!("10.0.0.4:0")),
            ("api", json!("10.0.0.4:70000")),
            ("api", json!("a b:7400")),
            ("store_uuid", json!("x")),
            ("role", json!("voter")),
        ] {
            let mut body = good.clone();
            body[name] = wrong.clone();
            assert!(read(body).expect_err(name).detail().contains(name), "{name}: {wrong}");
        }
    }
}
