//! Changes of an existing job: its labels, and its priority, which also applies to its waiting URLs. Must never add a
//! URL to the queue or remove one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::id::JobId;
use crate::domain::job::Progress;
use crate::domain::queue::Priority;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::Round;
use crate::store::batch::operation::Operation;
use crate::store::column::{self, Counts, row};
use crate::store::derive::places::{self, Class};
use crate::store::read::jobs::options;

/// A change of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobPatch {
    /// The new priority.
    pub priority: Option<Priority>,
    /// All labels of the job after the change.
    pub labels: Option<BTreeMap<String, String>>,
}

/// The result of a change of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobPatched {
    /// The job is now as requested.
    Done,
    /// The job does not exist.
    NoJob,
    /// A priority was given, but no URL waits. Nothing was changed.
    NothingWaits {
        /// URLs that are known or indexed.
        known: i64,
        /// URLs that are sent or downloaded.
        on_their_way: i64,
        /// URLs that have failed, without canceled ones.
        failed: i64,
        /// URLs that were canceled.
        canceled: i64,
    },
}

pub(crate) const WAITS: &str = "SELECT EXISTS (
       SELECT 1 FROM wants CROSS JOIN rounds ON rounds.number = wants.round
       WHERE wants.job = ?1 AND mark IS NULL AND rounds.state = 1)";

/// Changes the priority or the labels of a job, if a URL of it waits or no priority is given.
#[derive(Debug)]
pub(crate) struct PatchJob {
    pub(crate) job: JobId,
    pub(crate) patch: JobPatch,
    pub(crate) at: Timestamp,
}

impl Operation for PatchJob {
    type Reply = JobPatched;

    const READS_STATES: bool = true;

    fn waits_for_the_rest(&self) -> bool {
        true
    }

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        patch(batch, self).await
    }
}

async fn patch(
    batch: &mut Batch<'_>,
    PatchJob { job, patch, at }: &PatchJob,
) -> Result<JobPatched, sqlx::Error> {
    let (job, at) = (*job, *at);
    let Some((before, _)) = options(batch.connection, job).await? else { return Ok(JobPatched::NoJob) };
    let number: i64 = sqlx::query_scalar("SELECT number FROM jobs WHERE id = ?1")
        .bind(job.to_string())
        .fetch_one(&mut *batch.connection)
        .await?;
    if let Some(priority) = patch.priority {
        let waits: bool = sqlx::query_scalar(WAITS).bind(number).fetch_one(&mut *batch.connection).await?;
        if !waits {
            return nothing_waits(batch, number).await;
        }
        if priority != before.priority {
            sqlx::query("UPDATE jobs SET priority = ?2 WHERE number = ?1")
                .bind(number)
                .bind(priority.number())
                .execute(&mut *batch.connection)
                .await?;
            take_over(batch, &TakeOver { job: number, after: -1, at }).await?;
        }
    }
    if let Some(labels) = patch.labels.as_ref().filter(|labels| **labels != before.labels) {
        relabel(batch, job, &before.labels, labels).await?;
    }
    Ok(JobPatched::Done)
}

async fn nothing_waits(batch: &mut Batch<'_>, job: i64) -> Result<JobPatched, sqlx::Error> {
    let counts: Counts = sqlx::query_as("SELECT * FROM jobs WHERE number = ?1")
        .bind(job)
        .fetch_one(&mut *batch.connection)
        .await?;
    let Progress { sent, downloaded, indexed, failed, known, canceled, .. } = counts.progress();
    let (known, on_their_way) = (known + indexed, sent + downloaded);
    Ok(JobPatched::NothingWaits { known, on_their_way, failed: failed - canceled, canceled })
}

/// Replaces the labels in the job's row, and in the table that finds jobs by label.
async fn relabel(
    batch: &mut Batch<'_>,
    job: JobId,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Result<(), sqlx::Error> {
    let rows = |labels: &BTreeMap<String, String>| json!(labels.iter().collect::<Vec<_>>()).to_string();
    sqlx::query("UPDATE jobs SET labels = ?2 WHERE id = ?1")
        .bind(job.to_string())
        .bind(json!(after).to_string())
        .execute(&mut *batch.connection)
        .await?;
    sqlx::query(
        "DELETE FROM job_labels WHERE (key, value, job_id) IN (SELECT value->>0, value->>1, ?2 FROM json_each(?1))",
    )
    .bind(rows(before))
    .bind(job.to_string())
    .execute(&mut *batch.connection)
    .await?;
    sqlx::query(
        "INSERT INTO job_labels (key, value, job_id) SELECT value->>0, value->>1, ?2 FROM json_each(?1)",
    )
    .bind(rows(after))
    .bind(job.to_string())
    .execute(&mut *batch.connection)
    .await?;
    Ok(())
}

/// The most wants of a job's waiting posts that one commit reads, including the wants of other jobs.
const WANTS: i64 = 20_000;

/// The waiting URLs of a job that get its new priority, after a position.
pub(crate) struct TakeOver {
    /// The job's number.
    pub(crate) job: i64,
    pub(crate) after: i64,
    pub(crate) at: Timestamp,
}

pub(crate) const TAKING_OVER: &str = "SELECT position, round, count(*) FROM (
       SELECT mine.position, mine.round FROM wants AS mine
         CROSS JOIN rounds ON rounds.number = mine.round AND rounds.state = 1
         CROSS JOIN wants AS others ON others.round = mine.round
       WHERE mine.job = ?1 AND mine.position > ?2 AND mine.mark IS NULL
       ORDER BY mine.position LIMIT ?3)
     GROUP BY position ORDER BY position";

/// Gives the first of these URLs their places, and records that the rest is due.
pub(crate) async fn take_over(batch: &mut Batch<'_>, change: &TakeOver) -> Result<(), sqlx::Error> {
    let mut found: Vec<(i64, Round, i64)> = sqlx::query_as(TAKING_OVER)
        .bind(change.job)
        .bind(change.after)
        .bind(WANTS)
        .fetch_all(&mut *batch.connection)
        .await?;
    let is_all = found.iter().map(|(.., wants)| wants).sum::<i64>() < WANTS;
    if !is_all && found.len() > 1 {
        // Its wants may not all have been counted.
        found.pop();
    }
    let rounds: BTreeSet<Round> = found.iter().map(|(_, round, _)| *round).collect();
    places::follow(batch, &rounds, change.at).await?;
    follow_tasks(batch, &rounds, change.at).await?;
    if is_all {
        sqlx::query("DELETE FROM due_priorities WHERE job = ?1")
            .bind(change.job)
            .execute(&mut *batch.connection)
            .await?;
        return Ok(());
    }
    batch.changes.has_due = true;
    sqlx::query(
        "INSERT INTO due_priorities (job, after_position, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (job) DO UPDATE SET after_position = excluded.after_position, at = excluded.at",
    )
    .bind(change.job)
    .bind(found.last().map(|(position, ..)| position))
    .bind(change.at.as_millis())
    .execute(&mut *batch.connection)
    .await?;
    Ok(())
}

row! {
    /// A waiting task, and the best priority in which a job wants one of its posts.
    struct Waiting {
        number: i64,
        key: i64,
        priority: i64,
        best: i64,
    }
}

pub(crate) const TASKS: &str = "SELECT DISTINCT tasks.number FROM json_each(?1)
       CROSS JOIN attempts ON attempts.round = value AND standing = 4
       CROSS JOIN tasks ON tasks.number = attempts.task AND tasks.state = 'queued'";

pub(crate) const BEST: &str = "SELECT tasks.number, tasks.key, tasks.priority, min(jobs.priority) AS best
     FROM json_each(?1) CROSS JOIN tasks ON tasks.number = value AND tasks.key IS NOT NULL
       CROSS JOIN attempts ON attempts.task = tasks.number AND standing = 4
       CROSS JOIN wants ON wants.round = attempts.round AND mark IS NULL
       CROSS JOIN jobs ON jobs.number = wants.job
     GROUP BY tasks.number";

/// Gives the tasks that wait with these rounds the best priority in which a job wants one of their posts.
async fn follow_tasks(
    batch: &mut Batch<'_>,
    rounds: &BTreeSet<Round>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let tasks: Vec<i64> =
        sqlx::query_scalar(TASKS).bind(json!(rounds).to_string()).fetch_all(&mut *batch.connection).await?;
    if tasks.is_empty() {
        return Ok(());
    }
    let mut tasks: Vec<Waiting> =
        sqlx::query_as(BEST).bind(json!(tasks).to_string()).fetch_all(&mut *batch.connection).await?;
    tasks.retain(|task| task.best != task.priority);
    let mut classes = BTreeSet::new();
    for task in &tasks {
        let id = task.number.to_string();
        let priority = column::numbered(("jobs", "priority", &id), task.best, Priority::from_number)?;
        classes.insert(Class { key: task.key, priority });
    }
    for class in classes {
        places::begin_to_wait(batch, class, at).await?;
    }
    let rows: Vec<Value> = tasks.iter().map(|task| json!([task.number, task.best])).collect();
    sqlx::query(
        "UPDATE tasks SET priority = new.priority
         FROM (SELECT value->>0 AS number, value->>1 AS priority FROM json_each(?1)) AS new
         WHERE tasks.number = new.number",
    )
    .bind(json!(rows).to_string())
    .execute(&mut *batch.connection)
    .await?;
    Ok(())
}
