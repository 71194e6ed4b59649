//! Rounds: their states, and the counts of the jobs that want them. Must never change the wants of another round.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::outcome::{UrlOutcome, UrlState};
use crate::store::batch::Batch;
use crate::store::batch::changes::{RoundChange, is_canceled};
use crate::store::column;
use crate::store::derive::{due, jobs};

pub(crate) const UPDATE: &str =
    "UPDATE rounds SET state = new.state, code = new.code, message = new.message, certain = new.certain
     FROM (SELECT value->>0 AS number, value->>1 AS state, value->>2 AS code, value->>3 AS message,
             value->>4 AS certain FROM json_each(?1)) AS new
     WHERE rounds.number = new.number";

/// A row of [`UPDATE`].
pub(crate) fn row(round: i64, outcome: &UrlOutcome) -> Value {
    let reason = outcome.reason.as_ref();
    json!([
        round,
        outcome.state.number(),
        reason.map(|reason| &reason.failure.code),
        reason.map(|reason| &reason.failure.message),
        reason.map(|reason| i64::from(reason.certain)),
    ])
}

/// Stores the states of rounds.
pub(crate) async fn store(connection: &mut SqliteConnection, rows: Vec<Value>) -> Result<(), sqlx::Error> {
    if !rows.is_empty() {
        sqlx::query(UPDATE).bind(Value::Array(rows).to_string()).execute(connection).await?;
    }
    Ok(())
}

/// Stores the new states of rounds, and changes the counts of the jobs that want them. If there are too many such
/// jobs, this is due.
pub(crate) async fn change(batch: &mut Batch<'_>, rounds: Vec<RoundChange>) -> Result<(), sqlx::Error> {
    store(batch.connection, rounds.iter().map(|change| row(change.round, &change.new)).collect()).await?;
    let rounds = due::within_reach(batch, rounds).await?;
    tell(batch, &rounds).await?;
    jobs::settle(batch).await
}

/// Changes the counts of jobs. A job whose count is due is left out, because its counts do not match its wants yet.
/// It is counted again later.
pub(crate) const TELL: &str = "UPDATE jobs SET
       waiting = jobs.waiting + d.waiting, sent = jobs.sent + d.sent, downloaded = jobs.downloaded + d.downloaded,
       indexed = jobs.indexed + d.indexed, failed = jobs.failed + d.failed, canceled = jobs.canceled + d.canceled
     FROM (
       SELECT job,
         sum(c.value->>1) AS waiting, sum(c.value->>2) AS sent, sum(c.value->>3) AS downloaded,
         sum(c.value->>4) AS indexed, sum(c.value->>5) AS failed, sum(c.value->>6) AS canceled
       FROM json_each(?1) AS c
       CROSS JOIN wants ON wants.round = c.value->>0 AND mark IS NULL
       GROUP BY job) AS d
     WHERE jobs.number = d.job AND NOT EXISTS (SELECT 1 FROM due_counts WHERE due_counts.job = d.job)
       AND (d.waiting OR d.sent OR d.downloaded OR d.indexed OR d.failed OR d.canceled)
     RETURNING id";

async fn tell(batch: &mut Batch<'_>, rounds: &[RoundChange]) -> Result<(), sqlx::Error> {
    let Some(touch) = rounds.iter().map(|change| change.touch).max_by_key(|touch| touch.at) else {
        return Ok(());
    };
    let row = |change: &RoundChange| {
        let canceled = i64::from(is_canceled(&change.new)) - i64::from(change.was_canceled);
        let more = |state| i64::from(change.new.state == state) - i64::from(change.old == state);
        json!([
            change.round,
            more(UrlState::Waiting),
            more(UrlState::Sent),
            more(UrlState::Downloaded),
            more(UrlState::Indexed),
            more(UrlState::Failed),
            canceled,
        ])
    };
    let rows: Vec<Value> = rounds.iter().map(row).collect();
    let told: Vec<String> =
        sqlx::query_scalar(TELL).bind(json!(rows).to_string()).fetch_all(&mut *batch.connection).await?;
    for job in told {
        batch.changes.jobs.insert(column::parsed(("jobs", "id", &job), &job)?, touch);
    }
    Ok(())
}
