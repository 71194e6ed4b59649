//! Jobs: the number of their URLs in each state, and the states that follow from these counts.
//!
//! A statement here takes all rows of a batch at once, and must never find them in any other way than by their keys
//! from its JSON.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::EventKind;
use crate::domain::id::JobId;
use crate::domain::job::JobState;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, Touch};
use crate::store::column::{self, Counts, row};

/// The most URLs of jobs that one commit counts.
const URLS: i64 = 20_000;

pub(crate) const COUNT: &str =
    "UPDATE jobs SET waiting = n.waiting, sent = n.sent, downloaded = n.downloaded, indexed = n.indexed,
       failed = n.failed, known = n.known, canceled = n.canceled
     FROM (
       SELECT j.value AS job, sum(mark IS NULL AND rounds.state = 1) AS waiting,
         sum(mark IS NULL AND rounds.state = 2) AS sent, sum(mark IS NULL AND rounds.state = 3) AS downloaded,
         sum(mark IS NULL AND rounds.state = 4) AS indexed,
         sum(ifnull(mark, 0) IN (2, 3) OR (mark IS NULL AND rounds.state = 0)) AS failed,
         sum(mark IS 1) AS known,
         sum(mark IS 2 OR (mark IS NULL AND rounds.state = 0 AND rounds.code IS 'canceled')) AS canceled
       FROM json_each(?1) AS j
         CROSS JOIN wants ON wants.job = j.value CROSS JOIN rounds ON rounds.number = wants.round
       GROUP BY j.value) AS n
     WHERE jobs.number = n.job
       AND (jobs.waiting, jobs.sent, jobs.downloaded, jobs.indexed, jobs.failed, jobs.known, jobs.canceled)
         IS NOT (n.waiting, n.sent, n.downloaded, n.indexed, n.failed, n.known, n.canceled)
     RETURNING id";

/// Counts the URLs of these jobs by state, and returns the jobs whose counts have changed.
pub(crate) async fn count(
    connection: &mut SqliteConnection,
    jobs: &[i64],
) -> Result<BTreeSet<JobId>, sqlx::Error> {
    if jobs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let changed: Vec<String> =
        sqlx::query_scalar(COUNT).bind(json!(jobs).to_string()).fetch_all(connection).await?;
    changed.iter().map(|id| column::parsed(("jobs", "id", id), id)).collect()
}

const DEFER_COUNTS: &str = "INSERT INTO due_counts (job, at, source)
     SELECT value, ?2, ?3 FROM json_each(?1) WHERE true
     ON CONFLICT (job) DO UPDATE SET at = excluded.at, source = excluded.source";

/// Leaves the counts of jobs to the next commits.
pub(crate) async fn defer(batch: &mut Batch<'_>, jobs: &[i64], touch: Touch) -> Result<(), sqlx::Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    batch.changes.has_due = true;
    sqlx::query(DEFER_COUNTS)
        .bind(json!(jobs).to_string())
        .bind(touch.at.as_millis())
        .bind(touch.source.as_str())
        .execute(&mut *batch.connection)
        .await?;
    Ok(())
}

/// Counts jobs again after some of their URLs moved to other rounds, or leaves that to the next commits.
pub(crate) async fn recount(
    batch: &mut Batch<'_>,
    jobs: &BTreeSet<i64>,
    touch: Touch,
) -> Result<(), sqlx::Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    let rows: Vec<(i64, i64)> =
        sqlx::query_as("SELECT number, urls FROM json_each(?1) CROSS JOIN jobs ON jobs.number = value")
            .bind(json!(jobs).to_string())
            .fetch_all(&mut *batch.connection)
            .await?;
    let urls: i64 = rows.iter().map(|(_, urls)| urls).sum();
    let numbers: Vec<i64> = rows.into_iter().map(|(number, _)| number).collect();
    if urls > URLS {
        return defer(batch, &numbers, touch).await;
    }
    let changed = count(batch.connection, &numbers).await?;
    batch.changes.jobs.extend(changed.into_iter().map(|job| (job, touch)));
    Ok(())
}

row! {
    struct Counted {
        id: String,
        state: String,
        ..counts: Counts,
    }
}

pub(crate) const COUNTS: &str =
    "SELECT jobs.id, state, urls, waiting, sent, downloaded, indexed, failed, known, canceled
     FROM json_each(?1) CROSS JOIN jobs ON jobs.id = value";

pub(crate) const SETTLE: &str = "UPDATE jobs SET state = new.state, settled_at = new.settled_at
     FROM (SELECT value->>0 AS id, value->>1 AS state, value->>2 AS settled_at FROM json_each(?1)) AS new
     WHERE jobs.id = new.id";

/// Stores the states that follow from the counts of the jobs that changed in this batch. If the counts of a settled
/// job change, it is reopened, and may settle again at once.
pub(crate) async fn settle(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let touched: HashMap<String, (JobId, Touch)> = std::mem::take(&mut batch.changes.jobs)
        .into_iter()
        .map(|(job, touch)| (job.to_string(), (job, touch)))
        .collect();
    if touched.is_empty() {
        return Ok(());
    }
    let ids: BTreeSet<&String> = touched.keys().collect();
    let rows: Vec<Counted> =
        sqlx::query_as(COUNTS).bind(json!(ids).to_string()).fetch_all(&mut *batch.connection).await?;
    let mut settled: BTreeMap<JobId, Value> = BTreeMap::new();
    for row in rows {
        let Some((job, touch)) = touched.get(&row.id) else { continue };
        let old: JobState = column::parsed(("jobs", "state", &row.id), &row.state)?;
        let new = row.counts.progress().job_state();
        let is_settled = new != JobState::Running;
        let event = |kind, message| NewEvent {
            job: Some(*job),
            message,
            ..NewEvent::new(kind, touch.source, touch.at)
        };
        if old != JobState::Running {
            batch.changes.events.push(event(EventKind::JobReopened, None));
        }
        if is_settled {
            batch.changes.events.push(event(EventKind::JobSettled, Some(new.to_string())));
        }
        if is_settled || old != new {
            settled.insert(*job, json!([job, new, is_settled.then_some(touch.at.as_millis())]));
        }
    }
    if !settled.is_empty() {
        let rows: Vec<&Value> = settled.values().collect();
        sqlx::query(SETTLE).bind(json!(rows).to_string()).execute(&mut *batch.connection).await?;
    }
    Ok(())
}
