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
        batch.changes.events.push(NewEvent {
            message: Some(reason(&pause.scope, &pause.failure.code, &pause.failure.message)),
            ..NewEvent::new(EventKind::SendingPaused, cause.source, cause.at)
        });
    }
    Ok(())
}

/// Lifts a pause; `false` where there was none.
pub(crate) async fn lift(batch: &mut Batch<'_>, scope: &str, cause: Cause<'_>) -> Result<bool, sqlx::Error> {
    let lifted = sqlx::query("DELETE FROM pauses WHERE scope = ?1")
        .bind(scope)
        .execute(&mut *batch.connection)
        .await?;
    if lifted.rows_affected() == 0 {
        return Ok(false);
    }
    batch.changes.events.push(NewEvent {
        message: Some(scope.to_owned()),
        ..NewEvent::new(EventKind::SendingResumed, cause.source, cause.at)
    });
    Ok(true)
}

/// Lifts every pause, whatever its reason.
pub(crate) async fn lift_all(batch: &mut Batch<'_>, cause: Cause<'_>) -> Result<(), sqlx::Error> {
    let lifted: Vec<String> =
        sqlx::query_scalar("DELETE FROM pauses RETURNING scope").fetch_all(&mut *batch.connection).await?;
    for scope in lifted {
        let by = cause.operator.map(|name| format!(", by {name}")).unwrap_or_default();
        batch.changes.events.push(NewEvent {
            message: Some(format!("{scope}{by}")),
            ..NewEvent::new(EventKind::SendingResumed, cause.source, cause.at)
        });
    }
    Ok(())
}
