//! Polls: which tasks are due for one, and what one brought. Their results are facts like any other.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::task::{FactKind, Failure};
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::domain::video::VideoState;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewFact;
use crate::store::read::due::DuePoll;

/// One video in a poll's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledVideo {
    /// The upstream's id.
    pub id: String,
    /// Where it stands.
    pub state: VideoState,
    /// The URL it came from, where the answer names it.
    pub url: Option<String>,
}

/// How a poll ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollEnd {
    /// Upstream listed the task's videos so far.
    Listed {
        /// The videos.
        videos: Vec<PolledVideo>,
        /// Whether the answer has the shape that names their URLs.
        names_urls: bool,
        /// Whether every entry could be read: one that could not may be one more video.
        is_whole: bool,
    },
    /// Upstream refused to say.
    Refused,
    /// No answer of use; ask again after this long.
    Unanswered(Duration),
}

/// After so many refusals in a row, counting has to decide: the code for "unknown" also stands for trouble
/// that passes.
const REFUSALS: i64 = 3;

/// A poll that has ended.
#[derive(Clone, Debug)]
pub struct EndedPoll {
    /// As [`Readers::next_poll`](crate::store::read::Readers::next_poll) gave it.
    pub poll: DuePoll,
    /// When upstream was asked.
    pub asked_at: Timestamp,
    /// When the answer, or the lack of one, was clear.
    pub at: Timestamp,
    /// How it ended.
    pub end: PollEnd,
}

/// Keeps what a poll brought.
pub(crate) async fn record(batch: &mut Batch<'_>, poll: &EndedPoll) -> Result<(), sqlx::Error> {
    let EndedPoll { poll, asked_at, at, end } = poll;
    let asked_at = *asked_at;
    let task = poll.task;
    let (word, not_before) = match end {
        PollEnd::Unanswered(wait) => ("unanswered", at.after(*wait).as_millis()),
        PollEnd::Listed { .. } => ("listed", 0),
        PollEnd::Refused => ("refused", 0),
    };
    // What came while the question was on its way is not answered by it. And where the task has another `taskId`
    // by now, or was taken in by another task, nothing is.
    let refused: Option<i64> = sqlx::query_scalar(
        "UPDATE tasks SET poll_not_before = ?2, polls_in_vain = polls_in_vain + 1,
           polled_at = ?4, asked_news = max(asked_news, ?5),
           answered_at = CASE WHEN ?7 OR (?3 = 'refused' AND refused_polls + 1 >= ?8) THEN ?4
                         ELSE answered_at END,
           polled_news = CASE ?3 WHEN 'unanswered' THEN polled_news ELSE max(polled_news, ?5) END,
           refused_polls = CASE ?3 WHEN 'listed' THEN 0 WHEN 'refused' THEN refused_polls + 1
                           ELSE refused_polls END
         WHERE id = ?1 AND (upstream_id = ?6 OR (upstream_id IS NULL AND replaced_by IS NULL))
         RETURNING refused_polls",
    )
    .bind(task.to_string())
    .bind(not_before)
    .bind(word)
    .bind(asked_at.as_millis())
    .bind(poll.news)
    .bind(&poll.upstream_id)
    .bind(matches!(end, PollEnd::Listed { is_whole: true, .. }))
    .bind(REFUSALS)
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some(refused) = refused else { return Ok(()) };
    batch.changes.touch(task, asked_at, Source::Poll);

    let listed = &mut batch.changes.listed;
    let mut fact = |kind, video: &str, failure| {
        batch.changes.facts.push(NewFact {
            task,
            kind,
            video: video.to_owned(),
            at: asked_at,
            source: Source::Poll,
            failure,
        });
    };
    match end {
        PollEnd::Unanswered(_) => {}
        PollEnd::Refused => {
            if refused >= REFUSALS {
                fact(FactKind::Unnamed, "", None);
            }
        }
        PollEnd::Listed { videos, names_urls, is_whole } => {
            if *names_urls {
                listed.push((task, asked_at, *is_whole));
                fact(FactKind::Named, "", None);
            } else if !videos.is_empty() {
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
            join(batch.connection, task, videos).await?;
        }
    }
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
    let mut rows = Vec::new();
    for video in videos {
        let Some(url) = &video.url else { continue };
        let positions: Vec<i64> = match (by_spelling.get(url.as_str()), PostUrl::recognize(url)) {
            (Some(position), _) => vec![*position],
            // An older form may have let two spellings of one post into a task.
            (None, Some(post)) => urls
                .iter()
                .filter(|(.., form)| *form == post.canonical)
                .map(|(position, ..)| *position)
                .collect(),
            (None, None) => Vec::new(),
        };
        if positions.is_empty() {
            tracing::warn!(%task, video = video.id, "a poll names a URL that is not the task's");
        }
        rows.extend(positions.into_iter().map(|position| json!([video.id, position])));
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
