//! The way to the writer: what waits for its commit, and how its answer comes back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::batch::operation::Operation;
use crate::store::error::WriteError;
use crate::store::writer::op::{Pending, Reply, call};

/// The way to the writer.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    pub(super) facts: mpsc::Sender<Box<dyn Pending>>,
    pub(super) hints: mpsc::Sender<Box<dyn Pending>>,
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
        let waiting = |queue: &mpsc::Sender<Box<dyn Pending>>| queue.max_capacity() - queue.capacity();
        let since = *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner);
        Backlog {
            facts: waiting(&self.facts),
            hints: waiting(&self.hints),
            oldest: since.map(|since| since.elapsed()).unwrap_or_default(),
        }
    }

    /// Has an operation written. Busy at once if the queue is full.
    pub(crate) async fn fact<O: Operation>(&self, op: O) -> Result<O::Reply, WriteError> {
        Self::ask(&self.facts, op).await
    }

    /// Has a hint written. Busy at once if their queue is full.
    pub(crate) async fn hint<O: Operation>(&self, op: O) -> Result<O::Reply, WriteError> {
        Self::ask(&self.hints, op).await
    }

    /// Has an operation written, waiting for a place in the queue.
    pub(crate) async fn wait<O: Operation>(&self, op: O) -> Result<O::Reply, WriteError> {
        let (pending, reply) = call(op);
        self.facts.send(pending).await.map_err(|_| WriteError::Stopped)?;
        received(reply).await
    }

    async fn ask<O: Operation>(
        queue: &mpsc::Sender<Box<dyn Pending>>,
        op: O,
    ) -> Result<O::Reply, WriteError> {
        let (pending, reply) = call(op);
        queue.try_send(pending).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteError::Busy,
            mpsc::error::TrySendError::Closed(_) => WriteError::Stopped,
        })?;
        received(reply).await
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

async fn received<T>(reply: Reply<T>) -> Result<T, WriteError> {
    reply.await.unwrap_or(Err(WriteError::Stopped))
}
