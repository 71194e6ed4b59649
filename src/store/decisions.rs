//! What an operator decides about tasks, jobs and sending; each decision is an event with the operator's name.

use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::carriers::{self, Leaving};
use super::changes::{Changes, NewEvent, NewFact, Touch};
use super::op::{Decision, NewPause};
use super::pauses::Pause;
use super::{Policy, followers, ownership, pauses};
use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::Progress;
use crate::domain::task::{FactKind, Failure, TaskState, UpstreamIdSource};
use crate::domain::time::Timestamp;

/// Who decides, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct By<'a> {
    /// The API key's name; none in keyless mode.
    pub(super) name: Option<&'a str>,
    pub(super) at: Timestamp,
}

impl By<'_> {
    fn words(self, what: &str) -> String {
        format!("{what} by {}", self.name.unwrap_or("an operator"))
    }
}

/// Does what was decided; `false` where that makes no sense as things are.
pub(super) async fn decide(
    connection: &mut SqliteConnection,
    decision: &Decision,
    by: By<'_>,
    policy: Policy,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    match decision {
        Decision::Refresh(task) => refresh(connection, *task, by, changes).await,
        Decision::Adopt(task, upstream_id) => {
            let adopted = adopt(connection, *task, upstream_id, Source::Operator, by.at, changes).await?;
            if adopted {
                changes.words.insert(*task, by.words("adopted"));
            }
            Ok(adopted)
        }
        Decision::Retry { task, new } => retry(connection, *task, *new, by, changes).await,
        Decision::Cancel(task) => cancel(connection, *task, by, changes).await,
        Decision::CancelJob(job) => cancel_job(connection, *job, by, changes).await,
        Decision::Pause => {
            let failure = Failure::new(Pause::OPERATOR, by.words("paused"));
            let pause = NewPause { scope: Pause::OPERATOR.to_owned(), failure };
            let events = changes.events.len();
            pauses::set(connection, &pause, Source::Operator, by.at, policy, changes).await?;
            if changes.events.len() == events {
                // Paused already: who wants it now is worth a word, too.
                changes.events.push(NewEvent {
                    message: Some(by.words("paused again")),
                    ..NewEvent::new(EventKind::SendingPaused, Source::Operator, by.at)
                });
            }
            Ok(true)
        }
        Decision::Resume => pauses::lift_all(connection, by.name, by.at, changes).await.map(|()| true),
    }
}

/// Has the task polled before all others; `false` where its `taskId` is not known.
async fn refresh(
    connection: &mut SqliteConnection,
    task: TaskId,
    by: By<'_>,
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
    changes.events.push(NewEvent {
        task: Some(task),
        message: Some(by.words("asked for")),
        ..NewEvent::new(EventKind::TaskRefreshed, Source::Operator, by.at)
    });
    changes.touch(task, by.at, Source::Operator);
    Ok(true)
}

/// Takes this `taskId` for that of a task whose submit was not answered; `false` where it was, or where another
/// task holds it.
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
         WHERE id = ?1 AND upstream_id IS NULL AND state NOT IN ('queued', 'submitting')
           AND EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id AND outcome = 'unknown')
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
    ownership::take_in(connection, task, upstream_id, at, changes).await?;
    changes.touch(task, at, source);
    Ok(true)
}

#[derive(FromRow)]
struct Row {
    state: String,
    job_id: Option<String>,
    platform: Option<String>,
}

/// Makes a new task for the URLs of one that ended without them, or that nobody knows the fate of; every job
/// that followed them follows the new one, or another task that has the URL by now; where that is so for all,
/// there is no new one. `false` where no job waits for anything of it.
async fn retry(
    connection: &mut SqliteConnection,
    task: TaskId,
    new: TaskId,
    by: By<'_>,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as("SELECT state, job_id, platform FROM tasks WHERE id = ?1")
        .bind(task.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(Row { state, job_id: Some(job), platform: Some(platform) }) = row else {
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
    if leaving.posts.is_empty() {
        return Ok(false);
    }
    // What another task carries by now is not sent again: who waits for it follows that one.
    let carried = carriers::carried(connection, &leaving).await?;
    let words = by.words(&format!("retry of {task}, asked for"));
    let touch = Touch { at: by.at, source: Source::Operator };
    carriers::hand_over(connection, &leaving, &carried, new, words, touch, changes).await?;
    if state == TaskState::Unconfirmed {
        // Whoever retries has decided that it was not taken, or that it may be paid again.
        give_up(task, by.words("given up"), by.at, changes);
    }
    changes.touch(task, by.at, Source::Operator);
    Ok(true)
}

/// Cancels a task that was not sent, or gives up one of unknown fate; `false` for any other.
async fn cancel(
    connection: &mut SqliteConnection,
    task: TaskId,
    by: By<'_>,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let can_be: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE id = ?1 AND state IN ('queued', 'unconfirmed'))",
    )
    .bind(task.to_string())
    .fetch_one(connection)
    .await?;
    if can_be {
        give_up(task, by.words("canceled"), by.at, changes);
    }
    Ok(can_be)
}

/// Cancels what was not sent of a job, also where it waits in another job's task; `false` where nothing is left.
async fn cancel_job(
    connection: &mut SqliteConnection,
    job: JobId,
    by: By<'_>,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let queued: Vec<String> =
        sqlx::query_scalar("SELECT id FROM tasks WHERE job_id = ?1 AND state = 'queued'")
            .bind(job.to_string())
            .fetch_all(&mut *connection)
            .await?;
    for task in queued.iter().filter_map(|id| id.parse().ok()) {
        give_up(task, by.words("canceled"), by.at, changes);
    }
    let elsewhere = sqlx::query(
        "UPDATE job_urls SET fixed = 'canceled' WHERE job_id = ?1 AND fixed IS NULL AND EXISTS (
           SELECT 1 FROM task_urls JOIN tasks ON tasks.id = task_urls.task_id
           WHERE task_urls.task_id = job_urls.task_id AND task_urls.position = task_position
             AND task_urls.state = 'waiting' AND tasks.job_id IS NOT ?1)",
    )
    .bind(job.to_string())
    .execute(&mut *connection)
    .await?;
    let elsewhere = i64::try_from(elsewhere.rows_affected()).unwrap_or_default();
    if elsewhere > 0 {
        let change =
            Progress { waiting: -elsewhere, failed: elsewhere, canceled: elsewhere, ..Progress::default() };
        let touch = Touch { at: by.at, source: Source::Operator };
        followers::move_urls(connection, job, change, touch, changes).await?;
    }
    Ok(!queued.is_empty() || elsewhere > 0)
}

fn give_up(task: TaskId, words: String, at: Timestamp, changes: &mut Changes) {
    changes.words.insert(task, words);
    changes.facts.push(NewFact {
        task,
        kind: FactKind::Canceled,
        video: String::new(),
        at,
        source: Source::Operator,
        failure: None,
    });
}
