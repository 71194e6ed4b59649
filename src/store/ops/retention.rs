//! Retention: removes raw bodies and events of tasks and jobs that settled long ago, in small steps.
//!
//! Must never touch anything that has not settled, nor the records that keep old input from counting as new: hashes
//! of bodies, facts, the ledger, idempotency keys.

use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnection;

use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;
use crate::store::read::callbacks::BELOW;

/// The target duration of a step without its commit, because callbacks wait this long.
const STEP: Duration = Duration::from_millis(5);
/// The rows that a step reads, of bodies and of events each, and the pages that it returns to the disk: the least,
/// the first and the most.
const ROWS: (u32, u32, u32) = (20, 100, 500);

/// The progress of a pass over the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The last callback that the pass has read.
    callback: i64,
    /// The last event that the pass has read.
    seq: i64,
    /// The rows of the next step. Their speed depends on the machine.
    rows: u32,
    /// The bodies and events that the pass has removed.
    pub removed: u64,
}

impl Default for Pass {
    fn default() -> Self {
        Self { callback: 0, seq: 0, rows: ROWS.1, removed: 0 }
    }
}

/// Computes the rows of the next step from the duration of the last one, so that it takes as long as [`STEP`]. The
/// number at most doubles.
fn next_rows(rows: u32, took: Duration) -> u32 {
    let share = STEP.as_secs_f64() / took.as_secs_f64().max(f64::EPSILON);
    ((f64::from(rows) * share.min(2.0)) as u32).clamp(ROWS.0, ROWS.2)
}

/// One step of a pass, which removes bodies and events of tasks and jobs that settled before `before`. The reply is
/// none at the end of the pass.
#[derive(Debug)]
pub(crate) struct Prune {
    pub(crate) before: Timestamp,
    pub(crate) pass: Pass,
}

impl Operation for Prune {
    type Reply = Option<Pass>;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        prune(batch.connection, self.before, self.pass).await
    }
}

async fn prune(
    connection: &mut SqliteConnection,
    before: Timestamp,
    pass: Pass,
) -> Result<Option<Pass>, sqlx::Error> {
    let began = Instant::now();
    // If all rows of a step are too young, so are all later ones. So a pass ends, however many rows arrive meanwhile.
    let callback: Option<i64> = sqlx::query_scalar(
        "SELECT max(id) FROM (SELECT id, first_received_at FROM callbacks WHERE id > ?1 ORDER BY id LIMIT ?2)
         HAVING min(first_received_at) < ?3",
    )
    .bind(pass.callback)
    .bind(pass.rows)
    .bind(before.as_millis())
    .fetch_optional(&mut *connection)
    .await?
    .flatten();
    let seq: Option<i64> = sqlx::query_scalar(
        "SELECT max(seq) FROM (SELECT seq, at FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2) HAVING min(at) < ?3",
    )
    .bind(pass.seq)
    .bind(pass.rows)
    .bind(before.as_millis())
    .fetch_optional(&mut *connection)
    .await?
    .flatten();
    let deliveries = deliveries(connection, before, pass.rows).await?;
    if callback.is_none() && seq.is_none() && deliveries == 0 {
        // Large bodies leave more free pages than their steps have returned.
        let has_shrunk = free_pages(connection).await? > ROWS.2 && shrink(connection, pass.rows).await?;
        return Ok(has_shrunk.then(|| Pass { rows: next_rows(pass.rows, began.elapsed()), ..pass }));
    }
    let mut removed = deliveries;
    if let Some(last) = callback {
        removed += bodies(connection, before, pass.callback, last).await?;
    }
    if let Some(last) = seq {
        removed += events(connection, before, pass.seq, last).await?;
    }
    // Removed rows leave free pages in the file. Each step returns some of them to the disk.
    shrink(connection, pass.rows).await?;
    Ok(Some(Pass {
        callback: callback.unwrap_or(pass.callback),
        seq: seq.unwrap_or(pass.seq),
        rows: next_rows(pass.rows, began.elapsed()),
        removed: pass.removed + removed,
    }))
}

/// Removes deliveries that ended before this time. Those that wait stay.
async fn deliveries(
    connection: &mut SqliteConnection,
    before: Timestamp,
    rows: u32,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM deliveries WHERE number IN (
           SELECT number FROM deliveries WHERE state <> 1 AND ended_at < ?1 ORDER BY ended_at LIMIT ?2)",
    )
    .bind(before.as_millis())
    .bind(rows)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

async fn free_pages(connection: &mut SqliteConnection) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("PRAGMA freelist_count").fetch_one(connection).await
}

/// Returns at most this many free pages to the disk. The result says whether any page could be returned.
async fn shrink(connection: &mut SqliteConnection, pages: u32) -> Result<bool, sqlx::Error> {
    let before = free_pages(connection).await?;
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({pages})")))
        .execute(&mut *connection)
        .await?;
    Ok(free_pages(connection).await? < before)
}

/// Removes bodies. Their rows and hashes stay, so the same body is still recognized as a repeated delivery. The
/// newest row keeps its number, because the next number follows from it.
async fn bodies(
    connection: &mut SqliteConnection,
    before: Timestamp,
    after: i64,
    last: i64,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "UPDATE callbacks SET id = id - ?4, body = NULL
         WHERE id > ?1 AND id <= ?2 AND id < (SELECT max(id) FROM callbacks) AND last_received_at < ?3
           AND (SELECT settled_at FROM tasks WHERE tasks.id = task_id) < ?3",
    )
    .bind(after)
    .bind(last)
    .bind(before.as_millis())
    .bind(BELOW)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Removes events, and records the last event of the gaps.
async fn events(
    connection: &mut SqliteConnection,
    before: Timestamp,
    after: i64,
    last: i64,
) -> Result<u64, sqlx::Error> {
    let removed: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM events
         WHERE seq > ?1 AND seq <= ?2 AND at < ?3
           AND (task_id IS NULL OR (SELECT settled_at FROM tasks WHERE tasks.id = task_id) < ?3)
           AND (job_id IS NULL OR (SELECT settled_at FROM jobs WHERE jobs.id = job_id) < ?3)
           AND NOT EXISTS (SELECT 1 FROM deliveries WHERE state = 1 AND deliveries.seq = events.seq)
         RETURNING seq",
    )
    .bind(after)
    .bind(last)
    .bind(before.as_millis())
    .fetch_all(&mut *connection)
    .await?;
    if let Some(newest) = removed.iter().max() {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('events_removed_to', ?1)
             ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
        )
        .bind(newest.to_string())
        .execute(connection)
        .await?;
    }
    Ok(removed.len() as u64)
}
