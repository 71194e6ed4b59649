//! Workers: each is a public `step`, and all share one loop. They must never know each other.

mod announcer;
mod aside;
mod backups;
mod dispatcher;
mod forwarder;
mod pruner;
mod reconciler;
mod tracer;

use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use announcer::Announcer;
pub use backups::{Backups, Schedule, scheduled_copies};
pub use dispatcher::{Budgets, CallbackUrls, Dispatcher};
pub use forwarder::{Forwarder, Pace};
pub use pruner::Pruner;
pub use reconciler::Reconciler;
pub use tracer::Tracer;

use crate::clock;
use crate::domain::time::Timestamp;
use crate::store::{ReadError, Store, WriteError};

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The step has done some work, and there may be more.
    Worked,
    /// There is nothing to do before this time, unless something is committed.
    WaitUntil(Timestamp),
    /// There is nothing to do, unless something is committed.
    Idle,
}

/// A step failed because of the store. The next one tries again.
#[derive(Debug, Error)]
pub enum StepError {
    /// See [`ReadError`].
    #[error(transparent)]
    Read(#[from] ReadError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A worker, which does one piece of work at a time.
pub trait Worker: Send {
    /// Does the next piece of work, if there is one at `now`.
    fn step(&mut self, now: Timestamp) -> impl Future<Output = Result<Step, StepError>> + Send;

    /// Returns once something other than a commit or the time gives the worker work. Must be cancel safe.
    fn woken(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// The commits that may give it work.
    const WAKES: Wakes = Wakes::EveryCommit;
}

/// The commits that wake a waiting worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// All commits that made an event or touched a task.
    EveryCommit,
    /// The commits that changed the queue of posts or a pause.
    QueueChanges,
}

/// The signal of the commits of one kind.
enum Commits {
    Every(watch::Receiver<i64>),
    OfQueue(watch::Receiver<u64>),
}

impl Commits {
    fn new(store: &Store, wakes: Wakes) -> Self {
        match wakes {
            Wakes::EveryCommit => Self::Every(store.committed()),
            Wakes::QueueChanges => Self::OfQueue(store.queue_changes()),
        }
    }

    fn mark_seen(&mut self) {
        match self {
            Self::Every(commits) => commits.mark_unchanged(),
            Self::OfQueue(commits) => commits.mark_unchanged(),
        }
    }

    /// Waits for such a commit. Returns `false` if the writer is gone.
    async fn changed(&mut self) -> bool {
        match self {
            Self::Every(commits) => commits.changed().await.is_ok(),
            Self::OfQueue(commits) => commits.changed().await.is_ok(),
        }
    }
}

/// The longest sleep of a worker, so that a changed clock can't make it sleep forever.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Runs steps until `stop`. A step that has begun is finished.
pub async fn run<W: Worker>(mut worker: W, store: Store, stop: CancellationToken) {
    let mut commits = Commits::new(&store, W::WAKES);
    while !stop.is_cancelled() {
        commits.mark_seen();
        let now = clock::now();
        let sleep = match worker.step(now).await {
            Ok(Step::Worked) => continue,
            Ok(Step::WaitUntil(then)) => then.since(now).min(LONGEST_SLEEP),
            Ok(Step::Idle) => LONGEST_SLEEP,
            Err(StepError::Write(WriteError::Stopped)) => return,
            Err(error) => {
                tracing::warn!(%error, "a step failed and will be tried again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(sleep) => {}
            () = worker.woken() => {}
            // The writer is gone, so there is nothing left to work for.
            is_there = commits.changed() => if !is_there { return },
        }
    }
}
