//! New deliveries of webhooks, in the order of their jobs. Must never put a delivery before one that waits already.

use serde_json::json;

use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::operation::Operation;

/// The row of `meta` with the `seq` up to which all deliveries are written down.
pub(crate) const CURSOR: &str = "forwarded_to";

/// The `subscriber` of deliveries to the callback URLs of jobs.
pub(crate) const JOBS: i64 = 0;

/// The order of a delivery that has no other.
const NO_JOB: i64 = 0;

/// Why a delivery to a receiver that has answered 410 was given up.
pub(crate) const GONE: &str = "the receiver wants no more webhooks (HTTP 410)";

/// An event for a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The subscriber's number. None for the URL of the job.
    pub subscriber: Option<i64>,
    /// The number of the job that the body shows. None if the event is about no job.
    pub job: Option<i64>,
    /// Distinguishes it from all other deliveries to this receiver.
    pub key: String,
    /// The `seq` of the event.
    pub seq: i64,
    /// The receiver, among which requests are shared: the subscriber, or the host of the URL.
    pub receiver: String,
    /// The numbers of the jobs in whose order it is made. Numbers below zero are for events about no job.
    pub order: Vec<i64>,
    /// Whether it is given up at once, because the receiver wants no more webhooks.
    pub is_dead: bool,
}

/// The progress that the deliveries of an operation make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// None. More deliveries of the same events follow.
    Partial {
        /// Whether they are those of a replay.
        again: bool,
    },
    /// All deliveries of the events up to this `seq` are stored.
    Forwarded(i64),
    /// The replay of a subscriber has come to this `seq`.
    Replayed {
        /// The subscriber's number.
        subscriber: i64,
        /// The `seq` that it had come to.
        after: i64,
        /// The `seq`.
        to: i64,
    },
}

/// Stores deliveries, and the progress that they make. A delivery that is stored already stays as it is, but one that
/// has ended is made again in a replay.
#[derive(Debug)]
pub(crate) struct EnqueueDeliveries {
    pub(crate) deliveries: Vec<NewDelivery>,
    pub(crate) progress: Progress,
    pub(crate) at: Timestamp,
}

impl Operation for EnqueueDeliveries {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let again = matches!(self.progress, Progress::Replayed { .. } | Progress::Partial { again: true });
        insert(batch, &self.deliveries, again, self.at).await?;
        match self.progress {
            Progress::Partial { .. } => Ok(()),
            Progress::Forwarded(to) => store_cursor(batch, to).await,
            // Another replay may have begun meanwhile, from an earlier event on.
            Progress::Replayed { subscriber, after, to } => sqlx::query(
                "UPDATE subscribers SET replay_after = iif(?2 < replay_to, ?2, NULL),
                       replay_to = iif(?2 < replay_to, replay_to, NULL)
                     WHERE number = ?1 AND replay_after = ?3",
            )
            .bind(subscriber)
            .bind(to)
            .bind(after)
            .execute(&mut *batch.connection)
            .await
            .map(drop),
        }
    }
}

async fn store_cursor(batch: &mut Batch<'_>, to: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(excluded.value AS INTEGER))",
    )
    .bind(CURSOR)
    .bind(to.to_string())
    .execute(&mut *batch.connection)
    .await
    .map(drop)
}

/// The first receiver sets where deliveries begin. Otherwise a restart would look at all older events.
pub(crate) async fn begin_forwarding(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (key, value)
         VALUES (?1, ifnull((SELECT CAST(seq AS TEXT) FROM sqlite_sequence WHERE name = 'events'), '0'))
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(CURSOR)
    .execute(&mut *batch.connection)
    .await
    .map(drop)
}

/// Inserts deliveries behind those that wait. With `again`, one that has ended is replaced.
pub(crate) async fn insert(
    batch: &mut Batch<'_>,
    deliveries: &[NewDelivery],
    again: bool,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let row = |delivery: &NewDelivery| {
        let NewDelivery { subscriber, job, key, seq, receiver, order: _, is_dead } = delivery;
        json!([subscriber.unwrap_or(JOBS), job, key, seq, receiver, is_dead])
    };
    let rows = json!(deliveries.iter().map(row).collect::<Vec<_>>()).to_string();
    if again {
        sqlx::query(
            "DELETE FROM deliveries WHERE state <> 1 AND number IN (
               SELECT number FROM json_each(?1) CROSS JOIN deliveries
                 ON subscriber = value->>0 AND subscriber > 0 AND deliveries.key = value->>2)",
        )
        .bind(&rows)
        .execute(&mut *batch.connection)
        .await?;
    }
    let before: i64 = sqlx::query_scalar("SELECT ifnull(max(number), 0) FROM deliveries")
        .fetch_one(&mut *batch.connection)
        .await?;
    sqlx::query(
        "INSERT INTO deliveries (subscriber, job, key, seq, receiver, created_at, next_attempt_at, state, ended_at,
           reason)
         SELECT value->>0, value->>1, value->>2, value->>3, value->>4, ?2, ?2, iif(value->>5, 3, 1),
           iif(value->>5, ?2, NULL), iif(value->>5, ?3, NULL) FROM json_each(?1)
         WHERE true ORDER BY json_each.key ON CONFLICT DO NOTHING",
    )
    .bind(&rows)
    .bind(at.as_millis())
    .bind(GONE)
    .execute(&mut *batch.connection)
    .await?;
    let mut order = Vec::new();
    for NewDelivery { subscriber, key, order: jobs, .. } in deliveries.iter().filter(|new| !new.is_dead) {
        let jobs = if jobs.is_empty() { &[NO_JOB][..] } else { jobs };
        order.extend(jobs.iter().map(|job| json!([subscriber.unwrap_or(JOBS), key, job])));
    }
    let order = json!(order).to_string();
    for statement in [IN_ORDER_OF_SUBSCRIBERS, IN_ORDER_OF_JOBS] {
        sqlx::query(statement).bind(&order).bind(before).execute(&mut *batch.connection).await?;
    }
    sqlx::query(AHEAD).bind(before).execute(&mut *batch.connection).await.map(drop)
}

/// Puts the new deliveries to subscribers into the order of each of their jobs.
pub(crate) const IN_ORDER_OF_SUBSCRIBERS: &str = "INSERT INTO delivery_order (subscriber, job, delivery)
     SELECT deliveries.subscriber, new.value->>2, number FROM json_each(?1) AS new
       CROSS JOIN deliveries INDEXED BY deliveries_of_subscribers
         ON deliveries.subscriber = new.value->>0 AND deliveries.key = new.value->>1
     WHERE number > ?2 AND deliveries.subscriber > 0 ON CONFLICT DO NOTHING";

/// The same for the URLs of jobs.
pub(crate) const IN_ORDER_OF_JOBS: &str = "INSERT INTO delivery_order (subscriber, job, delivery)
     SELECT 0, deliveries.job, number FROM json_each(?1) AS new
       CROSS JOIN deliveries INDEXED BY deliveries_of_jobs
         ON deliveries.job = new.value->>2 AND deliveries.key = new.value->>1
     WHERE number > ?2 AND deliveries.subscriber = 0 AND new.value->>0 = 0 ON CONFLICT DO NOTHING";

/// Counts for each new delivery the jobs for which an earlier one waits.
const AHEAD: &str = "UPDATE deliveries SET ahead = (
       SELECT count(*) FROM delivery_order AS mine
       WHERE mine.delivery = deliveries.number AND EXISTS (
         SELECT 1 FROM delivery_order AS before
         WHERE before.subscriber = mine.subscriber AND before.job = mine.job AND before.delivery < mine.delivery))
     WHERE number > ?1 AND state = 1";

/// Takes a delivery out of the order of its jobs, so that the next one of each can begin.
pub(crate) async fn leave_order(batch: &mut Batch<'_>, delivery: i64) -> Result<(), sqlx::Error> {
    sqlx::query(NEXT_IN_ORDER).bind(delivery).execute(&mut *batch.connection).await?;
    sqlx::query("DELETE FROM delivery_order WHERE delivery = ?1")
        .bind(delivery)
        .execute(&mut *batch.connection)
        .await
        .map(drop)
}

/// A delivery with nothing ahead is the first one of each of its jobs. So the second ones have one job less ahead.
pub(crate) const NEXT_IN_ORDER: &str = "UPDATE deliveries SET ahead = ahead - (
       SELECT count(*) FROM delivery_order AS mine
       WHERE mine.delivery = ?1 AND deliveries.number = (
         SELECT min(next.delivery) FROM delivery_order AS next
         WHERE next.subscriber = mine.subscriber AND next.job = mine.job AND next.delivery > ?1))
     WHERE number IN (
       SELECT (SELECT min(next.delivery) FROM delivery_order AS next
               WHERE next.subscriber = mine.subscriber AND next.job = mine.job AND next.delivery > ?1)
       FROM delivery_order AS mine WHERE mine.delivery = ?1)";
