//! Carries a file of an older version over into posts, rounds, attempts and wants.
//!
//! Everything happens in one transaction, so a start that is killed leaves the file as it was, and the next one
//! begins again. Must never send anything, and never lose a want, an attempt, a fact, a video or an event.

use std::path::Path;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use crate::domain::time::Timestamp;
use crate::store::file::error::OpenError;
use crate::store::file::failure::failed;
use crate::store::file::migrate::foreign_keys;

mod due;
mod evidence;
mod jobs;
mod page;
mod places;
mod rounds;
mod tasks;
mod urls;
mod wants;

/// Counts the waiting rounds of each line after all of them are there.
const COUNT_WAITING: &str =
    "UPDATE lines SET waiting = (SELECT count(*) FROM rounds WHERE rounds.line = lines.number)";

/// The tables that the new ones replace. None refers to a later one.
const OLD_TABLES: [&str; 5] = [
    "DROP TABLE old_due_cancels",
    "DROP TABLE due_urls",
    "DROP TABLE listings",
    "DROP TABLE job_urls",
    "DROP TABLE task_urls",
];

/// Whether the file still has the tables of an older version. A new file has them too, empty.
pub(crate) async fn is_needed(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'task_urls')",
    )
    .fetch_one(connection)
    .await
}

/// Fills the new tables from those of an older version and drops the old ones, if they still exist.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    path: &Path,
    now: Timestamp,
) -> Result<(), OpenError> {
    let sqlite = |source| failed(path, source);
    if !is_needed(connection).await.map_err(sqlite)? {
        return Ok(());
    }
    // Otherwise, dropping a table would look for references to each of its rows. The end checks all references.
    foreign_keys(connection, false).await.map_err(sqlite)?;
    let carried = carry(connection, path, now).await;
    let restored = foreign_keys(connection, true).await;
    let carried = carried?;
    restored.map_err(sqlite)?;
    carried.report();
    Ok(())
}

/// The numbers of carried rows.
#[derive(Default)]
struct Carried {
    tasks: i64,
    jobs: i64,
    urls: usize,
    waiting: i64,
    wants: usize,
    /// Tasks that were queued and never sent. Their URLs wait.
    dissolved: usize,
}

impl Carried {
    fn report(&self) {
        let Self { tasks, jobs, urls, waiting, wants, dissolved } = *self;
        if tasks + jobs > 0 {
            let words = "moved the database to the tables of this version without sending anything";
            tracing::info!(jobs, wants, tasks, urls, waiting, dissolved, "{words}");
        }
    }
}

async fn carry(connection: &mut SqliteConnection, path: &Path, now: Timestamp) -> Result<Carried, OpenError> {
    let sqlite = |source| failed(path, source);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(sqlite)?;
    let carried = fill(&mut transaction, now).await.map_err(sqlite)?;
    if let Some(reason) = dangling(&mut transaction).await.map_err(sqlite)? {
        return Err(OpenError::Damaged { path: path.to_owned(), reason });
    }
    transaction.commit().await.map_err(sqlite)?;
    Ok(carried)
}

async fn fill(connection: &mut SqliteConnection, now: Timestamp) -> Result<Carried, sqlx::Error> {
    let (tasks, jobs): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM tasks), (SELECT count(*) FROM jobs)")
            .fetch_one(&mut *connection)
            .await?;
    let mut carried = Carried { tasks, jobs, ..Carried::default() };
    due::settle(connection).await?;
    places::fill(connection).await?;
    let rounds = urls::carry(connection).await?;
    carried.urls = rounds.urls;
    carried.wants = wants::carry(connection, &rounds).await?;
    evidence::carry(connection).await?;
    carried.dissolved = tasks::dissolve(connection, now).await?;
    jobs::count(connection, now).await?;
    connection.execute(COUNT_WAITING).await?;
    carried.waiting =
        sqlx::query_scalar("SELECT coalesce(sum(waiting), 0) FROM lines").fetch_one(&mut *connection).await?;
    for drop in OLD_TABLES {
        connection.execute(drop).await?;
    }
    Ok(carried)
}

/// Describes a row that refers to a missing row, if there is one.
async fn dangling(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let found: Option<(String, Option<i64>, String)> =
        sqlx::query_as(r#"SELECT "table", rowid, parent FROM pragma_foreign_key_check LIMIT 1"#)
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|(table, row, parent)| {
        let row = row.map_or_else(|| "a row".to_owned(), |row| format!("row {row}"));
        format!("{row} of {table} refers to a row of {parent} that is missing")
    }))
}

#[cfg(test)]
mod tests;
