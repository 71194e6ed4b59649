//! Copies of the file: made while it is written, verified before they count, and marked as copies.
//!
//! Must never leave half a copy under the name that was asked for, and never write over another file.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use thiserror::Error;

use super::OpenError;
use super::inspect::inspect;
use super::lock::{InstanceLock, real_path, side_file};
use crate::domain::time::Timestamp;

/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(30);

/// Why there is no copy.
#[derive(Debug, Error)]
pub enum BackupError {
    /// What is to be copied is no database of ours, or the one to be restored is in use.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// There is a file of that name.
    #[error("{0} is there already; it was left as it is")]
    Exists(PathBuf),
    /// What is to be copied can't be read.
    #[error("can't read {path}")]
    Unreadable {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to copy.
    #[error("{0} is empty")]
    Empty(PathBuf),
    /// The copy can't be written.
    #[error("can't write {path}")]
    Unwritable {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database can't be read, or the copy not be written.
    #[error("{path}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// What was copied is not whole.
    #[error("the copy of {path} is damaged ({reason}), and was thrown away: so may the database be")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// How the last backup went.
#[derive(Clone, Debug, Default)]
pub struct LastBackup {
    /// When the newest copy was made.
    pub at: Option<Timestamp>,
    /// When a later one could not be made, and why.
    pub failure: Option<(Timestamp, String)>,
}

/// An error and what lies behind it, on one line.
pub fn with_causes(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}

/// Copies the database at `from`, which may be in use, to the new file `to`.
///
/// The copy carries a mark: whoever serves it is told that it is one, and sends nothing until somebody says so.
///
/// # Errors
/// [`BackupError`]: then there is no copy.
pub async fn backup(from: &Path, to: &Path, at: Timestamp) -> Result<(), BackupError> {
    inspect(from, None).await?;
    copy(from, to, at).await
}

/// Puts a copy at `from` in the place of a database that is lost; whether or not it carries the mark, it does then.
///
/// # Errors
/// [`BackupError`]: then nothing has changed. A file at `to`, or its log, is never written over.
pub async fn restore(from: &Path, to: &Path, at: Timestamp) -> Result<(), BackupError> {
    let _lock = InstanceLock::take(to)?;
    let log = side_file(&real_path(to), "-wal");
    if fs::symlink_metadata(&log).is_ok() {
        return Err(BackupError::Exists(log));
    }
    inspect(from, None).await?;
    copy(from, to, at).await
}

/// Copies a database that this process itself has open, or has looked at.
///
/// Must never open the file but through SQLite: whoever closes it gives up all locks of the process on it.
///
/// # Errors
/// [`BackupError`]: then there is no copy.
pub async fn copy(from: &Path, to: &Path, at: Timestamp) -> Result<(), BackupError> {
    if fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let source =
        fs::metadata(from).map_err(|source| BackupError::Unreadable { path: from.to_owned(), source })?;
    if source.len() == 0 {
        return Err(BackupError::Empty(from.to_owned()));
    }
    let part = side_file(to, ".part");
    let unwritable = |source| BackupError::Unwritable { path: part.clone(), source };
    match fs::remove_file(&part) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(error)),
    }
    let made = async {
        // SQLite fills a file that is there and empty. It holds the callback secret: nobody may read it who can't
        // read the database.
        let mode = source.permissions().mode() & 0o777;
        OpenOptions::new().create_new(true).write(true).mode(mode).open(&part).map_err(unwritable)?;
        write(from, &part).await.map_err(|source| BackupError::Sqlite { path: from.to_owned(), source })?;
        let reason = mark_and_check(&part, at)
            .await
            .map_err(|source| BackupError::Sqlite { path: part.clone(), source })?;
        if let Some(reason) = reason {
            return Err(BackupError::Damaged { path: from.to_owned(), reason });
        }
        File::open(&part).and_then(|file| file.sync_all()).map_err(unwritable)?;
        // Unlike a rename, a link does not write over what has come meanwhile; but not every disk has links.
        fs::hard_link(&part, to)
            .or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                _ => fs::rename(&part, to),
            })
            .map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
                _ => BackupError::Unwritable { path: to.to_owned(), source },
            })
    };
    let made = made.await;
    let _ = fs::remove_file(&part);
    made?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)
}

async fn write(from: &Path, to: &Path) -> Result<(), sqlx::Error> {
    // Read-only would want to make an index of the log where there is none.
    let options = SqliteConnectOptions::new().filename(from).busy_timeout(BUSY).disable_statement_logging();
    let mut file = options.connect().await?;
    let copied = sqlx::query("VACUUM INTO ?1").bind(to.to_string_lossy()).execute(&mut file).await;
    file.close().await?;
    copied.map(|_| ())
}

/// Gives what is wrong with the copy.
async fn mark_and_check(copy: &Path, at: Timestamp) -> Result<Option<String>, sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(copy).disable_statement_logging();
    let mut file = options.connect().await?;
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('backup', ?1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(at.to_string())
    .execute(&mut file)
    .await?;
    let words: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut file).await?;
    file.close().await?;
    Ok((words != "ok").then_some(words))
}
