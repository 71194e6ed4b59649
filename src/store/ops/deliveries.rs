//! Deliveries of webhooks, and the ends of their attempts.
//!
//! Must never mark a delivery as made before its receiver has answered.

use serde_json::json;

use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;

/// The row of `meta` with the `seq` up to which all deliveries are written down.
pub(crate) const CURSOR: &str = "forwarded_to";

/// An event for the URL of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The job's number.
    pub job: i64,
    /// The `seq` of the event.
    pub seq: i64,
    /// The host of the URL.
    pub host: String,
}

/// Stores the deliveries of all events up to the `seq` `to`.
#[derive(Debug)]
pub(crate) struct EnqueueDeliveries {
    pub(crate) deliveries: Vec<NewDelivery>,
    pub(crate) to: i64,
    pub(crate) at: Timestamp,
}

impl Operation for EnqueueDeliveries {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let row = |delivery: &NewDelivery| json!([delivery.job, delivery.seq, delivery.host]);
        let rows: Vec<_> = self.deliveries.iter().map(row).collect();
        sqlx::query(
            "INSERT INTO deliveries (job, seq, host, next_attempt_at)
             SELECT value->>0, value->>1, value->>2, ?2 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
        )
        .bind(json!(rows).to_string())
        .bind(self.at.as_millis())
        .execute(&mut *batch.connection)
        .await?;
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
        )
        .bind(CURSOR)
        .bind(self.to.to_string())
        .execute(&mut *batch.connection)
        .await
        .map(drop)
    }
}

/// The end of an attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The receiver accepted it.
    Delivered {
        /// The HTTP status of the answer.
        status: u16,
    },
    /// It failed.
    Failed {
        /// The HTTP status of the answer, if there was one.
        status: Option<u16>,
        /// The reason, for the operator.
        reason: String,
        /// The time of the next attempt. None if there is no further one.
        next_at: Option<Timestamp>,
    },
}

/// Stores the end of an attempt.
#[derive(Debug)]
pub(crate) struct EndAttempt {
    /// The number of the delivery.
    pub(crate) delivery: i64,
    pub(crate) began_at: Timestamp,
    pub(crate) at: Timestamp,
    pub(crate) end: AttemptEnd,
}

const WAITING: i64 = 1;
const DELIVERED: i64 = 2;
const DEAD: i64 = 3;

impl Operation for EndAttempt {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let (state, status, reason, next_at) = match &self.end {
            AttemptEnd::Delivered { status } => (DELIVERED, Some(*status), None, None),
            AttemptEnd::Failed { status, reason, next_at: Some(next_at) } => {
                (WAITING, *status, Some(reason), Some(next_at.as_millis()))
            }
            AttemptEnd::Failed { status, reason, next_at: None } => (DEAD, *status, Some(reason), None),
        };
        sqlx::query(
            "UPDATE deliveries SET state = ?2, status = ?3, reason = ?4, attempts = attempts + 1,
               first_attempt_at = ifnull(first_attempt_at, ?5), next_attempt_at = ifnull(?6, next_attempt_at),
               ended_at = iif(?2 = 1, NULL, ?7)
             WHERE number = ?1 AND state = 1",
        )
        .bind(self.delivery)
        .bind(state)
        .bind(status)
        .bind(reason)
        .bind(self.began_at.as_millis())
        .bind(next_at)
        .bind(self.at.as_millis())
        .execute(&mut *batch.connection)
        .await?;
        // The next delivery of the job may be due, although no task was touched.
        batch.changes.wakes_workers = true;
        Ok(())
    }
}
