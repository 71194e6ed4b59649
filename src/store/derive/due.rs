//! What is due: changes that concern too many jobs or tasks for one commit. The commit that brings such a change writes
//! down that the rest is due, and the next commits do it, also after a crash.
//!
//! No commit may take long, whatever anybody asks: callbacks wait for it. Must never send what nobody asked for again.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::domain::id::TaskId;
use crate::domain::job::UrlState;
use crate::store::batch::Batch;
use crate::store::batch::changes::{Touch, UrlChange};
use crate::store::column;

/// Most rows of `job_urls` that one commit carries changes to.
const REACH: i64 = 4_000;
/// A job's URL that needs another task costs as much as this many that only change their state.
const LOST: i64 = 16;
/// NULL in a row of JSON.
pub(crate) const NOTHING: Option<i64> = None;

const REACHED: &str = "SELECT value,
       (SELECT count(*) FROM (SELECT 1 FROM job_urls WHERE task_id = value LIMIT ?2)),
       (SELECT count(*) FROM (
          SELECT 1 FROM job_urls
          WHERE task_id = value AND job_id IS NOT (SELECT tasks.job_id FROM tasks WHERE tasks.id = value) LIMIT ?2)),
       EXISTS (SELECT 1 FROM due_urls WHERE task_id = value)
     FROM json_each(?1)";

const DEFER: &str = "INSERT INTO due_urls
       (task_id, position, told, told_canceled, is_lost, to_task, to_position, at, source)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8
     FROM json_each(?1) WHERE true
     ON CONFLICT (task_id, position) DO UPDATE SET
       is_lost = excluded.is_lost, to_task = ifnull(excluded.to_task, to_task),
       to_position = ifnull(excluded.to_position, to_position),
       after_job = '', at = excluded.at, source = excluded.source";

/// Gives those of the changes that this commit brings to the jobs that follow; the others are due.
pub(crate) async fn within_reach(
    batch: &mut Batch<'_>,
    urls: Vec<UrlChange>,
    unheard: &BTreeSet<TaskId>,
) -> Result<Vec<UrlChange>, sqlx::Error> {
    if urls.is_empty() {
        return Ok(urls);
    }
    let tasks: BTreeSet<TaskId> = urls.iter().map(|url| url.task).collect();
    let rows: Vec<(String, i64, i64, bool)> = sqlx::query_as(REACHED)
        .bind(json!(tasks).to_string())
        .bind(REACH + 1)
        .fetch_all(&mut *batch.connection)
        .await?;
    let is_lost = |url: &UrlChange| url.is_lost() && !unheard.contains(&url.task);
    let losing: BTreeSet<TaskId> = urls.iter().filter(|url| is_lost(url)).map(|url| url.task).collect();
    let mut room = REACH;
    let mut late = BTreeSet::new();
    for (task, followers, others, is_due) in rows {
        let task: TaskId = column::parsed(("tasks", "id", &task), &task)?;
        let cost = followers + if losing.contains(&task) { others * LOST } else { 0 };
        if is_due || cost > room {
            late.insert(task);
        } else {
            room -= cost;
        }
    }
    let (late, here): (Vec<_>, Vec<_>) = urls.into_iter().partition(|url| late.contains(&url.task));
    let entries = late.iter().filter_map(|url| {
        let touch = batch.changes.touched.get(&url.task)?;
        Some(json!([
            url.task,
            url.position,
            url.old,
            url.old_code.as_deref() == Some(UrlChange::CANCELED),
            is_lost(url),
            NOTHING,
            NOTHING,
            touch.at.as_millis(),
            touch.source,
        ]))
    });
    let entries: Vec<_> = entries.collect();
    if !entries.is_empty() {
        batch.changes.has_due = true;
        sqlx::query(DEFER).bind(json!(entries).to_string()).execute(&mut *batch.connection).await?;
    }
    Ok(here)
}

/// A task whose URLs, or some of them, are handed to other tasks.
pub(crate) struct HandOver {
    pub(crate) task: TaskId,
    /// It is canceled, and its URLs count as such.
    pub(crate) is_canceled: bool,
    /// Position, state so far, and the task URL that is followed from now on.
    pub(crate) urls: Vec<(i64, UrlState, (TaskId, i64))>,
}

/// Hands the followers of a task's URLs over in later commits, if there are too many for this one; `false` if there
/// are not.
pub(crate) async fn hand_over(
    batch: &mut Batch<'_>,
    handed: &HandOver,
    touch: Touch,
) -> Result<bool, sqlx::Error> {
    let rows: Option<(String, i64, i64, bool)> = sqlx::query_as(REACHED)
        .bind(json!([handed.task]).to_string())
        .bind(REACH)
        .fetch_optional(&mut *batch.connection)
        .await?;
    if !rows.is_some_and(|(_, followers, _, is_due)| is_due || followers >= REACH) {
        return Ok(false);
    }
    let HandOver { task, is_canceled, urls } = handed;
    let at = touch.at.as_millis();
    let entry = |(position, old, to): &(i64, UrlState, (TaskId, i64))| {
        json!([task, position, old, is_canceled, false, to.0, to.1, at, touch.source])
    };
    let entries: Vec<_> = urls.iter().map(entry).collect();
    batch.changes.has_due = true;
    sqlx::query(DEFER).bind(json!(entries).to_string()).execute(&mut *batch.connection).await?;
    Ok(true)
}

/// Whether anything is due.
pub(crate) async fn is_any(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM due_urls) OR EXISTS (SELECT 1 FROM due_counts)
           OR EXISTS (SELECT 1 FROM due_cancels)",
    )
    .fetch_one(connection)
    .await
}
