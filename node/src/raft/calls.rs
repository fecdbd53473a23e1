//! Questions to other nodes: one connection per node, many questions on it at once, answers in any order.

use super::handshake::dial;
use super::local::Local;
use super::wire::{Answered, Call, Lane, Numbered, WireError};
use crate::codec;
use crate::domain::NodeId;
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::timeout;

/// How many questions may wait to be written on one connection.
const OUTBOX_MAX: usize = 1024;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The question never left: certainly not done.
    #[error("node {0} cannot be reached: {1}")]
    NotSent(NodeId, String),
    /// It left, and no answer came: perhaps done.
    #[error("node {0} did not answer")]
    NoAnswer(NodeId),
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Answered>>>>;

struct Connection {
    outbox: mpsc::Sender<Bytes>,
    waiting: Waiting,
    /// Counts what came back, so that a silent connection can be told from a slow answer.
    heard: Arc<AtomicU64>,
}

struct Sent {
    number: u64,
    answer: oneshot::Receiver<Answered>,
    heard: u64,
}

/// The connections of this node for questions, one per node asked.
pub(crate) struct Calls {
    local: Arc<Local>,
    lines: Mutex<BTreeMap<NodeId, Arc<Line>>>,
}

struct Line {
    connection: AsyncMutex<Option<Connection>>,
    number: AtomicU64,
}

impl Line {
    /// Forgets a question; a connection on which nothing at all was heard meanwhile may be dead without a word, and is dropped.
    async fn give_up(&self, number: u64, heard: u64) {
        let mut connection = self.connection.lock().await;
        let Some(open) = connection.as_ref() else { return };
        open.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if open.heard.load(Ordering::Relaxed) == heard {
            *connection = None;
        }
    }
}

impl Calls {
    pub(crate) fn new(local: Arc<Local>) -> Self {
        Self { local, lines: Mutex::default() }
    }

    /// Asks a member, waiting at most `ms` milliseconds in all.
    ///
    /// # Errors
    /// See [`CallError`]; which of the two it is decides what a write may conclude.
    pub(crate) async fn ask(&self, to: NodeId, call: Call, ms: u64) -> Result<Answered, CallError> {
        let address = self.local.member(to).map(|member| member.peer);
        let address = address.ok_or_else(|| CallError::NotSent(to, "it is not a member".to_owned()))?;
        let line = self.line(to);
        let deadline = tokio::time::Instant::now() + Duration::from_millis(ms);
        let sent = timeout(Duration::from_millis(ms), self.send(&line, to, &address, call)).await;
        let sent = sent.map_err(|_| CallError::NotSent(to, "connecting took too long".to_owned()))?;
        let sent = sent.map_err(|error| CallError::NotSent(to, error.to_string()))?;
        match tokio::time::timeout_at(deadline, sent.answer).await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(_)) => Err(CallError::NoAnswer(to)),
            Err(_) => {
                line.give_up(sent.number, sent.heard).await;
                Err(CallError::NoAnswer(to))
            }
        }
    }

    fn line(&self, to: NodeId) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.entry(to).or_insert_with(|| Arc::new(Line { connection: AsyncMutex::new(None), number: 0.into() })).clone()
    }

    async fn send(&self, line: &Line, to: NodeId, address: &str, call: Call) -> Result<Sent, WireError> {
        let number = line.number.fetch_add(1, Ordering::Relaxed);
        let frame = Bytes::from(codec::encode(&Numbered { number, body: call }));
        let mut connection = line.connection.lock().await;
        if connection.as_ref().is_none_or(|open| open.outbox.is_closed()) {
            *connection = Some(self.connect(to, address).await?);
        }
        let open = connection.as_ref().ok_or(WireError::Closed)?;
        let (tell, answer) = oneshot::channel();
        open.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tell);
        open.outbox.try_send(frame).map_err(|_| WireError::Refused("too many questions wait to be sent".to_owned()))?;
        Ok(Sent { number, answer, heard: open.heard.load(Ordering::Relaxed) })
    }

    async fn connect(&self, to: NodeId, address: &str) -> Result<Connection, WireError> {
        let frames = dial(&self.local, Some(to), address, Lane::Calls(())).await?.frames;
        let (mut sink, mut source) = frames.split();
        let (outbox, mut queued) = mpsc::channel::<Bytes>(OUTBOX_MAX);
        let waiting = Waiting::default();
        let heard = Arc::new(AtomicU64::new(0));
        let (answered, count) = (waiting.clone(), heard.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    frame = queued.recv() => {
                        let Some(frame) = frame else { break };
                        if sink.feed(frame).await.is_err() { break }
                        while let Ok(frame) = queued.try_recv() {
                            if sink.feed(frame).await.is_err() { break }
                        }
                        if sink.flush().await.is_err() { break }
                    }
                    frame = source.next() => {
                        let Some(Ok(frame)) = frame else { break };
                        count.fetch_add(1, Ordering::Relaxed);
                        let Ok(Numbered { number, body }) = codec::decode::<Numbered<Answered>>(&frame) else { break };
                        if let Some(tell) = answered.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) {
                            let _ = tell.send(body);
                        }
                    }
                }
            }
            // Whoever still waits learns at once that no answer will come.
            queued.close();
            answered.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Ok(Connection { outbox, waiting, heard })
    }
}
