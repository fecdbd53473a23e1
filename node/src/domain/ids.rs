//! Names of things: each its own type, so that one cannot be taken for another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number of a node in its cluster; chosen by the operator, never reused.
pub type NodeId = u64;

/// An index of the replicated log.
pub type LogIndex = u64;

/// Why a text is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub &'static str);

/// The prefix of every session id.
pub const SESSION_ID_PREFIX: &str = "ses_";
/// The prefix of every session token, for secret scanners.
pub const SESSION_TOKEN_PREFIX: &str = "cft_";

/// The public name of a session: 128 random bits, independent of its token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SESSION_ID_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = InvalidId("a session id is ses_ and 22 characters of base64url");
        let body = text.strip_prefix(SESSION_ID_PREFIX).ok_or_else(|| wrong.clone())?;
        decode_exact(body).map(Self).ok_or(wrong)
    }
}

/// The SHA-256 of a session token: all that is ever stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// The SHA-256 of an API key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

/// The id under which a command may be sent again without being done twice; 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct CommandId(pub [u8; 16]);

/// The random identity of one data directory: a node id names a seat, this names the disk that sits on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct StoreUuid(pub [u8; 16]);

impl fmt::Display for StoreUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StoreUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StoreUuid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = InvalidId("a store uuid is 32 hexadecimal digits in groups of 8-4-4-4-12");
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong.clone())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong.clone())?;
        }
        let uuid = Self(bytes);
        if uuid.to_string() == text.to_ascii_lowercase() { Ok(uuid) } else { Err(wrong) }
    }
}

/// The identity of a cluster: eight hexadecimal digits, drawn when it forms, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterId(pub u32);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClusterId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = InvalidId("a cluster id is eight lower-case hexadecimal digits, not all of them zero");
        cluster_digits(text).filter(|id| *id != 0).map(Self).ok_or(wrong)
    }
}

/// Where one stands in the replicated log of one cluster: `7f3ac210.4711`; opaque to clients.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// The cluster whose log is meant.
    pub cluster: ClusterId,
    /// The index in it.
    pub index: LogIndex,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.cluster, self.index)
    }
}

impl FromStr for Position {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let wrong = InvalidId("a position is a cluster id, a dot and a decimal log index, as in 7f3ac210.4711");
        let (cluster, index) = text.split_once('.').ok_or_else(|| wrong.clone())?;
        let canonical = index == "0" || (!index.starts_with('0') && index.bytes().all(|b| b.is_ascii_digit()));
        if !canonical {
            return Err(wrong);
        }
        // No cluster is called zero: such a position is another cluster's, which is no mistake of whoever brings it.
        let cluster = cluster_digits(cluster).map(ClusterId).ok_or_else(|| wrong.clone())?;
        Ok(Self { cluster, index: index.parse().map_err(|_| wrong)? })
    }
}

/// Eight lower-case hexadecimal digits.
fn cluster_digits(text: &str) -> Option<u32> {
    let well_formed = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if well_formed { u32::from_str_radix(text, 16).ok() } else { None }
}

/// Decodes base64url without padding into exactly `N` bytes; `None` for anything else, non-canonical trailing bits included.
#[must_use]
pub fn decode_exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back_as_they_were_written(session: [u8; 16], store: [u8; 16], cluster in 1u32.., index: u64) {
            prop_assert_eq!(SessionId(session).to_string().parse(), Ok(SessionId(session)));
            prop_assert_eq!(StoreUuid(store).to_string().parse(), Ok(StoreUuid(store)));
            let position = Position { cluster: ClusterId(cluster), index };
            prop_assert_eq!(position.to_string().parse(), Ok(position));
        }

        #[test]
        fn no_text_makes_parsing_panic(text in ".*") {
            let _ = text.parse::<SessionId>();
            let _ = text.parse::<StoreUuid>();
            let _ = text.parse::<Position>();
        }
    }

    #[test]
    fn one_id_has_one_spelling() {
        for wrong in ["", "7f3ac210", "7f3ac210.", "7f3ac210.01", "7F3AC210.1", "7f3ac210.+1", "7f3ac210.1 "] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong:?} was taken for a position");
        }
        assert!("00000000".parse::<ClusterId>().is_err(), "no cluster is called zero");
        assert_eq!("00000000.1".parse(), Ok(Position { cluster: ClusterId(0), index: 1 }), "a position of another cluster");
        // The last character of 16 bytes in base64url carries four unused bits; they must be zero.
        assert!("ses_AAAAAAAAAAAAAAAAAAAAAB".parse::<SessionId>().is_err());
    }
}
