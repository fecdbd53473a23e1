//! The wish for another root API key: `curfew api-keys reset-root` leaves it in the data directory, the node that runs there takes it up.
//!
//! Whoever can write to the data directory may reset the root key; nobody else can. The file holds only a hash, so that it is no secret that
//! could be used, but it is kept as one.

use super::secrets::{Secret, SecretFileError, keep_secret_again, read_secret};
use crate::domain::KeyHash;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// The file of the wish, in the data directory.
pub const RESET_ROOT_FILE: &str = "reset-root";

/// A wish for another root API key, in a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResetRootRequest {
    path: PathBuf,
    /// The hash of the new key.
    pub key: KeyHash,
}

impl ResetRootRequest {
    /// Leaves a wish, in the place of an earlier one; durable when this returns.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn leave(data_dir: &Path, key: KeyHash) -> io::Result<Self> {
        let path = data_dir.join(RESET_ROOT_FILE);
        let hex = key.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        keep_secret_again(&path, &Secret::new(hex))?;
        Ok(Self { path, key })
    }

    /// The wish that was left, if there is one.
    ///
    /// # Errors
    /// The file is there and is not what [`Self::leave`] writes, or others could have written it.
    pub fn find(data_dir: &Path) -> io::Result<Option<Self>> {
        let path = data_dir.join(RESET_ROOT_FILE);
        let text = match read_secret(&path) {
            Ok(text) => text,
            Err(SecretFileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(SecretFileError::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        };
        let key = parse(text.reveal().trim()).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "is not the hash of a key"))?;
        Ok(Some(Self { path, key }))
    }

    /// Whether the wish is still there: the node that has fulfilled it takes it away.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.path.exists()
    }

    /// Takes the wish away once the cluster has acknowledged the new key.
    ///
    /// # Errors
    /// The file cannot be removed; that it is gone already is none.
    pub fn fulfilled(self) -> io::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn parse(hex: &str) -> Option<KeyHash> {
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(KeyHash(hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_found_as_it_was_left_until_it_is_fulfilled() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ResetRootRequest::find(dir.path()).unwrap(), None);
        ResetRootRequest::leave(dir.path(), KeyHash([1; 32])).unwrap();
        let left = ResetRootRequest::leave(dir.path(), KeyHash(std::array::from_fn(|n| n as u8 * 8))).unwrap();
        let found = ResetRootRequest::find(dir.path()).unwrap().unwrap();
        assert_eq!(found, left);
        assert!(left.is_pending());
        found.fulfilled().unwrap();
        assert!(!left.is_pending());
        left.fulfilled().unwrap();
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for wrong in ["", "00", &"g".repeat(64), &"+1".repeat(32)] {
            keep_secret_again(&dir.path().join(RESET_ROOT_FILE), &Secret::new(wrong.to_owned())).unwrap();
            assert_eq!(ResetRootRequest::find(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData, "{wrong:?}");
        }
    }
}
