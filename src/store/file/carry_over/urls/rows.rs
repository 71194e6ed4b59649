//! The new rows of a page of task URLs. Must never be stored in part.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

#[derive(Default)]
pub(super) struct Rows {
    pub(super) rounds: Vec<Value>,
    pub(super) attempts: Vec<Value>,
    /// Rounds that now wait in another line, each with the last such line.
    pub(super) raised: BTreeMap<i64, i64>,
}

impl Rows {
    pub(super) async fn store(self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for (statement, rows) in [
            (
                "INSERT INTO rounds (number, post, job, url, begun_at, line, kind, state, code, message, certain)
                 SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
                   value->>8, value->>9, value->>10 FROM json_each(?1)",
                self.rounds,
            ),
            (
                "INSERT INTO attempts
                   (task, position, round, state, standing, attributed, code, message, certain)
                 SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, value->>7,
                   value->>8 FROM json_each(?1)",
                self.attempts,
            ),
            (
                "UPDATE rounds SET line = new.line
                 FROM (SELECT value->>0 AS number, value->>1 AS line FROM json_each(?1)) AS new
                 WHERE rounds.number = new.number",
                self.raised.into_iter().map(|(round, line)| json!([round, line])).collect(),
            ),
        ] {
            if !rows.is_empty() {
                sqlx::query(statement).bind(json!(rows).to_string()).execute(&mut *connection).await?;
            }
        }
        Ok(())
    }
}
