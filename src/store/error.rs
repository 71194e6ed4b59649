//! Errors of reads and writes, in words that clients may see. Must never carry the words of SQLite, which go to the
//! log.

use thiserror::Error;

use crate::store::column;

/// A failed read. The cause is for the log, never for a client.
#[derive(Debug, Error)]
#[error("the database can't be read: {0}")]
pub struct ReadError(#[from] sqlx::Error);

impl ReadError {
    /// Whether no reader was free within five seconds. Nothing was read, so the query can be repeated.
    pub const fn is_busy(&self) -> bool {
        matches!(self.0, sqlx::Error::PoolTimedOut)
    }

    /// Whether the file can be read, but a stored row makes no sense. Repeating the query does not help.
    pub fn is_about_a_row(&self) -> bool {
        column::is_unreadable(&self.0)
    }
}

/// The reason why an operation is not on disk.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WriteError {
    /// Too many operations wait.
    #[error("too many operations are waiting to be written")]
    Busy,
    /// The commit failed. The writer has logged the words of SQLite.
    #[error("the database can't be written: {0}")]
    Failed(FailureKind),
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopped,
}

/// The fault of the database or its disk.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FailureKind {
    /// The disk is full.
    #[error("the disk is full")]
    Full,
    /// Writes are not allowed.
    #[error("the database or its disk is read-only")]
    ReadOnly,
    /// The system failed to read or write: a broken disk, a quota, or a limit on file sizes.
    #[error("the system can't read or write the disk")]
    Disk,
    /// Another process held a lock for longer than the store waits.
    #[error("another program has locked the database")]
    Locked,
    /// The content of the file makes no sense.
    #[error("the database is damaged")]
    Damaged,
    /// The store writes nothing any more, because it would be lost.
    #[error("the database was deleted, replaced or emptied")]
    Gone,
    /// A stored row makes no sense. Operations that need it fail, and all others go on.
    #[error("a stored record can't be read, and the log names it")]
    Record,
    /// Anything else.
    #[error("the log says why")]
    Other,
}

impl WriteError {
    /// Whether only one operation fails, because it needs a stored row that makes no sense.
    pub const fn is_about_a_record(self) -> bool {
        matches!(self, Self::Failed(FailureKind::Record))
    }
}

impl FailureKind {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
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

/// Whether the error is about the whole file (busy, out of memory, read-only, I/O, corrupt, full), and not about one
/// row.
pub(crate) fn is_about_the_file(error: &sqlx::Error) -> bool {
    match error {
        // SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
        sqlx::Error::Database(_) => !matches!(primary_code(error), Some(1 | 18 | 19 | 20)),
        sqlx::Error::RowNotFound | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

/// SQLite's primary code for an error.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}
