//! The store: all SQL, one SQLite file, one writer, a pool of readers.
//!
//! What is written goes through [`Writer`], which commits in groups; a call returns once its operation is
//! on disk. What is read goes through connections that can't write. Must never know of HTTP or upstream.

mod backup;
mod batch;
mod callbacks;
mod carriers;
mod changes;
mod column;
mod decisions;
mod disk;
mod due;
mod events;
mod exposure;
mod facts;
mod feed;
mod followers;
mod forms;
mod guard;
mod inspect;
mod job_urls;
mod jobs;
mod ledger;
mod lock;
mod migrate;
mod op;
mod open;
mod ownership;
mod part;
mod pauses;
#[cfg(test)]
mod plans;
mod polls;
mod private;
mod quarantine;
mod retention;
mod settle;
mod settlements;
mod silence;
mod status;
mod submits;
mod tasks;
mod trouble;
mod turns;
mod unfinished;
mod videos;
mod working_set;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqlitePool;
use thiserror::Error;
use tokio::sync::watch;

pub use backup::{BackupError, LastBackup, backup, copy, is_copy, restore, with_causes};
pub use callbacks::CallbackPage;
pub use disk::{LITTLE_ROOM, folder, free_room, prove_writable};
pub use events::EventFilter;
pub use exposure::{Exposed, Listed, exposed, files_of, list, warn_of_exposed};
pub use feed::Follower;
pub use inspect::{Inspected, inspect_database};
pub use jobs::JobFilter;
pub use op::{
    AcceptedCallback, CreatedJob, Decision, IdempotencyKey, NewJob, NewPause, PollEnd, PolledVideo,
    ReceivedCallback, ReceivedHint, SubmitEnd,
};
pub use open::OpenError;
pub use pauses::Pause;
pub use polls::DuePoll;
pub use quarantine::{Found, Look};
pub use retention::Pass;
pub use settlements::{Awaited, Waiting};
pub use status::{Count, Counts, LastError, Overview, Tally};
pub use submits::QueuedTask;
pub use tasks::TaskFilter;
pub use trouble::Trouble;
pub use videos::VideoFilter;
pub use writer::{Backlog, WriteError, Writer};

use self::op::Effect;
use self::open::Opened;
use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::time::Timestamp;

/// What the store has to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a task may be silent before it is polled.
    pub poll_after: Duration,
    /// Most URLs of one task.
    pub urls_per_task: usize,
    /// First probe of a paused account.
    pub probe_after: Duration,
    /// How far apart two polls must be that prove that there are no more videos.
    pub settle_after: Duration,
    /// How long a task may be silent before its job stops waiting for it.
    pub deadline: Duration,
    /// A hint has its task polled at most once in this time.
    pub hint_interval: Duration,
}

/// A reading failed; the cause is for the log, never for a client.
#[derive(Debug, Error)]
#[error("the database can't be read: {0}")]
pub struct ReadError(#[from] sqlx::Error);

impl ReadError {
    /// Whether no reader was free within five seconds. Nothing was read, so it can be asked again.
    pub const fn is_busy(&self) -> bool {
        matches!(self.0, sqlx::Error::PoolTimedOut)
    }

    /// Whether the file itself can be read, and a stored row makes no sense. To ask again does not help.
    pub fn is_about_a_row(&self) -> bool {
        column::is_unreadable(&self.0)
    }
}

/// A handle to the open store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    readers: SqlitePool,
    worker_readers: SqlitePool,
    queues: writer::Queues,
    seq: watch::Receiver<i64>,
    callback_secret: Arc<str>,
    policy: Policy,
    guard: guard::Guard,
    settlements: settlements::Settlements,
    feed: Arc<feed::Feed>,
}

impl Store {
    /// Opens the file at `path`, creating it with mode 0600 and migrating it. `path` may be a symbolic link to the
    /// database. The caller runs the [`Writer`].
    ///
    /// # Errors
    /// [`OpenError`] says why the file can't be used; a file that is refused is left as it was.
    pub async fn open(
        path: &Path,
        upstream: &str,
        accept_change: bool,
        policy: Policy,
        now: Timestamp,
    ) -> Result<(Self, Writer), OpenError> {
        open::check_path(path)?;
        let mut lock = lock::InstanceLock::take(path)?;
        let Opened { writer, readers, worker_readers, callback_secret } =
            open::open(&mut lock, upstream, accept_change, now).await?;
        let callback_secret = callback_secret.into();
        let guard = guard::Guard::new(lock.path());
        let pools = [readers.clone(), worker_readers.clone()];
        let settlements = settlements::Settlements::default();
        let (queues, writer, seq) =
            writer::new(writer, lock, pools, guard.clone(), policy, settlements.clone());
        let feed = Arc::default();
        let store =
            Self { readers, worker_readers, queues, seq, callback_secret, policy, guard, settlements, feed };
        Ok((store, writer))
    }

    /// The same store with readers of its own, which slow questions of clients can't use up.
    #[must_use]
    pub fn for_workers(&self) -> Self {
        Self { readers: self.worker_readers.clone(), ..self.clone() }
    }

    /// Returns once the file or its log was deleted, replaced or emptied underneath. From then on nothing is
    /// written any more: it would be lost.
    pub async fn file_gone(&self) {
        let file = self.guard.watch().await;
        self.queues.give_up();
        tracing::error!(file = %file.display(), "the database was deleted, replaced or emptied underneath");
    }

    /// What waits for its commit.
    pub fn backlog(&self) -> Backlog {
        self.queues.backlog()
    }

    /// The secret that this file generated for callback tokens.
    pub fn callback_secret(&self) -> &str {
        &self.callback_secret
    }

    /// The `seq` of the last committed event; wakes after every commit that made one or touched a task.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.seq.clone()
    }

    /// Takes every reader that clients have, until they are dropped.
    #[cfg(test)]
    pub(crate) async fn take_readers(&self) -> Vec<impl Send + use<>> {
        let mut taken = Vec::new();
        while taken.len() < self.readers.options().get_max_connections() as usize {
            // On a slow machine the wait may be over before a connection is open.
            taken.extend(self.readers.acquire().await.ok());
        }
        taken
    }

    /// Whether the operation took effect.
    async fn did(&self, op: op::Op) -> Result<bool, WriteError> {
        Ok(!matches!(self.queues.wait(op).await?, Effect::Nothing))
    }

    /// Keeps a callback with a good token, and what it states.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing of it is on disk, or nobody knows.
    pub async fn receive_callback(&self, callback: ReceivedCallback) -> Result<(), WriteError> {
        self.queues.fact(op::Op::Callback(callback)).await.map(|_| ())
    }

    /// Keeps a callback without a good token in the quarantine.
    ///
    /// # Errors
    /// [`WriteError`], soon where strangers send much.
    pub async fn receive_hint(&self, hint: ReceivedHint) -> Result<(), WriteError> {
        self.queues.hint(op::Op::Hint(hint)).await.map(|_| ())
    }

    /// Keeps a callback without a token that counts all the same.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing of it is on disk, or nobody knows.
    pub async fn accept_callback(&self, callback: AcceptedCallback) -> Result<(), WriteError> {
        self.queues.fact(op::Op::Accept(callback)).await.map(|_| ())
    }

    /// Writes down what upstream lists for a `taskId` that no task has; whether that found its task.
    ///
    /// # Errors
    /// [`WriteError`]: then it will be asked again.
    pub async fn looked(&self, upstream_id: String, found: Found, at: Timestamp) -> Result<bool, WriteError> {
        self.did(op::Op::Looked { upstream_id, found, at }).await
    }

    /// Takes a job with its plan; once, where it has an idempotency key.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing of it is on disk, or nobody knows.
    pub async fn create_job(&self, job: NewJob) -> Result<CreatedJob, WriteError> {
        match self.queues.fact(op::Op::CreateJob(job)).await? {
            Effect::Job(job) => Ok(*job),
            Effect::Done | Effect::Nothing | Effect::Pruned(_) => Err(WriteError::Failed(Trouble::Other)),
        }
    }

    /// Writes down that a task is about to be sent; `false` where it is no longer queued.
    ///
    /// # Errors
    /// [`WriteError`]: then it must not be sent.
    pub async fn begin_submit(&self, task: TaskId, at: Timestamp) -> Result<bool, WriteError> {
        self.did(op::Op::BeginSubmit { task, at }).await
    }

    /// Writes down how a submit ended.
    ///
    /// # Errors
    /// [`WriteError`]: the submit stays open, and counts as unknown from the next start on.
    pub async fn end_submit(&self, task: TaskId, at: Timestamp, end: SubmitEnd) -> Result<(), WriteError> {
        self.queues.wait(op::Op::EndSubmit { task, at, end }).await.map(|_| ())
    }

    /// Turns submits that were on their way when the process died into unknown ones.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing may be sent.
    pub async fn close_open_submits(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(op::Op::CloseOpenSubmits { at }).await.map(|_| ())
    }

    /// Writes down what a poll that was asked at `asked_at` brought; `poll` as [`next_poll`](Self::next_poll) gave it.
    ///
    /// # Errors
    /// [`WriteError`]: then the task will be polled again.
    pub async fn record_poll(
        &self,
        poll: DuePoll,
        asked_at: Timestamp,
        at: Timestamp,
        end: PollEnd,
    ) -> Result<(), WriteError> {
        self.queues.wait(op::Op::RecordPoll { poll, asked_at, at, end }).await.map(|_| ())
    }

    /// Does what an operator decided; `false` where that makes no sense as things are.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn decide(
        &self,
        decision: Decision,
        by: Option<String>,
        at: Timestamp,
    ) -> Result<bool, WriteError> {
        Ok(!matches!(self.queues.fact(op::Op::Decide { decision, by, at }).await?, Effect::Nothing))
    }

    /// Removes bodies and events of what settled before this time, one step of a pass; none at its end.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn prune(&self, before: Timestamp, pass: Pass) -> Result<Option<Pass>, WriteError> {
        match self.queues.wait(op::Op::Prune { before, pass }).await? {
            Effect::Pruned(pass) => Ok(Some(pass)),
            Effect::Done | Effect::Nothing | Effect::Job(_) => Ok(None),
        }
    }

    /// Keeps the time that a clock was set forward by from counting as silence of the tasks that wait.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn clock_set_forward(&self, by: Duration, at: Timestamp) -> Result<(), WriteError> {
        self.did(op::Op::ClockSetForward { by, at }).await.map(|_| ())
    }

    /// Begins silences anew that began later than now.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn clock_set_back(&self, at: Timestamp) -> Result<(), WriteError> {
        self.did(op::Op::ClockSetBack { at }).await.map(|_| ())
    }

    /// Stops sending, or moves the next probe of a scope that is stopped already.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn pause(&self, pause: NewPause, source: Source, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(op::Op::Pause { pause, source, at }).await.map(|_| ())
    }

    /// Lets a scope be sent to again.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn resume(&self, scope: String, source: Source, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(op::Op::Resume { scope, source, at }).await.map(|_| ())
    }

    /// Commits something of no meaning, to prove that commits work.
    ///
    /// # Errors
    /// [`WriteError`]: they don't.
    pub async fn prove(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.fact(op::Op::Prove { at }).await.map(|_| ())
    }

    /// Returns once the writer has answered, also where it can't write or has stopped.
    pub async fn writer_answers(&self, at: Timestamp) {
        let _ = self.queues.wait(op::Op::Prove { at }).await;
    }

    /// Begins nothing more of what is due: it is on disk and goes on at the next start. Nobody waits for it any longer.
    pub fn leave_rest(&self) {
        self.queues.leave_rest();
    }

    /// Takes nothing more; what was taken is still committed, then [`Writer::run`] returns.
    pub fn close(&self) {
        self.queues.close();
    }
}
