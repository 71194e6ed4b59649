//! One transaction's worth of operations: facts first, then the states that follow, then the events.
//!
//! Every statement is a trip to the connection's thread. So what a batch writes is gathered, and goes there
//! in one trip at its end.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::task::FactKind;
use crate::failpoint::FailPoint;
use crate::store::batch::changes::Changes;
use crate::store::batch::log;
use crate::store::batch::working_set::WorkingSet;
use crate::store::derive::{self, facts, videos};
use crate::store::live::waiters::{Awaited, Settlements};
use crate::store::ops::decisions::{self, By};
use crate::store::ops::{
    self, callbacks, hints, jobs, ownership, pauses, polls, retention, silence, submits,
};
use crate::store::policy::Policy;
use crate::store::writer::op::{Effect, Op};

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Applied {
    /// What each operation did.
    pub(crate) effects: Vec<Effect>,
    /// Whether workers may have something to do.
    pub(crate) wakes_workers: bool,
    /// The `seq` of the last event, if there was one.
    pub(crate) last_seq: Option<i64>,
    /// What has settled.
    pub(crate) settled: Vec<Awaited>,
    /// Whether something was left for the next commits.
    pub(crate) has_due: bool,
    /// The facts that were new.
    pub(crate) facts: Vec<(FactKind, Source)>,
}

/// Applies the operations in one transaction and commits it.
///
/// Where it fails, the caller rolls back, and `loaded` is no longer true.
pub(crate) async fn commit(
    connection: &mut SqliteConnection,
    ops: &[&Op],
    policy: Policy,
    loaded: &mut WorkingSet,
) -> Result<Applied, sqlx::Error> {
    loaded.begin();
    // Begun by hand: sqlx's own transaction is lost for good where SQLite has rolled back by itself.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    FailPoint::BatchBegun.pass();
    let mut changes = Changes::default();
    let mut effects = Vec::with_capacity(ops.len());
    let mut received = Vec::new();
    for op in ops {
        match op {
            Op::Callback(callback) => received.push(Cow::Borrowed(callback)),
            Op::Accept(callback) => {
                received.push(Cow::Owned(ownership::accept(connection, callback, &mut changes).await?));
            }
            _ => {}
        }
        effects.push(apply_one(connection, op, policy, &mut changes).await?);
    }
    callbacks::keep(connection, received, loaded, &mut changes).await?;
    FailPoint::BatchApplied.pass();
    for task in &changes.stale {
        loaded.forget(*task);
    }
    let tasks: BTreeSet<TaskId> =
        changes.touched.keys().copied().chain(changes.facts.iter().map(|fact| fact.task)).collect();
    loaded.load(connection, tasks).await?;
    facts::set(connection, loaded, &mut changes).await?;
    derive::silence::judge(loaded, policy, &mut changes);
    facts::set(connection, loaded, &mut changes).await?;
    derive::tasks::touched(connection, policy, loaded, &mut changes).await?;
    FailPoint::BatchDerived.pass();
    let last_seq = write_and_commit(connection, &mut changes).await?;
    FailPoint::BatchCommitted.pass();
    log::log(&changes.events);
    Ok(Applied {
        effects,
        wakes_workers: changes.wakes_workers || !changes.touched.is_empty(),
        last_seq,
        settled: Settlements::of(&changes.events),
        has_due: changes.has_due,
        facts: changes.set,
    })
}

async fn write_and_commit(
    connection: &mut SqliteConnection,
    changes: &mut Changes,
) -> Result<Option<i64>, sqlx::Error> {
    static STATEMENTS: LazyLock<String> = LazyLock::new(|| {
        let rows = [callbacks::INSERT, facts::INSERT, videos::UPSERT, derive::tasks::UPDATE, log::APPEND];
        format!("{}; COMMIT", rows.join("; "))
    });
    let rows = std::mem::take(&mut changes.rows);
    let events = log::rows(&changes.events);
    let has_events = !events.is_empty();
    let done = sqlx::query(STATEMENTS.as_str())
        .bind(Value::Array(rows.callbacks).to_string())
        .bind(Value::Array(rows.facts).to_string())
        .bind(Value::Array(rows.videos).to_string())
        .bind(Value::Array(rows.tasks).to_string())
        .bind(json!(events).to_string())
        .execute(connection)
        .await?;
    Ok(has_events.then(|| done.last_insert_rowid()))
}

async fn apply_one(
    connection: &mut SqliteConnection,
    op: &Op,
    policy: Policy,
    changes: &mut Changes,
) -> Result<Effect, sqlx::Error> {
    match op {
        // Kept together at the end of the batch.
        Op::Callback(_) | Op::Accept(_) => Ok(Effect::Done),
        Op::Hint(hint) => hints::keep(connection, hint, policy, changes).await.map(|()| Effect::Done),
        Op::Looked { upstream_id, found, at } => {
            hints::looked(connection, upstream_id, found, *at, policy, changes).await.map(Effect::of)
        }
        Op::CreateJob(job) => {
            let job = jobs::create_once(connection, job, policy, changes).await?;
            Ok(Effect::Job(Box::new(job)))
        }
        Op::BeginSubmit { task, at } => submits::begin(connection, *task, *at, changes).await.map(Effect::of),
        Op::EndSubmit { task, at, end } => {
            submits::end(connection, *task, *at, end, policy, changes).await.map(|()| Effect::Done)
        }
        Op::CloseOpenSubmits { at } => {
            submits::close_open(connection, *at, policy, changes).await.map(|()| Effect::Done)
        }
        Op::RecordPoll { poll, asked_at, at, end } => {
            polls::record(connection, poll, (*asked_at, *at), end, changes).await.map(|()| Effect::Done)
        }
        Op::Pause { pause, source, at } => {
            pauses::set(connection, pause, *source, *at, policy, changes).await.map(|()| Effect::Done)
        }
        Op::Resume { scope, source, at } => {
            pauses::lift(connection, scope, *source, *at, changes).await.map(Effect::of)
        }
        Op::Decide { decision, by, at } => {
            let by = By { name: by.as_deref(), at: *at };
            decisions::decide(connection, decision, by, policy, changes).await.map(Effect::of)
        }
        Op::Prune { before, pass } => {
            let pass = retention::prune(connection, *before, *pass).await?;
            Ok(pass.map_or(Effect::Nothing, Effect::Pruned))
        }
        Op::Sweep { at, skip, most } => {
            silence::sweep(connection, *at, (*skip, *most), policy, changes).await.map(Effect::of)
        }
        Op::ClockSetForward { by, at } => {
            silence::set_forward(connection, *by, *at, changes).await.map(|()| Effect::Done)
        }
        Op::ClockSetBack { at } => silence::set_back(connection, *at, changes).await.map(|()| Effect::Done),
        Op::Continue(front) => ops::due::step(connection, *front, policy, changes).await.map(Effect::of),
        Op::Prove { at } => {
            sqlx::query(
                "INSERT INTO meta (key, value) VALUES ('proved_at', ?1)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )
            .bind(at.as_millis().to_string())
            .execute(connection)
            .await?;
            Ok(Effect::Done)
        }
    }
}
