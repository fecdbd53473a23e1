//! The one door to bincode: a version byte, then the value. What is persisted is a promise; golden bytes hold it.

use bincode::config::{Configuration, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the encoding; an unknown one is refused by name.
pub const VERSION: u8 = 1;

/// The most bytes that decoding one value may claim.
pub const DECODE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Nothing there.
    #[error("the record is empty")]
    Empty,
    /// Written by a version that this one does not know.
    #[error("the record has encoding version {0}; this release reads version {VERSION}")]
    Version(u8),
    /// Damaged or of another type.
    #[error("the record cannot be decoded: {0}")]
    Malformed(String),
    /// The value ends before its bytes do.
    #[error("the record has {0} bytes too many")]
    Trailing(usize),
}

type Config = Configuration<LittleEndian, Varint, bincode::config::Limit<DECODE_MAX_BYTES>>;

fn config() -> Config {
    bincode::config::standard().with_limit::<DECODE_MAX_BYTES>()
}

/// Encodes a value.
///
/// # Panics
/// When the value's `Serialize` fails, which no type that crosses the log does.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, config()).expect("types of the log serialise without failure");
    bytes
}

/// Decodes a value; all bytes must belong to it.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (version, body) = bytes.split_first().ok_or(DecodeError::Empty)?;
    if *version != VERSION {
        return Err(DecodeError::Version(*version));
    }
    let (value, read) = bincode::serde::decode_from_slice(body, config()).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if read == body.len() { Ok(value) } else { Err(DecodeError::Trailing(body.len() - read)) }
}
