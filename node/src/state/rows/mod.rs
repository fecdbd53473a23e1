//! The kinds of rows, one file each; together they are the replicated state, and their order here is the order of their tags.

mod cluster;
mod cutoff;
mod floor;
mod keyring;
#[allow(unreachable_pub, reason = "the macro declares what crosses the log, which is public")]
mod outcome;
mod policy;
mod retired;
mod revocation;
mod root_key;
mod session;
mod time;

pub use cluster::ClusterFacts;
pub(super) use cutoff::Cutoff;
pub(super) use floor::Floor;
pub(super) use outcome::{Answer, Remembered};
pub(super) use retired::RetiredNode;
pub(super) use root_key::RootKey;
pub(super) use time::ClusterTime;

use super::digest::Digest;
use super::load::LoadError;
use super::table::{Record, Table};
use crate::domain::{Keyring, Policy, RevocationEntry, Session};

/// Every table.
#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) cluster: Table<ClusterFacts>,
    pub(super) policy: Table<Policy>,
    pub(super) keyring: Table<Keyring>,
    pub(super) root_key: Table<RootKey>,
    pub(super) sessions: Table<Session>,
    pub(super) revocations: Table<RevocationEntry>,
    pub(super) cutoffs: Table<Cutoff>,
    pub(super) outcomes: Table<Remembered>,
    pub(super) retired: Table<RetiredNode>,
    pub(super) time: Table<ClusterTime>,
    pub(super) floor: Table<Floor>,
}

impl Tables {
    /// All rows in key order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        (self.cluster.rows())
            .chain(self.policy.rows())
            .chain(self.keyring.rows())
            .chain(self.root_key.rows())
            .chain(self.sessions.rows())
            .chain(self.revocations.rows())
            .chain(self.cutoffs.rows())
            .chain(self.outcomes.rows())
            .chain(self.retired.rows())
            .chain(self.time.rows())
            .chain(self.floor.rows())
    }

    /// Takes one row of a snapshot or a store.
    pub(super) fn load(&mut self, key: &[u8], value: &[u8], digest: &mut Digest) -> Result<(), LoadError> {
        match *key.first().ok_or(LoadError::EmptyKey)? {
            ClusterFacts::TAG => self.cluster.load(key, value, digest),
            Policy::TAG => self.policy.load(key, value, digest),
            Keyring::TAG => self.keyring.load(key, value, digest),
            RootKey::TAG => self.root_key.load(key, value, digest),
            Session::TAG => self.sessions.load(key, value, digest),
            RevocationEntry::TAG => self.revocations.load(key, value, digest),
            Cutoff::TAG => self.cutoffs.load(key, value, digest),
            Remembered::TAG => self.outcomes.load(key, value, digest),
            RetiredNode::TAG => self.retired.load(key, value, digest),
            ClusterTime::TAG => self.time.load(key, value, digest),
            Floor::TAG => self.floor.load(key, value, digest),
            unknown => Err(LoadError::UnknownTag(unknown)),
        }
    }
}
