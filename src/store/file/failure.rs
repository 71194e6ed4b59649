//! The meaning of an SQLite error for the database file. Must never call a file damaged because its disk is full.

use std::io;
use std::path::Path;

use crate::store::error::primary_code;
use crate::store::file::disk::free_room;
use crate::store::file::error::OpenError;

/// On a disk with less free room than this, in bytes, an I/O error means that the disk is full. The index of the log
/// takes 32 KiB.
const NO_ROOM: u64 = 64 * 1024;

pub(crate) fn unopenable(path: &Path, error: sqlx::Error) -> OpenError {
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

pub(crate) fn words(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

/// Returns the error for a failure that SQLite does not attribute to the file itself.
pub(crate) fn failed(path: &Path, error: sqlx::Error) -> OpenError {
    if is_full(path, &error) {
        OpenError::Full { path: path.to_owned() }
    } else {
        OpenError::Sqlite { path: path.to_owned(), reason: error }
    }
}

/// Whether the disk under `path` has no room. SQLite reports an I/O error if the index of the log finds none.
pub(crate) fn is_full(path: &Path, error: &sqlx::Error) -> bool {
    match primary_code(error) {
        // SQLITE_FULL
        Some(13) => true,
        // SQLITE_IOERR
        Some(10) => free_room(path).is_some_and(|free| free < NO_ROOM),
        _ => false,
    }
}

/// Whether the error is about a write, so the content that was read is in order.
pub(crate) fn is_about_writing(error: &sqlx::Error) -> bool {
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
