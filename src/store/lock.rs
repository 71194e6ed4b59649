//! The instance lock: one process a database file.
//!
//! It lies on a side file, so that taking it touches nothing of the database.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::OpenError;

/// Held as long as the store is open; the system lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock of the database at `path`, or says who is in the way.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        // By any name: a link to the file must not lead past its lock.
        let side = side_file(&path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let unwritable = |source| OpenError::Unwritable { path: side.clone(), source };
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&side).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }
}

fn side_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
