//! One transaction of operations: first the facts, then the states that follow, then the events.
//!
//! Every statement is a trip to the connection's thread. So the rows of a batch are gathered and written in one trip
//! at its end. Must never answer a caller.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::task::FactKind;
use crate::failpoint::FailPoint;
use crate::store::batch::changes::Changes;
use crate::store::batch::working_set::WorkingSet;
use crate::store::batch::{Batch, log, minutes};
use crate::store::derive::{self, facts, videos};
use crate::store::live::waiters::{Awaited, Waiters};
use crate::store::ops::{callbacks, refusals};
use crate::store::policy::Policy;
use crate::store::writer::op::Pending;

/// The result of a batch.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Whether workers may have something to do.
    pub(crate) wakes_workers: bool,
    /// Whether more or other posts or tasks can be sent than before.
    pub(crate) changes_queue: bool,
    /// The `seq` of the last event, if there was one.
    pub(crate) last_seq: Option<i64>,
    /// The jobs and tasks that have settled.
    pub(crate) settled: Vec<Awaited>,
    /// Whether work was left for the next commits.
    pub(crate) has_due: bool,
    /// The facts that were new.
    pub(crate) facts: Vec<(FactKind, Source)>,
}

/// Applies the operations in one transaction and commits it.
///
/// If it fails, the caller rolls back, and `loaded` is no longer true.
pub(crate) async fn commit(
    connection: &mut SqliteConnection,
    ops: &mut [Box<dyn Pending>],
    policy: Policy,
    loaded: &mut WorkingSet,
) -> Result<Applied, sqlx::Error> {
    loaded.begin();
    // The transaction is begun by hand, because a transaction of sqlx is lost for good if SQLite has rolled back
    // automatically.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    FailPoint::BatchBegun.pass();
    let mut batch = Batch { connection, tasks: loaded, policy, changes: Changes::default() };
    for op in ops {
        op.apply(&mut batch).await?;
    }
    callbacks::keep(&mut batch).await?;
    FailPoint::BatchApplied.pass();
    derive_all(&mut batch).await?;
    FailPoint::BatchDerived.pass();
    let last_seq = write_and_commit(&mut batch).await?;
    FailPoint::BatchCommitted.pass();
    let changes = batch.changes;
    log::log(&changes.events);
    Ok(Applied {
        wakes_workers: changes.wakes_workers || !changes.touched.is_empty(),
        changes_queue: changes.changes_queue,
        last_seq,
        settled: Waiters::of(&changes.events),
        has_due: changes.has_due,
        facts: changes.set.into_iter().map(|(_, kind, source)| (kind, source)).collect(),
    })
}

/// Sets the facts that the operations have gathered, and derives the states that follow.
async fn derive_all(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    for task in &batch.changes.stale {
        batch.tasks.forget(*task);
    }
    let changed = batch.changes.facts.iter().map(|fact| fact.task);
    let tasks: BTreeSet<TaskId> = batch.changes.touched.keys().copied().chain(changed).collect();
    batch.tasks.load(batch.connection, tasks).await?;
    facts::set(batch).await?;
    derive::complete::judge(batch).await?;
    facts::set(batch).await?;
    derive::tasks::touched(batch).await?;
    refusals::stop_repeats(batch).await
}

async fn write_and_commit(batch: &mut Batch<'_>) -> Result<Option<i64>, sqlx::Error> {
    static STATEMENTS: LazyLock<String> = LazyLock::new(|| {
        let rows = [
            callbacks::INSERT,
            facts::INSERT,
            videos::UPSERT,
            derive::tasks::UPDATE.as_str(),
            minutes::ADD,
            minutes::PRUNE,
            log::APPEND,
        ];
        format!("{}; COMMIT", rows.join("; "))
    });
    let rows = std::mem::take(&mut batch.changes.rows);
    let counted = Value::Array(minutes::rows(&batch.changes)).to_string();
    let events = log::rows(&batch.changes.events);
    let has_events = !events.is_empty();
    let done = sqlx::query(STATEMENTS.as_str())
        .bind(Value::Array(rows.callbacks).to_string())
        .bind(Value::Array(rows.facts).to_string())
        .bind(Value::Array(rows.videos).to_string())
        .bind(Value::Array(rows.tasks).to_string())
        .bind(&counted)
        .bind(&counted)
        .bind(json!(events).to_string())
        .execute(&mut *batch.connection)
        .await?;
    Ok(has_events.then(|| done.last_insert_rowid()))
}
