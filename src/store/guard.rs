//! The guard of the file: notices that the database or its log was deleted or replaced underneath.
//!
//! What SQLite writes then goes to a file that nobody will ever find again. Between two looks that can still
//! be answered 200: the window is [`LOOK`].

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Which file a name stands for: device and inode.
type Identity = (u64, u64);

/// Knows which files the store has open.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    files: [PathBuf; 2],
}

impl Guard {
    /// A guard of the database at `path`, wherever that leads, and its write-ahead log.
    pub(super) fn new(path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Self { files: [path, log.into()] }
    }

    /// Returns once one of the files is gone or another one.
    pub(super) async fn watch(&self) -> PathBuf {
        let mut known = self.files.clone().map(|file| identity(&file));
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            for (file, known) in self.files.iter().zip(&mut known) {
                match (&known, identity(file)) {
                    // The log comes with the first commit.
                    (Ok(None), now) => *known = now,
                    (Ok(Some(then)), Ok(now)) if now != Some(*then) => return file.clone(),
                    // What can't be looked at now may be later.
                    (Ok(Some(_)), _) => {}
                    (Err(_), now) => *known = now,
                }
            }
        }
    }
}

fn identity(file: &Path) -> io::Result<Option<Identity>> {
    match fs::metadata(file) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
