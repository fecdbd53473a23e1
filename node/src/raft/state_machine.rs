//! The engine's state machine: decodes, applies in memory, hands the changed rows to the table writer and the facts to whoever listens.
//!
//! Telling is a consequence of applying, here and nowhere else, on every node.

use super::types::{Answer, Engine, Proposal, encode_membership, io_error, pos, snapshot_meta, stored_membership};
use crate::clock::ClusterClock;
use crate::codec;
use crate::command::{Event, Outcome, Request};
use crate::domain::{LogIndex, Moment};
use crate::state::{Applied, Frozen, Loader, Row, View};
use crate::store::{Health, LogPos, SnapshotFile, SnapshotMeta, Snapshots, Tables};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, Snapshot};
use std::io;
use std::sync::Arc;
use tokio::sync::watch;

/// What a session is taken to need in the first snapshot, bytes.
const SESSION_BYTES: u64 = 1_024;
/// What a snapshot leaves free at least, bytes: a disk that it fills stops the log.
const SNAPSHOT_LEAVES_BYTES: u64 = 32 << 20;

/// How many entries are applied under one hold of the state's lock.
const APPLY_BATCH_MAX: usize = 256;

/// Who hears what applying has made true, on this node. Called in order, after the state shows it, and must not block.
pub trait Listener: Send + Sync + 'static {
    /// Entries up to `applied` are visible, and these are the facts they made.
    fn applied(&self, applied: LogIndex, events: &[Event]);
    /// The whole state was replaced by a snapshot that ends at `applied`.
    fn installed(&self, applied: LogIndex);
}

/// The state machine of this node.
pub(crate) struct StateMachine {
    pub(crate) view: View,
    pub(crate) tables: Tables,
    pub(crate) snapshots: Snapshots,
    pub(crate) disk: Health,
    pub(crate) time: ClusterClock,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) applied: watch::Sender<LogIndex>,
    pub(crate) last: Option<LogPos>,
    pub(crate) membership: (Option<LogPos>, Bytes),
    /// Whether entries may be applied without their predecessors: only the engine's test suite does that.
    #[cfg(test)]
    pub(crate) gaps_allowed: bool,
}

enum Work {
    Nothing,
    Membership(Bytes),
    Request(Moment, Box<Request>),
}

fn decode(proposal: &Proposal) -> Result<(Moment, Box<Request>), io::Error> {
    let (at, request) = proposal.open().ok_or_else(|| io_error("a log entry is too short to be a proposal"))?;
    let request = codec::decode(request).map_err(|error| io_error(format!("a log entry cannot be applied by this release: {error}")))?;
    Ok((at, request))
}

impl StateMachine {
    async fn apply_batch(&mut self, batch: Vec<EntryResponder<Engine>>) -> Result<(), io::Error> {
        let mut work = Vec::with_capacity(batch.len());
        let mut responders = Vec::with_capacity(batch.len());
        for (entry, responder) in batch {
            let what = match &entry.payload {
                EntryPayload::Blank => Work::Nothing,
                EntryPayload::Membership(membership) => Work::Membership(encode_membership(membership)),
                EntryPayload::Normal(proposal) => decode(proposal).map(|(at, request)| Work::Request(at, request))?,
            };
            work.push((pos(&entry.log_id), what));
            responders.push(responder);
        }
        let (answers, rows, events, membership) = self.change(work)?;
        let Some(last) = self.last else { return Ok(()) };
        self.tables.write(last, membership, rows.into_iter().map(store_row).collect()).await.map_err(io_error)?;
        self.tell(last.index, &events);
        for (responder, answer) in responders.into_iter().zip(answers) {
            if let Some(responder) = responder {
                responder.send(answer);
            }
        }
        Ok(())
    }

    /// Applies under the lock; everything slow happened before or happens after.
    #[allow(clippy::type_complexity)]
    fn change(&mut self, work: Vec<(LogPos, Work)>) -> Result<(Vec<Answer>, Vec<Row>, Vec<Event>, Option<(LogPos, Bytes)>), io::Error> {
        let (mut answers, mut rows, mut events, mut membership) = (Vec::with_capacity(work.len()), Vec::new(), Vec::new(), None);
        let mut state = self.view.write();
        for (at, what) in work {
            self.check_next(at.index)?;
            answers.push(match what {
                Work::Request(stamp, request) => {
                    let Applied { index, outcome, rows: changed, events: told } = state.apply(at.index, stamp, *request);
                    rows.extend(changed);
                    events.extend(told);
                    Answer(index, outcome)
                }
                other => {
                    state.skip(at.index);
                    if let Work::Membership(bytes) = other {
                        self.membership = (Some(at), bytes.clone());
                        membership = Some((at, bytes));
                    }
                    Answer(at.index, Outcome::Done(()))
                }
            });
            self.last = Some(at);
        }
        self.time.applied(state.last_at());
        Ok((answers, rows, events, membership))
    }

    /// The engine applies without gap; a truncated or foreign log would show here first (silent divergence otherwise).
    fn check_next(&self, index: LogIndex) -> Result<(), io::Error> {
        #[cfg(test)]
        if self.gaps_allowed {
            return Ok(());
        }
        let expected = self.last.map_or(0, |last| last.index + 1);
        if index == expected { Ok(()) } else { Err(io_error(format!("entry {index} came to be applied where {expected} is due"))) }
    }

    fn tell(&self, applied: LogIndex, events: &[Event]) {
        self.listener.applied(applied, events);
        self.applied.send_replace(applied);
    }

    /// About how large a snapshot would be now.
    fn next_snapshot_bytes(&self) -> u64 {
        match self.snapshots.newest() {
            Some(newest) => newest.len().saturating_add(newest.len() / 4),
            None => {
                let state = self.view.read();
                (state.active_sessions() + state.tombstones()).saturating_mul(SESSION_BYTES)
            }
        }
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last: self.last, membership: self.membership.1.clone(), membership_at: self.membership.0, rows: 0 }
    }
}

impl RaftStateMachine<Engine> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogIdOf<Engine>>, StoredMembershipOf<Engine>), io::Error> {
        let membership = stored_membership(self.membership.0, &self.membership.1).map_err(io_error)?;
        Ok((self.last.map(super::types::log_id), membership))
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Engine>, io::Error>> + Unpin + Send,
    {
        let mut batches = entries.ready_chunks(APPLY_BATCH_MAX);
        while let Some(batch) = batches.next().await {
            self.apply_batch(batch.into_iter().collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        let needed = self.next_snapshot_bytes();
        if !force && !has_room(self.disk.free_space(), needed) {
            tracing::warn!(needed, free = self.disk.free_space(), "no room for a snapshot; none is built, and the log grows");
            return None;
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { tables: self.tables.clone(), snapshots: self.snapshots.clone(), meta: self.meta(), state: Some(self.view.read().frozen()) }
    }

    async fn install_snapshot(&mut self, _meta: &SnapshotMetaOf<Engine>, snapshot: SnapshotFile) -> Result<(), io::Error> {
        let meta = snapshot.meta().clone();
        let Some(last) = meta.last else { return Err(io_error("a snapshot names no last entry")) };
        let file = snapshot.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let mut loader = Loader::new();
            for row in file.rows() {
                let (key, value) = row.map_err(io_error)?;
                loader.row(&key, &value).map_err(io_error)?;
            }
            loader.finish(last.index).map_err(io_error)
        });
        let state = loaded.await.map_err(io_error)??;
        self.tables.replace(snapshot).await.map_err(io_error)?;
        let last_at = state.last_at();
        // The old state may be large: it is let go after the readers can go on.
        let old = std::mem::replace(&mut *self.view.write(), state);
        tokio::task::spawn_blocking(move || drop(old));
        self.last = Some(last);
        self.membership = (meta.membership_at, meta.membership);
        self.time.applied(last_at);
        tracing::info!(index = last.index, "installed a snapshot");
        self.listener.installed(last.index);
        self.applied.send_replace(last.index);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Engine, SnapshotFile>>, io::Error> {
        self.snapshots.newest().map(opened).transpose()
    }
}

fn has_room(free: u64, needed: u64) -> bool {
    free >= needed.saturating_add(SNAPSHOT_LEAVES_BYTES)
}

fn opened(file: SnapshotFile) -> Result<SnapshotOf<Engine, SnapshotFile>, io::Error> {
    Ok(Snapshot { meta: snapshot_meta(file.meta()).map_err(io_error)?, snapshot: file })
}

/// Writes one snapshot, from a frozen state, while applying goes on.
pub(crate) struct Builder {
    tables: Tables,
    snapshots: Snapshots,
    meta: SnapshotMeta,
    state: Option<Frozen>,
}

impl RaftSnapshotBuilder<Engine> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Engine, SnapshotFile>, io::Error> {
        // The log may be purged up to a snapshot, and is replayed from what the tables hold: they must hold it durably first.
        self.tables.sync().await.map_err(io_error)?;
        let state = self.state.take().ok_or_else(|| io_error("a snapshot builder builds once"))?;
        let (snapshots, meta) = (self.snapshots.clone(), self.meta.clone());
        let built = tokio::task::spawn_blocking(move || snapshots.create(meta, state.rows()));
        let file = match (built.await.map_err(io_error)?, self.snapshots.newest()) {
            (Ok(file), _) => file,
            // The engine would end over it, and nothing that was acknowledged rests on a snapshot. The older one says that nothing is new.
            (Err(error), Some(older)) => {
                tracing::error!(%error, "a snapshot was not built, and the log grows");
                return opened(older);
            }
            (Err(error), None) => return Err(io_error(error)),
        };
        tracing::info!(index = file.meta().last.map(|last| last.index), bytes = file.len(), "built a snapshot");
        opened(file)
    }
}

fn store_row(row: Row) -> crate::store::Row {
    crate::store::Row { key: row.key, value: row.value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_not_begun_where_it_would_fill_the_disk() {
        assert!(has_room(SNAPSHOT_LEAVES_BYTES + 7, 7) && !has_room(SNAPSHOT_LEAVES_BYTES + 6, 7) && !has_room(u64::MAX - 1, u64::MAX));
    }
}
