//! Pauses: why nothing is sent, to anybody or to one platform. They outlive a restart.

use crate::domain::event::EventKind;
use crate::domain::pause::{Pause, reason};
use crate::domain::retry::{PROBE_MOST, backoff};
use crate::domain::task::Failure;
use crate::store::batch::changes::NewEvent;
use crate::store::batch::{Batch, Cause};

/// Whom a pause stops, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    /// `all`, or the one platform that is stopped.
    pub scope: String,
    /// The upstream's code, or a word of ours.
    pub failure: Failure,
}

/// Sets a pause; where its scope is paused already, a probe failed, and only the next one is moved.
pub(crate) async fn set(
    batch: &mut Batch<'_>,
    pause: &NewPause,
    cause: Cause<'_>,
) -> Result<(), sqlx::Error> {
    let probes: u32 = sqlx::query_scalar(
        "INSERT INTO pauses (scope, code, message, since, probe_at, probes) VALUES (?1, ?2, ?3, ?4, ?4, 0)
         ON CONFLICT (scope) DO UPDATE SET
           code = excluded.code, message = excluded.message, probes = probes + 1
         RETURNING probes",
    )
    .bind(&pause.scope)
    .bind(&pause.failure.code)
    .bind(&pause.failure.message)
    .bind(cause.at.as_millis())
    .fetch_one(&mut *batch.connection)
    .await?;
    let probe_at = cause.at.after(backoff(probes + 1, batch.policy.probe_after, PROBE_MOST));
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
        "sending is paused; unless an operator did it, one task is tried at the time of the next probe"
    );
    if probes == 0 {
        stop(batch, &pause.scope).await?;
        batch.changes.events.push(NewEvent {
            message: Some(reason(&pause.scope, &pause.failure.code, &pause.failure.message)),
            ..NewEvent::new(EventKind::SendingPaused, cause.source, cause.at)
        });
    }
    Ok(())
}

/// Lifts a pause; `false` where there was none.
pub(crate) async fn lift(batch: &mut Batch<'_>, scope: &str, cause: Cause<'_>) -> Result<bool, sqlx::Error> {
    let since: Option<i64> = sqlx::query_scalar("DELETE FROM pauses WHERE scope = ?1 RETURNING since")
        .bind(scope)
        .fetch_optional(&mut *batch.connection)
        .await?;
    let Some(since) = since else { return Ok(false) };
    start(batch, (scope, since), cause).await?;
    batch.changes.events.push(NewEvent {
        message: Some(scope.to_owned()),
        ..NewEvent::new(EventKind::SendingResumed, cause.source, cause.at)
    });
    Ok(true)
}

/// Lifts every pause, whatever its reason.
pub(crate) async fn lift_all(batch: &mut Batch<'_>, cause: Cause<'_>) -> Result<(), sqlx::Error> {
    let lifted: Vec<(String, i64)> =
        sqlx::query_as("DELETE FROM pauses RETURNING scope, since").fetch_all(&mut *batch.connection).await?;
    for (scope, since) in lifted {
        start(batch, (&scope, since), cause).await?;
        let by = cause.operator.map(|name| format!(", by {name}")).unwrap_or_default();
        batch.changes.events.push(NewEvent {
            message: Some(format!("{scope}{by}")),
            ..NewEvent::new(EventKind::SendingResumed, cause.source, cause.at)
        });
    }
    Ok(())
}

const STOP_GROUPS: &str =
    "UPDATE queue_groups SET is_paused = 1 WHERE line IN (SELECT number FROM lines WHERE platform = ?1)";
const STOP_TASKS: &str = "UPDATE tasks SET is_paused = 1 WHERE state = 'queued' AND platform = ?1";

/// Takes what a pause stops out of the turns, so that nothing looks for it. A pause of everything has no need to.
async fn stop(batch: &mut Batch<'_>, scope: &str) -> Result<(), sqlx::Error> {
    for sql in [STOP_GROUPS, STOP_TASKS] {
        sqlx::query(sql).bind(scope).execute(&mut *batch.connection).await?;
    }
    Ok(())
}

/// Keys that nothing else of was sent: their clocks have stood still.
pub(crate) const BEGIN_CLOCKS: &str = "UPDATE api_keys SET clock = max(clock, (SELECT clock FROM queue))
     WHERE number IN (
         SELECT key FROM lines
           CROSS JOIN queue_groups ON queue_groups.line = lines.number AND queue_groups.waiting > 0
         WHERE platform = ?1)
       AND NOT EXISTS (
         SELECT 1 FROM queue_groups AS g WHERE g.key = api_keys.number AND g.is_paused = 0 AND g.waiting > 0)";

/// Their priorities could not be served either.
pub(crate) const BEGIN_TIME: &str = "UPDATE queue_classes SET since = ?2
     WHERE (key, priority) IN (
       SELECT key, priority FROM lines
         CROSS JOIN queue_groups ON queue_groups.line = lines.number AND queue_groups.waiting > 0
       WHERE platform = ?1)
       AND NOT EXISTS (
         SELECT 1 FROM queue_groups AS g WHERE g.key = queue_classes.key AND g.priority = queue_classes.priority
           AND g.is_paused = 0 AND g.waiting > 0)";

/// The time of a pause does not count as time in which a priority could have been served.
const SKIP_TIME: &str = "UPDATE queue_classes SET since = max(since, min(?2, since + ?2 - max(since, ?1)))";

/// Lets what a pause has stopped take turns again.
async fn start(
    batch: &mut Batch<'_>,
    (scope, since): (&str, i64),
    cause: Cause<'_>,
) -> Result<(), sqlx::Error> {
    if Pause::stops_all(scope) {
        sqlx::query(SKIP_TIME).bind(since).bind(cause.at.as_millis()).execute(&mut *batch.connection).await?;
        return Ok(());
    }
    sqlx::query(BEGIN_TIME).bind(scope).bind(cause.at.as_millis()).execute(&mut *batch.connection).await?;
    for sql in [
        BEGIN_CLOCKS,
        "UPDATE queue_groups SET is_paused = 0 WHERE line IN (SELECT number FROM lines WHERE platform = ?1)",
        "UPDATE tasks SET is_paused = 0 WHERE state = 'queued' AND is_paused = 1 AND platform = ?1",
    ] {
        sqlx::query(sql).bind(scope).execute(&mut *batch.connection).await?;
    }
    Ok(())
}
