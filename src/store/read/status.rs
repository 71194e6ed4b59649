//! The status for operators. Must never become slower with the number of jobs, tasks or videos.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::time::{Timestamp, millis};
use crate::store::column::row;
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// The time for which the status reports a stall or a hint.
const RECENT: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// A number, and the time when it began.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    /// The number.
    pub count: i64,
    /// Time of the first one.
    pub since: Timestamp,
}

/// Error of the last submit that failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LastError {
    /// Code from the memories.ai API, or one of scrapehook's.
    pub code: String,
    /// Message for people.
    pub message: String,
    /// Time of the error.
    pub at: Timestamp,
}

/// Numbers of jobs, tasks and videos by state, and of hints.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Counts {
    /// Numbers of jobs by state.
    pub jobs: BTreeMap<String, i64>,
    /// Numbers of tasks by state.
    pub tasks: BTreeMap<String, i64>,
    /// Numbers of videos by state.
    pub videos: BTreeMap<String, i64>,
    /// Number of kept hints.
    pub quarantine: i64,
}

/// The status from the file.
#[derive(Clone, Debug)]
pub struct Overview {
    /// See [`Counts`].
    pub counts: Counts,
    /// Tasks that may have been charged, and need a decision.
    pub unconfirmed: Option<Count>,
    /// Tasks that became stalled in the last week, and were not sent again.
    pub stalled: Option<Count>,
    /// URLs that wait to be sent.
    pub waiting: i64,
    /// Callbacks without a good token in the last week.
    pub hints: Option<Count>,
    /// Tasks accepted since the last callback.
    pub silent: Option<Count>,
    /// Time of the last callback.
    pub last_callback_at: Option<Timestamp>,
    /// Error of the last submit that failed.
    pub last_error: Option<LastError>,
}

/// The small part of an [`Overview`] for metrics.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Tasks by state.
    pub tasks: BTreeMap<String, i64>,
    /// Number of kept hints.
    pub hints: i64,
    /// Time of the last callback.
    pub last_callback_at: Option<Timestamp>,
}

row! {
    struct CountRow {
        count: i64,
        since: Option<i64>,
    }
}

impl CountRow {
    fn count(self) -> Option<Count> {
        let since = Timestamp::from_millis(self.since?);
        (self.count > 0).then_some(Count { count: self.count, since })
    }
}

impl Readers {
    /// The status.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn overview(&self, now: Timestamp) -> Result<Overview, ReadError> {
        let recent = now.as_millis().saturating_sub(millis(RECENT));
        let Tally { tasks, hints: quarantine, last_callback_at } = self.tally().await?;
        let last_error: Option<(String, Option<String>, i64)> =
            sqlx::query_as(LAST_ERROR).fetch_optional(&self.pool).await?;
        let last_error = last_error.map(|(code, message, at)| LastError {
            code,
            message: message.unwrap_or_default(),
            at: Timestamp::from_millis(at),
        });
        Ok(Overview {
            counts: Counts {
                jobs: self.by_state("jobs").await?,
                tasks,
                videos: self.by_state("videos").await?,
                quarantine,
            },
            unconfirmed: self.count(UNCONFIRMED, 0).await?,
            stalled: self.count(STALLED, recent).await?,
            waiting: sqlx::query_scalar(WAITING).fetch_one(&self.pool).await?,
            hints: self
                .count(
                    "SELECT count(*) AS count, min(first_received_at) AS since FROM quarantine
                     WHERE last_received_at >= ?1",
                    recent,
                )
                .await?,
            silent: self.count(SILENT, last_callback_at.map_or(0, Timestamp::as_millis)).await?,
            last_callback_at,
            last_error,
        })
    }

    /// The number of tasks that are known only from their callbacks and have not listed all of their URLs yet. Reads
    /// all tasks that are polled.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn unlisted(&self) -> Result<i64, ReadError> {
        Ok(sqlx::query_scalar(UNLISTED).fetch_one(&self.pool).await?)
    }

    /// The part for metrics.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn tally(&self) -> Result<Tally, ReadError> {
        let last_callback_at: Option<i64> = sqlx::query_scalar(LAST_CALLBACK).fetch_one(&self.pool).await?;
        Ok(Tally {
            tasks: self.by_state("tasks").await?,
            hints: sqlx::query_scalar("SELECT count(*) FROM quarantine").fetch_one(&self.pool).await?,
            last_callback_at: last_callback_at.map(Timestamp::from_millis),
        })
    }

    /// The numbers by state. Triggers keep them (see the migration).
    async fn by_state(&self, subject: &str) -> Result<BTreeMap<String, i64>, ReadError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(BY_STATE).bind(subject).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().collect())
    }

    async fn count(&self, sql: &'static str, bound: i64) -> Result<Option<Count>, ReadError> {
        let row: CountRow = sqlx::query_as(sql).bind(bound).fetch_one(&self.pool).await?;
        Ok(row.count())
    }
}

/// Waiting URLs in lines, which triggers count, and in waiting tasks.
pub(crate) const WAITING: &str = "SELECT ifnull((SELECT sum(waiting) FROM lines WHERE waiting > 0), 0) + (
       SELECT count(*) FROM tasks INDEXED BY tasks_by_state CROSS JOIN attempts ON attempts.task = tasks.number
       WHERE tasks.state = 'queued' AND standing = 4)";
pub(crate) const UNLISTED: &str = "SELECT count(*) FROM tasks INDEXED BY tasks_to_poll
     WHERE next_poll_at IS NOT NULL
       AND (job_id IS NULL OR NOT EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id))
       AND NOT EXISTS (SELECT 1 FROM facts WHERE task_id = tasks.id AND kind = 'list_complete')";
pub(crate) const BY_STATE: &str = "SELECT state, count FROM counts WHERE subject = ?1 AND count > 0";
pub(crate) const UNCONFIRMED: &str =
    "SELECT count(*) AS count, min(news_at) AS since FROM tasks INDEXED BY tasks_unconfirmed
     WHERE state = 'unconfirmed' AND news_at >= ?1";
pub(crate) const STALLED: &str =
    "SELECT count(*) AS count, min(settled_at) AS since FROM tasks INDEXED BY tasks_stalled
     WHERE state = 'stalled' AND replaced_by IS NULL AND settled_at >= ?1";
pub(crate) const SILENT: &str =
    "SELECT count(*) AS count, min(accepted_at) AS since FROM tasks INDEXED BY tasks_silent
     WHERE state = 'accepted' AND accepted_at > ?1";
const LAST_ERROR: &str = "SELECT code, message, ended_at FROM submits
     WHERE code IS NOT NULL AND ended_at IS NOT NULL ORDER BY number DESC LIMIT 1";
const LAST_CALLBACK: &str = "SELECT max(last_received_at) FROM (
       SELECT last_received_at FROM callbacks ORDER BY id DESC LIMIT 1000)";
