//! Tasks, as they are read.

use sqlx::{FromRow, QueryBuilder};

use crate::domain::id::{JobId, TaskId};
use crate::domain::task::{Task, TaskState, TaskUrl};
use crate::domain::url::Platform;
use crate::store::column;
use crate::store::error::ReadError;
use crate::store::read::{Readers, videos};

/// Which tasks are asked for, newest first.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Only those in this state.
    pub state: Option<TaskState>,
    /// Only those of this job.
    pub job: Option<JobId>,
    /// Only those of this platform.
    pub platform: Option<String>,
    /// Only those that carry the post with this canonical URL.
    pub canonical: Option<String>,
    /// Only those before this one.
    pub before: Option<TaskId>,
    /// At most so many.
    pub limit: i64,
}

#[derive(FromRow)]
struct Row {
    id: String,
    job_id: Option<String>,
    upstream_id: Option<String>,
    state: String,
    platform: Option<String>,
    created_at: i64,
    accepted_at: Option<i64>,
    downloaded_at: Option<i64>,
    settled_at: Option<i64>,
    retry_of: Option<String>,
    replaced_by: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

#[derive(FromRow)]
struct UrlRow {
    url: String,
    state: String,
    error_code: Option<String>,
    error_message: Option<String>,
    video_ids: String,
}

impl Readers {
    /// Tasks, newest first.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, ReadError> {
        let mut query = QueryBuilder::new("SELECT * FROM tasks WHERE true");
        if let Some(before) = filter.before {
            query.push(" AND id < ").push_bind(before.to_string());
        }
        // Most tasks may be in one state: `+` keeps SQLite from its index where another one is narrow.
        let is_narrow = filter.job.is_some() || filter.canonical.is_some();
        if let Some(state) = filter.state {
            query.push(if is_narrow { " AND +state = " } else { " AND state = " }).push_bind(state.as_str());
        }
        if let Some(job) = filter.job {
            // By the URLs, not by the plan: a job may follow URLs of another job's task.
            query.push(" AND (job_id = ").push_bind(job.to_string());
            query.push(" OR id IN (SELECT task_id FROM job_urls WHERE job_id = ");
            query.push_bind(job.to_string()).push(" AND fixed IS NOT 'unattributed'))");
        }
        if let Some(platform) = &filter.platform {
            query.push(if is_narrow { " AND +platform = " } else { " AND platform = " });
            query.push_bind(platform.as_str());
        }
        if let Some(canonical) = &filter.canonical {
            query.push(" AND id IN (SELECT task_id FROM task_urls WHERE canonical = ");
            query.push_bind(canonical.as_str()).push(")");
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(filter.limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(task).collect::<Result<_, _>>()?)
    }

    /// The task with this id, ours or upstream's; the newest where upstream gave one id to several.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn find_task(&self, id: &str) -> Result<Option<TaskId>, ReadError> {
        let found: Option<String> = if id.parse::<TaskId>().is_ok() {
            sqlx::query_scalar("SELECT id FROM tasks WHERE id = ?1")
                .bind(id)
                .fetch_optional(&self.pool)
                .await?
        } else {
            sqlx::query_scalar(
                "SELECT id FROM tasks WHERE upstream_id = ?1 ORDER BY job_id IS NULL, id DESC LIMIT 1",
            )
            .bind(id)
            .fetch_optional(&self.pool)
            .await?
        };
        let parsed = |id: String| column::parsed(("tasks", "id", &id), &id);
        Ok(found.map(parsed).transpose()?)
    }

    /// One task with its URLs and videos.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, ReadError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM tasks WHERE id = ?1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await?;
        let Some(mut task) = row.map(task).transpose()? else { return Ok(None) };
        let rows: Vec<UrlRow> = sqlx::query_as(
            "SELECT url, state, error_code, error_message,
               (SELECT json_group_array(video_id) FROM listings
                  WHERE listings.task_id = task_urls.task_id
                    AND listings.position = task_urls.position) AS video_ids
             FROM task_urls WHERE task_id = ?1 ORDER BY position",
        )
        .bind(id.to_string())
        .fetch_all(&self.pool)
        .await?;
        let text = id.to_string();
        let url = |row: UrlRow| {
            Ok(TaskUrl {
                url: row.url,
                state: column::parsed(("task_urls", "state", &text), &row.state)?,
                video_ids: column::json(("listings", "video_id", &text), &row.video_ids)?,
                error: column::failure(row.error_code, row.error_message),
            })
        };
        task.urls = Some(rows.into_iter().map(url).collect::<Result<_, sqlx::Error>>()?);
        task.videos = Some(videos::of_task(&self.pool, id).await?);
        Ok(Some(task))
    }
}

fn task(row: Row) -> Result<Task, sqlx::Error> {
    let at = |column| ("tasks", column, row.id.as_str());
    Ok(Task {
        id: column::parsed(at("id"), &row.id)?,
        job_id: column::parsed_option(at("job_id"), row.job_id.as_deref())?,
        state: column::parsed(at("state"), &row.state)?,
        created_at: column::time(at("created_at"), row.created_at)?,
        accepted_at: column::time_option(at("accepted_at"), row.accepted_at)?,
        downloaded_at: column::time_option(at("downloaded_at"), row.downloaded_at)?,
        settled_at: column::time_option(at("settled_at"), row.settled_at)?,
        retry_of: column::parsed_option(at("retry_of"), row.retry_of.as_deref())?,
        replaced_by: column::parsed_option(at("replaced_by"), row.replaced_by.as_deref())?,
        upstream_id: row.upstream_id,
        platform: row.platform.map(Platform::from_stored),
        error: column::failure(row.error_code, row.error_message),
        urls: None,
        videos: None,
    })
}
