//! How long a large file of an older version takes to be carried over, and how large it is then.
//!
//! The long form is
//! `SCRAPEHOOK_MIGRATION_URLS=100000 cargo test --release --test it carried_over:: -- --nocapture`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use sqlx::Connection;
use tempfile::TempDir;

use super::{FIRST, all, carry_over, older, texts};
use crate::support::aftermath::number;

const MIB: f64 = 1024.0 * 1024.0;

/// Tasks of 50 URLs, two to a job. Of twenty tasks, one is queued, one is accepted, one failed in part, and the others
/// are indexed. A second job of 100 known URLs comes after every tenth.
const FILL: &[&str] = &[
    "CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
     SELECT i, i / 50 AS task, i / 100 AS job, i % 50 AS position, format('%024x%08x', i / 50, i / 50) AS t,
       format('%024x%08x', i / 100, i / 100) AS j,
       CASE i / 50 % 20 WHEN 0 THEN 'queued' WHEN 1 THEN 'accepted' WHEN 2 THEN 'partial' ELSE 'indexed' END AS state
     FROM n",
    "INSERT INTO jobs (id, created_at, settled_at, state, labels, quality, library, force, urls, waiting, sent, indexed,
       failed)
     SELECT 'job_' || j, 1795000000000 + job, iif(sum(state IN ('queued', 'accepted')), NULL, 1795000000000 + job),
       CASE WHEN sum(state IN ('queued', 'accepted')) THEN 'running'
         WHEN sum(state = 'partial') THEN 'partial' ELSE 'done' END,
       '{}', '360', 'private', 0, count(*), sum(state = 'queued'), sum(state = 'accepted'),
       sum(state = 'indexed' OR (state = 'partial' AND position < 40)), sum(state = 'partial' AND position >= 40)
     FROM n GROUP BY job",
    "INSERT INTO tasks (id, job_id, platform, created_at, state, upstream_id, upstream_id_source, accepted_at,
       downloaded_at, settled_at, error_code, error_message, next_attempt_at, news, news_at)
     SELECT 'task_' || t, 'job_' || j, 'youtube', 1795000000000 + task, state,
       iif(state = 'queued', NULL, 'upstream-' || t), iif(state = 'queued', NULL, 'submit'),
       iif(state = 'queued', NULL, 1795000000001 + task),
       iif(state IN ('queued', 'accepted'), NULL, 1795000000002 + task),
       iif(state IN ('queued', 'accepted'), NULL, 1795000000003 + task),
       iif(state = 'partial', 'no_video', NULL), iif(state = 'partial', 'upstream made no video of it', NULL),
       1795000000000 + task, 1, 1795000000000 + task
     FROM n WHERE position = 0",
    "INSERT INTO task_urls (task_id, position, url, canonical, state, error_code, error_message)
     SELECT 'task_' || t, position, format('https://youtu.be/%011x?si=share', i),
       format('https://www.youtube.com/watch?v=%011x', i),
       CASE state WHEN 'queued' THEN 'waiting' WHEN 'accepted' THEN 'sent'
         WHEN 'partial' THEN iif(position < 40, 'indexed', 'failed') ELSE 'indexed' END,
       iif(state = 'partial' AND position >= 40, 'no_video', NULL),
       iif(state = 'partial' AND position >= 40, 'upstream made no video of it', NULL)
     FROM n",
    "INSERT INTO job_urls (job_id, position, url, task_id, task_position)
     SELECT 'job_' || j, i % 100, format('https://youtu.be/%011x?si=share', i), 'task_' || t, position FROM n",
    "INSERT INTO submits (task_id, attempt, started_at, ended_at, outcome)
     SELECT id, 1, created_at, created_at + 1, 'accepted' FROM tasks WHERE state <> 'queued'",
    "INSERT INTO videos (number, id, task_id, state, first_seen_at, indexed_at)
     SELECT i + 1, format('VI%018d', i), 'task_' || t, 'indexed', 1795000000000, 1795000000000 FROM n
     WHERE state = 'indexed' OR (state = 'partial' AND position < 40)",
    "INSERT INTO listings (task_id, video_id, position)
     SELECT 'task_' || t, format('VI%018d', i), position FROM n
     WHERE state = 'indexed' OR (state = 'partial' AND position < 40)",
    "INSERT INTO facts (task_id, kind, video_id, at, source)
     SELECT task_id, kind, video_id, 1795000000000, source FROM listings
     CROSS JOIN (SELECT 'video_seen' AS kind, 'poll' AS source UNION ALL SELECT 'video_indexed', 'callback')",
    "INSERT INTO facts (task_id, kind, video_id, at, source)
     SELECT id, kind, '', 1795000000000, 'callback' FROM tasks
     CROSS JOIN (SELECT 'succeeded' AS kind UNION ALL SELECT 'named') WHERE downloaded_at IS NOT NULL",
    "INSERT INTO facts (task_id, kind, video_id, at, source)
     SELECT id, 'exhausted', '', 1795000000000, 'poll' FROM tasks WHERE state = 'partial'",
    "INSERT INTO callbacks (task_id, body_hash, body, first_received_at, last_received_at, deliveries, understood)
     SELECT task_id, randomblob(32), randomblob(300), 1795000000000, 1795000000000, 1, 'video_indexed' FROM listings",
    "INSERT INTO events (kind, source, job_id, task_id, upstream_id, video_id, at)
     SELECT 'video.indexed', 'callback', job_id, tasks.id, upstream_id, video_id, 1795000000000
     FROM listings JOIN tasks ON tasks.id = task_id",
    "INSERT INTO jobs (id, created_at, settled_at, state, labels, quality, library, force, urls, waiting, known)
     SELECT format('job_%024x%08x', 100000000 + job, job), 1795000000000, 1795000000000, 'done', '{}', '360', 'private',
       0, count(*), 0, count(*)
     FROM n WHERE job % 10 = 5 GROUP BY job",
    "INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed)
     SELECT format('job_%024x%08x', 100000000 + job, job), i % 100, format('https://youtu.be/%011x', i), 'task_' || t,
       position, 'known'
     FROM n WHERE job % 10 = 5",
];

#[tokio::test]
async fn a_large_file_is_carried_over_whole() {
    let urls = i64::try_from(number("SCRAPEHOOK_MIGRATION_URLS", 2_000)).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("scrapehook.db");
    let mut file = older(&path, FIRST).await;
    let mut transaction = file.begin().await.unwrap();
    for statement in FILL {
        let filled = sqlx::query(*statement).bind(urls).execute(&mut *transaction).await;
        filled.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    transaction.commit().await.unwrap();
    file.close().await.unwrap();
    let jobs =
        "SELECT concat_ws(' ', id, state, settled_at, waiting, sent, downloaded, indexed, failed, known)
         FROM jobs";
    let (before, stood) = (size(&path), texts(&path, jobs).await);

    let began = Instant::now();
    carry_over(&path).await;
    let took = began.elapsed();
    let [(waiting, posts, wants, attempts, free, page)]: [(i64, i64, i64, i64, i64, i64); 1] = all(
        &path,
        "SELECT (SELECT sum(waiting) FROM lines), (SELECT count(*) FROM posts), (SELECT count(*) FROM wants),
           (SELECT count(*) FROM attempts), freelist_count, page_size FROM pragma_freelist_count, pragma_page_size",
    )
    .await
    .try_into()
    .unwrap();
    println!(
        "{urls} URLs, {wants} wants: carried over within {took:?}; {before:.1} MiB, then {:.1} MiB, of which {:.1} MiB \
         are free, and a log of {:.1} MiB",
        size(&path),
        (free * page) as f64 / MIB,
        size(&side(&path, "-wal")),
    );
    assert_eq!((posts, attempts + waiting), (urls, urls));
    assert_eq!(texts(&path, jobs).await, stood);
}

fn size(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |file| file.len() as f64 / MIB)
}

fn side(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
