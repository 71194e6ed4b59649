//! Jobs: taken with their whole plan in one commit, and read.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::domain::event::{EventKind, Source};
use crate::domain::id::JobId;
use crate::domain::idempotency::quoted;
use crate::domain::job::{Job, JobOptions, JobPlan, PlannedUrls, Progress, UrlState};
use crate::domain::plan::plan;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, Touch};
use crate::store::column;
use crate::store::derive::followers;
use crate::store::derive::ledger::{self, Placed, Wanted};
use crate::store::error::ReadError;
use crate::store::read::Readers;
use crate::store::read::jobs::read;

/// A job with its plan.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// When it was asked for.
    pub at: Timestamp,
    /// The API key that asked for it.
    pub created_by: Option<String>,
    /// The settings of all its tasks.
    pub options: JobOptions,
    /// Its URLs, folded, at least one.
    pub urls: Vec<PostUrl>,
    /// Whether to send also what is known or on its way.
    pub force: bool,
    /// What makes sure that it is made once, however often it is asked for.
    pub idempotency: Option<IdempotencyKey>,
}

/// A client's own word for a request, under which it is done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The API key's name; empty in keyless mode.
    pub caller: String,
    /// The word.
    pub key: String,
    /// SHA-256 of the request.
    pub request: [u8; 32],
}

/// What became of a job that was asked for.
#[derive(Clone, Debug)]
pub enum CreatedJob {
    /// It was made.
    New(Job),
    /// The same request came before: the job that it made, as it is now.
    Again(Job),
    /// Another request came with its key before; nothing was made.
    OtherRequest,
}

/// Takes a job, unless the same request made it before.
pub(crate) async fn create_once(batch: &mut Batch<'_>, job: &NewJob) -> Result<CreatedJob, sqlx::Error> {
    let Some(IdempotencyKey { caller, key, request }) = &job.idempotency else {
        return create(batch, job).await.map(CreatedJob::New);
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
    .fetch_optional(&mut *batch.connection)
    .await?;
    if let Some((known, id)) = before {
        if known != request {
            return Ok(CreatedJob::OtherRequest);
        }
        let id = column::parsed(("idempotency_keys", "job_id", key), &id)?;
        return read(batch.connection, id).await?.map(CreatedJob::Again).ok_or(sqlx::Error::RowNotFound);
    }
    let created = create(batch, job).await?;
    sqlx::query("INSERT INTO idempotency_keys (caller, key, request, job_id) VALUES (?1, ?2, ?3, ?4)")
        .bind(caller)
        .bind(key)
        .bind(&request[..])
        .bind(job.id.to_string())
        .execute(&mut *batch.connection)
        .await?;
    Ok(CreatedJob::New(created))
}

/// Takes a job: which task URL each of its own URLs follows, and tasks for those that nobody carries.
async fn create(batch: &mut Batch<'_>, job: &NewJob) -> Result<Job, sqlx::Error> {
    batch.changes.events.push(NewEvent {
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
    .execute(&mut *batch.connection)
    .await?;
    let labels: Vec<_> = job.options.labels.iter().collect();
    sqlx::query(
        "INSERT INTO job_labels (key, value, job_id) SELECT value->>0, value->>1, ?2 FROM json_each(?1)",
    )
    .bind(json!(labels).to_string())
    .bind(job.id.to_string())
    .execute(&mut *batch.connection)
    .await?;
    let wanted = Wanted {
        job: job.id,
        options: &job.options,
        cap: batch.policy.urls_per_task,
        force: job.force,
        at: job.at,
        source: Source::Operator,
    };
    let urls = (0..).zip(job.urls.iter().cloned()).collect();
    let placed = ledger::place(batch, &wanted, urls).await?;
    let rows: Vec<_> = placed.iter().map(row).collect();
    sqlx::query(
        "INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed)
         SELECT ?2, value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?1)",
    )
    .bind(json!(rows).to_string())
    .bind(job.id.to_string())
    .execute(&mut *batch.connection)
    .await?;
    let mut change = Progress::default();
    for url in &placed {
        change.add(url.state, 1);
    }
    let touch = Touch { at: job.at, source: Source::Operator };
    followers::move_urls(batch.connection, &[(job.id, change)].into()).await?;
    batch.changes.jobs.insert(job.id, touch);
    followers::settle(batch).await?;
    read(batch.connection, job.id).await?.ok_or(sqlx::Error::RowNotFound)
}

/// A row of `job_urls`: position, URL, the task URL it follows, and whether it is known for good.
fn row(placed: &Placed) -> Value {
    let fixed = (placed.state == UrlState::Known).then_some("known");
    json!([placed.position, placed.url.given, placed.task, placed.task_position, fixed])
}

impl Readers {
    /// What would become of a job now; nothing is stored.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn plan_job(&self, job: &NewJob) -> Result<JobPlan, ReadError> {
        let urls: Vec<_> = (0..).zip(job.urls.iter().cloned()).collect();
        let carried = match job.force {
            true => HashMap::new(),
            false => {
                let mut reader = self.acquire().await?;
                ledger::find(&mut reader, &job.options, &urls, None).await?
            }
        };
        let rest = job.urls.iter().filter(|url| !carried.contains_key(&url.canonical)).cloned().collect();
        let tasks = plan(rest, self.policy().urls_per_task);
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
}
