//! Places: the positions of waiting posts in the queue, one for each priority in which an API key wants them.
//!
//! Must never leave a place to a post that waits in no line, nor a waiting post without a place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::queue::{Priority, turn};
use crate::domain::time::Timestamp;
use crate::store::batch::Batch;
use crate::store::batch::changes::Round;
use crate::store::column::{self, row};

/// A class: the number of an API key, and one of its priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    pub(crate) key: i64,
    pub(crate) priority: Priority,
}

/// A round that enters the queue, or that one more job wants while it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entering {
    pub(crate) round: Round,
    pub(crate) line: i64,
    /// How the post travels (see the column).
    pub(crate) kind: i64,
    /// The position of the URL among those of its job in this line, from 0.
    pub(crate) place: i64,
}

/// Returns the number of an API key, and inserts its row if it has none. Without keys the name is empty.
pub(crate) async fn key(batch: &mut Batch<'_>, name: Option<&str>) -> Result<i64, sqlx::Error> {
    let name = name.unwrap_or_default();
    let known: Option<i64> = sqlx::query_scalar("SELECT number FROM api_keys WHERE name = ?1")
        .bind(name)
        .fetch_optional(&mut *batch.connection)
        .await?;
    if let Some(number) = known {
        return Ok(number);
    }
    sqlx::query_scalar("INSERT INTO api_keys (name) VALUES (?1) RETURNING number")
        .bind(name)
        .fetch_one(&mut *batch.connection)
        .await
}

/// Starts a class that begins to wait. Its key starts at the clock that is being served, unless it is ahead, and its
/// priority has not starved yet.
pub(crate) async fn begin_to_wait(
    batch: &mut Batch<'_>,
    class: Class,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    batch.changes.changes_queue = true;
    sqlx::query(
        "UPDATE api_keys SET clock = max(clock, (SELECT clock FROM queue)) WHERE number = ?1
           AND NOT EXISTS (SELECT 1 FROM queue_groups WHERE key = ?1 AND waiting > 0)
           AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.key = ?1 AND state = 'queued')",
    )
    .bind(class.key)
    .execute(&mut *batch.connection)
    .await?;
    sqlx::query(
        "INSERT INTO queue_classes (key, priority, since) VALUES (?1, ?2, ?3)
         ON CONFLICT (key, priority) DO UPDATE SET since = excluded.since
         WHERE NOT EXISTS (SELECT 1 FROM queue_groups WHERE key = ?1 AND priority = ?2 AND waiting > 0)
           AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.key = ?1 AND tasks.priority = ?2 AND state = 'queued')",
    )
    .bind(class.key)
    .bind(class.priority.number())
    .bind(at.as_millis())
    .execute(&mut *batch.connection)
    .await?;
    Ok(())
}

row! {
    struct Group {
        number: i64,
        line: i64,
        turn: i64,
    }
}

pub(crate) const GROUPS: &str = "SELECT queue_groups.number, line, turn FROM json_each(?1)
       CROSS JOIN queue_groups ON queue_groups.key = ?2 AND priority = ?3 AND line = value";

/// Returns the groups of a class for these lines, and inserts missing rows.
async fn groups(
    batch: &mut Batch<'_>,
    class: Class,
    lines: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, Group>, sqlx::Error> {
    let lines = json!(lines).to_string();
    sqlx::query(
        "INSERT INTO queue_groups (key, priority, line, is_paused)
         SELECT ?2, ?3, lines.number,
           EXISTS (SELECT 1 FROM pauses WHERE scope IN (lines.platform, 'line ' || lines.number))
         FROM json_each(?1) CROSS JOIN lines ON lines.number = value WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(&lines)
    .bind(class.key)
    .bind(class.priority.number())
    .execute(&mut *batch.connection)
    .await?;
    // A line that begins to wait comes after the line that was served longest ago, and before all others.
    sqlx::query(
        "UPDATE queue_groups SET served = max(served, ifnull((
             SELECT min(g.served) FROM queue_groups AS g
             WHERE g.key = ?2 AND g.priority = ?3 AND g.is_paused = 0 AND g.waiting > 0), 0))
         WHERE key = ?2 AND priority = ?3 AND line IN (SELECT value FROM json_each(?1)) AND waiting = 0",
    )
    .bind(&lines)
    .bind(class.key)
    .bind(class.priority.number())
    .execute(&mut *batch.connection)
    .await?;
    let groups: Vec<Group> = sqlx::query_as(GROUPS)
        .bind(&lines)
        .bind(class.key)
        .bind(class.priority.number())
        .fetch_all(&mut *batch.connection)
        .await?;
    Ok(groups.into_iter().map(|group| (group.line, group)).collect())
}

pub(crate) const INSERT: &str = "INSERT INTO places (grp, kind, turn, round)
     SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?1)";
const COUNT: &str = "UPDATE queue_groups SET waiting = waiting + new.places
     FROM (SELECT value->>0 AS number, value->>1 AS places FROM json_each(?1)) AS new
     WHERE queue_groups.number = new.number";

/// Gives a place in the queue to rounds that have none of this class yet.
pub(crate) async fn enter(
    batch: &mut Batch<'_>,
    class: Class,
    entering: &[Entering],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if entering.is_empty() {
        return Ok(());
    }
    begin_to_wait(batch, class, at).await?;
    let groups = groups(batch, class, &entering.iter().map(|entering| entering.line).collect()).await?;
    let size = batch.policy.urls_per_task;
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    let mut rows: Vec<Value> = Vec::with_capacity(entering.len());
    for entering in entering {
        let Some(group) = groups.get(&entering.line) else { continue };
        let turn = group.turn + turn(entering.place, size);
        rows.push(json!([group.number, entering.kind, turn, entering.round]));
        *counts.entry(group.number).or_default() += 1;
    }
    sqlx::query(INSERT).bind(Value::Array(rows).to_string()).execute(&mut *batch.connection).await?;
    count(batch, &counts).await
}

async fn count(batch: &mut Batch<'_>, counts: &BTreeMap<i64, i64>) -> Result<(), sqlx::Error> {
    batch.changes.changes_queue = true;
    let counts: Vec<(&i64, &i64)> = counts.iter().collect();
    sqlx::query(COUNT).bind(json!(counts).to_string()).execute(&mut *batch.connection).await.map(|_| ())
}

pub(crate) const LEAVE: &str =
    "SELECT grp, max(turn) FROM json_each($1) CROSS JOIN places ON places.round = value GROUP BY grp;
     UPDATE queue_groups SET waiting = waiting - gone.places FROM (
         SELECT grp, count(*) AS places FROM json_each($1) CROSS JOIN places ON places.round = value
         GROUP BY grp) AS gone
       WHERE queue_groups.number = gone.grp;
     DELETE FROM places WHERE round IN (SELECT value FROM json_each($1))";

/// Takes rounds out of the queue. Returns the groups that they have left, with the highest turn in each.
pub(crate) async fn leave(
    batch: &mut Batch<'_>,
    rounds: &BTreeSet<Round>,
) -> Result<BTreeMap<i64, i64>, sqlx::Error> {
    batch.changes.changes_queue = true;
    let left: Vec<(i64, i64)> =
        sqlx::query_as(LEAVE).bind(json!(rounds).to_string()).fetch_all(&mut *batch.connection).await?;
    Ok(left.into_iter().collect())
}

row! {
    /// A class that wants a waiting round, and the round's line and kind.
    struct Wanted {
        round: Round,
        key: i64,
        priority: i64,
        line: i64,
        kind: i64,
    }
}

pub(crate) const WANTED: &str = "SELECT wants.round, jobs.key, jobs.priority, rounds.line, rounds.kind
     FROM json_each(?1) CROSS JOIN rounds ON rounds.number = value AND rounds.line IS NOT NULL
       CROSS JOIN wants ON wants.round = rounds.number AND mark IS NULL
       CROSS JOIN jobs ON jobs.number = wants.job
     GROUP BY wants.round, jobs.key, jobs.priority";

row! {
    /// A place of a waiting round.
    struct Standing {
        grp: i64,
        kind: i64,
        turn: i64,
        round: Round,
        key: i64,
        priority: i64,
        line: i64,
        /// The turn that its group has reached.
        reached: i64,
    }
}

pub(crate) const STANDING: &str =
    "SELECT grp, kind, places.turn, round, queue_groups.key, priority, line, queue_groups.turn AS reached
     FROM json_each(?1) CROSS JOIN places ON places.round = value
       CROSS JOIN queue_groups ON queue_groups.number = places.grp";

pub(crate) const TAKE: &str = "DELETE FROM places WHERE (grp, kind, turn, round) IN (
     SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?1))";

/// Adds one more job of a class to rounds that already wait. Each has the best turn of all jobs of the class.
pub(crate) async fn join(
    batch: &mut Batch<'_>,
    class: Class,
    joining: Vec<Entering>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if joining.is_empty() {
        return Ok(());
    }
    let rounds: BTreeSet<Round> = joining.iter().map(|joining| joining.round).collect();
    let standing: Vec<Standing> =
        sqlx::query_as(STANDING).bind(json!(rounds).to_string()).fetch_all(&mut *batch.connection).await?;
    let is_of_class = |place: &Standing| (place.key, place.priority) == (class.key, class.priority.number());
    let standing: BTreeMap<Round, Standing> =
        standing.into_iter().filter(is_of_class).map(|place| (place.round, place)).collect();
    let groups = groups(batch, class, &joining.iter().map(|joining| joining.line).collect()).await?;
    let size = batch.policy.urls_per_task;
    let is_better = |joining: &Entering| {
        standing.get(&joining.round).is_none_or(|place| {
            let reached = groups.get(&joining.line).map_or(0, |group| group.turn);
            reached + turn(joining.place, size) < place.turn
        })
    };
    let entering: Vec<Entering> = joining.into_iter().filter(is_better).collect();
    let replaced = entering.iter().filter_map(|entering| standing.get(&entering.round));
    // A class that became empty, even for a moment, would begin to wait again.
    enter(batch, class, &entering, at).await?;
    take(batch, replaced).await
}

async fn take(batch: &mut Batch<'_>, places: impl Iterator<Item = &Standing>) -> Result<(), sqlx::Error> {
    let (mut taken, mut counts) = (Vec::new(), BTreeMap::new());
    for place in places {
        taken.push(json!([place.grp, place.kind, place.turn, place.round]));
        *counts.entry(place.grp).or_default() -= 1;
    }
    if taken.is_empty() {
        return Ok(());
    }
    sqlx::query(TAKE).bind(Value::Array(taken).to_string()).execute(&mut *batch.connection).await?;
    count(batch, &counts).await
}

/// Moves the places of rounds after their wants or their lines have changed. A place that stays in its group keeps
/// its turn. A new place is as many requests behind the turn of its group as the post was in another group of the
/// key. Posts that enter the queue of a key together take turns by requests.
pub(crate) async fn follow(
    batch: &mut Batch<'_>,
    rounds: &BTreeSet<Round>,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    if rounds.is_empty() {
        return Ok(());
    }
    let asked = json!(rounds).to_string();
    let wanted: Vec<Wanted> = sqlx::query_as(WANTED).bind(&asked).fetch_all(&mut *batch.connection).await?;
    let standing: Vec<Standing> =
        sqlx::query_as(STANDING).bind(&asked).fetch_all(&mut *batch.connection).await?;
    let mut wanted: BTreeMap<(Round, i64, i64), Wanted> =
        wanted.into_iter().map(|wanted| ((wanted.round, wanted.key, wanted.priority), wanted)).collect();
    let stays = |place: &Standing| {
        wanted
            .get(&(place.round, place.key, place.priority))
            .is_some_and(|wanted| (wanted.line, wanted.kind) == (place.line, place.kind))
    };
    let mut ahead: BTreeMap<(Round, i64), i64> = BTreeMap::new();
    for place in &standing {
        let requests = (place.turn - place.reached).max(0);
        let fewest = ahead.entry((place.round, place.key)).or_insert(requests);
        *fewest = requests.min(*fewest);
    }
    let (staying, leaving): (Vec<Standing>, Vec<Standing>) = standing.into_iter().partition(stays);
    for place in staying {
        wanted.remove(&(place.round, place.key, place.priority));
    }
    let mut entering: BTreeMap<Class, Vec<Entering>> = BTreeMap::new();
    let mut numbers: BTreeMap<(Class, i64), i64> = BTreeMap::new();
    let size = i64::try_from(batch.policy.urls_per_task).unwrap_or(i64::MAX);
    for ((round, key, _), wanted) in wanted {
        let id = round.to_string();
        let priority = column::numbered(("jobs", "priority", &id), wanted.priority, Priority::from_number)?;
        let class = Class { key, priority };
        let place = ahead.get(&(round, key)).map_or_else(
            || {
                let next = numbers.entry((class, wanted.line)).or_default();
                *next += 1;
                *next - 1
            },
            |requests| requests * size,
        );
        let Wanted { line, kind, .. } = wanted;
        entering.entry(class).or_default().push(Entering { round, line, kind, place });
    }
    for (class, entering) in entering {
        enter(batch, class, &entering, at).await?;
    }
    // This comes last, so that a key that waits all the time does not begin to wait again.
    take(batch, leaving.iter()).await
}
