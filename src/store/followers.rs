//! The URLs of jobs, each following the task URL that carries it, and the states of jobs that follow from that.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use super::Policy;
use super::changes::{Changes, NewEvent, Touch, UrlChange};
use super::jobs::{self, JobRow};
use super::ledger::{self, Placed, Wanted};
use crate::domain::event::EventKind;
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{JobState, Progress, UrlState};
use crate::domain::state::job_state;
use crate::domain::url::PostUrl;

/// A row of `job_urls`: position, URL, the task URL it follows, and whether it is known for good.
pub(super) fn row(placed: &Placed) -> Value {
    let fixed = (placed.state == UrlState::Known).then_some("known");
    json!([placed.position, placed.url.given, placed.task, placed.task_position, fixed])
}

/// Whether a URL has failed in a way that proves that what was sent is of no use. Not where it may have been
/// charged and may still come, and not where nobody knows which of a task's URLs it is.
fn is_lost((_, _, old, new, _, code, _, old_code): &UrlChange) -> bool {
    // Given up after it may have been sent: an operator's word, which lets nobody pay twice by itself, whatever
    // else becomes known.
    let is_given_up = old_code.as_deref() == Some("canceled")
        || (code.as_deref() == Some("canceled") && *old != UrlState::Waiting);
    let is_in_doubt = matches!(code.as_deref(), Some("unconfirmed" | "unattributed"));
    *new == UrlState::Failed && !is_given_up && !is_in_doubt
}

/// Finds other carriers for URLs that a job followed in vain: the task that carried them ended without them.
///
/// Not where it is `unconfirmed`: that may have been charged, and is never sent again by itself. Nor where it is
/// `stalled` and upstream could not be asked since its deadline (`unheard`): it may be indexed by now.
pub(super) async fn replace_lost(
    connection: &mut SqliteConnection,
    urls: &[UrlChange],
    unheard: &BTreeSet<TaskId>,
    policy: Policy,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let lost: HashMap<(TaskId, i64), UrlState> = urls
        .iter()
        .filter(|change| is_lost(change) && !unheard.contains(&change.0))
        .map(|(task, position, old, ..)| ((*task, i64::try_from(*position).unwrap_or(i64::MAX)), *old))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = lost.keys().collect();
    let followers: Vec<(String, i64, String, String, i64)> = sqlx::query_as(
        "SELECT job_urls.job_id, job_urls.position, job_urls.url, job_urls.task_id, task_position
         FROM json_each(?1) AS lost
           CROSS JOIN job_urls ON task_id = lost.value->>0 AND task_position = lost.value->>1
           JOIN tasks ON tasks.id = job_urls.task_id
         WHERE fixed IS NULL AND tasks.job_id IS NOT job_urls.job_id
         ORDER BY job_urls.job_id, job_urls.position",
    )
    .bind(json!(keys).to_string())
    .fetch_all(&mut *connection)
    .await?;
    let latest = urls.iter().filter_map(|(task, ..)| changes.touched.get(task)).max_by_key(|touch| touch.at);
    let Some(touch) = latest.copied() else { return Ok(()) };
    let mut by_job: BTreeMap<JobId, Vec<(i64, PostUrl, UrlState)>> = BTreeMap::new();
    for (job, position, url, task, task_position) in followers {
        let (Ok(job), Ok(task)) = (job.parse(), task.parse()) else { continue };
        let url = PostUrl::recognize(&url);
        let old = lost.get(&(task, task_position)).copied().unwrap_or(UrlState::Sent);
        by_job.entry(job).or_default().push((position, url, old));
    }
    let changing: HashMap<(TaskId, i64), (UrlState, bool)> = urls
        .iter()
        .map(|(task, position, old, .., old_code)| {
            let place = (*task, i64::try_from(*position).unwrap_or(i64::MAX));
            (place, (*old, old_code.as_deref() == Some("canceled")))
        })
        .collect();
    for (id, urls) in by_job {
        let Some((options, _)) = jobs::options(connection, id).await? else { continue };
        let mut change = Progress::default();
        for (_, _, old) in &urls {
            change.add(*old, -1);
        }
        let wanted = Wanted {
            job: id,
            options: &options,
            cap: policy.urls_per_task,
            force: false,
            at: touch.at,
            source: touch.source,
        };
        let urls = urls.into_iter().map(|(position, url, _)| (position, url)).collect();
        let placed = ledger::place(connection, &wanted, urls, changes).await?;
        follow_others(connection, id, &placed).await?;
        for url in &placed {
            // What changes in this very batch is brought to it below, with all others that follow.
            let before =
                changing.get(&(url.task, url.task_position)).filter(|_| url.state != UrlState::Known);
            change.add(before.map_or(url.state, |(old, _)| *old), 1);
            change.canceled += i64::from(before.is_some_and(|(_, was_canceled)| *was_canceled));
        }
        move_urls(connection, id, change, touch, changes).await?;
    }
    Ok(())
}

/// Lets URLs of a job follow other task URLs than before.
pub(super) async fn follow_others(
    connection: &mut SqliteConnection,
    job: JobId,
    placed: &[Placed],
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = placed.iter().map(row).collect();
    sqlx::query(
        "UPDATE job_urls SET task_id = new.task_id, task_position = new.task_position, fixed = new.fixed
         FROM (SELECT value->>0 AS position, value->>2 AS task_id, value->>3 AS task_position,
                 value->>4 AS fixed FROM json_each(?1)) AS new
         WHERE job_urls.job_id = ?2 AND job_urls.position = new.position",
    )
    .bind(json!(rows).to_string())
    .bind(job.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Changes how many URLs of a job stand where.
pub(super) async fn move_urls(
    connection: &mut SqliteConnection,
    job: JobId,
    change: Progress,
    touch: Touch,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let row: JobRow = sqlx::query_as(
        "UPDATE jobs SET waiting = waiting + ?2, sent = sent + ?3, downloaded = downloaded + ?4,
           indexed = indexed + ?5, failed = failed + ?6, known = known + ?7, canceled = canceled + ?8
         WHERE id = ?1 RETURNING *",
    )
    .bind(job.to_string())
    .bind(change.waiting)
    .bind(change.sent)
    .bind(change.downloaded)
    .bind(change.indexed)
    .bind(change.failed)
    .bind(change.known)
    .bind(change.canceled)
    .fetch_one(&mut *connection)
    .await?;
    settle(connection, row, touch, changes).await
}

/// Stores the state that follows from where a job's URLs stand.
async fn settle(
    connection: &mut SqliteConnection,
    row: JobRow,
    touch: Touch,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let new = job_state(&row.progress());
    let Ok(id) = row.id.parse::<JobId>() else { return Ok(()) };
    if row.state == new.as_str() {
        return Ok(());
    }
    let settled_at = (new != JobState::Running).then_some(touch.at.as_millis());
    sqlx::query("UPDATE jobs SET state = ?2, settled_at = ?3 WHERE id = ?1")
        .bind(&row.id)
        .bind(new.as_str())
        .bind(settled_at)
        .execute(connection)
        .await?;
    if settled_at.is_some() {
        changes.events.push(NewEvent {
            job: Some(id),
            message: Some(new.to_string()),
            ..NewEvent::new(EventKind::JobSettled, touch.source, touch.at)
        });
    }
    Ok(())
}

/// Carries URL changes on to every job that follows those URLs.
pub(super) async fn follow(
    connection: &mut SqliteConnection,
    urls: &[UrlChange],
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    if urls.is_empty() {
        return Ok(());
    }
    let rows: Vec<JobRow> = sqlx::query_as(
        "UPDATE jobs SET
           waiting = jobs.waiting + d.waiting, sent = jobs.sent + d.sent, downloaded = jobs.downloaded + d.downloaded,
           indexed = jobs.indexed + d.indexed, failed = jobs.failed + d.failed, canceled = jobs.canceled + d.canceled
         FROM (
           SELECT job_id,
             sum((c.value->>3 = 'waiting') - (c.value->>2 = 'waiting')) AS waiting,
             sum((c.value->>3 = 'sent') - (c.value->>2 = 'sent')) AS sent,
             sum((c.value->>3 = 'downloaded') - (c.value->>2 = 'downloaded')) AS downloaded,
             sum((c.value->>3 = 'indexed') - (c.value->>2 = 'indexed')) AS indexed,
             sum((c.value->>3 = 'failed') - (c.value->>2 = 'failed')) AS failed,
             sum(c.value->>4) AS canceled
           FROM json_each(?1) AS c
           JOIN job_urls ON job_urls.task_id = c.value->>0 AND job_urls.task_position = c.value->>1
             AND job_urls.fixed IS NULL
           GROUP BY job_id) AS d
         WHERE jobs.id = d.job_id
         RETURNING *",
    )
    .bind(json!(urls).to_string())
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let latest = urls.iter().filter_map(|(task, ..)| changes.touched.get(task)).max_by_key(|t| t.at);
        let Some(touch) = latest.copied() else { continue };
        settle(connection, row, touch, changes).await?;
    }
    Ok(())
}
