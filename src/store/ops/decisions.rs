//! An operator's decisions about tasks, jobs and sending. Each decision is an event with the operator's name.

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::outcome::Failure;
use crate::domain::pause::Pause;
use crate::domain::task::UpstreamIdSource;
use crate::domain::time::Timestamp;
use crate::store::batch::changes::NewEvent;
use crate::store::batch::operation::Operation;
use crate::store::batch::{Batch, Cause};
use crate::store::ops::adopts::{self, Conflict, Decided};
use crate::store::ops::ownership::Claim;
use crate::store::ops::pauses::{self, FirstProbe, NewPause};
use crate::store::ops::{cancels, task_retries};

/// A decision of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Poll this task before all others.
    Refresh(TaskId),
    /// Give this `taskId` to the unconfirmed task.
    Adopt(TaskId, String),
    /// Send the URLs of `task` that have no indexed video again, as the task `new`.
    Retry {
        /// The old task.
        task: TaskId,
        /// The id of the new task.
        new: TaskId,
    },
    /// Don't send this task, or stop waiting for an unconfirmed one.
    Cancel(TaskId),
    /// Send no more URLs of this job.
    CancelJob(JobId),
    /// Send nothing at all.
    Pause,
    /// Lift every pause, whatever its reason.
    Resume,
}

/// Carries out a decision, unless the present state does not allow it.
#[derive(Debug)]
pub(crate) struct Decide {
    pub(crate) decision: Decision,
    /// The name of the API key.
    pub(crate) by: Option<String>,
    pub(crate) at: Timestamp,
}

impl Operation for Decide {
    type Reply = Decided;

    const READS_STATES: bool = true;

    fn waits_for_the_rest(&self) -> bool {
        matches!(self.decision, Decision::Cancel(_) | Decision::CancelJob(_) | Decision::Retry { .. })
    }

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        decide(batch, self).await
    }
}

async fn decide(batch: &mut Batch<'_>, Decide { decision, by, at }: &Decide) -> Result<Decided, sqlx::Error> {
    let cause = Cause { at: *at, source: Source::Operator, operator: by.as_deref() };
    match decision {
        Decision::Refresh(task) => refresh(batch, *task, cause).await,
        Decision::Adopt(task, upstream_id) => {
            batch.changes.words.insert(*task, cause.words("adopted"));
            let claim = Claim { task: *task, upstream_id, by: UpstreamIdSource::Operator, at: cause.at };
            adopts::adopt(batch, &claim, Source::Operator).await
        }
        Decision::Retry { task, new } => task_retries::task(batch, *task, *new, cause).await,
        Decision::Cancel(task) => cancels::task(batch, *task, cause).await,
        Decision::CancelJob(job) => cancels::job(batch, *job, cause).await,
        Decision::Pause => {
            let failure = Failure::new(Pause::OPERATOR, cause.words("paused"));
            let pause =
                NewPause { scope: Pause::OPERATOR.to_owned(), failure, first_probe: FirstProbe::Later };
            let events = batch.changes.events.len();
            pauses::set(batch, &pause, cause).await?;
            if batch.changes.events.len() == events {
                // Sending is paused already, but the event log should still say who asked.
                batch.changes.events.push(NewEvent {
                    message: Some(cause.words("paused again")),
                    ..NewEvent::new(EventKind::SendingPaused, Source::Operator, cause.at)
                });
            }
            Ok(Decided::Done)
        }
        Decision::Resume => pauses::lift_all(batch, cause).await.map(|()| Decided::Done),
    }
}

/// Has the task polled before all others, if its `taskId` is known.
async fn refresh(batch: &mut Batch<'_>, task: TaskId, cause: Cause<'_>) -> Result<Decided, sqlx::Error> {
    let asked = sqlx::query(
        "UPDATE tasks SET news = news + 1, poll_wanted = news + 1, poll_not_before = -1, polls_in_vain = 0
         WHERE id = ?1 AND upstream_id IS NOT NULL",
    )
    .bind(task.to_string())
    .execute(&mut *batch.connection)
    .await?;
    if asked.rows_affected() == 0 {
        return Ok(Decided::Impossible(Conflict::NoUpstreamId));
    }
    batch.changes.events.push(NewEvent {
        task: Some(task),
        message: Some(cause.words("requested")),
        ..NewEvent::new(EventKind::TaskRefreshed, Source::Operator, cause.at)
    });
    batch.changes.touch(task, cause.at, Source::Operator);
    Ok(Decided::Done)
}
