//! Merges two tasks that turn out to be one. Must never leave a job waiting for the task that goes.

use std::collections::BTreeSet;

use serde_json::json;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::task::FactKind;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewFact, Round, Touch};
use crate::store::column::{self, row};
use crate::store::derive::{arrivals, jobs};

/// Takes in the task that accepted callbacks made before the answer to the submit named its `taskId`. Both are the
/// same task, so its facts and entries now belong to this one. An empty task stays in its place.
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
        move_wants(batch, &rival, task, at).await?;
        let listed = "INSERT INTO entries (task, number, video, url, canonical, state, at)
             SELECT new.number, ifnull((SELECT 1 + max(number) FROM entries WHERE task = new.number), 0) + old.number,
               video, url, canonical, old.state, at
             FROM tasks AS rival JOIN entries AS old ON old.task = rival.number JOIN tasks AS new ON new.id = ?2
             WHERE rival.id = ?1";
        for moved in [
            listed,
            "DELETE FROM entries WHERE task = (SELECT number FROM tasks WHERE id = ?1) AND ?2 <> ''",
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
        // The answers to its polls prove nothing about this task's URLs, because they could not be joined to them.
        let is_news = |fact: &NewFact| !matches!(fact.kind, FactKind::ListComplete | FactKind::PollsRefused);
        for row in facts {
            batch.changes.facts.extend(Some(row.fact(task)?).filter(is_news));
        }
        let rival = column::parsed(("tasks", "id", &rival), &rival)?;
        // The results of a poll in this batch are not in the file yet.
        batch.changes.facts.retain(|fact| fact.task != rival || is_news(fact));
        batch.changes.facts.iter_mut().filter(|fact| fact.task == rival).for_each(|fact| fact.task = task);
        batch
            .changes
            .listed
            .iter_mut()
            .filter(|listed| listed.task == rival)
            .for_each(|listed| listed.task = task);
        batch.changes.taken_in.insert(rival, task);
        batch.changes.words.insert(rival, format!("it is the same task as {task}"));
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

row! {
    struct FactRow {
        kind: String,
        video_id: String,
        at: i64,
        source: String,
        code: Option<String>,
        message: Option<String>,
    }
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

pub(crate) const SAME_POSTS: &str = "SELECT old.number, new.number
     FROM tasks AS rival CROSS JOIN attempts AS theirs ON theirs.task = rival.number
       CROSS JOIN rounds AS old ON old.number = theirs.round
       CROSS JOIN tasks AS owner ON owner.id = ?2
       CROSS JOIN rounds AS new ON new.post = old.post
       CROSS JOIN attempts AS own ON own.round = new.number AND own.task = owner.number
     WHERE rival.id = ?1";
pub(crate) const MOVE: &str = "UPDATE wants SET round = moved.new
     FROM (SELECT value->>0 AS old, value->>1 AS new FROM json_each(?1)) AS moved
     WHERE wants.round = moved.old RETURNING job, round";

/// Moves wants from the task that goes to the same posts of the task that stays. A post that only the former had ends
/// with it.
async fn move_wants(
    batch: &mut Batch<'_>,
    rival: &str,
    task: TaskId,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let rounds: Vec<(Round, Round)> = sqlx::query_as(SAME_POSTS)
        .bind(rival)
        .bind(task.to_string())
        .fetch_all(&mut *batch.connection)
        .await?;
    let moved: Vec<(i64, Round)> =
        sqlx::query_as(MOVE).bind(json!(rounds).to_string()).fetch_all(&mut *batch.connection).await?;
    let serving = moved.iter().map(|(job, round)| (*round, *job)).collect();
    arrivals::serve(batch, &serving).await?;
    let jobs: BTreeSet<i64> = moved.into_iter().map(|(job, _)| job).collect();
    jobs::recount(batch, &jobs, Touch { at, source: Source::Callback }).await
}
