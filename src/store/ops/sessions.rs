//! Sessions of browsers. Must never store a token or a key.

use crate::domain::session::{IDLE, KeyMark, MOST_SESSIONS, TokenHash};
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;

/// Begins a session. Removes those that have ended, and the least used one if there are too many.
#[derive(Debug)]
pub(crate) struct BeginSession {
    pub(crate) hash: TokenHash,
    pub(crate) mark: KeyMark,
    pub(crate) at: Timestamp,
}

impl Operation for BeginSession {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        sqlx::query(
            "DELETE FROM sessions WHERE used_at < ?1 OR hash IN (
               SELECT hash FROM sessions ORDER BY used_at DESC LIMIT -1 OFFSET ?2)",
        )
        .bind(self.at.before(IDLE).as_millis())
        .bind(MOST_SESSIONS - 1)
        .execute(&mut *batch.connection)
        .await?;
        sqlx::query("INSERT INTO sessions (hash, mark, created_at, used_at) VALUES (?1, ?2, ?3, ?3)")
            .bind(&self.hash[..])
            .bind(&self.mark[..])
            .bind(self.at.as_millis())
            .execute(&mut *batch.connection)
            .await
            .map(drop)
    }
}

/// Notes that a session was used.
#[derive(Debug)]
pub(crate) struct UseSession {
    pub(crate) hash: TokenHash,
    pub(crate) at: Timestamp,
}

impl Operation for UseSession {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        sqlx::query("UPDATE sessions SET used_at = max(used_at, ?2) WHERE hash = ?1")
            .bind(&self.hash[..])
            .bind(self.at.as_millis())
            .execute(&mut *batch.connection)
            .await
            .map(drop)
    }
}

/// Ends a session.
#[derive(Debug)]
pub(crate) struct EndSession {
    pub(crate) hash: TokenHash,
}

impl Operation for EndSession {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        sqlx::query("DELETE FROM sessions WHERE hash = ?1")
            .bind(&self.hash[..])
            .execute(&mut *batch.connection)
            .await
            .map(drop)
    }
}
