//! The queue: whose turn comes next, the content of a request, and the number of sent URLs. Must never let one
//! unreadable task hold up the others.

use std::time::Duration;

use serde_json::json;

use crate::domain::destination::Destination;
use crate::domain::id::TaskId;
use crate::domain::job::Quality;
use crate::domain::pause::Pause;
use crate::domain::queue::{Class, Priority, order};
use crate::domain::time::{Timestamp, millis};
use crate::domain::url::Platform;
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// The task or the group whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// A task that waits, either for another attempt or because it is a retry.
    Task(TaskId),
    /// The posts of a line that an API key wants in one priority, by the number of this group.
    Group(i64),
}

/// The turn that comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTurn {
    /// The task or the group.
    pub turn: Turn,
    /// The time of the turn.
    pub due: Timestamp,
    /// Whether sending is paused because of refusals, so that one waiting post is tried.
    pub is_probe: bool,
}

/// A task whose submit is on disk, with everything that the request needs.
#[derive(Clone, Debug)]
pub struct Request {
    /// scrapehook's id of the task.
    pub task: TaskId,
    /// The platform of its URLs.
    pub platform: Platform,
    /// The number of its line.
    pub line: Option<i64>,
    /// The destination of the videos.
    pub destination: Destination,
    /// The resolution to send.
    pub quality: Quality,
    /// Its URLs as given.
    pub urls: Vec<String>,
}

/// The conditions of a search for the next turn.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Turns that are put aside, because one of their records can't be read.
    pub aside: Vec<Turn>,
    /// Scopes of pauses of a platform or a line that are probed now.
    pub probes: Vec<String>,
    /// Whether everything is paused because of refusals. If so, a post that was not refused comes first.
    pub after_refusals: bool,
}

/// The most waiting tasks with an unreadable row that one search leaves out.
const MOST_UNREAD: usize = 16;

row! {
    /// The next group and the next task of one priority of a key.
    struct Row {
        key: i64,
        priority: i64,
        since: i64,
        grp: Option<i64>,
        grp_served: Option<i64>,
        task: Option<i64>,
        task_id: Option<String>,
        task_served: Option<i64>,
    }
}

/// One row for each priority of each key that has something to send, the key with the lowest clock first. Indexes
/// find the line and the task that were served longest ago.
pub(crate) const NEXT: &str = "SELECT api_keys.number AS key, queue_classes.priority, since,
       queue_groups.number AS grp, queue_groups.served AS grp_served,
       tasks.number AS task, tasks.id AS task_id, tasks.served AS task_served
     FROM api_keys INDEXED BY api_keys_by_clock
       CROSS JOIN queue_classes ON queue_classes.key = api_keys.number
       LEFT JOIN queue_groups ON queue_groups.number = (
         SELECT g.number FROM queue_groups AS g INDEXED BY queue_groups_next
         WHERE g.key = api_keys.number AND g.priority = queue_classes.priority AND g.is_paused = 0 AND g.waiting > 0
           AND g.number NOT IN (SELECT value FROM json_each(?1))
         ORDER BY g.served, g.number LIMIT 1)
       LEFT JOIN tasks ON tasks.number = (
         SELECT t.number FROM tasks AS t INDEXED BY tasks_in_queue
         WHERE t.key = api_keys.number AND t.priority = queue_classes.priority AND t.is_paused = 0
           AND t.state = 'queued' AND (t.next_attempt_at <= ?3 OR t.next_attempt_at > ?4)
           AND t.number NOT IN (SELECT value FROM json_each(?2))
         ORDER BY t.served, t.id LIMIT 1)
     WHERE queue_groups.number IS NOT NULL OR tasks.number IS NOT NULL
     ORDER BY clock, api_keys.number, queue_classes.priority";

/// The time at which the first waiting task may be tried again.
pub(crate) const NEXT_DUE: &str = "SELECT number, id, next_attempt_at FROM tasks INDEXED BY tasks_to_submit
     WHERE state = 'queued' AND is_paused = 0 AND number NOT IN (SELECT value FROM json_each(?1))
     ORDER BY next_attempt_at, id LIMIT 1";

pub(crate) const PAUSED_TASK: &str = "SELECT id FROM tasks INDEXED BY tasks_paused
     WHERE platform = ?1 AND state = 'queued' AND is_paused = 1
       AND (aside_at IS NULL OR NOT EXISTS (SELECT 1 FROM pauses WHERE scope = 'repeats')) ORDER BY id LIMIT 1";
pub(crate) const PAUSED_GROUP: &str = "SELECT queue_groups.number
     FROM lines CROSS JOIN queue_groups ON queue_groups.line = lines.number AND queue_groups.waiting > 0
     WHERE lines.platform = ?1 LIMIT 1";

pub(crate) const PAUSED_TASK_OF_LINE: &str = "SELECT tasks.id FROM lines
       CROSS JOIN tasks INDEXED BY tasks_paused ON tasks.platform = lines.platform AND state = 'queued'
         AND is_paused = 1 AND tasks.destination = lines.destination AND tasks.quality = lines.quality
     WHERE lines.number = ?2 AND ?1 IS NOT NULL
       AND (aside_at IS NULL OR NOT EXISTS (SELECT 1 FROM pauses WHERE scope = 'repeats'))
     ORDER BY next_attempt_at LIMIT 1";
pub(crate) const PAUSED_GROUP_OF_LINE: &str = "SELECT number FROM queue_groups
     WHERE line = ?2 AND waiting > 0 AND ?1 IS NOT NULL LIMIT 1";
/// The refused task that was tried longest ago. None while refusals are charged.
pub(crate) const ASIDE: &str = "SELECT id FROM tasks INDEXED BY tasks_aside
     WHERE state = 'queued' AND aside_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pauses WHERE scope = 'repeats')
     ORDER BY next_attempt_at, id LIMIT 1";

impl Row {
    fn without_task(self) -> Self {
        Self { task: None, ..self }
    }
}

impl Readers {
    /// Returns the turn that comes next, at `now` or later. API keys take turns by their clocks. Then come
    /// priorities, then lines and waiting tasks, the one that was served longest ago first.
    ///
    /// A task that would wait longer than `longest` was put off before the clock was set back, so its turn has come.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_turn(
        &self,
        search: &Search,
        now: Timestamp,
        longest: Duration,
    ) -> Result<Option<NextTurn>, ReadError> {
        for scope in &search.probes {
            if let Some(turn) = self.probe(scope, &search.aside).await? {
                let is_probe = Pause::line(scope).is_some() && matches!(turn, Turn::Group(_));
                return Ok(Some(NextTurn { turn, due: now, is_probe }));
            }
        }
        let mut aside = self.numbers(&search.aside).await?;
        for _ in 0..MOST_UNREAD {
            let rows: Vec<Row> = sqlx::query_as(NEXT)
                .bind(json!(aside.groups).to_string())
                .bind(json!(aside.tasks).to_string())
                .bind(now.as_millis())
                .bind(now.as_millis().saturating_add(millis(longest)))
                .fetch_all(&self.pool)
                .await?;
            let of_groups: Vec<Row>;
            let rows = if search.after_refusals && rows.iter().any(|row| row.grp.is_some()) {
                of_groups = rows.into_iter().filter(|row| row.grp.is_some()).map(Row::without_task).collect();
                of_groups
            } else {
                rows
            };
            match choose(&rows, now) {
                Ok(Some(turn)) => {
                    let is_probe = search.after_refusals && matches!(turn, Turn::Group(_));
                    return Ok(Some(NextTurn { turn, due: now, is_probe }));
                }
                Ok(None) => break,
                Err((task, error)) => {
                    tracing::error!(%error, "could not read a waiting task, so it is not sent");
                    aside.tasks.push(task);
                }
            }
        }
        let next = self.next_due(aside.tasks).await?;
        if !search.after_refusals || next.as_ref().is_some_and(|next| next.due <= now) {
            return Ok(next);
        }
        // Only refused tasks are left.
        let id: Option<String> = sqlx::query_scalar(ASIDE).fetch_optional(&self.pool).await?;
        let task = id.map(|id| column::parsed(("tasks", "id", &id), &id)).transpose()?;
        Ok(task.map(|task| NextTurn { turn: Turn::Task(task), due: now, is_probe: false }).or(next))
    }

    async fn next_due(&self, mut aside: Vec<i64>) -> Result<Option<NextTurn>, ReadError> {
        for _ in 0..MOST_UNREAD {
            let row: Option<(i64, String, i64)> =
                sqlx::query_as(NEXT_DUE).bind(json!(aside).to_string()).fetch_optional(&self.pool).await?;
            let Some((number, id, due)) = row else { return Ok(None) };
            let Ok(task) = column::parsed(("tasks", "id", &id), &id) else {
                aside.push(number);
                continue;
            };
            let due = Timestamp::from_millis(due);
            return Ok(Some(NextTurn { turn: Turn::Task(task), due, is_probe: false }));
        }
        Ok(None)
    }

    /// Chooses the task or the group that probes a paused platform or line.
    async fn probe(&self, scope: &str, aside: &[Turn]) -> Result<Option<Turn>, ReadError> {
        let line = Pause::line(scope);
        let [task, group] = match line {
            Some(_) => [PAUSED_TASK_OF_LINE, PAUSED_GROUP_OF_LINE],
            None => [PAUSED_TASK, PAUSED_GROUP],
        };
        let task: Option<String> =
            sqlx::query_scalar(task).bind(scope).bind(line).fetch_optional(&self.pool).await?;
        let group: Option<i64> =
            sqlx::query_scalar(group).bind(scope).bind(line).fetch_optional(&self.pool).await?;
        let task = task.and_then(|id| column::parsed(("tasks", "id", &id), &id).ok()).map(Turn::Task);
        let group = group.map(Turn::Group);
        // In a refused line, a post that was not refused is tried first.
        let turns = if line.is_some() { [group, task] } else { [task, group] };
        Ok(turns.into_iter().flatten().find(|turn| !aside.contains(turn)))
    }

    async fn numbers(&self, turns: &[Turn]) -> Result<Aside, ReadError> {
        let mut aside = Aside::default();
        for turn in turns {
            match turn {
                Turn::Group(number) => aside.groups.push(*number),
                Turn::Task(task) => {
                    let number: Option<i64> = sqlx::query_scalar("SELECT number FROM tasks WHERE id = ?1")
                        .bind(task.to_string())
                        .fetch_optional(&self.pool)
                        .await?;
                    aside.tasks.extend(number);
                }
            }
        }
        Ok(aside)
    }

    /// Counts the URLs that were sent since `start`, except in submits that upstream has certainly not taken.
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

/// Turns to leave out, by number.
#[derive(Default)]
struct Aside {
    groups: Vec<i64>,
    tasks: Vec<i64>,
}

/// Chooses the next turn among the rows. If its task can't be read, returns the number of the task and the error.
fn choose(rows: &[Row], now: Timestamp) -> Result<Option<Turn>, (i64, sqlx::Error)> {
    let Some(first) = rows.first() else { return Ok(None) };
    let rows: Vec<&Row> = rows.iter().take_while(|row| row.key == first.key).collect();
    let class = |row: &&Row| {
        let priority = Priority::from_number(row.priority)?;
        Some(Class { priority, since: Timestamp::from_millis(row.since) })
    };
    let order = order(rows.iter().filter_map(class).collect(), now);
    let Some(row) = order.first().and_then(|first| rows.iter().find(|row| row.priority == first.number()))
    else {
        return Ok(None);
    };
    match (row.grp, row.task, &row.task_id) {
        (Some(group), None, _) => Ok(Some(Turn::Group(group))),
        (Some(group), Some(_), _) if row.grp_served < row.task_served => Ok(Some(Turn::Group(group))),
        (_, Some(number), Some(id)) => match column::parsed(("tasks", "id", id), id) {
            Ok(task) => Ok(Some(Turn::Task(task))),
            Err(error) => Err((number, error)),
        },
        _ => Ok(None),
    }
}

row! {
    /// A row of [`REQUEST`].
    pub(crate) struct RequestRow {
        platform: Option<String>,
        line: Option<i64>,
        quality: Option<i64>,
        kind: Option<i64>,
        name: Option<String>,
        folder: Option<i64>,
        urls: String,
    }
}

pub(crate) const REQUEST: &str = "SELECT tasks.platform, tasks.quality, kind, name, folder,
       (SELECT number FROM lines WHERE lines.platform = tasks.platform AND lines.destination = tasks.destination
          AND lines.quality = tasks.quality) AS line,
       (SELECT json_group_array(url) FROM (
          SELECT ifnull(rounds.url, posts.url) AS url
          FROM attempts CROSS JOIN rounds ON rounds.number = attempts.round
            CROSS JOIN posts ON posts.number = rounds.post
          WHERE attempts.task = tasks.number AND standing = 4 ORDER BY position)) AS urls
     FROM tasks LEFT JOIN destinations ON destinations.number = tasks.destination WHERE tasks.id = ?1";

/// Makes the request of a task from its row.
pub(crate) fn request(task: TaskId, row: RequestRow) -> Result<Request, sqlx::Error> {
    let id = task.to_string();
    let at = |column| ("tasks", column, id.as_str());
    let destination = column::destination(row.kind, row.name, row.folder);
    let quality = column::numbered_option(at("quality"), row.quality, Quality::from_number)?;
    Ok(Request {
        task,
        platform: Platform::from_stored(row.platform.unwrap_or_default()),
        line: row.line,
        destination: destination.ok_or_else(|| column::unreadable(at("destination"), "no spelling"))?,
        quality: quality.ok_or_else(|| column::unreadable(at("quality"), "missing in a task to be sent"))?,
        urls: column::json(("posts", "url", &id), &row.urls)?,
    })
}
