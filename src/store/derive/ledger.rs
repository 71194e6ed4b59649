//! The ledger: which task carries a URL, over all jobs, so that none is sent while another one has it.
//!
//! It has no table of its own: it is read from the URLs of all tasks, found by their canonical form.

use std::collections::HashMap;

use serde_json::json;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{JobOptions, UrlState};
use crate::domain::plan::plan;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::store::batch::Batch;
use crate::store::batch::changes::NewEvent;
use crate::store::column;

/// A URL of a job, and the task URL that carries it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    /// Its place in the job.
    pub(crate) position: i64,
    pub(crate) url: PostUrl,
    pub(crate) task: TaskId,
    pub(crate) task_position: i64,
    /// Where it stands for the job.
    pub(crate) state: UrlState,
}

/// What a job wants to have carried.
pub(crate) struct Wanted<'a> {
    pub(crate) job: JobId,
    pub(crate) options: &'a JobOptions,
    /// At most so many URLs of one task.
    pub(crate) cap: usize,
    /// Whether to send what others have as well.
    pub(crate) force: bool,
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
}

/// Finds who carries each URL, and makes tasks for the rest.
pub(crate) async fn place(
    batch: &mut Batch<'_>,
    wanted: &Wanted<'_>,
    urls: Vec<(i64, PostUrl)>,
) -> Result<Vec<Placed>, sqlx::Error> {
    let mut carried = match wanted.force {
        true => HashMap::new(),
        false => find(batch.connection, wanted.options, &urls, None).await?,
    };
    let mut placed = Vec::with_capacity(urls.len());
    let mut rest = Vec::new();
    let mut positions = HashMap::new();
    for (position, url) in urls {
        match carried.remove(&url.canonical) {
            Some((task, task_position, state)) => {
                placed.push(Placed { position, url, task, task_position, state });
            }
            None => {
                positions.insert(url.canonical.clone(), position);
                rest.push(url);
            }
        }
    }
    let mut tasks = Vec::new();
    let mut rows = Vec::new();
    for planned in plan(rest, wanted.cap) {
        let task = TaskId::new(wanted.at);
        tasks.push(json!([task, planned.platform]));
        batch.changes.events.push(NewEvent {
            task: Some(task),
            ..NewEvent::new(EventKind::TaskQueued, wanted.source, wanted.at)
        });
        for (task_position, url) in (0..).zip(planned.urls) {
            let position = positions.get(&url.canonical).copied().unwrap_or_default();
            rows.push(json!([task, task_position, url.given, url.canonical]));
            placed.push(Placed { position, url, task, task_position, state: UrlState::Waiting });
        }
    }
    if tasks.is_empty() {
        return Ok(placed);
    }
    sqlx::query(
        "INSERT INTO tasks (id, job_id, platform, created_at, state, next_attempt_at, news_at)
         SELECT value->>0, ?2, value->>1, ?3, 'queued', ?3, ?3 FROM json_each(?1)",
    )
    .bind(json!(tasks).to_string())
    .bind(wanted.job.to_string())
    .bind(wanted.at.as_millis())
    .execute(&mut *batch.connection)
    .await?;
    sqlx::query(
        "INSERT INTO task_urls (task_id, position, url, canonical, state)
         SELECT value->>0, value->>1, value->>2, value->>3, 'waiting' FROM json_each(?1)",
    )
    .bind(json!(rows).to_string())
    .execute(&mut *batch.connection)
    .await?;
    Ok(placed)
}

#[derive(FromRow)]
struct Row {
    canonical: String,
    task_id: String,
    job_id: String,
    position: i64,
    state: String,
    unique_id: Option<String>,
    folder_id: Option<i64>,
    quality: String,
    library: String,
}

/// The best task URL that carries each of these on the same shelf, in at least this quality: one that is
/// indexed, else the newest that was sent, else the newest that waits, else one that may have been charged.
///
/// Indexed counts only where it is sure which URL it was: counting may have guessed.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    options: &JobOptions,
    urls: &[(i64, PostUrl)],
    except: Option<TaskId>,
) -> Result<HashMap<String, (TaskId, i64, UrlState)>, sqlx::Error> {
    let canonical: Vec<&str> = urls.iter().map(|(_, url)| url.canonical.as_str()).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT canonical, task_urls.task_id, jobs.id AS job_id, position, task_urls.state,
           unique_id, folder_id, quality, library
         FROM json_each(?1) CROSS JOIN task_urls ON canonical = value
           CROSS JOIN tasks ON tasks.id = task_urls.task_id CROSS JOIN jobs ON jobs.id = tasks.job_id
         WHERE (task_urls.state <> 'failed' OR task_urls.error_code = 'unconfirmed')
           AND (task_urls.state <> 'indexed' OR tasks.state = 'indexed' OR EXISTS (
             SELECT 1 FROM listings
             WHERE listings.task_id = task_urls.task_id AND listings.position = task_urls.position))
           AND task_urls.task_id IS NOT ?2
         ORDER BY task_urls.state = 'indexed', task_urls.state <> 'failed', task_urls.state <> 'waiting',
           task_urls.task_id",
    )
    .bind(json!(canonical).to_string())
    .bind(except.map(|task| task.to_string()))
    .fetch_all(connection)
    .await?;
    let shelf = options.shelf();
    let mut best = HashMap::new();
    for row in rows {
        let at = |column| ("task_urls", column, row.task_id.as_str());
        let of_job = |column| ("jobs", column, row.job_id.as_str());
        let library = column::parsed(of_job("library"), &row.library)?;
        let quality = column::parsed(of_job("quality"), &row.quality)?;
        let task = column::parsed(at("task_id"), &row.task_id)?;
        let state = column::parsed(at("state"), &row.state)?;
        let kept = JobOptions {
            unique_id: row.unique_id,
            folder_id: row.folder_id,
            quality,
            library,
            labels: Default::default(),
        };
        if kept.shelf() == shelf && kept.quality >= options.quality {
            let state = if state == UrlState::Indexed { UrlState::Known } else { state };
            // The order of the rows lets the best come last.
            best.insert(row.canonical, (task, row.position, state));
        }
    }
    Ok(best)
}
