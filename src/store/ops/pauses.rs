//! Pauses: stored reasons for not sending, to anybody or to a part. They outlive a restart.

use crate::domain::event::{EventKind, Source};
use crate::domain::outcome::Failure;
use crate::domain::pause::{Pause, reason};
use crate::domain::refusal::UNCLEAR;
use crate::domain::retry::{PROBE_MOST, backoff};
use crate::domain::time::Timestamp;
use crate::store::batch::changes::NewEvent;
use crate::store::batch::operation::Operation;
use crate::store::batch::{Batch, Cause};

/// The scope of a pause and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    /// `all`, the platform that is paused, or [`Pause::of_line`].
    pub scope: String,
    /// Upstream's code, or one of scrapehook's.
    pub failure: Failure,
    /// The time of the first probe.
    pub first_probe: FirstProbe,
}

/// The time of the first probe of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstProbe {
    /// At once.
    AtOnce,
    /// After `dispatch.probe_after`.
    Later,
}

/// Stops sending for a scope, or moves the next probe of a scope that is already paused.
#[derive(Debug)]
pub(crate) struct SetPause {
    pub(crate) pause: NewPause,
    pub(crate) source: Source,
    pub(crate) at: Timestamp,
}

impl Operation for SetPause {
    type Reply = ();

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        set(batch, &self.pause, Cause::new(self.at, self.source)).await
    }
}

/// Lifts the pause of a scope. The reply says whether there was one.
#[derive(Debug)]
pub(crate) struct LiftPause {
    pub(crate) scope: String,
    pub(crate) source: Source,
    pub(crate) at: Timestamp,
}

impl Operation for LiftPause {
    type Reply = bool;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        lift(batch, &self.scope, Cause::new(self.at, self.source)).await
    }
}

/// Sets a pause. If its scope is already paused, a probe has failed, and only the next probe moves.
pub(crate) async fn set(
    batch: &mut Batch<'_>,
    pause: &NewPause,
    cause: Cause<'_>,
) -> Result<(), sqlx::Error> {
    batch.changes.changes_queue = true;
    let probes: u32 = sqlx::query_scalar(
        "INSERT INTO pauses (scope, code, message, since, probe_at, probes) VALUES (?1, ?2, ?3, ?4, ?4, 0)
         ON CONFLICT (scope) DO UPDATE SET
           code = iif(pauses.scope = 'all' AND pauses.code = ?5, pauses.code, excluded.code),
           message = excluded.message, probes = probes + 1
         RETURNING probes",
    )
    .bind(&pause.scope)
    .bind(&pause.failure.code)
    .bind(&pause.failure.message)
    .bind(cause.at.as_millis())
    // Tasks that were set aside because of refusals wait for the end of a pause with this code.
    .bind(UNCLEAR)
    .fetch_one(&mut *batch.connection)
    .await?;
    let probe_at = match (pause.first_probe, probes) {
        (FirstProbe::AtOnce, 0) => cause.at,
        (FirstProbe::AtOnce, tried) => cause.at.after(backoff(tried, batch.policy.probe_after, PROBE_MOST)),
        (FirstProbe::Later, tried) => {
            cause.at.after(backoff(tried + 1, batch.policy.probe_after, PROBE_MOST))
        }
    };
    sqlx::query("UPDATE pauses SET probe_at = ?2 WHERE scope = ?1")
        .bind(&pause.scope)
        .bind(probe_at.as_millis())
        .execute(&mut *batch.connection)
        .await?;
    let next_probe = (!Pause::waits_for_operator(&pause.scope)).then(|| tracing::field::display(probe_at));
    tracing::warn!(
        scope = pause.scope,
        code = pause.failure.code,
        reason = pause.failure.message,
        probes,
        probe_at = next_probe,
        "sending is paused, and one task is tried at probe_at if there is one"
    );
    if probes == 0 {
        flag(batch, &pause.scope).await?;
        batch.changes.events.push(NewEvent {
            message: Some(reason(&pause.scope, &pause.failure.code, &pause.failure.message)),
            ..NewEvent::new(EventKind::SendingPaused, cause.source, cause.at)
        });
    }
    Ok(())
}

/// Lifts a pause. Returns `false` if there was none.
pub(crate) async fn lift(batch: &mut Batch<'_>, scope: &str, cause: Cause<'_>) -> Result<bool, sqlx::Error> {
    let since: Option<i64> = sqlx::query_scalar("DELETE FROM pauses WHERE scope = ?1 RETURNING since")
        .bind(scope)
        .fetch_optional(&mut *batch.connection)
        .await?;
    let Some(since) = since else { return Ok(false) };
    start(batch, scope, since, cause).await?;
    batch.changes.events.push(NewEvent {
        message: Some(scope.to_owned()),
        ..NewEvent::new(EventKind::SendingResumed, cause.source, cause.at)
    });
    Ok(true)
}

/// Puts tasks that were set aside back among all others that wait, because an operator overrules a pause.
const BEGIN_ANEW: &str =
    "UPDATE tasks INDEXED BY tasks_aside SET aside_at = NULL WHERE aside_at IS NOT NULL AND state = 'queued'";

/// Lifts every pause, whatever its reason. Tasks that were set aside are set aside again after another refusal,
/// because their first refusals have proven nothing.
pub(crate) async fn lift_all(batch: &mut Batch<'_>, cause: Cause<'_>) -> Result<(), sqlx::Error> {
    // For earlier versions, this pause was the only record that refusals are charged.
    sqlx::query(
        "INSERT INTO meta (key, value) SELECT code, message FROM pauses WHERE scope = ?1
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(Pause::REPEATS)
    .execute(&mut *batch.connection)
    .await?;
    sqlx::query(BEGIN_ANEW).execute(&mut *batch.connection).await?;
    let lifted: Vec<(String, i64)> =
        sqlx::query_as("DELETE FROM pauses RETURNING scope, since").fetch_all(&mut *batch.connection).await?;
    for (scope, since) in lifted {
        start(batch, &scope, since, cause).await?;
        let by = cause.operator.map(|name| format!(", by {name}")).unwrap_or_default();
        batch.changes.events.push(NewEvent {
            message: Some(format!("{scope}{by}")),
            ..NewEvent::new(EventKind::SendingResumed, cause.source, cause.at)
        });
    }
    Ok(())
}

const FLAG_GROUPS: &str = "UPDATE queue_groups SET is_paused = EXISTS (
       SELECT 1 FROM lines CROSS JOIN pauses ON scope IN (lines.platform, 'line ' || lines.number)
       WHERE lines.number = queue_groups.line)
     WHERE line IN (SELECT number FROM lines WHERE platform = ?1
                    UNION ALL SELECT number FROM lines WHERE number = ?2)";
/// A task that is set aside stays so while everything is paused because of refusals.
const FLAG_TASKS: &str = "UPDATE tasks SET is_paused = EXISTS (
       SELECT 1 FROM lines CROSS JOIN pauses ON scope IN (lines.platform, 'line ' || lines.number)
       WHERE (lines.platform, lines.destination, lines.quality) = (tasks.platform, tasks.destination, tasks.quality))
         OR (aside_at IS NOT NULL AND EXISTS (
           SELECT 1 FROM pauses WHERE (scope = 'all' AND code = ?1) OR scope = 'repeats'))
     WHERE state = 'queued'";

/// Marks the groups and the waiting tasks that this pause stops, so that no query looks for them. A pause of
/// everything needs no marks, except on tasks that are set aside.
async fn flag(batch: &mut Batch<'_>, scope: &str) -> Result<(), sqlx::Error> {
    if Pause::stops_all(scope) {
        return Ok(());
    }
    sqlx::query(FLAG_GROUPS).bind(scope).bind(Pause::line(scope)).execute(&mut *batch.connection).await?;
    sqlx::query(FLAG_TASKS).bind(UNCLEAR).execute(&mut *batch.connection).await?;
    Ok(())
}

/// Moves the clocks of keys that had nothing else to send during the pause, so their clocks stood still.
pub(crate) const BEGIN_CLOCKS: &str = "UPDATE api_keys SET clock = max(clock, (SELECT clock FROM queue))
     WHERE number IN (
         SELECT key FROM lines
           CROSS JOIN queue_groups ON queue_groups.line = lines.number AND queue_groups.waiting > 0
         WHERE platform = ?1 OR lines.number = ?2)
       AND NOT EXISTS (
         SELECT 1 FROM queue_groups AS g WHERE g.key = api_keys.number AND g.is_paused = 0 AND g.waiting > 0)";

/// The priorities of these keys could not be served either.
pub(crate) const BEGIN_TIME: &str = "UPDATE queue_classes SET since = ?3
     WHERE (key, priority) IN (
       SELECT key, priority FROM lines
         CROSS JOIN queue_groups ON queue_groups.line = lines.number AND queue_groups.waiting > 0
       WHERE platform = ?1 OR lines.number = ?2)
       AND NOT EXISTS (
         SELECT 1 FROM queue_groups AS g WHERE g.key = queue_classes.key AND g.priority = queue_classes.priority
           AND g.is_paused = 0 AND g.waiting > 0)";

/// The time of a pause does not count as time in which a priority could have been served.
const SKIP_TIME: &str = "UPDATE queue_classes SET since = max(since, min(?2, since + ?2 - max(since, ?1)))";

/// Lets everything that a pause has stopped take turns again.
async fn start(batch: &mut Batch<'_>, scope: &str, since: i64, cause: Cause<'_>) -> Result<(), sqlx::Error> {
    batch.changes.changes_queue = true;
    if Pause::stops_all(scope) {
        sqlx::query(SKIP_TIME).bind(since).bind(cause.at.as_millis()).execute(&mut *batch.connection).await?;
        // Tasks that were set aside take turns again.
        sqlx::query(FLAG_TASKS).bind(UNCLEAR).execute(&mut *batch.connection).await?;
        return Ok(());
    }
    for sql in [BEGIN_TIME, BEGIN_CLOCKS] {
        sqlx::query(sql)
            .bind(scope)
            .bind(Pause::line(scope))
            .bind(cause.at.as_millis())
            .execute(&mut *batch.connection)
            .await?;
    }
    flag(batch, scope).await
}
