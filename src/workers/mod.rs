//! Workers: each is a public `step`, and all share one loop. They must never know each other.

mod aside;
mod backups;
mod dispatcher;
mod pruner;
mod reconciler;
mod tracer;

use std::time::Duration;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub use backups::{Backups, scheduled_copies};
pub use dispatcher::{CallbackUrls, Dispatcher};
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
}

/// Wakes a worker at the latest after this long: a changed clock must not make it sleep for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Steps until `stop`; a step that has begun is finished.
pub async fn run(mut worker: impl Worker, store: Store, stop: CancellationToken) {
    let mut committed = store.committed();
    while !stop.is_cancelled() {
        committed.borrow_and_update();
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
            changed = committed.changed() => if changed.is_err() { return },
        }
    }
}
