//! The removal of deliveries of removed subscribers, in small steps.

use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;

/// Removes some deliveries of removed subscribers. The reply says whether there may be more.
#[derive(Debug)]
pub(crate) struct PurgeSubscribers {
    /// Most deliveries to remove.
    pub(crate) most: u32,
}

impl Operation for PurgeSubscribers {
    type Reply = bool;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let removed: Option<i64> =
            sqlx::query_scalar("SELECT number FROM subscribers WHERE removed_at IS NOT NULL LIMIT 1")
                .fetch_optional(&mut *batch.connection)
                .await?;
        let Some(number) = removed else { return Ok(false) };
        // All of its deliveries go, so nothing has to be kept in order.
        sqlx::query(
            "DELETE FROM delivery_order WHERE delivery IN (
               SELECT number FROM deliveries WHERE subscriber = ?1 AND subscriber > 0 ORDER BY state, number LIMIT ?2)",
        )
        .bind(number)
        .bind(self.most)
        .execute(&mut *batch.connection)
        .await?;
        let gone = sqlx::query(
            "DELETE FROM deliveries WHERE number IN (
               SELECT number FROM deliveries WHERE subscriber = ?1 AND subscriber > 0 ORDER BY state, number LIMIT ?2)",
        )
        .bind(number)
        .bind(self.most)
        .execute(&mut *batch.connection)
        .await?;
        if gone.rows_affected() < u64::from(self.most) {
            sqlx::query("DELETE FROM counts WHERE subject = 'subscriber ' || ?1")
                .bind(number)
                .execute(&mut *batch.connection)
                .await?;
            sqlx::query("DELETE FROM subscribers WHERE number = ?1")
                .bind(number)
                .execute(&mut *batch.connection)
                .await?;
        }
        Ok(true)
    }
}
