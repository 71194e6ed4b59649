//! The URLs of a job as clients see them, each in the state of its round, with the videos of the task that decides
//! it. Must never leave out a URL that can't be read.

use crate::domain::id::JobId;
use crate::domain::outcome::{Reason, UrlOutcome, UrlState};
use crate::domain::task::JobUrl;
use crate::domain::url::Platform;
use crate::domain::want::{Mark, want_outcome};
use crate::store::column::{self, row};
use crate::store::error::ReadError;
use crate::store::read::Readers;

row! {
    struct Row {
        position: i64,
        mark: Option<i64>,
        url: Option<String>,
        state: Option<i64>,
        code: Option<String>,
        message: Option<String>,
        certain: Option<bool>,
        platform: Option<String>,
        task_id: Option<String>,
        accepted_at: Option<i64>,
        video_ids: String,
        indexed_at: Option<i64>,
    }
}

/// The task of a URL is the one with the best state. Of several with the same state, it is the last. An unreadable
/// row is in every list, so each such list is an error.
pub(crate) const SELECT: &str =
    "SELECT page.position, mark, ifnull(page.url, posts.url) AS url, rounds.state, rounds.code, rounds.message,
       rounds.certain, posts.platform, tasks.id AS task_id, tasks.accepted_at,
       (SELECT json_group_array(video) FROM joins
          WHERE joins.task = best.task AND joins.position = best.position) AS video_ids,
       (SELECT max(indexed_at) FROM joins CROSS JOIN videos ON videos.id = joins.video
          WHERE joins.task = best.task AND joins.position = best.position) AS indexed_at
     FROM (SELECT wants.position, round, mark, url FROM wants
           WHERE job = (SELECT number FROM jobs WHERE id = ?1) AND wants.position >= ?2 AND (?3 IS NULL
             OR ?3 = CASE WHEN mark IS NULL
                       THEN ifnull((SELECT state FROM rounds WHERE rounds.number = round AND state BETWEEN 0 AND 4), ?3)
                     WHEN mark = 1 THEN 5 WHEN mark IN (2, 3) THEN 0 ELSE ?3 END)
           ORDER BY wants.position LIMIT ?4) AS page
       LEFT JOIN rounds ON rounds.number = page.round
       LEFT JOIN posts ON posts.number = rounds.post
       LEFT JOIN attempts AS best
         ON best.round = page.round AND best.task = (
           SELECT task FROM attempts WHERE attempts.round = page.round ORDER BY state DESC, task DESC LIMIT 1)
       LEFT JOIN tasks ON tasks.number = best.task
     ORDER BY page.position";

impl Readers {
    /// Returns a job's URLs in the order in which the job gave them, from a position on, each with its position.
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
        let rows: Vec<Row> = sqlx::query_as(SELECT)
            .bind(&id)
            .bind(from)
            .bind(state.map(UrlState::number))
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| url(&id, row)).collect::<Result<_, sqlx::Error>>()?)
    }
}

fn url(job: &str, row: Row) -> Result<(i64, JobUrl), sqlx::Error> {
    let missing = || column::unreadable(("wants", "round", job), "no such round");
    let given = row.url.ok_or_else(missing)?;
    let mark = column::numbered_option(("wants", "mark", job), row.mark, Mark::from_number)?;
    let state =
        column::numbered(("rounds", "state", job), row.state.ok_or_else(missing)?, UrlState::from_number)?;
    let reason = column::failure(row.code, row.message)
        .map(|failure| Reason { failure, certain: row.certain.unwrap_or(true) });
    let outcome = want_outcome(mark, &UrlOutcome { state, reason });
    let has_task = matches!(mark, None | Some(Mark::Known));
    let task_id = column::parsed_option(("tasks", "id", job), row.task_id.filter(|_| has_task).as_deref())?;
    let videos: Vec<String> = column::json(("joins", "video", job), &row.video_ids)?;
    let accepted_at =
        column::time_option(("tasks", "accepted_at", job), row.accepted_at.filter(|_| has_task))?;
    let indexed_at = column::time_option(("videos", "indexed_at", job), row.indexed_at.filter(|_| has_task))?;
    let url = JobUrl {
        url: given,
        platform: Platform::from_stored(row.platform.ok_or_else(missing)?),
        state: outcome.state,
        task_id,
        accepted_at,
        video_ids: if has_task { videos } else { Vec::new() },
        indexed_at,
        error: outcome.reason,
    };
    Ok((row.position, url))
}
