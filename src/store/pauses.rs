//! Pauses: why nothing is sent, to anybody or to one platform. They outlive a restart.

use serde::Serialize;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use utoipa::ToSchema;

use super::changes::{Changes, NewEvent};
use super::op::NewPause;
use super::{Policy, ReadError, Store, column};
use crate::domain::event::{EventKind, Source};
use crate::domain::retry::{PROBE_MOST, backoff};
use crate::domain::time::Timestamp;

/// Sets a pause; where its scope is paused already, a probe failed, and only the next one is moved.
pub(super) async fn set(
    connection: &mut SqliteConnection,
    pause: &NewPause,
    source: Source,
    at: Timestamp,
    policy: Policy,
    changes: &mut Changes,
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
    .bind(at.as_millis())
    .fetch_one(&mut *connection)
    .await?;
    let probe_at = at.after(backoff(probes + 1, policy.probe_after, PROBE_MOST));
    sqlx::query("UPDATE pauses SET probe_at = ?2 WHERE scope = ?1")
        .bind(&pause.scope)
        .bind(probe_at.as_millis())
        .execute(connection)
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
        changes.events.push(NewEvent {
            message: Some(reason(&pause.scope, &pause.failure.code, &pause.failure.message)),
            ..NewEvent::new(EventKind::SendingPaused, source, at)
        });
    }
    Ok(())
}

/// Lifts a pause; `false` where there was none.
pub(super) async fn lift(
    connection: &mut SqliteConnection,
    scope: &str,
    source: Source,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<bool, sqlx::Error> {
    let lifted = sqlx::query("DELETE FROM pauses WHERE scope = ?1").bind(scope).execute(connection).await?;
    if lifted.rows_affected() == 0 {
        return Ok(false);
    }
    changes.events.push(NewEvent {
        message: Some(scope.to_owned()),
        ..NewEvent::new(EventKind::SendingResumed, source, at)
    });
    Ok(true)
}

/// Lifts every pause, whatever its reason.
pub(super) async fn lift_all(
    connection: &mut SqliteConnection,
    by: Option<&str>,
    at: Timestamp,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    let lifted: Vec<String> =
        sqlx::query_scalar("DELETE FROM pauses RETURNING scope").fetch_all(connection).await?;
    for scope in lifted {
        let by = by.map(|name| format!(", by {name}")).unwrap_or_default();
        changes.events.push(NewEvent {
            message: Some(format!("{scope}{by}")),
            ..NewEvent::new(EventKind::SendingResumed, Source::Operator, at)
        });
    }
    Ok(())
}

/// Where an operator paused sending, code and scope are the same word.
fn reason(scope: &str, code: &str, message: &str) -> String {
    if scope == code { message.to_owned() } else { format!("{scope}: {code}: {message}") }
}

/// A pause in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pause {
    /// `all`, or the one platform that is stopped.
    pub scope: String,
    /// The upstream's code, or a word of ours.
    pub code: String,
    /// Words for people.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
    /// When one queued task is tried; none where only an operator ends the pause.
    #[schema(required)]
    pub probe_at: Option<Timestamp>,
    /// How many were tried in vain.
    pub probes: u32,
}

impl Pause {
    /// The scope of a pause that stops everything.
    pub const ALL: &'static str = "all";
    /// The scope of a pause that an operator made: it stops everything, and nothing is tried.
    pub const OPERATOR: &'static str = "operator";
    /// The scope of a pause that a restored backup begins with: what was queued then may have been sent since.
    pub const RESTORED: &'static str = "restored";
    /// The code of a pause after submits of unknown fate.
    pub const UNCONFIRMED: &'static str = "unconfirmed";

    /// Why, in one line.
    pub fn reason(&self) -> String {
        reason(&self.scope, &self.code, &self.message)
    }

    /// Whether nothing is tried until an operator ends the pause with this scope.
    fn waits_for_operator(scope: &str) -> bool {
        matches!(scope, Self::OPERATOR | Self::RESTORED)
    }
}

#[derive(FromRow)]
struct Row {
    scope: String,
    code: String,
    message: String,
    since: i64,
    probe_at: i64,
    probes: u32,
}

impl Store {
    /// The pauses in force.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn pauses(&self) -> Result<Vec<Pause>, ReadError> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT scope, code, message, since, probe_at, probes FROM pauses ORDER BY scope")
                .fetch_all(&self.readers)
                .await?;
        let pause = |row: Row| {
            let probe_at = column::time(("pauses", "probe_at", &row.scope), row.probe_at)?;
            Ok(Pause {
                probe_at: (!Pause::waits_for_operator(&row.scope)).then_some(probe_at),
                since: column::time(("pauses", "since", &row.scope), row.since)?,
                scope: row.scope,
                code: row.code,
                message: row.message,
                probes: row.probes,
            })
        };
        Ok(rows.into_iter().map(pause).collect::<Result<_, sqlx::Error>>()?)
    }
}
