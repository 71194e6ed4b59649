//! The second look: whether posts whose turn has come still have to be sent, in the commit that would send them.
//!
//! Must never let a post be sent that an attempt has by now, unless somebody wants it by force.

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

/// A post that waits, in the order of the columns of the statements that find them.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) round: Round,
    pub(crate) kind: i64,
    pub(crate) canonical: Option<String>,
    pub(crate) destination: Option<i64>,
    /// None if it waits in a task.
    pub(crate) line: Option<i64>,
}

/// What a second look goes by.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) touch: Touch,
    /// Whether some canceled job has URLs that its cancel has not come to yet.
    pub(crate) cancels_are_due: bool,
}

/// What is left of posts after the second look.
pub(crate) struct Recheck {
    pub(crate) staying: Vec<Candidate>,
    /// Whether some have left the queue.
    pub(crate) some_have_left: bool,
    /// Why some can't be read, of the first of them. They stay where they are.
    pub(crate) unread: Option<sqlx::Error>,
}

/// What the wants of a round ask for, in the order of [`TERMS`]'s columns.
#[derive(Deserialize)]
struct Worth {
    round: Round,
    /// The oldest job that wants it.
    job: Option<String>,
    /// A want belongs to a job that is not in the file.
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

/// A job may be canceled whose URLs the cancel has not come to yet: these are canceled first, as if it had. Gives the
/// posts that wait where they have waited.
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

/// Looks once more before paying: those that an attempt has by now join it, and those that nobody wants are left out.
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
                // In a line, whoever stays waits for the next look: what they ask for may be another line's. A task
                // that waits keeps them: outside of it they would wait nowhere.
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

/// What is known of the posts of these rounds, or why it can't be read.
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
        // One of them makes no sense: each is asked about by itself.
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

/// What is known of a post that waits. It is in the ledger, so a look by its URL that does not find it proves damage,
/// not that no attempt has it: it must not be paid for.
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

/// Lets the wants without `force` of a waiting round join another round.
async fn join(batch: &mut Batch<'_>, from: Round, to: Round, touch: Touch) -> Result<(), sqlx::Error> {
    if from == to {
        // An earlier task of the round has it after all.
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

/// The destination with this number. What waits was asked for with its spelling.
async fn destination_of(batch: &mut Batch<'_>, number: i64) -> Result<Destination, sqlx::Error> {
    let row: Option<(Option<i64>, Option<String>, Option<i64>)> =
        sqlx::query_as("SELECT kind, name, folder FROM destinations WHERE number = ?1")
            .bind(number)
            .fetch_optional(&mut *batch.connection)
            .await?;
    row.and_then(|(kind, name, folder)| column::destination(kind, name, folder))
        .ok_or_else(|| column::unreadable(("destinations", "kind", &number.to_string()), "no spelling"))
}
