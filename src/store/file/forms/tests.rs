//! Forms that an older version stored, and the jobs that followed another post because of them.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::*;
use crate::store::file::schema::MIGRATIONS;

const NOW: Timestamp = Timestamp::from_millis(9);

async fn run(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

async fn file(path: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
    options.connect().await.unwrap()
}

/// Two jobs of five URLs. The second follows the tasks of the first, under forms that folded too much.
async fn filled(path: &std::path::Path) {
    let mut file = file(path).await;
    MIGRATIONS.run(&mut file).await.unwrap();
    for (job, counts) in [("a", "0, 1, 0, 2, 2, 0, 1"), ("b", "0, 1, 0, 1, 2, 1, 2")] {
        let job = format!(
            "INSERT INTO jobs (id, created_at, state, labels, quality, library, force, urls, waiting, sent,
               downloaded, indexed, failed, known, canceled)
             VALUES ('{job}', 1, 'running', '{{}}', '360', 'private', 0, 5, {counts});"
        );
        run(&mut file, &job).await;
    }
    run(
        &mut file,
        "INSERT INTO tasks (id, job_id, platform, created_at, state, next_attempt_at, news_at)
           VALUES ('t', 'a', 'old', 1, 'accepted', 1, 1);
         INSERT INTO task_urls (task_id, position, url, canonical, state, error_code) VALUES
           ('t', 0, 'https://youtu.be/watch?v=AAAAAAAAAAA', 'https://www.youtube.com/watch?v=watch',
            'indexed', NULL),
           ('t', 1, 'http://example.com/a', 'http://example.com/a', 'sent', NULL),
           ('t', 2, 'https://youtu.be/o9vgXOH4ET0', 'https://www.youtube.com/watch?v=o9vgXOH4ET0',
            'indexed', NULL),
           ('t', 3, 'https://e.com/#/1', 'https://e.com/', 'failed', 'canceled'),
           ('t', 4, 'https:/youtu.be/b', 'https://www.youtube.com/watch?v=b', 'failed', 'no_video');
         INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed)
           SELECT 'a', position, url, task_id, position, NULL FROM task_urls;
         INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed) VALUES
           ('b', 0, 'https://youtu.be/watch?v=BBBBBBBBBBB', 't', 0, 'known'),
           ('b', 1, 'https://example.com/a/', 't', 1, NULL),
           ('b', 2, 'https://youtu.be/o9vgXOH4ET0?si=x', 't', 2, NULL),
           ('b', 3, 'https://e.com/#/2', 't', 3, NULL),
           ('b', 4, 'https://youtu.be/b', 't', 4, 'canceled');",
    )
    .await;
}

async fn all(connection: &mut SqliteConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn forms_are_renewed_in_steps_wherever_a_kill_comes_between_them() {
    for rows in [1, 2, 3, 100] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        filled(&path).await;
        let mut conversion = String::new();
        // Each step uses a separate connection, so only the file keeps the progress.
        while step(&mut file(&path).await, rows, NOW).await.unwrap() {
            let kept = remembered(&mut file(&path).await, DONE_TO).await.unwrap();
            conversion = kept.unwrap_or(conversion);
        }
        let conversion: Conversion = serde_json::from_str(&conversion).unwrap();
        assert_eq!((conversion.changed, conversion.separated), (3, 2), "{rows} rows a step");
        let mut file = file(&path).await;
        let forms = all(&mut file, "SELECT canonical FROM task_urls ORDER BY position").await;
        let expected = [
            "https://www.youtube.com/watch?v=AAAAAAAAAAA",
            "https://example.com/a",
            "https://www.youtube.com/watch?v=o9vgXOH4ET0",
            "https://e.com/#/1",
            "https://www.youtube.com/watch?v=b",
        ];
        assert_eq!(forms, expected);
        assert_eq!(all(&mut file, "SELECT platform FROM tasks").await, ["e.com"]);
        let fixed = "SELECT coalesce(fixed, '-') FROM job_urls WHERE job_id = 'b' ORDER BY position";
        assert_eq!(all(&mut file, fixed).await, ["unattributed", "-", "-", "unattributed", "canceled"]);
        let counts =
            "SELECT id || state || waiting || sent || downloaded || indexed || failed || known || canceled
                      FROM jobs ORDER BY id";
        assert_eq!(all(&mut file, counts).await, ["arunning0102201", "brunning0101301"]);
        let meta = all(&mut file, "SELECT key || value FROM meta WHERE key LIKE 'url_form%'").await;
        assert_eq!(meta, [format!("url_form{CANONICAL_FORM}")]);
    }
}

#[tokio::test]
async fn a_job_that_loses_its_last_known_url_fails_and_an_event_says_so() {
    let mut file = file(std::path::Path::new(":memory:")).await;
    MIGRATIONS.run(&mut file).await.unwrap();
    run(
        &mut file,
        "INSERT INTO jobs (id, created_at, settled_at, state, labels, quality, library, force, urls, waiting, known)
           VALUES ('a', 1, 5, 'done', '{}', '360', 'private', 0, 1, 0, 1);
         INSERT INTO tasks (id, created_at, state, next_attempt_at, news_at) VALUES ('t', 1, 'indexed', 1, 1);
         INSERT INTO task_urls (task_id, position, url, canonical, state)
           VALUES ('t', 0, 'https://e.com/?a', 'x', 'indexed');
         INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed)
           VALUES ('a', 0, 'https://e.com/?b', 't', 0, 'known');",
    )
    .await;
    renew(&mut file, NOW).await.unwrap();
    assert_eq!(
        all(&mut file, "SELECT state || settled_at || known || failed FROM jobs").await,
        ["failed501"]
    );
    let events =
        all(&mut file, "SELECT kind || ' ' || job_id || ' ' || at || ' ' || message FROM events").await;
    assert_eq!(events, ["job.settled a 9 failed: one of its URLs was mistaken for another post"]);
    assert!(!step(&mut file, 9, NOW).await.unwrap(), "it is done once");
}

#[tokio::test]
async fn a_post_on_linkedin_that_the_second_form_took_for_another_one_is_parted_from_it() {
    let mut file = file(std::path::Path::new(":memory:")).await;
    MIGRATIONS.run(&mut file).await.unwrap();
    remember(&mut file, FORM, "2").await.unwrap();
    let post = "https://www.linkedin.com/posts/acme_summer-activity-2024-recap-share-712345678901234567";
    let sql = format!(
        "INSERT INTO jobs (id, created_at, settled_at, state, labels, quality, library, force, urls, waiting, known)
           VALUES ('a', 1, 5, 'done', '{{}}', '360', 'private', 0, 1, 0, 1);
         INSERT INTO tasks (id, created_at, state, next_attempt_at, news_at) VALUES ('t', 1, 'indexed', 1, 1);
         INSERT INTO task_urls (task_id, position, url, canonical, state) VALUES ('t', 0, '{post}8-aBcD',
           'https://www.linkedin.com/feed/update/urn:li:activity:2024', 'indexed');
         INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed)
           VALUES ('a', 0, '{post}9-eFgH', 't', 0, 'known');"
    );
    run(&mut file, &sql).await;
    renew(&mut file, NOW).await.unwrap();
    let forms = all(&mut file, "SELECT canonical FROM task_urls").await;
    assert_eq!(forms, ["https://www.linkedin.com/feed/update/urn:li:share:7123456789012345678"]);
    assert_eq!(all(&mut file, "SELECT state || known || failed FROM jobs").await, ["failed01"]);
}

#[tokio::test]
async fn work_for_another_form_counts_for_nothing() {
    let mut file = file(std::path::Path::new(":memory:")).await;
    MIGRATIONS.run(&mut file).await.unwrap();
    let sql =
        "INSERT INTO tasks (id, created_at, state, next_attempt_at, news_at) VALUES ('t', 1, 'queued', 1, 1);
               INSERT INTO task_urls (task_id, position, url, canonical, state)
                 VALUES ('t', 0, 'https://youtu.be/o9vgXOH4ET0', 'old', 'waiting');";
    run(&mut file, sql).await;
    let conversion = Conversion { form: CANONICAL_FORM + 1, has_tasks: true, ..Conversion::begin() };
    remember(&mut file, DONE_TO, &serde_json::to_string(&conversion).unwrap()).await.unwrap();
    renew(&mut file, NOW).await.unwrap();
    let forms = all(&mut file, "SELECT canonical FROM task_urls").await;
    assert_eq!(forms, ["https://www.youtube.com/watch?v=o9vgXOH4ET0"]);
}

#[tokio::test]
async fn what_can_no_longer_be_read_is_no_other_post() {
    let mut file = file(std::path::Path::new(":memory:")).await;
    MIGRATIONS.run(&mut file).await.unwrap();
    run(
        &mut file,
        "INSERT INTO jobs (id, created_at, settled_at, state, labels, quality, library, force, urls, waiting, known)
           VALUES ('a', 1, 5, 'done', '{}', '360', 'private', 0, 2, 0, 2);
         INSERT INTO tasks (id, created_at, state, next_attempt_at, news_at) VALUES ('t', 1, 'indexed', 1, 1);
         INSERT INTO task_urls (task_id, position, url, canonical, state) VALUES
           ('t', 0, 'https://youtu.be/o9vgXOH4ET0?si=a,', 'https://www.youtube.com/watch?v=o9vgXOH4ET0', 'indexed'),
           ('t', 1, 'https://e.com/a,', 'https://e.com/a,', 'indexed');
         INSERT INTO job_urls (job_id, position, url, task_id, task_position, fixed) VALUES
           ('a', 0, 'https://youtu.be/o9vgXOH4ET0', 't', 0, 'known'),
           ('a', 1, 'https://e.com/a', 't', 1, 'known');",
    )
    .await;
    renew(&mut file, NOW).await.unwrap();
    assert_eq!(all(&mut file, "SELECT state || known FROM jobs").await, ["done2"]);
}

#[tokio::test]
async fn a_file_without_the_tables_of_older_versions_has_this_form_from_its_start() {
    let mut file = file(std::path::Path::new(":memory:")).await;
    MIGRATIONS.run(&mut file).await.unwrap();
    run(&mut file, "PRAGMA foreign_keys = OFF; DROP TABLE task_urls;").await;
    renew(&mut file, NOW).await.unwrap();
    assert_eq!(remembered(&mut file, FORM).await.unwrap(), Some(CANONICAL_FORM.to_string()));
    remember(&mut file, FORM, "1").await.unwrap();
    renew(&mut file, NOW).await.unwrap();
    assert_eq!(
        remembered(&mut file, FORM).await.unwrap().as_deref(),
        Some("1"),
        "what is there is not touched"
    );
}

/// Files with posts were made with this form, so nothing renews their forms yet. A change of the form must write that
/// first. Two posts that become one must not be queued twice, and each want must go to the post of its own URL.
#[test]
fn no_form_is_newer_than_files_with_posts() {
    assert_eq!(CANONICAL_FORM, 3);
}
