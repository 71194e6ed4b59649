//! Adopting: gives a task whose submit was not answered its `taskId`, from an operator or from a poll. Must never
//! overrule evidence that is as good.

use crate::domain::event::{EventKind, Source};
use crate::domain::id::TaskId;
use crate::domain::task::TaskState;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::column::{self, row};
use crate::store::ops::ownership::{self, Claim};
use crate::store::ops::taken_in;

/// The result of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// The decision was carried out.
    Done,
    /// The decision was not carried out, and nothing has changed.
    Impossible(Conflict),
}

/// The reason why the present state does not allow a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The store no longer has such a job or task.
    Missing,
    /// The task is in this state.
    InState(TaskState),
    /// The `taskId` of the task is unknown.
    NoUpstreamId,
    /// No submit of the task is unanswered.
    Answered,
    /// The task has a `taskId`, on evidence that an adopt does not overrule.
    HasUpstreamId,
    /// This other task holds the `taskId`.
    HeldBy(TaskId),
    /// The task was already retried, as this one.
    RetriedAs(TaskId),
    /// No job waits for a URL of the task that is not indexed.
    NobodyWaits,
    /// No URL of the job waits to be sent.
    NothingWaits,
}

row! {
    struct Adopting {
        state: String,
        upstream_id: Option<String>,
        is_proven: bool,
        has_unknown: bool,
    }
}

/// Gives this `taskId` to a task whose submit was not answered, unless the task has one on evidence as good or
/// another task holds it.
pub(crate) async fn adopt(
    batch: &mut Batch<'_>,
    claim: &Claim<'_>,
    source: Source,
) -> Result<Decided, sqlx::Error> {
    let row: Option<Adopting> = sqlx::query_as(
        "SELECT state, upstream_id,
           upstream_id IS NOT NULL
             AND ifnull(upstream_id_source, '') NOT IN (SELECT value FROM json_each(?2)) AS is_proven,
           EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id AND outcome = 'unknown') AS has_unknown
         FROM tasks WHERE id = ?1",
    )
    .bind(claim.task.to_string())
    .bind(ownership::weaker_than(claim.by))
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some(row) = row else { return Ok(Decided::Impossible(Conflict::Missing)) };
    let state = column::parsed(("tasks", "state", &claim.task.to_string()), &row.state)?;
    let conflict = if matches!(state, TaskState::Queued | TaskState::Submitting) {
        Some(Conflict::InState(state))
    } else if !row.has_unknown {
        Some(Conflict::Answered)
    } else if row.is_proven {
        Some(Conflict::HasUpstreamId)
    } else {
        holder(batch, claim).await?.map(Conflict::HeldBy)
    };
    if let Some(conflict) = conflict {
        return Ok(Decided::Impossible(conflict));
    }
    ownership::release(batch, claim, source).await?;
    ownership::hold(batch, claim).await?;
    ownership::begin_polling_again(batch.connection, claim.task, claim.at).await?;
    taken_in::take_in(batch, claim.task, claim.upstream_id, claim.at).await?;
    if row.upstream_id.is_some() {
        // The task was accepted before, so no other event reports the new `taskId`.
        batch.changes.events.push(NewEvent {
            task: Some(claim.task),
            message: batch.changes.words.get(&claim.task).cloned(),
            ..NewEvent::new(EventKind::TaskAccepted, source, claim.at)
        });
    }
    batch.changes.touch(claim.task, claim.at, source);
    Ok(Decided::Done)
}

/// Finds another task that has this `taskId` on evidence as good.
async fn holder(batch: &mut Batch<'_>, claim: &Claim<'_>) -> Result<Option<TaskId>, sqlx::Error> {
    let holder: Option<String> = sqlx::query_scalar(
        "SELECT id FROM tasks
         WHERE (upstream_id = ?2 OR other_id = ?2) AND id <> ?1
           AND ifnull(upstream_id_source, '') NOT IN (SELECT value FROM json_each(?3))
           AND (job_id IS NOT NULL OR EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id))
         LIMIT 1",
    )
    .bind(claim.task.to_string())
    .bind(claim.upstream_id)
    .bind(ownership::weaker_than(claim.by))
    .fetch_optional(&mut *batch.connection)
    .await?;
    holder.map(|id| column::parsed(("tasks", "id", &id), &id)).transpose()
}
