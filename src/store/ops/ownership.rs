//! The owners of callbacks: a task adopts the `taskId` that its callback names, and a task that is missing from the
//! file is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::TaskId;
use crate::domain::job::Quality;
use crate::domain::task::UpstreamIdSource;
use crate::domain::time::Timestamp;
use crate::domain::upstream_id::rule;
use crate::store::batch::Batch;
use crate::store::batch::changes::{Changes, NewEvent};
use crate::store::batch::operation::Operation;
use crate::store::batch::received::{AcceptedCallback, ReceivedCallback};
use crate::store::column;
use crate::store::derive::posts;
use crate::store::ops::taken_in;

/// Assigns a batch of callbacks to their tasks, and gives these tasks the `taskId` that the bodies name.
pub(crate) async fn assign(
    batch: &mut Batch<'_>,
    received: &mut [Arc<ReceivedCallback>],
) -> Result<(), sqlx::Error> {
    give_to_owners(received, &batch.changes);
    let is_known = |callback: &ReceivedCallback| {
        let task = batch.tasks.get(callback.task).filter(|task| !task.is_guess);
        let ids = task.map(|task| [&task.upstream_id, &task.other_id]);
        ids.is_some_and(|ids| {
            ids[0].is_some() && (callback.upstream_id.is_none() || ids.contains(&&callback.upstream_id))
        })
    };
    let unknown: Vec<_> = received.iter().map(Arc::as_ref).filter(|callback| !is_known(callback)).collect();
    if !unknown.is_empty() {
        recover_tasks(batch, &unknown).await?;
        adopt(batch, &unknown).await?;
        give_to_owners(received, &batch.changes);
    }
    Ok(())
}

/// Redirects callbacks for a task that another one took in during this batch.
fn give_to_owners(received: &mut [Arc<ReceivedCallback>], changes: &Changes) {
    for callback in received {
        if let Some(owner) = changes.taken_in.get(&callback.task) {
            Arc::make_mut(callback).task = *owner;
        }
    }
}

/// Keeps a callback without a token that the configuration accepts.
#[derive(Debug)]
pub(crate) struct AcceptCallback(pub(crate) AcceptedCallback);

impl Operation for AcceptCallback {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        let received = accept(batch, &self.0).await?;
        batch.changes.callbacks.push(Arc::new(received));
        Ok(())
    }
}

/// Finds the task that an accepted callback names, or makes one without URLs, because this service has not submitted
/// it.
async fn accept(batch: &mut Batch<'_>, callback: &AcceptedCallback) -> Result<ReceivedCallback, sqlx::Error> {
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
                   (id, created_at, state, next_attempt_at, news_at, poll_wanted, upstream_id, upstream_id_source)
                 VALUES (?1, ?2, 'accepted', ?2, ?2, 0, ?3, 'callback')",
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
        destination: None,
        quality: None,
    })
}

/// Recovers tasks that are missing from the store. Their good tokens were issued before this file was restored from a
/// backup.
async fn recover_tasks(batch: &mut Batch<'_>, received: &[&ReceivedCallback]) -> Result<(), sqlx::Error> {
    let tasks: Vec<TaskId> = received.iter().map(|callback| callback.task).collect();
    let missing: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT value FROM json_each(?1) WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = value)",
    )
    .bind(json!(tasks).to_string())
    .fetch_all(&mut *batch.connection)
    .await?;
    let mut recovered = Vec::new();
    for id in missing {
        let Some(callback) = received.iter().find(|callback| callback.task.to_string() == id) else {
            continue;
        };
        let destination = match callback.destination {
            Some(hash) => Some(posts::destination_of_hash(batch.connection, hash).await?),
            None => None,
        };
        // The task is polled at once. Its posts can be sent again until it lists them.
        sqlx::query(
            "INSERT INTO tasks
               (id, destination, quality, created_at, state, next_attempt_at, news_at, poll_wanted)
             VALUES (?1, ?2, ?3, ?4, 'unconfirmed', ?4, ?4, 0)",
        )
        .bind(&id)
        .bind(destination)
        .bind(callback.quality.map(Quality::number))
        .bind(callback.at.as_millis())
        .execute(&mut *batch.connection)
        .await?;
        recovered.push((id, callback.at.as_millis()));
    }
    for (id, at) in recovered {
        let task = column::parsed(("tasks", "id", &id), &id)?;
        // scrapehook sent this task, because nobody else could issue its token. The result of the submit is unknown.
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

/// Adopts the `taskId` of a body if the task has none or one on weaker evidence, and no other task holds it on
/// evidence as good. The first body to arrive counts.
async fn adopt(batch: &mut Batch<'_>, received: &[&ReceivedCallback]) -> Result<(), sqlx::Error> {
    let weaker = weaker_than(UpstreamIdSource::Callback);
    // The file is asked, because the working set holds only some tasks. A task that already has a `taskId` must not
    // take precedence over one without.
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
    note_second_ids(batch, received).await?;
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
    let free: Vec<String> = sqlx::query_scalar(
        "SELECT value->>1 FROM json_each(?1) WHERE NOT EXISTS (
           SELECT 1 FROM tasks AS other
           WHERE other.upstream_id = value->>1 AND other.id <> value->>0 AND (
             other.job_id IS NOT NULL OR EXISTS (SELECT 1 FROM submits WHERE task_id = other.id)))",
    )
    .bind(json!(rows).to_string())
    .fetch_all(&mut *batch.connection)
    .await?;
    let mut adopted = Vec::new();
    for (id, callback) in free.iter().filter_map(|id| named.get_key_value(id.as_str())) {
        let claim =
            Claim { task: callback.task, upstream_id: id, by: UpstreamIdSource::Callback, at: callback.at };
        if hold(batch, &claim).await? {
            adopted.push((*id).to_owned());
        }
    }
    for (id, callback) in adopted.iter().filter_map(|id| named.get_key_value(id.as_str())) {
        taken_in::take_in(batch, callback.task, id, callback.at).await?;
        if before.get(&callback.task).cloned().flatten().is_some_and(|before| before != **id) {
            batch.changes.events.push(NewEvent {
                task: Some(callback.task),
                message: Some("its own callback names a taskId other than the guessed one".to_owned()),
                ..NewEvent::new(EventKind::TaskAccepted, Source::Callback, callback.at)
            });
        }
        batch.changes.touch(callback.task, callback.at, Source::Callback);
    }
    Ok(())
}

/// Records a second `taskId` for a task whose body names another one on evidence as good. Both are then polled.
async fn note_second_ids(batch: &mut Batch<'_>, received: &[&ReceivedCallback]) -> Result<(), sqlx::Error> {
    let named = received.iter().filter_map(|callback| Some((callback.task, callback.upstream_id.as_ref()?)));
    let rows: Vec<_> = named.map(|(task, upstream_id)| json!([task, upstream_id])).collect();
    let second: Vec<(String, String)> = sqlx::query_as(
        "SELECT DISTINCT tasks.id, value->>1 FROM json_each(?1) CROSS JOIN tasks ON tasks.id = value->>0
         WHERE upstream_id_source IN ('callback', 'submit') AND upstream_id <> value->>1
           AND other_id IS NOT value->>1",
    )
    .bind(json!(rows).to_string())
    .fetch_all(&mut *batch.connection)
    .await?;
    for (id, upstream_id) in second {
        let task = column::parsed(("tasks", "id", &id), &id)?;
        let at = received.iter().find(|callback| callback.task == task).map(|callback| callback.at);
        let Some(at) = at else { continue };
        let claim = Claim { task, upstream_id: &upstream_id, by: UpstreamIdSource::Callback, at };
        hold(batch, &claim).await?;
        batch.changes.touch(task, at, Source::Callback);
    }
    Ok(())
}

/// The claim that a `taskId` belongs to a task, and its source.
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
        tracing::info!(%task, upstream_id = claim.upstream_id, "this guessed taskId belongs to another task");
        batch.changes.touch(task, claim.at, source);
    }
    Ok(())
}

/// Gives a task its `taskId`. If it already has another one, the ranks of both sources decide which one counts and
/// whether both are polled.
pub(crate) async fn hold(batch: &mut Batch<'_>, claim: &Claim<'_>) -> Result<bool, sqlx::Error> {
    let id = claim.task.to_string();
    let held: Option<(Option<String>, Option<String>)> =
        sqlx::query_as("SELECT upstream_id, upstream_id_source FROM tasks WHERE id = ?1")
            .bind(&id)
            .fetch_optional(&mut *batch.connection)
            .await?;
    let Some((held, by)) = held else { return Ok(false) };
    let by: Option<UpstreamIdSource> =
        column::parsed_option(("tasks", "upstream_id_source", &id), by.as_deref())?;
    let mut other = None;
    if let Some(held) = held.filter(|held| held != claim.upstream_id)
        && let Some(by) = by
    {
        let ruling = rule(by, claim.by);
        if ruling.polls_both {
            let second = if ruling.replaces { held } else { claim.upstream_id.to_owned() };
            sqlx::query("UPDATE tasks SET other_id = ?2 WHERE id = ?1")
                .bind(&id)
                .bind(&second)
                .execute(&mut *batch.connection)
                .await?;
            tracing::warn!(task = %claim.task, other_id = second, "two taskIds arrived for one task, polling both");
            other = Some(());
        }
        if !ruling.replaces && other.is_none() {
            return Ok(false);
        }
        begin_polling_again(batch.connection, claim.task, claim.at).await?;
        if !ruling.replaces {
            return Ok(false);
        }
    }
    sqlx::query("UPDATE tasks SET upstream_id = ?2, upstream_id_source = ?3 WHERE id = ?1")
        .bind(&id)
        .bind(claim.upstream_id)
        .bind(claim.by.as_str())
        .execute(&mut *batch.connection)
        .await?;
    Ok(true)
}

/// Resets the polls of a task, because polls of its former `taskId` do not say when the new one is due.
pub(crate) async fn begin_polling_again(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE tasks SET news = news + 1, poll_wanted = news + 1, news_at = ?2, stalled_at = NULL,
           polled_news = -1, asked_news = -1, polled_at = NULL, answered_at = NULL, polls_in_vain = 0,
           refused_polls = 0, refused_since = NULL, poll_not_before = 0, quiet_since = NULL
         WHERE id = ?1",
    )
    .bind(task.to_string())
    .bind(at.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}
