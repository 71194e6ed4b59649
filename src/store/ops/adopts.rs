//! Adopting: a task whose submit was not answered gets its `taskId` from the operator or from a poll.

use crate::domain::event::{EventKind, Source};
use crate::domain::id::TaskId;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::column;
use crate::store::ops::ownership::{self, Claim};
use crate::store::ops::taken_in;

/// What became of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It was done.
    Done,
    /// It makes no sense as things are.
    Nothing,
    /// This task holds the `taskId`.
    HeldBy(TaskId),
}

impl Decided {
    /// Whether it was done.
    pub(crate) const fn of(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Nothing }
    }
}

/// Takes this `taskId` for that of a task whose submit was not answered, unless the task has one on evidence as good or
/// another task holds it.
pub(crate) async fn adopt(
    batch: &mut Batch<'_>,
    claim: &Claim<'_>,
    source: Source,
) -> Result<Decided, sqlx::Error> {
    let before: Option<Option<String>> = sqlx::query_scalar(
        "SELECT upstream_id FROM tasks
         WHERE id = ?1 AND (upstream_id IS NULL OR upstream_id_source IN (SELECT value FROM json_each(?2)))
           AND state NOT IN ('queued', 'submitting')
           AND EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id AND outcome = 'unknown')",
    )
    .bind(claim.task.to_string())
    .bind(ownership::weaker_than(claim.by))
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some(before) = before else { return Ok(Decided::Nothing) };
    if let Some(holder) = holder(batch, claim).await? {
        return Ok(Decided::HeldBy(holder));
    }
    ownership::release(batch, claim, source).await?;
    ownership::hold(batch, claim).await?;
    ownership::begin_polling_again(batch.connection, claim.task, claim.at).await?;
    taken_in::take_in(batch, claim.task, claim.upstream_id, claim.at).await?;
    if before.is_some() {
        // It was accepted before: this is another word for it.
        batch.changes.events.push(NewEvent {
            task: Some(claim.task),
            message: batch.changes.words.get(&claim.task).cloned(),
            ..NewEvent::new(EventKind::TaskAccepted, source, claim.at)
        });
    }
    batch.changes.touch(claim.task, claim.at, source);
    Ok(Decided::Done)
}

/// Another task that has this `taskId` on evidence as good.
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
