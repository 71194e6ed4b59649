//! The proof that commits work. Must never change anything that a reader can see.

use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;

/// Writes a row that nobody reads.
#[derive(Debug)]
pub(crate) struct Prove {
    pub(crate) at: Timestamp,
}

impl Operation for Prove {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('proved_at', ?1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(self.at.as_millis().to_string())
        .execute(&mut *batch.connection)
        .await
        .map(drop)
    }
}
