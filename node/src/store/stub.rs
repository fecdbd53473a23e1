#![allow(missing_docs)]
use super::*;
use crate::domain::*;
use bytes::Bytes;
use std::ops::Range;
#[derive(Clone)]
pub struct Identity;
impl Identity {
    pub fn store_uuid(&self) -> StoreUuid {
        unimplemented!()
    }
    pub fn cluster_id(&self) -> Option<ClusterId> {
        None
    }
    pub fn set_cluster_id(&self, _: ClusterId) -> std::io::Result<()> {
        Ok(())
    }
}
#[derive(Clone)]
pub struct Log;
pub struct LogBounds {
    pub last_purged: Option<LogPos>,
    pub last: Option<LogPos>,
}
impl Log {
    pub fn read(&self, _: Range<u64>) -> Result<Vec<LogEntry>, StoreError> {
        unimplemented!()
    }
    pub fn vote(&self) -> Option<Vote> {
        None
    }
    pub fn state(&self) -> LogBounds {
        unimplemented!()
    }
    pub async fn save_vote(&self, _: Vote) -> Result<(), StoreError> {
        Ok(())
    }
    pub fn save_committed(&self, _: Option<LogPos>) {}
    pub fn committed(&self) -> Option<LogPos> {
        None
    }
    pub async fn append(&self, _: Vec<LogEntry>, _: impl FnOnce(Result<(), StoreError>) + Send + 'static) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn truncate_after(&self, _: Option<LogPos>) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn purge(&self, _: LogPos) -> Result<(), StoreError> {
        Ok(())
    }
    pub fn writable(&self) -> bool {
        true
    }
}
#[derive(Clone)]
pub struct Tables;
pub struct TablesMeta {
    pub last_applied: Option<LogPos>,
    pub membership: Option<(Option<LogPos>, Bytes)>,
}
impl Tables {
    pub async fn write(&self, _: LogPos, _: Option<(LogPos, Bytes)>, _: Vec<Row>) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn sync(&self) -> Result<Option<LogPos>, StoreError> {
        Ok(None)
    }
    pub async fn replace(&self, _: SnapshotFile) -> Result<(), StoreError> {
        Ok(())
    }
    pub fn load(&self, _: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<TablesMeta, StoreError> {
        unimplemented!()
    }
}
#[derive(Clone)]
pub struct Snapshots;
#[derive(Clone)]
pub struct SnapshotFile;
impl Snapshots {
    pub fn newest(&self) -> Option<SnapshotFile> {
        None
    }
    pub fn create(&self, _: SnapshotMeta, _: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<SnapshotFile, StoreError> {
        unimplemented!()
    }
    pub fn receive(&self, _: u64, _: u64) -> Result<Receiving, StoreError> {
        unimplemented!()
    }
}
impl SnapshotFile {
    pub fn meta(&self) -> &SnapshotMeta {
        unimplemented!()
    }
    pub fn len(&self) -> u64 {
        0
    }
    pub fn read_chunk(&self, _: u64, _: usize) -> Result<Vec<u8>, StoreError> {
        unimplemented!()
    }
    pub fn rows(&self) -> Result<std::vec::IntoIter<Result<(Vec<u8>, Vec<u8>), StoreError>>, StoreError> {
        unimplemented!()
    }
}
pub struct Receiving;
impl Receiving {
    pub fn write_at(&mut self, _: u64, _: &[u8]) -> Result<(), StoreError> {
        Ok(())
    }
    pub fn finish(self) -> Result<SnapshotFile, StoreError> {
        unimplemented!()
    }
}
pub struct Opened {
    pub identity: Identity,
    pub log: Log,
    pub tables: Tables,
    pub snapshots: Snapshots,
    pub resumed: bool,
}
