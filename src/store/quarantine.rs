//! The quarantine: hints, bounded in rows and bytes, the oldest out first.

use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::op::ReceivedHint;
use super::{ReadError, Store};
use crate::domain::callback::Hint;
use crate::domain::time::Timestamp;

/// Most hints that are kept.
const ROWS: i64 = 1_000;
/// Most bytes of bodies that are kept.
const BYTES: i64 = 8 * 1024 * 1024;

/// Keeps a hint, or counts one more delivery of one that is kept.
pub(super) async fn keep(connection: &mut SqliteConnection, hint: &ReceivedHint) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO quarantine
           (upstream_id, body_hash, body, first_received_at, last_received_at, deliveries)
         VALUES (?1, ?2, ?3, ?4, ?4, 1)
         ON CONFLICT (body_hash) DO UPDATE SET
           deliveries = deliveries + 1, last_received_at = excluded.last_received_at",
    )
    .bind(&hint.upstream_id)
    .bind(&hint.body_hash[..])
    .bind(&hint.body[..])
    .bind(hint.at.as_millis())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM quarantine WHERE id <= (
           SELECT id FROM (
             SELECT id, row_number() OVER newest AS place, sum(length(body)) OVER newest AS bytes
             FROM quarantine WINDOW newest AS (ORDER BY id DESC))
           WHERE place > ?1 OR bytes > ?2 ORDER BY id DESC LIMIT 1)",
    )
    .bind(ROWS)
    .bind(BYTES)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    id: i64,
    upstream_id: Option<String>,
    body: Vec<u8>,
    first_received_at: i64,
    last_received_at: i64,
    deliveries: i64,
}

impl Store {
    /// The hints kept, newest first, only those before `before`.
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
        .fetch_all(&self.readers)
        .await?;
        let hint = |row: Row| Hint {
            id: row.id,
            upstream_id: row.upstream_id,
            first_received_at: Timestamp::from_millis(row.first_received_at),
            last_received_at: Timestamp::from_millis(row.last_received_at),
            deliveries: row.deliveries,
            body: String::from_utf8_lossy(&row.body).into_owned(),
        };
        Ok(rows.into_iter().map(hint).collect())
    }
}
