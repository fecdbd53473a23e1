//! At most two clusters on a machine at once, across threads and test programs: two locked files.

use crate::clock::park;
use std::fs::File;
use std::time::Duration;

const SLOTS: usize = 2;

/// The right to run a cluster, given back when it is dropped (or its process ends, however it ends).
#[derive(Debug)]
pub(super) struct Slot {
    _locked: File,
}

impl Slot {
    /// Waits for a free one.
    pub(super) fn take() -> Self {
        let folder = crate::binary::target_dir().join("cluster-slots");
        std::fs::create_dir_all(&folder).expect("the target directory can be written");
        loop {
            for slot in 0..SLOTS {
                let file = File::create(folder.join(format!("{slot}.lock"))).expect("the target directory can be written");
                if file.try_lock().is_ok() {
                    return Self { _locked: file };
                }
            }
            park(Duration::from_millis(50));
        }
    }
}
