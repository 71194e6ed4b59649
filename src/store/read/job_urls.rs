//! The URLs of a job as clients see them, each with the videos of the task URL that it follows.

use sqlx::FromRow;

use crate::domain::id::JobId;
use crate::domain::job::UrlState;
use crate::domain::task::{Failure, JobUrl};
use crate::store::column;
use crate::store::error::ReadError;
use crate::store::read::Readers;

#[derive(FromRow)]
struct UrlRow {
    position: i64,
    url: String,
    state: Option<String>,
    task_id: String,
    fixed: Option<String>,
    has_task_url: bool,
    video_ids: String,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl Readers {
    /// A job's URLs in the order of its plan, from a position on, each with its position.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn job_urls(
        &self,
        job: JobId,
        state: Option<UrlState>,
        from: i64,
        limit: i64,
    ) -> Result<Vec<(i64, JobUrl)>, ReadError> {
        let id = job.to_string();
        let rows: Vec<UrlRow> = sqlx::query_as(
            "SELECT job_urls.position, job_urls.url,
               CASE fixed WHEN 'known' THEN 'known' WHEN 'canceled' THEN 'failed' WHEN 'unattributed' THEN 'failed'
                 ELSE task_urls.state END AS state,
               job_urls.task_id, fixed, task_urls.task_id IS NOT NULL AS has_task_url,
               CASE fixed WHEN 'known' THEN NULL WHEN 'canceled' THEN fixed WHEN 'unattributed' THEN fixed
                 ELSE error_code END AS error_code,
               CASE fixed WHEN 'canceled' THEN 'canceled before it was sent'
                 WHEN 'unattributed' THEN 'an older version took this URL for another post; it was never sent'
                 ELSE error_message END AS error_message,
               (SELECT json_group_array(video_id) FROM listings
                  WHERE listings.task_id = job_urls.task_id AND listings.position = task_position
                    AND fixed IS NOT 'unattributed') AS video_ids
             FROM job_urls LEFT JOIN task_urls
               ON task_urls.task_id = job_urls.task_id AND task_urls.position = task_position
             WHERE job_id = ?1 AND job_urls.position >= ?2 AND (?3 IS NULL OR task_urls.task_id IS NULL
               OR fixed NOT IN ('known', 'canceled', 'unattributed') OR ?3 = CASE fixed
               WHEN 'known' THEN 'known' WHEN 'canceled' THEN 'failed' WHEN 'unattributed' THEN 'failed'
               ELSE task_urls.state END)
             ORDER BY job_urls.position LIMIT ?4",
        )
        .bind(&id)
        .bind(from)
        .bind(state.map(UrlState::as_str))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let url = |row: UrlRow| {
            let task = row.task_id.as_str();
            if !row.has_task_url {
                return Err(column::unreadable(
                    ("job_urls", "task_id", &id),
                    format!("no such URL of {task}"),
                ));
            }
            let task_id = match row.fixed.as_deref() {
                None | Some("known" | "canceled") => {
                    Some(column::parsed(("job_urls", "task_id", &id), task)?)
                }
                Some("unattributed") => None,
                Some(other) => {
                    return Err(column::unreadable(("job_urls", "fixed", &id), format!("unknown: {other}")));
                }
            };
            let url = JobUrl {
                url: row.url,
                state: column::parsed(("task_urls", "state", task), &row.state.unwrap_or_default())?,
                task_id,
                video_ids: column::json(("listings", "video_id", task), &row.video_ids)?,
                error: row.error_code.zip(row.error_message).map(|(code, message)| Failure { code, message }),
            };
            Ok((row.position, url))
        };
        Ok(rows.into_iter().map(url).collect::<Result<_, sqlx::Error>>()?)
    }
}
