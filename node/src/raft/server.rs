//! The peer listener: shakes hands, then serves one lane per connection.

use super::cluster::Inner;
use super::handshake::{Proven, answer};
use super::network::SNAPSHOT_STEP_TIMEOUT_MS;
use super::types::{from_entry, from_vote, log_id, pos, snapshot_meta, to_vote};
use super::wire::{
    Answered, Append, Appended, Ballot, BallotAnswer, Call, CallRefusal, Frames, Hello, Lane, Numbered, REFUSED_NOT_MEMBER, REFUSED_UNAVAILABLE,
    SnapshotAnswer, SnapshotChunk, SnapshotOffer, Transfer, WireError, receive, send, within, write_queued,
};
use crate::codec;
use crate::domain::NodeId;
use bytes::{Bytes, BytesMut};
use futures::stream::SplitStream;
use futures::{SinkExt, StreamExt};
use openraft::Snapshot;
use openraft::raft::{AppendEntriesRequest, StreamAppendError, TransferLeaderRequest, VoteRequest};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// How many connections of peers are served at once; a further one waits in the listener's backlog.
const CONNECTIONS_MAX: usize = 512;
/// How many questions of one connection are worked on at once; a further one waits in the connection.
const QUESTIONS_MAX: usize = 256;

/// Serves peers until the task is dropped.
pub(crate) async fn serve(inner: Arc<Inner>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let inner = inner.clone();
                tokio::spawn(async move {
                    connection(&inner, stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a peer connection was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(inner: &Arc<Inner>, stream: TcpStream) {
    let Proven { frames, hello } = match answer(&inner.local, stream).await {
        Ok(proven) => proven,
        Err(WireError::Refused(why)) => return inner.say_once(&why, "a peer was refused"),
        Err(error) => return tracing::debug!(%error, "a handshake did not come to its end"),
    };
    let from = hello.node_id;
    let served = match hello.lane {
        Lane::Calls(()) => calls(inner, frames, hello).await,
        Lane::Appends(()) if same_cluster(inner, &hello) => appends(inner, frames).await,
        Lane::Snapshot(()) if same_cluster(inner, &hello) => snapshot(inner, frames).await,
        _ => Err(WireError::Refused("this node has not adopted the cluster".to_owned())),
    };
    if let Err(error) = served {
        tracing::debug!(from, %error, "a peer connection ended");
    }
}

/// Whether the engine may listen to this peer: both are of one cluster, and this node is in it (protocol G1, "Forming").
fn same_cluster(inner: &Inner, hello: &Hello) -> bool {
    let mine = inner.local.cluster_id();
    mine.is_some() && hello.cluster == mine
}

async fn appends(inner: &Arc<Inner>, frames: Frames) -> Result<(), WireError> {
    let Some(raft) = inner.local.raft() else { return Ok(()) };
    let (mut sink, source) = frames.split();
    let requests = source.scan((), |(), frame: Result<BytesMut, std::io::Error>| {
        std::future::ready(frame.ok().and_then(|frame| codec::decode::<Append>(&frame).ok()).and_then(append))
    });
    let mut answers = std::pin::pin!(raft.stream_append(requests));
    while let Some(answer) = answers.next().await {
        let Ok(answer) = answer else { return Ok(()) };
        let appended = match answer {
            Ok(upto) => Appended::Upto(upto.as_ref().map(pos)),
            Err(StreamAppendError::Conflict(at)) => Appended::Conflict(pos(&at)),
            Err(StreamAppendError::HigherVote(vote)) => Appended::HigherVote(to_vote(&vote)),
        };
        sink.send(Bytes::from(codec::encode(&appended))).await?;
    }
    Ok(())
}

fn append(append: Append) -> Option<AppendEntriesRequest<super::types::Engine>> {
    let entries = append.entries.into_iter().map(from_entry).collect::<Result<Vec<_>, _>>().ok()?;
    Some(AppendEntriesRequest {
        vote: from_vote(append.vote),
        prev_log_id: append.prev.map(log_id),
        entries,
        leader_commit: append.committed.map(log_id),
    })
}

async fn snapshot(inner: &Arc<Inner>, mut frames: Frames) -> Result<(), WireError> {
    let offer: SnapshotOffer = within(SNAPSHOT_STEP_TIMEOUT_MS, receive(&mut frames)).await?;
    match take_snapshot(inner, &mut frames, &offer).await {
        Ok(answer) => send(&mut frames, &answer).await,
        Err(error) => {
            tracing::warn!(%error, "a snapshot was not installed");
            send(&mut frames, &SnapshotAnswer::Failed(error.to_string())).await
        }
    }
}

async fn take_snapshot(inner: &Arc<Inner>, frames: &mut Frames, offer: &SnapshotOffer) -> Result<SnapshotAnswer, WireError> {
    let refused = |error: &dyn std::fmt::Display| WireError::Refused(error.to_string());
    let Some(raft) = inner.local.raft() else { return Err(WireError::Closed) };
    let index = offer.meta.last.map_or(0, |last| last.index);
    let mut receiving = inner.snapshots.receive(&format!("{index}")).map_err(|error| refused(&error))?;
    loop {
        send(frames, &SnapshotAnswer::More(())).await?;
        // A sender that has died without a word must not leave its half behind for ever.
        let chunk: SnapshotChunk = within(SNAPSHOT_STEP_TIMEOUT_MS, receive(frames)).await?;
        let last = chunk.last;
        let written = tokio::task::spawn_blocking(move || receiving.write_at(chunk.offset, &chunk.bytes).map(|()| receiving)).await;
        receiving = written.map_err(|error| refused(&error))?.map_err(|error| refused(&error))?;
        if last {
            break;
        }
    }
    let finished = tokio::task::spawn_blocking(move || receiving.finish()).await;
    let file = finished.map_err(|error| refused(&error))?.map_err(|error| refused(&error))?;
    let meta = snapshot_meta(file.meta()).map_err(|error| refused(&error))?;
    let installed = raft.install_full_snapshot(from_vote(offer.vote), Snapshot { meta, snapshot: file }).await;
    let response = installed.map_err(|error| refused(&error))?;
    Ok(SnapshotAnswer::Installed(to_vote(&response.vote)))
}

async fn calls(inner: &Arc<Inner>, frames: Frames, hello: Hello) -> Result<(), WireError> {
    let (sink, source) = frames.split();
    let (tell, told) = mpsc::channel::<Bytes>(QUESTIONS_MAX);
    tokio::select! {
        ended = write_queued(sink, told) => ended,
        ended = take_questions(inner, source, Arc::new(hello), tell) => ended,
    }
}

async fn take_questions(inner: &Arc<Inner>, mut source: SplitStream<Frames>, hello: Arc<Hello>, tell: mpsc::Sender<Bytes>) -> Result<(), WireError> {
    let places = Arc::new(Semaphore::new(QUESTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        let Some(frame) = source.next().await else { return Ok(()) };
        let Numbered { number, body } = codec::decode::<Numbered<Call>>(&frame?)?;
        let (inner, hello, tell) = (inner.clone(), hello.clone(), tell.clone());
        tokio::spawn(async move {
            let body = question(&inner, &hello, body).await;
            let _ = tell.send(Bytes::from(codec::encode(&Numbered { number, body }))).await;
            drop(place);
        });
    }
}

fn refuse(code: u8, detail: impl Into<String>) -> Answered {
    Answered::Refused(CallRefusal { code, detail: detail.into() })
}

async fn question(inner: &Arc<Inner>, hello: &Hello, call: Call) -> Answered {
    if inner.local.raft().is_none() || !same_cluster(inner, hello) {
        return refuse(REFUSED_UNAVAILABLE, "this node is not in the cluster");
    }
    match call {
        Call::Vote(ballot) => vote(inner, ballot, false).await,
        Call::PreVote(ballot) => vote(inner, ballot, true).await,
        Call::Transfer(request) => transfer(inner, request).await,
        _ if !is_member(inner, hello.node_id, hello) => refuse(REFUSED_NOT_MEMBER, format!("node {} is not a member", hello.node_id)),
        Call::ReadIndex(asked) => inner.answer_read_index(hello, asked.wall_ms).await,
        Call::Propose(requests) => Answered::Propose(inner.propose_here(requests).await),
        Call::Members(()) => Answered::Members(inner.member_facts()),
        Call::AddLearner(new) => inner.add_learner_here(new).await,
        Call::Promote(id) => inner.promote_here(id).await,
        Call::Remove(id) => inner.remove_here(id).await,
        Call::TransferTo(id) => inner.transfer_here(id).await,
        Call::Ack(ack) => inner.ack_here(&ack),
        Call::SetAddresses(addresses) => inner.set_addresses_here(hello.node_id, addresses).await,
    }
}

/// Whether the asker is a member by what is known to be committed, on the disk that the membership names.
pub(crate) fn is_member(inner: &Inner, id: NodeId, hello: &Hello) -> bool {
    let committed = inner.local.committed_membership();
    committed.is_some_and(|stored| stored.get_node(&id).is_some_and(|member| member.store_uuid == hello.store_uuid))
}

async fn vote(inner: &Arc<Inner>, ballot: Ballot, pre: bool) -> Answered {
    let Some(raft) = inner.local.raft() else { return refuse(REFUSED_UNAVAILABLE, "starting") };
    let request = VoteRequest { vote: from_vote(ballot.vote), last_log_id: ballot.last.map(log_id), leadership_transfer: ballot.leadership_transfer };
    let voted = if pre { raft.pre_vote(request).await } else { raft.vote(request).await };
    match voted {
        Ok(response) => Answered::Vote(BallotAnswer {
            vote: to_vote(&response.vote),
            granted: response.vote_granted,
            last: response.last_log_id.as_ref().map(pos),
        }),
        Err(error) => refuse(REFUSED_UNAVAILABLE, error.to_string()),
    }
}

async fn transfer(inner: &Arc<Inner>, request: Transfer) -> Answered {
    let Some(raft) = inner.local.raft() else { return refuse(REFUSED_UNAVAILABLE, "starting") };
    let request = TransferLeaderRequest::new(from_vote(request.from), request.to, request.last.map(log_id));
    match raft.handle_transfer_leader(request).await {
        Ok(Ok(())) => Answered::Transfer(Ok(())),
        Ok(Err(error)) => Answered::Transfer(Err(error.to_string())),
        Err(error) => Answered::Transfer(Err(error.to_string())),
    }
}
