//! What an operator decides about a task: ask upstream now, adopt a `taskId`, send again what is not indexed.

use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::changes::{Changes, NewEvent, NewFact, Touch};
use super::followers::{self, move_urls};
use super::{jobs, ledger};
use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{Progress, UrlState};
use crate::domain::task::{FactKind, TaskState, UpstreamIdSource};
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;

/// Has the task polled as soon as the budget allows; `false` where its `taskId` is not known.
pub(super) async fn refresh(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query(
        "UPDATE tasks SET news = news + 1, poll_wanted = news + 1, poll_not_before = 0
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
           AND NOT EXISTS (SELECT 1 FROM tasks AS other WHERE other.upstream_id = ?2)",
    )
    .bind(task.to_string())
    .bind(upstream_id)
    .bind(UpstreamIdSource::Operator.as_str())
    .bind(at.as_millis())
    .execute(connection)
    .await?;
    if adopted.rows_affected() == 0 {
        return Ok(false);
    }
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
    let Some(job) = job.parse().ok() else { return Ok(false) };
    let Some(options) = jobs::options(connection, job).await? else { return Ok(false) };
    let urls: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT position, url, state FROM task_urls
         WHERE task_id = ?1 AND state <> 'indexed' ORDER BY position",
    )
    .bind(task.to_string())
    .fetch_all(&mut *connection)
    .await?;
    let mut posts = Vec::new();
    for (position, url, state) in urls {
        let (Ok(post), Ok(state)) = (PostUrl::parse(&url), state.parse::<UrlState>()) else { continue };
        posts.push((position, post, state));
    }
    // What another task carries by now is not sent again: its followers follow that one.
    let wanted: Vec<_> = posts.iter().map(|(position, post, _)| (*position, post.clone())).collect();
    let mut carried = ledger::find(connection, &options, &wanted, Some(task)).await?;
    carried.retain(|_, (.., state)| *state != UrlState::Failed);
    let mut moves = Vec::new();
    let mut rows = Vec::new();
    for (position, post, old) in posts {
        match carried.get(&post.canonical) {
            Some((other, place, UrlState::Known)) => {
                moves.push((position, old, (*other, *place), UrlState::Indexed));
            }
            Some((other, place, state)) => moves.push((position, old, (*other, *place), *state)),
            None => {
                let place = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                rows.push(json!([place, post.given, post.canonical]));
                moves.push((position, old, (new, place), UrlState::Waiting));
            }
        }
    }
    if rows.is_empty() {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO tasks (id, job_id, platform, created_at, state, next_attempt_at, news_at, retry_of)
         VALUES (?1, ?2, ?3, ?4, 'queued', ?4, ?4, ?5)",
    )
    .bind(new.to_string())
    .bind(job.to_string())
    .bind(platform)
    .bind(at.as_millis())
    .bind(task.to_string())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO task_urls (task_id, position, url, canonical, state)
         SELECT ?2, value->>0, value->>1, value->>2, 'waiting' FROM json_each(?1)",
    )
    .bind(json!(rows).to_string())
    .bind(new.to_string())
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE tasks SET replaced_by = ?2 WHERE id = ?1")
        .bind(task.to_string())
        .bind(new.to_string())
        .execute(&mut *connection)
        .await?;
    let words =
        format!("retry of {task}{}", by.map(|name| format!(", asked for by {name}")).unwrap_or_default());
    changes.events.push(NewEvent {
        task: Some(new),
        message: Some(words),
        ..NewEvent::new(EventKind::TaskQueued, Source::Operator, at)
    });
    let touch = Touch { at, source: Source::Operator };
    for (position, old, carrier, now) in moves {
        let jobs = followers::hand_over(connection, (task, position), carrier).await?;
        for job in jobs.iter().filter_map(|id| id.parse::<JobId>().ok()) {
            let mut change = Progress::default();
            change.add(old, -1);
            change.add(now, 1);
            change.canceled = -i64::from(state == TaskState::Canceled);
            move_urls(connection, job, change, touch, changes).await?;
        }
    }
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
