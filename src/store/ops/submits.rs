//! Submits: each is written before it is sent, and closed with its result. Must never close a submit as refused while
//! it may have been taken.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::outcome::Failure;
use crate::domain::pause::Pause;
use crate::domain::refusal::Consequence;
use crate::domain::task::{SubmitOutcome, UpstreamIdSource};
use crate::domain::time::Timestamp;
use crate::store::batch::operation::Operation;
use crate::store::batch::{Batch, Cause};
use crate::store::column;
use crate::store::ops::forming::put_off;
use crate::store::ops::ownership::{self, Claim};
use crate::store::ops::pauses::{self, FirstProbe, NewPause};
use crate::store::ops::refusals::{self, Refusal};
use crate::store::ops::taken_in;

/// How a submit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitEnd {
    /// Upstream accepted it and gave this `taskId`.
    Accepted(String),
    /// Upstream has certainly not taken it. It may be sent again after this long.
    Deferred(Failure, Duration),
    /// Upstream refused it. The ids are those of the tasks that a split would make.
    Refused(Failure, [TaskId; 2]),
    /// Nobody knows whether it arrived.
    Unknown(Failure),
}

impl SubmitEnd {
    /// Creates a refusal at this time.
    pub fn refused(failure: Failure, at: Timestamp) -> Self {
        Self::Refused(failure, [TaskId::new(at), TaskId::new(at)])
    }
}

/// The number of submits with an unknown result in a row that stops sending.
const UNKNOWN_IN_A_ROW: u8 = 2;

/// Closes the open submit of a task.
#[derive(Debug)]
pub(crate) struct EndSubmit {
    pub(crate) task: TaskId,
    pub(crate) at: Timestamp,
    pub(crate) end: SubmitEnd,
}

impl Operation for EndSubmit {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        end(batch, self).await
    }
}

async fn end(batch: &mut Batch<'_>, EndSubmit { task, at, end }: &EndSubmit) -> Result<(), sqlx::Error> {
    let (task, at) = (*task, *at);
    let doubtful = duplicate(batch.connection, task, end).await?;
    let end = doubtful.as_ref().unwrap_or(end);
    let closed = match end {
        SubmitEnd::Accepted(_) => Closed::of(SubmitOutcome::Accepted, None),
        SubmitEnd::Deferred(failure, _) => Closed::of(SubmitOutcome::Deferred, Some(failure)),
        SubmitEnd::Unknown(failure) => Closed::of(SubmitOutcome::Unknown, Some(failure)),
        SubmitEnd::Refused(failure, halves) => {
            let refusal = Refusal { task, failure, halves: *halves, at };
            refused(batch, refusal).await?
        }
    };
    close(batch.connection, task, at, &closed).await?;
    match end {
        SubmitEnd::Accepted(upstream_id) => {
            refusals::accepted(batch, task).await?;
            let by = UpstreamIdSource::Submit;
            ownership::release(batch, &Claim { task, upstream_id, by, at }, Source::Submit).await?;
            ownership::hold(batch, &Claim { task, upstream_id, by, at }).await?;
            taken_in::take_in(batch, task, upstream_id, at).await?;
        }
        SubmitEnd::Deferred(_, wait) => put_off(batch.connection, task, at.after(*wait)).await?,
        SubmitEnd::Refused(..) => {}
        SubmitEnd::Unknown(_) => pause_after_unknown(batch, at).await?,
    }
    batch.changes.touch(task, at, Source::Submit);
    Ok(())
}

/// The stored end of a submit.
struct Closed {
    outcome: SubmitOutcome,
    failure: Option<Failure>,
    certain: bool,
}

impl Closed {
    fn of(outcome: SubmitOutcome, failure: Option<&Failure>) -> Self {
        Self { outcome, failure: failure.cloned(), certain: true }
    }
}

/// Carries out the consequence of a refusal, and returns the end to store.
async fn refused(batch: &mut Batch<'_>, refusal: Refusal<'_>) -> Result<Closed, sqlx::Error> {
    let Refusal { task, failure, at, .. } = refusal;
    let outcome = match refusals::follow(batch, refusal).await? {
        Consequence::Again(wait) => {
            put_off(batch.connection, task, at.after(wait)).await?;
            SubmitOutcome::Deferred
        }
        // During a pause, a refusal proves nothing about the URLs.
        Consequence::SetAside => {
            let failure = Some(failure.clone());
            return Ok(Closed { outcome: SubmitOutcome::Deferred, failure, certain: false });
        }
        Consequence::Split => {
            let said = failure.message.trim_end_matches('.');
            let message = format!("{said}. Its URLs are sent in two further requests");
            let failure = Failure::new(failure.code.clone(), message);
            // The refusal is not about each of its URLs.
            return Ok(Closed { outcome: SubmitOutcome::Rejected, failure: Some(failure), certain: false });
        }
        Consequence::End { certain } => {
            return Ok(Closed { outcome: SubmitOutcome::Rejected, failure: Some(failure.clone()), certain });
        }
    };
    Ok(Closed { outcome, failure: Some(failure.clone()), certain: true })
}

/// Upstream's code for a request that it has taken before.
const DUPLICATE: &str = "0409";

/// Turns a refusal as a duplicate into an unknown result, unless it answers the first attempt of a task. An earlier
/// attempt may have been taken after all.
async fn duplicate(
    connection: &mut SqliteConnection,
    task: TaskId,
    end: &SubmitEnd,
) -> Result<Option<SubmitEnd>, sqlx::Error> {
    let SubmitEnd::Refused(failure, _) = end else { return Ok(None) };
    if failure.code != DUPLICATE {
        return Ok(None);
    }
    let is_another: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM submits WHERE task_id = ?1 AND outcome IS NULL AND attempt > 1)",
    )
    .bind(task.to_string())
    .fetch_one(connection)
    .await?;
    Ok(is_another.then(|| SubmitEnd::Unknown(failure.clone())))
}

/// Pauses sending after too many submits with an unknown result in a row, or after a probe with one. This happens in
/// the same commit, because a crash in between would lose it.
async fn pause_after_unknown(batch: &mut Batch<'_>, at: Timestamp) -> Result<(), sqlx::Error> {
    let is_paused: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pauses WHERE scope = ?1)")
        .bind(Pause::ALL)
        .fetch_one(&mut *batch.connection)
        .await?;
    let last: Vec<Option<String>> = sqlx::query_scalar(
        "SELECT outcome FROM submits WHERE code IS NOT 'recovered' ORDER BY number DESC LIMIT ?1",
    )
    .bind(UNKNOWN_IN_A_ROW)
    .fetch_all(&mut *batch.connection)
    .await?;
    let unknown = SubmitOutcome::Unknown.as_str();
    let in_a_row = last.iter().filter(|outcome| outcome.as_deref() == Some(unknown)).count();
    if !is_paused && in_a_row < usize::from(UNKNOWN_IN_A_ROW) {
        return Ok(());
    }
    let failure = Failure::new(
        Pause::UNCONFIRMED,
        "it is unknown whether the last submits arrived, and more of them could be charged for nothing",
    );
    let pause = NewPause { scope: Pause::ALL.to_owned(), failure, first_probe: FirstProbe::Later };
    pauses::set(batch, &pause, Cause::new(at, Source::Submit)).await
}

/// Closes submits whose answers can no longer arrive. They may have been charged.
#[derive(Debug)]
pub(crate) struct CloseOpenSubmits {
    pub(crate) at: Timestamp,
}

impl Operation for CloseOpenSubmits {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        close_open(batch, self.at).await
    }
}

async fn close_open(batch: &mut Batch<'_>, at: Timestamp) -> Result<(), sqlx::Error> {
    let open: Vec<String> = sqlx::query_scalar("SELECT task_id FROM submits WHERE outcome IS NULL")
        .fetch_all(&mut *batch.connection)
        .await?;
    let failure = Failure::new(
        "interrupted",
        "the service stopped before the answer came, so memories.ai may have charged for it",
    );
    let unknown = Closed::of(SubmitOutcome::Unknown, Some(&failure));
    for id in open {
        let task = column::parsed(("submits", "task_id", &id), &id)?;
        close(batch.connection, task, at, &unknown).await?;
        batch.changes.touch(task, at, Source::Clock);
        pause_after_unknown(batch, at).await?;
    }
    Ok(())
}

async fn close(
    connection: &mut SqliteConnection,
    task: TaskId,
    at: Timestamp,
    closed: &Closed,
) -> Result<(), sqlx::Error> {
    let failure = closed.failure.as_ref();
    sqlx::query(
        "UPDATE submits SET ended_at = ?2, outcome = ?3, code = ?4, message = ?5, certain = ?6
         WHERE task_id = ?1 AND outcome IS NULL",
    )
    .bind(task.to_string())
    .bind(at.as_millis())
    .bind(closed.outcome.as_str())
    .bind(failure.map(|failure| &failure.code))
    .bind(failure.map(|failure| &failure.message))
    .bind(closed.certain)
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE tasks SET news_at = ?2 WHERE id = ?1")
        .bind(task.to_string())
        .bind(at.as_millis())
        .execute(connection)
        .await?;
    Ok(())
}
