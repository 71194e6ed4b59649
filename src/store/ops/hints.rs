//! The quarantine: hints, bounded in rows and bytes, the oldest out first.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use sqlx::FromRow;

use crate::domain::event::{EventKind, Source};
use crate::domain::retry::backoff;
use crate::domain::task::UpstreamIdSource;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::column;
use crate::store::ops::decisions;
use crate::store::ops::ownership::Claim;
use crate::store::ops::received::ReceivedHint;

/// Most hints that are kept.
const ROWS: i64 = 1_000;
/// Most bytes of bodies that are kept.
const BYTES: i64 = 8 * 1024 * 1024;

/// A video may be as much older than its submit: clocks differ.
const GRACE: Duration = Duration::from_secs(60);

/// What upstream lists for a `taskId` that hints named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The folder in which upstream found it.
    pub unique_id: Option<String>,
    /// Canonical forms of the posts that are listed.
    pub posts: Vec<String>,
    /// Whether there is more than these posts: an entry or a URL that can't be read.
    pub is_doubtful: bool,
    /// When the oldest of the videos was made, as far as upstream says so.
    pub earliest: Option<Timestamp>,
}

/// How often upstream is asked about a `taskId` that no task has, with a longer wait each time.
const LOOKS: u32 = 8;

/// Keeps a hint, or counts one more delivery of one that is kept; has the task polled that it names.
pub(crate) async fn keep(batch: &mut Batch<'_>, hint: &ReceivedHint) -> Result<(), sqlx::Error> {
    let is_of_a_task = match &hint.upstream_id {
        Some(id) => heed(batch, id, hint.at).await?,
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

/// Has the task with this `taskId` polled, at most once an interval; `false` where no task has it.
async fn heed(batch: &mut Batch<'_>, upstream_id: &str, at: Timestamp) -> Result<bool, sqlx::Error> {
    let known: Option<(String, Option<i64>)> = sqlx::query_as(
        "SELECT id, hinted_at FROM tasks WHERE upstream_id = ?1 ORDER BY job_id IS NULL, id DESC LIMIT 1",
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

/// Unconfirmed tasks that carry every one of these posts.
#[derive(FromRow)]
struct Candidate {
    id: String,
    urls: i64,
    is_here: bool,
    started_at: Option<i64>,
}

pub(crate) const CANDIDATES: &str =
    "SELECT tasks.id, (SELECT count(DISTINCT canonical) FROM task_urls WHERE task_id = tasks.id) AS urls,
       unique_id IS ?2 AS is_here,
       (SELECT max(started_at) FROM submits WHERE task_id = tasks.id) AS started_at
     FROM tasks JOIN jobs ON jobs.id = tasks.job_id
     WHERE json_array_length(?1) > 0 AND tasks.state = 'unconfirmed' AND upstream_id IS NULL AND NOT EXISTS (
       SELECT 1 FROM json_each(?1) WHERE value NOT IN (
         SELECT canonical FROM task_urls WHERE task_id = tasks.id))
     LIMIT 2";

/// Writes down what upstream said of a `taskId` that hints named.
///
/// An unconfirmed task takes it if the answer lists all of its posts and nothing else, if none of the videos was there
/// before the submit, and if no other unconfirmed task has these posts. Otherwise an operator has to say.
pub(crate) async fn looked(
    batch: &mut Batch<'_>,
    upstream_id: &str,
    found: &Found,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let looks: u32 =
        sqlx::query_scalar("SELECT coalesce(max(looks), 0) FROM quarantine WHERE upstream_id = ?1")
            .bind(upstream_id)
            .fetch_one(&mut *batch.connection)
            .await?;
    let posts: BTreeSet<&String> = found.posts.iter().collect();
    let candidates: Vec<Candidate> = sqlx::query_as(CANDIDATES)
        .bind(json!(posts).to_string())
        .bind(found.unique_id.as_deref())
        .fetch_all(&mut *batch.connection)
        .await?;
    let owner = match candidates.as_slice() {
        [one] if one.is_here && !found.is_doubtful && usize::try_from(one.urls) == Ok(posts.len()) => {
            let begun = one.started_at.unwrap_or(i64::MAX);
            let is_older = |created: Timestamp| created.after(GRACE).as_millis() < begun;
            Some(&one.id).filter(|_| !found.earliest.is_some_and(is_older))
        }
        _ => None,
    };
    // Upstream may list more of it later, and one of two tasks that have these posts may be confirmed otherwise.
    let wait = backoff(looks + 1, batch.policy.poll_after, batch.policy.deadline);
    let next = (owner.is_none() && looks + 1 < LOOKS).then(|| at.after(wait).as_millis());
    sqlx::query("UPDATE quarantine SET looks = ?2, look_at = ?3 WHERE upstream_id = ?1")
        .bind(upstream_id)
        .bind(looks + 1)
        .bind(next)
        .execute(&mut *batch.connection)
        .await?;
    let Some(owner) = owner else { return Ok(false) };
    let task = column::parsed(("tasks", "id", owner), owner)?;
    let claim = Claim { task, upstream_id, by: UpstreamIdSource::Poll, at };
    let is_adopted = decisions::adopt(batch, &claim, Source::Poll).await?;
    if is_adopted {
        tracing::info!(%task, upstream_id, "a hint and a poll show that this submit was taken");
    }
    Ok(is_adopted)
}
