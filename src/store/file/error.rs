//! The reasons why a database or a copy can't be used. Each is a line for the operator. Must never contain the
//! content of a row.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::domain::file_path::PathFault;

/// The reason why the database can't be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another instance holds the lock.
    #[error("store.path: {path} is in use by another instance of scrapehook")]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// Another process has locked the file. It is an instance that uses another name, or one whose `.lock` was
    /// removed.
    #[error(
        "store.path: {path} is in use: another process has it open, perhaps under another name (a hard link)"
    )]
    InUseElsewhere {
        /// The database file.
        path: PathBuf,
    },
    /// The file has several names, each with a separate log. The log of another name may have the last commits.
    #[error(
        "store.path: {path} has {names} names (hard links), and the newest commits may be in the write-ahead log \
         beside another one. Remove all names except the one that was served last"
    )]
    Linked {
        /// The database file.
        path: PathBuf,
        /// The number of its names.
        names: u64,
    },
    /// The file itself is mounted, so it has another name elsewhere, and each name has a separate log.
    #[error(
        "store.path: {path} is a mount point, and the newest commits may be in the write-ahead log beside the file \
         that is mounted there. Mount the folder of the database instead"
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
        /// The fault of the path.
        fault: PathFault,
    },
    /// The file or its folder can't be written.
    #[error("store.path: can't write {path}: {reason}")]
    Unwritable {
        /// The file in question.
        path: PathBuf,
        /// The error of the system.
        reason: io::Error,
    },
    /// The file is not an SQLite file, or it belongs to another program.
    #[error("store.path: {path} is not a scrapehook database and was left unchanged")]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The file belongs to scrapehook, and is damaged.
    #[error("store.path: {path} is damaged ({reason}) and was left unchanged")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The damage.
        reason: String,
    },
    /// There is no database, but there is the log of one.
    #[error(
        "store.path: there is no database in {path}, but its log {log} is there and would be lost. Put the database \
         back, or move the log away"
    )]
    LoneLog {
        /// The database file.
        path: PathBuf,
        /// Its write-ahead log.
        log: PathBuf,
    },
    /// A newer version has written the file.
    #[error("store.path: {path} was written by a newer version of scrapehook and was left unchanged")]
    Newer {
        /// The database file.
        path: PathBuf,
    },
    /// The file was used with another upstream before.
    #[error(
        "upstream.base_url: {path} belongs to {bound}, not to {asked}. To change it, start once with \
         --accept-upstream-change"
    )]
    OtherUpstream {
        /// The database file.
        path: PathBuf,
        /// The upstream that it is bound to.
        bound: String,
        /// The upstream that it was opened for.
        asked: String,
    },
    /// The SQLite in this binary is too old.
    #[error("this binary was built with an SQLite that can lose data (3.51.3 is needed)")]
    OldSqlite,
    /// The file could not be copied before the migration.
    #[error("store.path: the database was not migrated, because it could not be copied first: {}", with_causes(.0))]
    Backup(Box<BackupError>),
    /// The disk has no room for the migration.
    #[error(
        "store.path: {path} was written by an older version and was left unchanged, because its disk has no room for \
         a copy of it and for the new file: {} are needed, {} are free",
        size(.needed.saturating_mul(10).div_ceil(MIB)),
        size(.free.saturating_mul(10) / MIB)
    )]
    NoRoom {
        /// The database file.
        path: PathBuf,
        /// The bytes that are needed.
        needed: u64,
        /// The bytes that are free.
        free: u64,
    },
    /// There is no room to write the file.
    #[error("store.path: {path} can't be written: the disk is full")]
    Full {
        /// The database file.
        path: PathBuf,
    },
    /// Any other error.
    #[error("store.path: {path}: {reason}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// The error of SQLite.
        reason: sqlx::Error,
    },
    /// The system gave no randomness for the callback secret.
    #[error("can't get random numbers from the system: {0}")]
    Random(getrandom::Error),
}

/// The reason why there is no copy.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The source is not a database of scrapehook, or the database to be restored is in use.
    #[error(transparent)]
    Refused(#[from] OpenError),
    /// The copy can't be restored.
    #[error("FILE: {}", of_copy(.0))]
    Copy(OpenError),
    /// A file of that name exists.
    #[error("{0} already exists and was left unchanged")]
    Exists(PathBuf),
    /// A file has the name of the unfinished copy.
    #[error(
        "{0} is in the way of the unfinished copy and may belong to someone else, so it was left unchanged"
    )]
    InTheWay(PathBuf),
    /// Another process is making a copy of that name.
    #[error("{0} is being written by another process")]
    InProgress(PathBuf),
    /// SQLite and the system would not read the path as the same file.
    #[error("`{}`: {fault}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The fault of the path.
        fault: PathFault,
    },
    /// The copy was given up because of a stop.
    #[error("stopped before {0} was copied")]
    Stopped(PathBuf),
    /// The source can't be read.
    #[error("can't read {path}")]
    Unreadable {
        /// The file in question.
        path: PathBuf,
        /// The error of the system.
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
        /// The error of the system.
        source: io::Error,
    },
    /// The database can't be read, or the copy can't be written.
    #[error("{path}: {reason}")]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// The error of SQLite.
        reason: sqlx::Error,
    },
    /// The copy is damaged.
    #[error("the copy of {path} is damaged ({reason}) and was deleted. The database may be damaged too")]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// The damage.
        reason: String,
    },
}

/// The same reason for a copy, which is not a setting and is only read.
fn of_copy(error: &OpenError) -> String {
    match error {
        OpenError::Unwritable { path, reason } => format!("can't read {}: {reason}", path.display()),
        error => error.to_string().trim_start_matches("store.path: ").to_owned(),
    }
}

const MIB: u64 = 1024 * 1024;

/// A size in tenths of MiB, for people.
fn size(tenths: u64) -> String {
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Returns an error and its causes on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}
