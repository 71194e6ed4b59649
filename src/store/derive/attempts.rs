//! Attempts: the state of each URL of a task, and the videos that belong to it. Must never look at another task.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::evidence::{Findings, UrlFindings};
use crate::domain::measure::Measure;
use crate::domain::outcome::{Failure, Reason, UrlOutcome, UrlState};
use crate::domain::round::round_outcome;
use crate::domain::task::TaskState;
use crate::domain::time::Timestamp;
use crate::domain::want::AttemptStanding;
use crate::store::batch::Batch;
use crate::store::batch::changes::{self, Round, RoundChange, Touch};
use crate::store::batch::loaded::{LoadedTask, LoadedUrl};
use crate::store::column::{self, row};
use crate::store::derive::rounds;

/// The standing of an attempt that waits with its task for the next submit. It is no [`AttemptStanding`], because
/// upstream has taken nothing.
pub(crate) const WAITS: i64 = 4;

/// A URL of a task whose state, standing or videos have changed.
#[derive(Debug)]
pub(crate) struct AttemptChange {
    /// The number of the task.
    task: i64,
    position: i64,
    pub(crate) round: Round,
    is_only: bool,
    old: (UrlState, Option<String>),
    outcome: UrlOutcome,
    standing: i64,
    attributed: bool,
    /// The time at which its task was accepted.
    accepted_at: Option<i64>,
    /// Videos that belong to the URL from now on.
    pub(crate) joined: Vec<String>,
    /// Videos that no longer belong to it.
    left: Vec<String>,
    /// Whether its state or its reason has changed.
    pub(crate) is_outcome: bool,
}

impl AttemptChange {
    fn is_indexed_now(&self) -> bool {
        self.outcome.state == UrlState::Indexed && self.old.0 != UrlState::Indexed
    }
}

/// Updates the loaded URLs to the findings, and returns the changes.
pub(crate) fn changes(stored: &mut LoadedTask, findings: &Findings) -> Vec<AttemptChange> {
    let is_polled = stored.next_poll_at.is_some();
    let accepted_at = stored.accepted_at;
    let task = Task { number: stored.number, state: findings.state, accepted_at, is_polled };
    let mut changed = Vec::new();
    for (url, found) in stored.urls.iter_mut().zip(&findings.urls) {
        let mut videos: Vec<String> = found
            .entries
            .iter()
            .filter_map(|&entry| stored.evidence.entries[entry].video_id.clone())
            .collect();
        videos.sort_unstable();
        changed.extend(change(url, found, videos, task));
    }
    changed
}

/// The task whose attempts change, according to its new findings.
#[derive(Clone, Copy)]
struct Task {
    number: i64,
    state: TaskState,
    accepted_at: Option<i64>,
    /// Whether another poll of it is planned.
    is_polled: bool,
}

fn change(
    url: &mut LoadedUrl,
    found: &UrlFindings,
    videos: Vec<String>,
    task: Task,
) -> Option<AttemptChange> {
    let outcome = &found.outcome;
    let code = changes::code(outcome);
    let certain = outcome.reason.as_ref().map(|reason| reason.certain);
    let standing = standing(outcome, found.makes_known, task);
    let is_outcome = url.state != outcome.state || url.code.as_deref() != code || url.certain != certain;
    let is_same = !is_outcome && url.standing == standing && url.attributed == found.attributed;
    if is_same && url.videos == videos {
        return None;
    }
    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        of.iter().filter(|video| !from.contains(video)).cloned().collect()
    };
    let (joined, left) = (missing(&url.videos, &videos), missing(&videos, &url.videos));
    let old = (std::mem::replace(&mut url.state, outcome.state), url.code.take());
    url.code = code.map(str::to_owned);
    (url.certain, url.standing, url.attributed, url.videos) = (certain, standing, found.attributed, videos);
    Some(AttemptChange {
        task: task.number,
        position: url.position,
        round: url.round,
        is_only: url.is_only,
        old,
        accepted_at: task.accepted_at,
        outcome: outcome.clone(),
        standing,
        attributed: found.attributed,
        joined,
        left,
        is_outcome,
    })
}

/// The standing of an attempt for wants that ask for its post next.
fn standing(outcome: &UrlOutcome, makes_known: bool, task: Task) -> i64 {
    let standing = match (outcome.state, task.state) {
        (UrlState::Waiting, TaskState::Queued) => return WAITS,
        _ if makes_known => AttemptStanding::Indexed,
        (UrlState::Sent | UrlState::Failed, TaskState::Unconfirmed) => AttemptStanding::Unconfirmed,
        (UrlState::Sent | UrlState::Downloaded, _) => AttemptStanding::OnItsWay,
        // The list may still become complete and make the post known.
        (UrlState::Indexed, _) if task.is_polled => AttemptStanding::OnItsWay,
        _ => AttemptStanding::Ended,
    };
    standing.number()
}

pub(crate) const UPDATE: &str = "UPDATE attempts SET state = new.state, standing = new.standing,
       attributed = new.attributed, code = new.code, message = new.message, certain = new.certain
     FROM (SELECT value->>0 AS task, value->>1 AS position, value->>2 AS state, value->>3 AS standing,
             value->>4 AS attributed, value->>5 AS code, value->>6 AS message, value->>7 AS certain
           FROM json_each(?1)) AS new
     WHERE attempts.task = new.task AND attempts.position = new.position";
pub(crate) const JOIN: &str = "INSERT INTO joins (task, position, video)
     SELECT value->>0, value->>1, value->>2 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING";
pub(crate) const LEAVE: &str = "DELETE FROM joins WHERE (task, position, video) IN (
       SELECT value->>0, value->>1, value->>2 FROM json_each(?1))";

/// Stores the changes, and carries them over to the rounds.
pub(crate) async fn store(
    batch: &mut Batch<'_>,
    changed: Vec<(Touch, AttemptChange)>,
) -> Result<(), sqlx::Error> {
    if !changed.is_empty() {
        let rows: Vec<Value> = changed.iter().map(|(_, attempt)| row(attempt)).collect();
        sqlx::query(UPDATE).bind(json!(rows).to_string()).execute(&mut *batch.connection).await?;
        for (sql, videos) in [
            (JOIN, joins(&changed, |attempt| &attempt.joined)),
            (LEAVE, joins(&changed, |attempt| &attempt.left)),
        ] {
            if !videos.is_empty() {
                sqlx::query(sql).bind(json!(videos).to_string()).execute(&mut *batch.connection).await?;
            }
        }
    }
    for (touch, attempt) in &changed {
        if attempt.is_indexed_now() {
            let accepted_at = attempt.accepted_at.map(Timestamp::from_millis);
            let delay = accepted_at.map(|accepted_at| touch.at.since(accepted_at));
            batch.changes.count(touch.at, Measure::UrlsIndexed(delay), 1);
        }
    }
    let moved: Vec<_> = changed.into_iter().filter(|(_, attempt)| attempt.is_outcome).collect();
    let rounds = round_changes(batch, moved).await?;
    rounds::change(batch, rounds).await
}

fn row(attempt: &AttemptChange) -> Value {
    let reason = attempt.outcome.reason.as_ref();
    json!([
        attempt.task,
        attempt.position,
        attempt.outcome.state.number(),
        attempt.standing,
        i64::from(attempt.attributed),
        reason.map(|reason| &reason.failure.code),
        reason.map(|reason| &reason.failure.message),
        reason.map(|reason| i64::from(reason.certain)),
    ])
}

fn joins(changed: &[(Touch, AttemptChange)], which: impl Fn(&AttemptChange) -> &Vec<String>) -> Vec<Value> {
    let videos = |attempt: &AttemptChange| -> Vec<Value> {
        which(attempt).iter().map(|video| json!([attempt.task, attempt.position, video])).collect()
    };
    changed.iter().flat_map(|(_, attempt)| videos(attempt)).collect()
}

/// Carries changed attempts over to their rounds. Most rounds have a single task, and then have the state of its URL.
async fn round_changes(
    batch: &mut Batch<'_>,
    moved: Vec<(Touch, AttemptChange)>,
) -> Result<Vec<RoundChange>, sqlx::Error> {
    let mut rounds = Vec::new();
    let mut shared = BTreeMap::new();
    for (touch, attempt) in moved {
        if attempt.is_only {
            let (old, code) = attempt.old;
            let was_canceled = code.as_deref() == Some(changes::CANCELED);
            rounds.push(RoundChange { round: attempt.round, old, was_canceled, new: attempt.outcome, touch });
        } else {
            shared.insert(attempt.round, touch);
        }
    }
    rounds.extend(of_several_tasks(batch, &shared).await?);
    Ok(rounds)
}

row! {
    struct Row {
        round: Round,
        old: i64,
        old_code: Option<String>,
        waits: bool,
        state: Option<i64>,
        code: Option<String>,
        message: Option<String>,
        certain: Option<bool>,
    }
}

impl Row {
    fn outcome(&self) -> Result<Option<UrlOutcome>, sqlx::Error> {
        let Some(state) = self.state else { return Ok(None) };
        let id = self.round.to_string();
        let state = column::numbered(("attempts", "state", &id), state, UrlState::from_number)?;
        let failure = self
            .code
            .as_ref()
            .map(|code| Failure { code: code.clone(), message: self.message.clone().unwrap_or_default() });
        let reason = failure.map(|failure| Reason { failure, certain: self.certain.unwrap_or(true) });
        Ok(Some(UrlOutcome { state, reason }))
    }
}

pub(crate) const OF_SEVERAL: &str =
    "SELECT rounds.number AS round, rounds.state AS old, rounds.code AS old_code, line IS NOT NULL AS waits,
       attempts.state, attempts.code, attempts.message, attempts.certain
     FROM json_each(?1) CROSS JOIN rounds ON rounds.number = value LEFT JOIN attempts ON round = rounds.number
     ORDER BY rounds.number, attempts.task";

/// Computes the states of rounds with more than one task, from the rows of all their tasks.
pub(crate) async fn of_several_tasks(
    batch: &mut Batch<'_>,
    shared: &BTreeMap<Round, Touch>,
) -> Result<Vec<RoundChange>, sqlx::Error> {
    if shared.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&Round> = shared.keys().collect();
    let rows: Vec<Row> =
        sqlx::query_as(OF_SEVERAL).bind(json!(ids).to_string()).fetch_all(&mut *batch.connection).await?;
    let mut changed = Vec::new();
    for of_round in rows.chunk_by(|one, two| one.round == two.round) {
        let (Some(first), outcomes) =
            (of_round.first(), of_round.iter().filter_map(|row| row.outcome().transpose()))
        else {
            continue;
        };
        let outcomes: Vec<UrlOutcome> = outcomes.collect::<Result<_, _>>()?;
        let id = first.round.to_string();
        let old = column::numbered(("rounds", "state", &id), first.old, UrlState::from_number)?;
        let was_canceled = first.old_code.as_deref() == Some(changes::CANCELED);
        let new = round_outcome(first.waits, &outcomes);
        let Some(touch) = shared.get(&first.round).copied() else { continue };
        changed.push(RoundChange { round: first.round, old, was_canceled, new, touch });
    }
    Ok(changed)
}
