//! What an operator decides about a task: ask upstream now, adopt a `taskId`, send again what is not indexed.

use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::callbacks;
use super::carriers::{self, Leaving};
use super::changes::{Changes, NewFact, Touch};
use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::task::{FactKind, TaskState, UpstreamIdSource};
use crate::domain::time::Timestamp;

/// Has the task polled before all others; `false` where its `taskId` is not known.
pub(super) async fn refresh(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query(
        "UPDATE tasks SET news = news + 1, poll_wanted = news + 1, poll_not_before = -1
         WHERE id = ?1 AND upstream_id IS NOT NULL",
    )
    .bind(task.to_string())
    .execute(connection)
    .await?;
    if asked.rows_affected() == 0 {
        return Ok(false);
    }
    changes.touch(task, at, Source::Operator);
    Ok(true)
}

/// Takes this `taskId` for an unconfirmed task's; `false` where it is not unconfirmed, or another task holds it.
pub(super) async fn adopt(
    connection: &mut SqliteConnection,
    task: TaskId,
    upstream_id: &str,
    source: Source,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let adopted = sqlx::query(
        "UPDATE tasks SET upstream_id = ?2, upstream_id_source = ?3, news_at = ?4, stalled_at = NULL,
           news = news + 1, poll_wanted = news + 1
         WHERE id = ?1 AND state = 'unconfirmed' AND upstream_id IS NULL
           AND NOT EXISTS (
             SELECT 1 FROM tasks AS other WHERE other.upstream_id = ?2 AND (
               other.job_id IS NOT NULL OR EXISTS (SELECT 1 FROM submits WHERE task_id = other.id)))",
    )
    .bind(task.to_string())
    .bind(upstream_id)
    .bind(UpstreamIdSource::Operator.as_str())
    .bind(at.as_millis())
    .execute(&mut *connection)
    .await?;
    if adopted.rows_affected() == 0 {
        return Ok(false);
    }
    callbacks::take_in(connection, task, upstream_id, changes).await?;
    changes.touch(task, at, source);
    Ok(true)
}

#[derive(FromRow)]
struct Row {
    state: String,
    job_id: Option<String>,
    platform: Option<String>,
    replaced_by: Option<String>,
}

/// Makes a new task for the URLs of one that ended without them, or that nobody knows the fate of; every job
/// that followed them follows the new one. `false` where there is nothing to send again.
pub(super) async fn retry(
    connection: &mut SqliteConnection,
    task: TaskId,
    new: TaskId,
    by: Option<&str>,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let row: Option<Row> =
        sqlx::query_as("SELECT state, job_id, platform, replaced_by FROM tasks WHERE id = ?1")
            .bind(task.to_string())
            .fetch_optional(&mut *connection)
            .await?;
    let Some(Row { state, job_id: Some(job), platform: Some(platform), replaced_by: None }) = row else {
        return Ok(false);
    };
    let Ok(state) = state.parse::<TaskState>() else { return Ok(false) };
    if !(state.is_settled() || state == TaskState::Unconfirmed) {
        return Ok(false);
    }
    let Ok(job) = job.parse() else { return Ok(false) };
    let leaving = Leaving {
        task,
        job,
        platform,
        is_retry: true,
        is_canceled: state == TaskState::Canceled,
        posts: carriers::posts(connection, task).await?,
    };
    // What another task carries by now is not sent again.
    let carried = carriers::carried(connection, &leaving).await?;
    if leaving.posts.iter().all(|(_, post, _)| carried.contains_key(&post.canonical)) {
        return Ok(false);
    }
    let words =
        format!("retry of {task}{}", by.map(|name| format!(", asked for by {name}")).unwrap_or_default());
    let touch = Touch { at, source: Source::Operator };
    carriers::hand_over(connection, &leaving, &carried, new, words, touch, changes).await?;
    if state == TaskState::Unconfirmed {
        // Given up: whoever retries has decided that it was not taken, or that it may be paid again.
        changes.facts.push(NewFact {
            task,
            kind: FactKind::Canceled,
            video: String::new(),
            at,
            source: Source::Operator,
            failure: None,
        });
    }
    changes.touch(task, at, Source::Operator);
    Ok(true)
}
