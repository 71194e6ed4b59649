//! Opening the file: can it be written, is SQLite sound; then it is migrated, and bound to this upstream.
//!
//! Must never write to a file that [`inspect`] has not seen.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use thiserror::Error;

use super::backup::{BackupError, with_causes};
use super::forms;
use super::inspect::inspect;
use super::lock::InstanceLock;
use super::migrate::{MIGRATIONS, migrate};
use super::pauses::Pause;
use super::trouble::failed;
use crate::domain::file_path::{PathFault, check_file};
use crate::domain::time::Timestamp;

/// Marks a file as ours: "shok" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x7368_6f6b;

/// The first SQLite without the bug that can lose data in WAL mode.
const OLDEST_SQLITE: i64 = 3_051_003;

/// Pages of the write-ahead log before it is copied into the file: SQLite's own 1,000 are a few commits here.
const WAL_PAGES: &str = "8192";

/// Bytes of the write-ahead log that may stay once all of it is copied; one long read, such as a copy, has it grow
/// past any bound until the read ends.
const WAL_STAYS: &str = "67108864";

const READERS: u32 = 4;
const WORKER_READERS: u32 = 2;

/// Why the database can't be opened; each is a line for the operator.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another instance holds the lock.
    #[error("store.path: {path} is in use by another instance of scrapehook")]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// Another process has locked the file: an instance that uses another name, or one whose `.lock` was removed.
    #[error(
        "store.path: {path} is in use: another process has it open, perhaps under another name (a hard link)"
    )]
    InUseElsewhere {
        /// The database file.
        path: PathBuf,
    },
    /// The file has several names, each with a log of its own: the log of another name may have the last commits.
    #[error(
        "store.path: {path} has {names} names (hard links), and the newest commits may be in the write-ahead log \
         beside another one; remove all names but the one that was served last"
    )]
    Linked {
        /// The database file.
        path: PathBuf,
        /// How many names it has.
        names: u64,
    },
    /// The file itself is mounted, so it has another name elsewhere, and each name has a log of its own.
    #[error(
        "store.path: {path} is a mount point, and the newest commits may be in the write-ahead log beside the file \
         that is mounted there; mount the folder of the database instead"
    )]
    Mounted {
        /// The database file.
        path: PathBuf,
    },
    /// SQLite and the system would not read the path as the same file.
    #[error("store.path: `{}`: {fault}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The file or its folder can't be written.
    #[error("store.path: can't write {path}: {reason}")]
    Unwritable {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// It is not an SQLite file, or one of another program.
    #[error("store.path: {path} is not a scrapehook database; it was left as it is")]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// It is ours, and not whole.
    #[error("store.path: {path} is damaged ({reason}); it was left as it is")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no database, but the log of one.
    #[error(
        "store.path: there is no database in {path}, but its log {log} is there and would be lost; put the \
         database back, or move the log away"
    )]
    LoneLog {
        /// The database file.
        path: PathBuf,
        /// Its write-ahead log.
        log: PathBuf,
    },
    /// It was written by a newer version.
    #[error("store.path: {path} was written by a newer version of scrapehook; it was left as it is")]
    Newer {
        /// The database file.
        path: PathBuf,
    },
    /// It was used with another upstream before.
    #[error(
        "upstream.base_url: {path} belongs to {bound}, not to {asked}; if that is meant, start once with \
         --accept-upstream-change"
    )]
    OtherUpstream {
        /// The database file.
        path: PathBuf,
        /// The upstream it is bound to.
        bound: String,
        /// The upstream it was opened for.
        asked: String,
    },
    /// The SQLite in this binary is too old.
    #[error("this binary was built with an SQLite that can lose data (3.51.3 is needed)")]
    OldSqlite,
    /// It could not be copied before it is migrated.
    #[error("store.path: the database is not migrated before there is a copy of it: {}", with_causes(.0))]
    Backup(Box<BackupError>),
    /// There is no room to write it.
    #[error("store.path: {path} can't be written: the disk is full")]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// Anything else.
    #[error("store.path: {path}: {reason}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: sqlx::Error,
    },
    /// No randomness for the callback secret.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// The open file: the one write connection, the readers, and what the file remembers.
pub(super) struct Opened {
    pub(super) writer: SqliteConnection,
    pub(super) readers: SqlitePool,
    pub(super) worker_readers: SqlitePool,
    pub(super) callback_secret: String,
}

/// Refuses a path that SQLite and the system would not read as the same file.
pub(super) fn check_path(path: &Path) -> Result<(), OpenError> {
    check_file(path).map_err(|fault| OpenError::Path { path: path.to_owned(), fault })
}

/// Opens, checks, migrates and binds the file that is locked.
pub(super) async fn open(
    lock: &mut InstanceLock,
    upstream: &str,
    accept_change: bool,
    now: Timestamp,
) -> Result<Opened, OpenError> {
    let path = lock.path().to_owned();
    inspect(&path, Some(upstream).filter(|_| !accept_change)).await?;
    lock.make_database()?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", WAL_PAGES)
        .pragma("journal_size_limit", WAL_STAYS)
        .disable_statement_logging();
    // Pages that are free are given back in small steps; it is settled when the file is made.
    let owner = options.clone().auto_vacuum(SqliteAutoVacuum::Incremental);
    let mut writer = owner.connect().await.map_err(|error| unopenable(&path, error))?;
    let prepared = match prepare(&mut writer, &path, upstream, now).await {
        Ok(callback_secret) => readers(&path, options).await.map(|readers| (callback_secret, readers)),
        Err(error) => Err(error),
    };
    match prepared {
        Ok((callback_secret, [readers, worker_readers])) => {
            Ok(Opened { writer, readers, worker_readers, callback_secret })
        }
        Err(error) => {
            // Before the instance lock ends: its descriptor takes SQLite's locks with it when it is closed.
            let _ = writer.close().await;
            Err(error)
        }
    }
}

/// Brings the file up to this version and binds it to this upstream; gives its callback secret.
async fn prepare(
    writer: &mut SqliteConnection,
    path: &Path,
    upstream: &str,
    now: Timestamp,
) -> Result<String, OpenError> {
    let sqlite = |source| failed(path, source);
    let version: i64 = sqlx::query_scalar(
        "SELECT (v->>0) * 1000000 + (v->>1) * 1000 + (v->>2)
         FROM (SELECT '[' || replace(sqlite_version(), '.', ',') || ']' AS v)",
    )
    .fetch_one(&mut *writer)
    .await
    .map_err(sqlite)?;
    if version < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite);
    }

    // First of all: a start that was killed in between must not leave a file that looks foreign.
    sqlx::query("PRAGMA application_id = 0x73686f6b").execute(&mut *writer).await.map_err(sqlite)?;
    migrate(writer, path, &MIGRATIONS, now).await?;
    bind(writer, upstream).await.map_err(sqlite)?;
    if is_backup(writer).await.map_err(sqlite)? {
        restore(writer, now).await.map_err(sqlite)?;
    }
    forms::renew(writer, now).await.map_err(sqlite)?;
    let callback_secret = remembered_secret(writer, path).await?;
    // From now on the file itself names its upstream and its secret, even if its log is lost.
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut *writer).await.map_err(sqlite)?;
    Ok(callback_secret)
}

/// The readers of clients, and those of the workers.
async fn readers(path: &Path, options: SqliteConnectOptions) -> Result<[SqlitePool; 2], OpenError> {
    let sqlite = |source| failed(path, source);
    // Read-only down to the file: at their end such connections copy nothing out of the log. One that was opened
    // after the log was taken away would copy from a log of its own into the database.
    let options = options.read_only(true);
    let readers = pool(READERS, options.clone()).await.map_err(sqlite)?;
    let worker_readers = pool(WORKER_READERS, options).await.map_err(sqlite)?;
    Ok([readers, worker_readers])
}

async fn pool(most: u32, options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(most)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options)
        .await
}

pub(super) fn unopenable(path: &Path, error: sqlx::Error) -> OpenError {
    match primary_code(&error) {
        // SQLITE_CORRUPT
        Some(11) => OpenError::Damaged { path: path.to_owned(), reason: words(&error) },
        // SQLITE_NOTADB
        Some(26) => OpenError::Foreign { path: path.to_owned() },
        // SQLITE_READONLY, SQLITE_CANTOPEN
        Some(8 | 14) => OpenError::Unwritable {
            path: path.to_owned(),
            reason: io::Error::new(io::ErrorKind::PermissionDenied, words(&error)),
        },
        _ => failed(path, error),
    }
}

pub(super) fn words(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// SQLite's code for an error, without what details it.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

async fn bind(writer: &mut SqliteConnection, upstream: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('upstream', ?1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(upstream)
    .execute(writer)
    .await
    .map(|_| ())
}

async fn is_backup(writer: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'backup')").fetch_one(writer).await
}

/// So far the numbers of events jump: nobody may take a new one for one that was lost with the old file.
const SEQ_JUMP: i64 = 1_000_000;

/// Takes a restored backup into use: nothing is sent until somebody says so.
async fn restore(writer: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    tracing::warn!("this database was restored from a backup: nothing is sent until it is resumed");
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(
        "INSERT INTO pauses (scope, code, message, since, probe_at, probes) VALUES (?1, ?1, ?2, ?3, ?3, 0)
         ON CONFLICT DO NOTHING",
    )
    .bind(Pause::RESTORED)
    .bind("restored from a backup: what was queued in it may have been sent since; look, then resume")
    .bind(now.as_millis())
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "INSERT INTO events (seq, kind, source, at, message)
         SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) + ?1,
                'sending.paused', 'operator', ?2, 'restored from a backup'",
    )
    .bind(SEQ_JUMP)
    .bind(now.as_millis())
    .execute(&mut *transaction)
    .await?;
    sqlx::query("DELETE FROM meta WHERE key = 'backup'").execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn remembered_secret(writer: &mut SqliteConnection, path: &Path) -> Result<String, OpenError> {
    let sqlite = |source| failed(path, source);
    let mut fresh = [0_u8; 32];
    getrandom::fill(&mut fresh).map_err(OpenError::Random)?;
    sqlx::query("INSERT INTO meta (key, value) VALUES ('callback_secret', ?1) ON CONFLICT (key) DO NOTHING")
        .bind(URL_SAFE_NO_PAD.encode(fresh))
        .execute(&mut *writer)
        .await
        .map_err(sqlite)?;
    sqlx::query_scalar("SELECT value FROM meta WHERE key = 'callback_secret'")
        .fetch_one(writer)
        .await
        .map_err(sqlite)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far beyond what a slow machine needs to open a few connections.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn nobody_waits_longer_than_five_seconds_for_a_reader() {
        for most in [READERS, WORKER_READERS] {
            let readers = pool(most, SqliteConnectOptions::new().in_memory(true)).await.unwrap();
            assert_eq!(readers.options().get_acquire_timeout(), Duration::from_secs(5));
            assert_eq!(readers.options().get_max_connections(), most);
        }
    }

    // In real time, because threads open the connections, and a paused clock does not control them.
    #[tokio::test]
    async fn a_reader_is_refused_while_all_are_taken_and_given_out_again_afterwards() {
        let memory = SqliteConnectOptions::new().in_memory(true);
        let options = pool(READERS, memory.clone()).await.unwrap().options().clone();
        let readers = options.acquire_timeout(Duration::from_millis(50)).connect_lazy_with(memory);
        let taken = async {
            let mut taken = Vec::new();
            while taken.len() < READERS as usize {
                // On a slow machine the wait may be over before a connection is open.
                taken.extend(readers.acquire().await.ok());
            }
            taken
        };
        let taken = tokio::time::timeout(PATIENCE, taken).await.unwrap();
        let refused = readers.acquire().await.unwrap_err();
        assert!(matches!(refused, sqlx::Error::PoolTimedOut), "{refused}");
        drop(taken);
        let given = async { while readers.acquire().await.is_err() {} };
        tokio::time::timeout(PATIENCE, given).await.unwrap();
    }
}
