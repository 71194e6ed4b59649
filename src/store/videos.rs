//! Videos: folded from the facts of every task that brought them.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{FromRow, QueryBuilder};

use super::changes::{Changes, NewEvent};
use super::working_set::WorkingSet;
use super::{ReadError, Store, column};
use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::task::Failure;
use crate::domain::time::Timestamp;
use crate::domain::video::{Video, VideoState};

/// Stores states that were compared before, in the one place that knows their order.
pub(super) const UPSERT: &str =
    "INSERT INTO videos (id, task_id, state, first_seen_at, indexed_at, error_code, error_message)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6
     FROM json_each(?) WHERE true
     ON CONFLICT (id) DO UPDATE SET
       state = excluded.state, indexed_at = excluded.indexed_at,
       error_code = excluded.error_code, error_message = excluded.error_message";

/// The strongest new fact about a video in a batch.
#[derive(Clone, Debug)]
pub(super) struct VideoNews {
    /// The task that brought it.
    pub(super) task: TaskId,
    /// Every task with news of the video.
    pub(super) tasks: Vec<TaskId>,
    pub(super) first_seen_at: Timestamp,
    pub(super) at: Timestamp,
    pub(super) source: Source,
    pub(super) state: VideoState,
    pub(super) failure: Option<Failure>,
}

/// Folds news into the videos, and carries what changed on to every task that shares them.
pub(super) async fn fold(
    connection: &mut SqliteConnection,
    news: BTreeMap<String, VideoNews>,
    loaded: &mut WorkingSet,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let stored = stored(connection, news.keys()).await?;
    let mut shared = Vec::new();
    for (id, news) in &news {
        let before = stored.get(id);
        let kept = before.filter(|(state, _)| *state >= news.state);
        let (state, failure) = kept.map_or((news.state, &news.failure), |(state, failure)| (*state, failure));
        for task in &news.tasks {
            if let Some(task) = loaded.get_mut(*task) {
                task.set_video(id, state, failure.as_ref());
            }
        }
        if kept.is_some() {
            continue;
        }
        if before.is_some() {
            shared.push(id);
        }
        changes.rows.videos.push(json!([
            id,
            news.task,
            state,
            news.first_seen_at.as_millis(),
            (state == VideoState::Indexed).then(|| news.at.as_millis()),
            failure.as_ref().map(|failure| &failure.code),
            failure.as_ref().map(|failure| &failure.message),
        ]));
        let kind = match state {
            VideoState::Indexing => EventKind::VideoIndexing,
            VideoState::Failed => EventKind::VideoFailed,
            VideoState::Indexed => EventKind::VideoIndexed,
        };
        changes.events.push(NewEvent {
            task: Some(news.task),
            video: Some(id.clone()),
            message: failure.as_ref().map(|failure| failure.message.clone()),
            ..NewEvent::new(kind, news.source, news.at)
        });
    }
    for (video, task) in sharers(connection, &shared).await? {
        let Some(news) = news.get(&video) else { continue };
        loaded.load(connection, [task]).await?;
        if let Some(task) = loaded.get_mut(task) {
            task.set_video(&video, news.state, news.failure.as_ref());
        }
        changes.note(task, news.at, news.source);
    }
    Ok(())
}

async fn stored(
    connection: &mut SqliteConnection,
    videos: impl Iterator<Item = &String>,
) -> Result<HashMap<String, (VideoState, Option<Failure>)>, sqlx::Error> {
    let ids: Vec<&String> = videos.collect();
    let rows: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT id, state, error_code, error_message FROM videos
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(json!(ids).to_string())
    .fetch_all(connection)
    .await?;
    let video = |(id, state, code, message): (String, String, Option<String>, Option<String>)| {
        let failure = code.zip(message).map(|(code, message)| Failure { code, message });
        let state = column::parsed(("videos", "state", &id), &state)?;
        Ok((id, (state, failure)))
    };
    rows.into_iter().map(video).collect()
}

/// Each of these videos with every task that has a fact about it.
async fn sharers(
    connection: &mut SqliteConnection,
    videos: &[&String],
) -> Result<Vec<(String, TaskId)>, sqlx::Error> {
    if videos.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT video_id, task_id FROM facts
         WHERE video_id IN (SELECT value FROM json_each(?1)) AND video_id <> ''",
    )
    .bind(json!(videos).to_string())
    .fetch_all(connection)
    .await?;
    let sharer = |(video, task): (String, String)| {
        let task = column::parsed(("facts", "task_id", &task), &task)?;
        Ok((video, task))
    };
    rows.into_iter().map(sharer).collect()
}

/// Which videos are asked for, newest first.
#[derive(Clone, Debug, Default)]
pub struct VideoFilter {
    /// Only those in this state.
    pub state: Option<VideoState>,
    /// Only those that this task brought.
    pub task: Option<TaskId>,
    /// Only those that a task of this job brought.
    pub job: Option<JobId>,
    /// Only those of the post with this canonical URL.
    pub canonical: Option<String>,
    /// Only those before this place.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

#[derive(FromRow)]
struct Row {
    number: i64,
    id: String,
    task_id: String,
    has_task: bool,
    job_id: Option<String>,
    tasks: String,
    url: Option<String>,
    state: String,
    first_seen_at: i64,
    indexed_at: Option<i64>,
    error_code: Option<String>,
    error_message: Option<String>,
}

const SELECT: &str = "SELECT number, videos.id, videos.task_id, tasks.id IS NOT NULL AS has_task,
    tasks.job_id, videos.state, first_seen_at,
    indexed_at, videos.error_code, videos.error_message,
    (SELECT task_urls.url FROM listings JOIN task_urls USING (task_id, position)
       WHERE listings.video_id = videos.id ORDER BY task_id, position LIMIT 1) AS url,
    (SELECT json_group_array(task_id) FROM (
       SELECT DISTINCT task_id FROM facts
       WHERE facts.video_id = videos.id AND facts.video_id <> '' ORDER BY task_id)) AS tasks
    FROM videos LEFT JOIN tasks ON tasks.id = videos.task_id WHERE ";

impl Store {
    /// Videos, newest first, each with its place for the cursor.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn videos(&self, filter: &VideoFilter) -> Result<Vec<(i64, Video)>, ReadError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("number < ").push_bind(filter.before.unwrap_or(i64::MAX));
        if let Some(state) = filter.state {
            // Most videos are in one state: `+` keeps SQLite from its index where another one is narrow.
            let is_narrow = filter.task.is_some() || filter.job.is_some() || filter.canonical.is_some();
            query.push(if is_narrow { " AND +videos.state = " } else { " AND videos.state = " });
            query.push_bind(state.as_str());
        }
        if let Some(task) = filter.task {
            query.push(" AND videos.id IN (SELECT video_id FROM facts WHERE video_id <> '' AND task_id = ");
            query.push_bind(task.to_string()).push(")");
        }
        if let Some(job) = filter.job {
            query.push(
                " AND videos.id IN (SELECT video_id FROM facts WHERE video_id <> '' AND task_id IN
                   (SELECT task_id FROM job_urls WHERE job_id = ",
            );
            query.push_bind(job.to_string()).push(" AND fixed IS NOT 'unattributed'))");
        }
        if let Some(canonical) = &filter.canonical {
            query.push(
                " AND videos.id IN (SELECT video_id FROM task_urls JOIN listings USING (task_id, position)
                   WHERE canonical = ",
            );
            query.push_bind(canonical.as_str()).push(")");
        }
        query.push(" ORDER BY number DESC LIMIT ").push_bind(filter.limit);
        let rows: Vec<Row> = query.build_query_as().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().map(video).collect::<Result<_, _>>()?)
    }

    /// One video.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn video(&self, id: &str) -> Result<Option<Video>, ReadError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push("videos.id = ").push_bind(id);
        let row: Option<Row> = query.build_query_as().fetch_optional(&self.readers).await?;
        Ok(row.map(video).transpose()?.map(|(_, video)| video))
    }
}

/// The videos of one task, oldest first.
pub(super) async fn of_task(readers: &SqlitePool, task: TaskId) -> Result<Vec<Video>, sqlx::Error> {
    let mut query = QueryBuilder::new(SELECT);
    query.push("videos.id IN (SELECT video_id FROM facts WHERE video_id <> '' AND task_id = ");
    query.push_bind(task.to_string()).push(") ORDER BY number");
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
        error: row.error_code.zip(row.error_message).map(|(code, message)| Failure { code, message }),
        id: row.id,
    };
    Ok((row.number, video))
}
