//! Queries about the deliveries of webhooks that are due.

use serde_json::json;

use crate::domain::id::{JobId, SubscriberId};
use crate::domain::time::Timestamp;
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// A delivery whose time has come.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// Its number.
    pub number: i64,
    /// The subscriber's id. None for the URL of the job.
    pub subscriber: Option<SubscriberId>,
    /// The id of the job that the body shows.
    pub job: Option<JobId>,
    /// Distinguishes it from all other deliveries to this receiver.
    pub key: String,
    /// The `seq` of the event.
    pub seq: i64,
    /// The receiver, among which requests are shared.
    pub receiver: String,
    /// Attempts so far, all failed.
    pub attempts: u32,
    /// The time of the first one.
    pub first_attempt_at: Option<Timestamp>,
}

row! {
    /// What there is to forward.
    pub struct Forwardable {
        /// The `seq` of the last event.
        pub last_seq: i64,
        /// Whether anybody may be told about events.
        pub has_receivers: bool,
        /// Whether a replay is not finished.
        pub has_replays: bool,
        /// Whether deliveries of removed subscribers are left.
        pub has_removed_subscribers: bool,
    }
}

row! {
    struct DueRow {
        number: i64,
        subscriber_id: Option<String>,
        job_id: Option<String>,
        key: String,
        seq: i64,
        receiver: String,
        attempts: u32,
        first_attempt_at: Option<i64>,
    }
}

/// Names the receivers with waiting deliveries, without disabled subscribers.
macro_rules! receivers {
    ($index:literal) => {
        concat!(
            "WITH RECURSIVE every (receiver) AS (
               SELECT min(receiver) FROM deliveries INDEXED BY ",
            $index,
            "
               UNION ALL
               SELECT (SELECT min(receiver) FROM deliveries INDEXED BY ",
            $index,
            " AND receiver > every.receiver) FROM every
               WHERE receiver IS NOT NULL),
             receivers (receiver) AS MATERIALIZED (
               SELECT receiver FROM every WHERE receiver IS NOT NULL AND receiver NOT IN (
                 SELECT 'subscriber ' || number FROM subscribers WHERE enabled = 0))"
        )
    };
}

/// Selects the due deliveries of each receiver: those with nothing ahead, of which no attempt is on its way. The
/// longest due one is first, so that no receiver is always served before others.
pub(crate) const DUE: &str = concat!(
    receivers!("deliveries_ready WHERE state = 1 AND ahead = 0"),
    " SELECT due.number, subscribers.id AS subscriber_id, jobs.id AS job_id, due.key, due.seq, due.receiver,
       due.attempts, due.first_attempt_at
     FROM receivers CROSS JOIN deliveries AS due ON due.number IN (
         SELECT number FROM deliveries AS first
         WHERE state = 1 AND ahead = 0 AND first.receiver = receivers.receiver AND next_attempt_at <= ?1
           AND first.number NOT IN (SELECT value FROM json_each(?3))
         ORDER BY next_attempt_at LIMIT ?2)
       LEFT JOIN jobs ON jobs.number = due.job
       LEFT JOIN subscribers ON subscribers.number = due.subscriber
     ORDER BY due.next_attempt_at, due.number"
);

/// Selects the time of the oldest waiting delivery.
pub(crate) const OLDEST: &str = concat!(
    receivers!("deliveries_oldest WHERE state = 1"),
    " SELECT min((SELECT min(created_at) FROM deliveries WHERE state = 1
                  AND deliveries.receiver = receivers.receiver)) FROM receivers"
);

impl Readers {
    /// Returns what there is to forward. Every commit asks for it.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn forwardable(&self) -> Result<Forwardable, ReadError> {
        // One statement sees one state: a receiver that is not seen has later events.
        let forwardable = sqlx::query_as(
            "SELECT ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS last_seq,
               EXISTS (SELECT 1 FROM subscribers WHERE enabled = 1)
                 OR EXISTS (SELECT 1 FROM jobs WHERE callback_url IS NOT NULL) AS has_receivers,
               EXISTS (SELECT 1 FROM subscribers WHERE replay_after IS NOT NULL AND enabled = 1) AS has_replays,
               EXISTS (SELECT 1 FROM subscribers WHERE removed_at IS NOT NULL) AS has_removed_subscribers",
        );
        Ok(forwardable.fetch_one(&self.pool).await?)
    }

    /// Returns the `seq` up to which deliveries are stored. None if there never was a receiver.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn forwarded_to(&self) -> Result<Option<i64>, ReadError> {
        let seq = sqlx::query_scalar("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'forwarded_to'");
        Ok(seq.fetch_optional(&self.pool).await?)
    }

    /// Returns the due deliveries, at most `per_receiver` of each receiver, without those in `busy`. Leaves out
    /// one that can't be read, and logs it: other receivers must not wait for it.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        per_receiver: usize,
        busy: &[i64],
    ) -> Result<Vec<DueDelivery>, ReadError> {
        let rows: Vec<DueRow> = sqlx::query_as(DUE)
            .bind(now.as_millis())
            .bind(i64::try_from(per_receiver).unwrap_or(i64::MAX))
            .bind(json!(busy).to_string())
            .fetch_all(&self.pool)
            .await?;
        let readable = |row: DueRow| match due(row) {
            Ok(due) => Some(due),
            Err(error) => {
                tracing::error!(%error, "a delivery can't be read, so it is not made");
                None
            }
        };
        Ok(rows.into_iter().filter_map(readable).collect())
    }

    /// Returns the time after `now` at which the next delivery is due.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>, ReadError> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(next_attempt_at) FROM deliveries WHERE state = 1 AND ahead = 0 AND next_attempt_at > ?1",
        )
        .bind(now.as_millis())
        .fetch_one(&self.pool)
        .await?;
        Ok(next.map(Timestamp::from_millis))
    }

    /// Returns the time of the oldest waiting delivery, without those of disabled subscribers.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn oldest_delivery(&self) -> Result<Option<Timestamp>, ReadError> {
        let oldest: Option<i64> = sqlx::query_scalar(OLDEST).fetch_one(&self.pool).await?;
        Ok(oldest.map(Timestamp::from_millis))
    }
}

fn due(row: DueRow) -> Result<DueDelivery, sqlx::Error> {
    let number = row.number.to_string();
    let subscriber = ("subscribers", "id", number.as_str());
    Ok(DueDelivery {
        number: row.number,
        subscriber: column::parsed_option(subscriber, row.subscriber_id.as_deref())?,
        job: column::parsed_option(("jobs", "id", &number), row.job_id.as_deref())?,
        key: row.key,
        seq: row.seq,
        receiver: row.receiver,
        attempts: row.attempts,
        first_attempt_at: row.first_attempt_at.map(Timestamp::from_millis),
    })
}
