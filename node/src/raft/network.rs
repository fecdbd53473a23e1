//! The engine's way to its peers: appends pipelined on a connection of their own, votes as questions, snapshots in bounded chunks.

use super::calls::{CallError, Calls};
use super::handshake::dial;
use super::local::Local;
use super::types::{Engine, Member, from_vote, log_id, pos, to_entry, to_vote};
use super::wire::{
    Answered, Append, Appended, Ballot, BallotAnswer, Call, FRAME_MAX_BYTES, Frames, Lane, SnapshotAnswer, SnapshotChunk, SnapshotOffer, Transfer,
    WireError, receive, send, within,
};
use crate::domain::NodeId;
use crate::store::SnapshotFile;
use bytes::Bytes;
use futures::stream::{BoxStream, unfold};
use futures::{FutureExt, Stream, StreamExt};
use openraft::error::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, StreamAppendResult, TransferLeaderRequest, VoteRequest,
    VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};
use openraft::{RaftNetworkFactory, RaftNetworkV2};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How many appends may be under way on one connection.
const PIPELINE_MAX: usize = 64;
/// How long a peer may be silent while an append is under way, milliseconds.
const APPEND_TIMEOUT_MS: u64 = 2_000;
/// How long a vote may take, milliseconds.
const VOTE_TIMEOUT_MS: u64 = 300;
/// Bytes of a snapshot per frame.
const SNAPSHOT_CHUNK_BYTES: usize = 256 * 1024;
/// How long a receiver may take for one chunk, and for installing after the last, milliseconds; and a sender for the next.
pub(super) const SNAPSHOT_STEP_TIMEOUT_MS: u64 = 120_000;
/// How long to wait before an unreachable peer is tried again, milliseconds.
const BACKOFF_MS: u64 = 100;

/// Makes a client for each peer.
pub(crate) struct Network {
    pub(crate) local: Arc<Local>,
    pub(crate) calls: Arc<Calls>,
}

/// The way to one peer.
pub(crate) struct PeerClient {
    local: Arc<Local>,
    calls: Arc<Calls>,
    target: NodeId,
    address: String,
    appends: Option<Frames>,
}

impl RaftNetworkFactory<Engine> for Network {
    type Network = PeerClient;

    async fn new_client(&mut self, target: NodeId, node: &Member) -> PeerClient {
        PeerClient { local: self.local.clone(), calls: self.calls.clone(), target, address: node.peer.clone(), appends: None }
    }
}

fn unreachable(error: &dyn std::fmt::Display) -> RPCError<Engine> {
    RPCError::Unreachable(Unreachable::from_string(error))
}

impl From<CallError> for RPCError<Engine> {
    fn from(error: CallError) -> Self {
        match error {
            CallError::NotSent(..) => unreachable(&error),
            CallError::NoAnswer(_) => RPCError::Network(NetworkError::from_string(error)),
        }
    }
}

type AppendStep = Result<StreamAppendResult<Engine>, RPCError<Engine>>;

/// One run of `stream_append`: what is still to be sent, and what is under way.
struct Run<'a, S> {
    client: &'a mut PeerClient,
    input: S,
    input_ended: bool,
    under_way: VecDeque<Instant>,
}

impl<S: Stream<Item = AppendEntriesRequest<Engine>> + Unpin + Send> Run<'_, S> {
    /// The next answer; `None` when there is nothing left to ask.
    async fn step(&mut self) -> Option<AppendStep> {
        loop {
            if self.input_ended && self.under_way.is_empty() {
                return None;
            }
            if self.client.appends.is_none() {
                // The first request is taken before connecting, so that the engine's backoff can work.
                let request = self.input.next().await?;
                match dial(&self.client.local, Some(self.client.target), &self.client.address(), Lane::Appends(())).await {
                    Ok(proven) => self.client.appends = Some(proven.frames),
                    Err(error) => return Some(Err(unreachable(&error))),
                }
                if let Err(error) = self.post(request).await {
                    return Some(Err(self.broken(&error)));
                }
                continue;
            }
            let room = !self.input_ended && self.under_way.len() < PIPELINE_MAX;
            let oldest = self.under_way.front().copied();
            let Some(frames) = self.client.appends.as_mut() else { continue };
            tokio::select! {
                biased;
                answer = timeout_at(oldest.unwrap_or_else(Instant::now) + Duration::from_millis(APPEND_TIMEOUT_MS), receive::<Appended>(frames)), if oldest.is_some() => {
                    self.under_way.pop_front();
                    return Some(match answer {
                        Ok(Ok(appended)) => Ok(self.concluded(appended)),
                        Ok(Err(error)) => Err(self.broken(&error)),
                        Err(_) => Err(self.broken(&WireError::TimedOut(APPEND_TIMEOUT_MS))),
                    });
                }
                request = self.input.next(), if room => match request {
                    None => self.input_ended = true,
                    Some(request) => {
                        if let Err(error) = self.post(request).await {
                            return Some(Err(self.broken(&error)));
                        }
                    }
                },
            }
        }
    }

    async fn post(&mut self, request: AppendEntriesRequest<Engine>) -> Result<(), WireError> {
        let append = Append {
            vote: to_vote(&request.vote),
            prev: request.prev_log_id.as_ref().map(pos),
            entries: request.entries.into_iter().map(to_entry).collect(),
            committed: request.leader_commit.as_ref().map(pos),
        };
        let frames = self.client.appends.as_mut().ok_or(WireError::Closed)?;
        within(APPEND_TIMEOUT_MS, send(frames, &append)).await?;
        self.under_way.push_back(Instant::now());
        Ok(())
    }

    fn concluded(&mut self, appended: Appended) -> StreamAppendResult<Engine> {
        if !matches!(appended, Appended::Upto(_)) {
            // The receiver ends its side after a conflict: what is behind it on this connection will not be answered.
            self.end();
        }
        match appended {
            Appended::Upto(last) => Ok(last.map(log_id)),
            Appended::Conflict(at) => Err(StreamAppendError::Conflict(log_id(at))),
            Appended::HigherVote(vote) => Err(StreamAppendError::HigherVote(from_vote(vote))),
        }
    }

    fn broken(&mut self, error: &WireError) -> RPCError<Engine> {
        self.end();
        unreachable(error)
    }

    fn end(&mut self) {
        self.client.appends = None;
        self.under_way.clear();
        self.input_ended = true;
    }
}

impl<S> Drop for Run<'_, S> {
    fn drop(&mut self) {
        // An answer that nobody waits for any more would be taken for the answer to the next request.
        if !self.under_way.is_empty() {
            self.client.appends = None;
        }
    }
}

impl RaftNetworkV2<Engine> for PeerClient {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Engine>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Engine>, RPCError<Engine>> {
        let last = request.entries.last().map(|entry| entry.log_id).or(request.prev_log_id);
        let mut answers = self.stream_append(futures::stream::iter([request]), option).await?;
        match answers.next().await {
            Some(Ok(Ok(upto))) if upto == last => Ok(AppendEntriesResponse::Success),
            Some(Ok(Ok(upto))) => Ok(AppendEntriesResponse::PartialSuccess(upto)),
            Some(Ok(Err(StreamAppendError::Conflict(_)))) => Ok(AppendEntriesResponse::Conflict),
            Some(Ok(Err(StreamAppendError::HigherVote(vote)))) => Ok(AppendEntriesResponse::HigherVote(vote)),
            Some(Err(error)) => Err(error),
            None => Err(unreachable(&"no answer")),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> futures::future::BoxFuture<'s, Result<BoxStream<'s, AppendStep>, RPCError<Engine>>>
    where
        S: Stream<Item = AppendEntriesRequest<Engine>> + Send + Unpin + 'static,
    {
        let run = Run { client: self, input, input_ended: false, under_way: VecDeque::new() };
        let answers = unfold(run, |mut run| async move { run.step().await.map(|answer| (answer, run)) });
        // The engine may look again after the end.
        async move { Ok(answers.fuse().boxed()) }.boxed()
    }

    async fn vote(&mut self, request: VoteRequest<Engine>, _option: RPCOption) -> Result<VoteResponse<Engine>, RPCError<Engine>> {
        self.ballot(Call::Vote(ballot(&request))).await
    }

    async fn pre_vote(&mut self, request: VoteRequest<Engine>, _option: RPCOption) -> Result<VoteResponse<Engine>, RPCError<Engine>> {
        self.ballot(Call::PreVote(ballot(&request))).await
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Engine>,
        snapshot: SnapshotOf<Engine, SnapshotFile>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Engine>, StreamingError<Engine>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.send_snapshot(vote, snapshot.snapshot) => match sent {
                Ok(vote) => Ok(SnapshotResponse::new(vote)),
                Err(error) => Err(StreamingError::Unreachable(Unreachable::from_string(error))),
            },
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Engine>,
        _option: RPCOption,
    ) -> Result<openraft::raft::TransferLeaderResponse<Engine>, RPCError<Engine>> {
        let call = Transfer { from: to_vote(request.from_leader()), to: *request.to_node_id(), last: request.last_log_id().map(pos) };
        match self.calls.ask(self.target, Call::Transfer(call), VOTE_TIMEOUT_MS).await? {
            Answered::Transfer(Ok(())) => Ok(Ok(())),
            other => Err(unreachable(&format!("the transfer was refused: {other:?}"))),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(Duration::from_millis(BACKOFF_MS))))
    }
}

fn ballot(request: &VoteRequest<Engine>) -> Ballot {
    Ballot { vote: to_vote(&request.vote), last: request.last_log_id.as_ref().map(pos), leadership_transfer: request.leadership_transfer }
}

impl PeerClient {
    /// Where the peer is now: the engine keeps its clients when a member changes its address.
    fn address(&self) -> String {
        self.local.member(self.target).map_or_else(|| self.address.clone(), |member| member.peer)
    }

    async fn ballot(&self, call: Call) -> Result<VoteResponse<Engine>, RPCError<Engine>> {
        match self.calls.ask(self.target, call, VOTE_TIMEOUT_MS).await? {
            Answered::Vote(BallotAnswer { vote, granted, last }) => Ok(VoteResponse::new(from_vote(vote), last.map(log_id), granted)),
            other => Err(unreachable(&format!("the ballot was refused: {other:?}"))),
        }
    }

    async fn send_snapshot(&self, vote: VoteOf<Engine>, file: SnapshotFile) -> Result<VoteOf<Engine>, WireError> {
        const { assert!(SNAPSHOT_CHUNK_BYTES < FRAME_MAX_BYTES) };
        let mut frames = dial(&self.local, Some(self.target), &self.address(), Lane::Snapshot(())).await?.frames;
        let bytes = file.len();
        send(&mut frames, &SnapshotOffer { vote: to_vote(&vote), meta: file.meta().clone(), bytes }).await?;
        tracing::info!(to = self.target, bytes, "sending a snapshot");
        let mut offset = 0;
        loop {
            match within(SNAPSHOT_STEP_TIMEOUT_MS, receive::<SnapshotAnswer>(&mut frames)).await? {
                SnapshotAnswer::Installed(vote) => return Ok(from_vote(vote)),
                SnapshotAnswer::Failed(why) => return Err(WireError::Refused(why)),
                SnapshotAnswer::More(()) => {
                    let source = file.clone();
                    let read = tokio::task::spawn_blocking(move || source.read_chunk(offset, SNAPSHOT_CHUNK_BYTES)).await;
                    let piece =
                        read.map_err(|error| WireError::Refused(error.to_string()))?.map_err(|error| WireError::Refused(error.to_string()))?;
                    let end = offset + piece.len() as u64;
                    within(SNAPSHOT_STEP_TIMEOUT_MS, send(&mut frames, &SnapshotChunk { offset, bytes: Bytes::from(piece), last: end >= bytes }))
                        .await?;
                    offset = end;
                }
            }
        }
    }
}
