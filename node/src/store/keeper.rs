//! What the store does on its own, twice a second: the marker follows what is committed, and the room on the disk is looked at.

use super::error::StoreError;
use super::health::{Health, Thread};
use super::log::Shared;
use super::space::Space;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

const PERIOD: Duration = Duration::from_millis(500);

/// The thread that does it, until this is dropped.
pub(super) struct Keeper {
    stop: Option<Sender<()>>,
    thread: Thread,
}

impl Keeper {
    pub(super) fn start(health: &Health, log: Arc<Shared>, space: Space) -> Result<Self, StoreError> {
        let (stop, stopped) = channel::<()>();
        let own = health.clone();
        let thread = health.spawn("store-keeper", move || {
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                space.look(&own);
                if own.check().is_ok() && own.watched(log.promise_committed()).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        self.thread.join();
    }
}
