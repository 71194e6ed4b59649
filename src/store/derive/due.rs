//! Due work: changes that concern too many jobs for one commit. The commit with such a change records that the rest
//! is due, and the next commits do it, even after a crash.
//!
//! No commit may take long, whatever a client asks for, because callbacks wait for it.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::store::batch::Batch;
use crate::store::batch::changes::RoundChange;
use crate::store::column;

/// The most jobs to which one commit carries the change of one round.
const JOBS: i64 = 500;
/// The most URLs of jobs to which one commit carries changes.
const WANTS: i64 = 4_000;

pub(crate) const REACHED: &str = "SELECT json_group_array(json_array(value,
       (SELECT count(*) FROM (SELECT 1 FROM wants WHERE round = value LIMIT ?2)),
       EXISTS (SELECT 1 FROM due_rounds WHERE round = value)))
     FROM json_each(?1)";

pub(crate) const DEFER: &str = "INSERT INTO due_rounds (round, at, source)
     SELECT value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true
     ON CONFLICT (round) DO UPDATE SET after_job = 0, at = excluded.at, source = excluded.source";

/// Returns the changes that this commit carries over to the jobs that want them. The others are recorded as due.
pub(crate) async fn within_reach(
    batch: &mut Batch<'_>,
    rounds: Vec<RoundChange>,
) -> Result<Vec<RoundChange>, sqlx::Error> {
    if rounds.is_empty() {
        return Ok(rounds);
    }
    let ids: Vec<i64> = rounds.iter().map(|change| change.round).collect();
    let reached: String = sqlx::query_scalar(REACHED)
        .bind(json!(ids).to_string())
        .bind(JOBS + 1)
        .fetch_one(&mut *batch.connection)
        .await?;
    let reached: Vec<(i64, i64, i64)> = column::json(("wants", "round", "some rounds"), &reached)?;
    let mut room = WANTS;
    let mut late = Vec::new();
    for (round, wants, is_due) in reached {
        if is_due != 0 || wants > JOBS.min(room) {
            late.push(round);
        } else {
            room -= wants;
        }
    }
    let (late, here): (Vec<_>, Vec<_>) = rounds.into_iter().partition(|change| late.contains(&change.round));
    let entry =
        |change: &RoundChange| json!([change.round, change.touch.at.as_millis(), change.touch.source]);
    let entries: Vec<Value> = late.iter().map(entry).collect();
    if !entries.is_empty() {
        batch.changes.has_due = true;
        sqlx::query(DEFER).bind(json!(entries).to_string()).execute(&mut *batch.connection).await?;
    }
    Ok(here)
}

/// Whether anything is due.
pub(crate) async fn is_any(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM due_rounds) OR EXISTS (SELECT 1 FROM due_counts)
           OR EXISTS (SELECT 1 FROM due_cancels) OR EXISTS (SELECT 1 FROM due_priorities)",
    )
    .fetch_one(connection)
    .await
}
