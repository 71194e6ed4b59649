//! Jobs: accepted in one commit, each URL with the round that it belongs to. Must never make a job twice for one
//! idempotency key.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::destination::Destination;
use crate::domain::event::{EventKind, Source};
use crate::domain::id::JobId;
use crate::domain::idempotency::quoted;
use crate::domain::job::{Job, JobOptions, JobPlan, PlannedUrls};
use crate::domain::plan::plan;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::domain::want::{Arrival, Ask, AttemptStanding, Mark, Post, Terms, look_up};
use crate::domain::webhook::callback::JobCallback;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, Touch};
use crate::store::batch::operation::Operation;
use crate::store::column;
use crate::store::derive::arrivals::{self, Asked, Asking, Placed};
use crate::store::derive::places::{self, Class};
use crate::store::derive::posts::History;
use crate::store::derive::{jobs, posts};
use crate::store::error::ReadError;
use crate::store::ops::deliveries::begin_forwarding;
use crate::store::read::Readers;
use crate::store::read::arriving::{Arriving, ArrivingUrl};
use crate::store::read::estimates::Pacing;
use crate::store::read::jobs::read;

/// A job with its plan.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The time of the request.
    pub at: Timestamp,
    /// The API key of the request.
    pub created_by: Option<String>,
    /// The settings of all its tasks.
    pub options: JobOptions,
    /// Its folded URLs, at least one.
    pub urls: Vec<PostUrl>,
    /// Whether to send posts even if they are known or on their way.
    pub force: bool,
    /// The URL that receives webhooks about its events.
    pub callback: Option<JobCallback>,
    /// The key under which the job is made only once, however often the request is repeated.
    pub idempotency: Option<IdempotencyKey>,
}

/// A key that a client gives to a request, under which the request takes effect once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The name of the API key. Empty in keyless mode.
    pub caller: String,
    /// The client's key.
    pub key: String,
    /// SHA-256 of the request.
    pub request: [u8; 32],
}

/// The result of a request for a job.
#[derive(Clone, Debug)]
pub enum CreatedJob {
    /// The job is new.
    New(Job),
    /// The same request made this job before. It is returned in its present state.
    Again(Job),
    /// Another request used the key before, so nothing was made.
    OtherRequest,
}

impl Operation for NewJob {
    type Reply = CreatedJob;

    const READS_STATES: bool = true;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        create_once(batch, self).await
    }
}

/// Makes a job, unless the same request has made it before.
async fn create_once(batch: &mut Batch<'_>, job: &NewJob) -> Result<CreatedJob, sqlx::Error> {
    let Some(IdempotencyKey { caller, key, request }) = &job.idempotency else {
        return create(batch, job).await.map(CreatedJob::New);
    };
    // Older versions stored a quoted key with its quotes, so an old file can hold both spellings, for two requests.
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

/// Makes a job, with the round of each of its URLs. Posts without a round get a new one.
async fn create(batch: &mut Batch<'_>, job: &NewJob) -> Result<Job, sqlx::Error> {
    batch.changes.events.push(NewEvent {
        job: Some(job.id),
        ..NewEvent::new(EventKind::JobCreated, Source::Operator, job.at)
    });
    let key = places::key(batch, job.created_by.as_deref()).await?;
    let number = insert(batch, job, key).await?;
    let destination = Destination::of(&job.options);
    let touch = Touch { at: job.at, source: Source::Operator };
    let asking = Asking {
        job: number,
        class: Class { key, priority: job.options.priority },
        destination: &destination,
        terms: job.terms(),
        ask: Ask::Job,
        touch,
    };
    let urls = (0..).zip(job.urls.iter().cloned()).map(|(position, url)| Asked { position, url });
    let placed = arrivals::place(batch, &asking, urls.collect()).await?;
    let rows: Vec<Value> = placed.iter().map(row).collect();
    sqlx::query(INSERT_WANTS)
        .bind(json!(rows).to_string())
        .bind(number)
        .execute(&mut *batch.connection)
        .await?;
    let shared: BTreeSet<_> =
        placed.iter().filter(|url| !url.entered).map(|url| (url.round, number)).collect();
    arrivals::serve(batch, &shared).await?;
    jobs::count(batch.connection, &[number]).await?;
    batch.changes.jobs.insert(job.id, touch);
    jobs::settle(batch).await?;
    let job = read(batch.connection, job.id).await?.ok_or(sqlx::Error::RowNotFound)?;
    // Tasks are formed when their turn comes. The job may share older tasks, but those were not made for it.
    Ok(Job { tasks: Some(Vec::new()), ..job })
}

/// Inserts the row of a job without its URLs, and returns its number.
async fn insert(batch: &mut Batch<'_>, job: &NewJob, key: i64) -> Result<i64, sqlx::Error> {
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO jobs (id, created_at, created_by, state, labels, unique_id, folder_id, quality, library,
           force, urls, waiting, priority, key, callback_url, callback_events, callback_format)
         VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13, ?14, ?15) RETURNING number",
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
    .bind(job.options.priority.number())
    .bind(key)
    .bind(job.callback.as_ref().map(|callback| callback.target.expose().as_str()))
    .bind(job.callback.as_ref().map(|callback| {
        json!(callback.events.iter().map(ToString::to_string).collect::<Vec<_>>()).to_string()
    }))
    .bind(job.callback.as_ref().map(|callback| callback.format.as_str()))
    .fetch_one(&mut *batch.connection)
    .await?;
    if job.callback.is_some() {
        begin_forwarding(batch).await?;
    }
    let labels: Vec<_> = job.options.labels.iter().collect();
    sqlx::query(
        "INSERT INTO job_labels (key, value, job_id) SELECT value->>0, value->>1, ?2 FROM json_each(?1)",
    )
    .bind(json!(labels).to_string())
    .bind(job.id.to_string())
    .execute(&mut *batch.connection)
    .await?;
    Ok(number)
}

pub(crate) const INSERT_WANTS: &str = "INSERT INTO wants (job, position, round, mark, url)
     SELECT ?2, value->>0, value->>1, value->>2, value->>3 FROM json_each(?1)";

/// A row of [`INSERT_WANTS`]: the position, the round, the mark, and the URL if it differs from the spelling of the
/// post.
pub(crate) fn row(placed: &Placed) -> Value {
    json!([placed.position, placed.round, placed.mark.map(Mark::number), placed.url])
}

impl NewJob {
    const fn terms(&self) -> Terms {
        Terms { quality: self.options.quality, force: self.force }
    }
}

impl Readers {
    /// Predicts the result of a job without storing anything.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn plan_job(&self, job: &NewJob, pacing: Pacing) -> Result<JobPlan, ReadError> {
        let mut reader = self.acquire().await?;
        let destination = Destination::of(&job.options);
        let canonical = job.urls.iter().map(|url| url.canonical.as_str());
        let histories = posts::histories(&mut reader, &destination, canonical).await?;
        drop(reader);
        let (mut known, mut following, mut unconfirmed) = (0, 0, 0);
        let (mut rest, mut arriving) = (Vec::new(), Vec::new());
        let nothing = History::default();
        for url in &job.urls {
            let history = histories.get(&url.canonical).unwrap_or(&nothing);
            let post = Post { attempts: &history.attempts, queued: history.queued };
            match look_up(&post, job.terms(), Ask::Job) {
                Arrival::Known => known += 1,
                Arrival::Enter => {
                    let kind = arrivals::travel(url, history, Ask::Job) as usize;
                    arriving.push(ArrivingUrl::New(url.platform.as_str().to_owned(), kind));
                    rest.push(url.clone());
                }
                Arrival::Join(round) => {
                    following += 1;
                    arriving.push(ArrivingUrl::Joined(round));
                    let is_unconfirmed = history.attempts.iter().any(|attempt| {
                        attempt.round == round && attempt.standing == AttemptStanding::Unconfirmed
                    });
                    unconfirmed += usize::from(is_unconfirmed);
                }
            }
        }
        let tasks = plan(rest, self.policy().urls_per_task).into_iter();
        let planned = tasks.map(|task| PlannedUrls { platform: task.platform, urls: task.urls.len() });
        let arriving = Arriving {
            key: job.created_by.as_deref(),
            priority: job.options.priority,
            destination,
            quality: job.options.quality,
            urls: arriving,
        };
        let queue = self.estimate_arriving(arriving, pacing).await?;
        Ok(JobPlan { urls: job.urls.len(), tasks: planned.collect(), known, following, unconfirmed, queue })
    }
}
