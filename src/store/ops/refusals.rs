//! Refused submits: tried again, split, set aside or ended, in the commit that records the refusal. Must never send
//! anything, nor end a URL while sending is paused because of refusals.

use serde_json::json;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::outcome::Failure;
use crate::domain::pause::Pause;
use crate::domain::refusal::{
    BARREN, CONTENT, Consequence, MOST_FURTHER, Refused, RefusedToo, UNCLEAR, is_about_content,
    may_not_be_the_content,
};
use crate::domain::time::{Timestamp, millis};
use crate::store::batch::{Batch, Cause};
use crate::store::column::{self, row};
use crate::store::ops::pauses::{self, FirstProbe, NewPause};
use crate::store::ops::splits::{self, BEHIND, Split, Whole};

/// A submit that upstream has refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal<'a> {
    pub(crate) task: TaskId,
    pub(crate) failure: &'a Failure,
    /// The ids of the two tasks that a split would make.
    pub(crate) halves: [TaskId; 2],
    pub(crate) at: Timestamp,
}

row! {
    struct Row {
        number: i64,
        /// The number of the task at the root of the split, which is its own if it is the root.
        root: i64,
        aside_at: Option<i64>,
        posts: i64,
        /// The number of refusals of this kind, including this one. Other answers do not count, nor does a refusal
        /// during a pause for refusals, which is in doubt.
        attempt: i64,
        line: Option<i64>,
    }
}

impl Row {
    const fn whole(&self) -> Whole {
        Whole { number: self.number, root: self.root, line: self.line }
    }
}

pub(crate) const TASK: &str = "SELECT tasks.number, ifnull(root, tasks.number) AS root, aside_at,
       (SELECT count(*) FROM attempts WHERE attempts.task = tasks.number) AS posts,
       (SELECT count(*) FROM submits WHERE task_id = tasks.id
          AND (outcome IS NULL OR (code = '0001' AND certain = 1))) AS attempt,
       lines.number AS line
     FROM tasks LEFT JOIN lines ON lines.platform = tasks.platform AND lines.destination = tasks.destination
       AND lines.quality = tasks.quality
     WHERE tasks.id = ?1";

/// The submits that the split of a task has led to so far, and those that it will still lead to without this task.
pub(crate) const FURTHER: &str =
    "SELECT (SELECT count(*) FROM tasks CROSS JOIN submits ON submits.task_id = tasks.id WHERE root = ?1)
       + (SELECT count(*) FROM tasks WHERE root = ?1 AND state = 'queued' AND number <> ?2)";

/// The tasks that were refused in the same way since upstream last accepted a task, among the last submits.
pub(crate) const REFUSED: &str =
    "SELECT tasks.number, ifnull(root, tasks.number) AS root, aside_at IS NOT NULL AS was_aside, count(*) AS submits
     FROM submits CROSS JOIN tasks ON tasks.id = submits.task_id
     WHERE submits.number > (SELECT max(number) - 64 FROM submits)
       AND submits.number > ifnull((SELECT max(number) FROM submits
         WHERE number > (SELECT max(number) - 64 FROM submits) AND outcome = 'accepted'), 0)
       AND submits.outcome IN ('deferred', 'rejected') AND submits.code = ?1
     GROUP BY tasks.number";

row! {
    /// A row of [`REFUSED`].
    struct RefusedRow {
        number: i64,
        root: i64,
        was_aside: bool,
        submits: i64,
    }
}

/// Decides the consequence of a refusal and carries it out, but does not close the submit.
pub(crate) async fn follow(batch: &mut Batch<'_>, refusal: Refusal<'_>) -> Result<Consequence, sqlx::Error> {
    let Refusal { task, failure, at, .. } = refusal;
    let row: Row = sqlx::query_as(TASK).bind(task.to_string()).fetch_one(&mut *batch.connection).await?;
    let used: i64 =
        sqlx::query_scalar(FURTHER).bind(row.root).bind(row.number).fetch_one(&mut *batch.connection).await?;
    let is_paused = pause(batch, &row, refusal).await?;
    let refused = Refused {
        code: &failure.code,
        posts: usize::try_from(row.posts).unwrap_or_default(),
        attempt: u32::try_from(row.attempt).unwrap_or(u32::MAX),
        is_half: row.root != row.number,
        further: MOST_FURTHER.saturating_sub(usize::try_from(used).unwrap_or(usize::MAX)),
        is_paused,
    };
    let consequence = refused.consequence();
    tracing::info!(%task, code = failure.code, ?consequence, "refusal handled");
    match consequence {
        Consequence::SetAside => set_aside(batch, &[row.number], at).await?,
        Consequence::Split => {
            splits::split(batch, &row.whole(), Split { task, halves: refusal.halves, at }).await?;
        }
        Consequence::Again(_) | Consequence::End { .. } => {}
    }
    Ok(consequence)
}

const MAY_NOT_BE_THE_CONTENT: &str = "the memories.ai API refused several requests in a row and \
                                      accepted none, so the reason may not be their URLs";

/// Whether sending is paused because of refusals, for everything or for the line of this task. If this refusal is the
/// second one that suggests it, the pause begins now.
async fn pause(batch: &mut Batch<'_>, row: &Row, refusal: Refusal<'_>) -> Result<bool, sqlx::Error> {
    let Refusal { failure, at, .. } = refusal;
    let line = row.line.map(Pause::of_line);
    let scopes: Vec<String> = sqlx::query_scalar(
        "SELECT scope FROM pauses WHERE (scope = ?1 AND code = ?2) OR scope IN (?3, ?4) ORDER BY scope",
    )
    .bind(Pause::ALL)
    .bind(UNCLEAR)
    .bind(&line)
    .bind(Pause::REPEATS)
    .fetch_all(&mut *batch.connection)
    .await?;
    for scope in scopes.iter().filter(|scope| *scope != Pause::REPEATS) {
        // This submit was a probe, and it failed.
        let message = match Pause::line(scope) {
            Some(_) => format!("{}: {}", named(batch, row).await?, failure.message),
            None => format!("{MAY_NOT_BE_THE_CONTENT}: {}", failure.message),
        };
        set(batch, scope.clone(), Failure::new(failure.code.clone(), message), at).await?;
    }
    let costs = is_about_content(&failure.code) && are_charged(batch).await?;
    if costs && !scopes.iter().any(|scope| scope == Pause::REPEATS) {
        let message = "the memories.ai API refused a request, and has charged for a refused request before, so it is \
                       not sent again";
        set(batch, Pause::REPEATS.to_owned(), Failure::new(Pause::CHARGED_REFUSAL, message), at).await?;
    }
    if costs || !scopes.is_empty() {
        return Ok(true);
    }
    if failure.code == UNCLEAR {
        let refused: Vec<RefusedRow> =
            sqlx::query_as(REFUSED).bind(UNCLEAR).fetch_all(&mut *batch.connection).await?;
        let (own, others): (Vec<_>, Vec<_>) = refused.into_iter().partition(|other| other.root == row.root);
        let submits = |row: &RefusedRow| usize::try_from(row.submits).unwrap_or_default();
        let too: Vec<RefusedToo> = others
            .iter()
            .map(|other| RefusedToo { submits: submits(other), was_aside: other.was_aside })
            .collect();
        let own = 1 + own.iter().map(submits).sum::<usize>();
        if may_not_be_the_content(own, row.aside_at.is_some(), &too) {
            let others: Vec<i64> = others.iter().map(|other| other.number).collect();
            let message = format!("{MAY_NOT_BE_THE_CONTENT}: {}", failure.message);
            set(batch, Pause::ALL.to_owned(), Failure::new(UNCLEAR, message), at).await?;
            set_aside(batch, &others, at).await?;
            return Ok(true);
        }
    }
    match line {
        Some(scope) if is_line_refused(batch, row).await? => {
            let message = format!("{}: {}", named(batch, row).await?, failure.message);
            set(batch, scope, Failure::new(failure.code.clone(), message), at).await?;
            let halves: Vec<i64> = sqlx::query_scalar(
                "SELECT tasks.number FROM lines CROSS JOIN tasks ON tasks.root IN (lines.barren, ?2)
                 WHERE lines.number = ?1 AND tasks.state = 'queued'",
            )
            .bind(row.line)
            .bind(row.root)
            .fetch_all(&mut *batch.connection)
            .await?;
            set_aside(batch, &halves, at).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

async fn set(
    batch: &mut Batch<'_>,
    scope: String,
    failure: Failure,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    let pause = NewPause { scope, failure, first_probe: FirstProbe::AtOnce };
    pauses::set(batch, &pause, Cause::new(at, Source::Submit)).await
}

pub(crate) const TREE: &str = "SELECT count(*), ifnull(sum(outcome IN ('accepted', 'unknown')), 0) FROM (
       SELECT outcome FROM tasks CROSS JOIN submits ON submits.task_id = tasks.id WHERE tasks.number = ?1
       UNION ALL
       SELECT outcome FROM tasks CROSS JOIN submits ON submits.task_id = tasks.id WHERE root = ?1)";

/// Whether upstream took none of the first submits of two tasks of this line, each with several posts. Records the
/// first such task.
async fn is_line_refused(batch: &mut Batch<'_>, row: &Row) -> Result<bool, sqlx::Error> {
    let (submits, taken): (i64, i64) =
        sqlx::query_as(TREE).bind(row.root).fetch_one(&mut *batch.connection).await?;
    // A task with one post is never split.
    let is_barren = taken == 0
        && row.aside_at.is_none()
        && (row.root != row.number)
        && submits >= i64::try_from(BARREN).unwrap_or(i64::MAX);
    if !is_barren {
        return Ok(false);
    }
    let before: Option<i64> = sqlx::query_scalar("SELECT barren FROM lines WHERE number = ?1")
        .bind(row.line)
        .fetch_one(&mut *batch.connection)
        .await?;
    if let Some(before) = before {
        return Ok(before != row.root);
    }
    // The next task of the line shows whether the whole line is refused. The halves wait behind it.
    for sql in [
        "UPDATE lines SET barren = ?2 WHERE number = ?1",
        "UPDATE tasks SET served = served + ?3 WHERE root = ?2 AND state = 'queued' AND ?1 IS NOT NULL",
    ] {
        sqlx::query(sql).bind(row.line).bind(row.root).bind(BEHIND).execute(&mut *batch.connection).await?;
    }
    Ok(false)
}

row! {
    struct Line {
        platform: String,
        quality: i64,
        kind: Option<i64>,
        name: Option<String>,
        folder: Option<i64>,
    }
}

/// Names a line for people, by its platform, folder and quality.
async fn named(batch: &mut Batch<'_>, row: &Row) -> Result<String, sqlx::Error> {
    let Line { platform, quality, kind, name, folder } =
        sqlx::query_as(
            "SELECT platform, quality, kind, name, folder
             FROM lines CROSS JOIN destinations ON destinations.number = lines.destination WHERE lines.number = ?1",
        )
        .bind(row.line)
        .fetch_one(&mut *batch.connection)
        .await?;
    let place = match column::destination(kind, name, folder) {
        Some(destination) => destination.to_string(),
        None => "a folder".to_owned(),
    };
    Ok(format!("the memories.ai API refuses every request of {platform} for {place} in quality {quality}"))
}

/// Records that upstream accepted a task of this line.
pub(crate) async fn accepted(batch: &mut Batch<'_>, task: TaskId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE lines SET barren = NULL WHERE barren IS NOT NULL AND (platform, destination, quality) = (
           SELECT platform, destination, quality FROM tasks WHERE id = ?1)",
    )
    .bind(task.to_string())
    .execute(&mut *batch.connection)
    .await
    .map(|_| ())
}

pub(crate) const REPEATS: &str = "SELECT number FROM tasks WHERE state = 'queued' AND (
       root IS NOT NULL OR EXISTS (
         SELECT 1 FROM submits WHERE task_id = tasks.id AND outcome = 'deferred' AND code IN (?1, ?2)))";

/// Whether upstream has ever charged for a refusal, which `meta` records under the code of the pause. From then on,
/// nothing that was refused is sent again unless an operator resumes sending, and each resume sends each refused task
/// once.
async fn are_charged(batch: &mut Batch<'_>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?1)")
        .bind(Pause::CHARGED_REFUSAL)
        .fetch_one(&mut *batch.connection)
        .await
}

/// Stops all repeats of refused tasks until an operator resumes them. Upstream took a refused submit after all, so
/// refusals are not free.
pub(crate) async fn stop_repeats(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let Some((task, touch)) = batch.changes.refuted.first().copied() else { return Ok(()) };
    sqlx::query("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING")
        .bind(Pause::CHARGED_REFUSAL)
        .bind(task.to_string())
        .execute(&mut *batch.connection)
        .await?;
    let message = format!(
        "the memories.ai API refused a submit of {task} but accepted it all the same, so refusals may be charged. \
         No refused request is sent again"
    );
    let failure = Failure::new(Pause::CHARGED_REFUSAL, message);
    let pause = NewPause { scope: Pause::REPEATS.to_owned(), failure, first_probe: FirstProbe::Later };
    pauses::set(batch, &pause, Cause::new(touch.at, touch.source)).await?;
    let repeats: Vec<i64> =
        sqlx::query_scalar(REPEATS).bind(UNCLEAR).bind(CONTENT).fetch_all(&mut *batch.connection).await?;
    set_aside(batch, &repeats, touch.at).await
}

async fn set_aside(batch: &mut Batch<'_>, tasks: &[i64], at: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE tasks SET is_paused = 1, next_attempt_at = ?2,
           aside_at = iif(is_paused = 1 AND aside_at IS NOT NULL, aside_at, ?2)
         WHERE number IN (SELECT value FROM json_each(?1)) AND state IN ('queued', 'submitting')",
    )
    .bind(json!(tasks).to_string())
    .bind(at.as_millis())
    .execute(&mut *batch.connection)
    .await
    .map(|_| ())
}

pub(crate) const LATE: &str = "SELECT id FROM tasks INDEXED BY tasks_aside
     WHERE state = 'queued' AND is_paused = 1 AND aside_at <= ?1 AND EXISTS (
         SELECT 1 FROM pauses WHERE (scope = 'all' AND code = '0001') OR scope = 'repeats' OR scope LIKE 'line %')
       AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope IN ('operator', 'restored'))
     ORDER BY aside_at LIMIT ?2";
/// A half that was never sent ends with the refusal of the task that it was split from.
pub(crate) const END_UNSENT: &str =
    "INSERT INTO submits (task_id, attempt, started_at, ended_at, outcome, code, message, urls, certain)
     SELECT tasks.id, 1, ?2, ?2, 'rejected', submits.code, submits.message, 0, 0
     FROM tasks CROSS JOIN tasks AS first ON first.number = tasks.root
       CROSS JOIN submits ON submits.task_id = first.id AND submits.code IN ('0001', '0003')
     WHERE tasks.id = ?1 AND NOT EXISTS (SELECT 1 FROM submits WHERE task_id = tasks.id)
     ORDER BY submits.attempt DESC LIMIT 1";
pub(crate) const END_SENT: &str =
    "UPDATE submits SET outcome = 'rejected', certain = 0, code = refused.code, message = refused.message
     FROM (SELECT code, message FROM submits
           WHERE code IN ('0001', '0003') AND (task_id = ?1 OR task_id = (
             SELECT first.id FROM tasks CROSS JOIN tasks AS first ON first.number = tasks.root WHERE tasks.id = ?1))
           ORDER BY task_id = ?1 DESC, attempt DESC LIMIT 1) AS refused
     WHERE task_id = ?1 AND attempt = (SELECT max(attempt) FROM submits WHERE task_id = ?1) AND ?2 IS NOT NULL";

/// Ends tasks that have been set aside for `reconcile.deadline` without any decision. During an operator's pause none
/// ends, because there are no probes that could decide.
pub(crate) async fn sweep(batch: &mut Batch<'_>, at: Timestamp, most: i64) -> Result<(), sqlx::Error> {
    let before = at.as_millis().saturating_sub(millis(batch.policy.deadline));
    let late: Vec<String> =
        sqlx::query_scalar(LATE).bind(before).bind(most).fetch_all(&mut *batch.connection).await?;
    for id in late {
        let task = column::parsed(("tasks", "id", &id), &id)?;
        for sql in [END_SENT, END_UNSENT] {
            sqlx::query(sql).bind(&id).bind(at.as_millis()).execute(&mut *batch.connection).await?;
        }
        batch.changes.touch(task, at, Source::Clock);
    }
    Ok(())
}
