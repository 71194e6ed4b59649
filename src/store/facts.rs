//! Facts: set once for a task, a kind and a video; what is set again is no news.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::changes::{Changes, NewFact};
use super::videos::{self, VideoNews};
use crate::domain::id::TaskId;
use crate::domain::task::{FactKind, Failure};
use crate::domain::time::Timestamp;
use crate::domain::video::VideoState;

#[derive(FromRow)]
struct Row {
    task_id: String,
    kind: String,
    video_id: String,
    at: i64,
    source: String,
    code: Option<String>,
    message: Option<String>,
}

/// Sets the gathered facts, and folds what is new into the videos.
pub(super) async fn set(connection: &mut SqliteConnection, changes: &mut Changes) -> Result<(), sqlx::Error> {
    if changes.facts.is_empty() {
        return Ok(());
    }
    let mut news: BTreeMap<String, VideoNews> = BTreeMap::new();
    let mut latest: BTreeMap<TaskId, Timestamp> = BTreeMap::new();
    for row in insert(connection, &changes.facts).await? {
        let (Ok(task), Ok(kind), Ok(source)) = (row.task_id.parse(), row.kind.parse(), row.source.parse())
        else {
            continue;
        };
        let at = Timestamp::from_millis(row.at);
        changes.touch(task, at, source);
        let last = latest.entry(task).or_insert(at);
        *last = at.max(*last);
        let state = match kind {
            FactKind::VideoIndexed => VideoState::Indexed,
            FactKind::VideoFailed => VideoState::Failed,
            FactKind::VideoSeen => VideoState::Indexing,
            FactKind::Succeeded | FactKind::Failed | FactKind::Canceled | FactKind::Unnamed => continue,
        };
        let failure = row.code.zip(row.message).map(|(code, message)| Failure { code, message });
        let fresh = VideoNews { task, at, source, state, failure };
        match news.get_mut(&row.video_id) {
            Some(known) if known.state >= fresh.state => {}
            Some(known) => *known = fresh,
            None => {
                news.insert(row.video_id, fresh);
            }
        }
    }
    note_news(connection, &latest).await?;
    let changed: BTreeSet<String> = videos::fold(connection, news, changes).await?;
    videos::touch_tasks(connection, &changed, changes).await
}

async fn insert(connection: &mut SqliteConnection, facts: &[NewFact]) -> Result<Vec<Row>, sqlx::Error> {
    let rows: Vec<_> = facts
        .iter()
        .map(|fact| {
            json!([
                fact.task,
                fact.kind,
                fact.video,
                fact.at.as_millis(),
                fact.source,
                fact.failure.as_ref().map(|failure| &failure.code),
                fact.failure.as_ref().map(|failure| &failure.message),
            ])
        })
        .collect();
    sqlx::query_as(
        "INSERT INTO facts (task_id, kind, video_id, at, source, code, message)
         SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6
         FROM json_each(?1) WHERE true
         ON CONFLICT DO NOTHING
         RETURNING task_id, kind, video_id, at, source, code, message",
    )
    .bind(json!(rows).to_string())
    .fetch_all(connection)
    .await
}

async fn note_news(
    connection: &mut SqliteConnection,
    latest: &BTreeMap<TaskId, Timestamp>,
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = latest.iter().map(|(task, at)| json!([task, at.as_millis()])).collect();
    sqlx::query(
        "UPDATE tasks SET news_at = max(news_at, news.at)
         FROM (SELECT value->>0 AS id, value->>1 AS at FROM json_each(?1)) AS news
         WHERE tasks.id = news.id",
    )
    .bind(json!(rows).to_string())
    .execute(connection)
    .await?;
    Ok(())
}
