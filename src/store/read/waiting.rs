//! A copy of the queue: all waiting posts and tasks, with the requests that will send them. Must never be read on the
//! connection that writes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::blocking;
use crate::domain::destination::Destination;
use crate::domain::estimate::{Group, Queue, Task};
use crate::domain::forecast::Forecast;
use crate::domain::job::Quality;
use crate::domain::queue::Priority;
use crate::domain::time::Timestamp;
use crate::store::column::{self, row};

/// The most places that are read. In a longer queue, each group is read up to the same length, and the rest is
/// counted.
const MOST_PLACES: usize = 100_000;
/// The most waiting tasks that are read.
const MOST_TASKS: i64 = 2_000;

row! {
    /// A group without its posts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct GroupRow {
        pub(crate) number: i64,
        pub(crate) key: i64,
        pub(crate) priority: i64,
        pub(crate) line: i64,
        waiting: i64,
        pub(crate) served: i64,
        pub(crate) turn: i64,
        is_paused: bool,
        clock: i64,
        since: i64,
    }
}

row! {
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct TaskRow {
        id: String,
        key: Option<i64>,
        priority: i64,
        served: i64,
        next_attempt_at: i64,
        is_paused: bool,
        platform: Option<String>,
        destination: Option<i64>,
        quality: Option<i64>,
        clock: Option<i64>,
        since: Option<i64>,
        rounds: String,
    }
}

/// The rows that show whether the queue has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) groups: Vec<GroupRow>,
    tasks: Vec<TaskRow>,
    /// The newest round.
    newest: i64,
    /// The clock that is being served.
    pub(crate) clock: i64,
}

impl Heads {
    fn places(&self) -> i64 {
        self.groups.iter().map(|group| group.waiting).sum()
    }
}

pub(crate) const GROUPS: &str =
    "SELECT g.number, g.key, g.priority, line, waiting, served, turn, is_paused, clock, since
     FROM api_keys INDEXED BY api_keys_by_clock
       CROSS JOIN queue_classes ON queue_classes.key = api_keys.number
       CROSS JOIN queue_groups AS g INDEXED BY queue_groups_next
         ON g.key = api_keys.number AND g.priority = queue_classes.priority AND g.waiting > 0";

pub(crate) const TASKS: &str = "SELECT tasks.id, tasks.key, tasks.priority, served, next_attempt_at, is_paused,
       platform, destination, quality, clock, since,
       (SELECT json_group_array(round) FROM attempts WHERE attempts.task = tasks.number AND standing = 4) AS rounds
     FROM tasks INDEXED BY tasks_by_state LEFT JOIN api_keys ON api_keys.number = tasks.key
       LEFT JOIN queue_classes
         ON queue_classes.key = tasks.key AND queue_classes.priority = tasks.priority
     WHERE tasks.state = 'queued' ORDER BY tasks.id LIMIT ?1";

const NEWEST: &str =
    "SELECT ifnull((SELECT max(number) FROM rounds), 0), ifnull((SELECT clock FROM queue), 0)";

/// The posts of groups. For each kind and turn, the text lists the rounds as `kind turn round,round;`.
pub(crate) const PLACES: &str = "SELECT value, (
       SELECT group_concat(part, ';') FROM (
         SELECT kind || ' ' || turn || ' ' || group_concat(round) AS part FROM (
           SELECT kind, turn, round FROM places WHERE grp = value ORDER BY kind, turn, round LIMIT ?2)
         GROUP BY kind, turn))
     FROM json_each(?1)";

pub(crate) const LINES: &str = "SELECT lines.number, platform, quality, waiting, lines.destination
     FROM json_each(?1) CROSS JOIN lines ON lines.number = value";

pub(crate) const DESTINATIONS: &str = "SELECT destinations.number, kind, name, folder
     FROM json_each(?1) CROSS JOIN destinations ON destinations.number = value";

/// The common properties of the posts of a line or of a task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) platform: String,
    /// None for a private folder whose name is unknown.
    pub(crate) destination: Option<Destination>,
    pub(crate) quality: Option<Quality>,
}

/// The queue at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) heads: Heads,
    pub(crate) queue: Queue,
    pub(crate) forecast: Forecast,
    /// The lines by their numbers.
    pub(crate) lines: BTreeMap<i64, Line>,
    /// The line of each of the queue's tasks.
    pub(crate) tasks: Vec<Line>,
    began: Instant,
}

/// The queue as read, with its places as text.
struct Raw {
    heads: Heads,
    places: Vec<(i64, Option<String>)>,
    longest: usize,
    waiting: BTreeMap<i64, i64>,
    lines: BTreeMap<i64, Line>,
    tasks: Vec<Line>,
}

/// The conditions of a forecast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) now: Timestamp,
    pub(crate) interval: Duration,
    /// The most URLs of a request.
    pub(crate) size: usize,
    /// The newest round in the question.
    pub(crate) newest: i64,
    /// The time of the question.
    pub(crate) asked: Instant,
}

/// The last snapshot. Many callers ask at the same time, and one of them reads it for all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache(Arc<Mutex<Option<Arc<Snapshot>>>>);

/// A snapshot of more places than this is kept for a while, unless a caller asks about newer rounds.
const FEW_PLACES: i64 = 20_000;
const KEPT: Duration = Duration::from_secs(1);

impl Cache {
    /// Returns the queue as it is now, or was a moment ago.
    pub(crate) async fn snapshot(&self, pool: &SqlitePool, wish: Wish) -> Result<Arc<Snapshot>, sqlx::Error> {
        let mut last = self.0.lock().await;
        if let Some(last) = &*last {
            let is_long = last.heads.places() > FEW_PLACES;
            let is_kept = is_long && last.began.elapsed() < KEPT && wish.newest <= last.heads.newest;
            if is_kept || last.began >= wish.asked {
                return Ok(last.clone());
            }
        }
        let began = Instant::now();
        // The connection is taken only here, because callers that wait above need none.
        let mut reader = pool.begin().await?;
        let heads = heads(&mut reader).await?;
        if let Some(last) = last.as_ref().filter(|last| last.heads == heads) {
            return Ok(last.clone());
        }
        let raw = Raw::read(&mut reader, heads).await?;
        drop(reader);
        let make = move || raw.snapshot(wish, began);
        let made = Arc::new(blocking::run(make).await.map_err(|_| sqlx::Error::WorkerCrashed)?);
        *last = Some(made.clone());
        Ok(made)
    }
}

async fn heads(connection: &mut SqliteConnection) -> Result<Heads, sqlx::Error> {
    let groups = sqlx::query_as(GROUPS).fetch_all(&mut *connection).await?;
    let tasks = sqlx::query_as(TASKS).bind(MOST_TASKS).fetch_all(&mut *connection).await?;
    let (newest, clock) = sqlx::query_as(NEWEST).fetch_one(connection).await?;
    Ok(Heads { groups, tasks, newest, clock })
}

/// The length up to which each group is read, so that all groups together have at most `most` places.
fn longest(mut lengths: Vec<usize>, most: usize) -> usize {
    lengths.sort_unstable();
    let (mut left, count) = (most, lengths.len());
    for (place, length) in lengths.into_iter().enumerate() {
        let share = left / (count - place);
        if length > share {
            return share.max(1);
        }
        left -= length;
    }
    most
}

row! {
    /// A row of `destinations`.
    struct DestinationRow {
        number: i64,
        kind: Option<i64>,
        name: Option<String>,
        folder: Option<i64>,
    }
}

/// Returns the destinations with these numbers whose spelling is known.
async fn destinations(
    connection: &mut SqliteConnection,
    numbers: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, Destination>, sqlx::Error> {
    let rows: Vec<DestinationRow> =
        sqlx::query_as(DESTINATIONS).bind(json!(numbers).to_string()).fetch_all(connection).await?;
    let known =
        |row: DestinationRow| Some((row.number, column::destination(row.kind, row.name, row.folder)?));
    Ok(rows.into_iter().filter_map(known).collect())
}

row! {
    /// A line with waiting posts.
    struct LineRow {
        number: i64,
        platform: String,
        quality: i64,
        waiting: i64,
        destination: i64,
    }
}

impl Raw {
    async fn read(connection: &mut SqliteConnection, heads: Heads) -> Result<Self, sqlx::Error> {
        let length = |group: &GroupRow| usize::try_from(group.waiting).unwrap_or_default();
        let longest = longest(heads.groups.iter().map(length).collect(), MOST_PLACES);
        let numbers: Vec<i64> = heads.groups.iter().map(|group| group.number).collect();
        let places = sqlx::query_as(PLACES)
            .bind(json!(numbers).to_string())
            .bind(i64::try_from(longest).unwrap_or(i64::MAX))
            .fetch_all(&mut *connection)
            .await?;
        let numbers: BTreeSet<i64> = heads.groups.iter().map(|group| group.line).collect();
        let rows: Vec<LineRow> =
            sqlx::query_as(LINES).bind(json!(numbers).to_string()).fetch_all(&mut *connection).await?;
        let of_tasks = heads.tasks.iter().filter_map(|task| task.destination);
        let numbers: BTreeSet<i64> = rows.iter().map(|row| row.destination).chain(of_tasks).collect();
        let destinations = destinations(connection, &numbers).await?;
        let tasks = heads.tasks.iter().map(|task| Line {
            platform: task.platform.clone().unwrap_or_default(),
            destination: task.destination.and_then(|number| destinations.get(&number)).cloned(),
            quality: task.quality.and_then(Quality::from_number),
        });
        let (tasks, mut waiting, mut lines) = (tasks.collect(), BTreeMap::new(), BTreeMap::new());
        for row in rows {
            let destination = destinations.get(&row.destination).cloned();
            let quality = Quality::from_number(row.quality);
            lines.insert(row.number, Line { platform: row.platform, destination, quality });
            waiting.insert(row.number, row.waiting);
        }
        Ok(Self { heads, places, longest, waiting, lines, tasks })
    }

    fn snapshot(self, wish: Wish, began: Instant) -> Snapshot {
        let mut queue = Queue { size: wish.size, ..Queue::default() };
        let mut places: BTreeMap<i64, Option<String>> = self.places.into_iter().collect();
        let mut cut: BTreeMap<i64, HashSet<i64>> = BTreeMap::new();
        for row in &self.heads.groups {
            let Some(priority) = Priority::from_number(row.priority) else { continue };
            queue.clocks.insert(row.key, row.clock);
            queue.since.insert((row.key, priority), Timestamp::from_millis(row.since));
            if usize::try_from(row.waiting).is_ok_and(|waiting| waiting > self.longest) {
                cut.entry(row.line).or_default();
            }
            queue.groups.push(Group {
                number: row.number,
                key: row.key,
                priority,
                line: row.line,
                served: row.served,
                is_paused: row.is_paused,
                posts: posts(places.remove(&row.number).flatten().as_deref().unwrap_or_default()),
            });
        }
        for group in &queue.groups {
            if let Some(read) = cut.get_mut(&group.line) {
                read.extend(group.posts.iter().flatten().map(|&(_, post)| post));
            }
        }
        for (line, read) in cut {
            let waiting = self.waiting.get(&line).and_then(|waiting| usize::try_from(*waiting).ok());
            queue.unread.insert(line, waiting.unwrap_or_default().saturating_sub(read.len()));
        }
        for row in &self.heads.tasks {
            let priority = Priority::from_number(row.priority).unwrap_or(Priority::Normal);
            let key = row.key.unwrap_or_default();
            queue.clocks.insert(key, row.clock.unwrap_or_default());
            let since = row.since.map_or(wish.now, Timestamp::from_millis);
            queue.since.insert((key, priority), since);
            queue.tasks.push(Task {
                key,
                priority,
                served: row.served,
                due: Timestamp::from_millis(row.next_attempt_at),
                is_paused: row.is_paused,
                posts: serde_json::from_str(&row.rounds).unwrap_or_default(),
            });
        }
        let forecast = queue.forecast(wish.now, wish.interval);
        let (lines, tasks) = (self.lines, self.tasks);
        Snapshot { heads: self.heads, queue, forecast, lines, tasks, began }
    }
}

/// Parses the posts of a group, each with its turn, by how they travel. Unreadable posts are left out.
fn posts(text: &str) -> [Vec<(i64, i64)>; 3] {
    let mut posts: [Vec<(i64, i64)>; 3] = Default::default();
    for part in text.split(';') {
        let mut words = part.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<i64>().ok());
        let (Some(kind), Some(turn)) = (number(), number()) else { continue };
        let Some(of_kind) = usize::try_from(kind).ok().and_then(|kind| posts.get_mut(kind)) else { continue };
        let rounds = words.next().unwrap_or_default().split(',');
        of_kind.extend(rounds.filter_map(|round| Some((turn, round.parse().ok()?))));
    }
    // SQLite promises no order within a group.
    posts.iter_mut().for_each(|posts| posts.sort_unstable());
    posts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_read_up_to_the_same_length() {
        assert_eq!(longest(vec![], 10), 10);
        assert_eq!(longest(vec![3, 4, 3], 10), 10);
        assert_eq!(longest(vec![9, 1, 9], 10), 4);
        assert_eq!(longest(vec![1; 20], 10), 1);
    }

    #[test]
    fn places_are_read_by_kind_and_turn() {
        assert_eq!(posts("0 3 7,5;1 4 9;0 1 8"), [vec![(1, 8), (3, 5), (3, 7)], vec![(4, 9)], vec![]]);
        for nothing in ["", "0", "0 1", "9 1 2", "x 1 2"] {
            assert_eq!(posts(nothing), <[Vec<(i64, i64)>; 3]>::default(), "{nothing}");
        }
    }
}
