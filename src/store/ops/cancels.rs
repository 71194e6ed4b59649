//! Cancels: the unsent URLs of a job, tasks that wait, and unconfirmed tasks. Must never cancel a URL that was sent,
//! except with its unconfirmed task.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::task::{FactKind, TaskState};
use crate::domain::time::Timestamp;
use crate::store::batch::changes::{Changes, NewEvent, NewFact, Round, Touch};
use crate::store::batch::{Batch, Cause};
use crate::store::column;
use crate::store::derive::{jobs, queue};
use crate::store::ops::adopts::{Conflict, Decided};

/// The most URLs of a job that one commit cancels.
const CANCELED: i64 = 1_000;

/// The waiting URLs of a job that are to be canceled, after a position.
pub(crate) struct Cancel {
    /// The job's number.
    pub(crate) job: i64,
    /// The words for the events.
    pub(crate) words: String,
    pub(crate) after: i64,
    pub(crate) at: Timestamp,
}

/// Cancels a task that was not sent, or gives up an unconfirmed one.
pub(crate) async fn task(
    batch: &mut Batch<'_>,
    task: TaskId,
    cause: Cause<'_>,
) -> Result<Decided, sqlx::Error> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM tasks WHERE id = ?1")
        .bind(task.to_string())
        .fetch_optional(&mut *batch.connection)
        .await?;
    let Some(state) = state else { return Ok(Decided::Impossible(Conflict::Missing)) };
    let state = column::parsed(("tasks", "state", &task.to_string()), &state)?;
    if !matches!(state, TaskState::Queued | TaskState::Unconfirmed) {
        return Ok(Decided::Impossible(Conflict::InState(state)));
    }
    give_up(task, cause.words("canceled"), cause.at, &mut batch.changes);
    Ok(Decided::Done)
}

/// Cancels the URLs of a job that were not sent.
pub(crate) async fn job(batch: &mut Batch<'_>, job: JobId, cause: Cause<'_>) -> Result<Decided, sqlx::Error> {
    let number: Option<i64> = sqlx::query_scalar("SELECT number FROM jobs WHERE id = ?1")
        .bind(job.to_string())
        .fetch_optional(&mut *batch.connection)
        .await?;
    let Some(number) = number else { return Ok(Decided::Impossible(Conflict::Missing)) };
    let cancel = Cancel { job: number, words: cause.words("canceled"), after: -1, at: cause.at };
    if !waiting(batch, &cancel).await? {
        return Ok(Decided::Impossible(Conflict::NothingWaits));
    }
    batch.changes.events.push(NewEvent {
        job: Some(job),
        message: Some(cancel.words),
        ..NewEvent::new(EventKind::JobCanceled, Source::Operator, cause.at)
    });
    Ok(Decided::Done)
}

pub(crate) const WAITING: &str =
    "SELECT position, round FROM wants CROSS JOIN rounds ON rounds.number = wants.round
     WHERE wants.job = ?1 AND position > ?2 AND mark IS NULL AND rounds.state = 1 ORDER BY position LIMIT ?3";

/// Cancels the first of these URLs, and records that the rest is due. Returns `false` if there are none.
pub(crate) async fn waiting(batch: &mut Batch<'_>, cancel: &Cancel) -> Result<bool, sqlx::Error> {
    let mut found: Vec<(i64, Round)> = sqlx::query_as(WAITING)
        .bind(cancel.job)
        .bind(cancel.after)
        .bind(CANCELED + 1)
        .fetch_all(&mut *batch.connection)
        .await?;
    let is_all = i64::try_from(found.len()).unwrap_or(i64::MAX) <= CANCELED;
    found.truncate(usize::try_from(CANCELED).unwrap_or(usize::MAX));
    let touch = Touch { at: cancel.at, source: Source::Operator };
    let positions: Vec<i64> = found.iter().map(|(position, _)| *position).collect();
    let rounds: BTreeSet<Round> = found.iter().map(|(_, round)| *round).collect();
    sqlx::query("UPDATE wants SET mark = 2 WHERE job = ?1 AND position IN (SELECT value FROM json_each(?2))")
        .bind(cancel.job)
        .bind(json!(positions).to_string())
        .execute(&mut *batch.connection)
        .await?;
    queue::abandon(batch, &rounds, touch).await?;
    queue::lower(batch, &rounds, touch).await?;
    if is_all {
        sqlx::query("DELETE FROM due_cancels WHERE job = ?1")
            .bind(cancel.job)
            .execute(&mut *batch.connection)
            .await?;
        if !found.is_empty() || cancel.after >= 0 {
            jobs::recount(batch, &BTreeSet::from([cancel.job]), touch).await?;
        }
        return Ok(!found.is_empty());
    }
    batch.changes.has_due = true;
    sqlx::query(
        "INSERT INTO due_cancels (job, words, after_position, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (job) DO UPDATE SET after_position = excluded.after_position",
    )
    .bind(cancel.job)
    .bind(&cancel.words)
    .bind(positions.last())
    .bind(cancel.at.as_millis())
    .execute(&mut *batch.connection)
    .await?;
    Ok(true)
}

/// Records that no job waits for a task any longer.
pub(crate) fn give_up(task: TaskId, words: String, at: Timestamp, changes: &mut Changes) {
    changes.words.insert(task, words);
    changes.facts.push(NewFact {
        task,
        kind: FactKind::Canceled,
        video: String::new(),
        at,
        source: Source::Operator,
        failure: None,
    });
}
