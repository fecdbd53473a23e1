//! Whether the store still works. The first failure of a write or a sync is the last thing that it does.

use super::error::StoreError;
use super::stats::Stats;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Builder, JoinHandle, current};
use tokio::sync::watch;
use tracing::error;

/// The health of an open store, and its counters; all clones tell the same.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    failure: OnceLock<StoreError>,
    told: watch::Sender<bool>,
    stats: Stats,
    free_bytes: AtomicU64,
    floor_bytes: u64,
}

impl Health {
    pub(super) fn new(floor_bytes: u64) -> Self {
        Self(Arc::new(Inner {
            failure: OnceLock::new(),
            told: watch::Sender::new(false),
            stats: Stats::default(),
            free_bytes: AtomicU64::new(u64::MAX),
            floor_bytes,
        }))
    }

    /// Waits for the failure that ends the store. The process must exit with it: nothing written after it is acknowledged.
    pub async fn fatal(&self) -> StoreError {
        let mut told = self.0.told.subscribe();
        loop {
            if let Err(error) = self.check() {
                return error;
            }
            // The sender lives as long as `self`.
            let _ = told.changed().await;
        }
    }

    /// The failure that has ended the store, if one has.
    ///
    /// # Errors
    /// That failure, the same for every call after it.
    pub fn check(&self) -> Result<(), StoreError> {
        self.0.failure.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Bytes that the file system has left for this process, at most a second old.
    #[must_use]
    pub fn free_space(&self) -> u64 {
        self.0.free_bytes.load(Ordering::Relaxed)
    }

    /// Whether there is room for writes that add something. Below the floor only what ends or removes should still be written.
    #[must_use]
    pub fn writable(&self) -> bool {
        self.free_space() >= self.0.floor_bytes
    }

    /// What the store has done so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    pub(super) fn set_free_space(&self, bytes: u64) {
        self.0.free_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Ends the store, unless something has before; answers with what ended it. Refusals and closing are no failures.
    pub(super) fn fail(&self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Refused(_) | StoreError::Closed) {
            return error;
        }
        if self.0.failure.set(error.clone()).is_ok() {
            error!(%error, "the store has failed");
            self.0.told.send_replace(true);
        }
        self.0.failure.get().cloned().unwrap_or(error)
    }

    /// Passes a result on, and ends the store when it is a failure.
    pub(super) fn watched<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.map_err(|error| self.fail(error))
    }

    /// Starts a thread whose panic ends the store.
    pub(super) fn spawn(&self, name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<Thread, StoreError> {
        let health = self.clone();
        let guarded = move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                health.fail(StoreError::Panicked(name));
            }
        };
        let handle = Builder::new().name(name.to_owned()).spawn(guarded);
        handle.map(|handle| Thread(Some(handle))).map_err(|error| StoreError::failed("start a thread for", name.as_ref(), error))
    }
}

/// A thread of the store, to be waited for when its work is over.
pub(super) struct Thread(Option<JoinHandle<()>>);

impl Thread {
    /// Waits for the thread's end, unless it is the thread itself that asks.
    pub(super) fn join(&mut self) {
        if let Some(handle) = self.0.take()
            && handle.thread().id() != current().id()
        {
            // A panic was caught and told inside.
            let _ = handle.join();
        }
    }
}
