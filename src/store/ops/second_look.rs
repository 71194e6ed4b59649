//! The second look: checks whether posts still have to be sent when their turn has come, in the commit that would
//! send them.
//!
//! Must never let a post be sent that an attempt has by now, unless a job wants it by force.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::json;

use crate::domain::destination::Destination;
use crate::domain::job::Quality;
use crate::domain::want::{Terms, second_look};
use crate::store::batch::Batch;
use crate::store::batch::changes::{Round, Touch};
use crate::store::column;
use crate::store::derive::posts::{self, History};
use crate::store::derive::{arrivals, attempts, jobs, places, queue, rounds};

/// A post that waits. The fields have the order of the columns in the statements that find it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) round: Round,
    pub(crate) kind: i64,
    pub(crate) canonical: Option<String>,
    pub(crate) destination: Option<i64>,
    /// None if the post waits in a task.
    pub(crate) line: Option<i64>,
}

/// The input of a second look.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) touch: Touch,
    /// Whether the cancel of some job has not reached all of its URLs yet.
    pub(crate) cancels_are_due: bool,
}

/// The result of a second look.
pub(crate) struct Recheck {
    pub(crate) staying: Vec<Candidate>,
    /// Whether some posts have left the queue.
    pub(crate) some_have_left: bool,
    /// The first error of an unreadable post. Unreadable posts stay where they are.
    pub(crate) unread: Option<sqlx::Error>,
}

/// The terms of the wants of a round, in the order of the columns of [`TERMS`].
#[derive(Deserialize)]
struct Worth {
    round: Round,
    /// The oldest job that wants the post.
    job: Option<String>,
    /// Whether a want belongs to a job that is missing from the file.
    has_lost_job: i64,
    quality: Option<i64>,
    forced: Option<i64>,
}

pub(crate) const TERMS: &str =
    "SELECT json_group_array(json_array(round, job, has_lost_job, quality, forced)) FROM (
     SELECT asked.value AS round, min(jobs.id) AS job,
       ifnull(max(wants.job IS NOT NULL AND jobs.number IS NULL), 0) AS has_lost_job,
       max(iif(jobs.force, NULL, CAST(jobs.quality AS INTEGER))) AS quality,
       max(iif(jobs.force, CAST(jobs.quality AS INTEGER), NULL)) AS forced
     FROM json_each(?1) AS asked
       LEFT JOIN wants ON wants.round = asked.value AND wants.mark IS NULL
       LEFT JOIN jobs ON jobs.number = wants.job
     GROUP BY asked.value)";

pub(crate) const CANCELED: &str =
    "UPDATE wants SET mark = 2 WHERE mark IS NULL AND round IN (SELECT value FROM json_each(?1))
       AND position > (SELECT after_position FROM due_cancels WHERE due_cancels.job = wants.job) RETURNING job";

/// Finishes cancels that have not reached these posts yet, so that no post of a canceled job is sent. Returns the
/// posts that still wait in the same place.
async fn cancel_due(
    batch: &mut Batch<'_>,
    candidates: Vec<Candidate>,
    touch: Touch,
) -> Result<Vec<Candidate>, sqlx::Error> {
    let rounds: BTreeSet<Round> = candidates.iter().map(|candidate| candidate.round).collect();
    let jobs: Vec<i64> = sqlx::query_scalar(CANCELED)
        .bind(json!(rounds).to_string())
        .fetch_all(&mut *batch.connection)
        .await?;
    jobs::recount(batch, &jobs.into_iter().collect(), touch).await?;
    queue::abandon(batch, &rounds, touch).await?;
    queue::lower(batch, &rounds, touch).await?;
    let lines: Vec<(Round, Option<i64>)> =
        sqlx::query_as("SELECT number, line FROM json_each(?1) CROSS JOIN rounds ON rounds.number = value")
            .bind(json!(rounds).to_string())
            .fetch_all(&mut *batch.connection)
            .await?;
    let lines: HashMap<Round, Option<i64>> = lines.into_iter().collect();
    let is_here = |candidate: &Candidate| lines.get(&candidate.round) == Some(&candidate.line);
    Ok(candidates.into_iter().filter(is_here).collect())
}

/// Checks posts once more before scrapehook pays for them. Posts that an attempt has by now join it, and unwanted
/// posts are left out.
pub(crate) async fn recheck(
    batch: &mut Batch<'_>,
    candidates: Vec<Candidate>,
    Look { touch, cancels_are_due }: Look,
) -> Result<Recheck, sqlx::Error> {
    let candidates = if cancels_are_due { cancel_due(batch, candidates, touch).await? } else { candidates };
    let mut histories = histories(batch, &candidates).await?;
    let rounds: Vec<Round> = candidates.iter().map(|candidate| candidate.round).collect();
    let worth: String =
        sqlx::query_scalar(TERMS).bind(json!(rounds).to_string()).fetch_one(&mut *batch.connection).await?;
    let worth: Vec<Worth> = column::json(("wants", "job", "some rounds"), &worth)?;
    let mut terms: HashMap<Round, Result<Vec<Terms>, sqlx::Error>> =
        worth.into_iter().map(|row| (row.round, terms_of(&row))).collect();
    let (mut staying, mut unread) = (Vec::new(), None);
    let (mut unwanted, mut joining) = (BTreeSet::new(), Vec::new());
    for candidate in candidates {
        let wants = terms.remove(&candidate.round).unwrap_or(Ok(Vec::new()));
        let history = histories.remove(&candidate.round).unwrap_or_else(|| found(candidate.round, None));
        match (wants, history) {
            (Err(error), _) | (_, Err(error)) => {
                unread.get_or_insert(error);
            }
            (Ok(wants), _) if wants.is_empty() => {
                unwanted.insert(candidate.round);
            }
            (Ok(wants), Ok(history)) => {
                let look = second_look(&history.attempts, &wants);
                joining.extend(look.joins.map(|to| (candidate.round, to)));
                // In a line, wants that stay wait for the next look, because their terms may belong to another line.
                // In a waiting task they stay, because they would wait nowhere else.
                if look.joins.is_none() || (candidate.line.is_none() && look.stays.is_some()) {
                    staying.push(candidate);
                }
            }
        }
    }
    let some_have_left = !joining.is_empty() || !unwanted.is_empty();
    for (from, to) in joining {
        join(batch, from, to, touch).await?;
    }
    queue::abandon(batch, &unwanted, touch).await?;
    Ok(Recheck { staying, some_have_left, unread })
}

/// Reads the histories of the posts of these rounds. Each is an error if it can't be read.
async fn histories(
    batch: &mut Batch<'_>,
    candidates: &[Candidate],
) -> Result<HashMap<Round, Result<History, sqlx::Error>>, sqlx::Error> {
    let mut histories = HashMap::new();
    let Some(destination) = candidates.iter().find_map(|candidate| candidate.destination) else {
        return Ok(histories);
    };
    let destination = destination_of(batch, destination).await?;
    let canonical = candidates.iter().filter_map(|candidate| candidate.canonical.as_deref());
    let mut known = match posts::histories(batch.connection, &destination, canonical).await {
        Ok(known) => Some(known),
        // One of them is unreadable, so each is read separately.
        Err(error) if column::is_unreadable(&error) => None,
        Err(error) => return Err(error),
    };
    for candidate in candidates {
        let Some(canonical) = candidate.canonical.as_deref() else { continue };
        let history = match &mut known {
            Some(known) => found(candidate.round, known.remove(canonical)),
            None => posts::histories(batch.connection, &destination, std::iter::once(canonical))
                .await
                .and_then(|mut known| found(candidate.round, known.remove(canonical))),
        };
        histories.insert(candidate.round, history);
    }
    Ok(histories)
}

/// The history of a waiting post. The post is in the ledger, so if its URL does not find it, the file is damaged.
/// That does not prove that no attempt has the post, so it must not be sent.
fn found(round: Round, history: Option<History>) -> Result<History, sqlx::Error> {
    history.filter(|history| history.post.is_some()).ok_or_else(|| {
        column::unreadable(("posts", "hash", &round.to_string()), "no post can be found by its URL")
    })
}

fn terms_of(row: &Worth) -> Result<Vec<Terms>, sqlx::Error> {
    let id = row.job.as_deref().unwrap_or_default();
    let quality = |number| column::numbered_option(("jobs", "quality", id), number, Quality::from_number);
    let unforced = quality(row.quality)?.map(|quality| Terms { quality, force: false });
    let forced = quality(row.forced)?.map(|quality| Terms { quality, force: true });
    let terms: Vec<Terms> = unforced.into_iter().chain(forced).collect();
    if terms.is_empty() && row.has_lost_job != 0 {
        return Err(column::unreadable(("wants", "job", &row.round.to_string()), "no such job"));
    }
    Ok(terms)
}

/// Moves the wants without `force` of a waiting round to another round.
async fn join(batch: &mut Batch<'_>, from: Round, to: Round, touch: Touch) -> Result<(), sqlx::Error> {
    if from == to {
        // An earlier task of the same round has the post after all.
        places::leave(batch, &BTreeSet::from([from])).await?;
        sqlx::query("UPDATE rounds SET line = NULL WHERE number = ?1")
            .bind(from)
            .execute(&mut *batch.connection)
            .await?;
        let changes = attempts::of_several_tasks(batch, &BTreeMap::from([(from, touch)])).await?;
        return rounds::change(batch, changes).await;
    }
    let moved: Vec<i64> = sqlx::query_scalar(
        "UPDATE wants SET round = ?2 WHERE round = ?1 AND mark IS NULL
           AND (SELECT force FROM jobs WHERE jobs.number = wants.job) = 0 RETURNING job",
    )
    .bind(from)
    .bind(to)
    .fetch_all(&mut *batch.connection)
    .await?;
    let jobs: BTreeSet<i64> = moved.into_iter().collect();
    tracing::info!(
        round = from,
        jobs = jobs.len(),
        "another attempt already has this post, so it is not sent again"
    );
    arrivals::serve(batch, &jobs.iter().map(|job| (to, *job)).collect()).await?;
    jobs::recount(batch, &jobs, touch).await?;
    let from = BTreeSet::from([from]);
    queue::abandon(batch, &from, touch).await?;
    queue::lower(batch, &from, touch).await
}

/// The destination with this number. A waiting post was requested with the spelling of its destination, so the
/// spelling is stored.
async fn destination_of(batch: &mut Batch<'_>, number: i64) -> Result<Destination, sqlx::Error> {
    let row: Option<(Option<i64>, Option<String>, Option<i64>)> =
        sqlx::query_as("SELECT kind, name, folder FROM destinations WHERE number = ?1")
            .bind(number)
            .fetch_optional(&mut *batch.connection)
            .await?;
    row.and_then(|(kind, name, folder)| column::destination(kind, name, folder))
        .ok_or_else(|| column::unreadable(("destinations", "kind", &number.to_string()), "no spelling"))
}
