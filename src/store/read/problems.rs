//! The problems that were announced and are not over.

use sqlx::SqliteExecutor;

use crate::domain::problem::OpenProblem;
use crate::store::column;
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// Their row in `meta`, which is missing until the first problem.
pub(crate) const KEY: &str = "open_problems";

impl Readers {
    /// The problems that were announced and are not over, in the order of their announcements.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn open_problems(&self) -> Result<Vec<OpenProblem>, ReadError> {
        Ok(open_problems(&self.pool).await?)
    }
}

/// As [`Readers::open_problems`], on any connection.
pub(crate) async fn open_problems(
    connection: impl SqliteExecutor<'_>,
) -> Result<Vec<OpenProblem>, sqlx::Error> {
    let stored: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE key = ?1")
        .bind(KEY)
        .fetch_optional(connection)
        .await?;
    stored.map_or(Ok(Vec::new()), |stored| column::json(("meta", "value", KEY), &stored))
}
