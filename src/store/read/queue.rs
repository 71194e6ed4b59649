//! The queue: whose turn comes next, what a request is made of, and how much was sent.

use std::time::Duration;

use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use crate::domain::destination::Destination;
use crate::domain::id::TaskId;
use crate::domain::job::Quality;
use crate::domain::time::{Timestamp, millis};
use crate::domain::url::Platform;
use crate::store::column;
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// A task that has waited: for another attempt, or because it is a retry.
    Task(TaskId),
    /// The posts of a line, by its number.
    Line(i64),
}

/// The turn that comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTurn {
    /// Whose it is.
    pub turn: Turn,
    /// The platform of its posts.
    pub platform: Platform,
    /// When it comes, or has come.
    pub due: Timestamp,
}

/// A task whose submit is on disk, with all that the request needs.
#[derive(Clone, Debug)]
pub struct Request {
    /// Our id of the task.
    pub task: TaskId,
    /// The platform of its URLs.
    pub platform: Platform,
    /// Where the videos are put.
    pub destination: Destination,
    /// The wanted resolution.
    pub quality: Quality,
    /// Its URLs as they were given.
    pub urls: Vec<String>,
}

/// What is left out when a turn is looked for.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    /// Platforms that are paused.
    pub platforms: Vec<String>,
    /// Turns that are put aside, because a record of theirs can't be read.
    pub turns: Vec<Turn>,
}

/// So many waiting tasks whose own row can't be read are left out.
const MOST_UNREAD: i64 = 16;

#[derive(FromRow)]
struct TaskRow {
    id: String,
    platform: Option<String>,
    next_attempt_at: i64,
}

pub(crate) const NEXT_TASK: &str =
    "SELECT id, platform, next_attempt_at FROM tasks INDEXED BY tasks_to_submit
     WHERE state = 'queued' AND platform NOT IN (SELECT value FROM json_each(?1))
       AND id NOT IN (SELECT value FROM json_each(?2))
     ORDER BY next_attempt_at, id LIMIT 1 OFFSET ?3";

/// The line with the post that has waited longest. Each line's own first post is found by an index.
pub(crate) const NEXT_LINE: &str = "SELECT number, platform FROM (
       SELECT lines.number, platform, min(
         ifnull((SELECT number FROM rounds WHERE line = lines.number AND kind = 0 ORDER BY number LIMIT 1), ?3),
         ifnull((SELECT number FROM rounds WHERE line = lines.number AND kind = 1 ORDER BY number LIMIT 1), ?3),
         ifnull((SELECT number FROM rounds WHERE line = lines.number AND kind = 2 ORDER BY number LIMIT 1), ?3)
       ) AS first
       FROM lines INDEXED BY lines_waiting
       WHERE waiting > 0 AND platform NOT IN (SELECT value FROM json_each(?1))
         AND lines.number NOT IN (SELECT value FROM json_each(?2)))
     ORDER BY first LIMIT 1";

impl Readers {
    /// The turn that comes next, at `now` or later. A task that has waited goes before the lines.
    ///
    /// A task that would wait longer than `longest` was put off before the clock was set back: its turn has come.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_turn(
        &self,
        left_out: &LeftOut,
        now: Timestamp,
        longest: Duration,
    ) -> Result<Option<NextTurn>, ReadError> {
        let task = self.next_task(left_out).await?.map(|next| {
            let is_put_off = next.due.as_millis() > now.as_millis().saturating_add(millis(longest));
            if is_put_off { NextTurn { due: now, ..next } } else { next }
        });
        if task.as_ref().is_some_and(|task| task.due <= now) {
            return Ok(task);
        }
        let lines = left_out.turns.iter().filter_map(|turn| match turn {
            Turn::Line(line) => Some(*line),
            Turn::Task(_) => None,
        });
        let lines: Vec<i64> = lines.collect();
        let line: Option<(i64, String)> = sqlx::query_as(NEXT_LINE)
            .bind(json!(left_out.platforms).to_string())
            .bind(json!(lines).to_string())
            .bind(i64::MAX)
            .fetch_optional(&self.pool)
            .await?;
        let line = line.map(|(number, platform)| NextTurn {
            turn: Turn::Line(number),
            platform: Platform::from_stored(platform),
            due: now,
        });
        Ok(line.or(task))
    }

    /// The waiting task whose next attempt comes first.
    ///
    /// One that can't be read is left out and logged: it must not keep all others from being sent.
    async fn next_task(&self, left_out: &LeftOut) -> Result<Option<NextTurn>, ReadError> {
        let tasks = left_out.turns.iter().filter_map(|turn| match turn {
            Turn::Task(task) => Some(*task),
            Turn::Line(_) => None,
        });
        let tasks: Vec<TaskId> = tasks.collect();
        let mut unread = 0;
        loop {
            let row: Result<Option<TaskRow>, sqlx::Error> = sqlx::query_as(NEXT_TASK)
                .bind(json!(left_out.platforms).to_string())
                .bind(json!(tasks).to_string())
                .bind(unread)
                .fetch_optional(&self.pool)
                .await;
            match row.and_then(|row| row.map(next).transpose()) {
                Ok(task) => return Ok(task),
                Err(error) if unread < MOST_UNREAD && column::is_unreadable(&error) => {
                    tracing::error!(%error, "a waiting task is not sent");
                    unread += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many URLs were sent since then, except in submits that were certainly not taken.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn urls_sent_since(&self, start: Timestamp) -> Result<u64, ReadError> {
        let sent: i64 = sqlx::query_scalar(SENT_SINCE).bind(start.as_millis()).fetch_one(&self.pool).await?;
        Ok(u64::try_from(sent).unwrap_or_default())
    }
}

pub(crate) const SENT_SINCE: &str = "SELECT ifnull(sum(urls), 0) FROM submits
     WHERE started_at >= ?1 AND (outcome IS NULL OR outcome IN ('accepted', 'unknown')) AND code IS NOT 'recovered'";

fn next(row: TaskRow) -> Result<NextTurn, sqlx::Error> {
    let task = column::parsed(("tasks", "id", &row.id), &row.id)?;
    Ok(NextTurn {
        turn: Turn::Task(task),
        platform: Platform::from_stored(row.platform.unwrap_or_default()),
        due: Timestamp::from_millis(row.next_attempt_at),
    })
}

#[derive(FromRow)]
struct RequestRow {
    platform: Option<String>,
    quality: Option<i64>,
    kind: Option<i64>,
    name: Option<String>,
    folder: Option<i64>,
    urls: String,
}

pub(crate) const REQUEST: &str = "SELECT tasks.platform, tasks.quality, kind, name, folder,
       (SELECT json_group_array(url) FROM (
          SELECT ifnull(rounds.url, posts.url) AS url
          FROM attempts CROSS JOIN rounds ON rounds.number = attempts.round
            CROSS JOIN posts ON posts.number = rounds.post
          WHERE attempts.task = tasks.number AND standing = 4 ORDER BY position)) AS urls
     FROM tasks LEFT JOIN destinations ON destinations.number = tasks.destination WHERE tasks.id = ?1";

/// All that the request of a task needs.
pub(crate) async fn request(
    connection: &mut SqliteConnection,
    task: TaskId,
) -> Result<Option<Request>, sqlx::Error> {
    let row: Option<RequestRow> =
        sqlx::query_as(REQUEST).bind(task.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let id = task.to_string();
    let at = |column| ("tasks", column, id.as_str());
    let destination = column::destination(row.kind, row.name, row.folder);
    let quality = column::numbered_option(at("quality"), row.quality, Quality::from_number)?;
    Ok(Some(Request {
        task,
        platform: Platform::from_stored(row.platform.unwrap_or_default()),
        destination: destination.ok_or_else(|| column::unreadable(at("destination"), "no spelling"))?,
        quality: quality.ok_or_else(|| column::unreadable(at("quality"), "none, and it is sent"))?,
        urls: column::json(("posts", "url", &id), &row.urls)?,
    }))
}
