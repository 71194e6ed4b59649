//! One step of what is due: a commit's worth of URLs, of counts, or of a job's cancel.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::FromRow;

use crate::domain::id::JobId;
use crate::domain::job::UrlState;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::Touch;
use crate::store::column;
use crate::store::derive::due::NOTHING;
use crate::store::derive::followers::{self, Lost};
use crate::store::ops::decisions::{self, Cancel};

/// Where a step begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Front {
    /// So many entries could not be read: they are left for the next start.
    pub(crate) skip: i64,
    /// One entry alone, to find the one that can't be read.
    pub(crate) is_single: bool,
}

/// Most task URLs, rows of `job_urls`, jobs, and URLs of these jobs that one step takes.
const STEP: Bounds = Bounds { task_urls: 200, rows: 2_000, jobs: 250, urls: 20_000 };

#[derive(Clone, Copy)]
struct Bounds {
    task_urls: i64,
    rows: usize,
    jobs: usize,
    urls: i64,
}

#[derive(FromRow)]
struct Entry {
    number: i64,
    task_id: String,
    position: i64,
    is_lost: bool,
    to_task: Option<String>,
    to_position: Option<i64>,
    after_job: String,
    at: i64,
    source: String,
    state: String,
    canonical: String,
    owner: Option<String>,
    platform: Option<String>,
}

const ENTRIES: &str =
    "SELECT number, due_urls.task_id, due_urls.position, is_lost, to_task, to_position, after_job,
       at, source, task_urls.state, canonical, job_id AS owner, platform
     FROM due_urls
       CROSS JOIN task_urls ON task_urls.task_id = due_urls.task_id AND task_urls.position = due_urls.position
       CROSS JOIN tasks ON tasks.id = due_urls.task_id
     ORDER BY number LIMIT ?1 OFFSET ?2";

/// A job's URL that follows a task URL.
#[derive(FromRow)]
struct Follower {
    job_id: String,
    position: i64,
    url: String,
}

const FOLLOWERS: &str = "SELECT job_id, position, url FROM job_urls
     WHERE task_id = ?1 AND task_position = ?2 AND job_id > ?3 AND fixed IS NULL
     ORDER BY job_id, position LIMIT ?4";

/// What a step has gathered.
#[derive(Default)]
struct Gathered {
    rows: usize,
    /// The jobs that hear of something.
    jobs: BTreeMap<JobId, Touch>,
    /// Rows of `job_urls` that follow another task URL from now on.
    moved: Vec<Value>,
    lost: BTreeMap<JobId, Vec<Lost>>,
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.rows >= STEP.rows || self.jobs.len() >= STEP.jobs
    }

    /// Takes followers of a task URL, job by job, until the step is full; gives the last job and whether that was all.
    fn take(
        &mut self,
        entry: &Entry,
        followers: Vec<Follower>,
        touch: Touch,
    ) -> Result<(String, bool), sqlx::Error> {
        let now: UrlState = column::parsed(("task_urls", "state", &entry.task_id), &entry.state)?;
        let is_handed_over = entry.to_task.is_some() && now != UrlState::Indexed;
        let is_lost = entry.is_lost && entry.to_task.is_none() && now == UrlState::Failed;
        let mut last = entry.after_job.clone();
        for follower in followers {
            if follower.job_id != last {
                if self.is_full() {
                    return Ok((last, false));
                }
                last.clone_from(&follower.job_id);
            }
            let job: JobId = column::parsed(("job_urls", "job_id", &follower.job_id), &follower.job_id)?;
            self.jobs.insert(job, touch);
            self.rows += 1;
            if is_handed_over {
                let to = (&entry.to_task, entry.to_position);
                self.moved.push(json!([job, follower.position, to.0, to.1, NOTHING]));
            } else if is_lost && entry.owner.as_ref() != Some(&follower.job_id) {
                let (canonical, platform) = (entry.canonical.clone(), entry.platform.clone());
                let url = followers::stored_post(follower.url, canonical, platform);
                self.lost.entry(job).or_default().push(Lost { position: follower.position, url });
            }
        }
        Ok((last, true))
    }
}

/// Does a part of what is due; `false` if nothing is, or nothing that can be read.
///
/// First the URLs, then the counts of their jobs, each job once, then the cancels, which bring more of both.
pub(crate) async fn step(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    if tell(batch, front).await? {
        return Ok(true);
    }
    let urls: i64 =
        sqlx::query_scalar("SELECT count(*) FROM due_urls").fetch_one(&mut *batch.connection).await?;
    let front = Front { skip: (front.skip - urls).max(0), ..front };
    if count(batch, front).await? {
        return Ok(true);
    }
    let jobs: i64 =
        sqlx::query_scalar("SELECT count(*) FROM due_counts").fetch_one(&mut *batch.connection).await?;
    let front = Front { skip: (front.skip - jobs).max(0), ..front };
    cancel(batch, front).await
}

/// Tells jobs what became of URLs that they follow.
async fn tell(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    let entries: Vec<Entry> = sqlx::query_as(ENTRIES)
        .bind(if front.is_single { 1 } else { STEP.task_urls })
        .bind(front.skip)
        .fetch_all(&mut *batch.connection)
        .await?;
    if entries.is_empty() {
        return Ok(false);
    }
    let mut gathered = Gathered::default();
    let (mut done, mut reached) = (Vec::new(), None);
    for entry in entries {
        let followers: Vec<Follower> = sqlx::query_as(FOLLOWERS)
            .bind(&entry.task_id)
            .bind(entry.position)
            .bind(&entry.after_job)
            .bind(i64::try_from(STEP.rows).unwrap_or(i64::MAX))
            .fetch_all(&mut *batch.connection)
            .await?;
        let is_whole = followers.len() < STEP.rows;
        let source = column::parsed(("due_urls", "source", &entry.task_id), &entry.source)?;
        let touch = Touch { at: Timestamp::from_millis(entry.at), source };
        let (last, took_all) = gathered.take(&entry, followers, touch)?;
        if took_all && is_whole {
            done.push(entry.number);
        } else {
            reached = Some((entry.number, last));
        }
        if reached.is_some() || gathered.is_full() {
            break;
        }
    }
    if let Some((number, last)) = reached {
        sqlx::query("UPDATE due_urls SET after_job = ?2 WHERE number = ?1")
            .bind(number)
            .bind(last)
            .execute(&mut *batch.connection)
            .await?;
    }
    sqlx::query("DELETE FROM due_urls WHERE number IN (SELECT value FROM json_each(?1))")
        .bind(json!(done).to_string())
        .execute(&mut *batch.connection)
        .await?;
    follow(batch, gathered).await?;
    Ok(true)
}

const DEFER_COUNTS: &str = "INSERT INTO due_counts (job_id, at, source)
     SELECT value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true
     ON CONFLICT (job_id) DO UPDATE SET at = excluded.at, source = excluded.source";

/// Lets the gathered jobs follow other task URLs where they have to; their counts are due.
async fn follow(batch: &mut Batch<'_>, gathered: Gathered) -> Result<(), sqlx::Error> {
    followers::follow_others(batch.connection, gathered.moved).await?;
    for (job, lost) in gathered.lost {
        let Some(touch) = gathered.jobs.get(&job) else { continue };
        followers::place_lost(batch, job, lost, *touch).await?;
    }
    let row = |(job, touch): (&JobId, &Touch)| json!([job, touch.at.as_millis(), touch.source]);
    let rows: Vec<Value> = gathered.jobs.iter().map(row).collect();
    sqlx::query(DEFER_COUNTS).bind(json!(rows).to_string()).execute(&mut *batch.connection).await?;
    Ok(())
}

#[derive(FromRow)]
struct CountRow {
    job_id: String,
    at: i64,
    source: String,
    urls: i64,
}

/// Counts where the URLs of jobs stand.
async fn count(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    let rows: Vec<CountRow> = sqlx::query_as(
        "SELECT job_id, at, source, (SELECT urls FROM jobs WHERE jobs.id = job_id) AS urls
         FROM due_counts ORDER BY job_id LIMIT ?1 OFFSET ?2",
    )
    .bind(if front.is_single { 1 } else { i64::try_from(STEP.jobs).unwrap_or(i64::MAX) })
    .bind(front.skip)
    .fetch_all(&mut *batch.connection)
    .await?;
    let (mut jobs, mut urls) = (Vec::new(), 0);
    for row in rows {
        let job: JobId = column::parsed(("due_counts", "job_id", &row.job_id), &row.job_id)?;
        let source = column::parsed(("due_counts", "source", &row.job_id), &row.source)?;
        batch.changes.jobs.insert(job, Touch { at: Timestamp::from_millis(row.at), source });
        jobs.push(job);
        urls += row.urls;
        if urls >= STEP.urls {
            break;
        }
    }
    if jobs.is_empty() {
        return Ok(false);
    }
    followers::count(batch.connection, &jobs).await?;
    sqlx::query("DELETE FROM due_counts WHERE job_id IN (SELECT value FROM json_each(?1))")
        .bind(json!(jobs).to_string())
        .execute(&mut *batch.connection)
        .await?;
    Ok(true)
}

#[derive(FromRow)]
struct CancelRow {
    job_id: String,
    words: String,
    after_task: String,
    last_task: String,
    at: i64,
}

/// Goes on with the cancel of a job.
async fn cancel(batch: &mut Batch<'_>, front: Front) -> Result<bool, sqlx::Error> {
    let row: Option<CancelRow> = sqlx::query_as(
        "SELECT job_id, words, after_task, last_task, at FROM due_cancels ORDER BY job_id LIMIT 1 OFFSET ?1",
    )
    .bind(front.skip)
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let job = column::parsed(("due_cancels", "job_id", &row.job_id), &row.job_id)?;
    let at = Timestamp::from_millis(row.at);
    let cancel = Cancel { job, words: row.words, after: row.after_task, last: row.last_task, at };
    decisions::cancel_queued(batch, &cancel).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
