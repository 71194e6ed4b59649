//! Jobs, counted again from their wants.
//!
//! Must never change a job whose wants have the same states as before.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::{EventKind, Source};
use crate::domain::job::{JobState, Progress};
use crate::domain::outcome::{Reason, UrlOutcome, UrlState};
use crate::domain::time::Timestamp;
use crate::domain::want::{Mark, want_outcome};
use crate::store::column::{self, row};
use crate::store::file::carry_over::page::ROWS;

row! {
    /// The number of a job's wants in one state.
    struct Standing {
        job: i64,
        mark: Option<i64>,
        state: i64,
        code: Option<String>,
        count: i64,
    }
}

impl Standing {
    fn add_to(&self, progress: &mut Progress) -> Result<(), sqlx::Error> {
        let job = self.job.to_string();
        let no_such = || column::unreadable(("rounds", "state", &job), "no such state");
        let state = UrlState::from_number(self.state).ok_or_else(no_such)?;
        let reason = self.code.as_ref().map(|code| Reason::proven(code, ""));
        let outcome = want_outcome(self.mark.and_then(Mark::from_number), &UrlOutcome { state, reason });
        progress.add(outcome.state, self.count);
        if outcome.reason.is_some_and(|reason| reason.failure.code == "canceled") {
            progress.canceled += self.count;
        }
        Ok(())
    }
}

row! {
    struct Job {
        number: i64,
        id: String,
        state: String,
        settled_at: Option<i64>,
        urls: i64,
    }
}

/// Counts the wants of every job by state, and settles or reopens jobs whose counts have changed.
pub(super) async fn count(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut after = 0;
    loop {
        let jobs: Vec<Job> = sqlx::query_as(
            "SELECT number, id, state, settled_at, urls FROM jobs WHERE number > ?1 ORDER BY number LIMIT ?2",
        )
        .bind(after)
        .bind(ROWS)
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = jobs.last() else { return Ok(()) };
        let standings: Vec<Standing> = sqlx::query_as(
            "SELECT wants.job, wants.mark, rounds.state, rounds.code, count(*) AS count
             FROM wants CROSS JOIN rounds ON rounds.number = wants.round
             WHERE wants.job > ?1 AND wants.job <= ?2
             GROUP BY wants.job, wants.mark, rounds.state, rounds.code",
        )
        .bind(after)
        .bind(last.number)
        .fetch_all(&mut *connection)
        .await?;
        after = last.number;
        let mut progress: BTreeMap<i64, Progress> = BTreeMap::new();
        for standing in standings {
            standing.add_to(progress.entry(standing.job).or_default())?;
        }
        store(connection, &jobs, &progress, now).await?;
    }
}

async fn store(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    progress: &BTreeMap<i64, Progress>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let (mut rows, mut events): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for job in jobs {
        let counted = progress.get(&job.number).copied().unwrap_or_default();
        let progress = Progress { urls: job.urls, ..counted };
        let state = progress.job_state();
        let mut settled_at = job.settled_at;
        if state.as_str() != job.state {
            settled_at = (state != JobState::Running).then_some(now.as_millis());
            if settled_at.is_some() {
                events.push(json!([job.id, state]));
            }
        }
        let Progress { waiting, sent, downloaded, indexed, failed, known, canceled, .. } = progress;
        rows.push(json!([
            job.number, waiting, sent, downloaded, indexed, failed, known, canceled, state, settled_at,
        ]));
    }
    sqlx::query(
        "UPDATE jobs SET waiting = new.value->>1, sent = new.value->>2, downloaded = new.value->>3,
           indexed = new.value->>4, failed = new.value->>5, known = new.value->>6, canceled = new.value->>7,
           state = new.value->>8, settled_at = new.value->>9
         FROM json_each(?1) AS new WHERE jobs.number = new.value->>0",
    )
    .bind(Value::Array(rows).to_string())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO events (kind, source, job_id, at, message)
         SELECT ?2, ?3, value->>0, ?4, value->>1 FROM json_each(?1) ORDER BY key",
    )
    .bind(Value::Array(events).to_string())
    .bind(EventKind::JobSettled.as_str())
    .bind(Source::Clock.as_str())
    .bind(now.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}
