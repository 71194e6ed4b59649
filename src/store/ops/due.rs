//! One step of the work that is due: as many rounds, counts, canceled URLs or changed priorities as fit into a
//! commit. Must never take more than that.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::domain::id::JobId;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::Touch;
use crate::store::batch::operation::Operation;
use crate::store::column::{self, row};
use crate::store::derive::jobs;
use crate::store::ops::cancels::{self, Cancel};
use crate::store::ops::job_patches::{self, TakeOver};

/// The point at which a step begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Front {
    /// The number of unreadable entries to skip. They are left for the next start.
    pub(crate) skip: i64,
    /// Whether to take a single entry, to find the unreadable one.
    pub(crate) is_single: bool,
}

/// The most URLs of jobs, the most jobs, and the most URLs of these jobs that one step takes.
const STEP: Bounds = Bounds { wants: 4_000, jobs: 250, urls: 20_000 };

#[derive(Clone, Copy)]
struct Bounds {
    wants: i64,
    jobs: i64,
    urls: i64,
}

/// Does a part of the work that earlier commits have left. The reply is false if nothing is due, or nothing readable.
#[derive(Debug)]
pub(crate) struct Continue(pub(crate) Front);

impl Operation for Continue {
    type Reply = bool;

    const READS_STATES: bool = true;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        step(batch, self.0).await
    }
}

/// Does one step: first the rounds, then the counts of their jobs, each job once, then the cancels, which cause more
/// of both, then the priorities.
async fn step(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    if tell(batch, front).await? {
        return Ok(true);
    }
    let rounds: i64 =
        sqlx::query_scalar("SELECT count(*) FROM due_rounds").fetch_one(&mut *batch.connection).await?;
    let front = Front { skip: (front.skip - rounds).max(0), ..front };
    if count(batch, front).await? {
        return Ok(true);
    }
    let jobs: i64 =
        sqlx::query_scalar("SELECT count(*) FROM due_counts").fetch_one(&mut *batch.connection).await?;
    let front = Front { skip: (front.skip - jobs).max(0), ..front };
    if cancel(batch, front).await? {
        return Ok(true);
    }
    let cancels: i64 =
        sqlx::query_scalar("SELECT count(*) FROM due_cancels").fetch_one(&mut *batch.connection).await?;
    let front = Front { skip: (front.skip - cancels).max(0), ..front };
    take_over(batch, front).await
}

row! {
    struct DueRound {
        round: i64,
        after_job: i64,
        at: i64,
        source: String,
    }
}

pub(crate) const WANTS: &str = "SELECT job FROM wants
     WHERE round = ?1 AND job > ?2 AND mark IS NULL ORDER BY job LIMIT ?3";

/// Has all jobs counted that want a changed round.
async fn tell(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    let mut room = STEP.wants;
    let mut has_told = false;
    while room > 0 {
        let row: Option<DueRound> = sqlx::query_as(
            "SELECT round, after_job, at, source FROM due_rounds ORDER BY round LIMIT 1 OFFSET ?1",
        )
        .bind(front.skip)
        .fetch_optional(&mut *batch.connection)
        .await?;
        let Some(row) = row else { break };
        let source = column::parsed(("due_rounds", "source", &row.round.to_string()), &row.source)?;
        let touch = Touch { at: Timestamp::from_millis(row.at), source };
        let jobs: Vec<i64> = sqlx::query_scalar(WANTS)
            .bind(row.round)
            .bind(row.after_job)
            .bind(room)
            .fetch_all(&mut *batch.connection)
            .await?;
        let told = i64::try_from(jobs.len()).unwrap_or(room);
        let last = jobs.last().copied();
        // Two URLs of one job can share a round only across old canonical forms, so a job may be listed twice.
        let distinct: BTreeSet<i64> = jobs.into_iter().collect();
        jobs::defer(batch, &distinct.into_iter().collect::<Vec<_>>(), touch).await?;
        let done = if told < room {
            sqlx::query("DELETE FROM due_rounds WHERE round = ?1").bind(row.round)
        } else {
            sqlx::query("UPDATE due_rounds SET after_job = ?2 WHERE round = ?1").bind(row.round).bind(last)
        };
        done.execute(&mut *batch.connection).await?;
        room -= told.max(1);
        has_told = true;
        if front.is_single {
            break;
        }
    }
    Ok(has_told)
}

row! {
    struct CountRow {
        job: i64,
        at: i64,
        source: String,
        id: String,
        urls: i64,
    }
}

/// Counts the URLs of jobs by their state.
async fn count(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    let rows: Vec<CountRow> = sqlx::query_as(
        "SELECT job, at, source, id, urls FROM due_counts JOIN jobs ON jobs.number = job
         ORDER BY job LIMIT ?1 OFFSET ?2",
    )
    .bind(if front.is_single { 1 } else { STEP.jobs })
    .bind(front.skip)
    .fetch_all(&mut *batch.connection)
    .await?;
    let (mut touches, mut urls) = (BTreeMap::new(), 0);
    for row in rows {
        let job: JobId = column::parsed(("jobs", "id", &row.id), &row.id)?;
        let source = column::parsed(("due_counts", "source", &row.id), &row.source)?;
        touches.insert(job, (row.job, Touch { at: Timestamp::from_millis(row.at), source }));
        urls += row.urls;
        if urls >= STEP.urls {
            break;
        }
    }
    if touches.is_empty() {
        return Ok(false);
    }
    let numbers: Vec<i64> = touches.values().map(|(number, _)| *number).collect();
    for job in jobs::count(batch.connection, &numbers).await? {
        batch.changes.jobs.extend(touches.get(&job).map(|(_, touch)| (job, *touch)));
    }
    sqlx::query("DELETE FROM due_counts WHERE job IN (SELECT value FROM json_each(?1))")
        .bind(json!(numbers).to_string())
        .execute(&mut *batch.connection)
        .await?;
    Ok(true)
}

row! {
    struct CancelRow {
        job: i64,
        words: String,
        after_position: i64,
        at: i64,
    }
}

/// Continues the cancel of a job.
async fn cancel(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    let row: Option<CancelRow> = sqlx::query_as(
        "SELECT job, words, after_position, at FROM due_cancels ORDER BY job LIMIT 1 OFFSET ?1",
    )
    .bind(front.skip)
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let at = Timestamp::from_millis(row.at);
    let cancel = Cancel { job: row.job, words: row.words, after: row.after_position, at };
    cancels::waiting(batch, &cancel).await?;
    Ok(true)
}

/// Continues to give the URLs of a job its new priority.
async fn take_over(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    let row: Option<(i64, i64, i64)> =
        sqlx::query_as("SELECT job, after_position, at FROM due_priorities ORDER BY job LIMIT 1 OFFSET ?1")
            .bind(front.skip)
            .fetch_optional(&mut *batch.connection)
            .await?;
    let Some((job, after, at)) = row else { return Ok(false) };
    job_patches::take_over(batch, &TakeOver { job, after, at: Timestamp::from_millis(at) }).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
