//! The queue: the task that is submitted next, and how much was sent.

use sqlx::FromRow;

use crate::domain::id::TaskId;
use crate::domain::job::{Library, Quality};
use crate::domain::time::Timestamp;
use crate::domain::url::Platform;
use crate::store::column;
use crate::store::error::ReadError;
use crate::store::read::Readers;

/// A task whose turn it is, with all that its submit needs.
#[derive(Clone, Debug)]
pub struct QueuedTask {
    /// Our id.
    pub id: TaskId,
    /// The platform of its URLs.
    pub platform: Platform,
    /// The earliest time of its next submit.
    pub due: Timestamp,
    /// Folder name.
    pub unique_id: Option<String>,
    /// Folder number.
    pub folder_id: Option<i64>,
    /// Lines of the wanted picture.
    pub quality: Quality,
    /// Where the videos are put.
    pub library: Library,
    /// Its URLs as the user gave them.
    pub urls: Vec<String>,
}

#[derive(FromRow)]
struct Row {
    id: String,
    job_id: Option<String>,
    has_job: bool,
    platform: String,
    next_attempt_at: i64,
    unique_id: Option<String>,
    folder_id: Option<i64>,
    quality: String,
    library: String,
    urls: String,
}

impl Readers {
    /// The queued task whose turn comes first, due or not, leaving out these platforms and what is put aside.
    ///
    /// One that can't be read is left out and logged: it must not keep all others from being sent.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn next_queued(
        &self,
        without: &[String],
        aside: &[TaskId],
    ) -> Result<Option<QueuedTask>, ReadError> {
        let mut unread = 0;
        loop {
            let row: Result<Option<Row>, sqlx::Error> = sqlx::query_as(NEXT_QUEUED)
                .bind(serde_json::json!(without).to_string())
                .bind(unread)
                .bind(serde_json::json!(aside).to_string())
                .fetch_optional(&self.pool)
                .await;
            match row.and_then(|row| row.map(queued).transpose()) {
                Ok(task) => return Ok(task),
                Err(error) if unread < MOST_UNREAD && column::is_unreadable(&error) => {
                    tracing::error!(%error, "a queued task is not sent");
                    unread += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// So many queued tasks that can't be read are left out.
const MOST_UNREAD: i64 = 16;

const NEXT_QUEUED: &str =
    "SELECT tasks.id, job_id, jobs.id IS NOT NULL AS has_job, platform, next_attempt_at, unique_id, folder_id,
       ifnull(quality, '') AS quality, ifnull(library, '') AS library,
       (SELECT json_group_array(url) FROM
          (SELECT url FROM task_urls WHERE task_id = tasks.id ORDER BY position)) AS urls
     FROM (SELECT id AS next FROM tasks INDEXED BY tasks_to_submit
           WHERE state = 'queued' AND platform NOT IN (SELECT value FROM json_each(?1))
             AND id NOT IN (SELECT value FROM json_each(?3))
           ORDER BY next_attempt_at, id LIMIT 1 OFFSET ?2)
       JOIN tasks ON tasks.id = next LEFT JOIN jobs ON jobs.id = tasks.job_id";

impl Readers {
    /// How many URLs were sent since then, except in submits that were certainly not taken.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn urls_sent_since(&self, start: Timestamp) -> Result<u64, ReadError> {
        let sent: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM submits JOIN task_urls ON task_urls.task_id = submits.task_id
             WHERE started_at >= ?1 AND (outcome IS NULL OR outcome IN ('accepted', 'unknown'))
               AND code IS NOT 'recovered'",
        )
        .bind(start.as_millis())
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(sent).unwrap_or_default())
    }
}

fn queued(row: Row) -> Result<QueuedTask, sqlx::Error> {
    let at = |column| ("tasks", column, row.id.as_str());
    let job = row.job_id.as_deref().filter(|_| row.has_job);
    let job = job.ok_or_else(|| column::unreadable(at("job_id"), "no such job"))?;
    Ok(QueuedTask {
        id: column::parsed(at("id"), &row.id)?,
        due: Timestamp::from_millis(row.next_attempt_at),
        quality: column::parsed(("jobs", "quality", job), &row.quality)?,
        library: column::parsed(("jobs", "library", job), &row.library)?,
        urls: column::json(("task_urls", "url", &row.id), &row.urls)?,
        platform: Platform::from_stored(row.platform),
        unique_id: row.unique_id,
        folder_id: row.folder_id,
    })
}
