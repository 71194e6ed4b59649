//! The query for the pauses in force. Must never write.

use crate::domain::pause::Pause;
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

row! {
    struct Row {
        scope: String,
        code: String,
        message: String,
        since: i64,
        probe_at: i64,
        probes: u32,
    }
}

impl Readers {
    /// Returns the pauses in force.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn pauses(&self) -> Result<Vec<Pause>, ReadError> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT scope, code, message, since, probe_at, probes FROM pauses ORDER BY scope")
                .fetch_all(&self.pool)
                .await?;
        let pause = |row: Row| {
            let probe_at = column::time(("pauses", "probe_at", &row.scope), row.probe_at)?;
            Ok(Pause {
                probe_at: (!Pause::waits_for_operator(&row.scope)).then_some(probe_at),
                since: column::time(("pauses", "since", &row.scope), row.since)?,
                scope: row.scope,
                code: row.code,
                message: row.message,
                probes: row.probes,
            })
        };
        Ok(rows.into_iter().map(pause).collect::<Result<_, sqlx::Error>>()?)
    }
}
