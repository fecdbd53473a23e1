//! The cluster secret and the root API key of this node: found, or made and kept.

use super::BootError;
use crate::config::{CLUSTER_SECRET_FILE, Config, ROOT_KEY_FILE, Secret, Secrets, keep_secret};
use crate::dice;
use crate::domain::KeyHash;
use crate::secret::{ClusterSecret, SecretRing};
use crate::tokens;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

fn fresh_text() -> String {
    URL_SAFE_NO_PAD.encode(dice::bytes::<32>())
}

/// Reads the secrets that the settings name; a node alone makes its own cluster secret.
///
/// `found` was read before anything was written.
pub(super) fn open(config: &Config, found: Secrets, data_dir: &Path) -> Result<(SecretRing, RootKey), BootError> {
    let mut texts = found.cluster;
    if texts.is_empty() {
        let made = Secret::new(fresh_text());
        let path = data_dir.join(CLUSTER_SECRET_FILE);
        keep_secret(&path, &made).map_err(|error| BootError::Secret(format!("{} cannot be written: {error}", path.display())))?;
        tracing::info!(path = %path.display(), "made a cluster secret");
        texts.push(made);
    }
    let refuse = |error: &dyn std::fmt::Display| BootError::Secret(format!("the cluster secret cannot be used: {error}"));
    let secrets = texts.iter().map(|text| ClusterSecret::from_bytes(text.reveal().as_bytes())).collect::<Result<Vec<_>, _>>();
    let ring = SecretRing::new(secrets.map_err(|error| refuse(&error))?).map_err(|error| refuse(&error))?;
    let file = config.cluster.root_key_file.clone().unwrap_or_else(|| data_dir.join(ROOT_KEY_FILE));
    let from_environment = std::env::var_os("CURFEW_ROOT_KEY").is_some();
    Ok((ring, RootKey { file, from_environment, known: Mutex::new(found.root_key), made: Mutex::new(None) }))
}

/// The root API key as far as this node has it; only the node that forms the cluster makes one.
pub(super) struct RootKey {
    file: PathBuf,
    from_environment: bool,
    known: Mutex<Option<Secret>>,
    made: Mutex<Option<Secret>>,
}

impl RootKey {
    /// The hash, when the settings or an earlier start gave a key.
    pub(super) fn hash_if_known(&self) -> Option<KeyHash> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|key| tokens::hash_key(key.reveal()))
    }

    /// The hash for the first command of a cluster; makes and keeps a key when there is none.
    pub(super) fn for_init(&self) -> Result<KeyHash, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            let key = Secret::new(format!("{}{}", tokens::API_KEY_PREFIX, fresh_text()));
            keep_secret(&self.file, &key).map_err(|error| format!("{} cannot be written: {error}", self.file.display()))?;
            *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
            *known = Some(key);
        }
        known.as_ref().map(|key| tokens::hash_key(key.reveal())).ok_or_else(|| "no root key".to_owned())
    }

    /// The key that this process made, once.
    pub(super) fn take_made(&self) -> Option<Secret> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where a shell reads the key from.
    pub(super) fn shell_source(&self) -> String {
        if self.from_environment {
            "$CURFEW_ROOT_KEY".to_owned()
        } else {
            format!("$(cat '{}')", self.file.display().to_string().replace('\'', r"'\''"))
        }
    }

    /// Where a person finds it.
    pub(super) fn place(&self) -> String {
        if self.from_environment { "environment variable CURFEW_ROOT_KEY".to_owned() } else { self.file.display().to_string() }
    }
}
