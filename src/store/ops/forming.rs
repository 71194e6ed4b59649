//! Forming: chooses the posts of the next request, in the commit that writes its submit.
//!
//! Must never send a post that another attempt has by now, unless a job wants it by force, and must never let a
//! request out of this commit without its submit on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;

use crate::domain::event::Source;
use crate::domain::forming::{Waiting, form};
use crate::domain::id::TaskId;
use crate::domain::job::Quality;
use crate::domain::measure::Measure;
use crate::domain::refusal::{CONTENT, UNCLEAR};
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::{Round, Touch};
use crate::store::batch::operation::Operation;
use crate::store::column::{self, row};
use crate::store::derive::posts::Lines;
use crate::store::derive::turns::{self, Head};
use crate::store::derive::{arrivals, queue};
use crate::store::ops::second_look::{Candidate, Look, Recheck, recheck};
use crate::store::ops::splits::{self, Split};
use crate::store::read::queue::{REQUEST, Request, RequestRow, Turn, request};

/// A request that the dispatcher wants to send.
#[derive(Clone, Debug)]
pub struct NextRequest {
    /// The group or the task whose turn it is.
    pub turn: Turn,
    /// The ids of new tasks. Posts of a line need one, and a waiting task that has to be split needs two.
    pub new: [TaskId; 2],
    /// The time at which the request is sent.
    pub at: Timestamp,
    /// The number of URLs that the day's budget still allows. None if there is no limit.
    pub left_today: Option<usize>,
}

impl NextRequest {
    /// Creates a request at this time.
    pub fn new(turn: Turn, at: Timestamp, left_today: Option<usize>) -> Self {
        Self { turn, new: [TaskId::new(at), TaskId::new(at)], at, left_today }
    }
}

impl Operation for NextRequest {
    type Reply = Option<Request>;

    const READS_STATES: bool = true;

    async fn apply(&self, batch: &mut Batch<'_>) -> Result<Self::Reply, sqlx::Error> {
        begin(batch, self).await
    }
}

/// Writes the submit of the next request. Returns none if none of its posts has to be sent any more, or if an
/// operator has paused sending meanwhile.
async fn begin(batch: &mut Batch<'_>, next: &NextRequest) -> Result<Option<Request>, sqlx::Error> {
    static BEGIN: LazyLock<String> = LazyLock::new(|| [BEGIN_SUBMIT, REQUEST].join(";\n"));
    let (is_paused, cancels_are_due): (bool, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('operator', 'restored')),
           EXISTS (SELECT 1 FROM due_cancels)",
    )
    .fetch_one(&mut *batch.connection)
    .await?;
    if is_paused {
        return Ok(None);
    }
    let look = Look { touch: Touch { at: next.at, source: Source::Submit }, cancels_are_due };
    let task = match next.turn {
        Turn::Task(task) => look_at_task(batch, task, next, look).await?,
        Turn::Group(group) => take_from_line(batch, group, next, look).await?,
    };
    let Some(task) = task else { return Ok(None) };
    batch.changes.touch(task, next.at, Source::Submit);
    let row: Option<RequestRow> = sqlx::query_as(BEGIN.as_str())
        .bind(task.to_string())
        .bind(next.at.as_millis())
        .fetch_optional(&mut *batch.connection)
        .await?;
    let request = row.map(|row| request(task, row)).transpose()?;
    if let Some(request) = &request {
        batch.changes.count(next.at, Measure::UrlsSent, request.urls.len() as u64);
    }
    Ok(request)
}

const BEGIN_SUBMIT: &str = "INSERT INTO submits (task_id, attempt, started_at, urls)
     SELECT id, 1 + (SELECT count(*) FROM submits WHERE task_id = tasks.id), ?2,
       (SELECT count(*) FROM attempts WHERE attempts.task = tasks.number AND standing = 4)
     FROM tasks WHERE id = ?1 AND state = 'queued'";

row! {
    /// The group whose turn it is.
    struct Group {
        line: i64,
        ..head: Head,
    }
}

const HEAD: &str =
    "SELECT line, key, priority, number AS grp FROM queue_groups WHERE number = ?1 AND waiting > 0";

/// The groups that fill a request of a line: first the one at the head, then those of its key by priority, then those
/// of the other keys, the lowest clock first.
pub(crate) const OF_LINE: &str = "SELECT json_group_array(number) FROM (
     SELECT queue_groups.number FROM queue_groups INDEXED BY queue_groups_by_line
       CROSS JOIN api_keys ON api_keys.number = queue_groups.key
     WHERE line = ?1 AND waiting > 0
     ORDER BY queue_groups.number <> ?2, key <> ?3, clock, key, priority)";

/// The posts of a group that can be in the next request, in the order of their turns, and of each kind as many as a
/// request takes.
pub(crate) const CANDIDATES: &str =
    "SELECT json_group_array(json_array(round, kind, canonical, destination, line)) FROM (
     SELECT rounds.number AS round, rounds.kind, canonical, posts.destination, rounds.line FROM (
       SELECT * FROM (
         SELECT round, turn FROM places WHERE grp = ?1 AND kind = 0 ORDER BY turn, round LIMIT ?2)
       UNION ALL SELECT * FROM (
         SELECT round, turn FROM places WHERE grp = ?1 AND kind = 1 ORDER BY turn, round LIMIT ?2)
       UNION ALL SELECT * FROM (
         SELECT round, turn FROM places WHERE grp = ?1 AND kind = 2 ORDER BY turn, round LIMIT 1)
     ) AS first
       CROSS JOIN rounds ON rounds.number = first.round LEFT JOIN posts ON posts.number = rounds.post
     ORDER BY turn, round)";

fn candidates_of(rows: &str) -> Result<Vec<Candidate>, sqlx::Error> {
    column::json(("rounds", "kind", "some waiting posts"), rows)
}

/// Lists the posts that can be in the next request of a line, in order and each once.
async fn candidates(batch: &mut Batch<'_>, group: &Group) -> Result<Vec<Candidate>, sqlx::Error> {
    let cap = batch.policy.urls_per_task;
    let groups: String = sqlx::query_scalar(OF_LINE)
        .bind(group.line)
        .bind(group.head.grp)
        .bind(group.head.key)
        .fetch_one(&mut *batch.connection)
        .await?;
    let groups: Vec<i64> = column::json(("queue_groups", "number", "a line"), &groups)?;
    let mut found: Vec<Candidate> = Vec::new();
    let mut seen = BTreeSet::new();
    for number in groups {
        let next: String = sqlx::query_scalar(CANDIDATES)
            .bind(number)
            .bind(i64::try_from(cap).unwrap_or(i64::MAX))
            .fetch_one(&mut *batch.connection)
            .await?;
        found.extend(candidates_of(&next)?.into_iter().filter(|candidate| seen.insert(candidate.round)));
        let with_others = arrivals::Travel::WithOthers as i64;
        if found.iter().filter(|candidate| candidate.kind == with_others).count() >= cap {
            break;
        }
    }
    Ok(found)
}

/// Makes a task for the posts of the line whose turn it is. An unreadable post does not keep the others from being
/// sent.
async fn take_from_line(
    batch: &mut Batch<'_>,
    group: i64,
    next: &NextRequest,
    look: Look,
) -> Result<Option<TaskId>, sqlx::Error> {
    let cap = batch.policy.urls_per_task;
    let group: Option<Group> =
        sqlx::query_as(HEAD).bind(group).fetch_optional(&mut *batch.connection).await?;
    let Some(group) = group else { return Ok(None) };
    let candidates = candidates(batch, &group).await?;
    let Recheck { staying, some_have_left, unread } = recheck(batch, candidates, look).await?;
    let waiting = staying.into_iter().map(|candidate| Waiting {
        post: candidate.round,
        has_id: candidate.kind != arrivals::Travel::ShortLink as i64,
        travels_alone: candidate.kind == arrivals::Travel::Alone as i64,
    });
    let taken = form(waiting, cap, next.left_today);
    if taken.is_empty() {
        return unread.filter(|_| !some_have_left).map_or(Ok(None), Err);
    }
    if let Some(error) = unread {
        tracing::error!(%error, "could not read a waiting post, so it is not sent");
    }
    let left = insert(batch, &group, next, &taken).await?;
    turns::serve(batch, group.head, &taken, &left, next.at).await?;
    Ok(Some(next.new[0]))
}

async fn insert(
    batch: &mut Batch<'_>,
    group: &Group,
    next: &NextRequest,
    taken: &[Round],
) -> Result<BTreeMap<i64, i64>, sqlx::Error> {
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO tasks (id, job_id, platform, destination, quality, created_at, state, next_attempt_at, news_at,
           key, priority, is_paused)
         SELECT ?1, (SELECT jobs.id FROM wants JOIN jobs ON jobs.number = wants.job
                     WHERE wants.round = ?4 AND mark IS NULL ORDER BY wants.job LIMIT 1),
           platform, destinations.number, quality, ?3, 'queued', ?3, ?3, ?5, ?6,
           EXISTS (SELECT 1 FROM pauses WHERE scope IN (lines.platform, 'line ' || lines.number))
         FROM lines LEFT JOIN destinations ON destinations.number = lines.destination
         WHERE lines.number = ?2 RETURNING number",
    )
    .bind(next.new[0].to_string())
    .bind(group.line)
    .bind(next.at.as_millis())
    .bind(taken.first())
    .bind(group.head.key)
    .bind(group.head.priority)
    .fetch_one(&mut *batch.connection)
    .await?;
    splits::bind_to(batch, number, taken).await
}

pub(crate) const OF_TASK: &str =
    "SELECT json_group_array(json_array(round, kind, canonical, destination, line)) FROM (
     SELECT attempts.round, ifnull(rounds.kind, 0) AS kind, canonical, posts.destination, rounds.line
     FROM tasks CROSS JOIN attempts ON attempts.task = tasks.number
       LEFT JOIN rounds ON rounds.number = attempts.round LEFT JOIN posts ON posts.number = rounds.post
     WHERE tasks.id = ?1 AND tasks.state = 'queued' AND standing = 4 ORDER BY position)";

/// Checks the posts of a waiting task once more. Returns none if nothing of it is left.
async fn look_at_task(
    batch: &mut Batch<'_>,
    task: TaskId,
    next: &NextRequest,
    look: Look,
) -> Result<Option<TaskId>, sqlx::Error> {
    let bound: String =
        sqlx::query_scalar(OF_TASK).bind(task.to_string()).fetch_one(&mut *batch.connection).await?;
    let bound = candidates_of(&bound)?;
    if bound.is_empty() {
        return Ok(None);
    }
    let touch = look.touch;
    let checked = recheck(batch, bound.clone(), look).await?;
    if let Some(error) = checked.unread {
        return Err(error);
    }
    let staying: BTreeSet<Round> = checked.staying.into_iter().map(|candidate| candidate.round).collect();
    let leaving: BTreeSet<Round> =
        bound.iter().map(|candidate| candidate.round).filter(|round| !staying.contains(round)).collect();
    if !leaving.is_empty() {
        // Unwanted posts have already left the task.
        queue::leave_tasks(batch, &BTreeMap::from([(task, leaving)]), touch).await?;
    }
    let kept: Vec<Round> =
        bound.iter().map(|candidate| candidate.round).filter(|round| staying.contains(round)).collect();
    if next.left_today.is_some_and(|left| left < kept.len()) && was_refused(batch, task).await? {
        // The task stays whole. If upstream took the refused submit after all, it took all of its posts.
        if kept.len() > batch.policy.urls_per_task {
            // The task is larger than any day's budget, and its posts are bound to it.
            let split = Split { task, halves: next.new, at: next.at };
            splits::split_to_fit(batch, split).await?;
        } else {
            let soon = next.at.after(UNTIL_BUDGET).min(next.at.next_day());
            put_off(batch.connection, task, soon).await?;
        }
        return Ok(None);
    }
    if let Some((_, surplus)) = next.left_today.and_then(|left| kept.split_at_checked(left)) {
        wait_again(batch, task, surplus, touch).await?;
    }
    let sent = next.left_today.map_or(kept.len(), |left| left.min(kept.len()));
    if sent == 0 {
        return Ok(None);
    }
    let head: Head = sqlx::query_as("SELECT key, priority, NULL AS grp FROM tasks WHERE id = ?1")
        .bind(task.to_string())
        .fetch_one(&mut *batch.connection)
        .await?;
    turns::serve(batch, head, &kept[..sent], &BTreeMap::new(), next.at).await?;
    Ok(Some(task))
}

/// The longest time that a task waits before the next check, if the day's budget is too small for it.
const UNTIL_BUDGET: Duration = Duration::from_secs(30);

/// Whether upstream has refused a submit of this task.
async fn was_refused(batch: &mut Batch<'_>, task: TaskId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM submits WHERE task_id = ?1 AND code IN (?2, ?3))")
        .bind(task.to_string())
        .bind(UNCLEAR)
        .bind(CONTENT)
        .fetch_one(&mut *batch.connection)
        .await
}

/// Makes a task wait until this time.
pub(crate) async fn put_off(
    connection: &mut SqliteConnection,
    task: TaskId,
    until: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE tasks SET next_attempt_at = ?2 WHERE id = ?1")
        .bind(task.to_string())
        .bind(until.as_millis())
        .execute(connection)
        .await
        .map(|_| ())
}

/// Lets those posts of a task that exceed the day's budget wait in a line again.
async fn wait_again(
    batch: &mut Batch<'_>,
    task: TaskId,
    surplus: &[Round],
    touch: Touch,
) -> Result<(), sqlx::Error> {
    if surplus.is_empty() {
        return Ok(());
    }
    let (platform, destination, quality): (String, i64, i64) =
        sqlx::query_as("SELECT platform, destination, quality FROM tasks WHERE id = ?1")
            .bind(task.to_string())
            .fetch_one(&mut *batch.connection)
            .await?;
    let quality = column::numbered(("tasks", "quality", &task.to_string()), quality, Quality::from_number)?;
    let line = Lines::of(destination).number(batch.connection, &platform, quality).await?;
    queue::leave_tasks(batch, &BTreeMap::from([(task, surplus.iter().copied().collect())]), touch).await?;
    let moved: Vec<(Round, i64)> = surplus.iter().map(|round| (*round, line)).collect();
    queue::wait_in(batch, &moved, touch).await
}
