#![allow(missing_docs)]
use crate::command::*; use crate::domain::*; use std::sync::*;
#[derive(Default, Clone)] pub struct State;
pub struct Applied { pub outcome: Outcome, pub rows: Vec<Row>, pub events: Vec<Event> }
pub use crate::store::Row;
pub struct ClusterFacts { pub cluster_id: ClusterId }
impl State { pub fn apply(&mut self, _: LogIndex, _: Moment, _: Request)->Applied{unimplemented!()} pub fn skip(&mut self,_:LogIndex){}
 pub fn rows(&self)->impl Iterator<Item=(Vec<u8>,Vec<u8>)>{std::iter::empty()} pub fn last_at(&self)->Moment{Moment(0)} pub fn last_applied(&self)->LogIndex{0} pub fn digest(&self)->[u8;32]{[0;32]}
 pub fn policy(&self)->&Policy{unimplemented!()} pub fn cluster(&self)->Option<&ClusterFacts>{None} pub fn retired(&self,_:NodeId)->Option<StoreUuid>{None} pub fn active_sessions(&self)->u64{0} pub fn tombstones(&self)->u64{0}}
#[derive(Clone)] pub struct View(Arc<RwLock<State>>);
impl View { pub fn new(s:State)->Self{Self(Arc::new(RwLock::new(s)))} pub fn read(&self)->RwLockReadGuard<'_,State>{self.0.read().expect("x")} pub(crate) fn write(&self)->RwLockWriteGuard<'_,State>{self.0.write().expect("x")} }
pub struct Loader; impl Loader{pub fn new()->Self{Self} pub fn row(&mut self,_:&[u8],_:&[u8])->Result<(),String>{Ok(())} pub fn finish(self,_:LogIndex)->Result<State,String>{Ok(State)}}
