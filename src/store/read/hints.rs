//! Queries for hints, and for the next `taskId` to ask upstream about. Must never write.

use crate::domain::callback::Hint;
use crate::domain::time::{Timestamp, millis};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::policy::Policy;
use crate::store::read::Readers;

/// A `taskId` that hints named and no task has, and the folders that could hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Upstream's `taskId`.
    pub upstream_id: String,
    /// The folder names of the unconfirmed tasks, each once.
    pub unique_ids: Vec<Option<String>>,
    /// The time at which the question is due.
    pub due: Timestamp,
}

row! {
    struct Row {
        id: i64,
        upstream_id: Option<String>,
        body: Vec<u8>,
        first_received_at: i64,
        last_received_at: i64,
        deliveries: i64,
    }
}

impl Readers {
    /// Returns the unknown `taskId` to ask about first. None if no task is unconfirmed.
    ///
    /// A `taskId` that is due later than its wait lasts was put off before the clock was set back, so it is due now.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_look(&self, now: Timestamp, policy: Policy) -> Result<Option<Look>, ReadError> {
        let row: Option<(String, i64)> = sqlx::query_as(
            "SELECT upstream_id,
               iif(look_at > ?1 + min(?2 << max(looks - 1, 0), ?3), ?1, look_at) AS due
             FROM quarantine
             WHERE look_at IS NOT NULL AND EXISTS (SELECT 1 FROM tasks WHERE state = 'unconfirmed')
             ORDER BY due LIMIT 1",
        )
        .bind(now.as_millis())
        .bind(millis(policy.poll_after))
        .bind(millis(policy.deadline))
        .fetch_optional(&self.pool)
        .await?;
        let Some((upstream_id, due)) = row else { return Ok(None) };
        let unique_ids = sqlx::query_scalar(
            "SELECT DISTINCT CASE kind WHEN 1 THEN 'default' ELSE name END
             FROM tasks INDEXED BY tasks_unconfirmed JOIN destinations ON destinations.number = tasks.destination
             WHERE tasks.state = 'unconfirmed' AND kind IS NOT NULL LIMIT 5",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(Some(Look { upstream_id, unique_ids, due: Timestamp::from_millis(due) }))
    }

    /// Returns the stored hints, newest first, and only those before `before`.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn quarantine(&self, before: Option<i64>, limit: i64) -> Result<Vec<Hint>, ReadError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, upstream_id, body, first_received_at, last_received_at, deliveries FROM quarantine
             WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let hint = |row: Row| {
            let number = row.id.to_string();
            let at = |column| ("quarantine", column, number.as_str());
            Ok(Hint {
                id: row.id,
                upstream_id: row.upstream_id,
                first_received_at: column::time(at("first_received_at"), row.first_received_at)?,
                last_received_at: column::time(at("last_received_at"), row.last_received_at)?,
                deliveries: row.deliveries,
                body: String::from_utf8_lossy(&row.body).into_owned(),
            })
        };
        Ok(rows.into_iter().map(hint).collect::<Result<_, sqlx::Error>>()?)
    }
}
