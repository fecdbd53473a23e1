//! What nodes say to each other: length-prefixed frames of encoded messages. Tags are the format, as in the log.

use crate::codec::{self, DecodeError};
use crate::command::Outcome;
use crate::domain::tagged::tagged;
use crate::domain::{ClusterId, LogIndex, Moment, NodeId, StoreUuid};
use crate::store::{LogEntry, LogPos, SnapshotMeta, Vote};
use bytes::Bytes;
use futures::{Sink, SinkExt, StreamExt};
use rustix::net::sockopt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// The version of this protocol; a peer with another is refused by name.
pub(crate) const PROTOCOL: u32 = 1;
/// The longest frame, bytes. An append is cut so that it fits.
pub(crate) const FRAME_MAX_BYTES: usize = 12 * 1024 * 1024;
/// The longest frame before the peer has proven itself, bytes.
pub(crate) const HELLO_MAX_BYTES: usize = 64 * 1024;

/// After so much silence a connection is probed,
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// so often,
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
/// and so many times until it counts as dead.
const PROBES_MAX: u32 = 3;

/// A connection that carries frames.
pub(crate) type Frames = Framed<TcpStream, LengthDelimitedCodec>;

/// Why a frame was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("the connection was closed")]
    Closed,
    #[error("a message could not be read: {0}")]
    Decode(#[from] DecodeError),
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    #[error("{0}")]
    Refused(String),
}

/// Frames on a stream, bounded as before the peer has proven itself.
pub(crate) fn frames(stream: TcpStream) -> Frames {
    let _ = stream.set_nodelay(true);
    let _ = keep_alive(&stream);
    LengthDelimitedCodec::builder().max_frame_length(HELLO_MAX_BYTES).new_framed(stream)
}

/// A peer that has lost its power, or was cut off for long, says no word of parting: without this its connections would be served for ever,
/// and there is room for so many only.
fn keep_alive(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, SILENCE_MAX)?;
    sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, PROBES_MAX)
}

/// Sends one message.
pub(crate) async fn send<T: Serialize>(frames: &mut Frames, message: &T) -> Result<(), WireError> {
    Ok(frames.send(Bytes::from(codec::encode(message))).await?)
}

/// Bounds a step of a conversation.
pub(crate) async fn within<T>(ms: u64, work: impl Future<Output = Result<T, WireError>>) -> Result<T, WireError> {
    timeout(Duration::from_millis(ms), work).await.unwrap_or(Err(WireError::TimedOut(ms)))
}

/// Writes what is queued, together what waits together, until the connection fails or nobody can queue any more. Whoever calls this reads at
/// the same time: two nodes that only write wait for each other for ever.
pub(crate) async fn write_queued(mut sink: impl Sink<Bytes, Error = io::Error> + Unpin, mut queued: mpsc::Receiver<Bytes>) -> Result<(), WireError> {
    while let Some(frame) = queued.recv().await {
        sink.feed(frame).await?;
        while let Ok(frame) = queued.try_recv() {
            sink.feed(frame).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

/// Receives one message.
pub(crate) async fn receive<T: DeserializeOwned>(frames: &mut Frames) -> Result<T, WireError> {
    let frame = frames.next().await.ok_or(WireError::Closed)??;
    Ok(codec::decode(&frame)?)
}

tagged! {
    /// What a connection is for; one purpose each, so that a long one never delays a short one.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Lane {
        /// Questions and answers in any order.
        1 => Calls(()),
        /// Appends, answered in order.
        2 => Appends(()),
        /// One snapshot.
        3 => Snapshot(()),
    }
}

/// How a node introduces itself, before either side has proven anything.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol: u32,
    pub(crate) release: String,
    pub(crate) lane: Lane,
    pub(crate) cluster: Option<ClusterId>,
    pub(crate) node_id: NodeId,
    pub(crate) store_uuid: StoreUuid,
    pub(crate) nonce: [u8; 32],
    pub(crate) secret_ids: Vec<[u8; 8]>,
    /// Neither a log nor a membership.
    pub(crate) empty: bool,
    /// The peers of its settings, in order of their ids.
    pub(crate) configured: Vec<(NodeId, String)>,
    /// The members of its effective membership.
    pub(crate) members: Vec<(NodeId, StoreUuid)>,
}

/// The second half of the handshake: a proof of the cluster secret over both hellos.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Proof(pub(crate) [u8; 32]);

tagged! {
    /// What a side thinks of the other.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(crate) enum Verdict {
        /// Go on.
        1 => Welcome(()),
        /// Go away, and why.
        2 => Refused(String),
    }
}

/// Entries from the leader, or its heartbeat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Append {
    pub(crate) vote: Vote,
    pub(crate) prev: Option<LogPos>,
    pub(crate) entries: Vec<LogEntry>,
    pub(crate) committed: Option<LogPos>,
}

tagged! {
    /// The answer to an append.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(crate) enum Appended {
        /// Durable up to here.
        1 => Upto(Option<LogPos>),
        /// The log differs at this position.
        2 => Conflict(LogPos),
        /// A higher vote is known.
        3 => HigherVote(Vote),
    }
}

/// A request for a vote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ballot {
    pub(crate) vote: Vote,
    pub(crate) last: Option<LogPos>,
    pub(crate) leadership_transfer: bool,
}

/// The answer to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct BallotAnswer {
    pub(crate) vote: Vote,
    pub(crate) granted: bool,
    pub(crate) last: Option<LogPos>,
}

/// The leader's wish that the receiver should lead.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) from: Vote,
    pub(crate) to: NodeId,
    pub(crate) last: Option<LogPos>,
}

/// The question for a read index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct AskReadIndex {
    /// The asker's wall clock, milliseconds.
    pub(crate) wall_ms: u64,
}

/// The leader's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ReadIndex {
    pub(crate) index: LogIndex,
    pub(crate) now: Moment,
    /// The leader's wall clock, milliseconds.
    pub(crate) wall_ms: u64,
    /// Wall offsets of the members to the leader's, milliseconds, as far as they are younger than a second.
    pub(crate) offsets_ms: Vec<i64>,
}

/// What the leader knows of a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct MemberFacts {
    pub(crate) node_id: NodeId,
    pub(crate) reachable: bool,
    pub(crate) matched: Option<LogIndex>,
    pub(crate) lag_ms: Option<u64>,
    pub(crate) clock_offset_ms: Option<i64>,
    pub(crate) release: Option<String>,
}

/// A change of the membership, for the leader to make.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct NewLearner {
    pub(crate) node_id: NodeId,
    pub(crate) peer: String,
    pub(crate) api: String,
    pub(crate) store_uuid: Option<StoreUuid>,
}

/// A subscriber's acknowledgement, passed on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ack {
    pub(crate) subscriber: String,
    pub(crate) key_name: String,
    pub(crate) index: LogIndex,
}

/// The members of a heartbeat, sampled when the acknowledgement came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct AckPulse {
    pub(crate) index: LogIndex,
    pub(crate) fresh: bool,
    pub(crate) staleness_ms: u64,
    pub(crate) max_staleness_ms: u64,
    pub(crate) boot: String,
    pub(crate) t_ms: u64,
    pub(crate) now: Moment,
}

/// A member's own addresses, from its settings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) peer: String,
    pub(crate) api: String,
}

tagged! {
    /// Questions.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(crate) enum Call {
        1 => Vote(Ballot),
        2 => PreVote(Ballot),
        3 => Transfer(Transfer),
        4 => ReadIndex(AskReadIndex),
        /// Encoded requests to propose.
        5 => Propose(Vec<Bytes>),
        /// What the leader knows of its members.
        6 => Members(()),
        7 => AddLearner(NewLearner),
        8 => Promote(NodeId),
        9 => Remove(NodeId),
        10 => TransferTo(Option<NodeId>),
        11 => SetAddresses(Addresses),
        /// A subscriber of the asked node has acknowledged, on another.
        12 => Ack(Ack),
    }
}

tagged! {
    /// Answers.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(crate) enum Answered {
        1 => Vote(BallotAnswer),
        2 => Transfer(Result<(), String>),
        3 => ReadIndex(ReadIndex),
        4 => Propose(Vec<Ending>),
        5 => Members(Vec<MemberFacts>),
        /// A membership change is committed.
        6 => Changed(LogIndex),
        /// A membership change, or a question, was refused.
        7 => Refused(CallRefusal),
        /// Noted; how fresh the node of the stream is.
        8 => Acked(AckPulse),
    }
}

/// Why a call was refused: a stable code and a sentence.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct CallRefusal {
    pub(crate) code: u8,
    pub(crate) detail: String,
}

/// The code of a refusal because this node does not lead.
pub(crate) const REFUSED_NOT_LEADER: u8 = 1;
/// The code of a refusal because the caller is not a member.
pub(crate) const REFUSED_NOT_MEMBER: u8 = 2;
/// The code of a refusal because the engine could not answer.
pub(crate) const REFUSED_UNAVAILABLE: u8 = 3;
/// The code of a refusal because no such stream is open.
pub(crate) const REFUSED_NO_STREAM: u8 = 4;
/// The code of a refusal because what was acknowledged was not told yet; the detail is the index that was told last.
pub(crate) const REFUSED_NOT_TOLD: u8 = 5;
/// The first code of the membership refusals.
pub(crate) const REFUSED_MEMBERSHIP: u8 = 16;

/// A call and its number on the connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) body: T,
}

tagged! {
    /// How one forwarded proposal ended on the leader.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(crate) enum Ending {
        1 => Done((LogIndex, Outcome)),
        /// Certainly not done; the code of `not_done`.
        2 => NotDone(u8),
        /// Perhaps done.
        3 => Unknown(()),
    }
}

/// The start of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotOffer {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) bytes: u64,
}

/// A piece of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct SnapshotChunk {
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
    pub(crate) last: bool,
}

tagged! {
    /// What the receiver says to a chunk.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub(crate) enum SnapshotAnswer {
        /// Send the next.
        1 => More(()),
        /// Installed; the receiver's vote.
        2 => Installed(Vote),
        /// Not installed, and why.
        3 => Failed(String),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_connection_is_probed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
        keep_alive(&stream).expect("this system can");
        assert!(sockopt::socket_keepalive(&stream).expect("asked") && sockopt::tcp_keepidle(&stream).expect("asked") == SILENCE_MAX);
    }
}
