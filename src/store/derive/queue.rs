//! The queue: where posts wait, in which quality, and how they leave it. Must never leave a post in it that nobody
//! wants any more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::domain::id::TaskId;
use crate::domain::job::Quality;
use crate::domain::task::FactKind;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewFact, Round, Touch};
use crate::store::column::{self, row};
use crate::store::derive::attempts;
use crate::store::derive::places::{self, Entering};
use crate::store::derive::posts::Lines;
use crate::store::derive::rounds;

row! {
    /// A round that waits in a line or in a task.
    struct Entry {
        round: Round,
        platform: String,
        destination: i64,
        line_quality: Option<i64>,
        task: Option<String>,
        task_quality: Option<i64>,
    }
}

pub(crate) const ENTRIES: &str =
    "SELECT rounds.number AS round, posts.platform, posts.destination, lines.quality AS line_quality,
       tasks.id AS task, tasks.quality AS task_quality
     FROM json_each(?1) CROSS JOIN rounds ON rounds.number = value CROSS JOIN posts ON posts.number = rounds.post
       LEFT JOIN lines ON lines.number = rounds.line
       LEFT JOIN attempts ON attempts.round = rounds.number AND attempts.standing = 4
       LEFT JOIN tasks ON tasks.number = attempts.task";

async fn entries(batch: &mut Batch<'_>, waiting: &BTreeSet<Round>) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query_as(ENTRIES).bind(json!(waiting).to_string()).fetch_all(&mut *batch.connection).await
}

/// Raises the quality of waiting rounds for one more want. A post whose waiting task is sent in a lower quality
/// leaves the task and waits in a line.
pub(crate) async fn raise(
    batch: &mut Batch<'_>,
    waiting: &BTreeSet<Round>,
    quality: Quality,
    touch: Touch,
) -> Result<(), sqlx::Error> {
    if waiting.is_empty() {
        return Ok(());
    }
    let mut moved = Vec::new();
    let mut leaving = BTreeMap::new();
    for entry in entries(batch, waiting).await? {
        if entry.line_quality.or(entry.task_quality).is_none_or(|kept| kept >= quality.number()) {
            continue;
        }
        let line = Lines::of(entry.destination).number(batch.connection, &entry.platform, quality).await?;
        moved.push((entry.round, line));
        if let Some(task) = &entry.task {
            let task: TaskId = column::parsed(("tasks", "id", task), task)?;
            leaving.entry(task).or_insert_with(BTreeSet::new).insert(entry.round);
        }
    }
    leave_tasks(batch, &leaving, touch).await?;
    wait_in(batch, &moved, touch).await
}

pub(crate) const JOINING: &str =
    "SELECT number, line, kind FROM json_each(?1) CROSS JOIN rounds ON number = value
     WHERE line IS NOT NULL ORDER BY number";

/// Selects those of these rounds that wait in lines, each with its place among the URLs of the job that joins it.
pub(crate) async fn joining(
    batch: &mut Batch<'_>,
    joined: &BTreeMap<Round, i64>,
) -> Result<Vec<Entering>, sqlx::Error> {
    if joined.is_empty() {
        return Ok(Vec::new());
    }
    let rounds: Vec<&Round> = joined.keys().collect();
    let rows: Vec<(Round, i64, i64)> =
        sqlx::query_as(JOINING).bind(json!(rounds).to_string()).fetch_all(&mut *batch.connection).await?;
    let entering = |(round, line, kind): (Round, i64, i64)| Entering {
        round,
        line,
        kind,
        place: joined.get(&round).copied().unwrap_or_default(),
    };
    Ok(rows.into_iter().map(entering).collect())
}

/// Puts rounds into lines.
pub(crate) async fn wait_in(
    batch: &mut Batch<'_>,
    moved: &[(Round, i64)],
    touch: Touch,
) -> Result<(), sqlx::Error> {
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE rounds SET line = new.line
         FROM (SELECT value->>0 AS number, value->>1 AS line FROM json_each(?1)) AS new
         WHERE rounds.number = new.number",
    )
    .bind(json!(moved).to_string())
    .execute(&mut *batch.connection)
    .await?;
    places::follow(batch, &moved.iter().map(|(round, _)| *round).collect(), touch.at).await
}

/// Takes rounds out of waiting tasks. A task without posts is then canceled.
pub(crate) async fn leave_tasks(
    batch: &mut Batch<'_>,
    leaving: &BTreeMap<TaskId, BTreeSet<Round>>,
    touch: Touch,
) -> Result<(), sqlx::Error> {
    for (task, rounds) in leaving {
        sqlx::query(
            "DELETE FROM attempts WHERE task = (SELECT number FROM tasks WHERE id = ?1)
               AND round IN (SELECT value FROM json_each(?2))",
        )
        .bind(task.to_string())
        .bind(json!(rounds).to_string())
        .execute(&mut *batch.connection)
        .await?;
        let is_empty: bool = sqlx::query_scalar(
            "SELECT NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.task = tasks.number) FROM tasks WHERE id = ?1",
        )
        .bind(task.to_string())
        .fetch_one(&mut *batch.connection)
        .await?;
        batch.changes.touch(*task, touch.at, touch.source);
        if is_empty {
            // A retry that was never sent replaces nothing.
            sqlx::query(
                "UPDATE tasks SET replaced_by = NULL
                 WHERE id = (SELECT retry_of FROM tasks WHERE id = ?1) AND replaced_by = ?1",
            )
            .bind(task.to_string())
            .execute(&mut *batch.connection)
            .await?;
            batch.changes.words.entry(*task).or_insert_with(|| "no posts are left in it".to_owned());
            batch.changes.facts.push(NewFact {
                task: *task,
                kind: FactKind::Canceled,
                video: String::new(),
                at: touch.at,
                source: touch.source,
                failure: None,
            });
        }
    }
    Ok(())
}

/// Ends waiting rounds that nobody wants any more. They leave the queue, and the tasks that wait with them.
pub(crate) async fn abandon(
    batch: &mut Batch<'_>,
    waiting: &BTreeSet<Round>,
    touch: Touch,
) -> Result<(), sqlx::Error> {
    if waiting.is_empty() {
        return Ok(());
    }
    let unwanted: Vec<Round> = sqlx::query_scalar(
        "SELECT value FROM json_each(?1)
         WHERE NOT EXISTS (SELECT 1 FROM wants WHERE wants.round = value AND mark IS NULL)",
    )
    .bind(json!(waiting).to_string())
    .fetch_all(&mut *batch.connection)
    .await?;
    let unwanted: BTreeSet<Round> = unwanted.into_iter().collect();
    if unwanted.is_empty() {
        return Ok(());
    }
    let mut leaving = BTreeMap::new();
    for entry in entries(batch, &unwanted).await? {
        if let Some(task) = &entry.task {
            let task: TaskId = column::parsed(("tasks", "id", task), task)?;
            leaving.entry(task).or_insert_with(BTreeSet::new).insert(entry.round);
        }
    }
    leave_tasks(batch, &leaving, touch).await?;
    places::leave(batch, &unwanted).await?;
    sqlx::query("UPDATE rounds SET line = NULL WHERE number IN (SELECT value FROM json_each(?1))")
        .bind(json!(unwanted).to_string())
        .execute(&mut *batch.connection)
        .await?;
    // A round that was refused before keeps that end.
    let ended = unwanted.iter().map(|round| (*round, touch)).collect();
    let changes = attempts::of_several_tasks(batch, &ended).await?;
    let rows = changes.iter().map(|change| rounds::row(change.round, &change.new)).collect();
    rounds::store(batch.connection, rows).await
}

row! {
    /// A waiting round, and the best quality in which a job still wants it.
    struct Worth {
        number: Round,
        platform: String,
        destination: i64,
        quality: i64,
        best: Option<i64>,
    }
}

pub(crate) const WORTH: &str = "SELECT rounds.number, posts.platform, posts.destination, lines.quality,
       iif(EXISTS (SELECT 1 FROM wants CROSS JOIN jobs ON jobs.number = wants.job
                   WHERE wants.round = rounds.number AND mark IS NULL
                     AND CAST(jobs.quality AS INTEGER) >= lines.quality),
         lines.quality,
         (SELECT max(CAST(jobs.quality AS INTEGER)) FROM wants CROSS JOIN jobs ON jobs.number = wants.job
          WHERE wants.round = rounds.number AND mark IS NULL)) AS best
     FROM json_each(?1) CROSS JOIN rounds ON rounds.number = value
       CROSS JOIN lines ON lines.number = rounds.line CROSS JOIN posts ON posts.number = rounds.post";

/// Lowers waiting rounds that a want has left. The remaining wants may ask for a lower quality and a lower priority.
pub(crate) async fn lower(
    batch: &mut Batch<'_>,
    waiting: &BTreeSet<Round>,
    touch: Touch,
) -> Result<(), sqlx::Error> {
    if waiting.is_empty() {
        return Ok(());
    }
    let rows: Vec<Worth> =
        sqlx::query_as(WORTH).bind(json!(waiting).to_string()).fetch_all(&mut *batch.connection).await?;
    let mut moved = Vec::new();
    for Worth { number: round, platform, destination, quality, best } in rows {
        let Some(best) = best.filter(|best| *best != quality) else { continue };
        let best = column::numbered(("lines", "quality", &round.to_string()), best, Quality::from_number)?;
        let line = Lines::of(destination).number(batch.connection, &platform, best).await?;
        moved.push((round, line));
    }
    wait_in(batch, &moved, touch).await?;
    places::follow(batch, waiting, touch.at).await
}
