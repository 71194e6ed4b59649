//! Submits: every one written before it is sent, and what became of it.

use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::changes::Changes;
use super::op::{NewPause, SubmitEnd};
use super::ownership::Claim;
use super::pauses::{self, Pause};
use super::{Policy, ReadError, Store, carriers, column, decisions, ownership};
use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::job::{Library, Quality};
use crate::domain::task::{Failure, SubmitOutcome, UpstreamIdSource};
use crate::domain::time::Timestamp;
use crate::domain::url::Platform;

/// So many submits of unknown fate in a row stop sending.
const UNKNOWN_IN_A_ROW: u8 = 2;

/// Writes the row of a submit that is about to be sent; `false` if the task is no longer queued, its job was canceled,
/// it has made way for another task, or an operator has paused sending meanwhile.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    if decisions::cancel_due(connection, task, at, changes).await?
        || carriers::make_way(connection, task, at, changes).await?
    {
        return Ok(false);
    }
    let begun = sqlx::query(
        "INSERT INTO submits (task_id, attempt, started_at)
         SELECT id, 1 + (SELECT count(*) FROM submits WHERE task_id = tasks.id), ?2
         FROM tasks WHERE id = ?1 AND state = 'queued'
           AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('operator', 'restored'))",
    )
    .bind(task.to_string())
    .bind(at.as_millis())
    .execute(connection)
    .await?;
    let took_effect = begun.rows_affected() == 1;
    if took_effect {
        changes.touch(task, at, Source::Submit);
    }
    Ok(took_effect)
}

/// Closes the open submit of a task.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
    end: &SubmitEnd,
    policy: Policy,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let (outcome, failure) = match end {
        SubmitEnd::Accepted(_) => (SubmitOutcome::Accepted, None),
        SubmitEnd::Deferred(failure, _) => (SubmitOutcome::Deferred, Some(failure)),
        SubmitEnd::Rejected(failure) => (SubmitOutcome::Rejected, Some(failure)),
        SubmitEnd::Unknown(failure) => (SubmitOutcome::Unknown, Some(failure)),
    };
    close(&mut *connection, task, at, outcome, failure).await?;
    match end {
        SubmitEnd::Accepted(upstream_id) => {
            let by = UpstreamIdSource::Submit;
            ownership::release(connection, &Claim { task, upstream_id, by, at }, Source::Submit, changes)
                .await?;
            let before: Option<String> = sqlx::query_scalar("SELECT upstream_id FROM tasks WHERE id = ?1")
                .bind(task.to_string())
                .fetch_optional(&mut *connection)
                .await?
                .flatten();
            if before.is_some_and(|before| before != *upstream_id) {
                ownership::begin_polling_again(connection, task, at).await?;
            }
            sqlx::query("UPDATE tasks SET upstream_id = ?2, upstream_id_source = ?3 WHERE id = ?1")
                .bind(task.to_string())
                .bind(upstream_id)
                .bind(UpstreamIdSource::Submit.as_str())
                .execute(&mut *connection)
                .await?;
            ownership::take_in(connection, task, upstream_id, at, changes).await?;
        }
        SubmitEnd::Deferred(_, wait) => {
            sqlx::query("UPDATE tasks SET next_attempt_at = ?2 WHERE id = ?1")
                .bind(task.to_string())
                .bind(at.after(*wait).as_millis())
                .execute(&mut *connection)
                .await?;
        }
        SubmitEnd::Rejected(_) => {}
        SubmitEnd::Unknown(_) => pause_after_unknown(connection, at, policy, changes).await?,
    }
    changes.touch(task, at, Source::Submit);
    Ok(())
}

/// Too many submits of unknown fate in a row stop sending, and so does a probe that becomes one. In the same
/// commit: a crash in between would forget it.
async fn pause_after_unknown(
    connection: &mut SqliteConnection,
    at: Timestamp,
    policy: Policy,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let is_paused: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pauses WHERE scope = ?1)")
        .bind(Pause::ALL)
        .fetch_one(&mut *connection)
        .await?;
    let last: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT outcome FROM submits WHERE code IS NOT 'recovered' ORDER BY number DESC LIMIT ?1",
    )
    .bind(UNKNOWN_IN_A_ROW)
    .fetch_all(&mut *connection)
    .await?;
    let unknown = SubmitOutcome::Unknown.as_str();
    let in_a_row = last.iter().filter(|outcome| outcome.as_deref() == Some(unknown)).count();
    if !is_paused && in_a_row < usize::from(UNKNOWN_IN_A_ROW) {
        return Ok(());
    }
    let failure = Failure::new(
        Pause::UNCONFIRMED,
        "nobody knows whether the last submits arrived: more of them could be charged for nothing",
    );
    let pause = NewPause { scope: Pause::ALL.to_owned(), failure };
    pauses::set(connection, &pause, Source::Submit, at, policy, changes).await
}

/// Nobody is left to hear the answers to these: they may have been charged.
pub(super) async fn close_open(
    connection: &mut SqliteConnection,
    at: Timestamp,
    policy: Policy,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let open: Vec<String> = sqlx::query_scalar("SELECT task_id FROM submits WHERE outcome IS NULL")
        .fetch_all(&mut *connection)
        .await?;
    let failure = Failure::new(
        "interrupted",
        "the service stopped before the answer came: upstream may have charged for it",
    );
    for id in open {
        let task = column::parsed(("submits", "task_id", &id), &id)?;
        close(&mut *connection, task, at, SubmitOutcome::Unknown, Some(&failure)).await?;
        changes.touch(task, at, Source::Clock);
        pause_after_unknown(connection, at, policy, changes).await?;
    }
    Ok(())
}

async fn close(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
    outcome: SubmitOutcome,
    failure: Option<&Failure>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE submits SET ended_at = ?2, outcome = ?3, code = ?4, message = ?5
         WHERE task_id = ?1 AND outcome IS NULL",
    )
    .bind(task.to_string())
    .bind(at.as_millis())
    .bind(outcome.as_str())
    .bind(failure.map(|failure| &failure.code))
    .bind(failure.map(|failure| &failure.message))
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE tasks SET news_at = ?2 WHERE id = ?1")
        .bind(task.to_string())
        .bind(at.as_millis())
        .execute(connection)
        .await?;
    Ok(())
}

/// A task whose turn it is, with all that its submit needs.
#[derive(Clone, Debug)]
pub struct QueuedTask {
    /// Our id.
    pub id: TaskId,
    /// The platform of its URLs.
    pub platform: Platform,
    /// The earliest time of its next submit.
    pub due: Timestamp,
    /// Folder name.
    pub unique_id: Option<String>,
    /// Folder number.
    pub folder_id: Option<i64>,
    /// Lines of the wanted picture.
    pub quality: Quality,
    /// Where the videos are put.
    pub library: Library,
    /// Its URLs as the user gave them.
    pub urls: Vec<String>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    job_id: Option<String>,
    has_job: bool,
    platform: String,
    next_attempt_at: i64,
    unique_id: Option<String>,
    folder_id: Option<i64>,
    quality: String,
    library: String,
    urls: String,
}

impl Store {
    /// The queued task whose turn comes first, due or not, leaving out these platforms and what is put aside.
    ///
    /// One that can't be read is left out and logged: it must not keep all others from being sent.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_queued(
        &self,
        without: &[String],
        aside: &[TaskId],
    ) -> Result<Option<QueuedTask>, ReadError> {
        let mut unread = 0;
        loop {
            let row: Result<Option<Row>, sqlx::Error> = sqlx::query_as(NEXT_QUEUED)
                .bind(serde_json::json!(without).to_string())
                .bind(unread)
                .bind(serde_json::json!(aside).to_string())
                .fetch_optional(&self.readers)
                .await;
            match row.and_then(|row| row.map(queued).transpose()) {
                Ok(task) => return Ok(task),
                Err(error) if unread < MOST_UNREAD && column::is_unreadable(&error) => {
                    tracing::error!(%error, "a queued task is not sent");
                    unread += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// So many queued tasks that can't be read are left out.
const MOST_UNREAD: i64 = 16;

const NEXT_QUEUED: &str =
    "SELECT tasks.id, job_id, jobs.id IS NOT NULL AS has_job, platform, next_attempt_at, unique_id, folder_id,
       ifnull(quality, '') AS quality, ifnull(library, '') AS library,
       (SELECT json_group_array(url) FROM
          (SELECT url FROM task_urls WHERE task_id = tasks.id ORDER BY position)) AS urls
     FROM (SELECT id AS next FROM tasks INDEXED BY tasks_to_submit
           WHERE state = 'queued' AND platform NOT IN (SELECT value FROM json_each(?1))
             AND id NOT IN (SELECT value FROM json_each(?3))
           ORDER BY next_attempt_at, id LIMIT 1 OFFSET ?2)
       JOIN tasks ON tasks.id = next LEFT JOIN jobs ON jobs.id = tasks.job_id";

impl Store {
    /// How many URLs were sent since then, except in submits that were certainly not taken.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn urls_sent_since(&self, start: Timestamp) -> Result<u64, ReadError> {
        let sent: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM submits JOIN task_urls ON task_urls.task_id = submits.task_id
             WHERE started_at >= ?1 AND (outcome IS NULL OR outcome IN ('accepted', 'unknown'))
               AND code IS NOT 'recovered'",
        )
        .bind(start.as_millis())
        .fetch_one(&self.readers)
        .await?;
        Ok(u64::try_from(sent).unwrap_or_default())
    }
}

fn queued(row: Row) -> Result<QueuedTask, sqlx::Error> {
    let at = |column| ("tasks", column, row.id.as_str());
    let job = row.job_id.as_deref().filter(|_| row.has_job);
    let job = job.ok_or_else(|| column::unreadable(at("job_id"), "no such job"))?;
    Ok(QueuedTask {
        id: column::parsed(at("id"), &row.id)?,
        due: Timestamp::from_millis(row.next_attempt_at),
        quality: column::parsed(("jobs", "quality", job), &row.quality)?,
        library: column::parsed(("jobs", "library", job), &row.library)?,
        urls: column::json(("task_urls", "url", &row.id), &row.urls)?,
        platform: Platform::from_stored(row.platform),
        unique_id: row.unique_id,
        folder_id: row.folder_id,
    })
}
