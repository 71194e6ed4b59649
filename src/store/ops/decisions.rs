//! What an operator decides about tasks, jobs and sending; each decision is an event with the operator's name.

use sqlx::FromRow;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::pause::Pause;
use crate::domain::task::{FactKind, Failure, TaskState, UpstreamIdSource};
use crate::domain::time::Timestamp;
use crate::store::batch::changes::{Changes, NewEvent, NewFact};
use crate::store::batch::{Batch, Cause};
use crate::store::column;
use crate::store::derive::carriers::{self, Leaving, Successor};
use crate::store::derive::followers;
use crate::store::ops::ownership::{self, Claim};
use crate::store::ops::pauses::{self, NewPause};

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Poll this task before all others.
    Refresh(TaskId),
    /// This `taskId` is the unconfirmed task's.
    Adopt(TaskId, String),
    /// Send what `task` left without an indexed video again, as the task `new`.
    Retry {
        /// The old task.
        task: TaskId,
        /// The id of the new one.
        new: TaskId,
    },
    /// Don't send this task, or no longer wait for an unconfirmed one.
    Cancel(TaskId),
    /// Send nothing more of this job.
    CancelJob(JobId),
    /// Send nothing more at all.
    Pause,
    /// Lift every pause, whatever its reason.
    Resume,
}

/// Does what was decided; `false` where that makes no sense as things are.
pub(crate) async fn decide(
    batch: &mut Batch<'_>,
    decision: &Decision,
    cause: Cause<'_>,
) -> Result<bool, sqlx::Error> {
    match decision {
        Decision::Refresh(task) => refresh(batch, *task, cause).await,
        Decision::Adopt(task, upstream_id) => {
            batch.changes.words.insert(*task, cause.words("adopted"));
            let claim = Claim { task: *task, upstream_id, by: UpstreamIdSource::Operator, at: cause.at };
            adopt(batch, &claim, Source::Operator).await
        }
        Decision::Retry { task, new } => retry(batch, *task, *new, cause).await,
        Decision::Cancel(task) => cancel(batch, *task, cause).await,
        Decision::CancelJob(job) => cancel_job(batch, *job, cause).await,
        Decision::Pause => {
            let failure = Failure::new(Pause::OPERATOR, cause.words("paused"));
            let pause = NewPause { scope: Pause::OPERATOR.to_owned(), failure };
            let events = batch.changes.events.len();
            pauses::set(batch, &pause, cause).await?;
            if batch.changes.events.len() == events {
                // Paused already: who wants it now is worth a word, too.
                batch.changes.events.push(NewEvent {
                    message: Some(cause.words("paused again")),
                    ..NewEvent::new(EventKind::SendingPaused, Source::Operator, cause.at)
                });
            }
            Ok(true)
        }
        Decision::Resume => pauses::lift_all(batch, cause).await.map(|()| true),
    }
}

/// Has the task polled before all others; `false` where its `taskId` is not known.
async fn refresh(batch: &mut Batch<'_>, task: TaskId, cause: Cause<'_>) -> Result<bool, sqlx::Error> {
    let asked = sqlx::query(
        "UPDATE tasks SET news = news + 1, poll_wanted = news + 1, poll_not_before = -1, polls_in_vain = 0
         WHERE id = ?1 AND upstream_id IS NOT NULL",
    )
    .bind(task.to_string())
    .execute(&mut *batch.connection)
    .await?;
    if asked.rows_affected() == 0 {
        return Ok(false);
    }
    batch.changes.events.push(NewEvent {
        task: Some(task),
        message: Some(cause.words("asked for")),
        ..NewEvent::new(EventKind::TaskRefreshed, Source::Operator, cause.at)
    });
    batch.changes.touch(task, cause.at, Source::Operator);
    Ok(true)
}

/// Takes this `taskId` for that of a task whose submit was not answered, on the word of the operator or of a poll.
/// `false` if the task has one on evidence as good, or if another task has this one.
pub(crate) async fn adopt(
    batch: &mut Batch<'_>,
    claim: &Claim<'_>,
    source: Source,
) -> Result<bool, sqlx::Error> {
    let before: Option<Option<String>> = sqlx::query_scalar(
        "SELECT upstream_id FROM tasks
         WHERE id = ?1 AND (upstream_id IS NULL OR upstream_id_source IN (SELECT value FROM json_each(?3)))
           AND state NOT IN ('queued', 'submitting')
           AND EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id AND outcome = 'unknown')
           AND NOT EXISTS (
             SELECT 1 FROM tasks AS other
             WHERE other.upstream_id = ?2 AND other.id <> tasks.id
               AND ifnull(other.upstream_id_source, '') NOT IN (SELECT value FROM json_each(?3))
               AND (other.job_id IS NOT NULL OR EXISTS (SELECT 1 FROM submits WHERE task_id = other.id)))",
    )
    .bind(claim.task.to_string())
    .bind(claim.upstream_id)
    .bind(ownership::weaker_than(claim.by))
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some(before) = before else { return Ok(false) };
    ownership::release(batch, claim, source).await?;
    sqlx::query("UPDATE tasks SET upstream_id = ?2, upstream_id_source = ?3 WHERE id = ?1")
        .bind(claim.task.to_string())
        .bind(claim.upstream_id)
        .bind(claim.by.as_str())
        .execute(&mut *batch.connection)
        .await?;
    ownership::begin_polling_again(batch.connection, claim.task, claim.at).await?;
    ownership::take_in(batch, claim.task, claim.upstream_id, claim.at).await?;
    if before.is_some() {
        // It was accepted before: this is another word for it.
        batch.changes.events.push(NewEvent {
            task: Some(claim.task),
            message: batch.changes.words.get(&claim.task).cloned(),
            ..NewEvent::new(EventKind::TaskAccepted, source, claim.at)
        });
    }
    batch.changes.touch(claim.task, claim.at, source);
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
    batch: &mut Batch<'_>,
    task: TaskId,
    new: TaskId,
    cause: Cause<'_>,
) -> Result<bool, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as("SELECT state, job_id, platform FROM tasks WHERE id = ?1")
        .bind(task.to_string())
        .fetch_optional(&mut *batch.connection)
        .await?;
    let Some(Row { state, job_id: Some(job), platform: Some(platform) }) = row else {
        return Ok(false);
    };
    let state: TaskState = column::parsed(("tasks", "state", &task.to_string()), &state)?;
    if !(state.is_settled() || state == TaskState::Unconfirmed) {
        return Ok(false);
    }
    let job = column::parsed(("tasks", "job_id", &task.to_string()), &job)?;
    let leaving = Leaving {
        task,
        job,
        platform,
        is_retry: true,
        is_canceled: state == TaskState::Canceled,
        posts: carriers::posts(batch.connection, task).await?,
    };
    if leaving.posts.is_empty() {
        return Ok(false);
    }
    // What another task carries by now is not sent again: who waits for it follows that one.
    let carried = carriers::carried(batch.connection, &leaving).await?;
    let words = cause.words(&format!("retry of {task}, asked for"));
    carriers::hand_over(batch, &leaving, &carried, Successor { id: new, words, touch: cause.touch() })
        .await?;
    if state == TaskState::Unconfirmed {
        // Whoever retries has decided that it was not taken, or that it may be paid again.
        give_up(task, cause.words("given up"), cause.at, &mut batch.changes);
    }
    batch.changes.touch(task, cause.at, Source::Operator);
    Ok(true)
}

/// Cancels a task that was not sent, or gives up one of unknown fate; `false` for any other.
async fn cancel(batch: &mut Batch<'_>, task: TaskId, cause: Cause<'_>) -> Result<bool, sqlx::Error> {
    let can_be: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE id = ?1 AND state IN ('queued', 'unconfirmed'))",
    )
    .bind(task.to_string())
    .fetch_one(&mut *batch.connection)
    .await?;
    if can_be {
        give_up(task, cause.words("canceled"), cause.at, &mut batch.changes);
    }
    Ok(can_be)
}

/// Cancels what was not sent of a job, even while it waits in another job's task; `false` if nothing is left.
async fn cancel_job(batch: &mut Batch<'_>, job: JobId, cause: Cause<'_>) -> Result<bool, sqlx::Error> {
    let elsewhere =
        sqlx::query(CANCEL_ELSEWHERE).bind(job.to_string()).execute(&mut *batch.connection).await?;
    let has_elsewhere = elsewhere.rows_affected() > 0;
    if has_elsewhere {
        followers::count(batch.connection, &[job]).await?;
        batch.changes.jobs.insert(job, cause.touch());
    }
    let last: Option<String> = sqlx::query_scalar("SELECT max(id) FROM tasks WHERE job_id = ?1")
        .bind(job.to_string())
        .fetch_one(&mut *batch.connection)
        .await?;
    let Some(last) = last else { return Ok(has_elsewhere) };
    let cancel = Cancel { job, words: cause.words("canceled"), after: String::new(), last, at: cause.at };
    let has_queued = cancel_queued(batch, &cancel).await?;
    Ok(has_queued || has_elsewhere)
}

pub(crate) const CANCEL_ELSEWHERE: &str =
    "UPDATE job_urls SET fixed = 'canceled' WHERE job_id = ?1 AND fixed IS NULL AND EXISTS (
       SELECT 1 FROM task_urls JOIN tasks ON tasks.id = task_urls.task_id
       WHERE task_urls.task_id = job_urls.task_id AND task_urls.position = task_position
         AND task_urls.state = 'waiting' AND tasks.job_id IS NOT ?1)";

/// Most tasks that one commit cancels for a job.
const CANCELED: usize = 64;

/// The queued tasks of a job that are to be canceled: those after one id, up to another.
pub(crate) struct Cancel {
    pub(crate) job: JobId,
    /// For the events.
    pub(crate) words: String,
    pub(crate) after: String,
    pub(crate) last: String,
    pub(crate) at: Timestamp,
}

pub(crate) const CANCELABLE: &str = "SELECT id FROM tasks INDEXED BY tasks_by_job
     WHERE job_id = ?1 AND id > ?2 AND id <= ?3 AND state = 'queued' ORDER BY id LIMIT ?4";

/// Cancels the first of these tasks, and writes down that the rest is due; `false` if there are none.
pub(crate) async fn cancel_queued(batch: &mut Batch<'_>, cancel: &Cancel) -> Result<bool, sqlx::Error> {
    let mut queued: Vec<String> = sqlx::query_scalar(CANCELABLE)
        .bind(cancel.job.to_string())
        .bind(&cancel.after)
        .bind(&cancel.last)
        .bind(i64::try_from(CANCELED + 1).unwrap_or(i64::MAX))
        .fetch_all(&mut *batch.connection)
        .await?;
    let is_all = queued.len() <= CANCELED;
    queued.truncate(CANCELED);
    for id in &queued {
        give_up(
            column::parsed(("tasks", "id", id), id)?,
            cancel.words.clone(),
            cancel.at,
            &mut batch.changes,
        );
    }
    if is_all {
        sqlx::query("DELETE FROM due_cancels WHERE job_id = ?1")
            .bind(cancel.job.to_string())
            .execute(&mut *batch.connection)
            .await?;
        return Ok(!queued.is_empty());
    }
    batch.changes.has_due = true;
    sqlx::query(
        "INSERT INTO due_cancels (job_id, words, after_task, last_task, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (job_id) DO UPDATE SET
           after_task = excluded.after_task, last_task = max(last_task, excluded.last_task)",
    )
    .bind(cancel.job.to_string())
    .bind(&cancel.words)
    .bind(queued.last())
    .bind(&cancel.last)
    .bind(cancel.at.as_millis())
    .execute(&mut *batch.connection)
    .await?;
    Ok(true)
}

/// Cancels a task that is about to be sent, if the cancel of its job has not come to it yet.
pub(crate) async fn cancel_due(
    batch: &mut Batch<'_>,
    task: TaskId,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let words: Option<String> = sqlx::query_scalar(
        "SELECT words FROM tasks JOIN due_cancels ON due_cancels.job_id = tasks.job_id
         WHERE tasks.id = ?1 AND state = 'queued' AND tasks.id > after_task AND tasks.id <= last_task",
    )
    .bind(task.to_string())
    .fetch_optional(&mut *batch.connection)
    .await?;
    let is_due = words.is_some();
    if let Some(words) = words {
        give_up(task, words, at, &mut batch.changes);
    }
    Ok(is_due)
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
