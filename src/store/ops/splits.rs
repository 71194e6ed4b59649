//! The posts of a task, and the split of a refused task into two halves.
//!
//! Must never give a half a post that the first task does not have, because evidence about that one is evidence about
//! the half.

use std::collections::BTreeMap;

use serde_json::json;

use crate::domain::event::Source;
use crate::domain::id::TaskId;
use crate::domain::pause::Pause;
use crate::domain::queue::Priority;
use crate::domain::refusal::halves;
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::Round;
use crate::store::column::{self, row};
use crate::store::derive::places::{self, Class};

/// Binds rounds to a task. They leave their lines, and the task serves the jobs that want them. Returns the groups
/// that they have left, with the highest turn in each.
pub(crate) async fn bind_to(
    batch: &mut Batch<'_>,
    task: i64,
    taken: &[Round],
) -> Result<BTreeMap<i64, i64>, sqlx::Error> {
    let left = places::leave(batch, &taken.iter().copied().collect()).await?;
    sqlx::query(
        "INSERT INTO attempts (task, position, round, state, standing)
         SELECT $2, key, value, 1, 4 FROM json_each($1);
         UPDATE rounds SET line = NULL WHERE number IN (SELECT value FROM json_each($1));
         INSERT INTO served (task, job, after)
         SELECT DISTINCT $2, job, ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)
         FROM json_each($1) CROSS JOIN wants ON wants.round = value AND mark IS NULL
         WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(json!(taken).to_string())
    .bind(task)
    .execute(&mut *batch.connection)
    .await?;
    Ok(left)
}

/// The number of requests that a half waits longer if upstream took nothing of its line.
pub(crate) const BEHIND: i64 = 64;

row! {
    /// A task to split.
    #[derive(Clone, Copy)]
    pub(crate) struct Whole {
        pub(crate) number: i64,
        /// The number of the task at the root of the split, which is its own if it is the root.
        pub(crate) root: i64,
        pub(crate) line: Option<i64>,
    }
}

pub(crate) const WHOLE: &str = "SELECT tasks.number, ifnull(root, tasks.number) AS root, lines.number AS line
     FROM tasks LEFT JOIN lines ON lines.platform = tasks.platform AND lines.destination = tasks.destination
       AND lines.quality = tasks.quality
     WHERE tasks.id = ?1";

pub(crate) const POSTS: &str = "SELECT attempts.round, ifnull(rounds.url, posts.url) AS url
     FROM attempts CROSS JOIN rounds ON rounds.number = attempts.round
       CROSS JOIN posts ON posts.number = rounds.post
     WHERE attempts.task = ?1 ORDER BY position";

/// The split of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    pub(crate) task: TaskId,
    /// The ids of the two halves.
    pub(crate) halves: [TaskId; 2],
    pub(crate) at: Timestamp,
}

/// Sends the posts of a task in two halves, which take turns with other work.
pub(crate) async fn split(
    batch: &mut Batch<'_>,
    whole: &Whole,
    Split { task, halves: ids, at }: Split,
) -> Result<(), sqlx::Error> {
    let posts: Vec<(Round, String)> =
        sqlx::query_as(POSTS).bind(whole.number).fetch_all(&mut *batch.connection).await?;
    let host = |url: &str| {
        url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    };
    let (one, two) = halves(posts.into_iter().map(|(round, url)| (round, host(&url))).collect());
    let (key, priority): (i64, i64) = sqlx::query_as("SELECT key, priority FROM tasks WHERE number = ?1")
        .bind(whole.number)
        .fetch_one(&mut *batch.connection)
        .await?;
    let id = task.to_string();
    let priority = column::numbered(("tasks", "priority", &id), priority, Priority::from_number)?;
    places::begin_to_wait(batch, Class { key, priority }, at).await?;
    for (half, rounds) in ids.into_iter().zip([one, two]) {
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO tasks (id, job_id, platform, destination, quality, created_at, state, next_attempt_at, news_at,
               key, priority, served, root, aside_at, is_paused)
             SELECT ?2, (SELECT jobs.id FROM wants CROSS JOIN jobs ON jobs.number = wants.job
                         WHERE wants.round = ?4 AND mark IS NULL ORDER BY wants.job LIMIT 1),
               platform, destination, quality, ?3, 'queued', ?3, ?3, key, priority,
               (SELECT requests FROM queue)
                 + iif(EXISTS (SELECT 1 FROM lines WHERE barren = ?5 AND number = ?7), ?8, 0), ?5,
               aside_at, EXISTS (SELECT 1 FROM pauses WHERE scope IN (tasks.platform, ?6))
             FROM tasks WHERE number = ?1 RETURNING number",
        )
        .bind(whole.number)
        .bind(half.to_string())
        .bind(at.as_millis())
        .bind(rounds.first())
        .bind(whole.root)
        .bind(whole.line.map(Pause::of_line))
        .bind(whole.line)
        .bind(BEHIND)
        .fetch_one(&mut *batch.connection)
        .await?;
        bind_to(batch, number, &rounds).await?;
        batch.changes.touch(half, at, Source::Submit);
    }
    Ok(())
}

/// Splits a waiting task that was refused into two halves, because it is larger than a day's budget.
pub(crate) async fn split_to_fit(batch: &mut Batch<'_>, split_of: Split) -> Result<(), sqlx::Error> {
    let Split { task, at, .. } = split_of;
    let whole: Whole = sqlx::query_as(WHOLE).bind(task.to_string()).fetch_one(&mut *batch.connection).await?;
    split(batch, &whole, split_of).await?;
    sqlx::query(
        "UPDATE submits SET outcome = 'rejected', certain = 0, message = ?2
         WHERE task_id = ?1 AND attempt = (SELECT max(attempt) FROM submits WHERE task_id = ?1)",
    )
    .bind(task.to_string())
    .bind("the day's budget is too small for it, so its URLs are sent in two further requests")
    .execute(&mut *batch.connection)
    .await?;
    batch.changes.touch(task, at, Source::Submit);
    Ok(())
}
