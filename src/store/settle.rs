//! The end of a batch: loads the tasks it touched, derives their states, stores what changed, and carries
//! it on to the jobs that follow their URLs.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use super::changes::{Changes, NewEvent, Touch, UrlChange};
use super::{Policy, jobs};
use crate::domain::event::EventKind;
use crate::domain::id::TaskId;
use crate::domain::job::UrlState;
use crate::domain::state::{Derived, Submission, TaskFacts, VideoFacts, derive};
use crate::domain::task::{FactKind, Failure, TaskState};

/// A task with all its facts in one row: what has many parts comes as JSON.
#[derive(FromRow)]
struct Row {
    id: String,
    state: String,
    upstream_id: Option<String>,
    accepted_at: Option<i64>,
    downloaded_at: Option<i64>,
    settled_at: Option<i64>,
    news_at: i64,
    polled_at: Option<i64>,
    next_poll_at: Option<i64>,
    submit: Option<String>,
    facts: String,
    videos: String,
    listings: String,
    urls: String,
}

#[derive(Deserialize)]
struct Submit(Option<String>, Option<String>, Option<String>);
#[derive(Deserialize)]
struct Fact(String, Option<String>, Option<String>);
#[derive(Deserialize)]
struct VideoRow(String, String, Option<String>, Option<String>);
#[derive(Deserialize)]
struct Listing(String, usize);
#[derive(Deserialize)]
struct UrlRow(String, Option<String>);

/// Derives every touched task anew.
pub(super) async fn touched(
    connection: &mut SqliteConnection,
    policy: Policy,
    changes: &mut Changes,
) -> Result<(), sqlx::Error> {
    if changes.touched.is_empty() {
        return Ok(());
    }
    let ids: Vec<&TaskId> = changes.touched.keys().collect();
    let rows = load(connection, &json!(ids).to_string()).await?;
    let mut tasks = Vec::new();
    let mut urls = Vec::new();
    for row in rows {
        let Some(task) = row.id.parse().ok() else { continue };
        let Some(touch) = changes.touched.get(&task).copied() else { continue };
        let Some((facts, old_urls)) = read(&row) else {
            return Err(sqlx::Error::Decode(format!("task {task} has facts that can't be read").into()));
        };
        let derived = derive(&facts);
        url_changes(task, &old_urls, &derived, &mut urls);
        tasks.push(task_change(&row, task, &facts, &derived, touch, policy, changes));
    }
    store_tasks(connection, tasks).await?;
    store_urls(connection, &urls).await?;
    jobs::follow(connection, &urls, changes).await
}

async fn load(connection: &mut SqliteConnection, ids: &str) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, state, upstream_id, accepted_at, downloaded_at, settled_at,
           news_at, polled_at, next_poll_at,
           (SELECT json_array(outcome, code, message) FROM submits
              WHERE task_id = tasks.id ORDER BY attempt DESC LIMIT 1) AS submit,
           (SELECT json_group_array(json_array(kind, code, message)) FROM facts
              WHERE task_id = tasks.id AND video_id = '') AS facts,
           (SELECT json_group_array(json_array(videos.id, videos.state, error_code, error_message))
              FROM (SELECT DISTINCT video_id FROM facts WHERE facts.task_id = tasks.id AND video_id <> '')
              CROSS JOIN videos ON videos.id = video_id) AS videos,
           (SELECT json_group_array(json_array(video_id, position)) FROM listings
              WHERE listings.task_id = tasks.id) AS listings,
           (SELECT json_group_array(json_array(state, error_code)) FROM
              (SELECT task_urls.state, task_urls.error_code FROM task_urls
                 WHERE task_id = tasks.id ORDER BY position)) AS urls
         FROM tasks WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(ids)
    .fetch_all(connection)
    .await
}

type OldUrl = (UrlState, Option<String>);

fn read(row: &Row) -> Option<(TaskFacts, Vec<OldUrl>)> {
    let urls: Vec<UrlRow> = serde_json::from_str(&row.urls).ok()?;
    let videos: Vec<VideoRow> = serde_json::from_str(&row.videos).ok()?;
    let facts: Vec<Fact> = serde_json::from_str(&row.facts).ok()?;
    let submission = match &row.submit {
        None => Submission::Unsent,
        Some(submit) => match serde_json::from_str(submit).ok()? {
            Submit(None, ..) => Submission::InFlight,
            Submit(Some(outcome), code, message) => {
                Submission::Ended(outcome.parse().ok()?, failure(code, message))
            }
        },
    };
    let mut task = TaskFacts {
        urls: urls.len(),
        submission,
        has_upstream_id: row.upstream_id.is_some(),
        succeeded: false,
        failed: None,
        canceled: false,
        unnamed: false,
        videos: Vec::with_capacity(videos.len()),
    };
    for Fact(kind, code, message) in facts {
        match kind.parse().ok()? {
            FactKind::Succeeded => task.succeeded = true,
            FactKind::Failed => {
                task.failed =
                    Some(failure(code, message).unwrap_or_else(|| Failure::new("task_failed", "no reason")));
            }
            FactKind::Canceled => task.canceled = true,
            FactKind::Unnamed => task.unnamed = true,
            FactKind::VideoSeen | FactKind::VideoIndexed | FactKind::VideoFailed => {}
        }
    }
    let mut joined: HashMap<String, Vec<usize>> = HashMap::new();
    for Listing(video, position) in serde_json::from_str::<Vec<Listing>>(&row.listings).ok()? {
        joined.entry(video).or_default().push(position);
    }
    for VideoRow(id, state, code, message) in videos {
        let urls = joined.remove(&id).unwrap_or_default();
        task.videos.push(VideoFacts { state: state.parse().ok()?, failure: failure(code, message), urls });
    }
    let urls = urls.into_iter().map(|UrlRow(state, code)| Some((state.parse().ok()?, code)));
    Some((task, urls.collect::<Option<_>>()?))
}

fn failure(code: Option<String>, message: Option<String>) -> Option<Failure> {
    code.map(|code| Failure { code, message: message.unwrap_or_default() })
}

fn url_changes(task: TaskId, old: &[OldUrl], derived: &Derived, out: &mut Vec<UrlChange>) {
    for (position, ((old, old_code), (new, failure))) in old.iter().zip(&derived.urls).enumerate() {
        let code = failure.as_ref().map(|failure| failure.code.clone());
        if old == new && *old_code == code {
            continue;
        }
        let is_canceled = |code: &Option<String>| i64::from(code.as_deref() == Some("canceled"));
        let canceled = is_canceled(&code) - is_canceled(old_code);
        let message = failure.as_ref().map(|failure| failure.message.clone());
        out.push((task, position, *old, *new, canceled, code, message));
    }
}

fn task_change(
    row: &Row,
    task: TaskId,
    facts: &TaskFacts,
    derived: &Derived,
    touch: Touch,
    policy: Policy,
    changes: &mut Changes,
) -> Value {
    let mut event = |kind, message: Option<String>| {
        changes.events.push(NewEvent {
            task: Some(task),
            message,
            ..NewEvent::new(kind, touch.source, touch.at)
        });
    };
    let at = touch.at.as_millis();
    let state = derived.state;
    let is_new_state = row.state != state.as_str();
    let is_downloaded = facts.succeeded || !facts.videos.is_empty();
    let accepted_at = row.accepted_at.or_else(|| facts.has_upstream_id.then_some(at));
    let downloaded_at = row.downloaded_at.or_else(|| is_downloaded.then_some(at));
    let settled_at =
        if state.is_settled() { row.settled_at.filter(|_| !is_new_state).or(Some(at)) } else { None };

    if accepted_at != row.accepted_at {
        event(EventKind::TaskAccepted, None);
    }
    if downloaded_at != row.downloaded_at {
        event(EventKind::TaskDownloaded, None);
    }
    let reason = || derived.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
    let kind = match state {
        TaskState::Queued => Some(EventKind::TaskQueued),
        TaskState::Submitting => Some(EventKind::TaskSubmitting),
        TaskState::Unconfirmed => Some(EventKind::TaskUnconfirmed),
        TaskState::Failed => Some(EventKind::TaskFailed),
        TaskState::Rejected => Some(EventKind::TaskRejected),
        TaskState::Stalled => Some(EventKind::TaskStalled),
        TaskState::Canceled => Some(EventKind::TaskCanceled),
        // Told by their facts above, or by "settled" below.
        TaskState::Accepted | TaskState::Downloaded | TaskState::Indexed | TaskState::Partial => None,
    };
    if let (Some(kind), true) = (kind, is_new_state) {
        event(kind, reason());
    }
    if settled_at.is_some() && is_new_state {
        event(EventKind::TaskSettled, Some(state.to_string()));
    }
    json!([
        task,
        state,
        accepted_at,
        downloaded_at,
        settled_at,
        derived.error.as_ref().map(|error| &error.code),
        derived.error.as_ref().map(|error| &error.message),
        next_poll_at(row, facts, state, touch, policy),
    ])
}

/// When the task is to be polled: at once where a poll could settle it, else when it was silent for too long.
fn next_poll_at(row: &Row, facts: &TaskFacts, state: TaskState, touch: Touch, policy: Policy) -> Option<i64> {
    if state.is_settled() || !facts.has_upstream_id {
        return None;
    }
    let ended = facts.videos.iter().filter(|video| video.state.is_ended()).count();
    let polled_since = row.polled_at.is_some_and(|polled| polled >= row.news_at);
    let could_settle = ended > 0 && ended == facts.videos.len() && ended >= facts.urls && !polled_since;
    if could_settle || touch.wants_poll {
        return Some(touch.at.as_millis());
    }
    let silent = touch.at.after(policy.poll_after).as_millis();
    // A poll that was only just asked for keeps its turn.
    Some(row.next_poll_at.filter(|_| polled_since).map_or(silent, |next| next.min(silent)))
}

async fn store_tasks(connection: &mut SqliteConnection, tasks: Vec<Value>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE tasks SET state = new.state, accepted_at = new.accepted_at, downloaded_at = new.downloaded_at,
           settled_at = new.settled_at, error_code = new.error_code, error_message = new.error_message,
           next_poll_at = new.next_poll_at
         FROM (SELECT value->>0 AS id, value->>1 AS state, value->>2 AS accepted_at,
                 value->>3 AS downloaded_at, value->>4 AS settled_at, value->>5 AS error_code,
                 value->>6 AS error_message, value->>7 AS next_poll_at
               FROM json_each(?1)) AS new
         WHERE tasks.id = new.id",
    )
    .bind(Value::Array(tasks).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

async fn store_urls(connection: &mut SqliteConnection, urls: &[UrlChange]) -> Result<(), sqlx::Error> {
    if urls.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE task_urls SET state = new.state, error_code = new.code, error_message = new.message
         FROM (SELECT value->>0 AS task_id, value->>1 AS position, value->>3 AS state, value->>5 AS code,
                 value->>6 AS message FROM json_each(?1)) AS new
         WHERE task_urls.task_id = new.task_id AND task_urls.position = new.position",
    )
    .bind(json!(urls).to_string())
    .execute(connection)
    .await?;
    Ok(())
}
