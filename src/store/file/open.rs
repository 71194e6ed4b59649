//! Opens the file: checks that it can be written and that SQLite is sound, then migrates it and binds it to this
//! upstream.
//!
//! Must never write to a file that [`inspect`] has not checked.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use crate::domain::pause::Pause;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;
use crate::store::column;
use crate::store::file::carry_over;
use crate::store::file::error::OpenError;
use crate::store::file::failure::{failed, unopenable};
use crate::store::file::forms;
use crate::store::file::inspect::inspect;
use crate::store::file::lock::InstanceLock;
use crate::store::file::migrate::migrate;
use crate::store::file::queue;
use crate::store::file::schema::MIGRATIONS;

/// The first SQLite version without the bug that can lose data in WAL mode.
const OLDEST_SQLITE: i64 = 3_051_003;

/// The pages of the write-ahead log before SQLite copies it into the file. SQLite's default of 1,000 would be a few
/// commits here.
const WAL_PAGES: &str = "8192";

/// The bytes of the write-ahead log that may stay once all of it is copied. During one long read, such as a copy, the
/// log grows without any bound until the read ends.
const WAL_STAYS: &str = "67108864";

const READERS: u32 = 4;
const WORKER_READERS: u32 = 2;

/// The upstream that a database belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Its base URL.
    pub upstream: &'a str,
    /// Whether a database of another upstream is accepted.
    pub accept_change: bool,
}

impl<'a> Binding<'a> {
    /// Refuses a database of another upstream.
    pub const fn to(upstream: &'a str) -> Self {
        Self { upstream, accept_change: false }
    }
}

/// The open file: the one connection that writes, the readers, and the values stored in the file.
pub(crate) struct Opened {
    pub(crate) writer: SqliteConnection,
    pub(crate) readers: SqlitePool,
    pub(crate) worker_readers: SqlitePool,
    pub(crate) callback_secret: String,
    pub(crate) forward_secret: Secret,
}

/// Opens, checks, migrates and binds the locked file.
pub(crate) async fn open(
    lock: &mut InstanceLock,
    binding: Binding<'_>,
    now: Timestamp,
) -> Result<Opened, OpenError> {
    let Binding { upstream, accept_change } = binding;
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
    // Free pages are returned to the disk in small steps. This is fixed when the file is made.
    let owner = options.clone().auto_vacuum(SqliteAutoVacuum::Incremental);
    let mut writer = owner.connect().await.map_err(|error| unopenable(&path, error))?;
    let prepared = match prepare(&mut writer, &path, upstream, now).await {
        Ok(secrets) => readers(&path, options).await.map(|readers| (secrets, readers)),
        Err(error) => Err(error),
    };
    match prepared {
        Ok(((callback_secret, forward_secret), [readers, worker_readers])) => {
            Ok(Opened { writer, readers, worker_readers, callback_secret, forward_secret })
        }
        Err(error) => {
            // This comes before the instance lock ends, because closing its descriptor releases SQLite's locks.
            let _ = writer.close().await;
            Err(error)
        }
    }
}

/// Brings the file up to this version and binds it to this upstream. Returns its callback secret.
async fn prepare(
    writer: &mut SqliteConnection,
    path: &Path,
    upstream: &str,
    now: Timestamp,
) -> Result<(String, Secret), OpenError> {
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

    // This comes first, so that a start that is killed in between does not leave a file that seems to belong to
    // another program.
    sqlx::query("PRAGMA application_id = 0x73686f6b").execute(&mut *writer).await.map_err(sqlite)?;
    migrate(writer, path, &MIGRATIONS, now).await?;
    bind(writer, upstream).await.map_err(sqlite)?;
    if is_backup(writer).await.map_err(sqlite)? {
        restore(writer, now).await.map_err(sqlite)?;
    }
    forms::renew(writer, now).await.map_err(sqlite)?;
    carry_over::run(writer, path, now).await?;
    queue::fill(writer).await.map_err(sqlite)?;
    let callback_secret = callback_secret(writer, path).await?;
    let forward_secret = forward_secret(writer, path).await?;
    // From now on the file itself holds its upstream and its secrets, even if its log is lost.
    sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&mut *writer).await.map_err(sqlite)?;
    Ok((callback_secret, forward_secret))
}

/// Opens the readers of clients, and those of the workers.
async fn readers(path: &Path, options: SqliteConnectOptions) -> Result<[SqlitePool; 2], OpenError> {
    let sqlite = |source| failed(path, source);
    // These connections open the file itself read-only, so they copy nothing out of the log when they close.
    // Otherwise, a connection that was opened after the log was removed would copy its own, separate log into the
    // database.
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

/// The distance by which the numbers of events jump, so that no client takes a new event for one that was lost with
/// the old file.
const SEQ_JUMP: i64 = 1_000_000;

/// Takes a restored backup into use. Nothing is sent until an operator resumes sending.
async fn restore(writer: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    tracing::warn!(
        "this database was restored from a backup, so scrapehook sends nothing until `scrapehook resume`"
    );
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(
        "INSERT INTO pauses (scope, code, message, since, probe_at, probes) VALUES (?1, ?1, ?2, ?3, ?3, 0)
         ON CONFLICT DO NOTHING",
    )
    .bind(Pause::RESTORED)
    .bind("restored from a backup. The URLs queued in it may have been sent since. Check, then resume")
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

/// The secret of callback tokens, which is generated once.
async fn callback_secret(writer: &mut SqliteConnection, path: &Path) -> Result<String, OpenError> {
    let mut fresh = [0_u8; 32];
    getrandom::fill(&mut fresh).map_err(OpenError::Random)?;
    let fresh = URL_SAFE_NO_PAD.encode(fresh);
    remembered(writer, "callback_secret", &fresh).await.map_err(|source| failed(path, source))
}

/// The secret of the webhooks of jobs, which is generated once.
async fn forward_secret(writer: &mut SqliteConnection, path: &Path) -> Result<Secret, OpenError> {
    let fresh = Secret::generate().map_err(OpenError::Random)?;
    let kept = remembered(writer, "forward_secret", &fresh.expose()).await;
    let secret = kept.and_then(|kept| {
        Secret::parse(&kept).map_err(|error| column::unreadable(("meta", "value", "forward_secret"), error))
    });
    secret.map_err(|source| failed(path, source))
}

/// The value of a key of `meta`, which is `fresh` if there was none.
async fn remembered(writer: &mut SqliteConnection, key: &str, fresh: &str) -> Result<String, sqlx::Error> {
    sqlx::query("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO NOTHING")
        .bind(key)
        .bind(fresh)
        .execute(&mut *writer)
        .await?;
    sqlx::query_scalar("SELECT value FROM meta WHERE key = ?1").bind(key).fetch_one(writer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far more time than a slow machine needs to open a few connections.
    const TIMEOUT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn nobody_waits_longer_than_five_seconds_for_a_reader() {
        for most in [READERS, WORKER_READERS] {
            let readers = pool(most, SqliteConnectOptions::new().in_memory(true)).await.unwrap();
            assert_eq!(readers.options().get_acquire_timeout(), Duration::from_secs(5));
            assert_eq!(readers.options().get_max_connections(), most);
        }
    }

    // The test runs in real time, because threads open the connections, and a paused clock does not control them.
    #[tokio::test]
    async fn a_reader_is_refused_while_all_are_taken_and_given_out_again_afterwards() {
        let memory = SqliteConnectOptions::new().in_memory(true);
        let options = pool(READERS, memory.clone()).await.unwrap().options().clone();
        let readers = options.acquire_timeout(Duration::from_millis(50)).connect_lazy_with(memory);
        let taken = async {
            let mut taken = Vec::new();
            while taken.len() < READERS as usize {
                // On a slow machine, the wait may end before a connection is open.
                taken.extend(readers.acquire().await.ok());
            }
            taken
        };
        let taken = tokio::time::timeout(TIMEOUT, taken).await.unwrap();
        let refused = readers.acquire().await.unwrap_err();
        assert!(matches!(refused, sqlx::Error::PoolTimedOut), "{refused}");
        drop(taken);
        let given = async { while readers.acquire().await.is_err() {} };
        tokio::time::timeout(TIMEOUT, given).await.unwrap();
    }
}
