//! The writer's queue: carries operations to the writer and their replies back. Must never accept an operation after
//! the writer has given up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::batch::operation::Operation;
use crate::store::error::WriteError;
use crate::store::writer::op::{Pending, Reply, call};

/// The writer's queue.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    pub(super) facts: mpsc::Sender<Box<dyn Pending>>,
    pub(super) hints: mpsc::Sender<Box<dyn Pending>>,
    /// The time since which the oldest operation waits. None if the writer has nothing to do.
    pub(super) waiting_since: Arc<Mutex<Option<Instant>>>,
    pub(super) stop: CancellationToken,
    /// Set once no more work that earlier commits have left is begun.
    pub(super) rest_left: CancellationToken,
    pub(super) given_up: CancellationToken,
}

/// The operations that wait for their commit.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Operations, without those that are being written.
    pub facts: usize,
    /// Hints, without those that are being written.
    pub hints: usize,
    /// The wait of the oldest operation, including those that are being written.
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

    /// Has an operation written. Returns "busy" at once if the queue is full.
    pub(crate) async fn fact<O: Operation>(&self, op: O) -> Result<O::Reply, WriteError> {
        Self::ask(&self.facts, op).await
    }

    /// Has a hint written. Returns "busy" at once if the queue of hints is full.
    pub(crate) async fn hint<O: Operation>(&self, op: O) -> Result<O::Reply, WriteError> {
        Self::ask(&self.hints, op).await
    }

    /// Has an operation written, and waits for a place in the queue if it is full.
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

    /// Stops new steps of the work that earlier commits have left.
    pub(crate) fn leave_rest(&self) {
        self.rest_left.cancel();
    }

    pub(crate) fn close(&self) {
        self.leave_rest();
        self.stop.cancel();
    }

    /// Stops all writes. Every later call fails.
    pub(crate) fn give_up(&self) {
        self.given_up.cancel();
    }
}

async fn received<T>(reply: Reply<T>) -> Result<T, WriteError> {
    reply.await.unwrap_or(Err(WriteError::Stopped))
}
