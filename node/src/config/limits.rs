//! Bounds on what is read at start that nobody needs to set.

/// The largest configuration file, bytes; a larger one is refused.
pub const CONFIG_FILE_MAX_BYTES: u64 = 1024 * 1024;
/// The largest file of secrets or keys, bytes; a larger one is refused.
pub const SECRET_FILE_MAX_BYTES: u64 = 16 * 1024;
/// The shortest root API key, characters.
pub const ROOT_KEY_MIN_CHARS: usize = 32;
/// The longest root API key, characters.
pub(super) const ROOT_KEY_MAX_CHARS: usize = 512;
/// The most members that `cluster.peers` and addresses that `cluster.join` may name; more are refused.
pub const MEMBERS_MAX: usize = 9;
/// The longest issuer, bytes.
pub(super) const ISSUER_MAX_BYTES: usize = 255;
