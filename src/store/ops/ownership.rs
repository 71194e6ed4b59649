//! Whose callbacks are whose: a `taskId` is adopted by the task whose callback names it, a task that is not in the
//! file is made anew, and two tasks that turn out to be one become one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::TaskId;
use crate::domain::task::{FactKind, UpstreamIdSource};
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::{Changes, NewEvent, NewFact};
use crate::store::column;
use crate::store::ops::received::{AcceptedCallback, ReceivedCallback};

/// Gives a batch of callbacks to their tasks, and these what the bodies say of their `taskId`.
pub(crate) async fn assign(
    batch: &mut Batch<'_>,
    received: &mut [Cow<'_, ReceivedCallback>],
) -> Result<(), sqlx::Error> {
    give_to_owners(received, &batch.changes);
    let is_known =
        |task| batch.tasks.get(task).is_some_and(|task| task.facts.has_upstream_id && !task.is_guess);
    let unknown: Vec<_> =
        received.iter().map(Cow::as_ref).filter(|callback| !is_known(callback.task)).collect();
    if !unknown.is_empty() {
        recover_tasks(batch, &unknown).await?;
        adopt(batch, &unknown).await?;
        give_to_owners(received, &batch.changes);
    }
    Ok(())
}

/// What came for a task that was taken in by another one in this batch is for that one.
fn give_to_owners(received: &mut [Cow<'_, ReceivedCallback>], changes: &Changes) {
    for callback in received {
        if let Some(owner) = changes.taken_in.get(&callback.task) {
            callback.to_mut().task = *owner;
        }
    }
}

/// Finds the task that an accepted callback names, or makes one: without URLs, for nobody submitted it here.
pub(crate) async fn accept(
    batch: &mut Batch<'_>,
    callback: &AcceptedCallback,
) -> Result<ReceivedCallback, sqlx::Error> {
    let known: Option<String> = sqlx::query_scalar(
        "SELECT id FROM tasks WHERE upstream_id = ?1 ORDER BY job_id IS NULL, id DESC LIMIT 1",
    )
    .bind(&callback.upstream_id)
    .fetch_optional(&mut *batch.connection)
    .await?;
    let task = match known {
        Some(id) => column::parsed(("tasks", "id", &id), &id)?,
        None => {
            sqlx::query(
                "INSERT INTO tasks
                   (id, created_at, state, next_attempt_at, news_at, upstream_id, upstream_id_source)
                 VALUES (?1, ?2, 'accepted', ?2, ?2, ?3, 'callback')",
            )
            .bind(callback.new.to_string())
            .bind(callback.at.as_millis())
            .bind(&callback.upstream_id)
            .execute(&mut *batch.connection)
            .await?;
            batch.changes.touch(callback.new, callback.at, Source::Callback);
            callback.new
        }
    };
    Ok(ReceivedCallback {
        task,
        at: callback.at,
        body: callback.body.clone(),
        body_hash: callback.body_hash,
        meaning: callback.meaning.clone(),
        upstream_id: Some(callback.upstream_id.clone()),
    })
}

/// Takes in the task that accepted callbacks made before the answer to the submit named its `taskId`: it is the
/// same one, and what it has learned is this task's. An empty one is left in its place.
pub(crate) async fn take_in(
    batch: &mut Batch<'_>,
    task: TaskId,
    upstream_id: &str,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let rivals: Vec<String> = sqlx::query_scalar(
        "SELECT id FROM tasks WHERE upstream_id = ?1 AND id <> ?2 AND job_id IS NULL AND NOT EXISTS (
           SELECT 1 FROM submits WHERE task_id = tasks.id)",
    )
    .bind(upstream_id)
    .bind(task.to_string())
    .fetch_all(&mut *batch.connection)
    .await?;
    for rival in rivals {
        for moved in [
            "UPDATE videos SET task_id = ?2
             WHERE task_id = ?1 AND id IN (SELECT video_id FROM facts WHERE task_id = ?1)",
            "UPDATE OR IGNORE callbacks SET task_id = ?2 WHERE task_id = ?1",
            "UPDATE tasks SET upstream_id = NULL, replaced_by = ?2 WHERE id = ?1",
        ] {
            sqlx::query(moved).bind(&rival).bind(task.to_string()).execute(&mut *batch.connection).await?;
        }
        let facts: Vec<FactRow> = sqlx::query_as(
            "DELETE FROM facts WHERE task_id = ?1 RETURNING kind, video_id, at, source, code, message",
        )
        .bind(&rival)
        .fetch_all(&mut *batch.connection)
        .await?;
        // How its polls were answered says nothing of this task's URLs, which they could not be joined to.
        let is_news =
            |fact: &NewFact| !matches!(fact.kind, FactKind::Named | FactKind::Unnamed | FactKind::Exhausted);
        for row in facts {
            batch.changes.facts.extend(Some(row.fact(task)?).filter(is_news));
        }
        let rival = column::parsed(("tasks", "id", &rival), &rival)?;
        // What a poll of this batch brought for it has not been written yet.
        batch.changes.facts.retain(|fact| fact.task != rival || is_news(fact));
        batch.changes.facts.iter_mut().filter(|fact| fact.task == rival).for_each(|fact| fact.task = task);
        batch.changes.listed.retain(|(listed, ..)| *listed != rival);
        batch.changes.taken_in.insert(rival, task);
        batch.changes.words.insert(rival, format!("it is {task}"));
        batch.changes.facts.push(NewFact {
            task: rival,
            kind: FactKind::Canceled,
            video: String::new(),
            at,
            source: Source::Callback,
            failure: None,
        });
        batch.changes.touch(rival, at, Source::Callback);
    }
    Ok(())
}

#[derive(FromRow)]
struct FactRow {
    kind: String,
    video_id: String,
    at: i64,
    source: String,
    code: Option<String>,
    message: Option<String>,
}

impl FactRow {
    fn fact(self, task: TaskId) -> Result<NewFact, sqlx::Error> {
        let id = task.to_string();
        Ok(NewFact {
            task,
            kind: column::parsed(("facts", "kind", &id), &self.kind)?,
            video: self.video_id,
            at: Timestamp::from_millis(self.at),
            source: column::parsed(("facts", "source", &id), &self.source)?,
            failure: column::failure(self.code, self.message),
        })
    }
}

/// A good token whose task is not in the store was issued before this file was restored from a backup.
async fn recover_tasks(batch: &mut Batch<'_>, received: &[&ReceivedCallback]) -> Result<(), sqlx::Error> {
    let tasks: Vec<_> =
        received.iter().map(|callback| json!([callback.task, callback.at.as_millis()])).collect();
    let recovered: Vec<(String, i64)> = sqlx::query_as(
        "INSERT INTO tasks (id, created_at, state, next_attempt_at, news_at)
         SELECT value->>0, value->>1, 'unconfirmed', value->>1, value->>1 FROM json_each(?1)
         WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = value->>0)
         ON CONFLICT DO NOTHING
         RETURNING id, created_at",
    )
    .bind(json!(tasks).to_string())
    .fetch_all(&mut *batch.connection)
    .await?;
    for (id, at) in recovered {
        let task = column::parsed(("tasks", "id", &id), &id)?;
        // It was sent by us, or nobody could call back: what became of the submit is not known.
        sqlx::query(
            "INSERT INTO submits (task_id, attempt, started_at, ended_at, outcome, code, message)
             VALUES (?1, 1, ?2, ?2, 'unknown', 'recovered', 'known only from its callbacks')",
        )
        .bind(&id)
        .bind(at)
        .execute(&mut *batch.connection)
        .await?;
        batch.changes.touch(task, Timestamp::from_millis(at), Source::Callback);
    }
    Ok(())
}

/// A body's `taskId` is adopted if the task has none, or one on weaker evidence, and no other task holds it on evidence
/// as good; the first to arrive counts.
async fn adopt(batch: &mut Batch<'_>, received: &[&ReceivedCallback]) -> Result<(), sqlx::Error> {
    let weaker = weaker_than(UpstreamIdSource::Callback);
    // The working set knows some tasks only. One that has a `taskId` must not stand before one that has none.
    let tasks: BTreeSet<TaskId> = received.iter().map(|callback| callback.task).collect();
    let open: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT id, upstream_id FROM tasks WHERE id IN (SELECT value FROM json_each(?1))
           AND (upstream_id IS NULL OR upstream_id_source IN (SELECT value FROM json_each(?2)))",
    )
    .bind(json!(tasks).to_string())
    .bind(&weaker)
    .fetch_all(&mut *batch.connection)
    .await?;
    let mut before: BTreeMap<TaskId, Option<String>> = BTreeMap::new();
    for (id, upstream_id) in open {
        before.insert(column::parsed(("tasks", "id", &id), &id)?, upstream_id);
    }
    let mut open: BTreeSet<TaskId> = before.keys().copied().collect();
    let mut named: BTreeMap<&str, &ReceivedCallback> = BTreeMap::new();
    for callback in received {
        if let Some(upstream_id) = &callback.upstream_id
            && !named.contains_key(upstream_id.as_str())
            && open.remove(&callback.task)
        {
            named.insert(upstream_id, callback);
        }
    }
    for (upstream_id, callback) in &named {
        let claim =
            Claim { task: callback.task, upstream_id, by: UpstreamIdSource::Callback, at: callback.at };
        release(batch, &claim, Source::Callback).await?;
    }
    let rows: Vec<_> =
        named.iter().map(|(upstream_id, callback)| json!([callback.task, upstream_id])).collect();
    let adopted: Vec<String> = sqlx::query_scalar(
        "UPDATE tasks SET upstream_id = named.upstream_id, upstream_id_source = 'callback'
         FROM (SELECT value->>0 AS id, value->>1 AS upstream_id FROM json_each(?1)) AS named
         WHERE tasks.id = named.id
           AND (tasks.upstream_id IS NULL OR upstream_id_source IN (SELECT value FROM json_each(?2)))
           AND NOT EXISTS (
             SELECT 1 FROM tasks AS other
             WHERE other.upstream_id = named.upstream_id AND other.id <> named.id AND (
               other.job_id IS NOT NULL OR EXISTS (SELECT 1 FROM submits WHERE task_id = other.id)))
         RETURNING tasks.upstream_id",
    )
    .bind(json!(rows).to_string())
    .bind(&weaker)
    .fetch_all(&mut *batch.connection)
    .await?;
    for (id, callback) in adopted.iter().filter_map(|id| named.get_key_value(id.as_str())) {
        take_in(batch, callback.task, id, callback.at).await?;
        if before.get(&callback.task).cloned().flatten().is_some_and(|before| before != **id) {
            begin_polling_again(batch.connection, callback.task, callback.at).await?;
            batch.changes.events.push(NewEvent {
                task: Some(callback.task),
                message: Some(
                    "its own callback names another taskId than the one that was guessed".to_owned(),
                ),
                ..NewEvent::new(EventKind::TaskAccepted, Source::Callback, callback.at)
            });
        }
        batch.changes.touch(callback.task, callback.at, Source::Callback);
    }
    Ok(())
}

/// The word that a `taskId` is a task's, and whose word it is.
pub(crate) struct Claim<'a> {
    pub(crate) task: TaskId,
    pub(crate) upstream_id: &'a str,
    pub(crate) by: UpstreamIdSource,
    pub(crate) at: Timestamp,
}

/// The sources that this one overrules, as JSON.
pub(crate) fn weaker_than(by: UpstreamIdSource) -> String {
    json!(by.weaker().collect::<Vec<_>>()).to_string()
}

/// Takes a `taskId` away from other tasks that hold it on weaker evidence. Their facts stay.
pub(crate) async fn release(
    batch: &mut Batch<'_>,
    claim: &Claim<'_>,
    source: Source,
) -> Result<(), sqlx::Error> {
    let released: Vec<String> = sqlx::query_scalar(
        "UPDATE tasks SET upstream_id = NULL, upstream_id_source = NULL
         WHERE upstream_id = ?1 AND id <> ?2 AND upstream_id_source IN (SELECT value FROM json_each(?3))
         RETURNING id",
    )
    .bind(claim.upstream_id)
    .bind(claim.task.to_string())
    .bind(weaker_than(claim.by))
    .fetch_all(&mut *batch.connection)
    .await?;
    for id in released {
        let task = column::parsed(("tasks", "id", &id), &id)?;
        tracing::info!(%task, upstream_id = claim.upstream_id, "this taskId was guessed, and belongs to another task");
        batch.changes.touch(task, claim.at, source);
    }
    Ok(())
}

/// What polls of another `taskId` have brought says nothing of when this one has to be polled.
pub(crate) async fn begin_polling_again(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE tasks SET news = news + 1, poll_wanted = news + 1, news_at = ?2, stalled_at = NULL,
           polled_news = -1, asked_news = -1, polled_at = NULL, answered_at = NULL, polls_in_vain = 0,
           refused_polls = 0, poll_not_before = 0, quiet_since = NULL
         WHERE id = ?1",
    )
    .bind(task.to_string())
    .bind(at.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}
