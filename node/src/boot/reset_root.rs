//! Takes up what `curfew api-keys reset-root` left in the data directory: whoever can write there may replace the root key.

use crate::command::{Command, ResetRoot};
use crate::dice;
use crate::domain::KeyHash;
use crate::raft::Cluster;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Milliseconds between two looks.
const LOOK_MS: u64 = 500;
/// The longest request, bytes: 64 hexadecimal digits and a line end.
const REQUEST_MAX_BYTES: u64 = 128;

pub(super) async fn watch(cluster: Cluster, data_dir: PathBuf) {
    let path = data_dir.join(crate::config::RESET_ROOT_FILE);
    loop {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        let Some(hash) = request(&path) else { continue };
        if cluster.view().read().cluster().is_none() {
            continue;
        }
        let done = match hash {
            Ok(root_key) => cluster.propose(dice::command_id(), Command::ResetRoot(ResetRoot { root_key })).await.map(|_| ()).map_err(|error| error.to_string()),
            Err(why) => {
                tracing::error!(path = %path.display(), %why, "a request to reset the root key cannot be read and is removed");
                Ok(())
            }
        };
        match done {
            Ok(()) => match std::fs::remove_file(&path) {
                Ok(()) => tracing::info!("the root key was reset"),
                Err(error) => tracing::error!(path = %path.display(), %error, "the request to reset the root key cannot be removed"),
            },
            Err(error) => tracing::warn!(%error, "the root key was not reset yet"),
        }
    }
}

fn request(path: &Path) -> Option<Result<KeyHash, &'static str>> {
    let found = std::fs::metadata(path).ok()?;
    if found.len() > REQUEST_MAX_BYTES {
        return Some(Err("it is too long"));
    }
    let text = std::fs::read_to_string(path).ok()?;
    Some(parse(text.trim()).ok_or("it is not 64 hexadecimal digits"))
}

fn parse(text: &str) -> Option<KeyHash> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(KeyHash(bytes))
}
