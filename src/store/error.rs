//! Why nothing can be read or written, in words that anybody may hear; what SQLite said goes to the log.

use thiserror::Error;

use crate::store::column;

/// A reading failed; the cause is for the log, never for a client.
#[derive(Debug, Error)]
#[error("the database can't be read: {0}")]
pub struct ReadError(#[from] sqlx::Error);

impl ReadError {
    /// Whether no reader was free within five seconds. Nothing was read, so it can be asked again.
    pub const fn is_busy(&self) -> bool {
        matches!(self.0, sqlx::Error::PoolTimedOut)
    }

    /// Whether the file itself can be read, and a stored row makes no sense. To ask again does not help.
    pub fn is_about_a_row(&self) -> bool {
        column::is_unreadable(&self.0)
    }
}

/// Why an operation is not on disk.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WriteError {
    /// Too much is waiting.
    #[error("too many operations are waiting to be written")]
    Busy,
    /// The commit failed; the writer has logged what SQLite said.
    #[error("the database can't be written: {0}")]
    Failed(FailureKind),
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopped,
}

/// What is wrong with the database or its disk.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FailureKind {
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
    #[error("another program has locked the database")]
    Locked,
    /// What was read makes no sense.
    #[error("the database is damaged")]
    Damaged,
    /// Nothing is written any more, for it would be lost.
    #[error("the database was deleted, replaced or emptied")]
    Gone,
    /// A stored row makes no sense: whatever needs it fails, and everything else goes on.
    #[error("a stored record can't be read, and the log names it")]
    Record,
    /// Anything else.
    #[error("the log says why")]
    Other,
}

impl WriteError {
    /// Whether one operation needs a stored row that makes no sense. Others can be done.
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

/// Whether the whole file has failed (busy, out of memory, read-only, I/O, corrupt, full), not one row.
pub(crate) fn is_about_the_file(error: &sqlx::Error) -> bool {
    match error {
        // SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
        sqlx::Error::Database(_) => !matches!(primary_code(error), Some(1 | 18 | 19 | 20)),
        sqlx::Error::RowNotFound | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

/// SQLite's code for an error, without what details it.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}
