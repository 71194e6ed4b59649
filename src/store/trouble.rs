//! Why nothing can be written, in words that anybody may hear; what SQLite said goes to the log.

use std::path::Path;

use thiserror::Error;

use super::disk::free_room;
use super::open::{OpenError, primary_code};
use super::{WriteError, column};

/// On a disk with less than this, in bytes, an I/O error is for want of room: the index of the log takes 32 KiB.
const NO_ROOM: u64 = 64 * 1024;

/// What is wrong with the database or its disk.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Trouble {
    /// No room is left.
    #[error("the disk is full")]
    Full,
    /// Writing is not allowed.
    #[error("the database or its disk is read-only")]
    ReadOnly,
    /// The system could not do it: a broken disk, a quota, a limit of how large a file may be.
    #[error("the system can't read or write the disk")]
    Disk,
    /// A lock was held for longer than we wait.
    #[error("another program holds the database")]
    Locked,
    /// What was read makes no sense.
    #[error("the database is damaged")]
    Damaged,
    /// Nothing is written any more, for it would be lost.
    #[error("the database was deleted, replaced or emptied")]
    Gone,
    /// A stored row makes no sense: whatever needs it fails, and everything else goes on.
    #[error("a stored record can't be read; the log names it")]
    Record,
    /// Anything else.
    #[error("the log says why")]
    Other,
}

impl WriteError {
    /// Whether one operation needs a stored row that makes no sense. Others can be done.
    pub const fn is_about_a_record(self) -> bool {
        matches!(self, Self::Failed(Trouble::Record))
    }
}

impl Trouble {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        if column::is_unreadable(error) {
            return Self::Record;
        }
        match primary_code(error) {
            // SQLITE_BUSY, SQLITE_LOCKED
            Some(5 | 6) => Self::Locked,
            // SQLITE_READONLY
            Some(8) => Self::ReadOnly,
            // SQLITE_IOERR, SQLITE_CANTOPEN
            Some(10 | 14) => Self::Disk,
            // SQLITE_CORRUPT, SQLITE_NOTADB
            Some(11 | 26) => Self::Damaged,
            // SQLITE_FULL
            Some(13) => Self::Full,
            _ => Self::Other,
        }
    }
}

/// Whether the whole file is in trouble (busy, out of memory, read-only, I/O, corrupt, full), not one row.
pub(super) fn is_about_the_file(error: &sqlx::Error) -> bool {
    match error {
        // SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
        sqlx::Error::Database(_) => !matches!(primary_code(error), Some(1 | 18 | 19 | 20)),
        sqlx::Error::RowNotFound | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

/// An error that is not the file's own fault, as far as SQLite tells.
pub(super) fn failed(path: &Path, error: sqlx::Error) -> OpenError {
    if is_full(path, &error) {
        OpenError::Full { path: path.to_owned() }
    } else {
        OpenError::Sqlite { path: path.to_owned(), reason: error }
    }
}

/// Whether the disk under `path` has no room. SQLite calls it an I/O error if the index of the log finds none.
pub(super) fn is_full(path: &Path, error: &sqlx::Error) -> bool {
    match primary_code(error) {
        // SQLITE_FULL
        Some(13) => true,
        // SQLITE_IOERR
        Some(10) => free_room(path).is_some_and(|free| free < NO_ROOM),
        _ => false,
    }
}

/// Whether a file could not be written: what was read is in order.
pub(super) fn is_about_writing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse().ok());
    // SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE
    matches!(code, Some(778 | 1034 | 1546))
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Connection};

    use super::*;

    #[tokio::test]
    async fn an_error_without_room_is_a_full_disk_and_another_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut file = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&mut file).await.unwrap();
        let full = sqlx::query("CREATE TABLE a (b)").execute(&mut file).await.unwrap_err();
        let other = sqlx::query("nonsense").execute(&mut file).await.unwrap_err();
        file.close().await.unwrap();
        assert!(!is_about_writing(&full) && !is_about_writing(&other));
        assert!(!is_full(&path, &other));
        assert!(matches!(failed(&path, other), OpenError::Sqlite { .. }));
        let said = failed(&path, full).to_string();
        assert_eq!(said, format!("store.path: {} can't be written: the disk is full", path.display()));
    }
}
