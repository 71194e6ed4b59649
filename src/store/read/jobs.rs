//! Queries for jobs. Must never read a growing table from one end to the other.

use serde_json::json;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

use crate::domain::id::JobId;
use crate::domain::job::{Job, JobOptions, JobState, JobTask, Quality};
use crate::domain::queue::Priority;
use crate::domain::url::Platform;
use crate::domain::webhook::target::Target;
use crate::store::column::{self, Counts, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// Returns the settings of a job's posts, and whether it sends them even if they are known or on their way.
pub(crate) async fn options(
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
        priority: job.priority,
    };
    row.job().map(|job| Some((options(job), force)))
}

row! {
    /// A task that serves a job.
    struct TaskRow {
        id: String,
        state: String,
        platform: Option<String>,
        urls: i64,
    }
}

/// Returns one job with the tasks that serve it.
pub(crate) async fn read(connection: &mut SqliteConnection, id: JobId) -> Result<Option<Job>, sqlx::Error> {
    let row: Option<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = ?1")
        .bind(id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(mut job) = row.map(JobRow::job).transpose()? else { return Ok(None) };
    let tasks: Vec<TaskRow> = sqlx::query_as(
        "SELECT tasks.id, tasks.state, platform,
           (SELECT count(*) FROM attempts WHERE attempts.task = tasks.number) AS urls
         FROM served CROSS JOIN tasks ON tasks.number = served.task
         WHERE served.job = (SELECT number FROM jobs WHERE id = ?1) ORDER BY tasks.id",
    )
    .bind(id.to_string())
    .fetch_all(connection)
    .await?;
    let task = |TaskRow { id, state, platform, urls }| {
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

/// A filter for jobs, newest first.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs with this label.
    pub label: Option<(String, String)>,
    /// Only jobs that ask for this quality.
    pub quality: Option<Quality>,
    /// Only jobs with one of these numbers.
    pub among: Option<Vec<i64>>,
    /// Only jobs before this one.
    pub before: Option<JobId>,
    /// The most jobs to return.
    pub limit: i64,
}

/// The number of jobs that can be searched for a label in a negligible time.
const FEW_JOBS: i64 = 1_000;

/// The query for a page of jobs. It follows an index from the newest job on, so nothing is sorted, and no table is
/// read from one end to the other.
pub(crate) fn list(filter: &JobFilter, by_state: bool) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT jobs.* FROM ");
    match &filter.label {
        Some((key, value)) if !by_state && filter.among.is_none() => {
            query.push("job_labels CROSS JOIN jobs ON jobs.id = job_labels.job_id WHERE job_labels.key = ");
            query.push_bind(key.clone()).push(" AND value = ").push_bind(value.clone());
            if let Some(before) = filter.before {
                query.push(" AND job_id < ").push_bind(before.to_string());
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(state.as_str());
            }
            push_quality(&mut query, filter.quality);
            query.push(" ORDER BY job_id DESC");
        }
        label => {
            match &filter.among {
                Some(numbers) => {
                    query.push("json_each(").push_bind(json!(numbers).to_string());
                    query.push(") AS among CROSS JOIN jobs ON jobs.number = among.value WHERE true");
                }
                None => {
                    query.push("jobs WHERE true");
                }
            }
            if let Some(before) = filter.before {
                query.push(" AND jobs.id < ").push_bind(before.to_string());
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(state.as_str());
            }
            if let Some((key, value)) = label {
                query.push(" AND EXISTS (SELECT 1 FROM job_labels WHERE job_id = jobs.id AND key = ");
                query.push_bind(key.clone()).push(" AND value = ").push_bind(value.clone()).push(")");
            }
            push_quality(&mut query, filter.quality);
            query.push(" ORDER BY jobs.id DESC");
        }
    }
    query.push(" LIMIT ").push_bind(filter.limit);
    query
}

fn push_quality(query: &mut QueryBuilder<Sqlite>, quality: Option<Quality>) {
    if let Some(quality) = quality {
        query.push(" AND quality = ").push_bind(quality.as_str());
    }
}

row! {
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
        priority: i64,
        callback_url: Option<String>,
        ..counts: Counts,
    }
}

impl JobRow {
    fn job(self) -> Result<Job, sqlx::Error> {
        let at = |column| ("jobs", column, self.id.as_str());
        Ok(Job {
            id: column::parsed(at("id"), &self.id)?,
            state: column::parsed(at("state"), &self.state)?,
            created_at: column::time(at("created_at"), self.created_at)?,
            settled_at: column::time_option(at("settled_at"), self.settled_at)?,
            labels: column::json(at("labels"), &self.labels)?,
            progress: self.counts.progress(),
            quality: column::parsed(at("quality"), &self.quality)?,
            library: column::parsed(at("library"), &self.library)?,
            priority: column::numbered(at("priority"), self.priority, Priority::from_number)?,
            unique_id: self.unique_id,
            folder_id: self.folder_id,
            callback_url: shown(at("callback_url"), self.callback_url.as_deref())?,
            queue: None,
            tasks: None,
        })
    }
}

/// The URL of a job without its secrets.
fn shown(at: column::Place<'_>, url: Option<&str>) -> Result<Option<String>, sqlx::Error> {
    let target = url.map(Target::from_stored).transpose().map_err(|error| column::unreadable(at, error))?;
    Ok(target.map(|target| target.to_string()))
}

impl Readers {
    /// Returns jobs, newest first.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>, ReadError> {
        // Many jobs may have the label or be in the state. The query follows the smaller of the two sets.
        let by_state = match (filter.state, &filter.label) {
            (Some(state), Some(_)) => self.jobs_in(state).await? <= FEW_JOBS,
            (state, None) => state.is_some(),
            (None, Some(_)) => false,
        };
        let rows: Vec<JobRow> = list(filter, by_state).build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(JobRow::job).collect::<Result<_, _>>()?)
    }

    async fn jobs_in(&self, state: JobState) -> Result<i64, ReadError> {
        let count: Option<i64> =
            sqlx::query_scalar("SELECT count FROM counts WHERE subject = 'jobs' AND state = ?1")
                .bind(state.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(count.unwrap_or_default())
    }

    /// Returns one job with its tasks.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, ReadError> {
        let mut reader = self.pool.acquire().await?;
        Ok(read(&mut reader, id).await?)
    }
}
