//! The store: all SQL, one SQLite file, one writer, and a pool of readers.
//!
//! All writes go through [`Writer`], which commits in groups, and a call returns once its operation is on disk. All
//! reads go through connections that can't write. Must never know of HTTP or upstream.

mod batch;
mod column;
mod deliveries;
mod derive;
mod error;
mod file;
mod jobs;
mod live;
mod ops;
mod policy;
mod read;
mod sessions;
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
pub use ops::attempts::{AttemptEnd, EndedAttempt};
pub use ops::configured::ConfiguredSubscriber;
pub use ops::decisions::Decision;
pub use ops::deliveries::{NewDelivery, Progress};
pub use ops::forming::NextRequest;
pub use ops::hints::Found;
pub use ops::job_patches::{JobPatch, JobPatched};
pub use ops::job_retries::JobRetried;
pub use ops::jobs::{CreatedJob, IdempotencyKey, NewJob};
pub use ops::pauses::{FirstProbe, NewPause};
pub use ops::polled::{PollEnd, PolledEntry};
pub use ops::replays::ReceiverOf;
pub use ops::retention::Pass;
pub use ops::submits::SubmitEnd;
pub use ops::subscribers::SubscriberChanged;
pub use policy::Policy;
pub use read::Readers;
pub use read::callbacks::CallbackPage;
pub use read::deliveries::DueDelivery;
pub use read::due::DuePoll;
pub use read::estimates::{Pacing, QueueDestination, QueueGroup, QueueStatus};
pub use read::events::EventFilter;
pub use read::hints::Look;
pub use read::job_search::{FoundJobs, JobSearch};
pub use read::jobs::JobFilter;
pub use read::listed_deliveries::ListedOf;
pub use read::queue::{NextTurn, Request, Search, Turn};
pub use read::recipients::{EventJobs, Recipient};
pub use read::sessions::StoredSession;
pub use read::status::{Count, Counts, LastError, Overview, Tally};
pub use read::subscribers::{DisabledSubscriber, Listener, StoredSubscriber, Webhooks};
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
use crate::domain::webhook::secret::Secret;

/// The most tasks that one batch marks as silent.
const SWEEP: i64 = 64;

/// A handle to the open store. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    readers: Readers,
    worker_readers: Readers,
    queues: Queues,
    commits: Commits,
    callback_secret: Arc<str>,
    forward_secret: Secret,
    file_watch: file::watch::FileWatch,
    waiters: Waiters,
    feed: Arc<Feed>,
}

impl Store {
    /// Opens the file at `path`, creating it with mode 0600 and migrating it. `path` may be a symbolic link to the
    /// database. The caller runs the [`Writer`].
    ///
    /// # Errors
    /// [`OpenError`] says why the file can't be used. A refused file is left as it was.
    pub async fn open(
        path: &Path,
        binding: Binding<'_>,
        policy: Policy,
        now: Timestamp,
    ) -> Result<(Self, Writer), OpenError> {
        file::path::check_path(path)?;
        let mut lock = file::lock::InstanceLock::take(path)?;
        let Opened { writer, readers, worker_readers, callback_secret, forward_secret } =
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
        let store = Self {
            readers,
            worker_readers,
            queues,
            commits,
            callback_secret,
            forward_secret,
            file_watch,
            waiters,
            feed,
        };
        Ok((store, writer))
    }

    /// Returns the same store with separate readers, which slow queries of clients can't use up.
    #[must_use]
    pub fn for_workers(&self) -> Self {
        Self { readers: self.worker_readers.clone(), ..self.clone() }
    }

    /// Returns the readers, which can't change the file.
    pub const fn read(&self) -> &Readers {
        &self.readers
    }

    /// Registers to be woken once this has settled.
    pub fn wait_for(&self, awaited: Awaited) -> Waiting {
        self.waiters.wait_for(awaited)
    }

    /// Follows the events after `filter.after`. Events that are not in memory come from the file.
    pub fn follow(&self, filter: EventFilter) -> Follower {
        self.feed.follow(&self.readers, filter)
    }

    /// Keeps the newest events in memory while anybody follows, until `stop`.
    pub async fn feed(&self, stop: CancellationToken) {
        self.feed.run(&self.readers, self.committed(), stop).await;
    }

    /// Returns once the file or its log was deleted, replaced or emptied by another program. From then on the store
    /// writes nothing, because it would be lost.
    pub async fn file_gone(&self) {
        let file = self.file_watch.watch().await;
        self.queues.give_up();
        tracing::error!(file = %file.display(), "the database was deleted, replaced or emptied while in use");
    }

    /// The operations that wait for their commit.
    pub fn backlog(&self) -> Backlog {
        self.queues.backlog()
    }

    /// The secret for callback tokens that this file has generated.
    pub fn callback_secret(&self) -> &str {
        &self.callback_secret
    }

    /// The secret that this file generated for the webhooks of jobs.
    pub const fn forward_secret(&self) -> &Secret {
        &self.forward_secret
    }

    /// The `seq` of the last committed event. Wakes its receivers after every commit that made an event or touched a
    /// task.
    pub fn committed(&self) -> watch::Receiver<i64> {
        self.commits.seq.clone()
    }

    /// Counts the commits that changed the queue of posts or a pause. Wakes its receivers after each of them.
    pub fn queue_changes(&self) -> watch::Receiver<u64> {
        self.commits.queue_changes.clone()
    }

    /// Keeps a callback with a good token, and the facts that it states.
    ///
    /// # Errors
    /// [`WriteError`] means that nothing of it is on disk, or that nobody knows.
    pub async fn receive_callback(&self, callback: ReceivedCallback) -> Result<(), WriteError> {
        self.queues.fact(ReceiveCallback(Arc::new(callback))).await
    }

    /// Keeps a callback without a good token in the quarantine.
    ///
    /// # Errors
    /// [`WriteError`], early if strangers send many.
    pub async fn receive_hint(&self, hint: ReceivedHint) -> Result<(), WriteError> {
        self.queues.hint(hint).await
    }

    /// Keeps a callback without a token that the configuration accepts.
    ///
    /// # Errors
    /// [`WriteError`] means that nothing of it is on disk, or that nobody knows.
    pub async fn accept_callback(&self, callback: AcceptedCallback) -> Result<(), WriteError> {
        self.queues.fact(AcceptCallback(callback)).await
    }

    /// Stores the answer to a lookup of a `taskId` that no task has. Returns whether the lookup found its task.
    ///
    /// # Errors
    /// [`WriteError`] means that the lookup will be repeated.
    pub async fn store_lookup(
        &self,
        upstream_id: String,
        found: Found,
        at: Timestamp,
    ) -> Result<bool, WriteError> {
        self.queues.wait(StoreLookup { upstream_id, found, at }).await
    }

    /// Forms the next request and writes its submit. Returns none if nothing has to be sent any more.
    ///
    /// # Errors
    /// [`WriteError`] means that nothing may be sent.
    pub async fn form(&self, next: NextRequest) -> Result<Option<Request>, WriteError> {
        self.queues.wait(next).await
    }

    /// Records how a submit ended.
    ///
    /// # Errors
    /// [`WriteError`] means that the submit stays open, and is unconfirmed after the next start.
    pub async fn end_submit(&self, task: TaskId, at: Timestamp, end: SubmitEnd) -> Result<(), WriteError> {
        self.queues.wait(EndSubmit { task, at, end }).await
    }

    /// Marks submits that were on their way when the process died as unknown.
    ///
    /// # Errors
    /// [`WriteError`] means that nothing may be sent.
    pub async fn close_open_submits(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(CloseOpenSubmits { at }).await
    }

    /// Records the result of a poll that was sent at `asked_at`. `poll` is the one that [`Readers::next_poll`] gave.
    ///
    /// # Errors
    /// [`WriteError`] means that the task will be polled again.
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
    /// A task that can't be read fails its whole batch. The tasks are then marked one by one, and that one is left
    /// for the next sweep.
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

    /// Removes bodies and events of tasks and jobs that settled before this time, in one step of a pass. Returns none
    /// at the end of the pass.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn prune(&self, before: Timestamp, pass: Pass) -> Result<Option<Pass>, WriteError> {
        self.queues.wait(Prune { before, pass }).await
    }

    /// Excludes the time by which a clock was set forward from the silence of tasks.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn clock_set_forward(&self, by: Duration, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(ClockSetForward { by, at }).await
    }

    /// Begins all silences again that began later than `at`.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn clock_set_back(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(ClockSetBack { at }).await
    }

    /// Pauses a scope, or moves the next probe of a scope that is already paused.
    ///
    /// # Errors
    /// [`WriteError`]
    pub async fn pause(&self, pause: NewPause, source: Source, at: Timestamp) -> Result<(), WriteError> {
        self.queues.wait(SetPause { pause, source, at }).await
    }

    /// Lifts the pause of a scope.
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

    /// Commits a row without meaning, to prove that commits work.
    ///
    /// # Errors
    /// [`WriteError`] means that they fail.
    pub async fn prove(&self, at: Timestamp) -> Result<(), WriteError> {
        self.queues.fact(Prove { at }).await
    }

    /// Returns once the writer has answered, even if it can't write or has stopped.
    pub async fn writer_answers(&self, at: Timestamp) {
        let _ = self.queues.wait(Prove { at }).await;
    }

    /// Begins no more of the work that is due. It is on disk and goes on after the next start. No caller waits for it
    /// any longer.
    pub fn leave_rest(&self) {
        self.queues.leave_rest();
    }

    /// Accepts no more operations. Accepted ones are still committed, and then [`Writer::run`] returns.
    pub fn close(&self) {
        self.queues.close();
    }
}
