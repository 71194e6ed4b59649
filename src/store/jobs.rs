//! Jobs: taken with their whole plan in one commit, and read.

use std::collections::HashMap;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::changes::{Changes, NewEvent, Touch};
use super::ledger::{self, Placed, Wanted};
use super::op::{CreatedJob, IdempotencyKey, NewJob};
use super::{Policy, ReadError, Store, column, followers};
use crate::domain::event::{EventKind, Source};
use crate::domain::id::JobId;
use crate::domain::idempotency::quoted;
use crate::domain::job::{Job, JobOptions, JobPlan, JobState, JobTask, PlannedUrls, Progress, UrlState};
use crate::domain::plan::plan;
use crate::domain::url::Platform;

/// Takes a job, unless the same request made it before.
pub(super) async fn create_once(
    connection: &mut SqliteConnection,
    job: &NewJob,
    policy: Policy,
    changes: &mut Changes,
) -> Result<CreatedJob, sqlx::Error> {
    let Some(IdempotencyKey { caller, key, request }) = &job.idempotency else {
        return create(connection, job, policy, changes).await.map(CreatedJob::New);
    };
    // A key in quotes was once kept with its quotes, so an old file can hold both spellings, for two requests.
    let before: Option<(Vec<u8>, String)> = sqlx::query_as(
        "SELECT request, job_id FROM idempotency_keys WHERE caller = ?1 AND key IN (?2, ?3)
         ORDER BY request = ?4 DESC LIMIT 1",
    )
    .bind(caller)
    .bind(key)
    .bind(quoted(key))
    .bind(&request[..])
    .fetch_optional(&mut *connection)
    .await?;
    if let Some((known, id)) = before {
        if known != request {
            return Ok(CreatedJob::OtherRequest);
        }
        let id = column::parsed(("idempotency_keys", "job_id", key), &id)?;
        return read(connection, id).await?.map(CreatedJob::Again).ok_or(sqlx::Error::RowNotFound);
    }
    let created = create(connection, job, policy, changes).await?;
    sqlx::query("INSERT INTO idempotency_keys (caller, key, request, job_id) VALUES (?1, ?2, ?3, ?4)")
        .bind(caller)
        .bind(key)
        .bind(&request[..])
        .bind(job.id.to_string())
        .execute(connection)
        .await?;
    Ok(CreatedJob::New(created))
}

/// Takes a job: which task URL each of its own URLs follows, and tasks for those that nobody carries.
async fn create(
    connection: &mut SqliteConnection,
    job: &NewJob,
    policy: Policy,
    changes: &mut Changes,
) -> Result<Job, sqlx::Error> {
    changes.events.push(NewEvent {
        job: Some(job.id),
        ..NewEvent::new(EventKind::JobCreated, Source::Operator, job.at)
    });
    sqlx::query(
        "INSERT INTO jobs (id, created_at, created_by, state, labels, unique_id, folder_id, quality, library,
           force, urls, waiting)
         VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0)",
    )
    .bind(job.id.to_string())
    .bind(job.at.as_millis())
    .bind(&job.created_by)
    .bind(json!(job.options.labels).to_string())
    .bind(&job.options.unique_id)
    .bind(job.options.folder_id)
    .bind(job.options.quality.as_str())
    .bind(job.options.library.as_str())
    .bind(job.force)
    .bind(i64::try_from(job.urls.len()).unwrap_or(i64::MAX))
    .execute(&mut *connection)
    .await?;
    let labels: Vec<_> = job.options.labels.iter().collect();
    sqlx::query(
        "INSERT INTO job_labels (key, value, job_id) SELECT value->>0, value->>1, ?2 FROM json_each(?1)",
    )
    .bind(json!(labels).to_string())
    .bind(job.id.to_string())
    .execute(&mut *connection)
    .await?;
    let wanted = Wanted {
        job: job.id,
        options: &job.options,
        cap: policy.urls_per_task,
        force: job.force,
        at: job.at,
        source: Source::Operator,
    };
    let urls = (0..).zip(job.urls.iter().cloned()).collect();
    let placed = ledger::place(connection, &wanted, urls, changes).await?;
    let rows: Vec<_> = placed.iter().map(row).collect();
    sqlx::query(
        "INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed)
         SELECT ?2, value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?1)",
    )
    .bind(json!(rows).to_string())
    .bind(job.id.to_string())
    .execute(&mut *connection)
    .await?;
    let mut change = Progress::default();
    for url in &placed {
        change.add(url.state, 1);
    }
    let touch = Touch { at: job.at, source: Source::Operator };
    followers::move_urls(connection, &[(job.id, change)].into()).await?;
    changes.jobs.insert(job.id, touch);
    followers::settle(connection, changes).await?;
    read(connection, job.id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// A row of `job_urls`: position, URL, the task URL it follows, and whether it is known for good.
fn row(placed: &Placed) -> Value {
    let fixed = (placed.state == UrlState::Known).then_some("known");
    json!([placed.position, placed.url.given, placed.task, placed.task_position, fixed])
}

/// The settings that a job's tasks are submitted with, and whether it sends also what others carry.
pub(super) async fn options(
    connection: &mut SqliteConnection,
    id: JobId,
) -> Result<Option<(JobOptions, bool)>, sqlx::Error> {
    let row: Option<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = ?1")
        .bind(id.to_string())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let force = row.force;
    let options = |job: Job| JobOptions {
        unique_id: job.unique_id,
        folder_id: job.folder_id,
        quality: job.quality,
        library: job.library,
        labels: job.labels,
    };
    row.job().map(|job| Some((options(job), force)))
}

/// One job with its tasks: its own, and those of other jobs that carry URLs of it.
pub(super) async fn read(connection: &mut SqliteConnection, id: JobId) -> Result<Option<Job>, sqlx::Error> {
    let row: Option<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = ?1")
        .bind(id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(mut job) = row.map(JobRow::job).transpose()? else { return Ok(None) };
    let tasks: Vec<(String, String, Option<String>, i64)> = sqlx::query_as(
        "SELECT id, state, platform, (SELECT count(*) FROM task_urls WHERE task_id = tasks.id)
         FROM tasks WHERE job_id = ?1 OR id IN (
           SELECT task_id FROM job_urls WHERE job_id = ?1 AND fixed IS NOT 'unattributed') ORDER BY id",
    )
    .bind(id.to_string())
    .fetch_all(connection)
    .await?;
    let task = |(id, state, platform, urls): (String, String, Option<String>, i64)| {
        Ok(JobTask {
            id: column::parsed(("tasks", "id", &id), &id)?,
            state: column::parsed(("tasks", "state", &id), &state)?,
            platform: Platform::from_stored(platform.unwrap_or_default()),
            urls,
        })
    };
    job.tasks = Some(tasks.into_iter().map(task).collect::<Result<_, sqlx::Error>>()?);
    Ok(Some(job))
}

/// Which jobs are asked for, newest first.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those with this label.
    pub label: Option<(String, String)>,
    /// Only those before this one.
    pub before: Option<JobId>,
    /// At most so many.
    pub limit: i64,
}

/// So many jobs are looked through for a label in no time.
const FEW_JOBS: i64 = 1_000;

/// The question for a page of jobs. It follows an index from the newest job on: nothing is sorted, and no table is read
/// from one end to the other.
pub(super) fn list(filter: &JobFilter, by_state: bool) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT jobs.* FROM ");
    match &filter.label {
        Some((key, value)) if !by_state => {
            query.push("job_labels CROSS JOIN jobs ON jobs.id = job_labels.job_id WHERE key = ");
            query.push_bind(key.clone()).push(" AND value = ").push_bind(value.clone());
            if let Some(before) = filter.before {
                query.push(" AND job_id < ").push_bind(before.to_string());
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(state.as_str());
            }
            query.push(" ORDER BY job_id DESC");
        }
        label => {
            query.push("jobs WHERE true");
            if let Some(before) = filter.before {
                query.push(" AND id < ").push_bind(before.to_string());
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(state.as_str());
            }
            if let Some((key, value)) = label {
                query.push(" AND EXISTS (SELECT 1 FROM job_labels WHERE job_id = jobs.id AND key = ");
                query.push_bind(key.clone()).push(" AND value = ").push_bind(value.clone()).push(")");
            }
            query.push(" ORDER BY id DESC");
        }
    }
    query.push(" LIMIT ").push_bind(filter.limit);
    query
}

#[derive(FromRow)]
struct JobRow {
    id: String,
    created_at: i64,
    settled_at: Option<i64>,
    state: String,
    labels: String,
    unique_id: Option<String>,
    folder_id: Option<i64>,
    quality: String,
    library: String,
    force: bool,
    urls: i64,
    waiting: i64,
    sent: i64,
    downloaded: i64,
    indexed: i64,
    failed: i64,
    known: i64,
    canceled: i64,
}

impl JobRow {
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

    fn job(self) -> Result<Job, sqlx::Error> {
        let at = |column| ("jobs", column, self.id.as_str());
        Ok(Job {
            id: column::parsed(at("id"), &self.id)?,
            state: column::parsed(at("state"), &self.state)?,
            created_at: column::time(at("created_at"), self.created_at)?,
            settled_at: column::time_option(at("settled_at"), self.settled_at)?,
            labels: column::json(at("labels"), &self.labels)?,
            progress: self.progress(),
            quality: column::parsed(at("quality"), &self.quality)?,
            library: column::parsed(at("library"), &self.library)?,
            unique_id: self.unique_id,
            folder_id: self.folder_id,
            tasks: None,
        })
    }
}

impl Store {
    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, ReadError> {
        // Many jobs may have the label, or be in the state. The smaller of the two leads.
        let by_state = match (filter.state, &filter.label) {
            (Some(state), Some(_)) => self.jobs_in(state).await? <= FEW_JOBS,
            (state, None) => state.is_some(),
            (None, Some(_)) => false,
        };
        let rows: Vec<JobRow> = list(filter, by_state).build_query_as().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(JobRow::job).collect::<Result<_, _>>()?)
    }

    async fn jobs_in(&self, state: JobState) -> Result<i64, ReadError> {
        let count: Option<i64> =
            sqlx::query_scalar("SELECT count FROM counts WHERE subject = 'jobs' AND state = ?1")
                .bind(state.as_str())
                .fetch_optional(&self.readers)
                .await?;
        Ok(count.unwrap_or_default())
    }

    /// What would become of a job now; nothing is stored.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn plan_job(&self, job: &NewJob) -> Result<JobPlan, ReadError> {
        let urls: Vec<_> = (0..).zip(job.urls.iter().cloned()).collect();
        let carried = match job.force {
            true => HashMap::new(),
            false => {
                let mut reader = self.readers.acquire().await?;
                ledger::find(&mut reader, &job.options, &urls, None).await?
            }
        };
        let rest = job.urls.iter().filter(|url| !carried.contains_key(&url.canonical)).cloned().collect();
        let tasks = plan(rest, self.policy.urls_per_task);
        let known = carried.values().filter(|(.., state)| *state == UrlState::Known).count();
        Ok(JobPlan {
            urls: job.urls.len(),
            tasks: tasks
                .into_iter()
                .map(|task| PlannedUrls { platform: task.platform, urls: task.urls.len() })
                .collect(),
            known,
            following: carried.len() - known,
        })
    }

    /// One job with its tasks.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, ReadError> {
        let mut reader = self.readers.acquire().await?;
        Ok(read(&mut reader, id).await?)
    }
}
