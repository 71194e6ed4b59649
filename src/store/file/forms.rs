//! Stored canonical forms, which a start brings up to this version's form.
//!
//! Each step is a transaction that also records its progress, so a kill costs one step at most. Must never send
//! anything, or let a job's URL follow the post of another URL. A URL that an older form took for another post fails.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::EventKind;
use crate::domain::job::{JobState, Progress};
use crate::domain::outcome::UrlState;
use crate::domain::time::Timestamp;
use crate::domain::url::{CANONICAL_FORM, PostUrl};
use crate::store::column::{self, row};
use crate::store::file::carry_over;

/// The rows of one step, which takes some ten milliseconds.
const ROWS: i64 = 1_000;

/// The keys of the progress in `meta`.
const FORM: &str = "url_form";
const DONE_TO: &str = "url_form_done_to";

/// Computes all stored forms again if another version of the form made them. This works only on the tables of older
/// versions.
pub(crate) async fn renew(connection: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    if !carry_over::is_needed(connection).await? {
        if remembered(connection, FORM).await?.is_none() {
            remember(connection, FORM, &CANONICAL_FORM.to_string()).await?;
        }
        return Ok(());
    }
    if !is_current(connection).await? {
        let urls: i64 =
            sqlx::query_scalar("SELECT (SELECT count(*) FROM task_urls) + (SELECT count(*) FROM job_urls)")
                .fetch_one(&mut *connection)
                .await?;
        if urls > 0 {
            tracing::info!(
                urls,
                form = CANONICAL_FORM,
                "converting stored URLs to this version's canonical form"
            );
        }
    }
    while step(connection, ROWS, now).await? {}
    Ok(())
}

/// The progress of the conversion. It is kept in the file, so that a kill changes neither the end nor the report.
#[derive(Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Conversion {
    /// The form of this conversion. Progress with another form does not count.
    form: i64,
    /// Whether the URLs of tasks are done, and those of jobs are next.
    has_tasks: bool,
    /// The last row that is done.
    id: String,
    position: i64,
    /// The number of changed forms.
    changed: usize,
    /// The number of URLs of jobs that no longer follow another post.
    separated: usize,
}

impl Conversion {
    const fn begin() -> Self {
        Self {
            form: CANONICAL_FORM,
            has_tasks: false,
            id: String::new(),
            position: -1,
            changed: 0,
            separated: 0,
        }
    }

    fn report(&self) {
        if self.changed > 0 {
            tracing::info!(urls = self.changed, form = self.form, "stored URLs have a new canonical form");
        }
        if self.separated > 0 {
            tracing::warn!(
                urls = self.separated,
                "an older version mistook these URLs of jobs for other posts and never sent them, so they now fail \
                 with the code unattributed. Submit them again if you want their videos"
            );
        }
    }
}

async fn is_current(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    Ok(remembered(connection, FORM).await?.as_deref() == Some(&CANONICAL_FORM.to_string()))
}

/// Does one step of at most `rows` rows. Returns false if nothing was left to do.
async fn step(connection: &mut SqliteConnection, rows: i64, now: Timestamp) -> Result<bool, sqlx::Error> {
    if is_current(connection).await? {
        return Ok(false);
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let kept = remembered(&mut transaction, DONE_TO).await?;
    let kept = kept.and_then(|text| serde_json::from_str(&text).ok());
    let mut conversion =
        kept.filter(|kept: &Conversion| kept.form == CANONICAL_FORM).unwrap_or_else(Conversion::begin);
    let last = if conversion.has_tasks {
        separate_jobs(&mut transaction, &mut conversion, rows, now).await?
    } else {
        renew_tasks(&mut transaction, &mut conversion, rows).await?
    };
    let is_done = last.is_none() && conversion.has_tasks;
    match last {
        Some((id, position)) => (conversion.id, conversion.position) = (id, position),
        None => {
            (conversion.id, conversion.position) = (String::new(), -1);
            conversion.has_tasks = true;
        }
    }
    if is_done {
        sqlx::query("DELETE FROM meta WHERE key = ?1").bind(DONE_TO).execute(&mut *transaction).await?;
        remember(&mut transaction, FORM, &CANONICAL_FORM.to_string()).await?;
        // The report comes before the commit, because no later start would make it.
        conversion.report();
    } else {
        let text =
            serde_json::to_string(&conversion).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        remember(&mut transaction, DONE_TO, &text).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// The key of the last row that a step has read. None if there was none.
type Last = Option<(String, i64)>;

row! {
    /// A URL of a task, and its form.
    struct TaskUrl {
        task_id: String,
        position: i64,
        url: String,
        canonical: String,
    }
}

/// Computes the forms of URLs of tasks again, and the platforms of the tasks.
async fn renew_tasks(
    connection: &mut SqliteConnection,
    conversion: &mut Conversion,
    rows: i64,
) -> Result<Last, sqlx::Error> {
    let urls: Vec<TaskUrl> = sqlx::query_as(
        "SELECT task_id, position, url, canonical FROM task_urls
         WHERE (task_id, position) > (?1, ?2) ORDER BY task_id, position LIMIT ?3",
    )
    .bind(&conversion.id)
    .bind(conversion.position)
    .bind(rows)
    .fetch_all(&mut *connection)
    .await?;
    let (mut forms, mut platforms) = (Vec::new(), BTreeMap::new());
    for TaskUrl { task_id: task, position, url, canonical: old } in &urls {
        // An unrecognized URL keeps its old form, so that an indexed video is not paid for again.
        let Some(post) = PostUrl::recognize(url) else { continue };
        if post.canonical != *old {
            forms.push(json!([task, position, post.canonical]));
        }
        platforms.insert(task, post.platform);
    }
    conversion.changed += forms.len();
    sqlx::query(
        "UPDATE task_urls SET canonical = new.canonical
         FROM (SELECT value->>0 AS task_id, value->>1 AS position, value->>2 AS canonical FROM json_each(?1)) AS new
         WHERE task_urls.task_id = new.task_id AND task_urls.position = new.position",
    )
    .bind(json!(forms).to_string())
    .execute(&mut *connection)
    .await?;
    let platforms: Vec<_> = platforms.into_iter().collect();
    sqlx::query(
        "UPDATE tasks SET platform = new.platform
         FROM (SELECT value->>0 AS id, value->>1 AS platform FROM json_each(?1)) AS new
         WHERE tasks.id = new.id AND tasks.platform IS NOT new.platform AND tasks.platform IS NOT NULL",
    )
    .bind(json!(platforms).to_string())
    .execute(connection)
    .await?;
    Ok(urls.into_iter().next_back().map(|url| (url.task_id, url.position)))
}

row! {
    /// A URL of a job, and the task URL that it follows.
    struct Followed {
        job_id: String,
        position: i64,
        url: String,
        /// The URL that was sent, and its form.
        carried: String,
        canonical: String,
        /// Its state in the job.
        state: String,
        fixed: Option<String>,
        error_code: Option<String>,
    }
}

/// Fails URLs of jobs that follow another post. It is certain that they are two posts only if both URLs are
/// recognized.
async fn separate_jobs(
    connection: &mut SqliteConnection,
    conversion: &mut Conversion,
    rows: i64,
    now: Timestamp,
) -> Result<Last, sqlx::Error> {
    let urls: Vec<Followed> = sqlx::query_as(
        "SELECT job_id, job_urls.position, job_urls.url, task_urls.url AS carried, canonical, fixed, error_code,
           iif(fixed = 'known', 'known', task_urls.state) AS state
         FROM job_urls JOIN task_urls
           ON task_urls.task_id = job_urls.task_id AND task_urls.position = task_position
         WHERE (job_id, job_urls.position) > (?1, ?2) ORDER BY job_id, job_urls.position LIMIT ?3",
    )
    .bind(&conversion.id)
    .bind(conversion.position)
    .bind(rows)
    .fetch_all(&mut *connection)
    .await?;
    let is_ended = |url: &Followed| matches!(url.fixed.as_deref(), Some("canceled" | "unattributed"));
    for url in urls.iter().filter(|url| !is_ended(url)) {
        let is_another = PostUrl::recognize(&url.url).is_some_and(|post| post.canonical != url.canonical);
        if is_another && PostUrl::recognize(&url.carried).is_some() {
            separate(connection, url, now).await?;
            conversion.separated += 1;
        }
    }
    Ok(urls.into_iter().next_back().map(|url| (url.job_id, url.position)))
}

row! {
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
}

/// Fails a URL of a job that follows another post, and updates the counts and the state of the job.
async fn separate(
    connection: &mut SqliteConnection,
    url: &Followed,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
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
    let stood: UrlState = column::parsed(("task_urls", "state", &url.job_id), &url.state)?;
    progress.add(stood, -1);
    progress.add(UrlState::Failed, 1);
    let was_canceled = url.fixed.is_none() && url.error_code.as_deref() == Some("canceled");
    progress.canceled -= i64::from(was_canceled);
    let new = progress.job_state();
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
        .bind(format!("{new}: one of its URLs was mistaken for another post"))
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
mod tests;
