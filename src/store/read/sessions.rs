//! Queries about sessions of browsers.

use crate::domain::session::TokenHash;
use crate::domain::time::Timestamp;
use crate::store::column::row;
use crate::store::error::ReadError;
use crate::store::read::Readers;

row! {
    struct SessionRow {
        mark: Vec<u8>,
        used_at: i64,
    }
}

/// A session that was not ended. It may be idle for too long.
#[derive(Clone, Debug)]
pub struct StoredSession {
    /// The mark of its API key.
    pub mark: Vec<u8>,
    /// The time of its last request, exact to a few minutes.
    pub used_at: Timestamp,
}

impl Readers {
    /// Returns the session of the token with this hash.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn session(&self, hash: &TokenHash) -> Result<Option<StoredSession>, ReadError> {
        let row: Option<SessionRow> = sqlx::query_as("SELECT mark, used_at FROM sessions WHERE hash = ?1")
            .bind(&hash[..])
            .fetch_optional(&self.pool)
            .await?;
        let session =
            |row: SessionRow| StoredSession { mark: row.mark, used_at: Timestamp::from_millis(row.used_at) };
        Ok(row.map(session))
    }
}
