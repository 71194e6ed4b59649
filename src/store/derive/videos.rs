//! Videos: folds the facts of every task that brought a video into its state. Must never decide which state is
//! stronger.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::TaskId;
use crate::domain::outcome::Failure;
use crate::domain::time::Timestamp;
use crate::domain::video::VideoState;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::column::{self, row};

/// Stores states. They were compared before, in the one place that knows their order.
pub(crate) const UPSERT: &str =
    "INSERT INTO videos (id, task_id, state, first_seen_at, indexed_at, error_code, error_message)
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6
     FROM json_each(?) WHERE true
     ON CONFLICT (id) DO UPDATE SET
       state = excluded.state, indexed_at = excluded.indexed_at,
       error_code = excluded.error_code, error_message = excluded.error_message";

/// The strongest new fact about a video in a batch.
#[derive(Clone, Debug)]
pub(crate) struct VideoNews {
    /// The task that brought it.
    pub(crate) task: TaskId,
    /// Every task with news about the video.
    pub(crate) tasks: Vec<TaskId>,
    pub(crate) first_seen_at: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
    pub(crate) state: VideoState,
    pub(crate) failure: Option<Failure>,
}

/// Folds news into the videos, and carries the changes over to every task that shares them.
pub(crate) async fn fold(
    batch: &mut Batch<'_>,
    news: BTreeMap<String, VideoNews>,
) -> Result<(), sqlx::Error> {
    let stored = stored(batch.connection, news.keys()).await?;
    let mut shared = Vec::new();
    for (id, news) in &news {
        let before = stored.get(id);
        let kept = before.filter(|(state, _)| *state >= news.state);
        let (state, failure) = kept.map_or((news.state, &news.failure), |(state, failure)| (*state, failure));
        for task in &news.tasks {
            if let Some(task) = batch.tasks.get_mut(*task) {
                task.set_video(id, state, failure.as_ref());
            }
        }
        if kept.is_some() {
            continue;
        }
        if before.is_some() {
            shared.push(id);
        }
        batch.changes.rows.videos.push(json!([
            id,
            news.task,
            state,
            news.first_seen_at.as_millis(),
            (state == VideoState::Indexed).then(|| news.at.as_millis()),
            failure.as_ref().map(|failure| &failure.code),
            failure.as_ref().map(|failure| &failure.message),
        ]));
        let kind = kind_of(state);
        batch.changes.events.push(NewEvent {
            task: Some(news.task),
            video: Some(id.clone()),
            message: failure.as_ref().map(|failure| failure.message.clone()),
            ..NewEvent::new(kind, news.source, news.at)
        });
    }
    for (video, task) in sharers(batch.connection, &shared).await? {
        let Some(news) = news.get(&video) else { continue };
        batch.tasks.load(batch.connection, [task]).await?;
        if let Some(task) = batch.tasks.get_mut(task) {
            task.set_video(&video, news.state, news.failure.as_ref());
        }
        batch.changes.note(task, news.at, news.source);
    }
    Ok(())
}

/// The kind of the event that reports a video in this state.
pub(crate) const fn kind_of(state: VideoState) -> EventKind {
    match state {
        VideoState::Indexing => EventKind::VideoIndexing,
        VideoState::Failed => EventKind::VideoFailed,
        VideoState::Indexed => EventKind::VideoIndexed,
    }
}

row! {
    struct Video {
        id: String,
        state: String,
        error_code: Option<String>,
        error_message: Option<String>,
    }
}

async fn stored(
    connection: &mut SqliteConnection,
    videos: impl Iterator<Item = &String>,
) -> Result<HashMap<String, (VideoState, Option<Failure>)>, sqlx::Error> {
    let ids: Vec<&String> = videos.collect();
    let rows: Vec<Video> = sqlx::query_as(
        "SELECT id, state, error_code, error_message FROM videos
         WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(json!(ids).to_string())
    .fetch_all(connection)
    .await?;
    let video = |Video { id, state, error_code, error_message }| {
        let failure = error_code.zip(error_message).map(|(code, message)| Failure { code, message });
        let state = column::parsed(("videos", "state", &id), &state)?;
        Ok((id, (state, failure)))
    };
    rows.into_iter().map(video).collect()
}

/// Returns each of these videos with every task that has a fact about it.
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
