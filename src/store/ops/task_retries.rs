//! The retry of a task: sends its URLs without an indexed video again, because an operator asked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::destination::Destination;
use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::Quality;
use crate::domain::queue::Priority;
use crate::domain::task::TaskState;
use crate::domain::url::{Platform, PostUrl};
use crate::domain::want::{Ask, Mark, Terms};
use crate::store::batch::changes::{NewEvent, Round};
use crate::store::batch::{Batch, Cause};
use crate::store::column::{self, row};
use crate::store::derive::arrivals::{self, Asked, Asking, Placed};
use crate::store::derive::places::{self, Class};
use crate::store::derive::{jobs, posts};
use crate::store::ops::adopts::{Conflict, Decided};
use crate::store::ops::{cancels, splits};
use crate::store::read::jobs::options;
row! {
    struct TaskRow {
        number: i64,
        state: String,
        platform: Option<String>,
        replaced_by: Option<String>,
    }
}

row! {
    /// The terms and the destination with which a job asks for its posts.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
    struct Manner {
        quality: String,
        force: bool,
        library: String,
        unique_id: Option<String>,
        folder_id: Option<i64>,
    }
}

row! {
    /// The wants of one round of a task that ask in the same way, with the URL as the first of them spelled it.
    struct Wanting {
        job: i64,
        job_id: String,
        key: i64,
        round: Round,
        url: String,
        canonical: String,
        platform: String,
        ..manner: Manner,
    }
}

pub(crate) const OF_TASK: &str =
    "SELECT min(wants.job) AS job, jobs.id AS job_id, jobs.key, wants.round, jobs.quality, force, library, unique_id,
       folder_id, ifnull(wants.url, posts.url) AS url, canonical, posts.platform
     FROM attempts CROSS JOIN rounds ON rounds.number = attempts.round
       CROSS JOIN posts ON posts.number = rounds.post
       CROSS JOIN wants ON wants.round = rounds.number AND mark IS NULL
       CROSS JOIN jobs ON jobs.number = wants.job
     WHERE attempts.task = ?1 AND rounds.state <> 4
     GROUP BY attempts.position, jobs.quality, force, library, unique_id, folder_id";

/// Makes a new task for the posts of a task that have no indexed video or whose result is unknown. A post that
/// another attempt has by now joins that attempt. If that applies to all, no new task is made.
pub(crate) async fn task(
    batch: &mut Batch<'_>,
    task: TaskId,
    new: TaskId,
    cause: Cause<'_>,
) -> Result<Decided, sqlx::Error> {
    let row: Option<TaskRow> =
        sqlx::query_as("SELECT number, state, platform, replaced_by FROM tasks WHERE id = ?1")
            .bind(task.to_string())
            .fetch_optional(&mut *batch.connection)
            .await?;
    let Some(row) = row else { return Ok(Decided::Impossible(Conflict::Missing)) };
    let state: TaskState = column::parsed(("tasks", "state", &task.to_string()), &row.state)?;
    if !(state.is_settled() || state == TaskState::Unconfirmed) {
        return Ok(Decided::Impossible(Conflict::InState(state)));
    }
    let wanting: Vec<Wanting> =
        sqlx::query_as(OF_TASK).bind(row.number).fetch_all(&mut *batch.connection).await?;
    if wanting.is_empty() {
        let at = ("tasks", "replaced_by", &*task.to_string());
        let newer: Option<TaskId> = column::parsed_option(at, row.replaced_by.as_deref())?;
        return Ok(Decided::Impossible(newer.map_or(Conflict::NobodyWaits, Conflict::RetriedAs)));
    }
    if let Some(entered) = look_up_again(batch, wanting, cause).await? {
        let retry = Retry { task, new, platform: row.platform.as_deref() };
        insert(batch, &retry, &entered, cause).await?;
    }
    if state == TaskState::Unconfirmed {
        // A retry is the decision that the task was not taken, or may be paid for again.
        cancels::give_up(task, cause.words("given up"), cause.at, &mut batch.changes);
    }
    batch.changes.touch(task, cause.at, Source::Operator);
    Ok(Decided::Done)
}

/// The task that is retried, and the new one.
struct Retry<'a> {
    task: TaskId,
    new: TaskId,
    platform: Option<&'a str>,
}

/// The posts to send for the retry of a task.
struct Entered {
    /// The number of the destination.
    destination: i64,
    rounds: Vec<Round>,
    /// The best quality that a job wants.
    quality: Quality,
}

/// Looks wants up again, and returns the posts to send. Wants that ask in the same way are handled together, because
/// there can be thousands of jobs.
///
/// The jobs of a task that was recovered from an old token can want several folders, but one request has only one,
/// which is that of the oldest job. The other wants wait in the lines of their folders.
async fn look_up_again(
    batch: &mut Batch<'_>,
    mut wanting: Vec<Wanting>,
    cause: Cause<'_>,
) -> Result<Option<Entered>, sqlx::Error> {
    let mut entered: Option<Entered> = None;
    let mut recounted = BTreeSet::new();
    // The oldest job comes first, so the new rounds belong to it.
    let mut first: BTreeMap<Manner, i64> = BTreeMap::new();
    for want in &wanting {
        let job = first.entry(want.manner.clone()).or_insert(want.job);
        *job = want.job.min(*job);
    }
    wanting.sort_by_key(|want| first.get(&want.manner).copied());
    for alike in wanting.chunk_by(|one, two| one.manner == two.manner) {
        let Some(first) = alike.iter().min_by_key(|want| want.job) else { continue };
        let id: JobId = column::parsed(("jobs", "id", &first.job_id), &first.job_id)?;
        let Some((options, force)) = options(batch.connection, id).await? else { continue };
        let destination = Destination::of(&options);
        let asking = Asking {
            job: first.job,
            class: Class { key: first.key, priority: options.priority },
            destination: &destination,
            terms: Terms { quality: options.quality, force },
            ask: Ask::TaskRetry,
            touch: cause.touch(),
        };
        let asked = (0..).zip(alike).map(|(position, want)| Asked {
            position,
            url: PostUrl {
                given: want.url.clone(),
                canonical: want.canonical.clone(),
                platform: Platform::from_stored(want.platform.clone()),
            },
        });
        let placed = arrivals::place(batch, &asking, asked.collect()).await?;
        let moved: Vec<(Round, &Placed)> = alike
            .iter()
            .map(|want| want.round)
            .zip(&placed)
            .filter(|(old, url)| *old != url.round || url.mark.is_some())
            .collect();
        let number = posts::destination(batch.connection, &destination).await?;
        let new = moved.iter().filter(|(_, url)| url.entered).map(|(_, url)| url.round);
        match &mut entered {
            Some(entered) if entered.destination == number => {
                if moved.iter().any(|(_, url)| url.entered || entered.rounds.contains(&url.round)) {
                    entered.quality = entered.quality.max(options.quality);
                }
                entered.rounds.extend(new);
            }
            Some(_) => {}
            None => {
                let rounds: Vec<Round> = new.collect();
                let begun = Entered { destination: number, rounds, quality: options.quality };
                entered = Some(begun).filter(|begun| !begun.rounds.is_empty());
            }
        }
        recounted.extend(move_alike(batch, &moved, &first.manner).await?);
        // Jobs of several keys can ask in the same way.
        places::follow(batch, &moved.iter().map(|(_, url)| url.round).collect(), cause.at).await?;
    }
    jobs::recount(batch, &recounted, cause.touch()).await?;
    Ok(entered)
}

pub(crate) const MOVE_ALIKE: &str = "UPDATE wants SET round = moved.new, mark = moved.mark
     FROM (SELECT value->>0 AS old, value->>1 AS new, value->>2 AS mark FROM json_each(?1)) AS moved
     WHERE wants.round = moved.old AND wants.mark IS NULL AND EXISTS (
       SELECT 1 FROM jobs WHERE jobs.number = wants.job AND quality = ?2 AND force = ?3 AND library = ?4
         AND unique_id IS ?5 AND folder_id IS ?6)
     RETURNING job, round";

/// Moves wants that ask in the same way to other rounds, and returns their jobs.
async fn move_alike(
    batch: &mut Batch<'_>,
    moved: &[(Round, &Placed)],
    manner: &Manner,
) -> Result<BTreeSet<i64>, sqlx::Error> {
    let row = |(old, url): &(Round, &Placed)| json!([old, url.round, url.mark.map(Mark::number)]);
    let rows: Vec<Value> = moved.iter().map(row).collect();
    let wants: Vec<(i64, Round)> = sqlx::query_as(MOVE_ALIKE)
        .bind(json!(rows).to_string())
        .bind(&manner.quality)
        .bind(manner.force)
        .bind(&manner.library)
        .bind(&manner.unique_id)
        .bind(manner.folder_id)
        .fetch_all(&mut *batch.connection)
        .await?;
    let shared: BTreeSet<Round> =
        moved.iter().filter(|(_, url)| !url.entered).map(|(_, url)| url.round).collect();
    let serving = wants.iter().filter(|(_, round)| shared.contains(round)).map(|(job, round)| (*round, *job));
    arrivals::serve(batch, &serving.collect()).await?;
    Ok(wants.into_iter().map(|(job, _)| job).collect())
}

pub(crate) const PRIORITY: &str = "SELECT ifnull(min(priority), 1) FROM json_each(?1)
       CROSS JOIN wants ON wants.round = value AND mark IS NULL CROSS JOIN jobs ON jobs.number = wants.job";

/// Inserts the new task, at the front of the queue of the key that asked.
async fn insert(
    batch: &mut Batch<'_>,
    retry: &Retry<'_>,
    entered: &Entered,
    cause: Cause<'_>,
) -> Result<(), sqlx::Error> {
    let priority: i64 = sqlx::query_scalar(PRIORITY)
        .bind(json!(entered.rounds).to_string())
        .fetch_one(&mut *batch.connection)
        .await?;
    let Retry { task, new, platform } = *retry;
    let id = new.to_string();
    let priority = column::numbered(("jobs", "priority", &id), priority, Priority::from_number)?;
    let class = Class { key: places::key(batch, cause.operator).await?, priority };
    places::begin_to_wait(batch, class, cause.at).await?;
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO tasks (id, job_id, platform, destination, quality, created_at, state, next_attempt_at, news_at,
           retry_of, key, priority, is_paused)
         SELECT ?1, (SELECT jobs.id FROM wants JOIN jobs ON jobs.number = wants.job
                     WHERE wants.round = ?7 AND mark IS NULL ORDER BY wants.job LIMIT 1),
           ?2, ?3, ?4, ?5, 'queued', ?5, ?5, ?6, ?8, ?9, EXISTS (
             SELECT 1 FROM pauses WHERE scope = ?2 OR scope IN (
               SELECT 'line ' || number FROM lines WHERE platform = ?2 AND destination = ?3 AND quality = ?4))
         RETURNING number",
    )
    .bind(new.to_string())
    .bind(platform)
    .bind(entered.destination)
    .bind(entered.quality.number())
    .bind(cause.at.as_millis())
    .bind(task.to_string())
    .bind(entered.rounds.first())
    .bind(class.key)
    .bind(class.priority.number())
    .fetch_one(&mut *batch.connection)
    .await?;
    splits::bind_to(batch, number, &entered.rounds).await?;
    sqlx::query("UPDATE tasks SET replaced_by = ?2 WHERE id = ?1")
        .bind(task.to_string())
        .bind(new.to_string())
        .execute(&mut *batch.connection)
        .await?;
    batch.changes.events.push(NewEvent {
        task: Some(new),
        message: Some(cause.words(&format!("retry of {task}, requested"))),
        ..NewEvent::new(EventKind::TaskQueued, Source::Operator, cause.at)
    });
    batch.changes.touch(new, cause.at, Source::Operator);
    Ok(())
}
