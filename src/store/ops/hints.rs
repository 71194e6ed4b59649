//! The quarantine: keeps hints up to a bound of rows and bytes, and removes the oldest first. Must never take a hint
//! for a fact.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::TaskId;
use crate::domain::retry::backoff;
use crate::domain::task::UpstreamIdSource;
use crate::domain::time::Timestamp;
use crate::domain::upstream_id::{Answer, UnconfirmedTask, owner_of};
use crate::domain::url::CanonicalUrl;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::batch::operation::Operation;
use crate::store::batch::received::ReceivedHint;
use crate::store::column::{self, row};
use crate::store::ops::adopts::{self, Decided};
use crate::store::ops::ownership::Claim;

/// The most hints that are kept.
const ROWS: i64 = 1_000;
/// The most bytes of bodies that are kept.
const BYTES: i64 = 8 * 1024 * 1024;

/// Upstream's list for a `taskId` that hints named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The folder in which upstream found it.
    pub unique_id: Option<String>,
    /// The canonical forms of the listed posts.
    pub posts: Vec<String>,
    /// Whether the list may contain more than these posts, because an entry or a URL can't be read.
    pub is_doubtful: bool,
    /// The creation time of the oldest video, if upstream reports it.
    pub earliest: Option<Timestamp>,
}

/// The most polls for a `taskId` that no task has. The wait grows each time.
const LOOKS: u32 = 8;

impl Operation for ReceivedHint {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        keep(batch, self).await
    }
}

/// Stores a hint, or counts one more delivery of a stored one. Has the named task polled.
async fn keep(batch: &mut Batch<'_>, hint: &ReceivedHint) -> Result<(), sqlx::Error> {
    let is_of_a_task = match &hint.upstream_id {
        Some(id) => request_poll(batch, id, hint.at).await?,
        None => true,
    };
    batch.changes.wakes_workers |= !is_of_a_task;
    sqlx::query(
        "INSERT INTO quarantine
           (upstream_id, body_hash, body, first_received_at, last_received_at, deliveries, look_at)
         VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5)
         ON CONFLICT (body_hash) DO UPDATE SET
           deliveries = deliveries + 1, last_received_at = excluded.last_received_at",
    )
    .bind(&hint.upstream_id)
    .bind(&hint.body_hash[..])
    .bind(&hint.body[..])
    .bind(hint.at.as_millis())
    .bind((!is_of_a_task).then_some(hint.at.as_millis()))
    .execute(&mut *batch.connection)
    .await?;
    sqlx::query(
        "DELETE FROM quarantine WHERE id <= (
           SELECT id FROM (
             SELECT id, row_number() OVER newest AS place, sum(length(body)) OVER newest AS bytes
             FROM quarantine WINDOW newest AS (ORDER BY id DESC))
           WHERE place > ?1 OR bytes > ?2 ORDER BY id DESC LIMIT 1)",
    )
    .bind(ROWS)
    .bind(BYTES)
    .execute(&mut *batch.connection)
    .await?;
    Ok(())
}

/// Has the task with this `taskId` polled, at most once per interval. Returns `false` if no task has it.
async fn request_poll(batch: &mut Batch<'_>, upstream_id: &str, at: Timestamp) -> Result<bool, sqlx::Error> {
    let known: Option<(String, Option<i64>)> = sqlx::query_as(
        "SELECT id, hinted_at FROM tasks WHERE upstream_id = ?1 OR other_id = ?1
         ORDER BY job_id IS NULL, id DESC LIMIT 1",
    )
    .bind(upstream_id)
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some((id, hinted_at)) = known else { return Ok(false) };
    let is_soon = |last: i64| {
        let last = Timestamp::from_millis(last);
        last <= at && at.since(last) < batch.policy.hint_interval
    };
    let task = column::parsed(("tasks", "id", &id), &id)?;
    if hinted_at.is_some_and(is_soon) {
        return Ok(true);
    }
    sqlx::query(
        "UPDATE tasks SET hinted_at = ?2, news = news + 1, poll_wanted = news + 1, polls_in_vain = 0
         WHERE id = ?1",
    )
    .bind(&id)
    .bind(at.as_millis())
    .execute(&mut *batch.connection)
    .await?;
    batch.changes.touch(task, at, Source::Callback);
    batch
        .changes
        .events
        .push(NewEvent { task: Some(task), ..NewEvent::new(EventKind::CallbackHint, Source::Callback, at) });
    Ok(true)
}

row! {
    /// An unconfirmed task that has every post of an answer.
    struct Candidate {
        id: String,
        urls: String,
        is_here: bool,
        begun_at: Option<i64>,
    }
}

/// If two tasks match, it stays open which of them the answer is about.
pub(crate) const CANDIDATES: &str = "SELECT tasks.id, submits.started_at AS begun_at,
       ?2 IS CASE destinations.kind WHEN 1 THEN 'default' ELSE destinations.name END AS is_here,
       (SELECT json_group_array(canonical) FROM attempts CROSS JOIN rounds ON rounds.number = attempts.round
          CROSS JOIN posts ON posts.number = rounds.post WHERE attempts.task = tasks.number) AS urls
     FROM (
       SELECT attempts.task FROM json_each(?1) AS asked
         CROSS JOIN posts ON posts.hash = asked.value->>0 AND posts.canonical = asked.value->>1
         CROSS JOIN rounds ON rounds.post = posts.number
         CROSS JOIN attempts ON attempts.round = rounds.number
       GROUP BY attempts.task HAVING count(*) = json_array_length(?1)) AS fitting
       CROSS JOIN tasks ON tasks.number = fitting.task
       LEFT JOIN destinations ON destinations.number = tasks.destination
       LEFT JOIN submits ON submits.number = (SELECT max(number) FROM submits WHERE task_id = tasks.id)
     WHERE tasks.state = 'unconfirmed' AND upstream_id IS NULL
     LIMIT 16";

/// Finds the unconfirmed task that upstream's answer for a `taskId` is about. Returns none in any doubt.
pub(crate) async fn owner(
    batch: &mut Batch<'_>,
    upstream_id: &str,
    found: &Found,
) -> Result<Option<TaskId>, sqlx::Error> {
    let posts: BTreeSet<String> = found.posts.iter().cloned().collect();
    let asked: Vec<_> = posts.iter().map(|canonical| (CanonicalUrl::hash(canonical), canonical)).collect();
    let candidates: Vec<Candidate> = sqlx::query_as(CANDIDATES)
        .bind(json!(asked).to_string())
        .bind(found.unique_id.as_deref())
        .fetch_all(&mut *batch.connection)
        .await?;
    let is_held: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM tasks WHERE (upstream_id = ?1 OR other_id = ?1)
           AND (job_id IS NOT NULL OR EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id)))",
    )
    .bind(upstream_id)
    .fetch_one(&mut *batch.connection)
    .await?;
    let answer = Answer { urls: posts, is_doubtful: found.is_doubtful, oldest: found.earliest, is_held };
    let task = |row: &Candidate| {
        let urls: Vec<String> = column::json(("posts", "canonical", &row.id), &row.urls)?;
        let begun_at = Timestamp::from_millis(row.begun_at.unwrap_or(i64::MAX));
        Ok(UnconfirmedTask { urls: urls.into_iter().collect(), begun_at, is_here: row.is_here })
    };
    let unconfirmed: Vec<UnconfirmedTask> =
        candidates.iter().map(task).collect::<Result<_, sqlx::Error>>()?;
    let owner = owner_of(&answer, &unconfirmed).and_then(|place| candidates.get(place));
    owner.map(|row| column::parsed(("tasks", "id", &row.id), &row.id)).transpose()
}

/// Stores the answer to a lookup of a `taskId` that hints named. If it certainly belongs to an unconfirmed task, that
/// task gets it, and the reply is true. Otherwise an operator has to decide.
#[derive(Debug)]
pub(crate) struct StoreLookup {
    pub(crate) upstream_id: String,
    pub(crate) found: Found,
    pub(crate) at: Timestamp,
}

impl Operation for StoreLookup {
    type Reply = bool;

    const READS_STATES: bool = true;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        store_lookup(batch, self).await
    }
}

async fn store_lookup(
    batch: &mut Batch<'_>,
    StoreLookup { upstream_id, found, at }: &StoreLookup,
) -> Result<bool, sqlx::Error> {
    let looks: u32 =
        sqlx::query_scalar("SELECT coalesce(max(looks), 0) FROM quarantine WHERE upstream_id = ?1")
            .bind(upstream_id)
            .fetch_one(&mut *batch.connection)
            .await?;
    let owner = owner(batch, upstream_id, found).await?;
    // Upstream may list more later, and if two tasks have these posts, one of them may be confirmed in another way.
    let wait = backoff(looks + 1, batch.policy.poll_after, batch.policy.deadline);
    let next = (owner.is_none() && looks + 1 < LOOKS).then(|| at.after(wait).as_millis());
    sqlx::query("UPDATE quarantine SET looks = ?2, look_at = ?3 WHERE upstream_id = ?1")
        .bind(upstream_id)
        .bind(looks + 1)
        .bind(next)
        .execute(&mut *batch.connection)
        .await?;
    let Some(task) = owner else { return Ok(false) };
    let claim = Claim { task, upstream_id, by: UpstreamIdSource::Poll, at: *at };
    let is_adopted = adopts::adopt(batch, &claim, Source::Poll).await? == Decided::Done;
    if is_adopted {
        tracing::info!(%task, upstream_id, "a hint and a poll show that the API accepted this submit");
    }
    Ok(is_adopted)
}
