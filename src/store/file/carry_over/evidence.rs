//! The lists of polls, the videos of each URL, and facts under their new names.
//!
//! Must never drop a fact about a video.

use sqlx::sqlite::SqliteConnection;

use crate::domain::video::VideoState;
use crate::store::file::carry_over::page::ROWS;

/// An older version stored which URL a poll named for a video, but not the state in the answer.
const ENTRIES: &str = "INSERT INTO entries (task, number, video, url, canonical, state, at)
     SELECT task, row_number() OVER (PARTITION BY task ORDER BY at, video, position), video, url, canonical,
       coalesce((SELECT CASE state WHEN 'indexed' THEN ?4 WHEN 'failed' THEN ?3 END FROM videos WHERE id = video), 0),
       at
     FROM (
       SELECT tasks.number AS task, video_id AS video, listings.position, urls.url, urls.canonical,
         coalesce(
           (SELECT coalesce(min(iif(source = 'poll', at, NULL)), min(at)) FROM facts
            WHERE facts.task_id = tasks.id AND kind IN ('video_seen', 'video_indexed', 'video_failed')
              AND facts.video_id = listings.video_id),
           tasks.news_at) AS at
       FROM tasks CROSS JOIN listings ON listings.task_id = tasks.id
         CROSS JOIN task_urls AS urls ON urls.task_id = tasks.id AND urls.position = listings.position
       WHERE tasks.number > ?1 AND tasks.number <= ?2
       UNION ALL
       SELECT tasks.number, video_id, NULL, NULL, NULL, min(at)
       FROM tasks CROSS JOIN facts ON facts.task_id = tasks.id
       WHERE tasks.number > ?1 AND tasks.number <= ?2 AND video_id <> '' AND source = 'poll'
         AND NOT EXISTS (
           SELECT 1 FROM listings WHERE listings.task_id = tasks.id AND listings.video_id = facts.video_id)
       GROUP BY tasks.number, video_id)";

const JOINS: &str = "INSERT INTO joins (task, position, video)
     SELECT tasks.number, attempts.position, video_id
     FROM tasks CROSS JOIN listings ON listings.task_id = tasks.id
       CROSS JOIN attempts ON attempts.task = tasks.number AND attempts.position = listings.position
     WHERE tasks.number > ?1 AND tasks.number <= ?2";

/// Fills entries and joins, and renames facts.
pub(super) async fn carry(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let last: i64 =
        sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM tasks").fetch_one(&mut *connection).await?;
    let mut after = 0;
    while after < last {
        for statement in [ENTRIES, JOINS] {
            sqlx::query(statement)
                .bind(after)
                .bind(after + ROWS)
                .bind(VideoState::Failed.number())
                .bind(VideoState::Indexed.number())
                .execute(&mut *connection)
                .await?;
        }
        after += ROWS;
    }
    for statement in [
        "UPDATE facts SET kind = 'list_complete' WHERE kind = 'exhausted'",
        "UPDATE facts SET kind = 'polls_refused' WHERE kind = 'unnamed'",
        // Entries hold this now.
        "DELETE FROM facts WHERE kind = 'named'",
    ] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}
