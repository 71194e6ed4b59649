//! The watch over the files, which notices that another program has deleted, replaced or emptied the database or its
//! log.
//!
//! SQLite then writes to a file that nobody will ever find again. Between two checks, a callback can still be
//! answered 200, so this window must never be longer than [`LOOK`].

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::store::file::path::{real_path, side_file};

/// The time between two checks.
const LOOK: Duration = Duration::from_millis(250);

/// The file that a name stands for, as device and inode.
type Identity = (u64, u64);

/// The identities of the files that the store has open.
#[derive(Clone, Debug)]
pub(crate) struct FileWatch {
    database: Watched,
    log: Watched,
}

impl FileWatch {
    /// Watches the database at `path`, after all links are resolved, and its write-ahead log. Both are open.
    pub(crate) fn new(path: &Path) -> Self {
        let path = real_path(path);
        // A log may be empty. A database in use never is, unless another program has emptied it.
        Self { log: Watched::new(side_file(&path, "-wal"), 0), database: Watched::new(path, 1) }
    }

    /// Returns once one of the files is missing or has been replaced.
    pub(crate) async fn watch(&self) -> PathBuf {
        let mut files = [self.database.clone(), self.log.clone()];
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            for file in &mut files {
                if file.is_gone() {
                    return file.path.clone();
                }
            }
        }
    }

    /// Whether the database is still the one that was opened, whatever happened to its log.
    pub(crate) fn has_database(&self) -> bool {
        !self.database.clone().is_gone()
    }
}

#[derive(Clone, Debug)]
struct Watched {
    path: PathBuf,
    /// A file with fewer bytes counts as missing.
    least: u64,
    known: Option<Identity>,
}

impl Watched {
    fn new(path: PathBuf, least: u64) -> Self {
        let mut watched = Self { path, least, known: None };
        watched.is_gone();
        watched
    }

    fn is_gone(&mut self) -> bool {
        match (self.known, self.identity()) {
            (None, now) => {
                self.known = now.unwrap_or_default();
                false
            }
            (known, Ok(now)) => known != now,
            // A file that can't be examined now may be later.
            (_, Err(_)) => false,
        }
    }

    fn identity(&self) -> io::Result<Option<Identity>> {
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() < self.least => Ok(None),
            Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
