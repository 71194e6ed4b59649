//! One transaction's worth of operations: facts first, then the states that follow, then the events.

use std::collections::BTreeSet;

use sqlx::sqlite::SqliteConnection;

use super::changes::Changes;
use super::op::Op;
use super::working_set::WorkingSet;
use super::{Policy, callbacks, events, facts, jobs, pauses, polls, quarantine, settle, submits};
use crate::domain::id::TaskId;

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Applied {
    /// For each operation, whether it took effect.
    pub(super) effects: Vec<bool>,
    /// Whether anything happened to a task.
    pub(super) touched_tasks: bool,
    /// The `seq` of the last event, if there was one.
    pub(super) last_seq: Option<i64>,
}

/// Applies the operations inside the caller's transaction; where it fails, `loaded` is no longer true.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    ops: &[&Op],
    policy: Policy,
    loaded: &mut WorkingSet,
) -> Result<Applied, sqlx::Error> {
    loaded.begin();
    let mut changes = Changes::default();
    let mut effects = Vec::with_capacity(ops.len());
    let mut received = Vec::new();
    for op in ops {
        if let Op::Callback(callback) = op {
            received.push(callback);
        }
        effects.push(apply_one(connection, op, policy, &mut changes).await?);
    }
    callbacks::keep(connection, &received, loaded, &mut changes).await?;
    for task in &changes.stale {
        loaded.forget(*task);
    }
    let tasks: BTreeSet<TaskId> =
        changes.touched.keys().copied().chain(changes.facts.iter().map(|fact| fact.task)).collect();
    loaded.load(connection, tasks).await?;
    facts::set(connection, loaded, &mut changes).await?;
    settle::touched(connection, policy, loaded, &mut changes).await?;
    let last_seq = events::append(connection, &changes.events).await?;
    Ok(Applied { effects, touched_tasks: !changes.touched.is_empty(), last_seq })
}

async fn apply_one(
    connection: &mut SqliteConnection,
    op: &Op,
    policy: Policy,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    match op {
        // Kept together at the end of the batch, one statement a table.
        Op::Callback(_) => Ok(true),
        Op::Hint(hint) => quarantine::keep(connection, hint).await.map(|()| true),
        Op::CreateJob(job) => jobs::create(connection, job, changes).await.map(|()| true),
        Op::BeginSubmit { task, at } => submits::begin(connection, *task, *at, changes).await,
        Op::EndSubmit { task, at, end } => {
            submits::end(connection, *task, *at, end, changes).await.map(|()| true)
        }
        Op::CloseOpenSubmits { at } => submits::close_open(connection, *at, changes).await.map(|()| true),
        Op::RecordPoll { task, asked_at, at, end } => {
            polls::record(connection, policy, *task, (*asked_at, *at), end, changes).await.map(|()| true)
        }
        Op::Pause { pause, source, at } => pauses::set(connection, pause, *source, *at, changes).await,
        Op::Resume { scope, source, at } => pauses::lift(connection, scope, *source, *at, changes).await,
        Op::Prove { at } => {
            sqlx::query(
                "INSERT INTO meta (key, value) VALUES ('proved_at', ?1)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .bind(at.as_millis().to_string())
            .execute(connection)
            .await?;
            Ok(true)
        }
    }
}
