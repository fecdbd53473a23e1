//! Takes up what `curfew api-keys reset-root` left in the data directory: whoever can write there may replace the root key.

use crate::command::{Command, ResetRoot};
use crate::config::ResetRootRequest;
use crate::dice;
use crate::raft::Cluster;
use std::path::PathBuf;
use std::time::Duration;

/// Milliseconds between two looks.
const LOOK_MS: u64 = 500;

pub(super) async fn watch(cluster: Cluster, data_dir: PathBuf) {
    let mut said = String::new();
    loop {
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
        if let Err(why) = take_up(&cluster, &data_dir).await
            && why != said
        {
            tracing::warn!(reason = %why, "the root key was not reset");
            said = why;
        }
    }
}

async fn take_up(cluster: &Cluster, data_dir: &std::path::Path) -> Result<(), String> {
    let Some(request) = ResetRootRequest::find(data_dir).map_err(|error| format!("the request cannot be read: {error}"))? else { return Ok(()) };
    if cluster.view().read().cluster().is_none() {
        return Ok(());
    }
    let reset = Command::ResetRoot(ResetRoot { root_key: request.key });
    cluster.propose(dice::command_id(), reset).await.map_err(|error| error.to_string())?;
    request.fulfilled().map_err(|error| format!("it was, but the request cannot be removed: {error}"))?;
    tracing::info!("the root key was reset");
    Ok(())
}
