//! The instance lock: one process a database file.
//!
//! It lies on a side file, so that taking it touches nothing of the database.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;

use super::OpenError;

/// How often who only looks may be in the way.
const TRIES: u32 = 10_000;

/// Held as long as the store is open; the system lets go of it when the process dies.
#[derive(Debug)]
pub(super) struct InstanceLock {
    _file: File,
}

impl InstanceLock {
    /// Takes the lock of the database at `path`, or says who is in the way.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        // By any name: a link to the file must not lead past its lock.
        let real = real_path(path);
        if real.is_dir() {
            let source = std::io::ErrorKind::IsADirectory.into();
            return Err(OpenError::Unwritable { path: path.to_owned(), source });
        }
        let side = side_file(&real, ".lock");
        let unwritable = |source| OpenError::Unwritable { path: side.clone(), source };
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&side).map_err(unwritable)?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                // In the way is somebody who only looks, for a moment.
                Err(TryLockError::WouldBlock) if file.try_lock_shared().is_ok() => {
                    file.unlock().map_err(unwritable)?;
                    thread::yield_now();
                }
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(source)) => return Err(unwritable(source)),
            }
        }
        Err(OpenError::InUse { path: path.to_owned() })
    }

    /// Whether an instance holds the lock of the database at `path`, as far as can be told.
    pub(super) fn is_held(path: &Path) -> bool {
        let Ok(file) = File::open(side_file(&real_path(path), ".lock")) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_keeps_others_out_and_who_only_looks_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scrapehook.db");
        assert!(!InstanceLock::is_held(&path));
        assert!(!side_file(&path, ".lock").exists(), "to look makes nothing");
        let lock = InstanceLock::take(&path).unwrap();
        assert!(InstanceLock::is_held(&path));
        assert!(matches!(InstanceLock::take(&path), Err(OpenError::InUse { .. })));
        drop(lock);
        assert!(!InstanceLock::is_held(&path));
        let looks = thread::spawn({
            let path = path.clone();
            move || (0..1_000).filter(|_| InstanceLock::is_held(&path)).count()
        });
        while !looks.is_finished() {
            drop(InstanceLock::take(&path).unwrap());
        }
        looks.join().unwrap();
    }
}
