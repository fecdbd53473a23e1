//! Questions to other nodes: one connection per node, many questions on it at once, answers in any order.

use super::handshake::dial;
use super::local::Local;
use super::wire::{Answered, Call, Lane, Numbered, WireError, write_queued};
use crate::codec;
use crate::domain::NodeId;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

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
        open.forget(number);
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
        open.post(number, frame)
    }

    async fn connect(&self, to: NodeId, address: &str) -> Result<Connection, WireError> {
        let frames = dial(&self.local, Some(to), address, Lane::Calls(())).await?.frames;
        Ok(Connection::over(frames))
    }
}

impl Connection {
    fn over<T: AsyncRead + AsyncWrite + Send + 'static>(frames: Framed<T, LengthDelimitedCodec>) -> Self {
        let (sink, source) = frames.split();
        let (outbox, queued) = mpsc::channel::<Bytes>(OUTBOX_MAX);
        let waiting = Waiting::default();
        let heard = Arc::new(AtomicU64::new(0));
        let (answered, count) = (waiting.clone(), heard.clone());
        tokio::spawn(async move {
            // The queue is closed when this ends: nothing is taken for sent after it.
            tokio::select! {
                _ = write_queued(sink, queued) => {}
                () = hand_out(source, &answered, &count) => {}
            }
            // Whoever still waits learns at once that no answer will come.
            answered.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Self { outbox, waiting, heard }
    }

    /// Queues a question.
    fn post(&self, number: u64, frame: Bytes) -> Result<Sent, WireError> {
        let (tell, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, tell);
        if self.outbox.try_send(frame).is_err() {
            self.forget(number);
            return Err(WireError::Refused("too many questions wait to be sent".to_owned()));
        }
        Ok(Sent { number, answer, heard: self.heard.load(Ordering::Relaxed) })
    }

    fn forget(&self, number: u64) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }
}

/// Hands each answer to who asked, until the connection ends.
async fn hand_out(mut source: impl Stream<Item = Result<BytesMut, std::io::Error>> + Unpin, waiting: &Waiting, heard: &AtomicU64) {
    while let Some(Ok(frame)) = source.next().await {
        heard.fetch_add(1, Ordering::Relaxed);
        let Ok(Numbered { number, body }) = codec::decode::<Numbered<Answered>>(&frame) else { return };
        if let Some(tell) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) {
            let _ = tell.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::SinkExt as _;

    const LARGE: usize = 1 << 20;

    fn framed(io: tokio::io::DuplexStream) -> Framed<tokio::io::DuplexStream, LengthDelimitedCodec> {
        LengthDelimitedCodec::builder().max_frame_length(2 * LARGE).new_framed(io)
    }

    /// Both nodes have more to say than the connection holds, and the other one does not listen before it has said it.
    #[tokio::test]
    async fn a_large_question_does_not_wait_for_a_large_answer_that_waits_for_it() {
        let (here, there) = tokio::io::duplex(4_096);
        let connection = Connection::over(framed(here));
        let first = connection.post(1, Bytes::from_static(b"first")).expect("room");
        let second = connection.post(2, Bytes::from(vec![0; LARGE])).expect("room");
        let answerer = async move {
            let mut there = framed(there);
            assert_eq!(there.next().await.expect("a frame").expect("whole"), "first");
            let answer = |number, code| Numbered { number, body: Answered::Transfer(Err("x".repeat(code))) };
            there.send(Bytes::from(codec::encode(&answer(1, LARGE)))).await.expect("sent");
            assert_eq!(there.next().await.expect("a frame").expect("whole").len(), LARGE);
            there.send(Bytes::from(codec::encode(&answer(2, 1)))).await.expect("sent");
        };
        let both = async { tokio::join!(answerer, first.answer, second.answer) };
        let ((), first, second) = timeout(Duration::from_secs(10), both).await.expect("nobody waits for ever");
        assert!(first.is_ok() && second.is_ok());
        assert!(connection.waiting.lock().expect("whole").is_empty());
    }

    #[tokio::test]
    async fn a_question_that_did_not_fit_is_forgotten() {
        let (here, _there) = tokio::io::duplex(64);
        let connection = Connection::over(framed(here));
        let posted: Vec<_> = (0..=OUTBOX_MAX as u64).map(|number| connection.post(number, Bytes::from_static(b"q")).is_ok()).collect();
        assert_eq!(posted.iter().filter(|ok| !**ok).count(), 1, "the last one");
        assert_eq!(connection.waiting.lock().expect("whole").len(), OUTBOX_MAX);
    }
}
