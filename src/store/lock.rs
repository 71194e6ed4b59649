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
        let side = side_file(&real_path(path), ".lock");
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

/// Where a path leads, also where there is no file yet.
pub(super) fn real_path(path: &Path) -> PathBuf {
    /// As many links as the system follows itself.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if let Ok(real) = path.canonicalize() {
            return real;
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        match (path.read_link(), path.file_name()) {
            (Ok(target), _) => path = folder.join(target),
            (Err(_), Some(name)) => return folder.canonicalize().unwrap_or(folder).join(name),
            (Err(_), None) => return path,
        }
    }
    path
}

/// The file beside `path` whose name ends in `suffix`.
pub(super) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
