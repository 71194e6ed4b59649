//! Submits: every one written before it is sent, and what became of it.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::pause::Pause;
use crate::domain::task::{Failure, SubmitOutcome, UpstreamIdSource};
use crate::domain::time::Timestamp;
use crate::store::batch::{Batch, Cause};
use crate::store::column;
use crate::store::ops::ownership::{self, Claim};
use crate::store::ops::pauses::{self, NewPause};
use crate::store::ops::taken_in;

/// How a submit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitEnd {
    /// Upstream gave this `taskId`.
    Accepted(String),
    /// Certainly not taken; may be sent again after this long.
    Deferred(Failure, Duration),
    /// Refused for good.
    Rejected(Failure),
    /// Nobody knows whether it arrived.
    Unknown(Failure),
}

/// So many submits of unknown fate in a row stop sending.
const UNKNOWN_IN_A_ROW: u8 = 2;

/// Closes the open submit of a task.
pub(crate) async fn end(
    batch: &mut Batch<'_>,
    task: TaskId,
    at: Timestamp,
    end: &SubmitEnd,
) -> Result<(), sqlx::Error> {
    let doubtful = duplicate(batch.connection, task, end).await?;
    let end = doubtful.as_ref().unwrap_or(end);
    close(batch.connection, task, at, end).await?;
    match end {
        SubmitEnd::Accepted(upstream_id) => {
            let by = UpstreamIdSource::Submit;
            ownership::release(batch, &Claim { task, upstream_id, by, at }, Source::Submit).await?;
            ownership::hold(batch, &Claim { task, upstream_id, by, at }).await?;
            taken_in::take_in(batch, task, upstream_id, at).await?;
        }
        SubmitEnd::Deferred(_, wait) => {
            sqlx::query("UPDATE tasks SET next_attempt_at = ?2 WHERE id = ?1")
                .bind(task.to_string())
                .bind(at.after(*wait).as_millis())
                .execute(&mut *batch.connection)
                .await?;
        }
        SubmitEnd::Rejected(_) => {}
        SubmitEnd::Unknown(_) => pause_after_unknown(batch, at).await?,
    }
    batch.changes.touch(task, at, Source::Submit);
    Ok(())
}

/// Upstream's code for a request that it has taken before.
const DUPLICATE: &str = "0409";

/// A duplicate on another attempt than a task's first may mean that an earlier one was taken after all.
async fn duplicate(
    connection: &mut SqliteConnection,
    task: TaskId,
    end: &SubmitEnd,
) -> Result<Option<SubmitEnd>, sqlx::Error> {
    let SubmitEnd::Rejected(failure) = end else { return Ok(None) };
    if failure.code != DUPLICATE {
        return Ok(None);
    }
    let is_another: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM submits WHERE task_id = ?1 AND outcome IS NULL AND attempt > 1)",
    )
    .bind(task.to_string())
    .fetch_one(connection)
    .await?;
    Ok(is_another.then(|| SubmitEnd::Unknown(failure.clone())))
}

/// Too many submits of unknown fate in a row stop sending, and so does a probe that becomes one. In the same
/// commit: a crash in between would forget it.
async fn pause_after_unknown(batch: &mut Batch<'_>, at: Timestamp) -> Result<(), sqlx::Error> {
    let is_paused: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pauses WHERE scope = ?1)")
        .bind(Pause::ALL)
        .fetch_one(&mut *batch.connection)
        .await?;
    let last: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT outcome FROM submits WHERE code IS NOT 'recovered' ORDER BY number DESC LIMIT ?1",
    )
    .bind(UNKNOWN_IN_A_ROW)
    .fetch_all(&mut *batch.connection)
    .await?;
    let unknown = SubmitOutcome::Unknown.as_str();
    let in_a_row = last.iter().filter(|outcome| outcome.as_deref() == Some(unknown)).count();
    if !is_paused && in_a_row < usize::from(UNKNOWN_IN_A_ROW) {
        return Ok(());
    }
    let failure = Failure::new(
        Pause::UNCONFIRMED,
        "nobody knows whether the last submits arrived: more of them could be charged for nothing",
    );
    let pause = NewPause { scope: Pause::ALL.to_owned(), failure };
    pauses::set(batch, &pause, Cause::new(at, Source::Submit)).await
}

/// Nobody is left to hear the answers to these: they may have been charged.
pub(crate) async fn close_open(batch: &mut Batch<'_>, at: Timestamp) -> Result<(), sqlx::Error> {
    let open: Vec<String> = sqlx::query_scalar("SELECT task_id FROM submits WHERE outcome IS NULL")
        .fetch_all(&mut *batch.connection)
        .await?;
    let failure = Failure::new(
        "interrupted",
        "the service stopped before the answer came: upstream may have charged for it",
    );
    let unknown = SubmitEnd::Unknown(failure);
    for id in open {
        let task = column::parsed(("submits", "task_id", &id), &id)?;
        close(batch.connection, task, at, &unknown).await?;
        batch.changes.touch(task, at, Source::Clock);
        pause_after_unknown(batch, at).await?;
    }
    Ok(())
}

async fn close(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
    end: &SubmitEnd,
) -> Result<(), sqlx::Error> {
    let (outcome, failure) = match end {
        SubmitEnd::Accepted(_) => (SubmitOutcome::Accepted, None),
        SubmitEnd::Deferred(failure, _) => (SubmitOutcome::Deferred, Some(failure)),
        SubmitEnd::Rejected(failure) => (SubmitOutcome::Rejected, Some(failure)),
        SubmitEnd::Unknown(failure) => (SubmitOutcome::Unknown, Some(failure)),
    };
    sqlx::query(
        "UPDATE submits SET ended_at = ?2, outcome = ?3, code = ?4, message = ?5
         WHERE task_id = ?1 AND outcome IS NULL",
    )
    .bind(task.to_string())
    .bind(at.as_millis())
    .bind(outcome.as_str())
    .bind(failure.map(|failure| &failure.code))
    .bind(failure.map(|failure| &failure.message))
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE tasks SET news_at = ?2 WHERE id = ?1")
        .bind(task.to_string())
        .bind(at.as_millis())
        .execute(connection)
        .await?;
    Ok(())
}
