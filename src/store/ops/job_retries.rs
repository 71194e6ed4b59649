//! The retry of a job: looks its failed URLs up again, because an operator asked.
//!
//! Must never send a URL that may have been charged, unless it was asked for by name.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::destination::Destination;
use crate::domain::event::{EventKind, Source};
use crate::domain::id::JobId;
use crate::domain::job::Progress;
use crate::domain::outcome::{UrlOutcome, UrlState};
use crate::domain::time::Timestamp;
use crate::domain::url::{Platform, PostUrl};
use crate::domain::want::{Ask, Mark, Terms, want_outcome};
use crate::store::batch::changes::{self, NewEvent, Round};
use crate::store::batch::operation::Operation;
use crate::store::batch::{Batch, Cause};
use crate::store::column::{self, Counts, row};
use crate::store::derive::arrivals::{self, Asked, Asking, Placed};
use crate::store::derive::jobs;
use crate::store::derive::places::Class;
use crate::store::read::jobs::options;
/// The result of the retry of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRetried {
    /// At least one URL is now known, shares a round, or waits.
    Changed,
    /// No URL changes. The counts say where the URLs are.
    Nothing {
        /// URLs that are known or indexed.
        known: i64,
        /// URLs that are sent or downloaded.
        on_their_way: i64,
        /// URLs in the queue.
        waiting: i64,
        /// URLs that have failed and that the given codes do not match, or that were canceled.
        failed: i64,
    },
}

const NOTHING: JobRetried = JobRetried::Nothing { known: 0, on_their_way: 0, waiting: 0, failed: 0 };

row! {
    /// A URL of a job that may be retried.
    struct Row {
        position: i64,
        round: Round,
        mark: Option<i64>,
        state: i64,
        code: Option<String>,
        url: String,
        canonical: String,
        platform: String,
    }
}

impl Row {
    /// The code with which the want has failed. None if it has not failed.
    fn code(&self) -> Result<Option<String>, sqlx::Error> {
        let id = self.round.to_string();
        let mark = column::numbered_option(("wants", "mark", &id), self.mark, Mark::from_number)?;
        let state = column::numbered(("rounds", "state", &id), self.state, UrlState::from_number)?;
        let reason = column::failure(self.code.clone(), None)
            .map(|failure| crate::domain::outcome::Reason { failure, certain: true });
        let outcome = want_outcome(mark, &UrlOutcome { state, reason });
        let is_failed = outcome.state == UrlState::Failed;
        Ok(changes::code(&outcome).filter(|_| is_failed).map(str::to_owned))
    }

    fn asked(self) -> Asked {
        let platform = Platform::from_stored(self.platform);
        // An accepted URL stays as it is, so it is not parsed again.
        let url = PostUrl { given: self.url, canonical: self.canonical, platform };
        Asked { position: self.position, url }
    }
}

pub(crate) const OF_JOB: &str =
    "SELECT position, round, mark, rounds.state, rounds.code, ifnull(wants.url, posts.url) AS url, canonical, platform
     FROM wants CROSS JOIN rounds ON rounds.number = wants.round CROSS JOIN posts ON posts.number = rounds.post
     WHERE wants.job = ?1 ORDER BY position";

/// Looks the failed URLs of a job up again as if it had just arrived, except that unconfirmed attempts are set aside.
///
/// Without `codes`, these are all failed URLs that were not canceled. With `codes`, they are those that failed with
/// one of them.
#[derive(Debug)]
pub(crate) struct RetryJob {
    pub(crate) job: JobId,
    pub(crate) codes: Option<Vec<String>>,
    /// The name of the API key.
    pub(crate) by: Option<String>,
    pub(crate) at: Timestamp,
}

impl Operation for RetryJob {
    type Reply = JobRetried;

    const READS_STATES: bool = true;

    fn waits_for_the_rest(&self) -> bool {
        true
    }

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        job(batch, self).await
    }
}

async fn job(
    batch: &mut Batch<'_>,
    RetryJob { job, codes, by, at }: &RetryJob,
) -> Result<JobRetried, sqlx::Error> {
    let job = *job;
    let cause = Cause { at: *at, source: Source::Operator, operator: by.as_deref() };
    let Some((options, force)) = options(batch.connection, job).await? else { return Ok(NOTHING) };
    let (number, key): (i64, i64) = sqlx::query_as("SELECT number, key FROM jobs WHERE id = ?1")
        .bind(job.to_string())
        .fetch_one(&mut *batch.connection)
        .await?;
    let rows: Vec<Row> = sqlx::query_as(OF_JOB).bind(number).fetch_all(&mut *batch.connection).await?;
    let is_asked = |code: &String| match codes {
        Some(codes) => codes.contains(code),
        None => code != changes::CANCELED,
    };
    let mut failed = Vec::new();
    let mut before = BTreeSet::new();
    for row in rows {
        if row.code()?.as_ref().is_some_and(is_asked) {
            before.insert((row.position, row.round, row.mark));
            failed.push(row.asked());
        }
    }
    let asking = Asking {
        job: number,
        class: Class { key, priority: options.priority },
        destination: &Destination::of(&options),
        terms: Terms { quality: options.quality, force },
        ask: Ask::JobRetry,
        touch: cause.touch(),
    };
    let placed = arrivals::place(batch, &asking, failed).await?;
    let is_moved = |url: &Placed| !before.contains(&(url.position, url.round, url.mark.map(Mark::number)));
    let moved: Vec<Placed> = placed.into_iter().filter(is_moved).collect();
    if moved.is_empty() {
        return nothing(batch, number).await;
    }
    move_wants(batch, number, &moved).await?;
    jobs::recount(batch, &BTreeSet::from([number]), cause.touch()).await?;
    batch.changes.events.push(NewEvent {
        job: Some(job),
        message: Some(cause.words(&format!("{} URLs, requested", moved.len()))),
        ..NewEvent::new(EventKind::JobRetried, Source::Operator, cause.at)
    });
    Ok(JobRetried::Changed)
}

async fn nothing(batch: &mut Batch<'_>, job: i64) -> Result<JobRetried, sqlx::Error> {
    let counts: Counts = sqlx::query_as("SELECT * FROM jobs WHERE number = ?1")
        .bind(job)
        .fetch_one(&mut *batch.connection)
        .await?;
    let Progress { waiting, sent, downloaded, indexed, failed, known, .. } = counts.progress();
    let (known, on_their_way) = (known + indexed, sent + downloaded);
    Ok(JobRetried::Nothing { known, on_their_way, waiting, failed })
}

pub(crate) const MOVE: &str = "UPDATE wants SET round = new.round, mark = new.mark
     FROM (SELECT value->>0 AS job, value->>1 AS position, value->>2 AS round, value->>3 AS mark
           FROM json_each(?1)) AS new
     WHERE wants.job = new.job AND wants.position = new.position";

/// Moves URLs of a job to other rounds.
async fn move_wants(batch: &mut Batch<'_>, job: i64, moved: &[Placed]) -> Result<(), sqlx::Error> {
    let row = |url: &Placed| json!([job, url.position, url.round, url.mark.map(Mark::number)]);
    let rows: Vec<Value> = moved.iter().map(row).collect();
    sqlx::query(MOVE).bind(json!(rows).to_string()).execute(&mut *batch.connection).await?;
    let shared = moved.iter().filter(|url| !url.entered).map(|url| (url.round, job)).collect();
    arrivals::serve(batch, &shared).await
}
