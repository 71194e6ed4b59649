//! Silence: finds tasks without news for too long. Must never send their URLs again.

use std::time::Duration;

use crate::domain::event::Source;
use crate::domain::time::{Timestamp, millis};
use crate::store::batch::Batch;
use crate::store::batch::changes::Changes;
use crate::store::batch::operation::Operation;
use crate::store::column;
use crate::store::ops::refusals;

/// Marks tasks without news for their deadline, at most `most` of them. The reply is true if there may be more.
///
/// A task that can be polled must have been polled after its deadline, because silence without a question proves
/// nothing. If upstream did not answer, jobs still stop waiting for the task, but no other task sends its URLs
/// automatically.
#[derive(Debug)]
pub(crate) struct Sweep {
    pub(crate) at: Timestamp,
    /// The number of tasks to skip at the beginning, because one of their rows can't be read.
    pub(crate) skip: i64,
    pub(crate) most: i64,
}

impl Operation for Sweep {
    type Reply = bool;

    const READS_STATES: bool = true;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        sweep(batch, self).await
    }
}

async fn sweep(batch: &mut Batch<'_>, Sweep { at, skip, most }: &Sweep) -> Result<bool, sqlx::Error> {
    let (at, most) = (*at, *most);
    let silent: Vec<String> = sqlx::query_scalar(
        "UPDATE tasks SET stalled_at = ?1 WHERE id IN (
           SELECT id FROM tasks INDEXED BY tasks_awaited
           WHERE state IN ('unconfirmed', 'accepted', 'downloaded') AND stalled_at IS NULL
             AND news_at <= ?1 - ?2 AND (upstream_id IS NULL OR polled_at >= news_at + ?2) LIMIT ?3 OFFSET ?4)
         RETURNING id",
    )
    .bind(at.as_millis())
    .bind(millis(batch.policy.deadline).min(at.as_millis()))
    .bind(most)
    .bind(skip)
    .fetch_all(&mut *batch.connection)
    .await?;
    for id in &silent {
        let task = column::parsed(("tasks", "id", id), id)?;
        tracing::warn!(%task, "no news of this task for too long, so its jobs stop waiting for it");
        batch.changes.touch(task, at, Source::Clock);
    }
    refusals::sweep(batch, at, most).await?;
    Ok(i64::try_from(silent.len()).unwrap_or(most) >= most)
}

/// Moves the starts of silences along with a clock that was set forward.
#[derive(Debug)]
pub(crate) struct ClockSetForward {
    pub(crate) by: Duration,
    pub(crate) at: Timestamp,
}

impl Operation for ClockSetForward {
    type Reply = ();

    const READS_STATES: bool = true;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        set_forward(batch, self).await
    }
}

async fn set_forward(
    batch: &mut Batch<'_>,
    ClockSetForward { by, at }: &ClockSetForward,
) -> Result<(), sqlx::Error> {
    let moved: Vec<String> = sqlx::query_scalar(
        "UPDATE tasks SET news_at = min(news_at + ?1, ?2), quiet_since = min(quiet_since + ?1, ?2)
         WHERE state IN ('unconfirmed', 'accepted', 'downloaded') AND stalled_at IS NULL RETURNING id",
    )
    .bind(millis(*by))
    .bind(at.as_millis())
    .fetch_all(&mut *batch.connection)
    .await?;
    note_moved(&moved, &mut batch.changes);
    Ok(())
}

/// Corrects all times that are later than `at`. After the clock was set back, deadlines begin again, and no poll
/// waits for the old time.
#[derive(Debug)]
pub(crate) struct ClockSetBack {
    pub(crate) at: Timestamp,
}

impl Operation for ClockSetBack {
    type Reply = ();

    const READS_STATES: bool = true;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        set_back(batch, self.at).await
    }
}

async fn set_back(batch: &mut Batch<'_>, at: Timestamp) -> Result<(), sqlx::Error> {
    let moved: Vec<String> = sqlx::query_scalar(
        "UPDATE tasks SET news_at = min(news_at, ?1), polled_at = min(polled_at, ?1),
           answered_at = min(answered_at, ?1), quiet_since = iif(quiet_since > ?1, NULL, quiet_since),
           poll_not_before = iif(polled_at > ?1, 0, poll_not_before), next_poll_at = min(next_poll_at, ?1)
         WHERE state IN ('unconfirmed', 'accepted', 'downloaded', 'stalled')
           AND max(news_at, ifnull(polled_at, 0), ifnull(answered_at, 0), ifnull(quiet_since, 0)) > ?1
         RETURNING id",
    )
    .bind(at.as_millis())
    .fetch_all(&mut *batch.connection)
    .await?;
    note_moved(&moved, &mut batch.changes);
    Ok(())
}

/// Has tasks loaded again. A task with an unreadable id was never loaded.
fn note_moved(moved: &[String], changes: &mut Changes) {
    for id in moved {
        match column::parsed(("tasks", "id", id), id) {
            Ok(task) => drop(changes.stale.insert(task)),
            Err(error) => tracing::error!(%error, "found a task with an unreadable id"),
        }
    }
}
