//! The way to the writer: what waits for its commit, and how its answer comes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::store::error::WriteError;
use crate::store::writer::op::{Effect, Op};

#[derive(Debug)]
pub(super) struct Message {
    pub(super) op: Op,
    pub(super) asked: Instant,
    /// Hears what the operation did, after the commit.
    pub(super) reply: oneshot::Sender<Result<Effect, WriteError>>,
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    pub(super) facts: mpsc::Sender<Message>,
    pub(super) hints: mpsc::Sender<Message>,
    /// Since when the oldest operation waits; none where the writer has nothing to do.
    pub(super) waiting_since: Arc<Mutex<Option<Instant>>>,
    pub(super) stop: CancellationToken,
    /// Nothing more of what earlier commits have left is begun.
    pub(super) rest_left: CancellationToken,
    pub(super) given_up: CancellationToken,
}

/// What waits for its commit.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Operations, without those that are being written.
    pub facts: usize,
    /// Hints, likewise.
    pub hints: usize,
    /// How long the oldest has waited, those that are being written included.
    pub oldest: Duration,
}

impl Queues {
    pub(crate) fn backlog(&self) -> Backlog {
        let waiting = |queue: &mpsc::Sender<Message>| queue.max_capacity() - queue.capacity();
        let since = *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner);
        Backlog {
            facts: waiting(&self.facts),
            hints: waiting(&self.hints),
            oldest: since.map(|since| since.elapsed()).unwrap_or_default(),
        }
    }

    /// Asks for a fact to be written; busy at once where the queue is full.
    pub(crate) async fn fact(&self, op: Op) -> Result<Effect, WriteError> {
        Self::ask(&self.facts, op).await
    }

    /// Asks for a hint to be written; busy at once where their queue is full.
    pub(crate) async fn hint(&self, op: Op) -> Result<Effect, WriteError> {
        Self::ask(&self.hints, op).await
    }

    /// Asks for an operation to be written, waiting for a place in the queue.
    pub(crate) async fn wait(&self, op: Op) -> Result<Effect, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.facts
            .send(Message { op, asked: Instant::now(), reply })
            .await
            .map_err(|_| WriteError::Stopped)?;
        answer.await.unwrap_or(Err(WriteError::Stopped))
    }

    async fn ask(queue: &mpsc::Sender<Message>, op: Op) -> Result<Effect, WriteError> {
        let (reply, answer) = oneshot::channel();
        queue.try_send(Message { op, asked: Instant::now(), reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
        })?;
        answer.await.unwrap_or(Err(WriteError::Stopped))
    }

    /// From now on nothing more is begun of what earlier commits have left.
    pub(crate) fn leave_rest(&self) {
        self.rest_left.cancel();
    }

    pub(crate) fn close(&self) {
        self.leave_rest();
        self.stop.cancel();
    }

    /// From now on nothing is written, and everybody who asks hears so.
    pub(crate) fn give_up(&self) {
        self.given_up.cancel();
    }
}
