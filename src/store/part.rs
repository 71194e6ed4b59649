//! A copy that is not whole yet: a file under a name of its own, which gets the name that was asked for at the end.
//!
//! Must never be taken for a copy, and never write over another file.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::backup::BackupError;
use super::lock::side_file;

/// What who was killed may leave: the part, and what SQLite has beside it.
const LEFT_BEHIND: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// Belongs to whoever made it, as long as they live; goes with them, unless they were killed.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    /// Locked. Not the part itself: on a network's disk that lock would be one against SQLite.
    lock: PathBuf,
    _locked: File,
}

impl Part {
    /// An empty file at `path`; what a copy that was killed left there is thrown away.
    ///
    /// It will hold the callback secret: nobody may read it who can't read the database, which has this `mode`.
    pub(super) fn begin(path: &Path, mode: u32) -> Result<Self, BackupError> {
        let unwritable = |source| BackupError::Unwritable { path: path.to_owned(), source };
        let lock = side_file(path, ".lock");
        let locked = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let locked = locked.map_err(unwritable)?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::InProgress(path.to_owned())),
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        // Whoever held the lock a moment ago may have taken the file away.
        let inode = |file: fs::Metadata| (file.dev(), file.ino());
        let ours = locked.metadata().map(inode).map_err(unwritable)?;
        if fs::symlink_metadata(&lock).map(inode).ok() != Some(ours) {
            return Err(BackupError::InProgress(path.to_owned()));
        }
        let part = Self { path: path.to_owned(), lock, _locked: locked };
        for left in LEFT_BEHIND.map(|end| side_file(path, end)) {
            remove(&left).map_err(unwritable)?;
        }
        let file = OpenOptions::new().create_new(true).write(true).mode(mode).open(path);
        // The process's mask may have taken away what the database's readers need.
        file.and_then(|file| file.set_permissions(Permissions::from_mode(mode))).map_err(unwritable)?;
        Ok(part)
    }

    /// Puts what was written on the disk, and gives it its name.
    pub(super) fn finish(self, to: &Path) -> Result<(), BackupError> {
        let unwritable = |source| BackupError::Unwritable { path: to.to_owned(), source };
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(unwritable)?;
        // Unlike a rename, a link does not write over what has come meanwhile; but not every disk has links.
        fs::hard_link(&self.path, to)
            .or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                _ if fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
                _ => fs::rename(&self.path, to),
            })
            .map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
                _ => unwritable(source),
            })?;
        drop(self);
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Under the lock: nobody else's is removed.
        let _ = remove(&self.path);
        let _ = remove(&self.lock);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_belongs_to_one_at_a_time_and_what_a_killed_one_left_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let (path, to) = (folder.path().join("a.part"), folder.path().join("a.db"));
        fs::write(&path, "half").unwrap();
        fs::write(side_file(&path, "-journal"), "of the half").unwrap();
        let part = Part::begin(&path, 0o600).unwrap();
        assert!(matches!(Part::begin(&path, 0o600), Err(BackupError::InProgress(_))));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!((fs::read(&path).unwrap().len(), mode & 0o777), (0, 0o600));
        assert!(!side_file(&path, "-journal").exists());
        fs::write(&to, "somebody else's").unwrap();
        assert!(matches!(part.finish(&to), Err(BackupError::Exists(_))));
        assert_eq!(fs::read(&to).unwrap(), b"somebody else's");
        assert!(!path.exists(), "nothing is left");
        drop(Part::begin(&path, 0o600).unwrap());
        assert!(!path.exists(), "nor where it was given up");
        assert!(!side_file(&path, ".lock").exists(), "nor of the lock");
    }

    #[test]
    fn the_part_itself_is_not_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.part");
        let _part = Part::begin(&path, 0o600).unwrap();
        // On a network's file system SQLite's own lock is of this kind.
        File::open(&path).unwrap().try_lock().unwrap();
    }
}
