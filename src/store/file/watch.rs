//! The watch over the files: notices that the database or its log was deleted, replaced or emptied underneath.
//!
//! What SQLite writes then goes to a file that nobody will ever find again. Between two looks that can still
//! be answered 200: the window is [`LOOK`].

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::store::file::path::{real_path, side_file};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// Which file a name stands for: device and inode.
type Identity = (u64, u64);

/// Knows which files the store has open.
#[derive(Clone, Debug)]
pub(crate) struct FileWatch {
    database: Watched,
    log: Watched,
}

impl FileWatch {
    /// A watch over the database at `path`, wherever that leads, and its write-ahead log; both are open.
    pub(crate) fn new(path: &Path) -> Self {
        let path = real_path(path);
        // A log may be empty; a database in use never is, unless somebody emptied it.
        Self { log: Watched::new(side_file(&path, "-wal"), 0), database: Watched::new(path, 1) }
    }

    /// Returns once one of the files is gone or another one.
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

    /// Whether the database, whatever became of its log, is still the one that was opened.
    pub(crate) fn has_database(&self) -> bool {
        !self.database.clone().is_gone()
    }
}

#[derive(Clone, Debug)]
struct Watched {
    path: PathBuf,
    /// With fewer bytes it counts as gone.
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
            // What can't be looked at now may be later.
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
