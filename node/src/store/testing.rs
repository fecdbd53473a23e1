//! What tests of this room and of those above it need: a store in a directory that goes with it, and a sync that can be held back or fail.

use super::{LogEntry, LogPos, OpenError, Opened, Payload, Settings, Store, Syncer};
use crate::domain::StoreUuid;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

/// The identity of every store that is made here.
pub(crate) const STORE: StoreUuid = StoreUuid([0xcf; 16]);

/// A data directory that goes when it is dropped.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings { data_dir: self.0.path().join("data"), ballast_bytes: 0, free_space_floor_bytes: 0, ..Settings::default() }
    }

    pub(crate) fn open(&self) -> Result<Opened, OpenError> {
        Store::open(&self.settings(), STORE)
    }
}

/// A sync that waits while the gate is shut, and fails when it is broken.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default, Clone, Copy)]
struct GateState {
    shut: bool,
    broken: bool,
    waiting: usize,
    passed: usize,
    /// How many may pass the shut gate.
    tickets: usize,
}

impl Gate {
    pub(crate) fn open() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn shut(&self, shut: bool) {
        self.change(|state| state.shut = shut);
    }

    pub(crate) fn break_it(&self) {
        self.change(|state| state.broken = true);
    }

    pub(crate) fn mend(&self) {
        self.change(|state| state.broken = false);
    }

    /// Lets the sync that waits before the shut gate pass, and returns once the next one waits there.
    pub(crate) fn on_to_the_next(&self) {
        let before = self.passed();
        self.change(|state| state.tickets += 1);
        let _next = self.moved.wait_while(self.state.lock().unwrap(), |state| state.passed == before || state.waiting == 0).unwrap();
    }

    pub(crate) fn passed(&self) -> usize {
        self.state.lock().unwrap().passed
    }

    /// Returns once a sync waits before the shut gate.
    pub(crate) fn until_one_waits(&self) {
        let _waiting = self.moved.wait_while(self.state.lock().unwrap(), |state| state.waiting == 0).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.state.lock().unwrap());
        self.moved.notify_all();
    }
}

impl Syncer for Gate {
    fn sync(&self, _path: &Path, file: &File) -> io::Result<()> {
        self.change(|state| state.waiting += 1);
        let mut state = self.moved.wait_while(self.state.lock().unwrap(), |state| state.shut && state.tickets == 0).unwrap();
        state.waiting -= 1;
        state.tickets = state.tickets.saturating_sub(1);
        if state.broken {
            return Err(io::Error::other("the disk is broken"));
        }
        state.passed += 1;
        drop(state);
        file.sync_data()
    }
}

pub(crate) fn at(index: u64) -> LogPos {
    LogPos { term: 1, index }
}

pub(crate) fn entries(indexes: std::ops::Range<u64>, bytes: usize) -> Vec<LogEntry> {
    indexes.map(|index| LogEntry { at: at(index), payload: Payload::Command(Bytes::from(vec![index as u8; bytes])) }).collect()
}
