//! Workers: each is a public `step`, and all share one loop. They must never know each other.

mod announcer;
mod aside;
mod backups;
mod dispatcher;
mod pruner;
mod reconciler;
mod tracer;

use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use announcer::Announcer;
pub use backups::{Backups, scheduled_copies};
pub use dispatcher::{Budgets, CallbackUrls, Dispatcher};
pub use pruner::Pruner;
pub use reconciler::Reconciler;
pub use tracer::Tracer;

use crate::clock;
use crate::domain::time::Timestamp;
use crate::store::{ReadError, Store, WriteError};

/// What a step found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Worked,
    /// Nothing to do before this time, unless something is committed.
    WaitUntil(Timestamp),
    /// Nothing to do, unless something is committed.
    Idle,
}

/// The store let a step down; the next one tries again.
#[derive(Debug, Error)]
pub enum StepError {
    /// See [`ReadError`].
    #[error(transparent)]
    Read(#[from] ReadError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A worker does one piece of work at a time.
pub trait Worker: Send {
    /// Does the next piece of work, if there is one at `now`.
    fn step(&mut self, now: Timestamp) -> impl Future<Output = Result<Step, StepError>> + Send;

    /// Which commits may give it something to do.
    const WAKES: Wakes = Wakes::EveryCommit;
}

/// Which commits wake a worker that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// All that made an event or touched a task.
    EveryCommit,
    /// Those that changed the queue of posts or a pause.
    QueueChanges,
}

/// Waits for the commits of a kind.
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

    /// `false` if the writer is gone.
    async fn changed(&mut self) -> bool {
        match self {
            Self::Every(commits) => commits.changed().await.is_ok(),
            Self::OfQueue(commits) => commits.changed().await.is_ok(),
        }
    }
}

/// Wakes a worker at the latest after this long: a changed clock must not make it sleep for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Steps until `stop`; a step that has begun is finished.
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
            // The writer is gone with its sender: then there is nothing to work for.
            is_there = commits.changed() => if !is_there { return },
        }
    }
}
