//! Polls: which tasks are due for one, and what one brought. Their results are facts like any other.

use std::collections::HashMap;

use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::changes::{Changes, NewFact};
use super::op::{PollEnd, PolledVideo};
use super::{Policy, ReadError, Store};
use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::task::{FactKind, Failure};
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::domain::video::VideoState;

/// After so many refusals in a row, counting has to decide: the code for "unknown" also stands for trouble
/// that passes.
const REFUSALS: i64 = 3;

/// Keeps what a poll brought.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    policy: Policy,
    task: TaskId,
    (asked_at, at): (Timestamp, Timestamp),
    end: &PollEnd,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let next = match end {
        PollEnd::Unanswered(wait) => at.after(*wait),
        PollEnd::Listed(_) | PollEnd::Refused => at.after(policy.poll_after),
    };
    let refused: i64 = sqlx::query_scalar(
        "UPDATE tasks SET next_poll_at = ?2,
           polled_at = CASE ?3 WHEN 'unanswered' THEN polled_at ELSE ?4 END,
           refused_polls = CASE ?3 WHEN 'listed' THEN 0 WHEN 'refused' THEN refused_polls + 1
                           ELSE refused_polls END
         WHERE id = ?1 RETURNING refused_polls",
    )
    .bind(task.to_string())
    .bind(next.as_millis())
    .bind(match end {
        PollEnd::Listed(_) => "listed",
        PollEnd::Refused => "refused",
        PollEnd::Unanswered(_) => "unanswered",
    })
    .bind(asked_at.as_millis())
    .fetch_one(&mut *connection)
    .await?;

    // News of a poll carries the time of its question: it is no reason to ask again.
    let mut fact = |kind, video: &str, failure| {
        changes.facts.push(NewFact {
            task,
            kind,
            video: video.to_owned(),
            at: asked_at,
            source: Source::Poll,
            failure,
        });
    };
    match end {
        PollEnd::Unanswered(_) => {
            changes.stale.insert(task);
            return Ok(());
        }
        PollEnd::Refused => {
            if refused >= REFUSALS {
                fact(FactKind::Unnamed, "", None);
            }
        }
        PollEnd::Listed(videos) => {
            if !videos.is_empty() && videos.iter().all(|video| video.url.is_none()) {
                fact(FactKind::Unnamed, "", None);
            }
            for video in videos {
                fact(FactKind::VideoSeen, &video.id, None);
                match video.state {
                    VideoState::Indexing => {}
                    VideoState::Indexed => fact(FactKind::VideoIndexed, &video.id, None),
                    VideoState::Failed => {
                        let failure = Failure::new("video_failed", "upstream could not index it");
                        fact(FactKind::VideoFailed, &video.id, Some(failure));
                    }
                }
            }
            join(connection, task, videos).await?;
        }
    }
    changes.touch(task, asked_at, Source::Poll);
    Ok(())
}

/// Joins videos to the URLs that the answer names for them.
async fn join(
    connection: &mut SqliteConnection,
    task: TaskId,
    videos: &[PolledVideo],
) -> Result<(), sqlx::Error> {
    let urls: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT position, url, canonical FROM task_urls WHERE task_id = ?1")
            .bind(task.to_string())
            .fetch_all(&mut *connection)
            .await?;
    let by_spelling: HashMap<&str, i64> =
        urls.iter().map(|(position, url, _)| (url.as_str(), *position)).collect();
    let by_post: HashMap<&str, i64> =
        urls.iter().map(|(position, _, canonical)| (canonical.as_str(), *position)).collect();
    let mut rows = Vec::new();
    for video in videos {
        let Some(url) = &video.url else { continue };
        let position = by_spelling.get(url.as_str()).copied().or_else(|| {
            let post = PostUrl::parse(url).ok()?;
            by_post.get(post.canonical.as_str()).copied()
        });
        match position {
            Some(position) => rows.push(json!([video.id, position])),
            None => tracing::warn!(%task, video = video.id, "a poll names a URL that is not the task's"),
        }
    }
    sqlx::query(
        "INSERT INTO listings (task_id, video_id, position)
         SELECT ?2, value->>0, value->>1 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(json!(rows).to_string())
    .bind(task.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// A task whose turn for a poll has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePoll {
    /// Our id.
    pub task: TaskId,
    /// Their `taskId`.
    pub upstream_id: String,
    /// Folder name as submitted.
    pub unique_id: Option<String>,
    /// When its turn came, or comes.
    pub due: Timestamp,
}

#[derive(FromRow)]
struct Row {
    id: String,
    upstream_id: String,
    unique_id: Option<String>,
    next_poll_at: i64,
}

impl Store {
    /// The task whose poll is due first, due already or not.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_poll(&self) -> Result<Option<DuePoll>, ReadError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT tasks.id, upstream_id, unique_id, next_poll_at
             FROM tasks LEFT JOIN jobs ON jobs.id = tasks.job_id
             WHERE next_poll_at IS NOT NULL AND upstream_id IS NOT NULL
             ORDER BY next_poll_at LIMIT 1",
        )
        .fetch_optional(&self.readers)
        .await?;
        let due = |row: Row| {
            Some(DuePoll {
                task: row.id.parse().ok()?,
                upstream_id: row.upstream_id,
                unique_id: row.unique_id,
                due: Timestamp::from_millis(row.next_poll_at),
            })
        };
        Ok(row.and_then(due))
    }
}
