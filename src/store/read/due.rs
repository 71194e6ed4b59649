//! Due polls: finds the task that is polled next. Must never let one unreadable task hold up the others.

use std::time::Duration;

use serde_json::json;

use crate::domain::id::TaskId;
use crate::domain::time::Timestamp;
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// A task whose poll is due, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuePoll {
    /// scrapehook's id of the task.
    pub task: TaskId,
    /// Upstream's `taskId`.
    pub upstream_id: String,
    /// The name of the folder as submitted.
    pub unique_id: Option<String>,
    /// The count of news at the time of this query.
    pub news: i64,
    /// The time at which the poll is due.
    pub due: Timestamp,
}

/// The most tasks with an unreadable row that one query leaves out.
const MOST_UNREAD: i64 = 16;

row! {
    struct Row {
        id: String,
        upstream_id: Option<String>,
        unique_id: Option<String>,
        news: i64,
        next_poll_at: i64,
    }
}

/// Polls name no folder until the spelling of the destination is known.
pub(crate) const NEXT: &str = "SELECT tasks.id, iif(asks_other, other_id, upstream_id) AS upstream_id,
       CASE kind WHEN 1 THEN 'default' ELSE name END AS unique_id, news, next_poll_at
     FROM tasks LEFT JOIN destinations ON destinations.number = tasks.destination
     WHERE next_poll_at > ?1 AND (tasks.settled_at IS NULL OR next_poll_at > ?2)
       AND tasks.id NOT IN (SELECT value FROM json_each(?3))
     ORDER BY next_poll_at LIMIT 1 OFFSET ?4";

impl Readers {
    /// Returns the task whose poll is due first, now or later, without those that are put aside.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_poll(&self, aside: &[TaskId]) -> Result<Option<DuePoll>, ReadError> {
        let any = Timestamp::from_millis(i64::MIN);
        self.first_readable(aside, any, any).await
    }

    /// Returns a task whose poll is due later than any wait lasts, because it was put off before the clock was set
    /// back, or before `reconcile.after` was shortened. A settled task may wait for `reconcile.deadline`, any other
    /// for `longest`. Tasks that are put aside are left out.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_put_off(
        &self,
        aside: &[TaskId],
        now: Timestamp,
        longest: Duration,
    ) -> Result<Option<DuePoll>, ReadError> {
        let settled = longest.max(self.policy.deadline).max(self.policy.settle_after);
        self.first_readable(aside, now.after(longest), now.after(settled)).await
    }

    /// Whether a task that waits for a poll has news from after this time, because the clock was set back since.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn has_news_after(&self, time: Timestamp) -> Result<bool, ReadError> {
        let has_news = sqlx::query_scalar(
            "SELECT EXISTS (
               SELECT 1 FROM tasks WHERE next_poll_at > ?1 AND max(news_at, ifnull(polled_at, 0)) > ?1)",
        )
        .bind(time.as_millis())
        .fetch_one(&self.pool)
        .await?;
        Ok(has_news)
    }

    async fn first_readable(
        &self,
        aside: &[TaskId],
        after: Timestamp,
        settled_after: Timestamp,
    ) -> Result<Option<DuePoll>, ReadError> {
        let aside = json!(aside).to_string();
        let mut unread = 0;
        loop {
            let row: Result<Option<Row>, sqlx::Error> = sqlx::query_as(NEXT)
                .bind(after.as_millis())
                .bind(settled_after.as_millis())
                .bind(&aside)
                .bind(unread)
                .fetch_optional(&self.pool)
                .await;
            match row.and_then(|row| row.map(due).transpose()) {
                Ok(due) => return Ok(due),
                Err(error) if unread < MOST_UNREAD && column::is_unreadable(&error) => {
                    tracing::error!(%error, "could not read a task, so it is not polled");
                    unread += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn due(row: Row) -> Result<DuePoll, sqlx::Error> {
    let at = |column| ("tasks", column, row.id.as_str());
    let missing = || column::unreadable(at("upstream_id"), "missing although a poll is due");
    Ok(DuePoll {
        task: column::parsed(at("id"), &row.id)?,
        upstream_id: row.upstream_id.clone().ok_or_else(missing)?,
        unique_id: row.unique_id,
        news: row.news,
        due: Timestamp::from_millis(row.next_poll_at),
    })
}
