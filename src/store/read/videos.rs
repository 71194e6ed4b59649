//! Queries for videos. Must never show a job the videos of other jobs' URLs.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqlitePool;

use crate::domain::id::{JobId, TaskId};
use crate::domain::outcome::Failure;
use crate::domain::url::CanonicalUrl;
use crate::domain::video::{Video, VideoState};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// A filter for videos, newest first.
#[derive(Clone, Debug, Default)]
pub struct VideoFilter {
    /// Only videos in this state.
    pub state: Option<VideoState>,
    /// Only videos that this task brought.
    pub task: Option<TaskId>,
    /// Only videos of this job's URLs.
    pub job: Option<JobId>,
    /// Only videos of the post with this canonical URL.
    pub canonical: Option<String>,
    /// Only videos before this place.
    pub before: Option<i64>,
    /// The most videos to return.
    pub limit: i64,
}

row! {
    struct Row {
        number: i64,
        id: String,
        task_id: String,
        has_task: bool,
        job_id: Option<String>,
        tasks: String,
        url: Option<String>,
        attributed: bool,
        state: String,
        first_seen_at: i64,
        indexed_at: Option<i64>,
        error_code: Option<String>,
        error_message: Option<String>,
    }
}

const SELECT: &str = "SELECT videos.number, videos.id, videos.task_id, tasks.id IS NOT NULL AS has_task,
    tasks.job_id, videos.state, first_seen_at,
    indexed_at, videos.error_code, videos.error_message,
    (SELECT ifnull(rounds.url, posts.url) FROM joins CROSS JOIN attempts USING (task, position)
       CROSS JOIN rounds ON rounds.number = attempts.round CROSS JOIN posts ON posts.number = rounds.post
       WHERE joins.video = videos.id ORDER BY attributed DESC, attempts.task, attempts.position LIMIT 1) AS url,
    ifnull((SELECT max(attributed) FROM joins CROSS JOIN attempts USING (task, position)
       WHERE joins.video = videos.id), 0) AS attributed,
    (SELECT json_group_array(task_id) FROM (
       SELECT DISTINCT task_id FROM facts
       WHERE facts.video_id = videos.id AND facts.video_id <> '' ORDER BY task_id)) AS tasks
    FROM videos LEFT JOIN tasks ON tasks.id = videos.task_id WHERE ";

impl Readers {
    /// Returns videos, newest first, each with its place for the cursor.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn videos(&self, filter: &VideoFilter) -> Result<Vec<(i64, Video)>, ReadError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("videos.number < ").push_bind(filter.before.unwrap_or(i64::MAX));
        if let Some(state) = filter.state {
            // Most videos are in one state. The `+` keeps SQLite from using the index on states if a narrower one
            // exists.
            let is_narrow = filter.task.is_some() || filter.job.is_some() || filter.canonical.is_some();
            query.push(if is_narrow { " AND +videos.state = " } else { " AND videos.state = " });
            query.push_bind(state.as_str());
        }
        if let Some(task) = filter.task {
            query.push(" AND videos.id IN (SELECT video_id FROM facts WHERE video_id <> '' AND task_id = ");
            query.push_bind(task.to_string()).push(")");
        }
        if let Some(job) = filter.job {
            // A job sees the videos of its own URLs, but not those of other jobs' URLs in the same request.
            query.push(
                " AND videos.id IN (SELECT video FROM wants CROSS JOIN attempts ON attempts.round = wants.round
                   CROSS JOIN joins ON joins.task = attempts.task AND joins.position = attempts.position
                   WHERE (mark IS NULL OR mark = 1) AND wants.job = (SELECT number FROM jobs WHERE id = ",
            );
            query.push_bind(job.to_string()).push("))");
        }
        if let Some(canonical) = &filter.canonical {
            query.push(
                " AND videos.id IN (SELECT video FROM posts CROSS JOIN rounds ON rounds.post = posts.number
                   CROSS JOIN attempts ON attempts.round = rounds.number
                   CROSS JOIN joins ON joins.task = attempts.task AND joins.position = attempts.position
                   WHERE posts.hash = ",
            );
            query.push_bind(CanonicalUrl::hash(canonical)).push(" AND posts.canonical = ");
            query.push_bind(canonical.as_str()).push(")");
        }
        query.push(" ORDER BY videos.number DESC LIMIT ").push_bind(filter.limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(video).collect::<Result<_, _>>()?)
    }

    /// Returns the videos with these ids, in any order. They must exist.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn videos_with_ids(&self, ids: &[&str]) -> Result<Vec<Video>, ReadError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("videos.id IN (SELECT value FROM json_each(");
        query.push_bind(json!(ids).to_string()).push("))");
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.pool).await?;
        let found: BTreeSet<String> = rows.iter().map(|row| row.id.clone()).collect();
        if let Some(id) = ids.iter().find(|id| !found.contains(**id)) {
            Err(column::unreadable(("joins", "video", id), "no such video"))?;
        }
        Ok(rows.into_iter().map(|row| video(row).map(|(_, video)| video)).collect::<Result<_, _>>()?)
    }

    /// Returns one video.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn video(&self, id: &str) -> Result<Option<Video>, ReadError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("videos.id = ").push_bind(id);
        let row: Option<Row> = query.build_query_as().fetch_optional(&self.pool).await?;
        Ok(row.map(video).transpose()?.map(|(_, video)| video))
    }
}

/// Returns the videos of one task, oldest first.
pub(crate) async fn of_task(readers: &SqlitePool, task: TaskId) -> Result<Vec<Video>, sqlx::Error> {
    let mut query = QueryBuilder::new(SELECT);
    query.push("videos.id IN (SELECT video_id FROM facts WHERE video_id <> '' AND task_id = ");
    query.push_bind(task.to_string()).push(") ORDER BY videos.number");
    let rows: Vec<Row> = query.build_query_as().fetch_all(readers).await?;
    rows.into_iter().map(|row| video(row).map(|(_, video)| video)).collect()
}

fn video(row: Row) -> Result<(i64, Video), sqlx::Error> {
    let at = |column| ("videos", column, row.id.as_str());
    if !row.has_task {
        return Err(column::unreadable(at("task_id"), format!("no such task: {}", row.task_id)));
    }
    let tasks: Vec<String> = column::json(("facts", "task_id", &row.id), &row.tasks)?;
    let task = |id: &String| column::parsed(("facts", "task_id", id), id);
    let video = Video {
        task_id: column::parsed(at("task_id"), &row.task_id)?,
        job_id: column::parsed_option(("tasks", "job_id", &row.task_id), row.job_id.as_deref())?,
        tasks: tasks.iter().map(task).collect::<Result<_, _>>()?,
        state: column::parsed(at("state"), &row.state)?,
        first_seen_at: column::time(at("first_seen_at"), row.first_seen_at)?,
        indexed_at: column::time_option(at("indexed_at"), row.indexed_at)?,
        url: row.url,
        attributed: row.attributed,
        error: row.error_code.zip(row.error_message).map(|(code, message)| Failure { code, message }),
        id: row.id,
    };
    Ok((row.number, video))
}
