//! The engine's own storage suite, run against our log and state machine.

use super::log_storage::LogStorage;
use super::state_machine::{Builder, Listener, StateMachine};
use super::types::Engine;
use crate::clock::{Clock, ClusterClock};
use crate::command::Event;
use crate::domain::{LogIndex, StoreUuid};
use crate::state::{State, View};
use crate::store::{self, SnapshotFile, Store};
use bytes::Bytes;
use futures::Stream;
use openraft::StorageError;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use std::io;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;

struct Nobody;

impl Listener for Nobody {
    fn applied(&self, _applied: LogIndex, _events: &[Event]) {}
    fn installed(&self, _applied: LogIndex) {}
}

/// Our state machine; but the suite hands the snapshot file of one store to another, which in life goes over the wire.
struct OverTheWire(StateMachine);

impl OverTheWire {
    fn carry(&self, from: &SnapshotFile) -> SnapshotFile {
        let mut receiving = self.0.snapshots.receive("carried").expect("room for a snapshot");
        receiving.write_at(0, &from.read_chunk(0, 1 << 20).expect("a small snapshot")).expect("written");
        receiving.finish().expect("a whole snapshot")
    }
}

impl RaftStateMachine<Engine> for OverTheWire {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogIdOf<Engine>>, StoredMembershipOf<Engine>), io::Error> {
        self.0.applied_state().await
    }

    async fn apply<Strm>(&mut self, entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<Engine>, io::Error>> + Unpin + Send,
    {
        self.0.apply(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.0.get_snapshot_builder().await
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Engine>, snapshot: SnapshotFile) -> Result<(), io::Error> {
        let carried = self.carry(&snapshot);
        self.0.install_snapshot(meta, carried).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<SnapshotOf<Engine, SnapshotFile>>, io::Error> {
        self.0.get_current_snapshot().await
    }
}

struct Fresh;

impl StoreBuilder<Engine, LogStorage, OverTheWire, TempDir> for Fresh {
    async fn build(&self) -> Result<(TempDir, LogStorage, OverTheWire), StorageError<Engine>> {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = store::Settings { data_dir: dir.path().join("data"), ballast_bytes: 0, ..store::Settings::default() };
        let opened = Store::open(&settings, StoreUuid([7; 16])).expect("a fresh store");
        let machine = StateMachine {
            view: View::new(State::default()),
            tables: opened.tables,
            snapshots: opened.snapshots,
            disk: opened.health,
            time: ClusterClock::new(Clock::system()),
            listener: Arc::new(Nobody),
            applied: watch::channel(0).0,
            last: None,
            membership: (None, Bytes::new()),
            // The suite applies single entries out of the blue.
            gaps_allowed: true,
        };
        Ok((dir, LogStorage::new(opened.log), OverTheWire(machine)))
    }
}

#[test]
fn the_store_passes_the_engine_s_own_suite() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(Suite::test_all(Fresh)).expect("the suite passes");
}
