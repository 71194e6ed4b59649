//! Stored canonical forms: a start brings them up to this version's form.
//!
//! Each step is a transaction that also says how far it came, so a kill costs one step at most. Must never send
//! anything, or let a job's URL follow another post than its own: one that an older form took for another post fails.

use serde_json::json;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, FromRow};

use crate::domain::event::EventKind;
use crate::domain::job::{JobState, Progress, UrlState};
use crate::domain::state::job_state;
use crate::domain::time::Timestamp;
use crate::domain::url::{CANONICAL_FORM, PostUrl};

/// Rows of one step: some ten milliseconds.
const ROWS: i64 = 1_000;

/// Where the work stands, in `meta`.
const FORM: &str = "url_form";
const DONE_TO: &str = "url_form_done_to";

/// Computes all stored forms again if another version of the form made them.
pub(super) async fn renew(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    let mut total = Step::default();
    while let Some(step) = step(connection, ROWS, now).await? {
        total.changed += step.changed;
        total.parted += step.parted;
    }
    if total.changed > 0 {
        tracing::info!(urls = total.changed, form = CANONICAL_FORM, "stored URLs got a new canonical form");
    }
    if total.parted > 0 {
        tracing::warn!(
            urls = total.parted,
            "an older version took these URLs of jobs for other posts; they are now failed with the code \
             unattributed. Nothing was sent. Submit them again if you want their videos"
        );
    }
    Ok(())
}

/// What a step did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    /// Forms that changed.
    changed: usize,
    /// URLs of jobs that no longer follow another post.
    parted: usize,
}

/// Does one step of at most `rows` rows; none if nothing is left to do.
async fn step(
    connection: &mut SqliteConnection,
    rows: i64,
    now: Timestamp,
) -> Result<Option<Step>, sqlx::Error> {
    let form: Option<String> = remembered(connection, FORM).await?;
    if form.as_deref() == Some(&CANONICAL_FORM.to_string()) {
        return Ok(None);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let done_to = remembered(&mut transaction, DONE_TO).await?;
    let done_to = done_to.and_then(|text| serde_json::from_str(&text).ok());
    let (table, id, position): (String, String, i64) =
        done_to.unwrap_or_else(|| ("task_urls".to_owned(), String::new(), -1));
    let mut step = Step::default();
    let last = if table == "task_urls" {
        renew_tasks(&mut transaction, (&id, position), rows, &mut step).await?
    } else {
        part_jobs(&mut transaction, (&id, position), rows, now, &mut step).await?
    };
    match (last, &*table) {
        (Some((id, position)), table) => {
            remember(&mut transaction, DONE_TO, &json!([table, id, position]).to_string()).await?;
        }
        (None, "task_urls") => {
            remember(&mut transaction, DONE_TO, &json!(["job_urls", "", -1]).to_string()).await?;
        }
        (None, _) => {
            sqlx::query("DELETE FROM meta WHERE key = ?1").bind(DONE_TO).execute(&mut *transaction).await?;
            remember(&mut transaction, FORM, &CANONICAL_FORM.to_string()).await?;
        }
    }
    transaction.commit().await?;
    Ok(Some(step))
}

/// The key of the last row that a step has seen; none if there was none.
type Last = Option<(String, i64)>;

/// Computes the forms of URLs of tasks again, from behind a row on.
async fn renew_tasks(
    connection: &mut SqliteConnection,
    (task, position): (&str, i64),
    rows: i64,
    step: &mut Step,
) -> Result<Last, sqlx::Error> {
    let urls: Vec<(String, i64, String, String)> = sqlx::query_as(
        "SELECT task_id, position, url, canonical FROM task_urls
         WHERE (task_id, position) > (?1, ?2) ORDER BY task_id, position LIMIT ?3",
    )
    .bind(task)
    .bind(position)
    .bind(rows)
    .fetch_all(&mut *connection)
    .await?;
    let mut changed = Vec::new();
    for (task, position, url, old) in &urls {
        let canonical = PostUrl::recognize(url).canonical;
        if canonical != *old {
            changed.push(json!([task, position, canonical]));
        }
    }
    step.changed += changed.len();
    sqlx::query(
        "UPDATE task_urls SET canonical = new.canonical
         FROM (SELECT value->>0 AS task_id, value->>1 AS position, value->>2 AS canonical FROM json_each(?1)) AS new
         WHERE task_urls.task_id = new.task_id AND task_urls.position = new.position",
    )
    .bind(json!(changed).to_string())
    .execute(connection)
    .await?;
    Ok(urls.into_iter().next_back().map(|(task, position, ..)| (task, position)))
}

/// A URL of a job, and the task URL that it follows.
#[derive(FromRow)]
struct Followed {
    job_id: String,
    position: i64,
    url: String,
    canonical: String,
    /// Where it stands for the job.
    state: String,
    fixed: Option<String>,
    error_code: Option<String>,
}

/// Fails URLs of jobs that follow another post, from behind a row on.
async fn part_jobs(
    connection: &mut SqliteConnection,
    (job, position): (&str, i64),
    rows: i64,
    now: Timestamp,
    step: &mut Step,
) -> Result<Last, sqlx::Error> {
    let urls: Vec<Followed> = sqlx::query_as(
        "SELECT job_id, job_urls.position, job_urls.url, canonical, fixed, error_code,
           iif(fixed = 'known', 'known', task_urls.state) AS state
         FROM job_urls JOIN task_urls
           ON task_urls.task_id = job_urls.task_id AND task_urls.position = task_position
         WHERE (job_id, job_urls.position) > (?1, ?2) ORDER BY job_id, job_urls.position LIMIT ?3",
    )
    .bind(job)
    .bind(position)
    .bind(rows)
    .fetch_all(&mut *connection)
    .await?;
    let is_ended = |url: &Followed| matches!(url.fixed.as_deref(), Some("canceled" | "unattributed"));
    for url in &urls {
        if !is_ended(url) && PostUrl::recognize(&url.url).canonical != url.canonical {
            part(connection, url, now).await?;
            step.parted += 1;
        }
    }
    Ok(urls.into_iter().next_back().map(|url| (url.job_id, url.position)))
}

#[derive(FromRow)]
struct Counts {
    state: String,
    urls: i64,
    waiting: i64,
    sent: i64,
    downloaded: i64,
    indexed: i64,
    failed: i64,
    known: i64,
    canceled: i64,
}

/// Fails a URL of a job that follows another post, and says where the job stands then.
async fn part(connection: &mut SqliteConnection, url: &Followed, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE job_urls SET fixed = 'unattributed' WHERE job_id = ?1 AND position = ?2")
        .bind(&url.job_id)
        .bind(url.position)
        .execute(&mut *connection)
        .await?;
    let counts: Counts = sqlx::query_as(
        "SELECT state, urls, waiting, sent, downloaded, indexed, failed, known, canceled FROM jobs WHERE id = ?1",
    )
    .bind(&url.job_id)
    .fetch_one(&mut *connection)
    .await?;
    let Counts { state, urls, waiting, sent, downloaded, indexed, failed, known, canceled } = counts;
    let mut progress = Progress { urls, waiting, sent, downloaded, indexed, failed, known, canceled };
    let stood: UrlState = url.state.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    progress.add(stood, -1);
    progress.add(UrlState::Failed, 1);
    let was_canceled = url.fixed.is_none() && url.error_code.as_deref() == Some("canceled");
    progress.canceled -= i64::from(was_canceled);
    let new = job_state(&progress);
    sqlx::query(
        "UPDATE jobs SET waiting = ?2, sent = ?3, downloaded = ?4, indexed = ?5, failed = ?6, known = ?7,
           canceled = ?8, state = ?9, settled_at = iif(?9 = 'running', NULL, coalesce(settled_at, ?10))
         WHERE id = ?1",
    )
    .bind(&url.job_id)
    .bind(progress.waiting)
    .bind(progress.sent)
    .bind(progress.downloaded)
    .bind(progress.indexed)
    .bind(progress.failed)
    .bind(progress.known)
    .bind(progress.canceled)
    .bind(new.as_str())
    .bind(now.as_millis())
    .execute(&mut *connection)
    .await?;
    if new.as_str() == state || new == JobState::Running {
        return Ok(());
    }
    sqlx::query("INSERT INTO events (kind, source, job_id, at, message) VALUES (?1, 'operator', ?2, ?3, ?4)")
        .bind(EventKind::JobSettled.as_str())
        .bind(&url.job_id)
        .bind(now.as_millis())
        .bind(format!("{new}: a URL of it was taken for another post"))
        .execute(connection)
        .await?;
    Ok(())
}

async fn remembered(connection: &mut SqliteConnection, key: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM meta WHERE key = ?1").bind(key).fetch_optional(connection).await
}

async fn remember(connection: &mut SqliteConnection, key: &str, value: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value)
    .execute(connection)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions};

    use super::*;
    use crate::store::migrate::MIGRATIONS;

    const NOW: Timestamp = Timestamp::from_millis(9);

    async fn run(connection: &mut SqliteConnection, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
    }

    async fn file(path: &std::path::Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).foreign_keys(true);
        options.connect().await.unwrap()
    }

    /// Two jobs of five URLs: the second follows the tasks of the first, under forms that folded too much.
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
            "INSERT INTO tasks (id, job_id, created_at, state, next_attempt_at, news_at)
               VALUES ('t', 'a', 1, 'accepted', 1, 1);
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
            let mut total = Step::default();
            loop {
                // Each step on a connection of its own: nothing but the file remembers.
                let mut file = file(&path).await;
                let Some(step) = step(&mut file, rows, NOW).await.unwrap() else { break };
                total.changed += step.changed;
                total.parted += step.parted;
            }
            assert_eq!(total, Step { changed: 4, parted: 2 }, "{rows} rows a step");
            let mut file = file(&path).await;
            let forms = all(&mut file, "SELECT canonical FROM task_urls ORDER BY position").await;
            let expected = [
                "https://www.youtube.com/watch?v=AAAAAAAAAAA",
                "https://example.com/a",
                "https://www.youtube.com/watch?v=o9vgXOH4ET0",
                "https://e.com/#/1",
                "https:/youtu.be/b",
            ];
            assert_eq!(forms, expected);
            let fixed = "SELECT coalesce(fixed, '-') FROM job_urls WHERE job_id = 'b' ORDER BY position";
            assert_eq!(all(&mut file, fixed).await, ["unattributed", "-", "-", "unattributed", "canceled"]);
            let counts = "SELECT id || state || waiting || sent || downloaded || indexed || failed || known || canceled
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
        assert_eq!(events, ["job.settled a 9 failed: a URL of it was taken for another post"]);
        assert_eq!(step(&mut file, 9, NOW).await.unwrap(), None, "it is done once");
    }
}
