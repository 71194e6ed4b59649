//! The group-commit writer: one task owns the one connection that writes.
//!
//! It takes the first operation, begins at once, takes all others that wait, applies them in one transaction,
//! commits, and only then answers. It never waits to fill a batch. Hints have a separate small queue that is served
//! after everything else, so a stranger can't starve a sender.

pub(crate) mod apply;
pub(crate) mod op;
pub(crate) mod queue;
mod unfinished;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::failpoint::FailPoint;
use crate::store::batch::working_set::WorkingSet;
use crate::store::derive::due;
use crate::store::error::{FailureKind, WriteError, is_about_the_file, primary_code};
use crate::store::file::lock::InstanceLock;
use crate::store::file::watch::FileWatch;
use crate::store::live::waiters::Waiters;
use crate::store::ops::due::Continue;
use crate::store::policy::Policy;
use crate::store::writer::apply::Applied;
use crate::store::writer::op::{Pending, call};
use crate::store::writer::queue::Queues;
use crate::store::writer::unfinished::Unfinished;
use crate::telemetry::Metrics;

/// The most operations in one commit.
const BATCH: usize = 256;
/// The most operations that wait for their commit. A further callback gets "busy".
const QUEUE: usize = 8_192;
/// The most hints that wait for their commit.
const HINT_QUEUE: usize = 64;
/// SQLite's code if another process held its lock for longer than the writer waits.
const SQLITE_BUSY: i32 = 5;

/// Owns the write connection. Does nothing until it is [`run`](Self::run).
#[derive(Debug)]
pub struct Writer {
    connection: SqliteConnection,
    facts: mpsc::Receiver<Box<dyn Pending>>,
    hints: mpsc::Receiver<Box<dyn Pending>>,
    stop: CancellationToken,
    rest_left: CancellationToken,
    given_up: CancellationToken,
    seq: watch::Sender<i64>,
    /// Counts the commits that changed the queue of posts.
    queue_changes: watch::Sender<u64>,
    policy: Policy,
    waiters: Waiters,
    loaded: WorkingSet,
    readers: [SqlitePool; 2],
    file_watch: FileWatch,
    waiting_since: Arc<Mutex<Option<Instant>>>,
    metrics: Arc<Metrics>,
    unfinished: Unfinished<Box<dyn Pending>>,
    /// Whether the connection's thread is gone.
    is_lost: bool,
    _lock: InstanceLock,
}

/// The signals after commits.
#[derive(Clone, Debug)]
pub(crate) struct Commits {
    /// The `seq` of the last event.
    pub(crate) seq: watch::Receiver<i64>,
    /// The number of commits that changed the queue of posts.
    pub(crate) queue_changes: watch::Receiver<u64>,
}

/// The resources that the writer takes over.
pub(crate) struct Resources {
    pub(crate) connection: SqliteConnection,
    pub(crate) lock: InstanceLock,
    /// These are closed before the file.
    pub(crate) readers: [SqlitePool; 2],
    pub(crate) file_watch: FileWatch,
}

pub(crate) fn new(
    Resources { connection, lock, readers, file_watch }: Resources,
    policy: Policy,
    waiters: Waiters,
) -> (Queues, Writer, Commits) {
    let (facts, facts_in) = mpsc::channel(QUEUE);
    let (hints, hints_in) = mpsc::channel(HINT_QUEUE);
    let (seq, seq_out) = watch::channel(0);
    let (queue_changes, queue_changes_out) = watch::channel(0);
    let commits = Commits { seq: seq_out, queue_changes: queue_changes_out };
    let [stop, rest_left, given_up] = [(); 3].map(|()| CancellationToken::new());
    let waiting_since = Arc::default();
    let queues = Queues {
        facts,
        hints,
        waiting_since: Arc::clone(&waiting_since),
        stop: stop.clone(),
        rest_left: rest_left.clone(),
        given_up: given_up.clone(),
    };
    let writer = Writer {
        connection,
        facts: facts_in,
        hints: hints_in,
        stop,
        rest_left,
        given_up,
        seq,
        queue_changes,
        policy,
        waiters,
        loaded: WorkingSet::default(),
        readers,
        file_watch,
        waiting_since,
        metrics: Arc::default(),
        unfinished: Unfinished::default(),
        is_lost: false,
        _lock: lock,
    };
    (queues, writer, commits)
}

impl Writer {
    /// Measures its commits here.
    #[must_use]
    pub fn measured_by(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Writes until `Store::close`, then writes all operations that still wait, and closes the file. Work that is due
    /// stays on disk for the next start.
    pub async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut next: Option<Box<dyn Pending>> = None;
        // A crash may have left work to do.
        self.unfinished.committed(due::is_any(&mut self.connection).await.unwrap_or(true));
        loop {
            if self.rest_left.is_cancelled() {
                let over = self.unfinished.left();
                release(over);
            }
            let first = match next.take() {
                Some(message) => Some(message),
                None if self.unfinished.next().is_some() => self.take(),
                None => tokio::select! {
                    biased;
                    message = self.facts.recv() => message,
                    message = self.hints.recv() => message,
                    () = self.stop.cancelled(), if !self.facts.is_closed() => {
                        // Operations sent before this are still received. Later ones get "stopped".
                        self.facts.close();
                        self.hints.close();
                        continue;
                    }
                },
            };
            batch.extend(first);
            while batch.len() < BATCH && next.is_none() {
                match self.take() {
                    Some(message) if message.reads_states() && !batch.is_empty() => next = Some(message),
                    Some(message) => batch.push(message),
                    None => break,
                }
            }
            if batch.is_empty() && self.unfinished.next().is_none() {
                break;
            }
            let oldest = batch.iter().map(|message| message.asked()).min();
            *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
            let was_locked = !batch.is_empty() && self.write(&mut batch).await;
            *self.waiting_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if was_locked {
                // Each batch waits for the lock again. Otherwise, new operations would wait for all earlier batches.
                batch.extend(next.take());
                while let Some(message) = self.take() {
                    batch.push(message);
                }
                fail(&mut batch, WriteError::Failed(FailureKind::Locked));
            }
            self.go_on().await;
            if self.is_lost {
                // Nothing can be written any more without the connection, so the service ends.
                return;
            }
        }
        for readers in &self.readers {
            readers.close().await;
        }
        if !self.file_watch.has_database() {
            // Closing would copy the log into the file that is there now, and delete the log.
            std::mem::forget(self.connection);
            return;
        }
        // The last connection to close copies the log into the database and deletes it.
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
    }

    /// Takes a waiting operation, if there is one. Hints come last.
    fn take(&mut self) -> Option<Box<dyn Pending>> {
        self.facts.try_recv().or_else(|_| self.hints.try_recv()).ok()
    }

    /// Does a part of the work that earlier commits have left. Waiting operations come in between.
    async fn go_on(&mut self) {
        let Some(front) = self.unfinished.next() else { return };
        let over = if self.given_up.is_cancelled() {
            // The store writes nothing any more.
            self.unfinished.failed(true)
        } else {
            let (step, mut reply) = call(Continue(front));
            let mut batch = vec![step];
            match self.commit(&mut batch).await {
                Ok(_) => {
                    batch.into_iter().for_each(Pending::answer);
                    self.unfinished.stepped(matches!(reply.try_recv(), Ok(Ok(true))))
                }
                Err(error) => {
                    tracing::error!(%error, "could not finish the work that an earlier commit left");
                    self.unfinished.failed(is_about_the_file(&error))
                }
            }
        };
        release(over);
    }

    /// Writes and answers. Returns whether another process held the lock for too long.
    async fn write(&mut self, batch: &mut Vec<Box<dyn Pending>>) -> bool {
        FailPoint::BatchTaken.pass();
        if self.given_up.is_cancelled() {
            fail(batch, WriteError::Failed(FailureKind::Gone));
            return false;
        }
        match self.commit(batch).await {
            Ok(done) => batch.drain(..).for_each(|op| self.answer(op, done.has_due)),
            // One bad operation must not fail its neighbours, so each gets a separate transaction.
            Err(error) if batch.len() > 1 && !is_about_the_file(&error) => {
                tracing::warn!(%error, operations = batch.len(), "a batch failed, writing its operations one by one");
                for op in batch.drain(..) {
                    let mut alone = [op];
                    let result = self.commit(&mut alone).await;
                    let [op] = alone;
                    match result {
                        Ok(done) => self.answer(op, done.has_due),
                        Err(error) => op.fail(failed(error)),
                    }
                }
            }
            Err(error) => {
                let was_locked = primary_code(&error) == Some(SQLITE_BUSY);
                fail(batch, failed(error));
                return was_locked;
            }
        }
        false
    }

    /// Answers an operation that is on disk, unless its caller also waits for the rest of the work.
    fn answer(&mut self, op: Box<dyn Pending>, has_due: bool) {
        if has_due && op.waits_for_the_rest() {
            self.unfinished.hold(op);
        } else {
            op.answer();
        }
    }

    async fn commit(&mut self, ops: &mut [Box<dyn Pending>]) -> Result<Applied, sqlx::Error> {
        let began = Instant::now();
        let applied = match apply::commit(&mut self.connection, ops, self.policy, &mut self.loaded).await {
            Ok(applied) => applied,
            Err(error) => {
                self.metrics.commit_failed();
                self.loaded.clear();
                // If SQLite has rolled back automatically, this fails and does no harm.
                let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
                self.is_lost = matches!(error, sqlx::Error::WorkerCrashed);
                return Err(error);
            }
        };
        self.metrics.committed(ops.len(), began.elapsed());
        for (kind, source) in &applied.facts {
            self.metrics.fact(kind.as_str(), source.as_str());
        }
        // A commit without an event can still give a worker something to do, such as a poll.
        if applied.wakes_workers || applied.last_seq.is_some() {
            self.seq.send_modify(|seq| *seq = applied.last_seq.unwrap_or(*seq));
        }
        if applied.changes_queue {
            self.queue_changes.send_modify(|changes| *changes += 1);
        }
        self.waiters.wake(&applied.settled);
        self.unfinished.committed(applied.has_due);
        Ok(applied)
    }
}

fn fail(batch: &mut Vec<Box<dyn Pending>>, error: WriteError) {
    batch.drain(..).for_each(|op| op.fail(error));
}

/// Answers callers that have waited for the rest of their decision.
fn release(over: Vec<Box<dyn Pending>>) {
    over.into_iter().for_each(Pending::answer);
}

fn failed(error: sqlx::Error) -> WriteError {
    tracing::error!(%error, "a commit failed");
    WriteError::Failed(FailureKind::of(&error))
}
