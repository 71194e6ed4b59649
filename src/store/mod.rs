//! The store: all SQL, one SQLite file, one writer, a pool of readers.
//!
//! What is written goes through [`Writer`], which commits in groups; a call returns once its operation is
//! on disk. What is read goes through connections that can't write. Must never know of HTTP or upstream.

mod batch;
mod column;
mod derive;
mod error;
mod file;
mod jobs;
mod live;
mod ops;
mod policy;
mod read;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use batch::received::{AcceptedCallback, ReceivedCallback, ReceivedHint};
pub use error::{FailureKind, ReadError, WriteError};
pub use file::backup::{CopyPaths, LastBackup, backup, copy, is_copy, restore};
pub use file::disk::{LITTLE_ROOM, folder, free_room, prove_writable};
pub use file::error::{BackupError, OpenError, with_causes};
pub use file::exposure::{Exposed, Listed, exposed, files_of, list, warn_of_exposed};
pub use file::inspect::{Inspected, inspect_database};
pub use file::open::Binding;
pub use live::feed::Follower;
pub use live::waiters::{Awaited, Waiting};
pub use ops::adopts::{Conflict, Decided};
pub use ops::decisions::Decision;
pub use ops::forming::NextRequest;
pub use ops::hints::Found;
pub use ops::job_patches::{JobPatch, JobPatched};
pub use ops::job_retries::JobRetried;
pub use ops::jobs::{CreatedJob, IdempotencyKey, NewJob};
pub use ops::pauses::{FirstProbe, NewPause};
pub use ops::polled::{PollEnd, PolledEntry};
pub use ops::retention::Pass;
pub use ops::submits::SubmitEnd;
pub use policy::Policy;
pub use read::Readers;
pub use read::callbacks::CallbackPage;
pub use read::due::DuePoll;
pub use read::estimates::{Pacing, QueueDestination, QueueGroup, QueueStatus};
pub use read::events::EventFilter;
pub use read::hints::Look;
pub use read::jobs::JobFilter;
pub use read::queue::{NextTurn, Request, Search, Turn};
pub use read::status::{Count, Counts, LastError, Overview, Tally};
pub use read::tasks::TaskFilter;
pub use read::videos::VideoFilter;
pub use writer::Writer;
pub use writer::queue::Backlog;

use self::file::open::Opened;
use self::live::feed::Feed;
use self::live::waiters::Waiters;
use self::ops::callbacks::ReceiveCallback;
use self::ops::hints::StoreLookup;
use self::ops::ownership::AcceptCallback;
use self::ops::pauses::{LiftPause, SetPause};
use self::ops::polled::EndedPoll;
use self::ops::problems::RecordProblems;
use self::ops::proof::Prove;
use self::ops::retention::Prune;
use self::ops::silence::{ClockSetBack, ClockSetForward, Sweep};
use self::ops::submits::{CloseOpenSubmits, EndSubmit};
use self::writer::queue::Queues;
use self::writer::{Commits, Resources};
use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::problem::{OpenProblem, ProblemKey};
use crate::domain::time::Timestamp;

/// Most tasks that one batch marks as silent.
const SWEEP: i64 = 64;

/// A handle to the open store; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    readers: Readers,
    worker_readers: Readers,
    queues: Queues,
    commits: Commits,
    callback_secret: Arc<str>,
    file_watch: file::watch::FileWatch,
    waiters: Waiters,
    feed: Arc<Feed>,
}

impl Store {
    /// Opens the file at `path`, creating it with mode 0600 and migrating it. `path` may be a symbolic link to the
    /// database. The caller runs the [`Writer`].
    ///
    /// # Errors
    /// [`OpenError`] says why the file can't be used; a file that is refused is left as it was.
    pub async fn open(
        path: &Path,
        binding: Binding<'_>,
        policy: Policy,
        now: Timestamp,
    ) -> Result<(Self, Writer), OpenError> {
        file::path::check_path(path)?;
        let mut lock = file::lock::InstanceLock::take(path)?;
        let Opened { writer, readers, worker_readers, callback_secret } =
            file::open::open(&mut lock, binding, now).await?;
        let callback_secret = callback_secret.into();
        let file_watch = file::watch::FileWatch::new(lock.path());
        let pools = [readers.clone(), worker_readers.clone()];
        let waiters = Waiters::default();
        let (queues, writer, commits) = writer::new(
            Resources { connection: writer, lock, readers: pools, file_watch: file_watch.clone() },
            policy,
            waiters.clone(),
        );
        let [readers, worker_readers] = [readers, worker_readers].map(|pool| Readers::new(pool, policy));
        let feed = Arc::default();
        let store =
            Self { readers, worker_readers, queues, commits, callback_secret, file_watch, waiters, feed };
        Ok((store, writer))
    }

    /// The same store with readers of its own, which slow questions of clients can't use up.
    #[must_use]
    pub fn for_workers(&self) -> Self {
        Self { readers: self.worker_readers.clone(), ..self.clone() }
    }

    /// Asks the file, which this can't change.
    pub const fn read(&self) -> &Readers {
        &self.readers
    }

    /// Takes a place among those who wait for this.
    pub fn wait_for(&self, awaited: Awaited) -> Waiting {
        self.waiters.wait_for(awaited)
    }

    /// Follows the events after `filter.after`, from the file as far as they are not in memory.
    pub fn follow(&self, filter: EventFilter) -> Follower {
        self.feed.follow(&self.readers, filter)
    }

    /// Keeps the newest events in memory as long as somebody follows, until `stop`.
    pub async fn feed(&self, stop: CancellationToken) {
        self.feed.run(&self.readers, self.committed(), stop).await;
    }

    /// Returns once the file or its log was deleted, replaced or emptied underneath. From then on nothing is
    /// written any more: it would be lost.
    pub async fn file_gone(&self) {
        let file = self.file_watch.watch().await;
        self.queues.give_up();
        tracing::error!(file = %file.display(), "the database was deleted, replaced or emptied while in use");
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
        self.commits.seq.clone()
    }

    /// Counts the commits that changed the queue of posts or a pause; wakes whoever sends.
    pub fn queue_changes(&self) -> watch::Receiver<u64> {
        self.commits.queue_changes.clone()
    }

    /// Keeps a callback with a good token, and what it states.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing of it is on disk, or nobody knows.
    pub async fn receive_callback(&self, callback: ReceivedCallback) -> Result<(), WriteError> {
        self.queues.fact(ReceiveCallback(Arc::new(callback))).await
    }

    /// Keeps a callback without a good token in the quarantine.
    ///
    /// # Errors
    /// [`WriteError`], soon where strangers send much.
    pub async fn receive_hint(&self, hint: ReceivedHint) -> Result<(), WriteError> {
        self.queues.hint(hint).await
    }

    /// Keeps a callback without a token that counts all the same.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing of it is on disk, or nobody knows.
    pub async fn accept_callback(&self, callback: AcceptedCallback) -> Result<(), WriteError> {
        self.queues.fact(AcceptCallback(callback)).await
    }

    /// Stores the answer to a lookup of a `taskId` that no task has. Gives whether it found its task.
    ///
    /// # Errors
    /// [`WriteError`]: then it will be asked again.
    pub async fn store_lookup(
        &self,
        upstream_id: String,
        found: Found,
        at: Timestamp,
    ) -> Result<bool, WriteError> {
        self.queues.wait(StoreLookup { upstream_id, found, at }).await
    }

    /// Forms the next request and writes its submit; none if nothing has to be sent any more.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing must be sent.
    pub async fn form(&self, next: NextRequest) -> Result<Option<Request>, WriteError> {
        self.queues.wait(next).await
    }

    /// Writes down how a submit ended.
    ///
    /// # Errors
    /// [`WriteError`]: the submit stays open, and counts as unknown from the next start on.
    pub async fn end_submit(&self, task: TaskId, at: Timestamp, end: SubmitEnd) -> Result<(), WriteError> {
        self.queues.wait(EndSubmit { task, at, end }).await
    }

    /// Turns submits that were on their way when the process died into unknown ones.
    ///
    /// # Errors
    /// [`WriteError`]: then nothing may be sent.
    pub async fn close_open_submits(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(CloseOpenSubmits { at }).await
    }

    /// Writes down what a poll that was asked at `asked_at` brought; `poll` as [`Readers::next_poll`] gave it.
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
        self.queues.wait(EndedPoll { poll, asked_at, at, end }).await
    }

    /// Marks tasks that were silent for too long.
    ///
    /// One that can't be read fails its whole batch: then they are marked one by one, and that one is left for the
    /// next sweep.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn sweep(&self, at: Timestamp) -> Result<(), WriteError> {
        let mut skip = 0;
        loop {
            match self.queues.wait(Sweep { at, skip, most: SWEEP }).await {
                Ok(true) => continue,
                Err(error) if error.is_about_a_record() => {}
                result => return result.map(drop),
            }
            for _ in 0..SWEEP {
                match self.queues.wait(Sweep { at, skip, most: 1 }).await {
                    Ok(true) => {}
                    Err(error) if error.is_about_a_record() => skip += 1,
                    result => return result.map(drop),
                }
            }
        }
    }

    /// Removes bodies and events of what settled before this time, one step of a pass; none at its end.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn prune(&self, before: Timestamp, pass: Pass) -> Result<Option<Pass>, WriteError> {
        self.queues.wait(Prune { before, pass }).await
    }

    /// Keeps the time that a clock was set forward by from counting as silence of the tasks that wait.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn clock_set_forward(&self, by: Duration, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(ClockSetForward { by, at }).await
    }

    /// Begins silences anew that began later than now.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn clock_set_back(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(ClockSetBack { at }).await
    }

    /// Stops sending, or moves the next probe of a scope that is stopped already.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn pause(&self, pause: NewPause, source: Source, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(SetPause { pause, source, at }).await
    }

    /// Lets a scope be sent to again.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn resume(&self, scope: String, source: Source, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(LiftPause { scope, source, at }).await.map(drop)
    }

    /// Announces problems that have begun, and the end of others.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn record_problems(
        &self,
        opened: Vec<OpenProblem>,
        closed: Vec<ProblemKey>,
        at: Timestamp,
    ) -> Result<(), WriteError> {
        self.queues.wait(RecordProblems { opened, closed, at }).await
    }

    /// Commits something of no meaning, to prove that commits work.
    ///
    /// # Errors
    /// [`WriteError`]: they don't.
    pub async fn prove(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.fact(Prove { at }).await
    }

    /// Returns once the writer has answered, also where it can't write or has stopped.
    pub async fn writer_answers(&self, at: Timestamp) {
        let _ = self.queues.wait(Prove { at }).await;
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
