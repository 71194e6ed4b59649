//! Queries about deliveries of webhooks: the jobs that an event concerns, and the due deliveries.

use serde_json::json;

use crate::domain::event::Event;
use crate::domain::id::JobId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::callback::JobCallback;
use crate::domain::webhook::target::{InvalidTarget, Target};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;
use crate::store::read::events::seen;

/// The URL of a job that sees an event.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The `seq` of the event.
    pub seq: i64,
    /// The job's number.
    pub job: i64,
    /// Its URL, and the events that it asks for.
    pub callback: JobCallback,
}

/// A delivery whose time has come.
#[derive(Clone, Debug)]
pub struct DueDelivery {
    /// Its number.
    pub number: i64,
    /// The job's number, which orders deliveries.
    pub job: i64,
    /// The job's id.
    pub job_id: JobId,
    /// The `seq` of the event.
    pub seq: i64,
    /// The host of the URL.
    pub host: String,
    /// The URL of the job, or why the stored one can't be read.
    pub target: Result<Target, InvalidTarget>,
    /// Attempts so far, all failed.
    pub attempts: u32,
    /// The time of the first one.
    pub first_attempt_at: Option<Timestamp>,
}

row! {
    struct RecipientRow {
        seq: i64,
        number: i64,
        id: String,
        callback_url: String,
        callback_events: String,
    }
}

row! {
    struct DueRow {
        number: i64,
        job: i64,
        job_id: String,
        seq: i64,
        host: String,
        callback_url: Option<String>,
        attempts: u32,
        first_attempt_at: Option<i64>,
    }
}

/// Selects the jobs with a URL that see these events: the job of an event, and the jobs that its task serves.
pub(crate) const RECIPIENTS: &str = concat!(
    "SELECT events.seq, jobs.number, jobs.id, callback_url, callback_events
     FROM json_each(?1) CROSS JOIN events ON events.seq = value
       CROSS JOIN jobs ON jobs.id = events.job_id AND jobs.callback_url IS NOT NULL
     WHERE events.task_id IS NULL
     UNION ALL
     SELECT events.seq, jobs.number, jobs.id, callback_url, callback_events
     FROM json_each(?1) CROSS JOIN events ON events.seq = value
       CROSS JOIN tasks ON tasks.id = events.task_id
       CROSS JOIN served ON served.task = tasks.number AND served.after < events.seq
       CROSS JOIN jobs ON jobs.number = served.job AND jobs.callback_url IS NOT NULL
     WHERE ",
    seen!()
);

/// Selects the due deliveries of each host. Each is the first waiting one of its job, and no attempt of it is on its
/// way. The longest due one is first, so that no host is always served before others.
pub(crate) const DUE: &str = "WITH RECURSIVE hosts (host) AS (
       SELECT min(host) FROM deliveries WHERE state = 1
       UNION ALL
       SELECT (SELECT min(host) FROM deliveries WHERE state = 1 AND host > hosts.host) FROM hosts
       WHERE host IS NOT NULL)
     SELECT due.number, due.job, jobs.id AS job_id, due.seq, due.host, jobs.callback_url, due.attempts,
       due.first_attempt_at
     FROM hosts CROSS JOIN deliveries AS due ON due.number IN (
         SELECT number FROM deliveries AS first
         WHERE state = 1 AND first.host = hosts.host AND next_attempt_at <= ?1
           AND first.job NOT IN (SELECT value FROM json_each(?3))
           AND NOT EXISTS (SELECT 1 FROM deliveries AS before
                           WHERE before.state = 1 AND before.job = first.job AND before.seq < first.seq)
         ORDER BY next_attempt_at LIMIT ?2)
       CROSS JOIN jobs ON jobs.number = due.job
     ORDER BY due.next_attempt_at, due.number";

impl Readers {
    /// Returns whether any job has a callback URL.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn has_job_callbacks(&self) -> Result<bool, ReadError> {
        let has: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM jobs WHERE callback_url IS NOT NULL)")
                .fetch_one(&self.pool)
                .await?;
        Ok(has)
    }

    /// Returns the `seq` up to which deliveries are stored. None if no job ever had a callback URL.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn forwarded_to(&self) -> Result<Option<i64>, ReadError> {
        let seq = sqlx::query_scalar("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'forwarded_to'");
        Ok(seq.fetch_optional(&self.pool).await?)
    }

    /// Returns the callback URLs of the jobs that see these events. Leaves out a URL that can't be read, and logs it:
    /// nothing could be sent there, and other jobs must not wait for it.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn recipients(&self, events: &[Event]) -> Result<Vec<Recipient>, ReadError> {
        let seqs: Vec<i64> = events.iter().map(|event| event.seq).collect();
        let rows: Vec<RecipientRow> =
            sqlx::query_as(RECIPIENTS).bind(json!(seqs).to_string()).fetch_all(&self.pool).await?;
        let recipient = |row: RecipientRow| match callback(&row.id, &row.callback_url, &row.callback_events) {
            Ok(callback) => Some(Recipient { seq: row.seq, job: row.number, callback }),
            Err(error) => {
                tracing::error!(%error, "a job's callback URL can't be read, so it receives no webhooks");
                None
            }
        };
        Ok(rows.into_iter().filter_map(recipient).collect())
    }

    /// Returns the due deliveries, at most `per_host` of each host, without those of the jobs in `busy`.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        per_host: usize,
        busy: &[i64],
    ) -> Result<Vec<DueDelivery>, ReadError> {
        let rows: Vec<DueRow> = sqlx::query_as(DUE)
            .bind(now.as_millis())
            .bind(i64::try_from(per_host).unwrap_or(i64::MAX))
            .bind(json!(busy).to_string())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(due).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Returns the time after `now` at which the next delivery is due.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>, ReadError> {
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(next_attempt_at) FROM deliveries WHERE state = 1 AND next_attempt_at > ?1",
        )
        .bind(now.as_millis())
        .fetch_one(&self.pool)
        .await?;
        Ok(next.map(Timestamp::from_millis))
    }
}

/// Parses the stored callback URL of a job and its patterns.
pub(crate) fn callback(job: &str, url: &str, events: &str) -> Result<JobCallback, sqlx::Error> {
    let target =
        Target::from_stored(url).map_err(|error| column::unreadable(("jobs", "callback_url", job), error))?;
    let at = ("jobs", "callback_events", job);
    let events: Vec<String> = column::json(at, events)?;
    let events = events.iter().map(|pattern| column::parsed(at, pattern)).collect::<Result<_, _>>()?;
    Ok(JobCallback { target, events })
}

fn due(row: DueRow) -> Result<DueDelivery, sqlx::Error> {
    let url = row.callback_url.unwrap_or_default();
    Ok(DueDelivery {
        number: row.number,
        job: row.job,
        job_id: column::parsed(("jobs", "id", &row.job_id), &row.job_id)?,
        seq: row.seq,
        host: row.host,
        target: Target::from_stored(&url),
        attempts: row.attempts,
        first_attempt_at: row.first_attempt_at.map(Timestamp::from_millis),
    })
}
