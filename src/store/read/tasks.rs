//! Queries for tasks. Must never read a growing table from one end to the other.

use sqlx::QueryBuilder;

use crate::domain::id::{JobId, TaskId};
use crate::domain::outcome::{Reason, UrlState};
use crate::domain::task::{Task, TaskState, TaskUrl};
use crate::domain::url::{CanonicalUrl, Platform};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::{Readers, videos};

/// A filter for tasks, newest first.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Only tasks in this state.
    pub state: Option<TaskState>,
    /// Only tasks of this job.
    pub job: Option<JobId>,
    /// Only tasks of this platform.
    pub platform: Option<String>,
    /// Only tasks that carry the post with this canonical URL.
    pub canonical: Option<String>,
    /// Only tasks before this one.
    pub before: Option<TaskId>,
    /// The most tasks to return.
    pub limit: i64,
}

row! {
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
        error_certain: Option<bool>,
        jobs: String,
        jobs_total: i64,
    }
}

/// A task, with the first of the jobs that it serves.
pub(crate) const SELECT: &str = "SELECT *,
       (SELECT json_group_array(id) FROM (
          SELECT jobs.id FROM served CROSS JOIN jobs ON jobs.number = served.job
          WHERE served.task = tasks.number ORDER BY served.job LIMIT 100)) AS jobs,
       (SELECT count(*) FROM served WHERE served.task = tasks.number) AS jobs_total
     FROM tasks WHERE ";

row! {
    struct UrlRow {
        url: Option<String>,
        state: i64,
        code: Option<String>,
        message: Option<String>,
        certain: Option<bool>,
        video_ids: String,
    }
}

impl Readers {
    /// Returns tasks, newest first.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn tasks(&self, filter: &TaskFilter) -> Result<Vec<Task>, ReadError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("true");
        if let Some(before) = filter.before {
            query.push(" AND id < ").push_bind(before.to_string());
        }
        // Most tasks may be in one state. The `+` keeps SQLite from using the index on states if a narrower one
        // exists.
        let is_narrow = filter.job.is_some() || filter.canonical.is_some();
        if let Some(state) = filter.state {
            query.push(if is_narrow { " AND +state = " } else { " AND state = " }).push_bind(state.as_str());
        }
        if let Some(job) = filter.job {
            query.push(
                " AND number IN (SELECT task FROM served WHERE job = (SELECT number FROM jobs WHERE id = ",
            );
            query.push_bind(job.to_string()).push("))");
        }
        if let Some(platform) = &filter.platform {
            query.push(if is_narrow { " AND +platform = " } else { " AND platform = " });
            query.push_bind(platform.as_str());
        }
        if let Some(canonical) = &filter.canonical {
            query.push(
                " AND number IN (SELECT task FROM posts CROSS JOIN rounds ON rounds.post = posts.number
                   CROSS JOIN attempts ON attempts.round = rounds.number WHERE posts.hash = ",
            );
            query.push_bind(CanonicalUrl::hash(canonical)).push(" AND posts.canonical = ");
            query.push_bind(canonical.as_str()).push(")");
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(filter.limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(task).collect::<Result<_, _>>()?)
    }

    /// Returns the task with this id, scrapehook's or upstream's. If upstream gave one id to several tasks, the
    /// newest counts.
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
                "SELECT id FROM tasks WHERE upstream_id = ?1 OR other_id = ?1 ORDER BY job_id IS NULL, id DESC LIMIT 1",
            )
            .bind(id)
            .fetch_optional(&self.pool)
            .await?
        };
        let parsed = |id: String| column::parsed(("tasks", "id", &id), &id);
        Ok(found.map(parsed).transpose()?)
    }

    /// Returns one task with its URLs and videos.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, ReadError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("id = ").push_bind(id.to_string());
        let row: Option<Row> = query.build_query_as().fetch_optional(&self.pool).await?;
        let Some(mut task) = row.map(task).transpose()? else { return Ok(None) };
        let rows: Vec<UrlRow> = sqlx::query_as(
            "SELECT ifnull(rounds.url, posts.url) AS url, attempts.state, attempts.code, attempts.message,
               attempts.certain,
               (SELECT json_group_array(video) FROM joins
                  WHERE joins.task = attempts.task AND joins.position = attempts.position) AS video_ids
             FROM attempts LEFT JOIN rounds ON rounds.number = attempts.round
               LEFT JOIN posts ON posts.number = rounds.post
             WHERE attempts.task = (SELECT number FROM tasks WHERE id = ?1) ORDER BY attempts.position",
        )
        .bind(id.to_string())
        .fetch_all(&self.pool)
        .await?;
        let text = id.to_string();
        let url = |row: UrlRow| {
            Ok(TaskUrl {
                url: row
                    .url
                    .ok_or_else(|| column::unreadable(("attempts", "round", &text), "no such round"))?,
                state: column::numbered(("attempts", "state", &text), row.state, UrlState::from_number)?,
                video_ids: column::json(("joins", "video", &text), &row.video_ids)?,
                error: reason(row.code, row.message, row.certain),
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
        error: reason(row.error_code, row.error_message, row.error_certain),
        jobs: column::json(at("jobs"), &row.jobs)?,
        jobs_total: row.jobs_total,
        urls: None,
        videos: None,
    })
}

fn reason(code: Option<String>, message: Option<String>, certain: Option<bool>) -> Option<Reason> {
    let certain = certain.unwrap_or(true);
    column::failure(code, message).map(|failure| Reason { failure, certain })
}
