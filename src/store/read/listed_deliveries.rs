//! Lists of deliveries, for clients.

use serde_json::json;

use crate::domain::id::{JobId, SubscriberId};
use crate::domain::webhook::delivery::{Delivery, DeliveryState, LastAnswer};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

row! {
    struct DeliveryRow {
        number: i64,
        receiver_id: String,
        key: String,
        seq: i64,
        kind: Option<String>,
        job_id: Option<String>,
        state: i64,
        attempts: u32,
        last_attempt_at: Option<i64>,
        next_attempt_at: i64,
        ended_at: Option<i64>,
        status: Option<u16>,
        reason: Option<String>,
    }
}

/// Selects deliveries of a subscriber or of a job, newest first, in one statement: a delivery whose state changes in
/// between must be listed once.
pub(crate) const OF_SUBSCRIBER: &str = "SELECT deliveries.number, subscribers.id AS receiver_id, deliveries.key,
       deliveries.seq, events.kind, jobs.id AS job_id, deliveries.state, attempts, last_attempt_at, next_attempt_at,
       ended_at, status, reason
     FROM json_each(?2) AS states CROSS JOIN subscribers CROSS JOIN deliveries ON deliveries.number IN (
         SELECT number FROM deliveries AS own
         WHERE own.subscriber = subscribers.number AND own.subscriber > 0 AND own.state = states.value
           AND own.number < ?3
         ORDER BY own.number DESC LIMIT ?4)
       LEFT JOIN jobs ON jobs.number = deliveries.job LEFT JOIN events ON events.seq = deliveries.seq
     WHERE subscribers.id = ?1 AND removed_at IS NULL
     ORDER BY deliveries.number DESC LIMIT ?4";
pub(crate) const OF_JOB: &str = "SELECT deliveries.number, jobs.id AS receiver_id, deliveries.key, deliveries.seq,
       events.kind, jobs.id AS job_id, deliveries.state, attempts, last_attempt_at, next_attempt_at, ended_at, status,
       reason
     FROM json_each(?2) AS states CROSS JOIN jobs CROSS JOIN deliveries ON deliveries.number IN (
         SELECT number FROM deliveries AS own
         WHERE own.job = jobs.number AND own.subscriber = 0 AND own.state = states.value AND own.number < ?3
         ORDER BY own.number DESC LIMIT ?4)
       LEFT JOIN events ON events.seq = deliveries.seq
     WHERE jobs.id = ?1
     ORDER BY deliveries.number DESC LIMIT ?4";

/// Whose deliveries are listed.
#[derive(Clone, Copy, Debug)]
pub enum ListedOf {
    /// Those of a subscriber.
    Subscriber(SubscriberId),
    /// Those to the URL of a job.
    Job(JobId),
}

impl Readers {
    /// Returns the number of a job.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn job_number(&self, job: JobId) -> Result<Option<i64>, ReadError> {
        let number = sqlx::query_scalar("SELECT number FROM jobs WHERE id = ?1").bind(job.to_string());
        Ok(number.fetch_optional(&self.pool).await?)
    }

    /// Returns deliveries, newest first, before this one.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn deliveries(
        &self,
        of: ListedOf,
        state: Option<DeliveryState>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Delivery>, ReadError> {
        let (statement, id) = match of {
            ListedOf::Subscriber(id) => (OF_SUBSCRIBER, id.to_string()),
            ListedOf::Job(id) => (OF_JOB, id.to_string()),
        };
        let states = state.map_or(DeliveryState::ALL.to_vec(), |state| vec![state]);
        let states: Vec<i64> = states.into_iter().map(DeliveryState::number).collect();
        let rows: Vec<DeliveryRow> = sqlx::query_as(statement)
            .bind(&id)
            .bind(json!(states).to_string())
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(delivery).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// The `webhook-id` of a delivery.
pub(crate) fn webhook_id(key: &str, receiver: &str) -> String {
    format!("msg_{key}_{receiver}")
}

fn delivery(row: DeliveryRow) -> Result<Delivery, sqlx::Error> {
    let number = row.number.to_string();
    let at = |column| ("deliveries", column, number.as_str());
    let state = column::numbered(at("state"), row.state, DeliveryState::from_number)?;
    let time = |column, millis| column::time_option(at(column), millis);
    let next = Some(row.next_attempt_at).filter(|_| state == DeliveryState::Waiting);
    // One that was given up without an attempt has a reason as well.
    let last_answer = time("last_attempt_at", row.last_attempt_at.or(row.ended_at))?;
    let last_answer = last_answer.map(|at| LastAnswer { at, status: row.status, reason: row.reason });
    Ok(Delivery {
        number: row.number,
        id: webhook_id(&row.key, &row.receiver_id),
        seq: row.seq,
        kind: column::parsed_option(at("kind"), row.kind.as_deref())?,
        job_id: column::parsed_option(at("job"), row.job_id.as_deref())?,
        state,
        attempts: row.attempts,
        last_answer,
        next_attempt_at: time("next_attempt_at", next)?,
        ended_at: time("ended_at", row.ended_at)?,
    })
}
