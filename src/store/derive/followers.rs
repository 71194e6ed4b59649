//! The URLs of jobs, each following the task URL that carries it, and the states of jobs that follow from that.
//!
//! Statements here take all rows of a batch at once. Each of them goes from its JSON to the rows by their keys.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::EventKind;
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{JobState, Progress, UrlState};
use crate::domain::state::job_state;
use crate::domain::url::{Platform, PostUrl};
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, Touch, UrlChange};
use crate::store::column;
use crate::store::derive::due;
use crate::store::derive::ledger::{self, Placed, Wanted};
use crate::store::read::jobs;

/// A row of `job_urls`: job, position, the task URL it follows, and whether it is known for good.
fn row(job: JobId, placed: &Placed) -> Value {
    let fixed = (placed.state == UrlState::Known).then_some("known");
    json!([job, placed.position, placed.task, placed.task_position, fixed])
}

/// Carries URL changes on to the jobs that follow those URLs, and finds other tasks for URLs that a job followed in
/// vain. What concerns too many of them is due.
///
/// No other task is found for a URL whose task is `unconfirmed`: that may have been charged, and is never sent again
/// automatically. Nor if it is `stalled` and upstream could not be asked since its deadline (`unheard`): it may be
/// indexed by now.
pub(crate) async fn carry(
    batch: &mut Batch<'_>,
    urls: Vec<UrlChange>,
    unheard: &BTreeSet<TaskId>,
) -> Result<(), sqlx::Error> {
    let urls = due::within_reach(batch, urls, unheard).await?;
    follow(batch, &urls).await?;
    replace_lost(batch, &urls, unheard).await?;
    settle(batch).await
}

/// A job whose count is due was not counted with what it follows by now: it stays as it is, and is counted again.
pub(crate) const FOLLOW: &str = "UPDATE jobs SET
       waiting = jobs.waiting + d.waiting * is_counted, sent = jobs.sent + d.sent * is_counted,
       downloaded = jobs.downloaded + d.downloaded * is_counted, indexed = jobs.indexed + d.indexed * is_counted,
       failed = jobs.failed + d.failed * is_counted, canceled = jobs.canceled + d.canceled * is_counted
     FROM (
       SELECT job_id, NOT EXISTS (SELECT 1 FROM due_counts WHERE due_counts.job_id = job_urls.job_id) AS is_counted,
         sum((c.value->>3 = 'waiting') - (c.value->>2 = 'waiting')) AS waiting,
         sum((c.value->>3 = 'sent') - (c.value->>2 = 'sent')) AS sent,
         sum((c.value->>3 = 'downloaded') - (c.value->>2 = 'downloaded')) AS downloaded,
         sum((c.value->>3 = 'indexed') - (c.value->>2 = 'indexed')) AS indexed,
         sum((c.value->>3 = 'failed') - (c.value->>2 = 'failed')) AS failed,
         sum(c.value->>4) AS canceled
       FROM json_each(?1) AS c
       CROSS JOIN job_urls ON job_urls.task_id = c.value->>0 AND job_urls.task_position = c.value->>1
         AND job_urls.fixed IS NULL
       GROUP BY job_id) AS d
     WHERE jobs.id = d.job_id
     RETURNING id";

/// Changes the counts of the jobs that follow these URLs.
async fn follow(batch: &mut Batch<'_>, urls: &[UrlChange]) -> Result<(), sqlx::Error> {
    let latest =
        urls.iter().filter_map(|url| batch.changes.touched.get(&url.task)).max_by_key(|touch| touch.at);
    let Some(touch) = latest.copied() else { return Ok(()) };
    let rows: Vec<Value> = urls.iter().map(UrlChange::row).collect();
    let jobs: Vec<String> =
        sqlx::query_scalar(FOLLOW).bind(json!(rows).to_string()).fetch_all(&mut *batch.connection).await?;
    for job in jobs {
        batch.changes.jobs.insert(column::parsed(("jobs", "id", &job), &job)?, touch);
    }
    Ok(())
}

/// A post as it is stored. Its URL is not parsed again: what was taken once stays what it was.
pub(crate) fn stored_post(given: String, canonical: String, platform: Option<String>) -> PostUrl {
    PostUrl { given, canonical, platform: Platform::from_stored(platform.unwrap_or_default()) }
}

/// A job's URL that it followed in vain.
pub(crate) struct Lost {
    pub(crate) position: i64,
    pub(crate) url: PostUrl,
}

#[derive(FromRow)]
struct LostRow {
    job_id: String,
    position: i64,
    url: String,
    canonical: String,
    platform: Option<String>,
    canceled: bool,
}

pub(crate) const LOST: &str = "SELECT job_urls.job_id, job_urls.position, job_urls.url, canonical, platform,
       lost.value->>2 AS canceled
     FROM json_each(?1) AS lost
       CROSS JOIN job_urls ON job_urls.task_id = lost.value->>0 AND task_position = lost.value->>1
       CROSS JOIN task_urls ON task_urls.task_id = lost.value->>0 AND task_urls.position = lost.value->>1
       CROSS JOIN tasks ON tasks.id = job_urls.task_id
     WHERE fixed IS NULL AND tasks.job_id IS NOT job_urls.job_id";

/// Finds other tasks for URLs that a job followed in vain. Its counts have them as failed already.
async fn replace_lost(
    batch: &mut Batch<'_>,
    urls: &[UrlChange],
    unheard: &BTreeSet<TaskId>,
) -> Result<(), sqlx::Error> {
    let lost = urls.iter().filter(|url| url.is_lost() && !unheard.contains(&url.task));
    let key = |url: &UrlChange| {
        json!([url.task, url.position, i64::from(url.code.as_deref() == Some(UrlChange::CANCELED))])
    };
    let keys: Vec<Value> = lost.map(key).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let rows: Vec<LostRow> =
        sqlx::query_as(LOST).bind(json!(keys).to_string()).fetch_all(&mut *batch.connection).await?;
    let mut by_job: BTreeMap<JobId, (Vec<Lost>, i64)> = BTreeMap::new();
    for row in rows {
        let job = column::parsed(("job_urls", "job_id", &row.job_id), &row.job_id)?;
        let url = stored_post(row.url, row.canonical, row.platform);
        let (lost, canceled) = by_job.entry(job).or_default();
        lost.push(Lost { position: row.position, url });
        *canceled += i64::from(row.canceled);
    }
    let mut moves = BTreeMap::new();
    for (job, (mut lost, canceled)) in by_job {
        let Some(touch) = batch.changes.jobs.get(&job).copied() else { continue };
        lost.sort_by_key(|url| url.position);
        let count = i64::try_from(lost.len()).unwrap_or(i64::MAX);
        let mut change = Progress { failed: -count, canceled: -canceled, ..Progress::default() };
        for url in place_lost(batch, job, lost, touch).await? {
            change.add(url.state, 1);
        }
        moves.insert(job, change);
    }
    move_urls(batch.connection, &moves).await
}

/// Finds other tasks for these URLs of a job, and lets it follow them.
pub(crate) async fn place_lost(
    batch: &mut Batch<'_>,
    job: JobId,
    lost: Vec<Lost>,
    touch: Touch,
) -> Result<Vec<Placed>, sqlx::Error> {
    let id = job.to_string();
    let missing = || column::unreadable(("jobs", "id", &id), "no such job, and it follows URLs");
    let (options, _) = jobs::options(batch.connection, job).await?.ok_or_else(missing)?;
    let wanted = Wanted {
        job,
        options: &options,
        cap: batch.policy.urls_per_task,
        force: false,
        at: touch.at,
        source: touch.source,
    };
    let urls = lost.into_iter().map(|url| (url.position, url.url)).collect();
    let placed = ledger::place(batch, &wanted, urls).await?;
    follow_others(batch.connection, placed.iter().map(|url| row(job, url)).collect()).await?;
    Ok(placed)
}

pub(crate) const FOLLOW_OTHERS: &str =
    "UPDATE job_urls SET task_id = new.task_id, task_position = new.task_position, fixed = new.fixed
     FROM (SELECT value->>0 AS job_id, value->>1 AS position, value->>2 AS task_id, value->>3 AS task_position,
             value->>4 AS fixed FROM json_each(?1)) AS new
     WHERE job_urls.job_id = new.job_id AND job_urls.position = new.position";

/// Lets URLs of jobs follow other task URLs than before. Rows are job, position, task, its position, `fixed`.
pub(crate) async fn follow_others(
    connection: &mut SqliteConnection,
    rows: Vec<Value>,
) -> Result<(), sqlx::Error> {
    if !rows.is_empty() {
        sqlx::query(FOLLOW_OTHERS).bind(Value::Array(rows).to_string()).execute(connection).await?;
    }
    Ok(())
}

pub(crate) const MOVE: &str = "UPDATE jobs SET waiting = jobs.waiting + d.waiting, sent = jobs.sent + d.sent,
       downloaded = jobs.downloaded + d.downloaded, indexed = jobs.indexed + d.indexed,
       failed = jobs.failed + d.failed, known = jobs.known + d.known, canceled = jobs.canceled + d.canceled
     FROM (SELECT value->>0 AS id, value->>1 AS waiting, value->>2 AS sent, value->>3 AS downloaded,
             value->>4 AS indexed, value->>5 AS failed, value->>6 AS known, value->>7 AS canceled
           FROM json_each(?1)) AS d
     WHERE jobs.id = d.id AND NOT EXISTS (SELECT 1 FROM due_counts WHERE due_counts.job_id = d.id)";

/// Changes how many URLs of jobs stand where. A job whose count is due is counted again anyway.
pub(crate) async fn move_urls(
    connection: &mut SqliteConnection,
    moves: &BTreeMap<JobId, Progress>,
) -> Result<(), sqlx::Error> {
    let row = |(job, by): (&JobId, &Progress)| {
        json!([job, by.waiting, by.sent, by.downloaded, by.indexed, by.failed, by.known, by.canceled])
    };
    let rows: Vec<Value> = moves.iter().map(row).collect();
    if !rows.is_empty() {
        sqlx::query(MOVE).bind(json!(rows).to_string()).execute(connection).await?;
    }
    Ok(())
}

pub(crate) const COUNT: &str =
    "UPDATE jobs SET waiting = n.waiting, sent = n.sent, downloaded = n.downloaded, indexed = n.indexed,
       failed = n.failed, known = n.known, canceled = n.canceled
     FROM (
       SELECT job_id, sum(state = 'waiting') AS waiting, sum(state = 'sent') AS sent,
         sum(state = 'downloaded') AS downloaded, sum(state = 'indexed') AS indexed,
         sum(state = 'failed') AS failed, sum(state = 'known') AS known, sum(is_canceled) AS canceled
       FROM (
         SELECT job_urls.job_id,
           CASE fixed WHEN 'known' THEN 'known' WHEN 'canceled' THEN 'failed' WHEN 'unattributed' THEN 'failed'
             ELSE coalesce(told, task_urls.state) END AS state,
           CASE fixed WHEN 'known' THEN 0 WHEN 'canceled' THEN 1 WHEN 'unattributed' THEN 0
             ELSE coalesce(told_canceled, error_code IS 'canceled') END AS is_canceled
         FROM json_each(?1) AS j
           CROSS JOIN job_urls ON job_urls.job_id = j.value
           CROSS JOIN task_urls ON task_urls.task_id = job_urls.task_id AND task_urls.position = task_position
           LEFT JOIN due_urls ON due_urls.task_id = job_urls.task_id AND due_urls.position = task_position
             AND job_urls.job_id > after_job)
       GROUP BY job_id) AS n
     WHERE jobs.id = n.job_id";

/// Counts again where the URLs of jobs stand. A URL whose change is due for a job counts as it did before.
pub(crate) async fn count(connection: &mut SqliteConnection, jobs: &[JobId]) -> Result<(), sqlx::Error> {
    if !jobs.is_empty() {
        sqlx::query(COUNT).bind(json!(jobs).to_string()).execute(connection).await?;
    }
    Ok(())
}

#[derive(FromRow)]
struct Counts {
    id: String,
    state: String,
    urls: i64,
    waiting: i64,
    sent: i64,
    downloaded: i64,
    indexed: i64,
    failed: i64,
    known: i64,
    canceled: i64,
}

impl Counts {
    const fn progress(&self) -> Progress {
        Progress {
            urls: self.urls,
            waiting: self.waiting,
            sent: self.sent,
            downloaded: self.downloaded,
            indexed: self.indexed,
            failed: self.failed,
            known: self.known,
            canceled: self.canceled,
        }
    }
}

pub(crate) const COUNTS: &str =
    "SELECT jobs.id, state, urls, waiting, sent, downloaded, indexed, failed, known, canceled
     FROM json_each(?1) CROSS JOIN jobs ON jobs.id = value";

pub(crate) const SETTLE: &str = "UPDATE jobs SET state = new.state, settled_at = new.settled_at
     FROM (SELECT value->>0 AS id, value->>1 AS state, value->>2 AS settled_at FROM json_each(?1)) AS new
     WHERE jobs.id = new.id";

/// Stores the states that follow from the counts of the jobs that changed in this batch.
pub(crate) async fn settle(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let touched: HashMap<String, (JobId, Touch)> = std::mem::take(&mut batch.changes.jobs)
        .into_iter()
        .map(|(job, touch)| (job.to_string(), (job, touch)))
        .collect();
    if touched.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<&String> = touched.keys().collect();
    let rows: Vec<Counts> =
        sqlx::query_as(COUNTS).bind(json!(ids).to_string()).fetch_all(&mut *batch.connection).await?;
    let mut settled = Vec::new();
    for row in rows {
        let new = job_state(&row.progress());
        let Some((job, touch)) = touched.get(&row.id).filter(|_| row.state != new.as_str()) else { continue };
        let settled_at = (new != JobState::Running).then_some(touch.at.as_millis());
        settled.push(json!([job, new, settled_at]));
        if settled_at.is_some() {
            batch.changes.events.push(NewEvent {
                job: Some(*job),
                message: Some(new.to_string()),
                ..NewEvent::new(EventKind::JobSettled, touch.source, touch.at)
            });
        }
    }
    if !settled.is_empty() {
        sqlx::query(SETTLE).bind(json!(settled).to_string()).execute(&mut *batch.connection).await?;
    }
    Ok(())
}
