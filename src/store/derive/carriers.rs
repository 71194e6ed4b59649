//! Tasks that hand their URLs to other carriers: to a task that has them by now, or to a new one.
//!
//! Whoever followed a URL follows its new carrier.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{Progress, UrlState};
use crate::domain::task::FactKind;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, NewFact, Touch};
use crate::store::column;
use crate::store::derive::due::{self, HandOver};
use crate::store::derive::{followers, ledger};
use crate::store::read::jobs;

/// A task that hands over its URLs.
pub(crate) struct Leaving {
    pub(crate) task: TaskId,
    pub(crate) job: JobId,
    pub(crate) platform: String,
    /// The new task is its retry, and not what is left of it.
    pub(crate) is_retry: bool,
    /// It is canceled, and its URLs count as such.
    pub(crate) is_canceled: bool,
    /// What it hands over: place, post, and where that stands.
    pub(crate) posts: Vec<(i64, PostUrl, UrlState)>,
}

/// A task URL whose followers follow another one from now on, and where the two stand.
struct Move {
    position: i64,
    old: UrlState,
    to: (TaskId, i64),
    now: UrlState,
}

/// Who has a post by now: the task, the place in it, and where that stands.
pub(crate) type Carried = HashMap<String, (TaskId, i64, UrlState)>;

/// The task that is made for what nobody carries.
pub(crate) struct Successor {
    pub(crate) id: TaskId,
    /// For its event.
    pub(crate) words: String,
    pub(crate) touch: Touch,
}

/// Makes the task `new` for the posts that nobody carries, if there are any, and lets every job follow.
pub(crate) async fn hand_over(
    batch: &mut Batch<'_>,
    leaving: &Leaving,
    carried: &Carried,
    new: Successor,
) -> Result<(), sqlx::Error> {
    let mut moves = Vec::new();
    let mut rows = Vec::new();
    for (position, post, old) in &leaving.posts {
        match carried.get(&post.canonical) {
            Some((other, place, state)) => {
                let now = if *state == UrlState::Known { UrlState::Indexed } else { *state };
                moves.push(Move { position: *position, old: *old, to: (*other, *place), now });
            }
            None => {
                let place = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                rows.push(json!([place, post.given, post.canonical]));
                let now = UrlState::Waiting;
                moves.push(Move { position: *position, old: *old, to: (new.id, place), now });
            }
        }
    }
    if !rows.is_empty() {
        insert(batch.connection, leaving, &new, json!(rows).to_string()).await?;
        batch.changes.events.push(NewEvent {
            task: Some(new.id),
            message: Some(new.words),
            ..NewEvent::new(EventKind::TaskQueued, new.touch.source, new.touch.at)
        });
    }
    follow(batch, leaving, moves, new.touch).await
}

/// Lets everybody who follows the URLs of a task follow others, if they are too many in later commits.
async fn follow(
    batch: &mut Batch<'_>,
    leaving: &Leaving,
    moves: Vec<Move>,
    touch: Touch,
) -> Result<(), sqlx::Error> {
    let handed = HandOver {
        task: leaving.task,
        is_canceled: leaving.is_canceled,
        urls: moves.iter().map(|url| (url.position, url.old, url.to)).collect(),
    };
    if due::hand_over(batch, &handed, touch).await? {
        return Ok(());
    }
    let keys: Vec<_> = moves.iter().map(|url| json!([leaving.task, url.position])).collect();
    let followers: Vec<(String, i64, i64)> =
        sqlx::query_as(FOLLOWERS).bind(json!(keys).to_string()).fetch_all(&mut *batch.connection).await?;
    let by_position: HashMap<i64, &Move> = moves.iter().map(|url| (url.position, url)).collect();
    let mut rows = Vec::new();
    // Each job in one go: halfway it could seem to have settled.
    let mut by_job: BTreeMap<JobId, Progress> = BTreeMap::new();
    for (job, position, task_position) in followers {
        let Some(url) = by_position.get(&task_position) else { continue };
        let job: JobId = column::parsed(("job_urls", "job_id", &job), &job)?;
        let fixed: Option<&str> = None;
        rows.push(json!([job, position, url.to.0, url.to.1, fixed]));
        let change = by_job.entry(job).or_default();
        change.add(url.old, -1);
        change.add(url.now, 1);
        change.canceled -= i64::from(leaving.is_canceled);
    }
    followers::follow_others(batch.connection, rows).await?;
    followers::move_urls(batch.connection, &by_job).await?;
    batch.changes.jobs.extend(by_job.into_keys().map(|job| (job, touch)));
    Ok(())
}

pub(crate) const FOLLOWERS: &str = "SELECT job_id, job_urls.position, task_position
     FROM json_each(?1) AS moved
       CROSS JOIN job_urls ON task_id = moved.value->>0 AND task_position = moved.value->>1
     WHERE fixed IS NULL";

async fn insert(
    connection: &mut SqliteConnection,
    leaving: &Leaving,
    new: &Successor,
    urls: String,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO tasks (id, job_id, platform, created_at, state, next_attempt_at, news_at, retry_of)
         SELECT ?1, ?2, ?3, ?4, 'queued', ?4, ?4, iif(?5, id, retry_of) FROM tasks WHERE id = ?6",
    )
    .bind(new.id.to_string())
    .bind(leaving.job.to_string())
    .bind(&leaving.platform)
    .bind(new.touch.at.as_millis())
    .bind(leaving.is_retry)
    .bind(leaving.task.to_string())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO task_urls (task_id, position, url, canonical, state)
         SELECT ?2, value->>0, value->>1, value->>2, 'waiting' FROM json_each(?1)",
    )
    .bind(urls)
    .bind(new.id.to_string())
    .execute(&mut *connection)
    .await?;
    sqlx::query("UPDATE tasks SET replaced_by = ?2 WHERE id = ?1")
        .bind(leaving.task.to_string())
        .bind(new.id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// The posts of a task that are not indexed, and that a job waits for there. Those that are being handed over are not.
pub(crate) async fn posts(
    connection: &mut SqliteConnection,
    task: TaskId,
) -> Result<Vec<(i64, PostUrl, UrlState)>, sqlx::Error> {
    let urls: Vec<(i64, String, String, String, Option<String>)> = sqlx::query_as(
        "SELECT position, url, canonical, state, (SELECT platform FROM tasks WHERE id = ?1) FROM task_urls
         WHERE task_id = ?1 AND state <> 'indexed' AND EXISTS (
           SELECT 1 FROM job_urls
           WHERE job_urls.task_id = ?1 AND task_position = task_urls.position AND fixed IS NULL)
           AND NOT EXISTS (
             SELECT 1 FROM due_urls
             WHERE due_urls.task_id = ?1 AND due_urls.position = task_urls.position AND to_task IS NOT NULL)
         ORDER BY position",
    )
    .bind(task.to_string())
    .fetch_all(connection)
    .await?;
    let id = task.to_string();
    urls.into_iter()
        .map(|(position, url, canonical, state, platform)| {
            let post = followers::stored_post(url, canonical, platform);
            Ok((position, post, column::parsed(("task_urls", "state", &id), &state)?))
        })
        .collect()
}

/// Which of these posts another task carries by now; none for a job that wants its own scrape.
pub(crate) async fn carried(
    connection: &mut SqliteConnection,
    leaving: &Leaving,
) -> Result<Carried, sqlx::Error> {
    let Some((options, false)) = jobs::options(connection, leaving.job).await? else {
        return Ok(Carried::new());
    };
    let wanted: Vec<_> = leaving.posts.iter().map(|(place, post, _)| (*place, post.clone())).collect();
    let mut carried = ledger::find(connection, &options, &wanted, Some(leaving.task)).await?;
    carried.retain(|_, (.., state)| *state != UrlState::Failed);
    Ok(carried)
}

#[derive(FromRow)]
struct Row {
    job_id: String,
    platform: String,
    replaces: Option<String>,
}

/// Cancels a queued task whose URLs were proven to be on their way elsewhere since it was made: an old task that
/// was given up has shown itself, or a forced one was faster. What nobody else has goes to a new task.
pub(crate) async fn make_way(
    batch: &mut Batch<'_>,
    task: TaskId,
    at: Timestamp,
) -> Result<bool, sqlx::Error> {
    let row: Option<Row> = sqlx::query_as(
        "SELECT job_id, platform, (SELECT id FROM tasks AS old WHERE old.replaced_by = tasks.id) AS replaces
         FROM tasks WHERE id = ?1 AND state = 'queued' AND job_id IS NOT NULL AND platform IS NOT NULL",
    )
    .bind(task.to_string())
    .fetch_optional(&mut *batch.connection)
    .await?;
    let Some(Row { job_id, platform, replaces }) = row else { return Ok(false) };
    let job = column::parsed(("tasks", "job_id", &task.to_string()), &job_id)?;
    let posts = posts(batch.connection, task).await?;
    let leaving = Leaving { task, job, platform, is_retry: false, is_canceled: false, posts };
    let mut carried = carried(batch.connection, &leaving).await?;
    // Two that both wait would make way for each other.
    carried.retain(|_, (.., state)| *state != UrlState::Waiting);
    if carried.is_empty() {
        return Ok(false);
    }
    let new = Successor {
        id: TaskId::new(at),
        words: format!("what is left of {task}"),
        touch: Touch { at, source: Source::Submit },
    };
    hand_over(batch, &leaving, &carried, new).await?;
    if let Some(old) = replaces
        && carried.len() == leaving.posts.len()
    {
        sqlx::query("UPDATE tasks SET replaced_by = NULL WHERE id = ?1")
            .bind(old)
            .execute(&mut *batch.connection)
            .await?;
    }
    tracing::info!(%task, urls = carried.len(), "another task has these URLs by now: they are not sent again");
    batch.changes.words.insert(task, "another task has its URLs by now".to_owned());
    batch.changes.facts.push(NewFact {
        task,
        kind: FactKind::Canceled,
        video: String::new(),
        at,
        source: Source::Submit,
        failure: None,
    });
    batch.changes.touch(task, at, Source::Submit);
    Ok(true)
}
